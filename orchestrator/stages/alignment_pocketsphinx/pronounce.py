"""How English words are spoken: what an aligner with a pronouncing dictionary is given to look for.

Words that the dictionary lacks get phones by their letters. That is rough, and enough: the times
of a word depend little on a vowel that is a bit off, and its neighbours hold it in place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
_TENS = [
    *("zero", "ten", "twenty", "thirty", "forty"),
    *("fifty", "sixty", "seventy", "eighty", "ninety"),
]
_SCALES = (
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
    (100, "hundred"),
)
_SIGNS = {"%": "percent", "&": "and", "+": "plus", "=": "equals", "@": "at"}
_CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros"}
_PARTS = re.compile(r"[$£€]?\d[\d,]*(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*'?|[%&+=@]")
_PHONES = {
    "tch": "CH", "sch": "SH", "igh": "AY", "eau": "OW",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "wh": "W", "ck": "K", "ng": "NG", "qu": "K W",
    "gh": "G", "kn": "N", "wr": "R", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW",
    "oi": "OY", "oy": "OY", "ai": "EY", "ay": "EY", "ei": "EY", "ey": "IY", "ie": "IY", "au": "AO",
    "aw": "AO", "oa": "OW", "ue": "UW", "ew": "UW", "ar": "AA R", "er": "ER", "ir": "ER",
    "or": "AO R", "ur": "ER",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH",
    "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R",
    "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
_LETTERS = re.compile("|".join(sorted(_PHONES, key=len, reverse=True)))
_DOUBLED = re.compile(r"([b-df-hj-np-tv-z])\1")


def spoken(text: str, known: Callable[[str], bool]) -> list[str]:
    """The words of the dictionary's kind that are said for one written word; none for a sign.

    ``known`` tells whether the dictionary has a word.
    """
    plain = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    said: list[str] = []
    for part in _PARTS.findall(plain):
        if part in _SIGNS:
            said.append(_SIGNS[part])
        elif any(c.isdigit() for c in part):
            said += _amount(part)
        elif known(part):
            said.append(part)
        elif part.strip("'"):
            said.append(part.strip("'"))
    return [word for word in said if known(word) or phones(word)]


def phones(word: str) -> str:
    """Phones of the ARPAbet for a word, by its letters; empty where it has none of a to z."""
    return " ".join(_PHONES[match[0]] for match in _LETTERS.finditer(_DOUBLED.sub(r"\1", word)))


def number(value: int) -> list[str]:
    """A number of at least 0 in English words; long ones digit by digit."""
    if value >= 10**12:
        return [_ONES[int(digit)] for digit in str(value)]
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10], *([_ONES[value % 10]] if value % 10 else [])]
    for scale, name in _SCALES:
        if value >= scale:
            rest = value % scale
            return [*number(value // scale), name, *(number(rest) if rest else [])]
    raise AssertionError(value)


def _amount(part: str) -> list[str]:
    currency = _CURRENCIES.get(part[0])
    whole, _, fraction = part.lstrip("$£€").replace(",", "").partition(".")
    year = len(whole) == 4 and "," not in part and not fraction and "1100" <= whole <= "1999"
    said = (
        [*number(int(whole[:2])), *(number(int(whole[2:])) if whole[2:] != "00" else ["hundred"])]
        if year and currency is None
        else number(int(whole))
    )
    if fraction:
        said += ["point", *(_ONES[int(digit)] for digit in fraction)]
    return [*said, currency] if currency else said

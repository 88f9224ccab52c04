"""Text as a subtitle shows it: measured in columns, cut into words, and where a break does no harm.

Costs of breaks are relative: only their order matters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

AFTER_SENTENCE = 0.0
AFTER_CLAUSE = 4.0
BEFORE_OPENER = 8.0
ANYWHERE = 12.0
AFTER_CLINGER = 18.0

_INVISIBLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
_KEPT_FORMATTING = frozenset("\u200c\u200d\u200e\u200f")  # joiners and marks of direction
_SENTENCE_END = re.compile(r"[.!?…。！？｡।؟۔]['\"’”»)\]」』]*$")
_CLAUSE_END = re.compile(r"[,;:、，；：،؛—–]['\"’”»)\]」』]*$|-$")
_ABBREVIATION = re.compile(r"^(mr|mrs|ms|dr|st|prof|sr|jr|vs|mt|m|mme|[a-z])\.$", re.IGNORECASE)
_NOT_FIRST = frozenset(
    "、。，．！？；：」』）］｝〉》】〕〗〙〟’”%％…‥・｡､｣･゛゜ﾞﾟ"
    "ー々〻ゝゞヽヾぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶｰｧｨｩｪｫｬｭｮｯ"
    "\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46"  # Thai: vowels behind their consonant; ๆ repeats, ฯ cuts
    "\u0eaf\u0eb0\u0eb2\u0eb3\u0ebd\u0ec6"  # Lao: the same
    "\u17d4\u17d5\u17d6\u17d7\u104a\u104b"  # Khmer and Myanmar: stops, and a sign that repeats
)
_CLOSES_SYLLABLE = re.compile("[\u1000-\u1021]\u1037?\u103a")
"""A Burmese consonant whose vowel is killed: it ends the syllable before it."""
_NOT_LAST = frozenset(
    "「『（［｛〈《【〔〖〘〝｢‘“"
    "\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"  # Thai, Lao: vowels before it
    "\u17d2\u1039"  # Khmer, Myanmar: the next consonant stands below this one
)


@dataclass(frozen=True, slots=True)
class Word:
    """``spaced``: a space stands before it. ``before`` and ``after`` are markup without width."""

    text: str
    spaced: bool = True
    before: str = ""
    after: str = ""


def clean(text: str) -> str:
    """``text`` on one line without control characters, with single spaces and none around it."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """``text`` with a space for each control character and line break."""
    return "".join(
        " " if unicodedata.category(c) in _INVISIBLE else c
        for c in text
        if c in _KEPT_FORMATTING or unicodedata.category(c) != "Cf"
    )


def columns(text: str) -> int:
    """Width in columns: East Asian wide characters take two; marks above and below others, and
    what is not seen itself, take none."""
    return sum(_columns(c) for c in text) if not text.isascii() else len(text)


def _columns(character: str) -> int:
    # Of the other formatting characters (Cf), which `visible` takes out, some are seen.
    if character in _KEPT_FORMATTING or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def ends_sentence(text: str) -> bool:
    """Whether a sentence ends with the last word of ``text``."""
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATION.match(text.rpartition(" ")[2])


def ends_clause(text: str) -> bool:
    return bool(_CLAUSE_END.search(text))


def writes_without_spaces(character: str) -> bool:
    """Whether it is of a script written without spaces: Chinese, Japanese, Thai, …"""
    code = ord(character)
    return (
        0x2E80 <= code <= 0xA4CF  # CJK, kana, Yi
        or 0x0E00 <= code <= 0x0EFF  # Thai, Lao
        or 0x1000 <= code <= 0x109F  # Myanmar
        or 0x1780 <= code <= 0x17FF  # Khmer
        or 0xF900 <= code <= 0xFAFF
        or 0xFF00 <= code <= 0xFFEF
        or 0x20000 <= code <= 0x3FFFF
    )


def may_part(left: str, right: str) -> bool:
    """Whether the one text may end a line and the other begin the next, by the characters there.

    What Whisper gives as a word of Thai or Japanese may begin with a vowel sign, or a small kana.
    """
    mark = unicodedata.category(right[0]).startswith("M")
    bound = mark or right[0] in _NOT_FIRST or left[-1] in _NOT_LAST
    return not bound and not _CLOSES_SYLLABLE.match(right)


def joined(text: str, following: str) -> str:
    """Both on one line, with a space between them where their script has spaces."""
    if not text or not following:
        return text + following
    together = writes_without_spaces(text[-1]) and writes_without_spaces(following[0])
    return text + following if together else f"{text} {following}"


def split_words(text: str) -> list[Word]:
    """The words of ``text``; where a script has no spaces, the places at which it may break."""
    words = []
    for token in text.split():
        for index, piece in enumerate(_pieces(token)):
            words.append(Word(piece, spaced=index == 0))
    return words


def _pieces(token: str) -> list[str]:
    if token.isascii():
        return [token]
    pieces = [token[0]]
    for at in range(1, len(token)):
        left, right = token[at - 1], token[at]
        unspaced = writes_without_spaces(left) and writes_without_spaces(right)
        if unspaced and may_part(left, token[at : at + 3]):
            pieces.append(right)
        else:
            pieces[-1] += right
    return pieces


def join(words: Sequence[Word]) -> str:
    """The words on one line, with their markup."""
    text = "".join(f"{' ' * one.spaced}{one.before}{one.text}{one.after}" for one in words)
    return text.removeprefix(" ")


def break_cost(left: Word, right: Word) -> float:
    """What a break between two neighbours costs."""
    if ends_sentence(left.text):
        return AFTER_SENTENCE
    if ends_clause(left.text):
        return AFTER_CLAUSE
    if clings(left.text):
        return AFTER_CLINGER
    return BEFORE_OPENER if opens(right.text) else ANYWHERE


def opens(text: str) -> bool:
    """Whether a line had better begin with the word."""
    return _bare(text) in _OPENERS


def clings(text: str) -> bool:
    """Whether the word belongs to the one after it."""
    return _bare(text) in _CLINGERS


def _bare(text: str) -> str:
    return text.strip("'\"’“”«»()[]¿¡").casefold()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that a line or cue had better begin with, and words it had better not end with. Function
# words of the languages most often subtitled; a language that is missing only loses this nicety.
_OPENERS = _words(
    """
    and but or nor so yet because that which who whom whose when where how what why while if unless
    although though since until as than after before with without for from into about to of in on
    at by
    et mais ou donc car que qui quand où si comme parce pour avec sans dans
    y pero o porque que quien cuando donde si como para con sin
    und aber oder denn weil dass ob wenn als während obwohl damit mit ohne für
    e ma o perché che chi quando dove se come per con senza
    mas ou porque quem onde para com sem
    en maar of want omdat dat die wanneer waar als met zonder voor
    """
)
_CLINGERS = _words(
    """
    a an the my your his her its our their this these those to of in on at by not very no is are
    was were be been am will would can could shall should may might must have has had do does did
    i you he she it we they mr mrs ms dr
    le la les un une des du de mon ma mes ton ta tes son sa ses ce cette ces je tu il elle nous
    vous ils elles ne se à au aux
    el los las una unos unas mi mis tu tus su sus lo al del no yo él ella
    der die das den dem des ein eine einen einem einer mein dein sein ihr ich du er sie es wir
    zu im am nicht
    il gli uno mio tuo suo di da os as um uma meu teu seu do da no na
    de het een mijn jouw zijn haar ik jij hij zij wij
    """
)

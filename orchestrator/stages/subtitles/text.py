"""Text as a subtitle shows it: clean, measured in columns, and joined the way its script is."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
_KEPT_FORMATTING = frozenset("\u200c\u200d\u200e\u200f")  # joiners and marks of direction
_SENTENCE_END = re.compile(r"[.!?…。！？｡।؟۔]['\"’”»)\]」』]*$")
_CLAUSE_END = re.compile(r"[,;:、，；：،؛—–]['\"’”»)\]」』]*$|-$")
_ABBREVIATION = re.compile(r"^(mr|mrs|ms|dr|st|prof|sr|jr|vs|no|mt|m|mme|[a-z])\.$", re.IGNORECASE)


def clean(text: str) -> str:
    """``text`` on one line without control characters; spaces are kept as single ones."""
    plain = "".join(
        " " if unicodedata.category(c) in _INVISIBLE else c
        for c in text
        if c in _KEPT_FORMATTING or unicodedata.category(c) != "Cf"
    )
    return re.sub(r"\s+", " ", plain)


def columns(text: str) -> int:
    """Width in columns: East Asian wide characters take two, combining marks none."""
    return sum(_columns(c) for c in text) if not text.isascii() else len(text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def ends_sentence(text: str) -> bool:
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATION.match(text)


def ends_clause(text: str) -> bool:
    return bool(_CLAUSE_END.search(text))


def split_wide(text: str, width: int) -> list[str]:
    """Cut a word that is wider than a line into pieces that are not."""
    pieces = [""]
    for character in text:
        if columns(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


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


def opens(text: str) -> bool:
    return _bare(text) in _OPENERS


def clings(text: str) -> bool:
    """Whether the word belongs to the one after it."""
    return _bare(text) in _CLINGERS


def _bare(text: str) -> str:
    return text.strip("'\"’“”«»()[]¿¡").casefold()

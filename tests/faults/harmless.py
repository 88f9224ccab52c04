"""What output must not hold: what a terminal obeys, forges a log line or runs in a browser."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser


def _words(text: str) -> list[str]:
    return text.split()


_JOINERS = "\u200c\u200d"
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LIVE = re.compile(r"\x1b\[(?:\?25[hl]|[12]?K|[0-9]{0,2}A|(?:0|1|2|3[0-7]|9[0-7]|;)*m)|\r")
"""What rich itself sends: cursor shown or hidden, a line cleared, up, plain colours."""

_TAGS = frozenset(
    _words("""
    html head meta title style body main header h1 h2 p b dl div dt dd ul li svg rect path section
    span small i table thead tbody tr th td script bdi polygon polyline
    """)
)
_ATTRIBUTES = frozenset(
    _words("""
    lang charset http-equiv content name class style title data-end data-l x y width height d points
    viewbox preserveaspectratio aria-hidden
    """)
)


def harmful(text: str, allowed: str = "\n") -> list[str]:
    """The characters in it that are not plainly visible."""
    return sorted(
        {
            repr(one)
            for one in text
            if unicodedata.category(one) in _HARMFUL and one not in _JOINERS and one not in allowed
        }
    )


def harmful_bytes(data: bytes, allowed: str = "\n") -> list[str]:
    """As :func:`harmful`, of UTF-8; what is not UTF-8 is harmful."""
    try:
        return harmful(data.decode("utf-8"), allowed)
    except UnicodeDecodeError as error:
        return [f"not UTF-8: {data[error.start : error.start + 8]!r}"]


def without_drawing(text: str) -> str:
    """What a live view printed, without the sequences it draws with."""
    return _LIVE.sub("", text)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.titles: list[str] = []
        self.scripts: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        if tag not in _TAGS:
            self.wrong.append(f"tag {tag!r}")
        for name, value in attrs:
            if name not in _ATTRIBUTES:
                self.wrong.append(f"attribute {name!r} of {tag!r}")
            if tag == "bdi" and name == "title":
                self.titles.append(value or "")
            self.wrong += harmful(value or "", "")

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
        else:
            self.wrong += harmful(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"comment {data!r}")


def read_page(page: str, script: str) -> tuple[list[str], list[str]]:
    """What is wrong with a page that may run only ``script``, and the names it shows."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    if "".join(reader.scripts) != script:
        reader.wrong.append(f"scripts: {[one[:40] for one in reader.scripts]}")
    return reader.wrong, reader.titles


def cues_of(subtitles: str) -> Iterator[tuple[float, float, str]]:
    """The cues that the most tolerant player would see: each time line begins one, wherever it is.

    Seconds, and the text up to the next time line.
    """
    pieces = re.split(rf"^.*?({_TIME})[ \t]*-->[ \t]*({_TIME}).*$", subtitles, flags=re.MULTILINE)
    for start, end, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        yield _seconds(start), _seconds(end), text.strip()


_TIME = r"(?:\d+:)?\d+:\d+[,.]\d+"


def _seconds(text: str) -> float:
    seconds = 0.0
    for part in text.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds

"""Make any text harmless for a terminal, a log or a table.

File names and recognised speech come from strangers: an escape sequence in a name could retitle
the terminal or hide a line, a bidi override could turn a name around, a newline could forge a log
line. Rich leaves escape characters in its texts, and would read markup in plain strings, so what
goes into a :class:`rich.text.Text` passes through here first.
"""

from __future__ import annotations

import codecs
import unicodedata

from rich.cells import cell_len, set_cell_size

_JOINERS = "\u200c\u200d"
"""Format characters that real names need (Persian, Indic scripts, emoji) and that are harmless."""

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def safe_text(text: str, width: int | None = None, encoding: str = "utf-8") -> str:
    """``text`` on one line, with everything that is not plainly visible shown escaped.

    Control and format characters appear as ``\\x1b``, ``\\n`` or ``\\u202e``, undecodable bytes of
    file names (lone surrogates) as the byte ``\\xff``, and characters that ``encoding`` lacks as
    ``\\u4e2d``. With ``width`` (terminal cells, at least 1) the middle is cut, since both the start
    and the end of a name tell files apart; wide East Asian characters count two cells.
    """
    if not text.isprintable():
        text = "".join(map(_escape, text))
    if not text.isascii() and not _is_utf8(encoding):
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return text if width is None else _cut(text, width, encoding)


def can_encode(text: str, encoding: str) -> bool:
    """Whether a stream of this encoding can show ``text``."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED_CATEGORIES or character in _JOINERS:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _cut(text: str, width: int, encoding: str) -> str:
    if cell_len(text) <= width:
        return text
    mark = "…" if can_encode("…", encoding) else "..."
    room = width - len(mark)
    if room < 2:
        return set_cell_size(text, max(1, width)).rstrip()
    tail, cells = len(text), 0
    while cells + (step := cell_len(text[tail - 1])) <= (room + 1) // 2:
        tail -= 1
        cells += step
    return set_cell_size(text, room - cells).rstrip() + mark + text[tail:]

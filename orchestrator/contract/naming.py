"""The one place that knows how a subtitle file beside a media file is named.

Writing and skipping both use it, so a name that this project writes is a name that it recognises:
``{stem}.{language}[.sdh|.forced].{extension}``. Reading is as tolerant as media servers are
(right to left: flags, then a language, then free text).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.languages import normalise
from orchestrator.contract.records import Record

TEXT_SUBTITLE_EXTENSIONS = frozenset({"srt", "vtt", "ass", "ssa", "sub", "smi", "ttml", "sbv"})
"""Sidecars that hold text. ``.sub`` beside an ``.idx`` of the same name is VobSub, not text."""

WRITTEN_FLAGS = frozenset({"sdh", "forced"})
MAX_NAME_BYTES = 255
"""Longest file name that ext4, XFS, APFS and most network shares take."""

_FORCED = frozenset({"forced", "foreign"})
_HEARING_IMPAIRED = frozenset({"cc", "sdh"})


class SidecarName(Record):
    """What the name of a subtitle file says about it; ``language`` is ISO 639-1 or None."""

    language: str | None
    forced: bool
    sdh: bool
    commentary: bool
    extension: str

    @property
    def is_full(self) -> bool:
        """Whether it is meant to carry the whole dialogue."""
        return not (self.forced or self.commentary)


def media_stem(name: str) -> str:
    """The part of a media file's name that its sidecars begin with."""
    return name.rpartition(".")[0] or name


def sidecar_name(stem: str, language: str | None, extension: str, flags: Sequence[str] = ()) -> str:
    """Name the sidecar of the media file called ``stem``; no ``language`` leaves that part out.

    At most one flag, because some readers strip one tag only and then need the exact stem.

    Raises:
        Failure: ``name_too_long``.
        ValueError: a flag or language that cannot stand in a name (a bug of the caller).
    """
    if len(flags) > 1 or not WRITTEN_FLAGS.issuperset(flags):
        raise ValueError(f"flags must be at most one of {sorted(WRITTEN_FLAGS)}: {flags!r}")
    if language is not None and not (language.isascii() and language.replace("-", "").isalnum()):
        raise ValueError(f"not a language code: {language!r}")
    name = ".".join([stem, *([language] if language else []), *flags, extension])
    size = len(os.fsencode(name))
    if size > MAX_NAME_BYTES:
        raise fail(
            "name_too_long",
            f"The subtitle would be called {name!r}: {size} bytes, and {MAX_NAME_BYTES} is the"
            " longest name that file systems take.",
            f"Shorten the name of the media file by {size - MAX_NAME_BYTES} bytes or more.",
            error_class=ErrorClass.INPUT,
        )
    return name


def output_name(
    stem: str, speech: str | None, extension: str, language: str | None = None, suffix: str = ""
) -> str:
    """Name an output of the media file called ``stem``: by its suffix, its language, or the speech.

    ``film.subtitled.mkv``, ``film.pt.srt`` (a translation), ``film.en.srt`` (of English speech).

    Raises:
        Failure: ``name_too_long``.
    """
    return sidecar_name(stem, suffix or language or speech, extension)


def parse_sidecar(name: str, stem: str) -> SidecarName | None:
    """Read the name of a text sidecar of the media file called ``stem``; None if it is not one.

    ``hi`` means hearing-impaired only where another language is named; by itself it is Hindi.
    """
    prefix = stem + "."
    if not name.startswith(prefix):
        return None
    *tokens, extension = name[len(prefix) :].casefold().split(".")
    if extension not in TEXT_SUBTITLE_EXTENSIONS:
        return None
    language: str | None = None
    forced = sdh = commentary = False
    hi_count = 0
    for token in reversed(tokens):
        if token in _FORCED:
            forced = True
        elif token in _HEARING_IMPAIRED:
            sdh = True
        elif token == "hi":
            hi_count += 1
        elif "commentary" in token:
            commentary = True
        elif language is None and token != "default":
            language = normalise(token)
    if hi_count and language is None:
        language, hi_count = "hi", hi_count - 1
    return SidecarName(language, forced, sdh or hi_count > 0, commentary, extension)

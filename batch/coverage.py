"""Which subtitles a media file has already: sidecars beside it, and text tracks inside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from orchestrator.contract.job import SPEECH
from orchestrator.contract.languages import normalise
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.naming import TEXT_SUBTITLE_EXTENSIONS, parse_sidecar


class Subtitle(NamedTuple):
    """A subtitle that carries the whole dialogue as text; ``language`` is ISO 639-1 or None."""

    language: str | None
    label: str


def index_sidecars(names: AbstractSet[str], stems: AbstractSet[str]) -> dict[str, list[str]]:
    """Give each text sidecar among ``names`` to the media stem it belongs to.

    A sidecar belongs to the longest stem that it starts with, so ``film.extended.srt`` is that of
    ``film.extended.mkv`` where there is one and else that of ``film.mkv``. One pass over ``names``.
    """
    owned: dict[str, list[str]] = {}
    for name in names:
        stem, _, extension = name.rpartition(".")
        extension = extension.lower()
        if extension not in TEXT_SUBTITLE_EXTENSIONS:
            continue
        if extension == "sub" and (stem + ".idx" in names or stem + ".IDX" in names):
            continue  # VobSub: pictures
        owner = stem
        while owner and owner not in stems:
            owner = owner.rpartition(".")[0]
        if owner:
            owned.setdefault(owner, []).append(name)
    for sidecars in owned.values():
        sidecars.sort()
    return owned


def sidecar_subtitles(names: Iterable[str], stem: str) -> list[Subtitle]:
    """Those of the sidecars ``names`` of ``stem`` that are not forced and not commentary."""
    found = []
    for name in names:
        parsed = parse_sidecar(name, stem)
        if parsed is not None and parsed.is_full:
            found.append(Subtitle(parsed.language, name))
    return found


def embedded_subtitles(probe: ProbeResult) -> list[Subtitle]:
    """The text tracks inside the file that are not forced and not commentary."""
    return [
        Subtitle(track.language, f"embedded track {track.index} ({track.codec})")
        for track in probe.subtitles
        if not (track.image or track.forced or track.commentary)
    ]


def covering(subtitles: Iterable[Subtitle], wanted: Sequence[str]) -> Subtitle | None:
    """The first subtitle in a wanted language; with no ``wanted`` language, the first of any.

    A subtitle that does not state its language counts: by convention it is the one of the film.
    """
    for subtitle in subtitles:
        if not wanted or subtitle.language is None or subtitle.language in wanted:
            return subtitle
    return None


def covered(
    subtitles: Sequence[Subtitle],
    languages: Iterable[str],
    speech: Sequence[str] | None,
) -> dict[str, Subtitle]:
    """Of ``languages`` those in which there is a subtitle already, and which.

    ``SPEECH`` among them is the language of the speech: one of ``speech``, any where that is
    empty, and not to be told where it is None. A translation is covered by a subtitle that states
    its language, and such a one does not cover speech of a language that nobody knows.
    """
    wanted = tuple(languages)
    translations = [one for one in wanted if one != SPEECH]
    found = {}
    for language in wanted:
        if language != SPEECH:
            subtitle = next((one for one in subtitles if _is_in(one, language)), None)
        elif speech is None:
            subtitle = None
        else:
            others = [] if speech else translations
            left = [one for one in subtitles if not any(_is_in(one, other) for other in others)]
            subtitle = covering(left, speech)
        if subtitle is not None:
            found[language] = subtitle
    return found


def _is_in(subtitle: Subtitle, language: str) -> bool:
    return subtitle.language is not None and subtitle.language == normalise(language)

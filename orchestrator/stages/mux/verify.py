"""Reads a film that was just written, and its source, and compares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av

from orchestrator.contract.errors import Failure
from orchestrator.contract.mediafile import MediaFile

from .arrange import Track
from .compare import (
    NotFaithful,
    Pair,
    check_description,
    check_duration,
    check_ours,
    check_packets,
    pair_up,
)
from .film import Film
from .packets import Tally, framing, tally
from .reading import describe, open_film


def verify(
    source: Path,
    made: Path,
    film: Film,
    tracks: Sequence[Track],
    container: str,
    progress: Callable[[int], None],
) -> None:
    """Compare the film ``made`` with its source stream by stream, packet by packet.

    ``progress`` is called with the bytes read of both so far, and may raise.

    Raises:
        NotFaithful: it is not to be trusted.
        Failure: the source cannot be read, or has changed.
    """
    try:
        with MediaFile(made) as file, open_film(made, file) as output:
            result = describe(output)
    except Failure as failure:
        raise NotFaithful(failure.info.message) from failure
    with MediaFile(made) as file, open_film(made, file) as output:
        pairs = pair_up(film, result, container, len(tracks))
        check_description(film, result, container, pairs)
        with MediaFile(source) as original_file:
            try:
                with open_film(source, original_file) as original:
                    differing = _differing(original, output, pairs)
                    before = _read(original, [a for a, _ in differing], progress)
            finally:
                original_file.check()
        read = source.stat().st_size
        after = _read(output, [b for _, b in differing], lambda done: progress(read + done))
    check_packets(film, container, pairs, before, after)
    check_duration(result, after)
    ours = result.of_kind("subtitle")[-len(tracks) :]
    for track, stream in zip(tracks, ours, strict=True):
        check_ours(track, _spans(track), stream, after[stream.index])


def _spans(track: Track) -> list[tuple[float, float]]:
    """Start and end of each cue of a SubRip file."""
    with av.open(str(track.path), "r", format="srt") as cues:
        return tally(cues, (), lambda _read: None)[0].spans


def _differing(original: Any, output: Any, pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    return [
        (one.index, other.index)
        for one, other in pairs
        if framing(original.streams[one.index]) != framing(output.streams[other.index])
    ]


def _read(
    container: Any, unframed: Sequence[int], progress: Callable[[int], None]
) -> Mapping[int, Tally]:
    try:
        return tally(container, unframed, progress)
    except av.FFmpegError as error:
        raise NotFaithful(f"it cannot be read to its end: {error}") from error
    except IndexError as error:  # PyAV knows no tracks that turn up later
        raise NotFaithful("a track begins so late in it that it was not found") from error

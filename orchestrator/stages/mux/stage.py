"""Put our subtitles into a copy of the film, next to all that it had.

FFmpeg's program writes the copy, because nothing else has seen as many odd films; PyAV, which
brings another version of FFmpeg, reads it back and compares it with the source packet by packet.
The program's exit status is not asked: it is 0 for half a film.

A film that cannot be copied whole is no failure of the job: its subtitles are made, and a warning
says why there is no film.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.keys import fingerprint
from orchestrator.contract.mediafile import MediaFile
from orchestrator.contract.report import Report

from . import program
from .arrange import CannotKeep, Track, arguments, choose_container, choose_tracks
from .compare import NotFaithful
from .film import PICTURE, Film
from .reading import describe, open_film
from .verify import verify

_MARGIN_BYTES = 64 << 20
"""Free space to leave: for indexes that become longer, and for all who write while we do."""
_MEGABYTE = 1_000_000


def load(settings: Mapping[str, Any]) -> None:
    """There is nothing to keep."""


def run(request: StageRequest, model: None, report: Report) -> StageOutcome:
    source = Path(request.media)
    tracks = _tracks(request)
    if not tracks:
        return StageOutcome()  # nobody speaks
    with MediaFile(source) as file, open_film(source, file) as container:
        film = describe(container)
    pictures = _save_pictures(film, Path(request.scratch_dir))
    form = choose_container(request.settings["container"], film)
    target = request.output(f"muxed_{form}")
    size = source.stat().st_size
    _check_space(target.parent, size)
    progress = _progress(report, size)
    try:
        command = arguments(
            str(source),
            str(target),
            film,
            tracks,
            form,
            pictures=pictures,
            fingerprint=fingerprint(source),
        )
        log = Path(request.scratch_dir, "ffmpeg.log")
        program.run([_ffmpeg(), *command], log, progress)
        verify(source, target, film, tracks, form, lambda read: progress(size + read))
    except (CannotKeep, NotFaithful, program.ProgramFailed) as reason:
        if isinstance(reason, program.ProgramFailed):
            _raise_if_unreadable(source, target)
        target.unlink(missing_ok=True)
        report.warning("mux_left_out", f"{source}: no film with subtitles was made: {reason}")
        return StageOutcome()
    return StageOutcome(metrics={"tracks_added": len(tracks), "bytes": target.stat().st_size})


def _tracks(request: StageRequest) -> list[Track]:
    paths = {
        name: Path(path)
        for name, path in request.inputs.items()
        if name.partition(".")[0] == "srt" and Path(path).stat().st_size
    }
    settings = request.settings
    speech = str(request.facts.get("language") or "")
    return choose_tracks(paths, speech, settings["default_track"], settings["forced_track"])


def _save_pictures(film: Film, folder: Path) -> dict[int, str]:
    """The covers as files, under names of our own: those in the film are not to be trusted."""
    files = {}
    for one in film.of_kind(PICTURE):
        path = folder / f"picture-{one.index}"
        path.write_bytes(one.content)
        files[one.index] = str(path)
    return files


def _ffmpeg() -> str:
    """Path of the program. Raises: Failure ``environment_broken``."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise fail(
            "environment_broken",
            f"there is no ffmpeg in the environment: {error}",
            "Run verify_install.py --build: it rebuilds a broken environment.",
            error_class=ErrorClass.ENVIRONMENT,
        ) from error


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN_BYTES:
        raise fail(
            "disk_full",
            f"{folder}: a copy of the film needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are"
            " free there",
            "Free some space on that disk, or leave mux out of the workflow, then run again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )


def _raise_if_unreadable(source: Path, target: Path) -> None:
    """A disk that fails is no fault of the film. Raises: Failure."""
    with MediaFile(source) as file:
        while file.read(1 << 24):
            pass
    _check_space(target.parent, 0)


def _progress(report: Report, size: int) -> Callable[[int], None]:
    """The film is read, and then it and its copy again: three times its size in all."""
    total = round(3 * size / _MEGABYTE, 1)

    def progress(done: int) -> None:
        report.check_cancelled()
        report.progress(min(total, round(done / _MEGABYTE, 1)), total, "MB")

    return progress

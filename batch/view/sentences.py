"""Each event as one sentence, for the plain view and the log. The texts are not yet safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from batch import events
from batch.view.words import (
    byte_size,
    count,
    duration,
    hours,
    percent,
    reason_words,
    time_spans,
    times_real_time,
    without_name,
)


def describe(event: events.Event) -> str:
    """What happened, in words. Paths and messages come as they are: pass it through safe_text."""
    return _SENTENCES[type(event)](event)


def _run_started(event: events.RunStarted) -> str:
    what = "dry run" if event.dry_run else "run"
    chosen = "".join(f"; {key}: {value} ({why})" for key, value, why in event.settings)
    return (
        f"{what} {event.run_id} of {event.input_dir}, at most "
        f"{count(event.max_workers, 'file')} at once, work folder {event.work_dir}{chosen}"
    )


def _discovered(event: events.Discovered) -> str:
    return (
        f"found {count(event.media, 'media file')} in {count(event.folders, 'folder')}, "
        f"{byte_size(event.size_bytes)}"
    )


def _queued(event: events.Queued) -> str:
    length = "" if event.audio_seconds is None else f", {hours(event.audio_seconds)} of audio"
    size = byte_size(event.size_bytes)
    return f"{event.path}: to do ({reason_words(event.reason)}; {size}{length})"


def _skipped(event: events.Skipped) -> str:
    detail = f": {event.detail}" if event.detail else ""
    return f"{event.path}: skipped, {reason_words(event.reason)}{detail}"


def _file_started(event: events.FileStarted) -> str:
    return f"{event.path}: started, job {event.job_id}"


def _file_parked(event: events.FileParked) -> str:
    return f"{event.path}: waits again, others go first; it will go on from here"


def _stages_planned(event: events.StagesPlanned) -> str:
    return f"{event.path}: stages to run: {', '.join(event.stages) or 'none, all is there'}"


def _stage_progress(event: events.StageProgress) -> str:
    if event.total:
        return f"{event.path}: {event.stage} {percent(min(1.0, event.done / event.total))}"
    return f"{event.path}: {event.stage} {event.done:g} {event.unit}"


def _file_warning(event: events.FileWarning) -> str:
    return (
        f"{event.path}: warning from {event.stage}: {event.warning.message} ({event.warning.code})"
    )


def _run_warning(event: events.RunWarning) -> str:
    return f"warning: {event.message} ({event.code})"


def _file_finished(event: events.FileFinished) -> str:
    if event.status == "done":
        audio = event.audio_seconds
        speed = ""
        if audio and event.seconds > 0:
            pace = times_real_time(audio / event.seconds)
            speed = f" for {hours(audio)} of audio ({pace} real time)"
        language = f", language {event.language}" if event.language else ""
        made = "".join(f"; wrote {one.path}" for one in event.published)
        done = f"{event.path}: done in {duration(event.seconds)}{speed}{language}{made}"
        return done + _wholeness(event)
    when = " in an earlier run" if event.earlier else f" after {duration(event.seconds)}"
    code = f" ({event.error.code})" if event.error else ""
    cause = _cause(event)
    held = f"; {event.held}" if event.held else ""
    return f"{event.path}: {event.status}{when}{f': {cause}{code}' if cause else ''}{held}"


def _wholeness(event: events.FileFinished) -> str:
    words = "; length unverifiable" if event.length_verified is False else ""
    if event.partial:
        when = f" ({time_spans(event.missing)})" if event.missing else ""
        words += f"; partial, {duration(event.lost_seconds)} of audio are missing{when}"
    return words


def _cause(event: events.FileFinished) -> str:
    if event.error is None:
        return ""
    message = without_name(event.error.message, event.path).removesuffix(".")
    return f"{message}. {event.error.hint}".rstrip()


def _load_sampled(event: events.LoadSampled) -> str:
    gpu = "" if event.gpu_percent is None else f", GPU {event.gpu_percent:.0f} %"
    vram = "" if event.vram_percent is None else f", VRAM {event.vram_percent:.0f} %"
    return f"load: CPU {event.cpu_percent:.0f} %, memory {event.memory_percent:.0f} %{gpu}{vram}"


def _throttled(event: events.Throttled) -> str:
    return f"no new files for now: {event.reason}"


def _throttle_ended(event: events.ThrottleEnded) -> str:
    return f"going on after holding new files back for {duration(event.held_seconds)}"


def _draining(event: events.Draining) -> str:
    return (
        f"stopping ({event.reason}): no new files, those in progress have "
        f"{duration(event.deadline_seconds)} to end their stage"
    )


def _run_finished(event: events.RunFinished) -> str:
    cause = ""
    if event.error is not None:
        cause = f": {event.error.message} ({event.error.code}). {event.error.hint}"
    return f"run ended with exit code {event.exit_code}{cause}"


_SENTENCES: dict[type[events.Event], Callable[[Any], str]] = {
    events.RunStarted: _run_started,
    events.Discovered: _discovered,
    events.AllDecided: lambda _: "every file has been looked into",
    events.Queued: _queued,
    events.Skipped: _skipped,
    events.FileStarted: _file_started,
    events.FileParked: _file_parked,
    events.StagesPlanned: _stages_planned,
    events.StageProgress: _stage_progress,
    events.FileWarning: _file_warning,
    events.RunWarning: _run_warning,
    events.FileFinished: _file_finished,
    events.LoadSampled: _load_sampled,
    events.Throttled: _throttled,
    events.ThrottleEnded: _throttle_ended,
    events.Draining: _draining,
    events.RunFinished: _run_finished,
}

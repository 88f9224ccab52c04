"""``prepare-job``: check one media file and make a job of it, to be run by ``run-pipeline``."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from orchestrator.contract.errors import ErrorClass, ExitCode, Failure, fail
from orchestrator.contract.exchange import Clip
from orchestrator.contract.job import Job, Publication, Source
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.naming import media_stem
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.hardware import Hardware, detect
from orchestrator.prepare import JobMaker, current_user, remember_latest
from orchestrator.prober import open_prober
from orchestrator.settings import load_settings, parse_assignments, resolved, work_folder
from orchestrator.setup import Ready, make_ready
from orchestrator.terminal import accept_any_text, printable_line, run_command
from orchestrator.timecode import parse_time

_WORKFLOWS = {"transcribe": "transcribe", "subtitle_gen": "subtitle-gen"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a job; prints its folder and what was chosen for it, and why."""
    accept_any_text()
    given = _parser().parse_args(arguments)
    return run_command(lambda: _describe(*prepare(given)))


def prepare(given: argparse.Namespace) -> tuple[JobFolder, Job, Hardware]:
    """Validate the media, choose settings for this machine, write ``job.json``.

    Raises:
        Failure: the media or a setting cannot be used, or what the job needs cannot be had.
    """
    clip = _clip(given.start_time, given.end_time)
    media = _media(given.media)
    loaded = load_settings(cli=_cli(given), environ=os.environ, config_path=given.config)
    hardware = detect()
    values = resolved(loaded.settings, hardware, loaded.catalogue)
    work = WorkFolder(work_folder(loaded.settings).absolute())
    work.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    ready = make_ready(values, loaded.catalogue, hardware, work)
    status = media.stat()
    probe = trio.run(_probe, ready, work, media)
    _check(media, probe, clip)
    folder, job = JobMaker(work, current_user()).make(
        ready.recipe,
        Source(str(media), status.st_size, status.st_mtime_ns, probe.fingerprint),
        _publication(given.output_dir or loaded.settings.output_dir, media, ready, clip),
        clip,
    )
    remember_latest(work, folder)
    return folder, job, hardware


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prepare-job",
        description="Make a job of one media file. The media is only read, where it is.",
    )
    parser.add_argument("media", metavar="MEDIA", type=Path)
    workflow = parser.add_mutually_exclusive_group()
    workflow.add_argument("--transcribe", action="store_true", help="text and JSON, no subtitles")
    workflow.add_argument("--subtitle-gen", action="store_true", help="subtitles (the default)")
    workflow.add_argument("--workflow", metavar="NAME", help="any workflow of the settings")
    parser.add_argument(
        "--translate-to", metavar="LIST", help="languages to translate into, e.g. pt,fr"
    )
    parser.add_argument("--start-time", type=_time, metavar="HH:MM:SS", help="where a clip begins")
    parser.add_argument("--end-time", type=_time, metavar="HH:MM:SS", help="where a clip ends")
    parser.add_argument("--language", metavar="CODE", help="language of the speech; auto finds out")
    parser.add_argument("--model", metavar="NAME", help="Whisper model, or a folder that holds one")
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="where the result goes (default: beside the media; a clip's: the job's folder)",
    )
    parser.add_argument("--work-dir", metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file to use")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser


def _time(text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _cli(given: argparse.Namespace) -> dict[str, object]:
    cli = parse_assignments(given.set)
    chosen = [workflow for option, workflow in _WORKFLOWS.items() if getattr(given, option)]
    flags = {
        "workflow": given.workflow or next(iter(chosen), None),
        "language": given.language,
        "translate_to": given.translate_to,
        "work_dir": given.work_dir,
        "stages.asr.model": given.model,
    }
    return {**cli, **{key: value for key, value in flags.items() if value is not None}}


def _clip(start: float | None, end: float | None) -> Clip | None:
    if start is None and end is None:
        return None
    clip = Clip(start or 0.0, end)
    if clip.end is not None and clip.end <= clip.start:
        raise fail("usage", "--end-time must be after --start-time", "Correct the times.")
    return clip


def _media(path: Path) -> Path:
    absolute = Path(os.path.abspath(path))
    try:
        status = absolute.stat()
    except OSError as error:
        raise fail(
            "source_unreadable",
            f"{absolute}: {error.strerror}",
            "Check the path, and that the file may be read.",
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise fail(
            "not_a_regular_file",
            f"{absolute} is not a file",
            "Name one media file; batch-subtitles takes folders.",
        )
    return absolute


async def _probe(ready: Ready, work: WorkFolder, media: Path) -> ProbeResult:
    async with open_prober(ready.probe_python, ready.probe_stage, work.root, "prepare") as prober:
        return await prober.probe(str(media))


def _check(media: Path, probe: ProbeResult, clip: Clip | None) -> None:
    if probe.error is not None:
        raise Failure(probe.error)
    if not probe.audio:
        raise fail("no_audio_track", f"{media} has no audio track", "Name a file with sound.")
    if clip is not None and probe.duration is not None and clip.start >= probe.duration:
        raise fail(
            "clip_outside",
            f"{media} is {probe.duration:.1f} s long; the clip would begin at {clip.start:.1f} s",
            "Choose an earlier --start-time.",
            error_class=ErrorClass.INPUT,
        )


def _publication(
    output_dir: Path | None, media: Path, ready: Ready, clip: Clip | None
) -> Publication | None:
    """A clip's subtitles must not take the name of the whole film's: they stay in the job."""
    if output_dir is None and clip is not None:
        return None
    folder = output_dir.absolute() if output_dir is not None else media.parent
    return Publication(str(folder), media_stem(media.name), ready.recipe.extensions)


def _describe(folder: JobFolder, job: Job, hardware: Hardware) -> int:
    gpus = ", ".join(f"{gpu.name} ({gpu.memory_bytes / 1e9:.0f} GB)" for gpu in hardware.gpus)
    print(f"job      {job.id}")
    print(f"folder   {printable_line(str(folder.root))}")
    print(f"media    {printable_line(job.source.path)}")
    print(
        f"machine  {hardware.cpu_name}, {hardware.threads} threads, "
        f"{hardware.ram_bytes / 1e9:.0f} GB of memory, {gpus or 'no GPU'}"
    )
    print(f"stages   {', '.join(stage.name for stage in job.stages)}")
    for choice in job.choices:
        print(printable_line(f"setting  {choice['key']} = {choice['value']}: {choice['reason']}"))
    print("next     run-pipeline --job latest")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())

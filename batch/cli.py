"""``batch-subtitles``: subtitles for every file of a folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from batch.options import Options
from orchestrator.contract.errors import ExitCode
from orchestrator.contract.paths import WorkFolder
from orchestrator.settings import (
    LoadedSettings,
    explained_defaults,
    load_settings,
    parse_assignments,
    work_folder,
)
from orchestrator.terminal import accept_any_text, printable_line, run_command

_SETTING_FLAGS = (
    ("--input-dir", "input_dir", "DIR", "the library (or give it without a flag)"),
    ("--output-dir", "output_dir", "DIR", "where subtitles go, in the library's structure"),
    ("--work-dir", "work_dir", "DIR", "state, environments and models; on a local disk"),
    ("--max-workers", "max_workers", "N", "files worked on at one moment; auto finds the number"),
    ("--order", "order", "ORDER", "fifo, shortest-first, longest-first or priority"),
    ("--language", "language", "CODE", "language of the speech, e.g. en; auto finds out"),
    ("--workflow", "workflow", "NAME", "subtitle-gen, translate, transcribe, or your own"),
    ("--formats", "formats", "LIST", "subtitle files to publish, e.g. srt,vtt"),
    ("--model", "stages.asr.model", "NAME", "Whisper model, or a folder that holds one"),
    ("--batch-size", "stages.asr.batch_size", "N", "audio windows decoded at once"),
    ("--compute-type", "stages.asr.compute_type", "TYPE", "int8, float16, float32, ..."),
    ("--device", "device", "NAME", "cpu, cuda or cuda:1"),
    ("--include", "include", "LIST", "only files that match, e.g. 'Series/**,*.mkv'"),
    ("--exclude", "exclude", "LIST", "not the files that match"),
    ("--log-level", "log_level", "LEVEL", "debug, info, warning or error"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the batch; returns the exit code (``docs/troubleshooting.md`` lists them)."""
    accept_any_text()
    given = _parser().parse_args(arguments)
    return run_command(lambda: _act(given))


def _act(given: argparse.Namespace) -> int:
    try:
        return _do(given)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return ExitCode.INTERRUPTED


def _do(given: argparse.Namespace) -> int:
    if given.print_config:
        print(explained_defaults(), end="")
        return ExitCode.OK
    options = _options(given)
    if given.explain is not None:
        from batch.explain import from_running_batch

        lines = from_running_batch(options, given.explain)
        if lines is not None:
            print("\n".join(lines))
            return ExitCode.OK
        options = replace(options, dry_run=True)
    if given.quarantine or given.release is not None:
        from batch.quarantine import listing, release

        work = WorkFolder(work_folder(options.loaded.settings).absolute())
        released = [] if given.release is None else [release(work, given.release)]
        for line in released or listing(work, as_json=options.json):
            print(line)
        return ExitCode.OK
    if given.timeline is not None:
        from batch.timeline_page.make import make_page

        work = WorkFolder(work_folder(options.loaded.settings).absolute())
        print(printable_line(str(make_page(work, given.timeline))))
        return ExitCode.OK
    from batch.load import counters

    load_since = counters()  # a quarter of a second is imported now: long enough for a sample
    from batch.session import run_session

    return run_session(options, load_since)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="batch-subtitles",
        description="Make subtitles for every film, series, lecture and recording in a folder.",
        epilog="Run it again at any time: it goes on where it was. Every setting is explained in "
        "config.yaml and docs/settings.md.",
    )
    parser.add_argument("input", nargs="?", metavar="FOLDER", help="the library, or one file")
    for flag, key, metavar, text in _SETTING_FLAGS:
        parser.add_argument(flag, dest=key, metavar=metavar, help=text)
    parser.add_argument(
        "--print-config", action="store_true", help="print a settings file to start from"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file to use")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, e.g. stages.subtitles.max_line_length=37",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="skip what earlier runs finished (the default)",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="try files again that failed for good"
    )
    parser.add_argument(
        "--quarantine", action="store_true", help="list the files that failed, and until when"
    )
    parser.add_argument(
        "--release", metavar="FILE", help="let the next run try this file again, which failed"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and why")
    parser.add_argument(
        "--explain",
        nargs="?",
        const="",
        metavar="FILE",
        help="say why a file waits (of all files without FILE), or what would be done with it",
    )
    parser.add_argument(
        "--timeline",
        nargs="?",
        const="latest",
        metavar="RUN",
        help="draw what ran when, as a page: of the latest run, or of the one named",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="work on at most N files")
    parser.add_argument(
        "--stages", type=_names, default=(), metavar="LIST", help="only these, e.g. demux,asr"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    parser.add_argument(
        "--default-input-dir",
        type=Path,
        metavar="DIR",
        help="used where no input folder is set (run_batch names its samples here)",
    )
    return parser


def _options(given: argparse.Namespace) -> Options:
    values = vars(given)
    cli = parse_assignments(given.set)
    cli.update({key: values[key] for _, key, _, _ in _SETTING_FLAGS if values[key] is not None})
    if given.input or given.explain:
        cli["input_dir"] = given.explain or given.input
    loaded = _load(given, cli)
    if loaded.settings.input_dir is None and given.default_input_dir is not None:
        loaded = _load(given, {**cli, "input_dir": str(given.default_input_dir)})
    return Options(
        loaded=loaded,
        dry_run=given.dry_run,
        json=given.json,
        limit=given.limit,
        stages=given.stages,
        resume=given.resume,
        retry_failed=given.retry_failed,
    )


def _load(given: argparse.Namespace, cli: dict[str, object]) -> LoadedSettings:
    return load_settings(cli=cli, environ=os.environ, config_path=given.config)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


if __name__ == "__main__":
    sys.exit(main())

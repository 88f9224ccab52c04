"""A run around :func:`batch.app.run_batch`: lock, readiness, views, summary and report."""

from __future__ import annotations

import itertools
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from batch.admission import Thresholds
from batch.app import Bus, Plan, run_batch
from batch.decide import Policy
from batch.descriptors import allow_many
from batch.discover import discover
from batch.events import Observer, RunStarted
from batch.history import History
from batch.library import count_media, discovery_rules
from batch.listing import DirectoryListing
from batch.load import Counters
from batch.logfile import LogObserver, log_to
from batch.machine import gpus_of, machine_of, priority_of, workers_for
from batch.open_state import open_state
from batch.options import Options
from batch.scan import Places
from batch.schedule.model import Limits
from batch.state import State
from batch.summary import SummaryBuilder
from batch.unmounted import library_went_away, outputs_went_away
from batch.view.choose import choose_view, make_console
from batch.view.stream import LineStream
from orchestrator.contract.atomic import fsync_folder, make_folder
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.paths import WorkFolder
from orchestrator.guardian import guarded
from orchestrator.hardware import Hardware, detect
from orchestrator.preflight.gather import make_context, verified_key
from orchestrator.preflight.stamp import is_fresh, write_stamp
from orchestrator.prepare import current_user
from orchestrator.settings import Settings, resolved, work_folder
from orchestrator.setup import Ready, make_ready, say
from orchestrator.turns import BATCH, turn

SUMMARY_NAME = "summary.json"
LOG_NAME = "batch.log"


def run_session(options: Options, load_since: Counters) -> int:
    """Run the batch as the command line asked; returns the exit code.

    The machine's load is known since ``load_since``.

    Raises:
        Failure: it could not start (no input, pre-flight, another run is going on).
    """
    allow_many()
    settings = options.loaded.settings
    work = WorkFolder(_made(work_folder(settings)))
    root = _input(settings)
    listings = _found(options, work, root)
    if not options.dry_run:
        _answer(partial(_check_target, settings, root))
    hardware = detect()
    values = resolved(settings, hardware, options.loaded.catalogue)
    with ExitStack() as stack:
        if not options.dry_run:
            stack.enter_context(turn(work, BATCH, say))
        if settings.output_dir is not None and options.resume:
            output = str(settings.output_dir.absolute())
            _raise(_answer(partial(_asked, work, outputs_went_away, root, output)))
        ready = make_ready(values, options.loaded.catalogue, hardware, work, options.stages)
        if not options.dry_run:
            _verify(options, ready, hardware, work)
        return _run(options, ready, hardware, work, root, listings, stack, load_since)


def _run(
    options: Options,
    ready: Ready,
    hardware: Hardware,
    work: WorkFolder,
    root: str,
    listings: Iterable[DirectoryListing],
    stack: ExitStack,
    load_since: Counters,
) -> int:
    settings = options.loaded.settings
    run_id = new_run_id()
    folder = work.runs / run_id
    opened = stack.enter_context(open_state(work, dry_run=options.dry_run))
    state = opened.state
    summary = SummaryBuilder()
    lines = stack.enter_context(LineStream(sys.stdout))
    view = choose_view(lines, os.environ, json=options.json, dry_run=options.dry_run)
    observers: list[Observer] = [summary, view]
    if not options.dry_run:
        _make_places(work)
        _log(stack, folder / LOG_NAME, settings.log_level)
        observers.append(LogObserver())
    bus = Bus(observers)
    plan, chosen = _plan(options, ready, hardware, work, root, run_id, History(state.history()))
    if not options.dry_run:
        state.begin_run(run_id, time.time())
    if not options.dry_run:
        stack.enter_context(guarded(run_id))
    plan = replace(plan, load_since=load_since)
    with view:
        bus.emit(
            RunStarted(
                run_id,
                root,
                str(work.root),
                plan.max_workers,
                options.dry_run,
                (
                    *((one.key, str(one.value), one.reason) for one in ready.settings.choices),
                    *chosen,
                    *opened.told,
                ),
            )
        )
        code = trio.run(run_batch, plan, listings, state, bus)
    opened.note(summary.overview().error)
    if options.dry_run:
        return code
    summary_path: Path | None = folder / SUMMARY_NAME
    try:
        summary.write(folder / SUMMARY_NAME)
    except OSError as error:
        summary_path = None
        print(describe_os_error(error, "the summary could not be written").message, file=sys.stderr)
    from batch.timeline_page.make import page_at_end  # not needed before

    timeline = page_at_end(folder)
    state.end_run(run_id, time.time(), code)
    if not options.json:
        from batch.report import print_report

        console = make_console(sys.stdout, os.environ)
        with lines.followed_by(console):
            print_report(
                console,
                summary.overview(),
                summary_path=summary_path,
                log_path=folder / LOG_NAME,
                timeline=timeline,
            )
    return code


def _plan(
    options: Options,
    ready: Ready,
    hardware: Hardware,
    work: WorkFolder,
    root: str,
    run_id: str,
    history: History,
) -> tuple[Plan, tuple[tuple[str, str, str], ...]]:
    """The plan, and what was chosen for it that is worth showing: (key, value, reason)."""
    settings = options.loaded.settings
    recipe = ready.recipe
    output_root = str(settings.output_dir.absolute()) if settings.output_dir else None
    gpus = gpus_of(settings, hardware, ready.settings.gpu)
    machine = machine_of(settings, hardware, gpus)
    input_root = root if os.path.isdir(root) else os.path.dirname(root)
    workers = settings.max_workers
    chosen: tuple[tuple[str, str, str], ...] = ()
    if workers is None:
        found = workers_for(machine, recipe, history)
        workers = found.workers
        chosen = (("max_workers", str(workers), found.reason),)
    plan = Plan(
        run_id=run_id,
        recipe=recipe,
        policy=Policy(
            settings_key=recipe.settings_key,
            outputs=recipe.published,
            targets=recipe.targets,
            languages=(recipe.language,) if recipe.language else (),
            settle_seconds=settings.settle_seconds,
            resume=options.resume,
            retry_failed=options.retry_failed,
            version=recipe.versions.get("batch-subtitles", ""),
        ),
        places=Places(input_root, output_root),
        work=work,
        user=current_user(),
        probe_python=ready.probe_python,
        probe_stage=ready.probe_stage,
        thresholds=Thresholds(
            settings.cpu_threshold,
            settings.memory_threshold,
            settings.vram_threshold,
            settings.throttle_delay,
        ),
        machine=machine,
        max_workers=workers,
        drain_seconds=settings.drain_seconds,
        storage_wait_seconds=settings.storage_wait_seconds,
        limit=options.limit,
        dry_run=options.dry_run,
        gpus=gpus,
        order=settings.order,
        priority=priority_of(settings.priority, input_root),
        resident=settings.unload_after > 0,
        limits=Limits(idle_release_s=settings.unload_after or None),
    )
    return plan, chosen


def _input(settings: Settings) -> str:
    if settings.input_dir is None:
        raise fail(
            "input_not_set",
            "no input folder is set",
            "Name one: batch-subtitles FOLDER, or input_dir in config.yaml.",
        )
    return str(settings.input_dir.absolute())


T = TypeVar("T")


def _answer(ask: Callable[[], T]) -> T:
    """Ask a disk in a thread, so that Ctrl-C is heard while it hangs."""
    return trio.run(partial(trio.to_thread.run_sync, ask, abandon_on_cancel=True))


def _found(options: Options, work: WorkFolder, root: str) -> Iterator[DirectoryListing]:
    """The library's folders, once it is certain that there is media in any of them.

    Raises:
        Failure: ``no_media``, ``input_not_found``, or that the library is lost.
    """
    walk = partial(discover, root, discovery_rules(options.loaded.settings, work))
    try:
        return _answer(lambda: _with_media(walk(), root))
    except Failure as failure:
        if failure.info.code in ("no_media", "input_not_found"):
            _raise(_answer(partial(_asked, work, library_went_away, root)))
        raise


def _asked(work: WorkFolder, ask: Callable[..., Failure | None], *about: str) -> Failure | None:
    """What the state knows, where there is one."""
    if not work.database.exists():
        return None
    try:
        with closing(State.open(work.database)) as state:
            return ask(state, *about)
    except Failure as failure:
        if failure.info.code != "state_damaged":  # it is mended when the run begins
            raise
        return None


def _raise(failure: Failure | None) -> None:
    if failure is not None:
        raise failure


def _with_media(listings: Iterator[DirectoryListing], root: str) -> Iterator[DirectoryListing]:
    """The same listings, once it is certain that there is any media in them.

    Raises:
        Failure: ``no_media``; so nothing is built or fetched for an empty folder.
    """
    seen = []
    for listing in listings:
        seen.append(listing)
        if listing.media:
            return itertools.chain(seen, listings)
    raise fail(
        "no_media",
        f"there is no media file in {root}",
        "Check the folder, and the settings extensions, include and exclude.",
    )


def _check_target(settings: Settings, root: str) -> None:
    """Refuse a place that no subtitle could be written to, before hours of work for nothing.

    Raises:
        Failure: ``output_read_only``.
    """
    target = Path(root) if settings.output_dir is None else settings.output_dir.absolute()
    while not target.is_dir():
        target = target.parent
    if not os.access(target, os.W_OK):
        raise fail(
            "output_read_only",
            f"nothing can be written to {target}",
            "Give this user write access, or name another place with --output-dir.",
            error_class=ErrorClass.ENVIRONMENT,
        )


def _verify(options: Options, ready: Ready, hardware: Hardware, work: WorkFolder) -> None:
    """Check the whole installation, where something has changed since it was last checked.

    Raises:
        Failure: ``preflight_failed``, with each failing check and its fix.
    """
    settings = options.loaded.settings
    context = make_context(
        options.loaded,
        ready.settings,
        hardware,
        work,
        count_media=lambda folder: _answer(partial(count_media, folder, settings, work)),
        report=say,
    )
    key = verified_key(context, ready.settings)
    if key is not None and is_fresh(work.root, key):
        return
    say("checking the installation; this is done once, and again when something has changed")
    from orchestrator.preflight.run import checks  # 40 ms that most runs do not need

    blocking = [check for check in checks(context) if check.blocks]
    if blocking:
        raise fail(
            "preflight_failed",
            "; ".join(f"{check.name}: {check.detail}" for check in blocking),
            " ".join(check.fix for check in blocking),
            error_class=ErrorClass.ENVIRONMENT,
        )
    if key is not None:
        write_stamp(work.root, key)


def _made(folder: Path) -> Path:
    try:
        make_folder(folder.absolute(), mode=0o700)
    except OSError as error:
        raise Failure(describe_os_error(error, f"{folder} could not be made")) from error
    return folder.absolute()


def _make_places(work: WorkFolder) -> None:
    """Make the folders that everything of a run goes into, durably."""
    try:
        missing = [one for one in (work.runs, work.jobs, work.artefacts) if not one.exists()]
        for place in missing:
            place.mkdir(mode=0o700, exist_ok=True)
        if missing:
            fsync_folder(work.root)
    except OSError as error:
        raise Failure(describe_os_error(error, f"{work.root} could not be written")) from error


def _log(stack: ExitStack, path: Path, level: str) -> None:
    try:
        stack.enter_context(log_to(path, level))
    except OSError as error:
        raise Failure(describe_os_error(error, f"{path} could not be written")) from error


def new_run_id() -> str:
    """Sortable by time, unique: ``20260131T220000Z-1a2b3c4d5e6f``."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(6)}"

"""A run around :func:`batch.app.run_batch`: lock, readiness, views, summary and report."""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import trio

from batch.admission import Thresholds
from batch.app import Bus, Plan, run_batch
from batch.decide import Policy
from batch.discover import discover
from batch.events import Observer, RunStarted
from batch.history import History
from batch.library import count_media, discovery_rules
from batch.listing import DirectoryListing
from batch.logfile import LogObserver, log_to
from batch.machine import gpus_of, machine_of, priority_of, workers_for
from batch.options import Options
from batch.report import print_report
from batch.scan import Places
from batch.schedule.model import Limits
from batch.state import State
from batch.state_schema import open_database
from batch.summary import SummaryBuilder
from batch.timeline_page.make import page_at_end
from batch.view.choose import choose_view, make_console
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.locks import LockHeld, ProcessLock, describe_holder
from orchestrator.contract.paths import WorkFolder
from orchestrator.guardian import guarded
from orchestrator.hardware import Hardware, detect
from orchestrator.preflight.gather import make_context, verified_key
from orchestrator.preflight.run import checks
from orchestrator.preflight.stamp import is_fresh, write_stamp
from orchestrator.prepare import current_user
from orchestrator.settings import Settings, resolved, work_folder
from orchestrator.setup import Ready, make_ready, say

SUMMARY_NAME = "summary.json"
LOG_NAME = "batch.log"


def run_session(options: Options) -> int:
    """Run the batch as the command line asked; returns the exit code.

    Raises:
        Failure: it could not start (no input, pre-flight, another run is going on).
    """
    settings = options.loaded.settings
    work = WorkFolder(_made(work_folder(settings)))
    root = _input(settings)
    listings = _with_media(discover(root, discovery_rules(settings, work)), root)
    if not options.dry_run:
        _check_target(settings, root)
    hardware = detect()
    values = resolved(settings, hardware, options.loaded.catalogue)
    with ExitStack() as stack:
        if not options.dry_run:
            _lock(stack, work)
        ready = make_ready(values, options.loaded.catalogue, hardware, work, options.stages)
        if not options.dry_run:
            _verify(options, ready, hardware, work)
        return _run(options, ready, hardware, work, root, listings, stack)


def _run(
    options: Options,
    ready: Ready,
    hardware: Hardware,
    work: WorkFolder,
    root: str,
    listings: Iterable[DirectoryListing],
    stack: ExitStack,
) -> int:
    settings = options.loaded.settings
    run_id = new_run_id()
    folder = work.runs / run_id
    state = stack.enter_context(closing(_state(work, options)))
    summary = SummaryBuilder()
    view = choose_view(sys.stdout, os.environ, json=options.json, dry_run=options.dry_run)
    observers: list[Observer] = [summary, view]
    if not options.dry_run:
        _log(stack, folder / LOG_NAME, settings.log_level)
        observers.append(LogObserver())
    bus = Bus(observers)
    plan, chosen = _plan(options, ready, hardware, work, root, run_id, History(state.history()))
    if not options.dry_run:
        state.begin_run(run_id, time.time())
    if not options.dry_run:
        stack.enter_context(guarded(run_id))
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
                ),
            )
        )
        code = trio.run(run_batch, plan, listings, state, bus)
    if options.dry_run:
        return code
    summary_path: Path | None = folder / SUMMARY_NAME
    try:
        summary.write(folder / SUMMARY_NAME)
    except OSError as error:
        summary_path = None
        print(describe_os_error(error, "the summary could not be written").message, file=sys.stderr)
    timeline = page_at_end(folder)
    if not options.json:
        print_report(
            make_console(sys.stdout, os.environ),
            summary.overview(),
            summary_path=summary_path,
            log_path=folder / LOG_NAME,
            timeline=timeline,
        )
    state.end_run(run_id, time.time(), code)
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
        count_media=lambda folder: count_media(folder, settings, work),
        report=say,
    )
    key = verified_key(context, ready.settings)
    if key is not None and is_fresh(work.root, key):
        return
    say("checking the installation; this is done once, and again when something has changed")
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
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(describe_os_error(error, f"{folder} could not be made")) from error
    return folder.absolute()


def _lock(stack: ExitStack, work: WorkFolder) -> None:
    try:
        stack.enter_context(ProcessLock(work.lock))
    except LockHeld as held:
        raise fail(
            "already_running",
            f"another run uses the work folder {work.root}: {describe_holder(held.holder)}",
            "Wait for it, or name another folder with --work-dir.",
            error_class=ErrorClass.RESOURCE,
            retryable=True,
        ) from held
    except OSError as error:
        raise Failure(describe_os_error(error, f"{work.lock} could not be made")) from error


def _state(work: WorkFolder, options: Options) -> State:
    """What is known of the files; in a dry run a copy in memory, so that nothing is written."""
    if not options.dry_run:
        return State.open(work.database)
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    source = Path(":memory:") if not work.database.exists() else work.database
    with closing(open_database(source)) as known:
        known.backup(memory)
    return State(work.database, memory)


def _log(stack: ExitStack, path: Path, level: str) -> None:
    try:
        stack.enter_context(log_to(path, level))
    except OSError as error:
        raise Failure(describe_os_error(error, f"{path} could not be written")) from error


def new_run_id() -> str:
    """Sortable by time, unique: ``20260131T220000Z-1a2b3c``."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"

"""The night after a power cut, in this process: what the product would make of a state.

Finding, deciding, making jobs, running them and publishing are the product's own code. What it does
in other processes is done here: the probe's answers are those of the recorded night, the stages are
called, and nothing waits for a disk.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import orchestrator.stages  # noqa: F401 (stages are imported into it)
from batch import cli, session
from batch.app import Plan
from batch.decide import Skip, Work, decide
from batch.discover import discover
from batch.file_record import DONE, Content
from batch.filejob import FileRunner, Task
from batch.listing import DiscoveryRules
from batch.open_state import open_state
from batch.recovery import with_published
from batch.scan import Scan
from batch.state import State
from orchestrator.contract.channel import Sender
from orchestrator.contract.errors import ErrorInfo, ExitCode, Failure
from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import JobStage
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.report import Report
from orchestrator.contract.serving import StageServer, serve_attempt
from orchestrator.job import cold
from orchestrator.job.link import Link
from orchestrator.job.run import run_job
from orchestrator.job.stageprocess import Ended
from orchestrator.launcher import Orders
from orchestrator.prepare import JobMaker
from tests.faults.crash_states import Tree
from tests.faults.night import Night

_KEPT = ("environments", "models")


@dataclass
class After:
    """What the next night came to.

    ``left`` is every file outside of the work folder but the sources; ``worked`` are the names of
    the files that were worked on, ``failed`` why some of them could not be; ``ran`` are the stages
    that were run of them; ``ours`` is what the program knows to have published, with this content;
    ``wrong`` is what needs a person.
    """

    left: dict[bytes, bytes] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)
    failed: dict[str, ErrorInfo] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    ours: set[bytes] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class NextNight:
    """Runs the next night of one sandbox on any state of it."""

    def __init__(self, night: Night, tops: tuple[str, ...]) -> None:
        self._night = night
        self.tops = tops
        self._plan = _plan_of(night)
        self._rules = DiscoveryRules(
            frozenset({"wav", "mkv"}), skip_folders=(str(night.batch.work.root),)
        )
        self._sources = sources_of(night)
        with closing(State.open(night.batch.work.database)) as state:
            self._probes = {path: _probe(state, path) for path in self._sources}
        self._servers: dict[str, StageServer] = {}
        self._sender = Sender(os.open(os.devnull, os.O_WRONLY), "next")

    def __call__(self, state: Tree) -> After:
        lay_out(self._night, self.tops, state)
        after = After()
        with ExitStack() as stack:
            stack.enter_context(patch.object(os, "fsync", lambda _descriptor: None))
            stack.enter_context(patch.object(time, "sleep", lambda _seconds: None))
            stack.enter_context(patch.object(cold, "run_cold", self._run_stage))
            try:
                self._work_through(after)
            except (Failure, OSError) as error:
                after.wrong.append(f"the next night ended with {error}")
        after.left = self.left()
        return after

    def _work_through(self, after: After) -> None:
        plan = self._plan
        with open_state(plan.work, report=lambda _told: None) as opened:
            state = opened.state
            scan = Scan(plan.places, plan.policy, state, lambda _event: None)
            maker = JobMaker(plan.work, plan.user)
            runner = FileRunner(
                plan.recipe, maker, state, Orders(), "next", storage=cast("Any", None)
            )
            for candidate in scan.run(discover(plan.places.input_root, self._rules)):
                item, view = candidate.item, candidate.view
                probe = self._probes.get(os.fsencode(item.path))
                decision = decide(item, view, plan.policy, time.time_ns(), probe)
                if isinstance(decision, Skip):
                    scan.record(item, view, decision)
                    continue
                if not isinstance(decision, Work) or probe is None:
                    after.wrong.append(f"{item.name} is not to be worked on: {decision}")
                    continue
                record = view.records.get(item.name)
                task = Task(item, view.target, decision, probe.fingerprint, probe.duration, record)
                self._run(runner, state, task, after)
            after.ours = self._ours(state)

    def _run(self, runner: FileRunner, state: State, task: Task, after: After) -> None:
        name = task.item.name
        begun = runner.begin(task)
        after.worked.add(name)
        if isinstance(begun, ErrorInfo):
            after.wrong.append(f"no job for {name}: {begun.message}")
            return
        result = run_job(begun.folder, Link(None), "next")
        after.ran |= {one.name for one in result.stages if one.status == "ran"}
        content = Content(task.item.size, task.item.mtime_ns, task.fingerprint)
        if result.error is not None:
            after.failed[name] = error = ErrorInfo.from_json(result.error)
            state.record_failed(task.item.path, content, "key", error, time.time())
            return
        state.record_done(task.item.path, content, "key", result.published, time.time())

    def _ours(self, state: State) -> set[bytes]:
        """What is known to be ours as it is now, relative to the sandbox."""
        found = set()
        for folder in {os.path.dirname(os.fsdecode(path)) for path in self._sources}:
            for record in state.records_in(folder).values():
                known = record if record.status == DONE else with_published(record)
                found |= {
                    os.fsencode(one.path)
                    for one in known.published(folder)
                    if os.path.isfile(one.path) and sha256_file(Path(one.path)) == one.sha256
                }
        root = os.fsencode(self._night.folder)
        return {os.path.relpath(path, root) for path in found}

    def _run_stage(
        self, stage: JobStage, request: StageRequest, folder: AttemptFolder, _link: Link
    ) -> Ended:
        server = self._servers.setdefault(stage.folder, StageServer(Path(stage.folder)))
        serve_attempt(server, folder.root, lambda name: Report(self._sender, name))
        return Ended()

    def left(self) -> dict[bytes, bytes]:
        """All files but the sources, which must be there still."""
        found: dict[bytes, bytes] = {}
        root = os.fsencode(self._night.folder)
        for top in self.tops:
            if top == "work":
                continue
            for parent, _, names in os.walk(os.path.join(root, os.fsencode(top))):
                for name in names:
                    path = os.path.join(parent, name)
                    data = Path(os.fsdecode(path)).read_bytes()
                    if self._sources.get(path) != data:
                        found[os.path.relpath(path, root)] = data
        return found


def sources_of(night: Night) -> dict[bytes, bytes]:
    """The media of a night, by path."""
    return {
        os.fsencode(path): data for path, (_, data) in night.sources.items() if os.path.isfile(path)
    }


def lay_out(night: Night, tops: Iterable[str], state: Tree) -> None:
    """Make the sandbox what the state says, but for the sources, which are there."""
    sources = sources_of(night)
    for top in tops:
        for entry in (night.folder / top).glob("*"):
            if top != "work" or entry.name not in _KEPT:
                _remove(entry, sources)
    root = os.fsencode(night.folder)
    for path in sorted(state):
        data, place = state[path], os.path.join(root, path)
        if place in sources:
            continue
        if data is None:
            os.makedirs(place, exist_ok=True)
        else:
            with open(place, "wb") as stream:
                stream.write(data)


def _remove(entry: Path, sources: Collection[bytes]) -> None:
    path = os.fsencode(entry)
    if path in sources:
        return
    if not entry.is_dir():
        entry.unlink()
    elif any(one.startswith(path + b"/") for one in sources):
        for below in entry.iterdir():
            _remove(below, sources)
    else:
        shutil.rmtree(entry)


def _plan_of(night: Night) -> Plan:
    """The plan of the night that its command line asks for."""
    plans: list[Plan] = []

    async def stop_here(plan: Plan, *_more: object) -> ExitCode:
        plans.append(plan)
        return ExitCode.OK

    arguments = night.argv()[4:]
    with (
        patch.dict(os.environ, night.batch.environ),
        patch.object(session, "run_batch", stop_here),
    ):
        code = cli.main([*arguments, "--dry-run"])
    if not plans:
        raise RuntimeError(f"no night can be planned: exit code {code}")
    return plans[0]


def _probe(state: State, path: bytes) -> ProbeResult:
    status = os.stat(path)
    found = state.probe(os.fsdecode(path), status.st_size, status.st_mtime_ns)
    if found is None:
        raise LookupError(f"the recorded night did not probe {path!r}")
    return found

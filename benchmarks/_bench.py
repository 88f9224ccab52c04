"""Shared by the benchmarks that run the batch: a library, a recipe and a plan."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from batch.admission import Thresholds
from batch.app import Bus, Plan, run_batch
from batch.decide import Policy
from batch.discover import discover
from batch.events import Observer
from batch.file_record import Content
from batch.leases import Machine
from batch.listing import DiscoveryRules
from batch.logfile import LogObserver, log_to
from batch.scan import Places
from batch.state import State
from batch.summary import SummaryBuilder
from batch.view.plain import PlainView
from batch.view.stream import LineStream
from orchestrator.contract.job import JobEnvironment, JobInput, JobOutput, JobStage, Published
from orchestrator.contract.media import AudioTrack, ProbeResult
from orchestrator.contract.paths import WorkFolder
from orchestrator.launcher import job_argv
from orchestrator.prepare import Recipe

RUN_ID = "20260131T220000Z-bench1"
RULES = DiscoveryRules(frozenset({"mkv"}))
PER_FOLDER = 100
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Bench:
    """A library of small files and a work folder, both below ``root``."""

    root: Path

    @property
    def library(self) -> Path:
        return self.root / "library"

    @property
    def work(self) -> WorkFolder:
        return WorkFolder(self.root / "work")

    def make(self, files: int) -> None:
        """``files`` new media files, whose probes are cached: no prober is started for them."""
        for number in range(files):
            if number % PER_FOLDER == 0:
                folder = self.library / f"series {number // PER_FOLDER:05}"
                folder.mkdir(parents=True)
            (folder / f"Some Series S01E{number % PER_FOLDER:02}.mkv").write_bytes(b"x")
        self.work.root.mkdir()
        with closing(State.open(self.work.database)) as state:
            for listing in discover(str(self.library), RULES):
                state.record_probes(
                    (item.path, item.size, item.mtime_ns, _probe_result(item.path))
                    for item in listing.media
                )

    def finish(self) -> None:
        """Record every file as done, with its subtitle beside it, as a finished batch leaves it."""
        with fast_state(self.work.database) as state:
            for listing in discover(str(self.library), RULES):
                for item in listing.media:
                    target = Path(item.path.removesuffix(".mkv") + ".en.srt")
                    target.write_bytes(b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
                    status = target.stat()
                    output = Published(str(target), status.st_size, status.st_mtime_ns, "0" * 64)
                    content = Content(item.size, item.mtime_ns, "f" * 32)
                    state.record_done(item.path, content, "settings-1", [output], time.time())

    def plan(self, stage: JobStage, **changes: Any) -> Plan:
        """A run of ``stage`` over the library, two files at a time, never held back, without
        workers that stay."""
        values: dict[str, Any] = {
            "run_id": RUN_ID,
            "recipe": make_recipe(stage),
            "policy": Policy(
                "settings-1", (JobOutput("words", "words.srt", publish="srt"),), ("en",)
            ),
            "places": Places(str(self.library), None),
            "work": self.work,
            "user": "benchmark",
            "probe_python": Path(sys.executable),
            "probe_stage": Path("no-prober-is-needed"),
            "thresholds": Thresholds(0, 0, 0, 0),
            "machine": Machine(2, 4 << 30),
            "max_workers": 2,
            "resident": False,
            "drain_seconds": 30.0,
            "job_argv": job_argv,
        }
        return Plan(**{**values, **changes})

    def run(self, plan: Plan, *more: Observer) -> SummaryBuilder:
        """Run it with all observers that a real run in the background has: view, log, summary."""
        summary = SummaryBuilder()
        folder = self.work.runs / RUN_ID
        with (
            closing(State.open(self.work.database)) as state,
            log_to(folder / "batch.log", "info"),
            (folder / "console.txt").open("w", encoding="utf-8") as console,
            LineStream(console) as lines,
            PlainView(lines) as view,
        ):
            bus = Bus([summary, view, LogObserver(), *more])
            trio.run(run_batch, plan, discover(str(self.library), RULES), state, bus)
        summary.write(folder / "summary.json")
        return summary


@contextmanager
def fast_state(path: Path) -> Iterator[State]:
    """The state in memory, in its file at the end: nobody waits for 100,000 durable commits."""
    memory = sqlite3.connect(":memory:", isolation_level=None)
    with closing(State.open(path)):
        pass
    with closing(memory), closing(sqlite3.connect(path)) as file:
        file.backup(memory)
        yield State(path, memory)
        memory.backup(file)


def make_recipe(*stages: JobStage) -> Recipe:
    """A recipe that publishes ``srt``, with as much detail as a real one."""
    return Recipe(
        workflow="benchmark",
        stages=stages,
        extensions=("srt",),
        keep="small",
        threads=2,
        device="cpu",
        language="en",
        settings_key="settings-1",
        choices=tuple(
            {"key": f"stages.asr.setting_{n}", "value": n, "reason": "no GPU", "was_default": True}
            for n in range(6)
        ),
        hardware={"cores": 2, "threads": 2, "ram_mb": 16000, "gpus": [], "system": "Linux"},
        versions={"batch-subtitles": "0"},
    )


def make_stage(folder: Path, name: str = "noop") -> JobStage:
    """The stage in ``folder``, run by this very interpreter."""
    return JobStage(
        name=name,
        version=1,
        title="Do next to nothing",
        folder=str(folder),
        environment=JobEnvironment("bare", "benchmark", sys.executable),
        inputs=(JobInput("media"),),
        outputs=(JobOutput("words", "words.srt", publish="srt"),),
        requested={},
        tuning={},
        resources={"cpu_threads": 1, "ram_mb": 50},
        stall_seconds=60.0,
        grace_seconds=1.0,
    )


def _probe_result(path: str) -> ProbeResult:
    track = AudioTrack(0, "aac", "en", "", 2, 48000, default=True)
    return ProbeResult(f"{hash(path) & 0xFFFFFFFFFFFFFFFF:032x}", 5400.0, "matroska", (track,))

"""The numbers above the picture: counted line by line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from batch.timeline_page.record import Attempt, FileEnd, Hold, Line, Sample, WorkerEvent
from batch.workers import LAUNCHED, READY

PARKED = "parked"


@dataclass(slots=True)
class StageTotals:
    """Seconds of all attempts at one stage; ``waited`` for leave to run."""

    attempts: int = 0
    failed: int = 0
    ran: float = 0.0
    loaded: float = 0.0
    waited: float = 0.0


class Totals:
    """``wall`` is the last moment that was recorded. ``busy`` in percent of the CPU's time."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.files: Counter[str] = Counter()
        self.attempts = 0
        self.warm = 0
        self.loads = 0
        self.load_seconds = 0.0
        self.stages: dict[str, StageTotals] = {}
        self.peak_memory = 0.0
        self.peak_vram: float | None = None
        self._sampled = 0.0
        self._cpu = 0.0
        self._own_cpu = 0.0
        self._gpu: float | None = None
        self._starting: dict[str, float] = {}

    def take(self, line: Line) -> None:
        match line:
            case Attempt():
                self._attempt(line)
            case FileEnd():
                self._file(line)
            case WorkerEvent():
                self._worker(line)
            case Sample():
                self._sample(line)
            case Hold():
                self.wall = max(self.wall, line.at)

    @property
    def warm_share(self) -> float | None:
        return self.warm / self.attempts if self.attempts else None

    @property
    def busy(self) -> tuple[float, float] | None:
        """Percent of the CPU that was in use, and of that by this run."""
        if not self._sampled:
            return None
        return self._cpu / self._sampled, self._own_cpu / self._sampled

    @property
    def gpu_busy(self) -> float | None:
        return None if self._gpu is None else self._gpu / self._sampled

    def _attempt(self, line: Attempt) -> None:
        self.wall = max(self.wall, line.end)
        self.attempts += 1
        self.warm += line.worker is not None
        stage = self.stages.setdefault(line.stage, StageTotals())
        stage.attempts += 1
        stage.failed += line.ok is False
        stage.waited += line.start - line.asked
        stage.loaded += line.runs_from - line.start
        stage.ran += line.end - line.runs_from

    def _file(self, line: FileEnd) -> None:
        self.wall = max(self.wall, line.end)
        self.files[line.status] += 1

    def _worker(self, line: WorkerEvent) -> None:
        self.wall = max(self.wall, line.at)
        stage = self.stages.setdefault(line.stage, StageTotals())
        if line.what == LAUNCHED:
            self._starting[line.id] = line.at
            return
        launched = self._starting.pop(line.id, None)
        if launched is None:
            return
        stage.loaded += line.at - launched
        if line.what == READY:
            self.loads += 1
            self.load_seconds += line.at - launched

    def _sample(self, line: Sample) -> None:
        passed = max(0.0, line.at - self._sampled)
        self.wall = max(self.wall, line.at)
        self._sampled += passed
        self._cpu += passed * line.cpu
        self._own_cpu += passed * line.own_cpu
        self.peak_memory = max(self.peak_memory, line.own_memory)
        if line.gpu is not None:
            self._gpu = (self._gpu or 0.0) + passed * line.gpu
        if line.vram is not None:
            self.peak_vram = max(self.peak_vram or 0.0, line.vram)

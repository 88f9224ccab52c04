from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from batch import load
from batch.admission import Load
from batch.leases import Measured
from batch.load import GpuReading, Gpus, LoadSampler, counters
from orchestrator.hardware import GpuMemory, GpuUse

Times = namedtuple("Times", "user system idle iowait guest guest_nice")
ProcessTimes = namedtuple("ProcessTimes", "user system children_user children_system")
MEMORY = SimpleNamespace(percent=42.0, total=1000, available=580)
RSS = SimpleNamespace(rss=50)


class Machine:
    """A machine of two cores, and this process on it, as its counters stand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.times = Times(500.0, 100.0, 5000.0, 50.0, 40.0, 0.0)
        self.own = ProcessTimes(1.0, 1.0, 1.0, 1.0)
        self.child = ProcessTimes(2.0, 2.0, 2.0, 2.0)

    pid = 1

    def cpu_times(self) -> ProcessTimes:
        return self.own

    def memory_info(self) -> object:
        return RSS

    def children(self, *, recursive: bool) -> list[object]:
        def gone() -> ProcessTimes:
            raise psutil.NoSuchProcess(4711)

        assert recursive
        child = SimpleNamespace(cpu_times=lambda: self.child, memory_info=lambda: RSS, pid=2)
        return [child, SimpleNamespace(cpu_times=gone)]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: machine.now))
    monkeypatch.setattr(psutil, "cpu_times", lambda: machine.times)
    monkeypatch.setattr(psutil, "Process", lambda: machine)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: MEMORY)
    return machine


def test_a_sample_covers_the_time_since_the_last(machine: Machine) -> None:
    asked: list[list[int]] = []

    def gpus(ours: Collection[int]) -> dict[str, GpuReading]:
        asked.append(list(ours))
        return {"cuda:0": GpuReading(70, 20, 100, 7.0), "cuda:1": GpuReading(92, 0, 100, 1.0)}

    sample = LoadSampler(gpus)
    machine.now += 10.0
    # 20 core seconds: 12 in use (of these 4 by a guest, which user counts too), 6 idle, 2 waiting
    machine.times = Times(510.0, 102.0, 5006.0, 52.0, 44.0, 0.0)
    machine.own = ProcessTimes(2.0, 1.0, 1.0, 1.0)
    machine.child = ProcessTimes(3.0, 2.0, 4.0, 2.0)
    assert sample() == Load(
        at=1010.0,
        cpu=60.0,
        own_cpu=20.0,
        memory=42.0,
        gpu=7.0,
        vram=8.0,
        own_memory=10.0,
        own_vram=0.0,
        measured=Measured(580, 100, {"cuda:0": (70, 20), "cuda:1": (92, 0)}),
    )
    assert asked == [[1, 2]]


def test_the_first_sample_may_have_begun_before(machine: Machine) -> None:
    since = counters()
    machine.now += 0.75
    machine.times = machine.times._replace(user=501.0, idle=5001.0)
    sample = LoadSampler(since=since)
    assert sample.elapsed == 0.75
    assert sample().cpu == 50.0
    assert sample.elapsed == 0.0


def test_what_a_hypervisor_takes_is_not_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stolen = namedtuple("Stolen", "user nice idle steal")
    moments = iter([Stolen(0.0, 0.0, 0.0, 0.0), Stolen(14.0, 1.0, 1.0, 4.0)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(moments))
    sample = LoadSampler()
    machine.now += 10.0
    machine.own = machine.own._replace(user=5.0)
    found = sample()
    assert (found.cpu, found.own_cpu) == (87.5, 25.0)


def quiet(at: float) -> Load:
    return Load(at, 0.0, 0.0, 42.0, own_memory=10.0, measured=Measured(580, 100))


def test_counters_that_stand_still_or_run_back_are_no_load(machine: Machine) -> None:
    sample = LoadSampler()
    assert sample() == quiet(1000.0)
    machine.now += 1.0
    machine.own = ProcessTimes(0.0, 0.0, 0.0, 0.0)
    machine.times = machine.times._replace(idle=4000.0)
    assert sample() == quiet(1001.0)


def test_each_sample_may_come_from_another_thread(machine: Machine) -> None:
    """As the gate's samples do; ``psutil.cpu_percent`` starts anew in each."""
    sample = LoadSampler()
    machine.now += 1.0
    machine.times = machine.times._replace(user=502.0)
    samples: list[Load] = []
    thread = threading.Thread(target=lambda: samples.append(sample()))
    thread.start()
    thread.join()
    assert samples[0].cpu == 100.0


def test_processes_that_cannot_be_listed_are_not_counted(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*, recursive: bool) -> list[object]:
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(machine, "children", denied)
    sample = LoadSampler()
    machine.now += 1.0
    machine.own = machine.own._replace(user=2.0)
    machine.times = machine.times._replace(idle=5002.0)
    assert sample().own_cpu == 50.0


def test_it_measures_this_machine(tmp_path: Path) -> None:
    sample = LoadSampler(disk=tmp_path)()
    assert 0.0 <= sample.cpu <= 100.0
    assert 0.0 < sample.memory < 100.0
    assert sample.measured is not None
    assert sample.measured.disk_free is not None
    assert sample.measured.ram_own > 0


def test_a_disk_that_cannot_be_asked_limits_nothing(machine: Machine) -> None:
    measured = LoadSampler(disk=Path("/no/such/folder"))().measured
    assert measured is not None
    assert measured.disk_free is None


class FakeMeter:
    """A driver with one device, of which 30 of 100 bytes are used; it tells processes apart."""

    def __init__(self, by_process: dict[int, int]) -> None:
        self.used = 30
        self.by_process = by_process

    def memory(self, index: int) -> GpuMemory | None:
        return None if index else GpuMemory(100 - self.used, 100, self.by_process)

    def read(self, index: int) -> GpuUse | None:
        return GpuUse(self.used, 100, 5.0)


def test_what_is_ours_on_a_gpu_is_told_by_process() -> None:
    gpus = Gpus({"cuda:0": 0, "cuda:7": 7}, FakeMeter({11: 12, 99: 18}))  # type: ignore[arg-type]
    assert gpus.read([11, 12]) == {"cuda:0": GpuReading(70, 12, 100, 5.0)}


def test_where_the_driver_does_not_know_processes_ours_is_what_was_added() -> None:
    meter = FakeMeter({})
    gpus = Gpus({"cuda:0": 0}, meter)  # type: ignore[arg-type]
    assert gpus.read([11])["cuda:0"].own == 0
    meter.used = 75
    assert gpus.read([11])["cuda:0"].own == 45
    meter.used = 10
    assert gpus.read([11])["cuda:0"].own == 0

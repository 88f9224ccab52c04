from __future__ import annotations

import threading
from collections import namedtuple
from types import SimpleNamespace

import psutil
import pytest

from batch import load
from batch.admission import Load
from batch.load import LoadSampler

Times = namedtuple("Times", "user system idle iowait guest guest_nice")
ProcessTimes = namedtuple("ProcessTimes", "user system children_user children_system")


class Machine:
    """A machine of two cores, and this process on it, as its counters stand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.times = Times(500.0, 100.0, 5000.0, 50.0, 40.0, 0.0)
        self.own = ProcessTimes(1.0, 1.0, 1.0, 1.0)
        self.child = ProcessTimes(2.0, 2.0, 2.0, 2.0)

    def cpu_times(self) -> ProcessTimes:
        return self.own

    def children(self, *, recursive: bool) -> list[object]:
        def gone() -> ProcessTimes:
            raise psutil.NoSuchProcess(4711)

        assert recursive
        return [SimpleNamespace(cpu_times=lambda: self.child), SimpleNamespace(cpu_times=gone)]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: machine.now))
    monkeypatch.setattr(psutil, "cpu_times", lambda: machine.times)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(psutil, "Process", lambda: machine)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(percent=42.0))
    return machine


def test_a_sample_covers_the_time_since_the_last(machine: Machine) -> None:
    sample = LoadSampler(lambda: (7.0, 8.0))
    machine.now += 10.0
    # 20 core seconds: 12 in use (of these 4 by a guest, which user counts too), 6 idle, 2 waiting
    machine.times = Times(510.0, 102.0, 5006.0, 52.0, 44.0, 0.0)
    machine.own = ProcessTimes(2.0, 1.0, 1.0, 1.0)
    machine.child = ProcessTimes(3.0, 2.0, 4.0, 2.0)
    assert sample() == Load(at=1010.0, cpu=60.0, own_cpu=20.0, memory=42.0, gpu=7.0, vram=8.0)


def test_counters_that_stand_still_or_run_back_are_no_load(machine: Machine) -> None:
    sample = LoadSampler()
    assert sample() == Load(at=1000.0, cpu=0.0, own_cpu=0.0, memory=42.0)
    machine.now += 1.0
    machine.own = ProcessTimes(0.0, 0.0, 0.0, 0.0)
    machine.times = machine.times._replace(idle=4000.0)
    assert sample() == Load(at=1001.0, cpu=0.0, own_cpu=0.0, memory=42.0)


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
    assert sample().own_cpu == 50.0


def test_it_measures_this_machine() -> None:
    measured = LoadSampler()()
    assert 0.0 <= measured.cpu <= 100.0
    assert 0.0 < measured.memory < 100.0

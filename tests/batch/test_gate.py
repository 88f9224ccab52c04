from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from batch.admission import Load, Thresholds
from batch.events import LoadSampled, Throttled, ThrottleEnded
from batch.gate import PATIENCE_SECONDS, Gate

from .conftest import Ear

LIMITS = Thresholds(cpu=80.0, memory=90.0, vram=0.0, delay_seconds=2.0)


def load(at: float, cpu: float, memory: float = 10.0) -> Load:
    return Load(at=at, cpu=cpu, own_cpu=0.0, memory=memory, gpu=1.0, vram=2.0)


def unused() -> Load:
    raise AssertionError("nothing is measured here")


async def test_nothing_passes_before_the_first_sample(autojump_clock: MockClock, ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    with trio.move_on_after(1000) as waited:
        await gate.wait_open()
    assert waited.cancelled_caught


async def test_while_it_is_held_no_file_passes_and_then_all_do(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    passed: list[int] = []

    async def come(number: int) -> None:
        await gate.wait_open()
        passed.append(number)

    gate.note(load(0, cpu=10))
    await come(0)
    gate.note(load(1, cpu=95))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(come, 1)
        nursery.start_soon(come, 2)
        for at, cpu in ((2, 60), (3, 75), (4, 60), (5, 60)):
            gate.note(load(at, cpu))
            await wait_all_tasks_blocked()
            assert passed == [0]
        gate.note(load(6, cpu=60))
    assert sorted(passed) == [0, 1, 2]


async def test_a_gate_that_closes_again_at_once_lets_nobody_through(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    gate.note(load(0, cpu=95))
    with trio.move_on_after(0) as waited:
        gate.note(load(1, cpu=10))
        gate.note(load(3, cpu=10))
        gate.note(load(4, cpu=95))
        await gate.wait_open()
    assert waited.cancelled_caught


async def test_holding_back_is_told_once_with_its_reason_and_its_end(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    for at, cpu, memory in ((0, 10, 10), (1, 95, 10), (2, 95, 10), (3, 10, 95), (4, 10, 10)):
        gate.note(load(at, cpu, memory))
    gate.note(load(6, cpu=10))
    gate.note(load(7, cpu=10))
    assert len(ear.of(LoadSampled)) == 7
    assert ear.of(LoadSampled)[0] == LoadSampled(10, 10, 1.0, 2.0)
    assert [event.reason.split(":")[0] for event in ear.of(Throttled)] == [
        "other programs use the CPU",
        "memory is full",
    ]
    assert ear.of(ThrottleEnded) == [ThrottleEnded(5.0)]


async def test_a_busy_cpu_is_not_waited_for_all_night(autojump_clock: MockClock, ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    gate.note(load(0, cpu=95))
    for times in (1, 2):
        await gate.wait_open()
        assert trio.current_time() == times * PATIENCE_SECONDS


async def test_full_memory_is_waited_for_all_night(autojump_clock: MockClock, ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    gate.note(load(0, cpu=95, memory=95))
    with trio.move_on_after(10 * PATIENCE_SECONDS) as waited:
        await gate.wait_open()
    assert waited.cancelled_caught


async def test_it_samples_by_itself(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
    monkeypatch.setattr("batch.gate.FIRST_SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr("batch.gate.SAMPLE_SECONDS", 0.0)
    samples = iter([load(0, cpu=95), load(9, cpu=10)])
    gate = Gate(LIMITS, lambda: next(samples, load(19, cpu=10)), ear)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.watch)
        await gate.wait_open()
        nursery.cancel_scope.cancel()
    assert ear.of(Throttled)
    assert ear.of(ThrottleEnded) == [ThrottleEnded(19.0)]

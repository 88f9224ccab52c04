from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest
import trio
import trio.lowlevel

from batch.admission import Load, Thresholds
from batch.events import LoadSampled, Throttled, ThrottleEnded
from batch.gate import MEASURING, PATIENCE_SECONDS, Gate
from batch.leases import Measured

from .conftest import Ear

LIMITS = Thresholds(cpu=80.0, memory=90.0, vram=0.0, delay_seconds=2.0)


def load(at: float, cpu: float, memory: float = 10.0) -> Load:
    return Load(at=at, cpu=cpu, own_cpu=0.0, memory=memory, gpu=1.0, vram=2.0)


def unused() -> Load:
    raise AssertionError("nothing is measured here")


async def test_nothing_passes_before_the_first_sample(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear)
    assert gate.holding(0.0) == MEASURING
    assert not gate.is_patient


async def test_while_it_is_held_nothing_passes_and_then_all_does(ear: Ear) -> None:
    wakes: list[str] = []
    gate = Gate(LIMITS, unused, ear, lambda: wakes.append(gate.holding(0.0)))
    gate.note(load(0, cpu=10))
    for at, cpu in ((1, 95), (2, 60), (3, 75), (4, 60), (5, 60)):
        gate.note(load(at, cpu=cpu))
        assert gate.holding(at).startswith("other programs use the CPU: 95 %")
        assert gate.is_patient
    gate.note(load(6, cpu=60))
    gate.note(load(7, cpu=60))
    assert gate.holding(7) == ""
    assert [words[:5] for words in wakes] == ["", "other", ""], "whoever waits is woken"


async def test_what_was_measured_is_kept(ear: Ear) -> None:
    samples: list[Load] = []
    gate = Gate(LIMITS, unused, ear, on_sample=samples.append)
    sample = replace(load(0, cpu=10), measured=Measured(100, 20))
    gate.note(sample)
    assert (gate.measured, samples) == (Measured(100, 20), [sample])


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


async def test_a_busy_cpu_is_not_waited_for_all_night(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear, clock=lambda: 1000.0)
    gate.note(load(0, cpu=95))
    assert gate.holding(1000.0 + PATIENCE_SECONDS - 1)
    for times in (1, 2):
        now = 1000.0 + times * PATIENCE_SECONDS
        assert gate.holding(now) == ""
        gate.passed(now)
        assert gate.holding(now)


async def test_full_memory_is_waited_for_all_night(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear, clock=lambda: 0.0)
    gate.note(load(0, cpu=95))
    gate.note(load(1, cpu=95, memory=95))
    assert gate.holding(100 * PATIENCE_SECONDS).startswith("memory is full")


async def test_it_samples_by_itself(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
    monkeypatch.setattr("batch.gate.SAMPLE_SECONDS", 0.0)
    samples = iter([load(0, cpu=95), load(9, cpu=10)])
    gate = Gate(LIMITS, lambda: next(samples, load(19, cpu=10)), ear, first_after=0.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.watch)
        while not ear.of(ThrottleEnded):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert ear.of(Throttled)
    assert ear.of(ThrottleEnded) == [ThrottleEnded(19.0)]


async def test_a_probe_that_fails_leaves_the_state_as_it_is(
    monkeypatch: pytest.MonkeyPatch, ear: Ear
) -> None:
    """Too many open files: it ended the run."""
    monkeypatch.setattr("batch.gate.SAMPLE_SECONDS", 0.0)
    failing = OSError(errno.EMFILE, "Too many open files")
    answers: Iterator[Load | OSError] = iter([load(0, cpu=95), failing, load(9, cpu=10)])

    def sample() -> Load:
        answer = next(answers, load(19, cpu=10))
        if isinstance(answer, OSError):
            assert gate.holding(0.0)
            raise answer
        return answer

    gate = Gate(LIMITS, sample, ear, clock=lambda: 0.0, first_after=0.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.watch)
        while not ear.of(ThrottleEnded):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert next(answers, None) is None


async def test_where_the_first_probe_fails_there_is_no_state_to_stay_with(ear: Ear) -> None:
    """Nothing would ever begin, and nobody would be told why."""

    def fails() -> Load:
        raise OSError(errno.EMFILE, "Too many open files")

    with pytest.raises(OSError, match="Too many"):
        await Gate(LIMITS, fails, ear, first_after=0.0).watch()


async def test_a_shut_door_lets_nothing_through_whatever_the_load(ear: Ear) -> None:
    now = 100.0
    gate = Gate(LIMITS, unused, ear, clock=lambda: now)
    gate.note(load(0, cpu=10))
    gate.shut("the library went away")
    gate.note(load(1, cpu=95))
    assert gate.holding(now + 10 * PATIENCE_SECONDS) == "the library went away"
    assert not gate.is_patient
    now = 160.0
    gate.shut("")
    assert gate.holding(now).startswith("other programs use the CPU"), "the load counts again"
    words = [one for one in ear.events if isinstance(one, Throttled | ThrottleEnded)]
    assert words[:2] == [Throttled("the library went away"), ThrottleEnded(60.0)]
    assert [type(one) for one in words[2:]] == [Throttled]


async def test_a_door_that_is_open_is_not_opened_again(ear: Ear) -> None:
    gate = Gate(LIMITS, unused, ear, clock=lambda: 0.0)
    gate.note(load(0, cpu=10))
    gate.shut("")
    assert (gate.holding(0.0), ear.of(ThrottleEnded)) == ("", [])

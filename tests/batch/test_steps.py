from __future__ import annotations

import pytest

from batch.history import History, Record
from batch.leases import Machine
from batch.measures import CLIMB, Measures
from batch.schedule.model import Need
from batch.steps import CONTEXT_BYTES, UNKNOWN_SECONDS, held_by, profile, step_of
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.job import JobStage, StageAccount, Tried
from orchestrator.contract.records import changed

from .conftest import make_recipe

MIB = 1 << 20
MACHINE = Machine(8, 1 << 40)
GPU = Machine(8, 1 << 40, {"cuda:0": 1 << 34})
(FAKE,) = make_recipe().stages
LIGHT = changed(FAKE, resources={"cpu_threads": 1, "ram_mb": 100})
MODEL = ModelRef("base", "/models/base", "k" * 32)
HEAVY = changed(
    FAKE,
    name="asr",
    resources={"cpu_threads": 2, "ram_mb": 1500, "vram_mb": 3000},
    models=(MODEL,),
    load=("compute_type",),
    requested={"compute_type": "int8"},
    tuning={"batch_size": 4},
)
VAIN = (Tried("as asked", "out_of_memory"),)


def test_a_light_stage_stays_on_the_cpu_with_what_it_declares() -> None:
    one = profile(LIGHT, GPU, "cuda")
    step = step_of(one, "key", History(), 600.0)
    assert (one.device, step.gpu, step.elastic) == ("cpu", False, False)
    assert step.need == Need(1, 100 * MIB, 0)
    assert step.held == Need(0, 100 * MIB, 0)
    assert 0.2 < step.run_s < 5.0


@pytest.mark.parametrize(
    ("machine", "device", "gpu"), [(MACHINE, "cpu", False), (GPU, "cuda", True)]
)
def test_a_stage_with_a_model_takes_the_gpu_where_there_is_one(
    machine: Machine, device: str, gpu: bool
) -> None:
    one = profile(HEAVY, machine, device)
    step = step_of(one, None, History(), None)
    assert (step.gpu, step.elastic, step.key) == (gpu, not gpu, None)
    assert step.need.vram_bytes == (3000 * MIB if gpu else 0)
    assert step.run_s < UNKNOWN_SECONDS
    assert one.subject == ("asr", "k" * 16, "int8/4", device)
    assert one.load_on("cuda:1")["device"] == "cuda"


def test_what_was_measured_replaces_what_was_declared() -> None:
    one = profile(HEAVY, GPU, "cuda")
    history = History()
    record = Record().ran(100.0, 5.0).loaded(7.0)
    history.put(one.subject, record.took(1000 * MIB, 800 * MIB, 2000 * MIB))
    step = step_of(one, "key", history, 200.0)
    assert step.need == Need(2, int(1150 * MIB), int(2300 * MIB) + CONTEXT_BYTES)
    assert step.held.vram_bytes == step.need.vram_bytes
    assert step.held.ram_bytes == pytest.approx(920 * MIB)
    assert step.run_s == pytest.approx(10.0)
    assert step.load_s == 7.0


def test_what_torch_says_is_less_than_a_process_takes_of_a_gpu() -> None:
    """Four models that stay were booked with 1.2 GB less than they took: their contexts."""
    booked = Need(0, 1000, 3000)
    assert held_by(booked, None, None) == booked
    assert held_by(booked, 700, 2000) == Need(0, 700, 2000 + CONTEXT_BYTES)
    assert held_by(booked, 700, None) == Need(0, 700, 3000), "what is booked has it, or is declared"


def test_a_stage_on_the_cpu_takes_nothing_of_a_gpu_whatever_was_measured_there() -> None:
    one = profile(HEAVY, MACHINE, "cpu")
    history = History()
    history.put(one.subject, Record().took(1000 * MIB, 800 * MIB, 2000 * MIB))
    step = step_of(one, "key", history, 200.0)
    assert (step.need.vram_bytes, step.held.vram_bytes) == (0, 0)
    assert held_by(Need(0, 1000), 700, None) == Need(0, 700)


def test_workers_are_told_apart_by_what_they_load() -> None:
    base = profile(HEAVY, MACHINE, "cpu").key
    assert profile(HEAVY, GPU, "cuda").key == base, "the device is the scheduler's"
    assert profile(changed(HEAVY, tuning={"batch_size": 8}), MACHINE, "cpu").key == base
    others = [
        changed(HEAVY, requested={"compute_type": "float16"}),
        changed(HEAVY, models=(ModelRef("base", "/models/other", "o"),)),
        changed(HEAVY, folder="/elsewhere"),
    ]
    for other in others:
        assert profile(other, MACHINE, "cpu").key != base
    assert profile(HEAVY, MACHINE, "cpu", {"compute_type": "float16"}).key != base


def account(stage: JobStage, **values: object) -> StageAccount:
    made = StageAccount(stage.name, "ran", "first run", 9.0)
    return changed(made, **{"threads": 1, "run_seconds": 4.0, **values})


def measures(history: History, resident: bool = True) -> Measures:
    return Measures((LIGHT, HEAVY), MACHINE, "cpu", history, resident)


def test_it_learns_from_what_a_job_accounts_for() -> None:
    history = History()
    known = measures(history)
    known.learn(100.0, [account(HEAVY, load_seconds=2.0, peak_rss_bytes=900), account(LIGHT)])
    known.held(known.steps(("asr",), 1.0)[0].key or "", 700)
    record = history.of(profile(HEAVY, MACHINE, "cpu").subject)
    assert record.expect(50.0) == pytest.approx(2.0)
    assert (record.peak_rss, record.held_rss) == (900, 700)
    assert record.load_seconds == pytest.approx(2.3)
    assert known.rung("asr") == 0


def test_more_threads_are_counted_as_one() -> None:
    history = History()
    measures(history).learn(100.0, [account(HEAVY, threads=2, warm=True)])
    record = history.of(profile(HEAVY, MACHINE, "cpu").subject)
    assert record.expect(100.0) == pytest.approx(4.0 * 2**0.52, rel=0.05)
    assert record.load_seconds is None, "a warm attempt does not load"


def test_a_lower_rung_is_remembered_and_says_nothing_of_the_rest() -> None:
    history = History()
    known = measures(history)
    known.learn(100.0, [account(HEAVY, rung=2, tries=VAIN)])
    assert known.rung("asr") == 2
    assert history.of(profile(HEAVY, MACHINE, "cpu").subject).weight == 0.0


@pytest.mark.parametrize(
    ("tried", "tries", "then"), [(1, (), 1), (2, VAIN, 2), (2, (), 2), (3, VAIN, 3)]
)
def test_the_rung_above_is_tried_now_and_then(
    tried: int, tries: tuple[Tried, ...], then: int
) -> None:
    """A machine that had its memory again stayed at small batches for ever."""
    history = History()
    chances = iter([CLIMB, 0.9 * CLIMB, 0.5])
    known = Measures((HEAVY,), MACHINE, "cpu", history, chance=lambda: next(chances))
    assert known.rung("asr") == 0
    known.learn(100.0, [account(HEAVY, rung=2, tries=VAIN)])
    assert (known.rung("asr"), known.rung("asr")) == (2, 1)
    known.learn(100.0, [account(HEAVY, rung=tried, tries=tries)])
    assert known.rung("asr") == then


def test_a_file_that_began_below_says_nothing_of_the_rung_that_another_found() -> None:
    known = measures(History())
    known.learn(100.0, [account(HEAVY, rung=2, tries=VAIN)])
    known.learn(100.0, [account(HEAVY, rung=1)])
    known.learn(100.0, [account(HEAVY, rung=2)])
    assert known.rung("asr") == 1


def test_workers_load_what_the_remembered_rung_wants() -> None:
    """They loaded what was asked for, and again when their first attempt began."""
    smaller = ModelRef("tiny", "/models/tiny", "t" * 32)
    changes = {"compute_types": ("float32", "int8"), "requested": {"compute_type": "float32"}}
    stage = changed(HEAVY, fallback_models=(smaller,), **changes)
    history = History()
    known = Measures((stage,), MACHINE, "cpu", history, chance=lambda: 1.0)

    def after(rung: int) -> dict[str, object]:
        known.learn(100.0, [account(stage, rung=rung, tries=VAIN)])
        (step,) = known.steps(("asr",), 10.0)
        return known.profile_of(step.key or "").load

    asked = after(0)
    assert after(2) == asked, "half a batch changes nothing that is loaded"
    assert after(3) == {**asked, "compute_type": "int8"}
    small = after(4)
    assert small["models"] != asked["models"]
    assert after(99) == asked
    assert known.changes == 4
    assert list(dict(history.take_changes())) == [profile(stage, MACHINE, "cpu").subject]


def test_what_did_not_run_teaches_nothing() -> None:
    history = History()
    reused = changed(account(HEAVY), status="reused")
    measures(history).learn(100.0, [reused, changed(account(HEAVY), name="unknown")])
    assert history.take_changes() == []


def test_a_fresh_process_is_for_the_first_step_alone() -> None:
    known = measures(History())
    first, second = known.steps(("fake", "asr"), 10.0, fresh=True)
    assert (first.key, second.key is None) == (None, False)
    first, second = known.steps(("fake", "asr"), 10.0, broken=lambda key: key.startswith("asr"))
    assert (first.key is None, second.key) == (False, None)
    assert [step.key for step in measures(History(), False).steps(("asr",), 1.0)] == [None]


def test_other_load_settings_are_another_worker() -> None:
    known = measures(History())
    (usual,) = known.steps(("asr",), 10.0)
    (other,) = known.steps(("asr",), 10.0, load={"compute_type": "int8_float16"})
    assert usual.key != other.key
    assert other.key is not None
    assert known.profile_of(other.key).settings["compute_type"] == "int8_float16"

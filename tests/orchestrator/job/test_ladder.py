"""What is tried next: tables for every class of error and every way down."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.job import JobStage
from orchestrator.job.ladder import (
    LARGER_NEED,
    LONGEST_PAUSE_SECONDS,
    Rung,
    Try,
    need_of,
    next_rung,
    pause_seconds,
    rungs,
    smaller_types,
)

from .conftest import fake_stage

ALL_TYPES = ("auto", "int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32")
LARGE, SMALL, TINY = (ModelRef(name, f"/{name}", name) for name in ("large", "small", "tiny"))
MEMORY = ErrorInfo("out_of_memory", "", "", ErrorClass.OUT_OF_MEMORY, retryable=True)
CRASH = ErrorInfo("stage_crashed", "", "", ErrorClass.INTERNAL, retryable=True)


def model_stage(batch: int = 4, compute_type: str = "float16") -> JobStage:
    return fake_stage(
        tuning={"batch_size": batch, "compute_type": compute_type},
        load=("compute_type",),
        compute_types=ALL_TYPES,
        models=(LARGE,),
        resources={"cpu_threads": 2, "ram_mb": 1000, "vram_mb": 3000},
    )


def tries(*errors: ErrorInfo, rung: int = 0) -> list[Try]:
    return [Try(f"fake-{number:03}", rung, error) for number, error in enumerate(errors, 1)]


def test_a_stage_without_such_settings_has_one_rung() -> None:
    assert rungs(fake_stage(), "cuda") == (Rung("as asked"),)


def test_the_batch_goes_first_then_the_arithmetic() -> None:
    ladder = rungs(model_stage(), "cuda:1")
    assert [rung.label for rung in ladder] == [
        "as asked",
        "batch size 2",
        "batch size 1",
        "compute type int8_float16",
    ]
    assert ladder[-1].settings == {"batch_size": 1, "compute_type": "int8_float16"}


def test_a_smaller_model_and_the_cpu_come_last_and_only_where_allowed() -> None:
    from orchestrator.contract.records import changed

    stage = changed(model_stage(batch=1), models=(LARGE, TINY), fallback_models=(SMALL, TINY))
    ladder = rungs(stage, "cuda", allow_cpu=True)
    assert [rung.label for rung in ladder[1:]] == [
        "compute type int8_float16",
        "model small",
        "model tiny",
        "on the CPU",
    ]
    assert ladder[2].models == (SMALL, TINY)
    assert ladder[4] == Rung("on the CPU", {"compute_type": "int8"}, device="cpu")
    assert "on the CPU" not in {rung.label for rung in rungs(stage, "cuda")}
    assert "on the CPU" not in {rung.label for rung in rungs(stage, "cpu", allow_cpu=True)}


def test_a_stage_of_one_arithmetic_goes_to_the_cpu_as_it_is() -> None:
    assert rungs(fake_stage(), "cuda", allow_cpu=True)[1:] == (Rung("on the CPU", device="cpu"),)


@pytest.mark.parametrize(
    ("current", "device", "smaller"),
    [
        ("float32", "cuda", ("float16", "int8_float16")),
        ("float16", "cuda:1", ("int8_float16",)),
        ("bfloat16", "cuda", ("int8_float16",)),
        ("int8", "cuda", ()),
        ("int8_float32", "cuda", ()),
        ("float32", "cpu", ("int8",)),
        ("int8", "cpu", ()),
        ("auto", "cuda", ()),
        (None, "cuda", ()),
    ],
)
def test_arithmetic_only_gets_smaller(
    current: str | None, device: str, smaller: tuple[str, ...]
) -> None:
    assert smaller_types(current, ALL_TYPES, device) == smaller


def test_arithmetic_that_the_stage_does_not_have_is_left_out() -> None:
    assert smaller_types("float32", ("float32", "int8"), "cuda") == ("int8",)
    assert smaller_types("float32", (), "cuda") == ()


@pytest.mark.parametrize(
    ("failed", "rung"),
    [
        (tries(MEMORY), 0),
        (tries(MEMORY, MEMORY), 1),
        (tries(MEMORY, MEMORY, rung=2), 3),
        (tries(MEMORY, MEMORY, rung=3), None),
        (tries(MEMORY, rung=3), 3),
        (tries(CRASH), 0),
        (tries(CRASH, rung=2), 2),
        (tries(CRASH, CRASH), None),
        (tries(CRASH, MEMORY), 0),
        (tries(MEMORY, CRASH), 0),
        (tries(CRASH, MEMORY, MEMORY), 1),
        (tries(CRASH, MEMORY, CRASH), None),
        (tries(ErrorInfo("gpu_busy", "", "", ErrorClass.RESOURCE)), 0),
        (tries(ErrorInfo("bad_media", "", "", ErrorClass.INPUT, retryable=True)), None),
        (tries(ErrorInfo("broken", "", "", ErrorClass.ENVIRONMENT, retryable=True)), None),
        (tries(ErrorInfo("disk_full", "", "", ErrorClass.STORAGE, retryable=True)), None),
        (tries(ErrorInfo("no_use", "", "", ErrorClass.INTERNAL)), None),
    ],
)
def test_what_is_tried_next(failed: list[Try], rung: int | None) -> None:
    assert next_rung(failed, last_rung=3) == rung


@given(st.lists(st.sampled_from([MEMORY, CRASH]), min_size=30, max_size=30))
def test_it_ends_however_it_fails_and_never_goes_up(errors: Sequence[ErrorInfo]) -> None:
    failed: list[Try] = []
    rung: int | None = 0
    for error in errors:
        assert rung is not None
        failed.append(Try("a", rung, error))
        rung = next_rung(failed, last_rung=5)
        if rung is None:
            break
        assert rung in (failed[-1].rung, failed[-1].rung + 1)
    assert rung is None
    assert len(failed) <= 8


def test_a_stage_that_ran_out_of_memory_asks_for_more() -> None:
    stage, asked = model_stage(), Rung("as asked")
    assert need_of(stage, asked, []) == {"cpu_threads": 2, "ram_mb": 1000, "vram_mb": 3000}
    assert need_of(stage, asked, tries(CRASH)) == need_of(stage, asked, [])
    more = need_of(stage, asked, tries(CRASH, MEMORY, MEMORY))
    assert (more["ram_mb"], more["vram_mb"]) == (1000 * LARGER_NEED, 3000 * LARGER_NEED)
    assert need_of(fake_stage(), asked, tries(MEMORY)) == {"ram_mb": 0, "vram_mb": 0}


def test_what_is_asked_for_says_what_must_be_loaded() -> None:
    stage = model_stage()
    ladder = rungs(stage, "cuda", allow_cpu=True)
    assert "load" not in need_of(stage, ladder[1], [])
    assert need_of(stage, ladder[3], [])["load"] == {"compute_type": "int8_float16"}
    assert need_of(stage, ladder[-1], [])["vram_mb"] == 0


def test_only_memory_is_waited_for_and_longer_each_time() -> None:
    assert pause_seconds(tries(CRASH), lambda: 0.5) == 0.0
    pauses = [pause_seconds(tries(*[MEMORY] * number), lambda: 0.5) for number in (1, 2, 3, 9)]
    assert pauses == [1.0, 2.0, 4.0, LONGEST_PAUSE_SECONDS]
    assert pause_seconds(tries(MEMORY), lambda: 0.0) == 0.5
    assert pause_seconds(tries(MEMORY, CRASH), lambda: 0.5) == 0.0

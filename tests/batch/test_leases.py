from __future__ import annotations

import pytest

from batch.leases import (
    DISK_RESERVE_BYTES,
    SMALL_BYTES,
    Books,
    Machine,
    Measured,
    budget_of,
    disk_bytes,
    own_of,
)
from batch.schedule.model import Budget, Lease, Need

GB = 10**9
MACHINE = Machine(
    threads=8,
    ram_bytes=16 * GB,
    vram_bytes={"cuda:0": 10 * GB},
    memory_threshold=90.0,
    vram_threshold=80.0,
)


def lease(request: str, file: str = "a") -> Lease:
    return Lease(request, file, None, "cpu", Need(1), 10.0)


def test_a_lease_lasts_until_it_is_released() -> None:
    books = Books()
    books.reserve(lease("1"))
    books.reserve(lease("2", "b"))
    assert books.of_file("b") == (lease("2", "b"),)
    assert books.release("1") == lease("1")
    assert books.release("1") is None, "a second release frees nothing"
    assert books.leases == (lease("2", "b"),)


def test_a_request_has_one_lease() -> None:
    books = Books()
    books.reserve(lease("1"))
    with pytest.raises(ValueError, match="1 has a lease already"):
        books.reserve(lease("1"))


def test_without_measurements_the_budget_is_the_hardware_less_the_thresholds() -> None:
    assert budget_of(MACHINE, None) == Budget(8, int(14.4 * GB), {"cuda:0": 8 * GB})


def test_what_is_free_counts_together_with_what_is_ours() -> None:
    measured = Measured(5 * GB, 4 * GB, {"cuda:0": (3 * GB, 2 * GB)}, disk_free=GB)
    budget = budget_of(MACHINE, measured, written=2 * GB)
    assert budget.ram_available == int(7.4 * GB)
    assert budget.vram_available == {"cuda:0": 3 * GB}
    assert budget.disk_bytes == 3 * GB - DISK_RESERVE_BYTES


def test_a_machine_full_of_others_leaves_nothing_but_never_less() -> None:
    budget = budget_of(MACHINE, Measured(GB, 0, {"cuda:0": (GB, 0)}, disk_free=1))
    assert (budget.ram_available, budget.vram_available, budget.disk_bytes) == (0, {"cuda:0": 0}, 0)


def test_a_threshold_of_zero_keeps_nothing_and_limits_do() -> None:
    free = Machine(8, 16 * GB, {"cuda:0": 10 * GB}, ram_limit=4 * GB, vram_limit=GB)
    measured = Measured(5 * GB, 4 * GB, {})
    budget = budget_of(free, measured)
    assert (budget.ram_bytes, budget.ram_available) == (4 * GB, 9 * GB)
    assert (budget.vram_bytes, budget.vram_available) == ({"cuda:0": GB}, {})
    assert budget.disk_bytes is None


@pytest.mark.parametrize(
    ("audio_seconds", "size", "seconds"),
    [(3600.0, GB, 3600.0), (None, 16_000_000, 1000.0), (None, 100 * GB, 12 * 3600.0)],
)
def test_the_disk_a_file_takes_follows_its_sound(
    audio_seconds: float | None, size: int, seconds: float
) -> None:
    assert disk_bytes(audio_seconds, size) == int(seconds * 32_000) + SMALL_BYTES


@pytest.mark.parametrize(
    ("by_process", "used", "own"),
    [({1: 10, 2: 20, 9: 5}, 99, 30), ({9: 5}, 99, 59), ({}, 30, 0)],
)
def test_ours_is_told_by_process_or_else_by_what_was_added(
    by_process: dict[int, int], used: int, own: int
) -> None:
    assert own_of(by_process, [1, 2, 3], used, before=40) == own

"""The limit of open files goes up as far as the system lets it, and never down."""

from __future__ import annotations

import resource

import pytest

from batch.descriptors import ENOUGH, allow_many

NO_LIMIT = resource.RLIM_INFINITY


def test_the_limit_of_this_process_goes_up() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = 128, before[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        allow_many()
        raised, still = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert still == hard
    assert raised == (ENOUGH if hard == NO_LIMIT else min(hard, ENOUGH))


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        ((256, NO_LIMIT), [(ENOUGH, NO_LIMIT)]),
        ((1024, 4096), [(4096, 4096)]),
        ((1024, ENOUGH * 2), [(ENOUGH, ENOUGH * 2)]),
        ((4096, 4096), []),
        ((ENOUGH + 1, NO_LIMIT), []),
        ((NO_LIMIT, NO_LIMIT), []),
    ],
)
@pytest.mark.parametrize("refusal", [None, ValueError("not allowed"), OSError("not permitted")])
def test_what_is_asked_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[int, int],
    asked: list[tuple[int, int]],
    refusal: Exception | None,
) -> None:
    told = []

    def set_limit(which: int, limits: tuple[int, int]) -> None:
        told.append(limits)
        if refusal is not None:
            raise refusal

    monkeypatch.setattr(resource, "getrlimit", lambda which: before)
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    allow_many()
    assert told == asked

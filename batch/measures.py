"""The recipe and the history together: what each stage needs and takes, and what it did take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from batch.history import History
from batch.leases import Machine
from batch.schedule.cpu import threads_speed
from batch.schedule.model import Step
from batch.steps import Profile, one_thread_seconds, profile, step_of
from orchestrator.contract.job import JobStage, StageAccount

START_SECONDS = 0.3
"""From the start of a process until it begins to load (its interpreter and our own modules)."""


class Measures:
    """``device`` is the run's own; ``resident`` False lets every attempt run cold."""

    def __init__(
        self,
        stages: Sequence[JobStage],
        machine: Machine,
        device: str,
        history: History,
        resident: bool = True,
    ) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._machine = machine
        self._device = device
        self._history = history
        self._resident = resident
        self._profiles = {stage.name: profile(stage, machine, device) for stage in stages}
        self._keys = {name: one.key for name, one in self._profiles.items()}
        self._by_key = {key: self._profiles[name] for name, key in self._keys.items()}
        self.stages = tuple(self._stages)

    def stage(self, name: str) -> JobStage:
        return self._stages[name]

    def profile_of(self, key: str) -> Profile:
        """What the workers of that key are made of."""
        return self._by_key[key]

    def steps(
        self,
        stages: Sequence[str],
        audio_seconds: float | None,
        *,
        broken: Callable[[str], bool] = lambda key: False,
        fresh: bool = False,
        load: Mapping[str, Any] = {},
    ) -> tuple[Step, ...]:
        """What is still to be run of a file; ``fresh`` and ``load`` are of the first stage."""
        steps = []
        for place, name in enumerate(stages):
            one, key = self._profiles[name], self._keys[name]
            if place == 0 and load:
                one = profile(self._stages[name], self._machine, self._device, load)
                key = one.key
                self._by_key.setdefault(key, one)
            cold = not self._resident or broken(key) or (place == 0 and fresh)
            steps.append(step_of(one, None if cold else key, self._history, audio_seconds))
        return tuple(steps)

    def expected_seconds(self, audio_seconds: float | None, threads: int) -> float | None:
        """How long all stages of a file take where each may have ``threads``; None where a stage
        that matters was never measured, or the length is not known."""
        if audio_seconds is None:
            return None
        total = 0.0
        for one in self._profiles.values():
            seconds = self._history.of(one.subject).expect(audio_seconds)
            if seconds is None and one.stage.models:
                return None
            total += (seconds or 0.0) / (threads_speed(threads) if one.elastic else 1.0)
        return total

    def rung(self, stage: str) -> int:
        """Where the stage's ladder begins: at the step that worked last."""
        return self._history.of(self._profiles[stage].subject).rung

    def learn(self, audio_seconds: float | None, accounts: Iterable[StageAccount]) -> None:
        """Take up what the stages of a file took, as its job accounts for them."""
        for account in accounts:
            if account.status == "ran" and account.name in self._stages:
                self._learn(audio_seconds, account)

    def _learn(self, audio_seconds: float | None, account: StageAccount) -> None:
        one = self._profiles[account.name]
        record = replace(self._history.of(one.subject), rung=account.rung)
        if account.rung == 0:  # other settings and other needs than those that were asked for
            if audio_seconds is not None:
                threads = max(1, account.threads)
                seconds = one_thread_seconds(one, account.run_seconds, threads)
                record = record.ran(audio_seconds, seconds)
            if not account.warm:
                record = record.loaded(account.load_seconds + START_SECONDS)
            record = record.took(account.peak_rss_bytes, None, account.peak_vram_bytes)
        self._history.put(one.subject, record)

    def loaded(self, key: str, seconds: float) -> None:
        """Take up how long a worker took from its start until it was ready."""
        subject = self._by_key[key].subject
        self._history.put(subject, self._history.of(subject).loaded(seconds))

    def held(self, key: str, rss_bytes: int | None) -> None:
        """Take up what a worker keeps between two attempts."""
        subject = self._by_key[key].subject
        self._history.put(subject, self._history.of(subject).took(held=rss_bytes))

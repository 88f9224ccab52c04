"""The recipe and the history together: what each stage needs and takes, and what it did take."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from batch.history import History
from batch.leases import Machine
from batch.schedule.model import Step
from batch.schedule.share import threads_speed
from batch.steps import Profile, one_thread_seconds, profile, step_of
from orchestrator.contract.job import JobStage, StageAccount
from orchestrator.contract.records import changed
from orchestrator.job.ladder import rungs

START_SECONDS = 0.3
"""From the start of a process until it begins to load (its interpreter and our own modules)."""

CLIMB = 1 / 32
"""So often the rung above the one that worked last is tried: the machine may have its memory again.
Where it has not, that costs two attempts in vain, 6 % of the stage's time."""


class Measures:
    """``device`` is the run's own; ``resident`` False lets every attempt run cold.

    ``changes`` counts how often something changed that steps which were made before do not know:
    a stage's place on its ladder. ``chance`` gives a number from 0 up to 1.
    """

    def __init__(
        self,
        stages: Sequence[JobStage],
        machine: Machine,
        device: str,
        history: History,
        resident: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._machine = machine
        self._device = device
        self._history = history
        self._resident = resident
        self._chance = chance
        self._profiles: dict[str, Profile] = {}
        self._keys: dict[str, str] = {}
        self._by_key: dict[str, Profile] = {}
        self.changes = 0
        self.stages = tuple(self._stages)
        for name in self.stages:
            self._describe(name)

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
        """Where the stage's ladder begins: at the step that worked last, or now and then above."""
        rung = self._history.of(self._profiles[stage].subject).rung
        return rung - 1 if rung and self._chance() < CLIMB else rung

    def learn(self, audio_seconds: float | None, accounts: Iterable[StageAccount]) -> None:
        """Take up what the stages of a file took, as its job accounts for them."""
        for account in accounts:
            if account.status == "ran" and account.name in self._stages:
                self._learn(audio_seconds, account)

    def _learn(self, audio_seconds: float | None, account: StageAccount) -> None:
        one = self._profiles[account.name]
        before = self._history.of(one.subject)
        # One that worked at once may have been given leave before others found a higher rung.
        rung = account.rung if account.tries else min(before.rung, account.rung)
        record = replace(before, rung=rung)
        if account.rung == 0:  # other settings and other needs than those that were asked for
            if audio_seconds is not None:
                threads = max(1, account.threads)
                seconds = one_thread_seconds(one, account.run_seconds, threads)
                record = record.ran(audio_seconds, seconds)
            if not account.warm:
                record = record.loaded(account.load_seconds + START_SECONDS)
            record = record.took(account.peak_rss_bytes, None, account.peak_vram_bytes)
        self._history.put(one.subject, record)
        if rung != before.rung:
            self._describe(account.name)
            self.changes += 1

    def _describe(self, name: str) -> None:
        """What attempts of the stage load, at the rung where they begin: so do its workers."""
        stage = self._stages[name]
        asked = found = profile(stage, self._machine, self._device)
        rung = self._history.of(asked.subject).rung
        ladder = rungs(stage, asked.device)
        if 0 < rung < len(ladder):  # beyond it, a stage that is given a GPU computes on the CPU
            lower = ladder[rung]
            stage = stage if lower.models is None else changed(stage, models=lower.models)
            found = profile(stage, self._machine, self._device, lower.settings)
            found = replace(found, subject=asked.subject)
        self._profiles[name], self._keys[name] = found, found.key
        self._by_key.setdefault(found.key, found)

    def loaded(self, key: str, seconds: float) -> None:
        """Take up how long a worker took from its start until it was ready."""
        subject = self._by_key[key].subject
        self._history.put(subject, self._history.of(subject).loaded(seconds))

    def held(self, key: str, rss_bytes: int | None) -> None:
        """Take up what a worker keeps between two attempts."""
        subject = self._by_key[key].subject
        self._history.put(subject, self._history.of(subject).took(held=rss_bytes))

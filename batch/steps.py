"""What the stages of a file need and take, for the scheduler: declared, corrected by what was seen.

Pure: values of the recipe and of the history in, :class:`~batch.schedule.model.Step` out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch.history import History, Record, Subject
from batch.leases import Machine
from batch.schedule.model import CPU, Need, Step
from batch.schedule.share import threads_speed
from orchestrator.contract.exchange import StageRequest, load_settings
from orchestrator.contract.job import JobStage
from orchestrator.contract.keys import digest

MIB = 1 << 20
MARGIN = 1.15
"""Over a peak that was measured: the next file may need a little more."""

CONTEXT_BYTES = 450 * MIB
"""What a process takes of a GPU beside what torch says it holds: the CUDA context, and the code and
buffers of its libraries. Commonly 300 to 500 MB; it was not measured here, for want of a GPU."""

UNKNOWN_SECONDS = 1800.0
"""A file whose length nobody knows is expected to be of this length."""

# Expectations of a machine that has not run the stage yet; the first file corrects them.
_LIGHT_FIXED, _LIGHT_RATE = 0.2, 0.002
_MODEL_RATE_CPU, _MODEL_RATE_GPU = 0.2, 0.03
_LIGHT_LOAD, _MODEL_LOAD = 0.3, 4.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A stage with its settings of the moment: those of the recipe, or of a rung of the ladder."""

    stage: JobStage
    settings: Mapping[str, Any]
    device: str
    """Where it computes: ``cpu``, or the GPU as the settings name it (``cuda``, ``cuda:1``)."""
    subject: Subject
    """Under what its measurements are remembered."""

    @property
    def on_gpu(self) -> bool:
        return self.device != CPU

    @property
    def elastic(self) -> bool:
        return not self.on_gpu and bool(self.stage.models)

    @property
    def load(self) -> dict[str, Any]:
        """What the stage's ``load`` gets, threads left out; ``cuda`` is the one device pinned."""
        request = StageRequest(
            run_id="",
            job_id="",
            stage=self.stage.name,
            attempt="",
            media="",
            inputs={},
            outputs={},
            outputs_dir="",
            scratch_dir="",
            settings=self.settings,
            models=self.stage.models,
            load=self.stage.load,
            device=self.device.partition(":")[0],
        )
        return load_settings(request)

    def load_on(self, device: str) -> dict[str, Any]:
        """The same on a device that the scheduler chose."""
        return {**self.load, "device": device.partition(":")[0]}

    @property
    def key(self) -> str:
        """Which workers can serve it; the device and the threads are the scheduler's."""
        parts = {**self.load, "device": ""}
        mark = digest([self.stage.folder, self.stage.environment.key, parts])
        return f"{self.stage.name.partition('.')[0]}-{mark[:12]}"


def profile(
    stage: JobStage, machine: Machine, device: str, changed: Mapping[str, Any] | None = None
) -> Profile:
    """``device`` is the run's; a stage that declares no GPU memory computes on the CPU."""
    settings = {**stage.requested, **stage.tuning, **(changed or {})}
    wants = int(stage.resources.get("vram_mb") or 0) > 0 or bool(stage.models)
    usable = device != CPU and bool(machine.vram_bytes) and wants
    where = device if usable else CPU
    return Profile(stage, settings, where, _subject(stage, settings, where))


def _subject(stage: JobStage, settings: Mapping[str, Any], device: str) -> Subject:
    models = "+".join(model.key[:16] for model in stage.models)
    parts = (settings.get(name) for name in ("compute_type", "batch_size"))
    variant = "/".join(str(part) for part in parts if part is not None)
    return Subject(stage.name.partition(".")[0], models, variant, device.partition(":")[0])


def step_of(one: Profile, key: str | None, history: History, audio_seconds: float | None) -> Step:
    """The stage of one file as the scheduler sees it; ``key`` None: it needs a fresh process."""
    known = history.of(one.subject)
    seconds = UNKNOWN_SECONDS if audio_seconds is None else audio_seconds
    expected = known.expect(seconds)
    return Step(
        stage=one.stage.name,
        need=_need(one, known),
        run_s=_guess(one, seconds) if expected is None else expected,
        key=key,
        held=_held(one, known),
        load_s=_load_guess(one) if known.load_seconds is None else known.load_seconds,
        gpu=one.on_gpu,
        elastic=one.elastic,
    )


def one_thread_seconds(one: Profile, seconds: float, threads: int) -> float:
    """Measured seconds as history keeps them."""
    return seconds * threads_speed(threads) if one.elastic else seconds


def vram_of(torch_bytes: int) -> int:
    """What a process takes of its GPU where torch holds so much."""
    return torch_bytes + CONTEXT_BYTES


def held_by(booked: Need, rss_bytes: int | None, torch_bytes: int | None) -> Need:
    """What a worker keeps: what it said of itself, else what was booked for it."""
    if rss_bytes is None:
        return booked
    return Need(0, rss_bytes, vram_of(torch_bytes) if torch_bytes else booked.vram_bytes)


def threads_of(stages: Sequence[JobStage]) -> int:
    """The most threads that any of the stages asks for."""
    return max((int(stage.resources.get("cpu_threads") or 1) for stage in stages), default=1)


def _need(one: Profile, known: Record) -> Need:
    resources = one.stage.resources
    declared = int(resources.get("ram_mb") or 0) * MIB
    vram = int(resources.get("vram_mb") or 0) * MIB if one.on_gpu else 0
    return Need(
        cpu_threads=int(resources.get("cpu_threads") or 1),
        ram_bytes=declared if known.peak_rss is None else int(known.peak_rss * MARGIN),
        vram_bytes=vram
        if known.peak_vram is None or not one.on_gpu
        else vram_of(int(known.peak_vram * MARGIN)),
    )


def _held(one: Profile, known: Record) -> Need:
    need = _need(one, known)
    ram = need.ram_bytes if known.held_rss is None else int(known.held_rss * MARGIN)
    return Need(0, min(ram, need.ram_bytes) or need.ram_bytes, need.vram_bytes)


def _guess(one: Profile, seconds: float) -> float:
    if not one.stage.models:
        return _LIGHT_FIXED + _LIGHT_RATE * seconds
    return seconds * (_MODEL_RATE_GPU if one.on_gpu else _MODEL_RATE_CPU)


def _load_guess(one: Profile) -> float:
    return _MODEL_LOAD if one.stage.models else _LIGHT_LOAD

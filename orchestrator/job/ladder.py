"""What to try next when a stage failed: one ladder for all stages, as pure functions.

Out of memory goes down it: the same settings in a fresh process, half the batch, smaller
arithmetic, a smaller model and the CPU where those are allowed. A failure inside the stage gets one
more try as it was. Everything else would fail again, and is not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.contract.devices import kind_of
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.job import JobStage
from orchestrator.contract.records import Record, field

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

CPU = "cpu"

LARGER_NEED = 1.5
"""By how much a stage that ran out of memory asks for more: so fewer run beside it."""

PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0

_TIMES = {2: "twice"}

_SHORT_OF_MEMORY = frozenset({ErrorClass.OUT_OF_MEMORY, ErrorClass.RESOURCE})

# Bytes of a weight, and for each size the type to go down to. CTranslate2 has no float16 on a CPU,
# and int8 there; on a GPU int8_float16 takes less than int8, whose other layers are float32.
_WEIGHT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1}
_SMALLER_ON_CPU = ("int8",)
_SMALLER_ON_GPU = ("float16", "int8_float16", "int8")


class Rung(Record):
    """One way to run a stage: what differs from what was asked for.

    ``models`` None: the stage's own. ``device`` empty: as granted.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[ModelRef, ...] | None = None
    device: str = ""


class Try(Record):
    """An attempt that failed: at which rung, what that is in words, and with which error."""

    attempt: str
    rung: int
    error: ErrorInfo
    label: str = ""


def rungs(stage: JobStage, device: str, *, allow_cpu: bool = False) -> tuple[Rung, ...]:
    """The ladder of a stage on a device, the first rung being what was asked for.

    It depends on nothing else, so a place on it can be remembered as a number.
    """
    asked = {**stage.requested, **stage.tuning}
    ladder = [Rung("as asked")]
    changes: dict[str, Any] = {}
    batch = asked.get("batch_size")
    while isinstance(batch, int) and batch > 1:
        batch //= 2
        changes = {**changes, "batch_size": batch}
        ladder.append(Rung(f"batch size {batch}", changes))
    for compute_type in smaller_types(asked.get("compute_type"), stage.compute_types, device):
        changes = {**changes, "compute_type": compute_type}
        ladder.append(Rung(f"compute type {compute_type}", changes))
    ladder += [
        Rung(f"model {model.name}", changes, (model, *stage.models[1:]))
        for model in stage.fallback_models
    ]
    if allow_cpu and kind_of(device) != CPU:
        if "int8" in stage.compute_types:
            changes = {**changes, "compute_type": "int8"}
        ladder.append(Rung("on the CPU", changes, device=CPU))
    return tuple(ladder)


def smaller_types(current: object, allowed: Sequence[str], device: str) -> tuple[str, ...]:
    """The compute types to go down to, each smaller than the one before."""
    smaller = []
    size = _weight_bytes(str(current))
    for name in _SMALLER_ON_CPU if kind_of(device) == CPU else _SMALLER_ON_GPU:
        if name in allowed and _weight_bytes(name) < size:
            smaller.append(name)
            size = _weight_bytes(name)
    return tuple(smaller)


def _weight_bytes(compute_type: str) -> int:
    """Of a name like ``int8_float16`` the first part says how weights are kept; 0: not known."""
    return _WEIGHT_BYTES.get(compute_type.partition("_")[0], 0)


def next_rung(failed: Sequence[Try], last_rung: int) -> int | None:
    """The rung of the next attempt, in a fresh process; None: give up.

    ``failed`` are the attempts of this stage in this job, oldest first.
    """
    last = failed[-1]
    kind = last.error.error_class
    if kind in _SHORT_OF_MEMORY:
        if sum(one.error.error_class in _SHORT_OF_MEMORY for one in failed) == 1:
            return last.rung  # others may have had the memory, or an earlier file left some
        return last.rung + 1 if last.rung < last_rung else None
    if kind is ErrorClass.INTERNAL and last.error.retryable:
        internal = sum(one.error.error_class is ErrorClass.INTERNAL for one in failed)
        return last.rung if internal == 1 else None
    return None


def in_words(failed: Sequence[Try]) -> str:
    """The ways in which a stage was tried in vain: ``as asked (twice), batch size 4``."""
    times: dict[str, int] = {}
    for one in failed:
        times[one.label] = times.get(one.label, 0) + 1
    return ", ".join(
        label if n == 1 else f"{label} ({_TIMES.get(n, f'{n} times')})"
        for label, n in times.items()
    )


def need_of(stage: JobStage, rung: Rung, failed: Sequence[Try]) -> dict[str, Any]:
    """What to ask for: more than declared where that was too little, and what must be loaded."""
    need = dict(stage.resources)
    if any(one.error.error_class in _SHORT_OF_MEMORY for one in failed):
        for name in ("ram_mb", "vram_mb"):
            need[name] = round(need.get(name, 0) * LARGER_NEED)
    if rung.device == CPU:
        need["vram_mb"] = 0
    load = {name: value for name, value in rung.settings.items() if name in stage.load}
    return {**need, "load": load} if load else need


def pause_seconds(failed: Sequence[Try], random: Callable[[], float]) -> float:
    """How long to wait before the next attempt, so that memory can become free.

    It doubles each time, and is spread by half, so that files that failed together do not come
    back together. ``random`` gives a number from 0 up to 1.
    """
    short = sum(one.error.error_class in _SHORT_OF_MEMORY for one in failed)
    if failed[-1].error.error_class not in _SHORT_OF_MEMORY:
        return 0.0
    pause: float = min(PAUSE_SECONDS * 2 ** (short - 1), LONGEST_PAUSE_SECONDS)
    return pause * (0.5 + random())

"""Whether all models fit, and how much work is kept open where they do not."""

from __future__ import annotations

from collections.abc import Mapping

from batch.schedule.model import Need, Snapshot, Step


class Rounds:
    """Models that do not fit together are loaded one after another, a *round* loads each once.

    What a round costs is shared by the work that is open, so that much must be open: with
    ``look_ahead_rounds`` of 20 to 40 the loading takes 2.5 to 5 % of the time.
    ``gpu_look_ahead_s`` is that work in seconds, for all GPUs together; 0 where all models fit on
    each of them. ``cpu_look_ahead_s`` is the same for models on the CPU and in RAM. ``activation``
    is what an attempt takes on top of what is held, at most. ``steps`` has one for each key.
    """

    def __init__(self, snapshot: Snapshot, steps: Mapping[str, Step]) -> None:
        budget, limits = snapshot.budget, snapshot.limits
        gpu = [step for step in steps.values() if step.gpu]
        if gpu and not budget.vram_bytes:
            raise ValueError(f"{gpu[0].stage} wants a GPU, and the budget has none")
        self.activation = Need(
            0,
            max((step.need.ram_bytes - step.held.ram_bytes for step in steps.values()), default=0),
            max((step.need.vram_bytes - step.held.vram_bytes for step in gpu), default=0),
        )
        held_vram = sum(step.held.vram_bytes for step in gpu) + max(0, self.activation.vram_bytes)
        held_ram = sum(step.held.ram_bytes for step in steps.values())
        smallest = min(budget.vram_bytes.values(), default=0)
        self.gpu_look_ahead_s = 0.0
        self.cpu_look_ahead_s = 0.0
        if gpu and held_vram > smallest:
            round_s = sum(step.load_s for step in gpu)
            self.gpu_look_ahead_s = limits.look_ahead_rounds * round_s * len(budget.vram_bytes)
        if held_ram + max(0, self.activation.ram_bytes) > budget.ram_bytes:
            round_s = sum(step.load_s for step in steps.values() if not step.gpu)
            self.cpu_look_ahead_s = limits.look_ahead_rounds * round_s
        longest = max(self.gpu_look_ahead_s, self.cpu_look_ahead_s)
        # Within two rounds each model has had its turn: only then is somebody waiting too long.
        self.patience_s = max(limits.patience_s, 2.0 * longest)
        self.park_after_s = max(limits.park_after_s, 6.0 * longest)

    @property
    def all_fit(self) -> bool:
        return not (self.gpu_look_ahead_s or self.cpu_look_ahead_s)

    def short_of_work(self, gpu_s: float, cpu_s: float) -> bool:
        """Whether so much open work is less than the look-ahead of either kind of device."""
        return gpu_s < self.gpu_look_ahead_s or cpu_s < self.cpu_look_ahead_s

    def gpu_work(self, steps: tuple[Step, ...]) -> float:
        """Seconds that ``steps`` need of GPUs; 0 where nobody asks, as all models fit."""
        return sum(step.run_s for step in steps if step.gpu) if self.gpu_look_ahead_s else 0.0

    def cpu_work(self, steps: tuple[Step, ...]) -> float:
        """The same for the CPU."""
        return sum(step.run_s for step in steps if not step.gpu) if self.cpu_look_ahead_s else 0.0

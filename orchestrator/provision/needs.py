"""How much memory a model takes, as ``models.yaml`` says it, else estimated from its files."""

from __future__ import annotations

from pathlib import Path

from orchestrator.provision.localmodel import model_files
from orchestrator.provision.modelspec import ModelSpec, Needs

ANY = "any"
"""The number format that stands for all that are not named."""

_MIB = 1 << 20
_OVER_FILES = 1.2
_WORKSPACE_MB = 300
"""What a model takes beyond its weights: Whisper base (145 MB of files in float16, in CTranslate2)
was measured to add 148 MB when loaded as int8, and 306 MB more while it worked."""


def needs_of(spec: ModelSpec, compute_type: str | None) -> Needs:
    """The needs declared for the number format, or for any, or an estimate from its size."""
    declared = spec.needs.get(compute_type or ANY) or spec.needs.get(ANY)
    return declared or needs_of_size(spec.size)


def needs_of_folder(folder: Path) -> Needs:
    """An estimate for a model of the user's own. Raises: OSError."""
    return needs_of_size(sum(file.stat().st_size for file in model_files(folder).values()))


def needs_of_size(size: int) -> Needs:
    """An estimate from the bytes of a model's files, the same for processor and GPU."""
    estimate = round(size * _OVER_FILES / _MIB) + _WORKSPACE_MB
    return Needs(ram_mb=estimate, vram_mb=estimate)


def with_batch(needs: Needs, batch_size: int) -> tuple[int, int]:
    """MiB of memory and of the GPU's for this many pieces at once."""
    more = batch_size - 1
    return (
        needs.ram_mb + more * needs.batch_ram_mb,
        needs.vram_mb + more * needs.batch_vram_mb,
    )

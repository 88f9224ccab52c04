"""What the command line says, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.settings import LoadedSettings


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beyond settings."""

    loaded: LoadedSettings
    dry_run: bool
    json: bool
    limit: int | None
    stages: tuple[str, ...]
    resume: bool
    retry_failed: bool

"""One finding of the pre-flight, as a value. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.contract.errors import ErrorInfo


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and how it is.

    ``ok`` is True, False, or None for a warning. ``fix`` is what the user can do, empty when there
    is nothing to do. An ``essential`` check that fails means that a batch could not run.
    """

    name: str
    ok: bool | None
    detail: str
    fix: str = ""
    essential: bool = True

    @property
    def blocks(self) -> bool:
        """Whether a batch could not run."""
        return self.essential and self.ok is False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def passed(checks: Iterable[Check]) -> bool:
    """Whether a batch could run."""
    return not any(check.blocks for check in checks)


def failed(name: str, info: ErrorInfo, *, essential: bool = True) -> Check:
    """A check that met this error."""
    return Check(name, False, info.message, info.hint, essential)

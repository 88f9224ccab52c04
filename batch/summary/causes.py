"""Failures and warnings grouped by cause, so that one reason for 400 files is one entry."""

from __future__ import annotations

from dataclasses import dataclass, field

from batch.summary.model import EXAMPLES, Cause, Example


@dataclass(slots=True)
class _Group:
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class Causes:
    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}

    def add(self, code: str, hint: str, path: str, message: str) -> None:
        group = self._groups.setdefault((code, hint), _Group())
        group.count += 1
        if len(group.examples) < EXAMPLES:
            group.examples.append((path, message))

    def by_size(self) -> tuple[Cause, ...]:
        """The cause of the most files first; equal ones in the order they were met."""
        groups = sorted(self._groups.items(), key=lambda item: -item[1].count)
        return tuple(
            Cause(
                code=code,
                hint=hint,
                count=group.count,
                examples=tuple(Example(path=path, message=why) for path, why in group.examples),
            )
            for (code, hint), group in groups
        )

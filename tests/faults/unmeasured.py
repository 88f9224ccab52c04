"""Processes that are hurt do not record their coverage."""

from __future__ import annotations

from collections.abc import Mapping


def unmeasured(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what makes a process record its coverage: those calls would be hurt as well."""
    return {name: value for name, value in environ.items() if not name.startswith("COVERAGE_")}

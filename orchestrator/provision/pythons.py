"""Which Python an environment is built with."""

from __future__ import annotations

import re
import sys
import sysconfig
from dataclasses import dataclass

SUPPORTED = ((3, 11), (3, 12), (3, 13))
"""The versions that the pinned packages of our own environments have wheels for."""

_BOUND = re.compile(r"(==|!=|<=|>=|<|>|~=)\s*(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Python:
    """A version such as ``3.12``, and the interpreter that is known to be it, if one is."""

    version: str
    executable: str | None = None


def running() -> Python:
    """This process's interpreter; in a virtual environment, the one it is based on."""
    executable = getattr(sys, "_base_executable", None) or sys.executable
    return Python(f"{sys.version_info[0]}.{sys.version_info[1]}", executable)


def candidates(specifier: str, current: Python | None = None) -> tuple[Python, ...]:
    """The Pythons to try for ``specifier`` (``>=3.11,<3.14``), the best first; empty if none fits.

    The running interpreter where it is in range: nothing needs to be found or fetched then. Else
    the newest supported version, which uv finds or fetches. Only CPython with its lock: there are
    no wheels for others.
    """
    current = current or running()
    if _has_wheels() and allows(specifier, _numbers(current.version)):
        return (current,)
    return tuple(
        Python(f"{major}.{minor}")
        for major, minor in reversed(SUPPORTED)
        if allows(specifier, (major, minor))
    )


def allows(specifier: str, version: tuple[int, int]) -> bool:
    """Whether a comma-separated version specifier admits the minor version."""
    return all(_admits(match, version) for match in _BOUND.finditer(specifier))


def _admits(bound: re.Match[str], version: tuple[int, int]) -> bool:
    operator, major, minor = bound[1], int(bound[2]), bound[3]
    known: tuple[int, ...] = version if minor else version[:1]
    limit: tuple[int, ...] = (major, int(minor)) if minor else (major,)
    match operator:
        case "==":
            return known == limit
        case "!=":
            return known != limit
        case "<=":
            return known <= limit
        case ">=":
            return known >= limit
        case "<":
            return known < limit
        case ">":
            return known > limit
        case _:  # ~=3.11: at least 3.11, still 3
            return known >= limit and known[0] == limit[0]


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def _has_wheels() -> bool:
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return sys.implementation.name == "cpython" and not free_threaded

from __future__ import annotations

import pytest

from orchestrator.provision import pythons
from orchestrator.provision.pythons import Python, allows, candidates


@pytest.mark.parametrize(
    ("specifier", "version", "admitted"),
    [
        (">=3.11,<3.14", (3, 11), True),
        (">=3.11,<3.14", (3, 13), True),
        (">=3.11,<3.14", (3, 14), False),
        (">=3.11, <3.14", (3, 10), False),
        ("==3.12", (3, 12), True),
        ("==3.12", (3, 13), False),
        ("!=3.12", (3, 12), False),
        ("<=3.12", (3, 12), True),
        (">3.12", (3, 12), False),
        ("~=3.11", (3, 13), True),
        ("~=3.11", (4, 0), False),
        ("==3", (3, 13), True),
        ("==3.12.*", (3, 12), True),
    ],
)
def test_specifiers(specifier: str, version: tuple[int, int], admitted: bool) -> None:
    assert allows(specifier, version) is admitted


def test_the_running_python_is_used_where_it_fits() -> None:
    current = Python("3.12", "/usr/bin/python3.12")
    assert candidates(">=3.11,<3.14", current) == (current,)


def test_else_the_newest_supported_one_is_looked_for_first() -> None:
    current = Python("3.14", "/usr/bin/python3.14")
    versions = [python.version for python in candidates(">=3.11,<3.14", current)]
    assert versions == ["3.13", "3.12", "3.11"]
    assert candidates("<3.11", current) == ()


def test_a_python_without_wheels_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda _name: 1)
    assert candidates("==3.12", Python("3.12", "/usr/bin/python3.12t")) == (Python("3.12"),)


def test_this_process_runs_something() -> None:
    assert pythons.running().executable

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.provision import uv

FAKE_UV = Path(__file__).with_name("fakes") / "fake_uv.py"


def fake_program(path: Path, *words: str) -> Path:
    """An executable that runs ``words`` and passes its own arguments on."""
    quoted = " ".join(f"'{word}'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def uv_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """``uv_with(FAULT)`` puts a fake uv in the place of the real one."""

    def put(fault: str = "none") -> Path:
        program = fake_program(tmp_path / f"uv-{fault}", sys.executable, str(FAKE_UV), fault)
        monkeypatch.setattr(uv, "find_uv", lambda: program)
        return program

    monkeypatch.setenv("FAKE_UV_LOG", str(tmp_path / "uv.log"))
    return put


@pytest.fixture
def spec(tmp_path: Path) -> EnvironmentSpec:
    """An environment whose imports any Python has."""
    folder = tmp_path / "environments-in" / "tiny"
    folder.mkdir(parents=True)
    (folder / "requirements.in").write_text("thing\n")
    (folder / "constraints.txt").write_text("thing==1\n")
    (folder / "requirements-cuda.in").write_text("cuda-thing\n")
    return EnvironmentSpec(
        name="tiny",
        folder=folder,
        imports=("json", "wave"),
        python=">=3.11",
        torch=False,
        variants=MappingProxyType({"cuda": "requirements-cuda.in"}),
    )

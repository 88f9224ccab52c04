"""Where CUDA's libraries are found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.stagekit import cuda_libraries as cuda


def test_cuda_libraries_are_found_in_their_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "lib" / "libcublas.so.12"
    library.parent.mkdir()
    library.write_bytes(b"no library")

    def find_spec(name: str) -> SimpleNamespace | None:
        if name == "nvidia.cudnn":
            raise ModuleNotFoundError(name)
        if name == "nvidia.cublas":
            return SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert cuda.cuda_libraries() == [library]
    cuda.load_cuda_libraries()
    assert "libcublas.so.12" in capsys.readouterr().err

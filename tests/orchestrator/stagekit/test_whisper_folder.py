"""What is said of a Whisper model that is missing or does not load."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.stagekit.whisper_folder import device_and_index, loading, whisper_folder


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    for path in (None, str(tmp_path)):
        with pytest.raises(Failure) as caught:
            whisper_folder({"model_path": path})
        assert caught.value.info.code == "model_missing"
    (tmp_path / "model.bin").touch()
    assert whisper_folder({"model_path": str(tmp_path)}) == str(tmp_path)


@pytest.mark.parametrize(
    ("device", "parts"), [("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:1", ("cuda", 1))]
)
def test_a_device_in_two_parts(device: str, parts: tuple[str, int]) -> None:
    assert device_and_index({"device": device}) == parts


def test_what_does_not_load_is_unusable_but_on_a_gpu_it_may_be_memory() -> None:
    with pytest.raises(Failure) as caught, loading("/m", "cpu"):
        raise RuntimeError("not a model")
    assert caught.value.info.code == "model_unusable"
    with pytest.raises(RuntimeError, match="out of memory"), loading("/m", "cuda"):
        raise RuntimeError("CUDA out of memory")

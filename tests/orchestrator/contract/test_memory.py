"""Peaks of memory, one attempt at a time."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.contract import memory
from orchestrator.contract.memory import PeakMeter, rss_bytes, tensor_bytes

MIB = 1 << 20
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")


@on_linux
def test_a_peak_is_that_of_its_own_meter() -> None:
    before = PeakMeter()
    block = bytearray(64 * MIB)
    block[:] = b"x" * len(block)
    now = rss_bytes()
    del block
    high = before.rss_bytes()
    low = PeakMeter().rss_bytes()
    assert now is not None
    assert high is not None
    assert low is not None
    assert high >= now
    assert high - low > 32 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say")
def test_without_proc_the_peak_is_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_STATUS", "_STATM", "_CLEAR_REFS"):
        monkeypatch.setattr(memory, name, tmp_path / "gone" / name)
    assert rss_bytes() is None
    peak = PeakMeter().rss_bytes()
    assert peak is not None
    assert peak > MIB


def test_without_a_gpu_there_is_no_peak_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert PeakMeter().vram_bytes() is None
    assert tensor_bytes() is None
    unused = SimpleNamespace(is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=unused))
    assert PeakMeter().vram_bytes() is None


def test_what_torch_held_on_a_gpu_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def reserved() -> int:
        calls.append("read")
        return 3 * MIB

    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        reset_peak_memory_stats=lambda: calls.append("reset"),
        max_memory_reserved=reserved,
        memory_allocated=lambda: 2 * MIB,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert tensor_bytes() == 2 * MIB
    assert PeakMeter().vram_bytes() == 3 * MIB
    assert calls == ["reset", "read"]
    # A Whisper model held 4 GB more, and the next file was booked with what torch had.
    monkeypatch.setitem(sys.modules, "ctranslate2", SimpleNamespace())
    assert PeakMeter().vram_bytes() is None

"""What this process takes of the machine's memory, now and at most since a moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_STATM = Path("/proc/self/statm")
_CLEAR_REFS = Path("/proc/self/clear_refs")


class PeakMeter:
    """The peaks of one attempt, also in a process that has served others before.

    Make it when the attempt begins. Where the system cannot forget an earlier peak (macOS), the
    peak is that of the whole process: never too small.
    """

    def __init__(self) -> None:
        try:
            _CLEAR_REFS.write_bytes(b"5")  # proc(5): resets the peak resident set size
        except OSError:
            pass
        cuda = _torch_cuda()
        if cuda is not None:
            cuda.reset_peak_memory_stats()

    def rss_bytes(self) -> int | None:
        """Largest resident size since the meter was made; None where the system does not tell."""
        peak = _peak_rss()
        # The system keeps the peak a little behind what it says now.
        return _lifetime_peak() if peak is None else max(peak, rss_bytes() or 0)

    def vram_bytes(self) -> int | None:
        """GPU memory that torch has held at most. None: torch was not used on a GPU, or not alone.

        CTranslate2 does not say what it holds: with a Whisper model in it, torch has the least.
        """
        cuda = None if "ctranslate2" in sys.modules else _torch_cuda()
        return None if cuda is None else int(cuda.max_memory_reserved())


def rss_bytes() -> int | None:
    """Resident size of this process now; None where the system does not tell."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return None


def tensor_bytes() -> int | None:
    """GPU memory that torch's tensors take now, without what torch keeps for the next ones.

    After an attempt that is the model, and what leaks. None: torch was not used on a GPU.
    """
    cuda = _torch_cuda()
    return None if cuda is None else int(cuda.memory_allocated())


def _peak_rss() -> int | None:
    try:
        _, found, rest = _STATUS.read_bytes().partition(b"VmHWM:")
    except OSError:
        return None
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else None


def _lifetime_peak() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _torch_cuda() -> _Cuda | None:
    """torch's CUDA part, where the stage uses it: nothing is imported or started for this."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None


class _Cuda:
    """The part of ``torch.cuda`` that is used here."""

    is_initialized: Callable[[], bool]
    reset_peak_memory_stats: Callable[[], None]
    max_memory_reserved: Callable[[], int]
    memory_allocated: Callable[[], int]

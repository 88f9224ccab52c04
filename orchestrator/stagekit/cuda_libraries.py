"""NVIDIA's libraries from their wheels, where CTranslate2 does not look by itself."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path

_PACKAGES = ("nvidia.cuda_runtime", "nvidia.cublas", "nvidia.cudnn")


def cuda_libraries() -> list[Path]:
    """The shared libraries of the CUDA wheels that are installed, in loading order."""
    pattern = "bin/*.dll" if sys.platform == "win32" else "lib/*.so*"
    found: list[Path] = []
    for package in _PACKAGES:
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found += sorted(Path(folder).glob(pattern))
    return found


def load_cuda_libraries() -> None:
    """Load them into this process, so that they are there when CTranslate2 asks for them."""
    for library in cuda_libraries():
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            # Some need one further down the list; CTranslate2 says what is missing in the end.
            print(f"{library}: {error}", file=sys.stderr)

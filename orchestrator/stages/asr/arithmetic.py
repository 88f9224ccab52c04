"""Which arithmetic to run a model with."""

from __future__ import annotations

from collections.abc import Collection

_AUTO = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float32", "int8", "float32")}
_INSTEAD = {
    "float16": ("int8_float16", "int8_float32", "int8", "float32"),
    "bfloat16": ("float16", "int8_float32", "int8", "float32"),
    "int8_float16": ("int8_float32", "int8", "float32"),
    "int8_bfloat16": ("int8_float16", "int8_float32", "int8", "float32"),
}


def choose_compute_type(wanted: str, device: str, supported: Collection[str]) -> str:
    """The arithmetic asked for (``auto``: by device), else the nearest one that the device has."""
    order = _AUTO[device] if wanted == "auto" else (wanted, *_INSTEAD.get(wanted, ("float32",)))
    return next((one for one in order if one in supported), "float32")

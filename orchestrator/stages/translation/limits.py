"""How much is translated at once, and in which arithmetic."""

from __future__ import annotations

LONGEST = 200
"""Tokens of one text: the models learned from sentences. The limit of the shortest is 512."""
_FACTOR, _MORE = 3, 20
_AUTO_BATCH = {"cpu": 8, "cuda": 32}


def room_for(tokens: int) -> int:
    """Tokens that a translation may have: between all languages it takes less than this."""
    return min(_FACTOR * tokens + _MORE, 500)


def batch_size(wanted: int | str, device: str) -> int:
    """Texts translated at once; ``auto`` by device."""
    return _AUTO_BATCH[device.partition(":")[0]] if isinstance(wanted, str) else wanted


def compute_type(wanted: str, device: str) -> str:
    """The arithmetic asked for; ``auto`` by device."""
    if wanted != "auto":
        return wanted
    return "float16" if device.startswith("cuda") else "float32"

"""Keys by which work is known again: by content and requested settings, never by name or place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

_SAMPLE_BYTES = 64 * 1024
_SAMPLES = 16
_WHOLE_BYTES = _SAMPLE_BYTES * _SAMPLES
_KEY_DIGITS = 32  # 128 bits: no accidental collision in any library


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values hash alike."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def digest(value: Any) -> str:
    """Key of any JSON value: 32 hex digits of the SHA-256 of its canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()[:_KEY_DIGITS]


def fingerprint(path: Path) -> str:
    """Identity of a media file's content: size and hash of fixed sampled blocks, 32 hex digits.

    Files up to 1 MiB are hashed whole. Of larger ones 16 blocks of 64 KiB are read, evenly spread
    with the first and the last block among them, so a 40 GB file on a share costs 1 MiB of reads.

    Raises:
        OSError: the file cannot be read.
    """
    # Buffered, because a bare read may return less than was asked for on a network file system.
    with path.open("rb", buffering=_SAMPLE_BYTES) as stream:
        size = os.fstat(stream.fileno()).st_size
        hasher = hashlib.sha256(f"fingerprint-1:{size}:".encode("ascii"))
        if size <= _WHOLE_BYTES:
            while block := stream.read(_WHOLE_BYTES):
                hasher.update(block)
        else:
            for index in range(_SAMPLES):
                stream.seek((size - _SAMPLE_BYTES) * index // (_SAMPLES - 1))
                hasher.update(stream.read(_SAMPLE_BYTES))
    return hasher.hexdigest()[:_KEY_DIGITS]


def stage_key(
    stage: str,
    version: int,
    settings: Mapping[str, Any],
    model_keys: Sequence[str],
    inputs: Mapping[str, str],
) -> str:
    """Key of what a stage makes.

    ``settings`` are the requested ones that change the result; ``inputs`` maps the names of inputs
    to the keys of what made them (the media itself: its fingerprint). Threads, batch size, device
    and environment are left out on purpose: they change how, not what.
    """
    model = digest(list(model_keys)) if len(model_keys) > 1 else next(iter(model_keys), None)
    return digest(
        {
            "stage": stage,
            "version": version,
            "settings": dict(settings),
            "model": model,
            "inputs": dict(inputs),
        }
    )

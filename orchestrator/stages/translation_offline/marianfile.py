"""Reads the binary model files of Marian, as the Bergamot project and Firefox publish them.

Layout (little-endian): version 1 and the number of items, both 64 bits; for each item the length of
its name, its type, the number of its dimensions and of its bytes, 64 bits each; all names, ended by
a zero; all shapes, 32 bits a dimension; the length of a gap, and the gap; the data of each item.
Numbers after https://github.com/marian-nmt/marian-dev (src/common/binary.cpp, src/common/types.h).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FLOAT32 = 0x0404
INT8_SCALED = 0x4101
"""Signed bytes, transposed (but for embeddings), then a float32 by which they were multiplied."""
_TEXT = 0x0101
_VERSION = 1
_OPTIONS = "special:model.yml"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One item; ``data`` is a view into the file's bytes."""

    kind: int
    shape: tuple[int, ...]
    data: memoryview

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """What the values of an ``INT8_SCALED`` tensor are to be divided by."""
        return float(struct.unpack_from("<f", self.data, self.size)[0])


@dataclass(frozen=True, slots=True)
class ModelFile:
    """``options`` are those of the training, as the model keeps them."""

    tensors: Mapping[str, Tensor]
    options: Mapping[str, str]


def read_model(path: Path) -> ModelFile:
    """Raises: ValueError (it is not such a file, or is cut off); OSError."""
    data = memoryview(path.read_bytes())
    try:
        tensors = _items(data)
        options = _options(bytes(tensors.pop(_OPTIONS).data))
    except (struct.error, UnicodeDecodeError, KeyError) as error:
        raise ValueError(f"it is no Marian model, or is cut off ({error})") from error
    return ModelFile(tensors, options)


def _items(data: memoryview) -> dict[str, Tensor]:
    version, count = struct.unpack_from("<QQ", data)
    if version != _VERSION or count > len(data):
        raise ValueError(f"it is no Marian model of version {_VERSION}")
    at = 16
    headers = [struct.unpack_from("<4Q", data, at + 32 * index) for index in range(count)]
    at += 32 * count
    names = []
    for length, *_ in headers:
        names.append(bytes(data[at : at + length]).rstrip(b"\0").decode())
        at += length
    shapes = []
    for _, _, dimensions, _ in headers:
        shapes.append(struct.unpack_from(f"<{dimensions}i", data, at))
        at += 4 * dimensions
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    tensors = {}
    for name, shape, (_, kind, _, length) in zip(names, shapes, headers, strict=True):
        if at + length > len(data):
            raise ValueError(f"it is cut off in {name}")
        tensors[name] = _tensor(name, kind, shape, data[at : at + length])
        at += length
    return tensors


def _tensor(name: str, kind: int, shape: tuple[int, ...], data: memoryview) -> Tensor:
    tensor = Tensor(kind, shape, data)
    needed = {FLOAT32: 4 * tensor.size, INT8_SCALED: tensor.size + 4, _TEXT: 0}.get(kind)
    if needed is None:
        raise ValueError(f"{name} is stored in a way that is not supported (type {kind:#x})")
    if len(data) < needed:
        raise ValueError(f"{name} has {len(data)} bytes and needs {needed}")
    return tensor


def _options(text: bytes) -> dict[str, str]:
    """The plain ``key: value`` lines; lists are left out."""
    lines = text.rstrip(b"\0").decode().splitlines()
    pairs = (line.partition(": ") for line in lines if not line.startswith((" ", "-")))
    return {key: value.strip() for key, found, value in pairs if found}

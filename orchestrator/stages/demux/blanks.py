"""Stretches of zeros where there was sound: holes that a download or a disk left.

In compressed sound a packet of zeros is damage. In plain samples it may be silence, but silence
does not begin and end where the blocks of a disk do.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

_SAMPLES = ("pcm_", "adpcm_", "dsd_")
_ONE_PIECE = frozenset({"aiff", "au", "caf", "w64", "wav"})
"""Formats whose samples lie in one piece, so that those of two packets are neighbours."""
_LEAST_BLANK = 16
"""Bytes: smaller packets may be all zeros in a codec that has little to say about silence."""
_BLOCK = 4096
_SLACK = 16
"""Bytes beside a hole that may be zero by chance."""
_LONG_TAIL = 1.0


def zero_is_silence(codec: str) -> bool:
    """Whether ``codec`` (FFmpeg's name) is plain samples."""
    return codec.startswith(_SAMPLES)


class Blanks:
    """Packets of zeros in one track.

    Attributes:
        holes: start and end, in media time, of what was never filled with samples.
    """

    def __init__(self, codec: str, formats: Set[str]) -> None:
        self._samples = zero_is_silence(codec)
        self._watched = self._samples and not formats.isdisjoint(_ONE_PIECE)
        self._tail: int | None = None  # position behind the last byte that is not zero
        self._since: float | None = None  # when the packets of zeros began
        self._until = 0.0
        self.holes: list[tuple[float, float]] = []

    @property
    def open_end(self) -> bool:
        """Whether the last second and more is zeros: silence, or what a download left blank."""
        return self._since is not None and self._until - self._since > _LONG_TAIL

    def damaged(self, packet: Any, time_of: Callable[[Any], float | None]) -> bool:
        """Note a packet; whether it is one of zeros that cannot be sound.

        ``time_of``: its media time, which costs more than to look at it.
        """
        size = packet.size
        if not self._samples:
            return bool(size >= _LEAST_BLANK and bytes(packet).count(0) == size)
        if self._watched and size and packet.pos is not None:
            self._note(packet, bytes(packet), time_of)
        return False

    def _note(self, packet: Any, data: bytes, time_of: Callable[[Any], float | None]) -> None:
        sound = data.lstrip(b"\0")
        if not sound or self._since is not None:
            time = time_of(packet)
            if time is None:
                return
            if not sound:
                self._since = time if self._since is None else self._since
                self._until = time + _seconds(packet)
                return
            self._close(packet.pos + len(data) - len(sound), time)
        self._tail = packet.pos + len(data.rstrip(b"\0"))

    def _close(self, position: int, time: float) -> None:
        """Sound goes on at that position."""
        start, since, self._since = self._tail, self._since, None
        if start is not None and since is not None and _whole_blocks(start, position):
            self.holes.append((since, time))


def _whole_blocks(start: int, end: int) -> bool:
    """Whether the zeros between these positions are blocks of a disk, and nothing but these."""
    before, behind = -start % _BLOCK, end % _BLOCK
    return before < _SLACK and behind < _SLACK and end - start >= _BLOCK


def _seconds(packet: Any) -> float:
    return float(packet.duration * packet.time_base) if packet.duration else 0.0

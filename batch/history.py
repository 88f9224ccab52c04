"""What stages took on this machine: how long, and how much memory. The base of needs and of times.

A value per stage, model, variant (arithmetic and batch size) and device. Read once, kept in memory,
written back now and then: losing the last minutes of it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

MEMORY_OF = 30
"""Roughly so many measurements are remembered; what is older fades."""

_KEPT = 1.0 - 1.0 / MEMORY_OF


class Subject(NamedTuple):
    """What was measured: ``model`` is the key of its content, empty for a stage without one."""

    stage: str
    model: str
    variant: str
    device: str


@dataclass(frozen=True, slots=True)
class Record:
    """Faded sums over attempts, for the line ``seconds = fixed + rate * audio``; and the memory.

    ``weight`` is the number of attempts, ``audio`` and ``seconds`` their sums, ``squares`` that of
    audio squared and ``products`` that of audio times seconds. Of a model on the CPU the seconds
    are those that one thread would take. Bytes: ``peak_rss`` while it ran, ``held_rss`` after it,
    ``peak_vram``. ``rung``: the step of the ladder that worked last.
    """

    weight: float = 0.0
    audio: float = 0.0
    seconds: float = 0.0
    squares: float = 0.0
    products: float = 0.0
    load_seconds: float | None = None
    peak_rss: int | None = None
    held_rss: int | None = None
    peak_vram: int | None = None
    rung: int = 0

    def ran(self, audio_seconds: float, seconds: float) -> Record:
        """With one more attempt."""
        return replace(
            self,
            weight=self.weight * _KEPT + 1.0,
            audio=self.audio * _KEPT + audio_seconds,
            seconds=self.seconds * _KEPT + seconds,
            squares=self.squares * _KEPT + audio_seconds**2,
            products=self.products * _KEPT + audio_seconds * seconds,
        )

    def loaded(self, seconds: float) -> Record:
        """With one more time that it took to start and to load."""
        return replace(self, load_seconds=_faded(self.load_seconds, seconds))

    def took(
        self, rss: int | None = None, held: int | None = None, vram: int | None = None
    ) -> Record:
        """With one more measurement of memory: up at once, down slowly.

        A process is weighed again after its attempt, when it may hold a page more than at its peak.
        """
        peak_rss, held_rss = _peak(self.peak_rss, rss), _peak(self.held_rss, held)
        if peak_rss is not None and held_rss is not None:
            peak_rss = max(peak_rss, held_rss)
        return replace(
            self, peak_rss=peak_rss, held_rss=held_rss, peak_vram=_peak(self.peak_vram, vram)
        )

    def expect(self, audio_seconds: float) -> float | None:
        """Seconds for so much audio; None where nothing was measured."""
        if self.weight <= 0.0:
            return None
        fixed, rate = self._line()
        return fixed + rate * audio_seconds

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for a second of audio, all that was measured together."""
        return self.seconds / self.audio if self.audio > 0.0 else None

    def _line(self) -> tuple[float, float]:
        """The line of least squares, neither part negative.

        Files of one length say nothing of the parts: then all of it follows the length.
        """
        spread = self.squares - self.audio**2 / self.weight
        if spread > 1e-3 * self.squares:
            rate = (self.products - self.audio * self.seconds / self.weight) / spread
            fixed = (self.seconds - rate * self.audio) / self.weight
            if rate >= 0.0 and fixed >= 0.0:
                return fixed, rate
            if rate < 0.0:
                return self.seconds / self.weight, 0.0
        if self.squares <= 0.0:
            return self.seconds / self.weight, 0.0
        return 0.0, self.products / self.squares


class History:
    """All records of this machine. Not for threads: it lives in the coordinator's."""

    def __init__(self, records: Iterable[tuple[Subject, Record]] = ()) -> None:
        self._records = dict(records)
        self._changed: set[Subject] = set()

    def of(self, subject: Subject) -> Record:
        """What is known; an empty record where nothing is."""
        return self._records.get(subject, _NOTHING)

    def put(self, subject: Subject, record: Record) -> None:
        self._records[subject] = record
        self._changed.add(subject)

    def take_changes(self) -> list[tuple[Subject, Record]]:
        """What has changed since the last call, to be written down."""
        changed = [(subject, self._records[subject]) for subject in self._changed]
        self._changed.clear()
        return changed


_NOTHING = Record()


def _faded(before: float | None, now: float) -> float:
    return now if before is None else before + (now - before) / 4


def _peak(before: int | None, now: int | None) -> int | None:
    if now is None or before is None:
        return before if now is None else now
    return now if now >= before else before + (now - before) // MEMORY_OF

"""The live view of a terminal: a few lines at the bottom that are redrawn four times a second.

Events only change a few numbers; a thread of the view's own draws them, so that it moves on while
the coordinator is busy and costs the same whether ten events a second arrive or ten thousand.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from threading import Event as Flag
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live

from batch import events
from batch.view.board import Board
from batch.view.panel import Frame, draw
from batch.view.permanent import lasting_lines
from batch.view.words import glyphs_for

FRAME_SECONDS = 0.25

_LASTING = frozenset({events.RunStarted, events.Discovered, events.RunWarning, events.FileFinished})


class LiveView:
    """Draws on ``console``, which must be a terminal. ``clock`` counts seconds, ``now`` tells the
    local time. With ``threaded`` False only :meth:`tick` draws."""

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
        threaded: bool = True,
    ) -> None:
        self._console = console
        self._board = Board(clock)
        self._now = now
        self._folder = ""
        self._lock = Lock()
        self._pending: list[events.Event] = []
        self._glyphs = glyphs_for(console.encoding)
        self._live = Live(
            console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )
        self._ended = Flag()
        self._thread = Thread(target=self._redraw, name="live-view", daemon=True)
        self._threaded = threaded

    def __enter__(self) -> Self:
        self._live.start()
        # A hidden cursor would stay hidden after a kill -9: nothing that needs restoring is set.
        self._console.show_cursor(True)
        if self._threaded:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._threaded:
            self._thread.join()
        with contextlib.suppress(OSError):  # the terminal is gone
            self.tick()
            self._live.stop()

    def handle(self, event: events.Event) -> None:
        with self._lock:
            self._board.handle(event)
            if type(event) in _LASTING:
                self._pending.append(event)

    def tick(self) -> None:
        """Draw one frame, and above it what has ended since the last one.

        Raises:
            OSError: the terminal is gone.
        """
        with self._lock:
            snapshot = self._board.snapshot()
            pending, self._pending = self._pending, []
        for event in pending:
            if isinstance(event, events.RunStarted):
                self._folder = event.input_dir
        size = self._console.size
        frame = Frame(
            width=size.width,
            height=size.height,
            glyphs=self._glyphs,
            encoding=self._console.encoding,
            folder=self._folder,
            now=self._now(),
        )
        self._live.update(draw(snapshot, frame))
        lasting = [line for event in pending for line in lasting_lines(event, frame)]
        if lasting:
            self._console.print(Group(*lasting))  # draws the frame as well, below it
        else:
            self._live.refresh()

    def _redraw(self) -> None:
        while not self._ended.wait(FRAME_SECONDS):
            try:
                self.tick()
            except OSError:  # the terminal is gone; the run goes on
                return

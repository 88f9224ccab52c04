"""Shows bytes arriving: a bar on a terminal, a line at each quarter elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from orchestrator.provision.fetch import Progress


@contextlib.contextmanager
def show_bytes(label: str, stream: TextIO | None = None) -> Iterator[Progress]:
    """A :data:`Progress` that draws on ``stream`` (standard error by default) while it is open.

    Nothing is drawn, and rich is not imported, before the first bytes arrive.
    """
    target = sys.stderr if stream is None else stream
    if not target.isatty() or os.environ.get("TERM") == "dumb":
        yield _lines(label, target)
        return
    with contextlib.ExitStack() as stack:
        show: Progress | None = None

        def first(done: int, total: int | None) -> None:
            nonlocal show
            show = show or _bar(label, target, stack)
            show(done, total)

        yield first


def _bar(label: str, stream: TextIO, stack: contextlib.ExitStack) -> Progress:
    """Draw a bar until ``stack`` is closed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn(escape(label)),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = stack.enter_context(Bars(*columns, console=Console(file=stream), transient=True))
    task = bars.add_task(label, total=None)
    return lambda done, total: bars.update(task, completed=done, total=total)


def _lines(label: str, stream: TextIO) -> Progress:
    said = -1

    def show(done: int, total: int | None) -> None:
        nonlocal said
        if not total:
            return
        quarter = 4 * done // total
        if quarter > said:
            said = quarter
            print(f"{label}: {25 * quarter} % of {total / 1e6:.0f} MB", file=stream, flush=True)

    return show

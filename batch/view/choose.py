"""Which view suits the stream: live for a terminal, plain lines otherwise, JSON when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self, TextIO

from batch.events import Event
from batch.view.dry_run import DryRunView
from batch.view.jsonlines import JsonView
from batch.view.live import LiveView
from batch.view.plain import PlainView
from batch.view.stream import LineStream
from orchestrator.console import Console

_DUMB = frozenset({"", "dumb", "unknown"})


class View(Protocol):
    """An observer to be used in a ``with`` block, which leaves the terminal as it was."""

    def handle(self, event: Event) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def choose_view(
    lines: LineStream, environ: Mapping[str, str], *, json: bool = False, dry_run: bool = False
) -> View:
    """The view for the stream. ``NO_COLOR`` and ``TERM`` are taken from ``environ``."""
    stream = lines.stream
    if json:
        return JsonView(lines)
    if dry_run:
        return DryRunView(make_console(stream, environ))
    if is_live_terminal(stream, environ):
        return LiveView(make_console(stream, environ))
    return PlainView(lines)


def is_live_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether lines of ``stream`` can be drawn again. Windows' console sets no ``TERM``."""
    return stream.isatty() and environ.get("TERM", "unset").lower() not in _DUMB


def make_console(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """A console on ``stream`` that never interprets markup in what it is given."""
    return Console(
        file=stream,
        force_terminal=is_live_terminal(stream, environ),
        no_color=bool(environ.get("NO_COLOR")),
        markup=False,
        emoji=False,
        highlight=False,
    )

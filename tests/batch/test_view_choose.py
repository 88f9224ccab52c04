"""Which view a stream gets."""

from __future__ import annotations

import io

import pytest

from batch.view.choose import choose_view, make_console
from batch.view.dry_run import DryRunView
from batch.view.jsonlines import JsonView
from batch.view.live import LiveView
from batch.view.plain import PlainView
from batch.view.stream import LineStream


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_live_view() -> None:
    assert isinstance(choose_view(LineStream(Terminal()), {"TERM": "xterm"}), LiveView)
    assert isinstance(choose_view(LineStream(Terminal()), {}), LiveView)


@pytest.mark.parametrize("term", ["dumb", "unknown", "", "DUMB"])
def test_a_dumb_terminal_gets_plain_lines(term: str) -> None:
    assert isinstance(choose_view(LineStream(Terminal()), {"TERM": term}), PlainView)


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(choose_view(LineStream(io.StringIO()), {"TERM": "xterm"}), PlainView)


def test_json_wins() -> None:
    assert isinstance(choose_view(LineStream(Terminal()), {}, json=True, dry_run=True), JsonView)


def test_a_dry_run_lists() -> None:
    assert isinstance(choose_view(LineStream(Terminal()), {}, dry_run=True), DryRunView)


def test_no_color() -> None:
    assert make_console(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}).no_color
    assert not make_console(Terminal(), {"TERM": "xterm", "NO_COLOR": ""}).no_color


def test_markup_is_never_interpreted() -> None:
    file = io.StringIO()
    make_console(file, {}).print("[bold]:smile:[/foo]")
    assert file.getvalue() == "[bold]:smile:[/foo]\n"

from __future__ import annotations

import io

import pytest

from orchestrator.provision.progress import show_bytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_at_each_quarter_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with show_bytes("model base", stream) as show:
        show(5, None)
        for done in (0, 10, 26, 30, 80, 100):
            show(done * 10**6, 10**8)
    assert stream.getvalue().splitlines() == [
        f"model base: {quarter} % of 100 MB" for quarter in (0, 25, 75, 100)
    ]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with show_bytes("model [base]", stream) as show:
        show(10, 100)
        show(100, 100)
    assert "model [base]" in stream.getvalue()


def test_nothing_is_drawn_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with show_bytes("model base", stream):
        pass
    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with show_bytes("model base", stream) as show:
        show(1, 1)
    assert stream.getvalue() == "model base: 100 % of 0 MB\n"

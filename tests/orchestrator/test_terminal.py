"""What a terminal is shown."""

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.errors import ErrorInfo
from orchestrator.terminal import (
    accept_any_text,
    print_failure,
    printable,
    printable_line,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Café 日本.mkv", "Café 日本.mkv"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\rb", "a\\rb"),
        ("a\tb", "a\\tb"),
        ("\udcff", "\\udcff"),
        ("abc\u202etxt", "abc\\u202etxt"),
        ("\x9b31m", "\\x9b31m"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_what_a_terminal_could_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None, categories=None)))
def test_nothing_shown_is_a_control(text: str) -> None:
    shown = printable(text)
    assert all(one.isprintable() or one == "\n" for one in shown)
    shown.encode("utf-8")


def test_a_name_stays_on_one_line() -> None:
    assert printable_line("a\nwrote b\x1b") == "a\\nwrote b\\x1b"


def test_what_a_terminal_cannot_show_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", newline="\n"))
    monkeypatch.setattr("sys.stderr", io.StringIO())
    accept_any_text()
    print("é 日 \udcff", flush=True)
    assert raw.getvalue() == b"\\xe9 \\u65e5 \\udcff\n"


def told(info: ErrorInfo, encoding: str) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    print_failure(info, stream)
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_a_failure_says_what_to_do() -> None:
    info = ErrorInfo("no_media", "/films/é\x1b: no media", "Name another folder.")
    assert told(info, "utf-8") == (
        "error: /films/é\\x1b: no media (no_media)\n  what to do: Name another folder.\n"
    )
    assert told(info, "ascii").startswith("error: /films/\\xe9\\x1b: no media")


def test_a_name_with_line_breaks_forges_no_failure() -> None:
    info = ErrorInfo("no_media", "/films/a\nerror: forged (odd): no media", "Look\nthere.")
    assert told(info, "utf-8") == (
        "error: /films/a\n  error: forged (odd): no media (no_media)\n"
        "  what to do: Look\n  there.\n"
    )


def test_a_failure_without_a_way_out_is_one_line() -> None:
    assert told(ErrorInfo("odd", "It is odd."), "utf-8") == "error: It is odd. (odd)\n"


def test_a_stream_that_does_not_know_its_encoding_gets_ascii() -> None:
    stream = io.StringIO()
    print_failure(ErrorInfo("odd", "é"), stream)
    assert stream.getvalue() == "error: \\xe9 (odd)\n"


def without_a_reader(code: str) -> tuple[int, str]:
    """Exit status and standard error of a program whose output nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", f"import sys\n{code}"],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    return ended.returncode, ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe there is told otherwise")
@pytest.mark.parametrize(
    ("act", "code"),
    [
        ("def act():\n    print('x' * 100_000)\n    return 0", 141),
        ("def act():\n    print('it is done')\n    return 5", 5),
        (
            "from orchestrator.console import Console\n"
            "def act():\n    Console().print('x')\n    return 5",
            5,
        ),
    ],
    ids=["amid its output", "at its end", "on a console"],
)
def test_a_reader_that_went_away_ends_a_command_without_a_word(act: str, code: int) -> None:
    run = "from orchestrator.terminal import run_command\nsys.exit(run_command(act))"
    assert without_a_reader(f"{act}\n{run}") == (code, "")

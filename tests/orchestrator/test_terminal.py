"""What a terminal is shown."""

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.errors import ErrorInfo, ExitCode, fail
from orchestrator.terminal import (
    accept_any_text,
    print_failure,
    printable,
    printable_line,
    run_command,
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


@pytest.mark.skipif(sys.platform == "win32", reason="no shell there closes descriptors")
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
@pytest.mark.parametrize(
    ("end", "code"),
    [("return 5", 5), ("raise fail('no_media', 'none', 'do')", 3), ("raise BrokenPipeError", 141)],
)
def test_a_closed_stream_is_not_missed(closed: str, end: str, code: int) -> None:
    """All was done, and the command ended with a traceback and status 1."""
    program = (
        "import os, sys\n"
        "from orchestrator.contract.errors import fail\n"
        "from orchestrator.terminal import accept_any_text, run_command\n"
        "def act():\n"
        "    assert os.open(os.devnull, os.O_RDONLY) > 2\n"
        "    print('é', sys.stdout.encoding, file=sys.stderr)\n"
        "    sys.stdout.write('done')\n"
        f"    {end}\n"
        "accept_any_text()\n"
        "sys.exit(run_command(act))\n"
    )
    shell = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    ended = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)


def ended_by(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)

    def act() -> int:
        raise error

    return run_command(act), said.getvalue()


def test_a_file_in_the_place_of_a_folder_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was a traceback."""
    (tmp_path / "work").touch()
    with pytest.raises(FileExistsError) as caught:
        (tmp_path / "work").mkdir(exist_ok=True)
    code, said = ended_by(caught.value, monkeypatch)
    assert code == ExitCode.RESUMABLE
    assert f"({tmp_path / 'work'}): {os.strerror(errno.EEXIST)} (storage_error)" in said
    assert "what to do: Something else has that name" in said


def test_who_cannot_be_told_has_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a traceback, and status 1."""

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("orchestrator.terminal.print_failure", refuse)
    code, said = ended_by(fail("no_media", "none", "Name another folder."), monkeypatch)
    assert (code, said) == (ExitCode.NO_INPUT, "")


@pytest.mark.parametrize(
    "error", [OSError("odd"), OSError(errno.EBADF, "bad", 5), OSError(errno.ECHILD, "none")]
)
def test_what_is_a_bug_is_not_told_as_a_disk(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match=re.escape(str(error))):
        ended_by(error, monkeypatch)


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

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

import verify_install
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import detect
from orchestrator.preflight import gather
from orchestrator.preflight.check import Check
from orchestrator.preflight.context import Context
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model
from orchestrator.settings import load_settings, resolved

ROOT = Path(verify_install.__file__).resolve().parent


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty work folder and nobody's settings."""
    monkeypatch.setenv("BATCH_SUBTITLES_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_a_fresh_machine_cannot_run_and_says_what_to_do(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_install.main([]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok    Python: ")
    at = next(i for i, line in enumerate(lines) if line.startswith("FAIL  environment asr"))
    assert "fix: Run verify_install.py --build" in lines[at + 1]
    assert lines[-1].startswith("A batch cannot run: ")
    assert not (fresh / "work" / "verified.json").exists()


def test_json_is_one_document(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = fresh / "media" / "film.mkv"
    film.parent.mkdir()
    film.write_bytes(b"x")
    assert verify_install.main(["--json", "--input-dir", str(film.parent)]) == 4
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    [media] = [check for check in report["checks"] if check["name"] == "input folder"]
    assert media["detail"] == f"1 media file in {film.parent}"


def test_wrong_settings_are_a_failed_check(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = fresh / "own.yaml"
    config.write_text("max_wrkers: 2\n")
    assert verify_install.main(["--config", str(config)]) == 4
    output = capsys.readouterr().out
    assert "FAIL  settings" in output
    assert "max_wrkers" in output


def test_an_old_python_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verify_install, "OLDEST_PYTHON", (99, 0))
    assert verify_install.main([]) == 4
    assert "fix: install Python 3.11 or later" in capsys.readouterr().out


def test_the_standard_library_is_enough_to_say_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "verify_install.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 4, done.stderr
    assert "FAIL  base packages: missing: trio" in done.stdout
    assert "run_batch" in done.stdout


def test_colours_on_a_terminal_and_no_markup_from_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    verify_install.show(Check("input folder", False, "no media in [/foo]\x1b[2J", "look there"))
    assert "[/foo]\\x1b[2J" in terminal.getvalue()
    assert "fix: look there" in terminal.getvalue()


def test_an_ascii_terminal_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    verify_install.show(Check("input folder", True, "3 files in Été"))
    sys.stdout.flush()
    assert buffer.getvalue() == b"ok    input folder: 3 files in \\xc9t\\xe9\n"


def test_what_passes_is_stamped(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (fresh / "work").mkdir()
    monkeypatch.setattr(
        "orchestrator.preflight.run.checks", lambda _context: iter([Check("all", True, "good")])
    )
    keys = iter([None, "key"])
    monkeypatch.setattr(gather, "verified_key", lambda *_rest: next(keys))
    stamp = fresh / "work" / "verified.json"
    assert verify_install.main([]) == 0
    assert capsys.readouterr().out.endswith("A batch can run.\n")
    assert not stamp.exists()
    assert verify_install.main([]) == 0
    assert json.loads(stamp.read_text())["key"] == "key"


def test_the_key_follows_models_environments_and_settings(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model("base", fresh, "m" * 64, "somewhere")
    built = Environment("asr", "k" * 64, fresh, fresh / "python", "3.12.1", {}, {})

    def key(**given: object) -> str | None:
        loaded = load_settings(cli={k.replace("__", "."): v for k, v in given.items()}, environ={})
        hardware = detect()
        values = resolved(loaded.settings, hardware, loaded.catalogue)
        context = gather.make_context(
            loaded, values, hardware, WorkFolder(fresh), count_media=lambda _folder: 0
        )
        assert context.models[0].was_default is ("stages__asr__model" not in given)
        return gather.verified_key(context, values)

    assert key() is None
    monkeypatch.setattr(gather, "find_ready", lambda *_rest: built)
    assert key() is None
    monkeypatch.setattr(Context, "find_model", lambda _self, _wish: model)
    plain = key()
    assert plain is not None
    assert key(max_workers="2") == plain
    assert key(stages__asr__beam_size="2") != plain
    assert key(stages__asr__model="small") != plain

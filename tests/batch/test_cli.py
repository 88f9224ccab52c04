"""What cannot be run is refused before anything is built, with the exit code that says why."""

from __future__ import annotations

import errno
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from batch import cli
from batch.load import Counters
from batch.options import Options
from batch.session import new_run_id
from orchestrator.contract.errors import ErrorClass, ExitCode, fail
from orchestrator.settings import load_settings

FAKES = Path(__file__).parents[1] / "fakes"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    with (folder / "a.wav").open("wb") as stream, wave.open(stream) as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(800))
    return folder


@pytest.fixture
def run(
    tmp_path: Path,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the command in this process; returns its exit code and what it wrote to stderr."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"stage_paths: ['{FAKES}']\nworkflows: {{fake-flow: [fake, relay]}}\nworkflow: fake-flow\n"
    )

    def run(*arguments: str | Path, config: Path = config) -> tuple[int, str]:
        argv = ["--work-dir", str(tmp_path / "work"), "--config", str(config)]
        try:
            code = cli.main([*argv, *map(str, arguments)])
        except SystemExit as exit_:
            code = int(str(exit_.code))
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        return code, captured.err

    return run


def test_no_such_folder(run: Run, tmp_path: Path) -> None:
    code, error = run(tmp_path / "nowhere")
    assert code == 3
    assert "(input_not_found)" in error
    assert "what to do:" in error


def test_no_folder_at_all(run: Run) -> None:
    code, error = run()
    assert (code, "(input_not_set)" in error) == (3, True)


def test_no_media_in_the_folder(run: Run, library: Path) -> None:
    (library / "a.wav").rename(library / "a.txt")
    code, error = run(library)
    assert (code, "(no_media)" in error) == (3, True)


def test_a_default_folder_serves_where_none_is_set(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "samples"
    empty.mkdir()
    code, error = run("--default-input-dir", empty)
    assert (code, str(empty) in error) == (3, True)


def test_a_set_folder_wins_over_the_default_one(run: Run, tmp_path: Path) -> None:
    _, error = run(tmp_path / "set", "--default-input-dir", tmp_path / "samples")
    assert str(tmp_path / "set") in error


def test_settings_errors_are_told_all_at_once(run: Run, library: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(f"max_workers: 0\nfromats: [srt]\nstage_paths: ['{FAKES}']\n")
    code, error = run(library, "--set", "stages.fake.fault=naughty", config=wrong)
    assert code == 2
    assert "did you mean" in error
    for key in ("max_workers", "fromats", "stages.fake.fault"):
        assert key in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "missing.yaml"),
        ("--limit", "0"),
        ("--limit", "many"),
        ("--set", "max_workers"),
        ("--max-workers", "two"),
        ("--no-such-flag",),
        ("--device", "cuda:7"),
        ("--stages", "fake,nonsense"),
        ("--workflow", "no-such-flow"),
    ],
)
def test_a_wrong_command_line(run: Run, library: Path, arguments: tuple[str, ...]) -> None:
    code, error = run(library, *arguments)
    assert code == 2
    assert error


@pytest.mark.parametrize("place", ["file", "file/below", "taken"])
def test_a_work_folder_that_cannot_be_used(
    run: Run, library: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "coordinator.lock").mkdir(parents=True)
    code, error = run(library, "--work-dir", tmp_path / place)
    assert code == 75
    assert str(tmp_path / place) in error


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (fail("environment_build_failed", "no", error_class=ErrorClass.ENVIRONMENT), 4),
        (fail("disk_full", "no", error_class=ErrorClass.STORAGE), 75),
        (KeyboardInterrupt(), 130),
        (OSError(errno.EIO, "Input/output error", "/batch"), 75),
        (ExceptionGroup("", [OSError(errno.ESTALE, "Stale file handle")]), 75),
    ],
)
def test_the_exit_code_says_why_it_could_not_start(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: ExitCode
) -> None:
    def stopped(options: Options, load_since: Counters) -> int:
        raise raised

    monkeypatch.setattr("batch.session.run_session", stopped)
    assert run(library)[0] == code


def test_a_bug_is_not_taken_for_a_broken_disk(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(options: Options, load_since: Counters) -> int:
        raise ExceptionGroup("", [OSError(errno.EIO, "Input/output error"), KeyError("x")])

    monkeypatch.setattr("batch.session.run_session", stopped)
    with pytest.raises(ExceptionGroup):
        run(library)


def test_options_reach_the_session(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Options] = []

    def remember(options: Options, load_since: Counters) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr("batch.session.run_session", remember)
    code, _ = run(library, "--limit", "3", "--stages", "fake, relay", "--dry-run", "--no-resume")
    assert code == 0
    (options,) = seen
    assert (options.limit, options.stages) == (3, ("fake", "relay"))
    assert (options.dry_run, options.resume, options.retry_failed) == (True, False, False)
    assert options.loaded.settings.input_dir == library


def test_run_ids_are_unique_and_name_their_time() -> None:
    one, other = new_run_id(), new_run_id()
    assert one != other
    assert len(one) == len("20260131T220000Z-1a2b3c4d5e6f")


def test_a_settings_file_to_start_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--print-config"]) == 0
    written = tmp_path / "config.yaml"
    written.write_text(capsys.readouterr().out, encoding="utf-8")
    loaded = load_settings(cli={}, environ={}, config_path=written)
    assert loaded.settings.workflow == "subtitle-gen"

"""``run-pipeline pipeline``: what it shows of the shipped workflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli.run_pipeline import main
from orchestrator.contract.errors import ExitCode

Show = Callable[..., tuple[int, str, str]]


def flat(picture: str) -> str:
    """The words of the picture, whatever lines they stand on."""
    return " ".join(picture.replace("|", " ").replace("│", " ").split())


@pytest.fixture
def show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Show:
    (tmp_path / "config.yaml").write_text("device: cpu\n")
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("BATCH_SUBTITLES_CONFIG", str(tmp_path / "config.yaml"))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["pipeline", *words, "--work-dir", str(tmp_path / "work")])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_default_workflow(show: Show) -> None:
    code, out, _ = show()
    assert code == ExitCode.OK
    names = ["demux:", "asr:", "hallucination:", "subtitles:"]
    assert [out.index(name) for name in names] == sorted(out.index(name) for name in names)
    for text in (
        "subtitle-gen, on cpu: asked for in the settings",
        "audio, audio_info from demux",
        "transcript from hallucination",
        "asr (to be built)",
        "base (to be fetched, 148 MB): speech recognition runs on the CPU",
        "NAME.LANGUAGE.srt",
    ):
        assert text in out
    assert "vtt" not in out


def test_every_language_and_what_is_published(show: Show) -> None:
    code, out, _ = show(
        *("show", "--workflow", "translate", "--set", "translate_to=pt,fr"),
        *("--set", "add_stages=mux", "--set", "language=de", "--set", "formats=srt,vtt"),
    )
    assert code == ExitCode.OK
    for text in ("translation.pt:", "translation.fr:", "NAME.pt.vtt", "NAME.de.srt"):
        assert text in out
    assert "srt from subtitles; srt.pt from translation.pt" in flat(out)
    assert "NAME.subtitled.mkv" in out


def test_a_workflow_can_be_looked_at_before_its_languages_are_chosen(show: Show) -> None:
    code, out, _ = show("--workflow", "translate")
    assert code == ExitCode.OK
    assert "translation.LANGUAGE:" in out
    assert "none: set stages.translation.models" in out


def test_an_own_model_is_on_this_machine_or_not_there(show: Show, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.bin").write_bytes(b"weights")
    assert "(on this machine)" in flat(show("--set", f"stages.asr.model={tmp_path / 'own'}")[1])
    assert "(not there)" in flat(show("--set", f"stages.asr.model={tmp_path / 'none'}")[1])


def test_what_is_wrong_is_told(show: Show) -> None:
    code, out, err = show("--set", "add_stages=subtitels")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "did you mean 'subtitles'?" in err

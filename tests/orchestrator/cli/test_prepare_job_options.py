"""What the options of ``prepare-job`` mean as settings."""

from __future__ import annotations

import pytest

from orchestrator.cli.prepare_job import _cli, _parser


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("", {}),
        ("--transcribe", {"workflow": "transcribe"}),
        ("--subtitle-gen", {"workflow": "subtitle-gen"}),
        ("--workflow translate", {"workflow": "translate"}),
        ("--translate-to pt,fr", {"translate_to": "pt,fr"}),
        (
            "--set language=de --set stages.asr.model=small",
            {
                "language": "de",
                "stages.asr.model": "small",
            },
        ),
        ("--set language=de --language en", {"language": "en"}),
        ("--model base --work-dir w", {"stages.asr.model": "base", "work_dir": "w"}),
    ],
)
def test_options_are_settings(words: str, settings: dict[str, object]) -> None:
    assert _cli(_parser().parse_args(["film.mkv", *words.split()])) == settings


@pytest.mark.parametrize("words", ["--transcribe --subtitle-gen", "--transcribe --workflow mine"])
def test_one_workflow_at_a_time(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["film.mkv", *words.split()])
    assert "not allowed with" in capsys.readouterr().err

"""A selection of hostile names; ``python3 -m tests.faults --only names`` has thousands."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Batch, batch
from tests.faults import harmless, names, texts
from tests.faults.name_lists import known, made
from tests.faults.worlds import put, put_deep, world

__all__ = ["batch"]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="names of any bytes, and paths that long, are Linux's"
)


def every(step: int) -> list[bytes]:
    return known()[::step]


@pytest.mark.real
@pytest.mark.parametrize("view", ["json", "live"])
def test_hostile_names(batch: Batch, view: str) -> None:
    films = put(batch.library, [*every(16), *made(12, number=1)])
    tally = names.night(batch, films, view)
    assert tally.wrong == []


@pytest.mark.real
def test_paths_as_long_as_there_are(batch: Batch) -> None:
    tally = names.night(batch, put_deep(batch.library, (1100, 4000, 4090, 4096, 5000)), "plain")
    assert tally.wrong == []


@pytest.mark.real
def test_names_that_differ_in_form_or_case_alone(batch: Batch) -> None:
    twins = [unicodedata.normalize(form, "Été Ångström") for form in ("NFC", "NFD")]
    batch.add(*(f"{name}.wav" for name in (*twins, "Film", "film", "FILM")))
    before = world(batch.library)
    outcome = batch.json()
    assert outcome.code == 0
    assert set(outcome.finished.values()) == {"done"}
    after = world(batch.library)
    assert before.items() <= after.items()
    assert {os.fsdecode(path) for path in after.keys() - before.keys()} == {
        f"{name}.en.{extension}"
        for name in (*twins, "Film", "film", "FILM")
        for extension in ("srt", "vtt")
    }


@pytest.mark.real
def test_media_whose_subtitles_would_have_the_same_name(batch: Batch) -> None:
    """One of them gets it, always the same, and the other one is told about that."""
    batch.add("film.wav", "film.en.wav")
    (batch.library / "film.MP3").write_bytes((batch.library / "film.wav").read_bytes())
    for arguments in ((), ("--no-resume",)):
        outcome = batch.json(*arguments)
        assert outcome.code == 0
        assert outcome.skipped["film.wav"] == "same_name"
    assert batch.names() == [
        *("film.MP3", "film.en.en.srt", "film.en.en.vtt"),
        *("film.en.srt", "film.en.vtt", "film.en.wav", "film.wav"),
    ]


def test_recognised_text_is_text() -> None:
    said = [one.decode("utf-8", "surrogateescape") for one in (*every(3), *made(60, number=2))]
    assert texts.wrong_with([*texts.FORGERIES, *said]) == []


# What these checks are worth: each notices what it is there for.


@pytest.fixture
def without_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.stagekit.subtitle_formats._SRT_LOOKALIKES", {})
    monkeypatch.setattr("orchestrator.stagekit.subtitle_formats._VTT_ESCAPES", {})


@pytest.mark.usefixtures("without_escapes")
def test_markup_in_subtitles_would_be_noticed() -> None:
    wrong = "\n".join(texts.wrong_with(["<b>bold</b> {\\an8}"]))
    for sign in ("srt has the markup '<", "srt has the markup '{", "vtt has the markup '<"):
        assert sign in wrong


@pytest.mark.usefixtures("without_escapes")
def test_forged_cues_would_be_noticed() -> None:
    wrong = "\n".join(texts.wrong_with(["00:00:01,000 --> 00:00:02,000"]))
    assert "srt has 2 cues, and 1 were made" in wrong
    assert "vtt has 2 cues, and 1 were made" in wrong


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb\x07", "\x9b31m", "\u202e", "\udcff", "\u2028"])
def test_what_a_terminal_obeys_is_noticed(text: str) -> None:
    assert harmless.harmful(text)
    assert harmless.harmful(harmless.without_drawing(f"\x1b[2K\r{text}"))


def test_what_the_live_view_draws_with_is_not_harmful() -> None:
    drawn = "\x1b[?25l\r\x1b[2K\x1b[1A\x1b[1;31m✗\x1b[0m name\n\x1b[?25h"
    assert harmless.harmful(harmless.without_drawing(drawn)) == []


@pytest.mark.parametrize(
    "html",
    [
        "<img src=x>",
        '<b onclick="x()">',
        "<script>other()</script>",
        "<!-- -->",
        '<bdi title="\u202e">',
        "a\x1bb",
    ],
)
def test_what_a_browser_would_run_is_noticed(html: str) -> None:
    assert harmless.read_page(html, "")[0]


def test_names_in_a_page_are_read_back() -> None:
    page = '<bdi title="a&lt;b&gt;">a</bdi><script>mine()</script>'
    assert harmless.read_page(page, "mine()") == ([], ["a<b>"])


def test_files_in_the_wrong_place_are_noticed(tmp_path: Path) -> None:
    sandbox = Batch(tmp_path, [])
    (first, second) = put(sandbox.library, [b"a", b"b\xff"])
    before = world(tmp_path)
    outputs = {output: film for film in (first, second) for output in film.outputs}
    for output, film in outputs.items():
        with open(output, "wb") as stream:
            stream.write(names.greeting(film))
    assert names.differences(before, world(tmp_path), sandbox, outputs) == []

    os.utime(first.path, (1, 1))
    with open(first.outputs[0], "wb") as stream:
        stream.write(names.greeting(second))
    os.unlink(second.outputs[0])
    (tmp_path / "elsewhere").touch()
    (sandbox.library / ".batch-subtitles-0.tmp").touch()
    assert len(names.differences(before, world(tmp_path), sandbox, outputs)) == 5

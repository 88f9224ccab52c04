"""Nothing in the library is overwritten but our own files, and those only while they are ours."""

import os

import pytest

from .conftest import OLD, Batch, tree, write_wav

pytestmark = pytest.mark.real

HALLO = ("--set", "stages.relay.greeting=hallo")


def test_a_subtitle_of_a_person_is_never_touched(batch: Batch) -> None:
    batch.add("a.wav", "b.wav")
    for name, content in (("a.en.srt", b"\xff\xfe odd bytes"), ("b.srt", b"")):
        path = batch.library / name
        path.write_bytes(content)
        os.utime(path, (OLD, OLD))
    before = tree(batch.library)
    for arguments in ((), ("--no-resume",), HALLO):
        outcome = batch.json(*arguments)
        assert outcome.code == 0
        assert outcome.skipped == {"a.wav": "subtitle_exists", "b.wav": "subtitle_exists"}
    assert tree(batch.library) == before


def test_names_taken_by_something_else_are_refused_before_any_work(batch: Batch) -> None:
    batch.add("a.wav")
    (batch.library / "a.en.srt").mkdir()
    (batch.library / "a.en.vtt").mkdir()
    outcome = batch.json("--language", "en")
    assert outcome.code == 0
    assert outcome.skipped == {"a.wav": "name_taken"}


def test_changed_settings_replace_our_own_files(batch: Batch) -> None:
    batch.add("a.wav")
    batch.run()
    assert batch.json(*HALLO).finished == {"a.wav": "done"}
    assert (batch.library / "a.en.vtt").read_text().startswith("hallo en")
    assert batch.json(*HALLO).skipped == {"a.wav": "already_done"}


def test_changed_settings_leave_a_file_that_a_person_edited(batch: Batch) -> None:
    batch.add("a.wav")
    batch.run()
    edited = batch.library / "a.en.vtt"
    edited.write_text(edited.read_text() + "corrected by hand\n")
    before = tree(batch.library)

    outcome = batch.json(*HALLO)

    assert outcome.code == 0
    assert outcome.skipped == {"a.wav": "subtitle_exists"}
    assert tree(batch.library) == before


def test_a_deleted_subtitle_is_made_again_from_what_is_there(batch: Batch) -> None:
    batch.add("a.wav")
    batch.run()
    before = (batch.library / "a.en.srt").read_bytes()
    (batch.library / "a.en.srt").unlink()

    outcome = batch.json()

    assert outcome.finished == {"a.wav": "done"}
    assert (batch.library / "a.en.srt").read_bytes() == before
    assert batch.attempts("fake") == 1


def test_a_film_replaced_by_another_is_done_again(batch: Batch) -> None:
    batch.add("a.wav")
    batch.run()
    write_wav(batch.library / "a.wav", seconds=0.4)
    outcome = batch.json()
    assert [one["reason"] for one in outcome.of("queued")] == ["changed"]
    assert outcome.finished == {"a.wav": "done"}
    assert batch.attempts("fake") == 2


def test_a_touched_film_is_the_same_film(batch: Batch) -> None:
    batch.add("a.wav")
    batch.run()
    os.utime(batch.library / "a.wav", (OLD + 9, OLD + 9))
    for _ in range(2):
        assert batch.json().skipped == {"a.wav": "already_done"}


def test_the_output_folder_mirrors_the_library(batch: Batch) -> None:
    batch.add("one/film.wav", "two/film.wav")
    before = tree(batch.library)
    output = batch.folder / "subtitles"
    for _ in range(2):
        assert batch.run("--output-dir", output).code == 0
    assert tree(batch.library) == before
    assert sorted(str(path.relative_to(output)) for path in output.rglob("*.*")) == [
        "one/film.en.srt",
        "one/film.en.vtt",
        "two/film.en.srt",
        "two/film.en.vtt",
    ]
    assert batch.attempts("fake") == 2


def test_a_read_only_library_with_an_output_folder(batch: Batch) -> None:
    batch.add("one/film.wav")
    folders = [batch.library, batch.library / "one"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        outcome = batch.run("--output-dir", batch.folder / "subtitles")
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert outcome.code == 0
    assert (batch.folder / "subtitles" / "one" / "film.en.srt").exists()


def test_a_single_file_may_be_named(batch: Batch) -> None:
    batch.add("a.wav", "b.wav")
    assert batch.json(library=batch.library / "a.wav").finished == {"a.wav": "done"}
    assert batch.json().skipped == {"a.wav": "already_done"}

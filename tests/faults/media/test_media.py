"""Media that lies, through the real probe and demux: a selection of what ``campaign.py`` runs."""

from __future__ import annotations

import os
import socket
import struct
import wave
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.catalogue import load_catalogue
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.environments import ensure_environment
from tests.faults.media import originals
from tests.faults.media.campaign import (
    WORK,
    Tools,
    damage,
    loss_figures,
    lure_figures,
    mutant_figures,
    whole_files,
)
from tests.faults.media.mutants import without_first_cluster
from tests.faults.media.resident import Ears

pytestmark = pytest.mark.real
SEED = 7_000_000
MUTANTS = 300
LOSSES, KNOWN_EVERY = 100, 11


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    WORK.mkdir(parents=True, exist_ok=True)
    spec = load_catalogue([]).environments["media"]
    python = ensure_environment(spec, WORK, BuildOptions()).python
    folder = tmp_path_factory.mktemp("media")
    made = originals.make_formats(originals.ffmpeg_of(python), folder / "media" / "formats")
    return Tools(python, folder, tuple(made))


@pytest.fixture(scope="module")
def ears(tools: Tools) -> Iterator[Ears]:
    with tools.ears() as pair:
        yield pair


def test_lost_audio_is_told(tools: Tools) -> None:
    cases = tools.cases(range(SEED, SEED + LOSSES), "loss") + tools.known_losses()[::KNOWN_EVERY]
    verdicts = list(damage(tools, cases))
    figures = loss_figures(verdicts, [])
    figures.print()
    assert not figures.failures


def test_whole_files_give_no_alarm(tools: Tools) -> None:
    figures = loss_figures([], list(whole_files(tools, tools.folder / "media", thorough=False)))
    figures.print()
    assert not figures.failures


def test_no_damage_hangs_crashes_or_passes_for_whole(tools: Tools) -> None:
    cases = tools.cases(range(SEED, SEED + MUTANTS), "any")
    figures = mutant_figures(list(damage(tools, cases)))
    figures.print()
    assert not figures.failures


def test_nothing_is_reached_through_a_file(tools: Tools) -> None:
    figures = lure_figures(tools, extensions=("mkv", "mp4", "ts", "mp3"))
    figures.print()
    assert not figures.failures


def codes(ears: Ears, path: Path) -> tuple[str, str]:
    """What probe and demux say is wrong with it."""
    error = ears.probe(path).error
    return error.code if error else "", ears.demux(path).code


def test_what_is_no_file_is_refused_at_once(
    ears: Ears, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    os.mkfifo("pipe.mkv")
    Path("folder.mkv").mkdir()
    Path("loop.mkv").symlink_to("loop.mkv")
    Path("device.mkv").symlink_to("/dev/zero")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("socket.mkv")
        for name in ("pipe", "folder", "loop", "device", "socket"):
            found = ears.probe(tmp_path / f"{name}.mkv").error
            assert found is not None
            assert (name, found.code) == (name, "not_a_file")
            assert ears.demux(tmp_path / f"{name}.mkv").code == "not_a_file"


def test_other_content_under_the_name_of_a_film(ears: Ears, tools: Tools, tmp_path: Path) -> None:
    ffmpeg = originals.ffmpeg_of(tools.python)
    picture = tmp_path / "picture.jpg"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240", "-frames:v", "1", picture)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(picture, "film.mkv")
    (tmp_path / "page.html").write_text("<!doctype html><title>404</title>" + "<p>lost" * 500)
    (tmp_path / "text.txt").write_text("nothing to hear\n" * 500)
    for path in list(tmp_path.iterdir()):
        path = path.rename(path.with_suffix(".mkv"))
        assert codes(ears, path) == ("not_media", "not_media"), path.name


def test_a_hundred_gigabytes_of_nothing(ears: Ears, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.touch()
    os.truncate(path, 100_000_000_000)
    assert codes(ears, path) == ("not_media", "not_media")


def test_a_cover_is_no_film(ears: Ears, tools: Tools, tmp_path: Path) -> None:
    ffmpeg = originals.ffmpeg_of(tools.python)
    sound, film = tmp_path / "song.m4a", tmp_path / "cover.mp4"
    cover = ("-f", "lavfi", "-i", "testsrc2=size=320x240:duration=1")
    attached = ("-c:v", "mjpeg", "-frames:v", "1", "-disposition:v:0", "attached_pic")
    ffmpeg(*cover, *attached, film)
    ffmpeg(*cover, "-frames:v", "1", tmp_path / "cover.png")
    assert codes(ears, film) == ("no_audio_track", "no_audio_track")
    picture = ("-i", tmp_path / "cover.png", "-map", "0", "-map", "1")
    beside = ("-c:v", "mjpeg", "-disposition:v:0", "attached_pic")
    ffmpeg(*originals.SOUND, *picture, *beside, sound)
    heard = ears.demux(sound)
    assert heard.claims_complete
    assert heard.sounding > 9


def test_a_header_that_claims_weeks(ears: Ears, tools: Tools, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    whole = next(path for path in tools.originals if path.name == "film.mkv").read_bytes()
    at = whole.index(b"\x44\x89\x88") + 3
    path.write_bytes(
        whole[:at]
        + struct.pack(">d", 4_294_967_000.0)
        + whole[at + 8 :].replace(b"DURATION", b"X" * 8)
    )
    assert ears.probe(path).duration is None
    heard = ears.demux(path)
    assert (heard.ok, heard.warnings, heard.info["length_verified"]) == (True, (), False)
    assert heard.sounding > 9


@pytest.mark.parametrize("name", ["film.mkv", "film.webm", "ac3.mkv"])
def test_a_film_without_its_first_part(ears: Ears, tools: Tools, tmp_path: Path, name: str) -> None:
    whole = next(path for path in tools.originals if path.name == name).read_bytes()
    path = tmp_path / name
    path.write_bytes(without_first_cluster(whole))
    assert ears.demux(path).told


@pytest.mark.parametrize("name", ["film.w64", "film.wav"])
def test_a_header_that_claims_one_sample_a_second(
    ears: Ears, tools: Tools, tmp_path: Path, name: str
) -> None:
    ffmpeg, path = originals.ffmpeg_of(tools.python), tmp_path / name
    ffmpeg(*originals.SOUND, path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(struct.pack("<I", 44_100), struct.pack("<I", 1), 1))
    assert ears.demux(path).code == "no_audio_decoded"


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "plain.mp3", "film.ts", "plain.wav"])
def test_a_wrong_extension_is_no_obstacle(
    ears: Ears, tools: Tools, tmp_path: Path, name: str
) -> None:
    whole = next(path for path in tools.originals if path.name == name)
    for extension in ("avi", "mp3", "m4a", "webm", "wmv"):
        path = tmp_path / f"film.{extension}"
        path.write_bytes(whole.read_bytes())
        assert ears.probe(path).error is None
        assert ears.demux(path).sounding > 9


def test_a_film_under_digital_restrictions(ears: Ears, tools: Tools, tmp_path: Path) -> None:
    ffmpeg, path = originals.ffmpeg_of(tools.python), tmp_path / "film.mp4"
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    locked = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key)
    film = next(path for path in tools.originals if path.name == "film.mp4")
    ffmpeg("-i", film, "-c", "copy", *locked, "-encryption_kid", key, path)
    assert b"enca" in path.read_bytes()
    assert b"encv" in path.read_bytes()
    heard = ears.demux(path)
    assert heard.code == "no_audio_decoded"
    assert heard.error is not None
    assert "encrypted" in heard.error.hint


def grows(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(100_000))


def is_replaced(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"something else")
    os.replace(other, path)


def is_cut_in_place(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("change", [grows, is_replaced, is_cut_in_place])
def test_a_file_that_changes_while_it_is_read(ears: Ears, tmp_path: Path, change: object) -> None:
    path = tmp_path / "film.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(192_000) * 300)  # five minutes: most is read after the change
    assert callable(change)
    assert ears.demux(path, lambda: change(path)).code == "source_changed"

"""What demux decides without decoding: tracks, the line of time, the extent, the file itself."""

from __future__ import annotations

import os
import socket
import tempfile
import wave
from collections.abc import Iterable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract import mediafile, tracks
from orchestrator.contract.errors import Failure
from orchestrator.contract.exchange import Clip
from orchestrator.contract.media import choose_audio
from orchestrator.stages.demux import line as line_module
from orchestrator.stages.demux import witness as witness_module
from orchestrator.stages.demux.claims import Claim
from orchestrator.stages.demux.extent import Loss, audio_info, measure
from orchestrator.stages.demux.gaps import (
    LONGEST_JUMP,
    TOLERANCE,
    Placement,
    Timeline,
    pauses,
)
from orchestrator.stages.demux.line import AudioLine
from orchestrator.stages.demux.witness import Neighbours, Witness


@pytest.mark.parametrize(
    ("title", "dispositions", "commentary"),
    [
        ("", [], False),
        ("Surround 5.1", ["default"], False),
        ("Director's Commentary", [], True),
        ("Commentaire audio", [], True),
        ("Audiokommentar der Regie", [], True),
        ("Комментарий режиссёра", [], True),
        ("オーディオコメンタリー", [], True),
        ("English (Audio Description)", [], True),
        ("Hörfilmfassung", [], True),
        ("", ["comment"], True),
        ("", ["visual_impaired"], True),
        ("", ["hearing_impaired"], False),
    ],
)
def test_commentary_is_recognised(title: str, dispositions: list[str], commentary: bool) -> None:
    track = tracks.audio_track(1, "aac", {"title": title, "language": "eng"}, dispositions)
    assert track.commentary is commentary
    assert track.language == "en"


@pytest.mark.parametrize(
    ("languages", "wanted", "chosen"),
    [
        ([("eng", "Commentary", True), ("eng", "", False)], [], 1),
        ([("fra", "", True), ("eng", "", False)], ["en"], 1),
        ([("fra", "", False), ("eng", "", True)], [], 1),
        ([("eng", "Commentary", False), ("fra", "", False)], ["en"], 1),
        ([("eng", "Commentary", False)], [], 0),
    ],
)
def test_the_track_with_the_dialogue_is_chosen(
    languages: list[tuple[str, str, bool]], wanted: list[str], chosen: int
) -> None:
    found = [
        tracks.audio_track(
            index, "aac", {"language": language, "title": title}, ["default"] * default
        )
        for index, (language, title, default) in enumerate(languages)
    ]
    track = choose_audio(found, wanted)
    assert track is not None
    assert track.index == chosen


def test_mp4_keeps_titles_where_writers_put_their_names() -> None:
    assert tracks.audio_track(0, "aac", {"handler_name": "SoundHandler"}, []).title == ""
    assert tracks.audio_track(0, "aac", {"handler_name": "Commentary"}, []).commentary


def test_subtitle_tracks() -> None:
    signs = tracks.subtitle_track(
        2, "ass", {"title": "Signs & Songs", "language": "eng"}, ["default"]
    )
    assert (signs.forced, signs.default, signs.hearing_impaired) == (True, True, False)
    assert tracks.subtitle_track(2, "subrip", {"title": "English SDH"}, []).hearing_impaired
    assert tracks.subtitle_track(2, "subrip", {}, ["forced"]).forced
    assert tracks.subtitle_track(2, "subrip", {"title": "Commentary"}, []).commentary


FRAME = 0.02


def test_jitter_is_ignored() -> None:
    timeline = Timeline(may_be_cut=False)
    placed = [timeline.place(n * FRAME + (n % 3) * 0.01, FRAME) for n in range(50)]
    assert placed[0] == Placement(0.0, True)
    assert [round(p.time, 6) for p in placed] == [round(n * FRAME, 6) for n in range(50)]
    assert not any(p.fresh for p in placed[1:])


def test_a_gap_stays_a_gap() -> None:
    timeline = Timeline(may_be_cut=False)
    timeline.place(3.5, FRAME)
    assert timeline.place(7.5, FRAME) == Placement(7.5, True)
    assert timeline.gaps == [(3.52, 7.5)]


def test_a_frame_without_a_time_follows_the_last() -> None:
    timeline = Timeline(may_be_cut=False)
    assert timeline.place(None, FRAME) == Placement(0.0, True)
    assert timeline.place(None, FRAME) == Placement(FRAME, False)


def test_a_small_overlap_is_put_where_it_belongs() -> None:
    timeline = Timeline(may_be_cut=False)
    timeline.place(0.0, 1.0)
    assert timeline.place(0.8, FRAME) == Placement(0.8, True)
    assert timeline.gaps == []


@pytest.mark.parametrize("jump", [-5.0, LONGEST_JUMP + 1])
def test_a_cut_in_a_transport_stream_is_closed(jump: float) -> None:
    timeline = Timeline(may_be_cut=True)
    timeline.place(20.0, 1.0)
    assert timeline.place(21.0 + jump, 1.0) == Placement(21.0, False)
    assert timeline.place(22.0 + jump, 1.0) == Placement(22.0, False)
    assert timeline.cuts == [21.0]
    assert timeline.gaps == []


def test_a_long_jump_behind_damage_is_a_hole() -> None:
    timeline = Timeline(may_be_cut=True)
    timeline.place(0.0, 1.0)
    assert timeline.place(31.0, 1.0, torn=True) == Placement(31.0, True)
    assert timeline.gaps == [(1.0, 31.0)]


def test_a_jump_past_the_end_is_not_believed() -> None:
    timeline = Timeline(may_be_cut=False, end=60.0)
    timeline.place(0.0, 1.0)
    assert timeline.place(3000.0, 1.0) == Placement(1.0, False)
    assert timeline.place(2.0, 1.0) == Placement(2.0, False)
    assert timeline.gaps == []
    assert timeline.earliest == 0.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e7)), max_size=60), st.booleans())
def test_time_runs_forward_whatever_the_stamps_say(
    stamps: list[float | None], may_be_cut: bool
) -> None:
    timeline = Timeline(may_be_cut=may_be_cut)
    placed = [timeline.place(stamp, FRAME).time for stamp in stamps]
    assert all(later >= earlier - 0.5 for earlier, later in pairwise(placed))
    assert all(end - start > TOLERANCE for start, end in timeline.gaps)


def samples(path: Path) -> list[int]:
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
    return [int.from_bytes(data[n : n + 2], "little") for n in range(0, len(data), 2)]


def pcm(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


def test_pieces_lie_where_they_belong(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    with closing(AudioLine(path)) as line:
        line.put(-2, pcm(1, 2, 3, 4))
        line.put(4, pcm(5, 6))
        line.put(5, pcm(7, 8))
        line.put(2, pcm(9))
        assert not line.full
    assert samples(path) == [3, 4, 0, 0, 5, 6, 8]
    assert (line.written, line.decoded, line.overlapped) == (7, 5, 2)


def test_the_limit_is_kept_to_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    with closing(AudioLine(path)) as line:
        line.limit = 3
        line.put(0, pcm(1, 2))
        line.put(2, pcm(3, 4))
        assert line.full
        line.put(9, pcm(5))
    assert samples(path) == [1, 2, 3]


def test_more_than_a_wav_file_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_module, "_LONGEST", 10)
    with closing(AudioLine(tmp_path / "audio.wav")) as line, pytest.raises(Failure) as caught:
        line.put(0, pcm(1, 2, 3, 4, 5, 6))
    assert caught.value.info.code == "audio_too_long"


WHOLE = Clip(0.0)


def test_loss_is_measured_within_the_clip() -> None:
    said = Claim(3.5, 13.5, True, True)
    whole = measure(said, WHOLE, decoded=9.0, heard=(3.5, 12.5), holes=[])
    assert whole == Loss(10.0, 1.0, ((12.5, 13.5),))
    part = measure(said, Clip(5.0, 8.0), decoded=3.0, heard=(5.0, 8.0), holes=[])
    assert part == Loss(3.0, 0.0, ())
    silent = said._replace(last=None)
    assert measure(silent, WHOLE, decoded=3.0, heard=(3.5, 6.5), holes=[]) == Loss(3.0, 0.0, ())


def test_a_hole_is_a_loss_and_a_pause_is_none() -> None:
    said = Claim(0.0, None, False, False)
    loss = measure(
        said, WHOLE, decoded=6.0, heard=(0.0, 10.0), holes=[(2.0, 3.0)], pauses=[(5.0, 8.0)]
    )
    assert loss == Loss(7.0, 1.0, ((2.0, 3.0),))


def test_which_loss_matters() -> None:
    assert not Loss(5.0, 0.19, ()).matters
    assert not Loss(100.0, 1.9, ()).matters
    assert Loss(10.0, 0.3, ()).matters
    assert Loss(10_000.0, 6.0, ()).matters
    assert not Loss(0.0, 0.0, ()).matters


def test_the_user_is_told_when_sound_is_missing() -> None:
    spans = ((1.0, 3.0), (70.0, 75.5), (3700.0, 3701.0), (4000.0, 4009.0), (5000.0, 5000.5))
    assert Loss(9000.0, 18.0, spans).told() == (
        "18.0 s of 9000.0 s of audio are missing from the file: 0:01.0 to 0:03.0, "
        "1:10.0 to 1:15.5, 1:01:40.0 to 1:01:41.0, 1:06:40.0 to 1:06:49.0 and 1 shorter stretches"
    )
    assert "from the file" in Loss(90.0, 18.0, ()).told()


def test_what_is_reported_of_a_loss() -> None:
    assert Loss(100.0, 0.1, ((1.0, 1.1),)).facts() == {}
    assert Loss(100.0, 12.00049, ((20.0, 31.0), (2.0, 3.00049))).facts() == {
        "lost_seconds": 12.0,
        "missing": [[2.0, 3.0], [20.0, 31.0]],
    }
    many = tuple((10.0 * n, 10.0 * n + 0.1 + n / 100) for n in range(80))
    reported = Loss(1000.0, 300.0, many).facts()["missing"]
    assert [start for start, _ in reported] == [10.0 * n for n in range(30, 80)]


def test_a_pause_is_told_from_a_hole() -> None:
    witness = Witness()
    for n in range(100):
        if not 50 <= n < 60:
            witness.saw_picture(n / 10)
    gaps = [(2.0, 3.0), (5.0, 6.0), (7.0, 7.5)]
    assert pauses(gaps, [7.2], indexed=False, witness=witness) == [(2.0, 3.0)]
    assert pauses(gaps, [7.2], indexed=True, witness=Witness()) == [(2.0, 3.0), (5.0, 6.0)]
    assert pauses(gaps, [], indexed=False, witness=Witness()) == []
    joined = gaps[2:]
    assert pauses(gaps, [], indexed=False, witness=Witness(), joined=joined) == [(7.0, 7.5)]
    assert pauses(gaps, [7.2], indexed=False, witness=Witness(), joined=joined) == []


@pytest.mark.parametrize(
    ("place", "joined"), [(1000, False), (407, True), (350, True), (300, False)]
)
def test_packets_that_are_neighbours_lost_nothing_between_them(place: int, joined: bool) -> None:
    neighbours, torn = Neighbours(True), Neighbours(False)
    for position, size in ((100, 100), (100, 200), (place, 100)):
        neighbours.saw(SimpleNamespace(pos=position, size=size))
        torn.saw(SimpleNamespace(pos=position, size=size))
    assert neighbours.joined is joined
    assert not torn.joined
    neighbours.saw(SimpleNamespace(pos=None, size=1))
    assert not neighbours.joined


def test_pictures_that_follow_the_last_sound_show_that_nothing_was_cut_off() -> None:
    witness = Witness()
    for n in range(100):
        witness.saw_picture(n / 10)
    assert witness.follow(6.0, 10.0)
    assert not witness.follow(9.5, 60.0)


def test_pictures_come_as_they_are_decoded_and_are_put_in_order_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordered: list[int] = []

    def counting(times: Iterable[float]) -> list[float]:
        in_order = sorted(times)
        ordered.append(len(in_order))
        return in_order

    monkeypatch.setattr(witness_module, "sorted", counting, raising=False)
    witness = Witness()
    for n in range(0, 3000, 3):
        for picture in (n + 2, n, n + 1):
            witness.saw_picture(picture / 10)
    assert all(witness.covers(n, n + 1.0) for n in range(250))
    assert ordered == [3000]
    assert not witness.covers(299.5, 301.0)
    witness.saw_picture(300.0)
    assert witness.covers(299.0, 300.3)
    assert ordered == [3000, 3001]


def test_a_cue_long_behind_the_sound_is_what_a_file_is_as_long_as() -> None:
    witness = Witness()
    witness.saw_cue(0.0, 60.0)  # it was on from the beginning, so it may have outlived its film
    assert not witness.cues_reach(10.0, 60.0)
    witness.saw_cue(58.0, 60.0)
    witness.saw_cue(20.0, 21.0)
    assert witness.cues_reach(10.0, 60.0)
    assert not witness.cues_reach(10.0, 65.0)
    assert not witness.cues_reach(57.0, 60.0)


def test_audio_info_is_in_audio_time() -> None:
    info = audio_info(
        offset=-0.0,
        duration=10.0,
        sample_rate=16_000,
        stream=1,
        language="en",
        gaps=[(-5.0, -1.0), (-1.0, 0.5), (2.0, 3.0), (9.0, 12.0)],
        cuts=[4.0, 11.0],
        loss=Loss(10.0, 0.12345, ((9.0, 12.0),)),
        length_verified=True,
        damaged_packets=2,
        container_duration=10.1,
    )
    assert str(info["offset"]) == "0.0"
    assert info["gaps"] == [[0.0, 0.5], [2.0, 3.0], [9.0, 10.0]]
    assert info["cuts"] == [4.0]
    assert info["lost_seconds"] == 0.123
    assert info["missing"] == [[9.0, 12.0]]


def code_of(path: Path) -> str:
    with pytest.raises(Failure) as caught:
        mediafile.MediaFile(path)
    assert str(path) in caught.value.info.message
    return str(caught.value.info.code)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.mkv")
    assert code_of(tmp_path / "film.mkv") == "not_a_file"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "empty.mkv").touch()
    assert code_of(tmp_path / "folder.mp4") in {"not_a_file", "permission_denied"}
    assert code_of(tmp_path / "empty.mkv") == "empty_file"
    assert code_of(tmp_path / "missing.mkv") == "storage_error"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the system has no such sockets")
def test_sockets_devices_and_loops_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("film.mkv")
        assert code_of(tmp_path / "film.mkv") == "not_a_file"
    (tmp_path / "loop.mkv").symlink_to("loop.mkv")
    (tmp_path / "zero.mkv").symlink_to("/dev/zero")
    assert code_of(tmp_path / "loop.mkv") == "not_a_file"
    assert code_of(tmp_path / "zero.mkv") == "not_a_file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_that_takes_the_place_of_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, other = tmp_path / "film.mkv", tmp_path / "other.mkv"
    os.mkfifo(film)
    other.write_bytes(b"some")
    before = os.stat(other)
    monkeypatch.setattr("orchestrator.contract.mediafile.os.stat", lambda path: before)
    assert code_of(film) == "not_a_file"


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"some")
    with mediafile.MediaFile(path) as file:
        assert file.name == "media.mkv"
        assert file.read(2) == b"so"
        file.check()
        path.write_bytes(b"something else")
        with pytest.raises(Failure) as caught:
            file.check()
        assert caught.value.info.code == "source_changed"
        path.unlink()
        with pytest.raises(Failure) as caught:
            file.check()
        assert caught.value.info.code == "storage_error"


def test_a_read_error_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"some")
    with mediafile.MediaFile(path) as file:
        os.dup2(os.open(tmp_path, os.O_RDONLY), file.fileno())  # reading a folder fails
        with pytest.raises(OSError, match="directory"):
            file.read(2)
        with pytest.raises(Failure) as caught:
            file.check()
        assert caught.value.info.code == "storage_error"


def test_a_place_that_no_file_has_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"some")
    with mediafile.MediaFile(path) as file:
        assert file.seek(-1) == -1
        assert file.seek(1 << 70) == -1
        assert file.seek(2) == 2
        file.check()
        os.dup2(os.pipe()[0], file.fileno())
        with pytest.raises(OSError, match="seek"):
            file.seek(1)
        with pytest.raises(Failure):
            file.check()


TMPFS = Path("/dev/shm")
"""The usual place of a file system that refuses to read where others refuse to seek."""


@pytest.mark.skipif(not TMPFS.is_dir(), reason="the system has no such file system")
def test_reading_where_no_file_reaches_is_no_fault_of_the_disk() -> None:
    with tempfile.TemporaryDirectory(dir=TMPFS) as folder:
        path = Path(folder) / "film.w64"
        path.write_bytes(b"some")
        with mediafile.MediaFile(path) as file:
            assert file.seek((1 << 63) - 10) > 0
            assert file.read(100) == b""
            file.check()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(mediafile.MediaFile, "tell", lambda self: 2)  # it lies in the file
                with pytest.raises(OSError, match="Invalid argument"):
                    file.read(100)
            with pytest.raises(Failure) as caught:
                file.check()
            assert caught.value.info.code == "storage_error"


def test_a_file_may_not_have_another_opened() -> None:
    with pytest.raises(PermissionError, match="other"):
        mediafile.refuse_other_files("http://other", 0, {})


def test_failures_name_the_file(tmp_path: Path) -> None:
    for failure in (mediafile.not_media(tmp_path), mediafile.no_audio_track(tmp_path)):
        assert str(tmp_path) in failure.info.message
        assert failure.info.hint

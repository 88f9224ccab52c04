"""What FFmpeg is asked to do for a film, and whether what it made is believed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.stages.mux import guard, program
from orchestrator.stages.mux.arrange import (
    MKV,
    MP4,
    CannotKeep,
    Track,
    arguments,
    choose_container,
    choose_tracks,
    kept,
)
from orchestrator.stages.mux.compare import (
    NotFaithful,
    check_description,
    check_duration,
    check_ours,
    check_packets,
    pair_up,
)
from orchestrator.stages.mux.film import PICTURE, Chapter, Film, Stream
from orchestrator.stages.mux.packets import Tally, framing, tally

VIDEO = Stream(0, "video", "h264", {}, frozenset({"default"}))
AUDIO = Stream(1, "audio", "aac", {"language": "eng", "title": "Main"})
HUMAN = Stream(2, "subtitle", "subrip", {"language": "fre"}, frozenset({"default", "forced"}))
FONT = Stream(3, "attachment", "", {"filename": "../evil.ttf"}, content=b"font")
COVER = Stream(4, PICTURE, "mjpeg", {}, frozenset({"attached_pic"}), content=b"cover")
CHAPTERS = (Chapter(0.0, 4.0, "One"), Chapter(4.0, 9.0, "Two"))
FILM = Film(
    "matroska,webm", 0.0, 10.0, (VIDEO, AUDIO, HUMAN, FONT, COVER), CHAPTERS, {"title": "The Film"}
)
OURS = Stream(3, "subtitle", "subrip", {"language": "eng", "title": "English (batch-subtitles)"})
TRACK = Track(Path("/work/en.srt"), "en")
MADE = replace(FILM, streams=(VIDEO, AUDIO, HUMAN, OURS, replace(FONT, index=4), COVER))
MP4_FILM = replace(FILM, format="mov,mp4,m4a", streams=(VIDEO, AUDIO), tags={"title": "The Film"})


def command(film: Film = FILM, container: str = MKV, *tracks: Track) -> list[str]:
    return arguments(
        "/library/film.mkv",
        "/work/made",
        film,
        tracks or (TRACK,),
        container,
        pictures={4: "/work/picture-4"},
        fingerprint="f" * 32,
    )


def follows(options: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(options) if name == option]


def test_every_stream_is_mapped_by_its_number_and_ours_come_behind_them() -> None:
    assert follows(command(), "-map") == ["0:0", "0:1", "0:2", "1:0", "0:3"]
    assert follows(command(), "-disposition:2") == ["default+forced"]
    assert follows(command(), "-disposition:3") == ["0"]
    assert follows(command(), "-metadata:s:3") == [
        "language=eng",
        "title=English (batch-subtitles)",
    ]


def test_a_cover_is_attached_from_a_file_of_ours() -> None:
    assert follows(command(), "-attach") == ["/work/picture-4"]
    assert follows(command(), "-metadata:s:t:1") == ["filename=cover.jpg", "mimetype=image/jpeg"]


def test_only_files_are_opened_and_only_the_attempt_is_written() -> None:
    options = command()
    assert follows(options, "-protocol_whitelist") == ["file", "file"]
    assert follows(options, "-i") == ["file:/library/film.mkv", "file:/work/en.srt"]
    assert options[-1] == "file:/work/made"
    assert "-y" not in options


def test_the_film_is_marked_as_ours() -> None:
    assert f"BATCH_SUBTITLES={'f' * 32}" in command()
    plain = command(MP4_FILM, MP4)
    assert not any(part.startswith("BATCH_SUBTITLES") for part in plain)
    assert "use_metadata_tags" not in plain
    assert "handler_name=English (batch-subtitles)" in plain
    odd = command(replace(MP4_FILM, tags={"com.android.version": "14"}), MP4)
    assert "use_metadata_tags" in odd
    assert f"BATCH_SUBTITLES={'f' * 32}" in odd


@pytest.mark.parametrize(
    ("asked", "film", "container"),
    [
        ("auto", FILM, MKV),
        ("auto", MP4_FILM, MP4),
        ("auto", replace(MP4_FILM, tags={"major_brand": "qt  "}), MKV),
        ("mkv", MP4_FILM, MKV),
        ("mp4", FILM, MP4),
    ],
)
def test_the_container(asked: str, film: Film, container: str) -> None:
    assert choose_container(asked, film) == container


def test_what_the_muxer_makes_anew_is_not_copied() -> None:
    titles = Stream(2, "data", "bin_data", {}, hidden=True)
    clock = Stream(3, "data", "", {"timecode": "01:00:00:00"})
    film = replace(MP4_FILM, streams=(VIDEO, AUDIO, titles, clock))
    assert kept(film, MP4) == (VIDEO, AUDIO)


@pytest.mark.parametrize(
    ("film", "container", "says"),
    [
        (FILM, MP4, "MP4 has no place for stream 3"),
        (replace(FILM, streams=(VIDEO, Stream(1, "data", "klv", {}))), MKV, "klv"),
        (replace(FILM, streams=(AUDIO, COVER)), MKV, "no picture"),
    ],
)
def test_a_film_is_not_made_where_something_would_be_lost(
    film: Film, container: str, says: str
) -> None:
    with pytest.raises(CannotKeep, match=says):
        command(film, container)


def test_tracks_are_named_by_their_language_and_the_speech_is_first() -> None:
    paths = {"srt.pt": Path("pt"), "srt": Path("en"), "srt.en": Path("copy"), "srt.de": Path("de")}
    tracks = choose_tracks(paths, "en", "speech", "deu")
    assert [(one.path.name, one.language, one.default, one.forced) for one in tracks] == [
        ("en", "en", True, False),
        ("de", "de", False, True),
        ("pt", "pt", False, False),
    ]
    assert choose_tracks({"srt": Path("en")}, "", None, None) == [Track(Path("en"), "")]
    assert Track(Path("x"), "").title == "(batch-subtitles)"


def test_languages_are_written_as_each_container_wants_them() -> None:
    german = Track(Path("/work/de.srt"), "de")
    assert "language=ger" in command(FILM, MKV, german)
    assert "language=deu" in command(MP4_FILM, MP4, german)


def test_text_of_the_other_container_is_converted() -> None:
    text = replace(MP4_FILM, streams=(VIDEO, Stream(1, "subtitle", "mov_text", {})))
    assert follows(command(text, MKV), "-c:1") == ["subrip"]
    assert follows(command(text, MP4), "-c:1") == ["copy"]


def believe(made: Film = MADE, film: Film = FILM, container: str = MKV) -> None:
    check_description(film, made, container, pair_up(film, made, container, 1))


def with_stream(place: int, **changes: Any) -> Film:
    streams = list(MADE.streams)
    streams[place] = replace(streams[place], **changes)
    return replace(MADE, streams=tuple(streams))


def test_a_faithful_film_is_believed() -> None:
    believe()
    encoder = {"encoder": "Lavf", "duration": "00:00:10.0"}
    believe(replace(MADE, tags={**MADE.tags, "encoder": "Lavf"}), replace(FILM, tags=FILM.tags))
    believe(MADE, replace(FILM, streams=(replace(VIDEO, tags=encoder), *FILM.streams[1:])))


def test_attachments_may_change_places() -> None:
    other = replace(FONT, content=b"another font", index=9)
    film = replace(FILM, streams=(*FILM.streams, other))
    believe(replace(MADE, streams=(*MADE.streams[:4], other, *MADE.streams[4:])), film)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (replace(MADE, streams=MADE.streams[1:]), "1 video streams became 0"),
        (replace(MADE, streams=(*MADE.streams, AUDIO)), "1 audio streams became 2"),
        (replace(MADE, streams=MADE.streams[:5]), "1 picture streams became 0"),
        (with_stream(0, codec="hevc"), "codec 'h264' became 'hevc'"),
        (with_stream(0, flags=frozenset()), "flags"),
        (with_stream(1, tags={"language": "ger", "title": "Main"}), "language 'eng' became 'ger'"),
        (with_stream(1, tags={"language": "eng"}), "title 'Main' became ''"),
        (with_stream(2, flags=frozenset({"default"})), "flags"),
        (with_stream(4, content=b"half"), "content 'of 4 bytes'"),
        (with_stream(4, tags={}), "tags"),
        (replace(MADE, chapters=CHAPTERS[:1]), "2 chapters became 1"),
        (replace(MADE, chapters=(CHAPTERS[0], Chapter(5.0, 9.0, "Two"))), "'Two' became"),
        (replace(MADE, chapters=(CHAPTERS[0], Chapter(4.0, 9.0, "2"))), "'Two' became"),
        (replace(MADE, tags={}), "tags of the film were lost"),
    ],
)
def test_a_film_that_lost_something_is_not_believed(made: Film, says: str) -> None:
    with pytest.raises(NotFaithful, match=says):
        believe(made)


def test_an_mp4_must_have_a_default_track_of_each_kind() -> None:
    film = replace(MP4_FILM, streams=(replace(VIDEO, flags=frozenset()), AUDIO))
    made = replace(film, streams=(VIDEO, AUDIO, OURS))
    believe(made, film, MP4)
    with pytest.raises(NotFaithful, match="flags"):
        believe(replace(made, format="matroska"), replace(film, format="matroska"), MKV)


def tallied(*times: float | None, content: bytes = b"x") -> Tally:
    """Packets of a second each."""
    made = Tally(0.001, spans=True)
    for time in times:
        made.update(content)
        made.add(None if time is None else round(time * 1000), 1000)
    return made


BEFORE = {VIDEO.index: tallied(1.4, 2.4, None)}
LATE = replace(FILM, start=1.4)


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (tallied(0.0, 1.0, None), None),
        (tallied(0.007, 1.007, None), None),
        (tallied(0.0, 1.0), "3 packets became 2"),
        (tallied(0.0, 1.0, None, content=b"y"), "not the same"),
        (tallied(0.5, 1.5, None), "moved by 0.500 s"),
        (tallied(0.0, 1.5, None), "moved by 0.500 s"),
    ],
)
def test_packets_are_compared(after: Tally, says: str | None) -> None:
    def check() -> None:
        check_packets(LATE, MKV, [(VIDEO, VIDEO)], BEFORE, {VIDEO.index: after})

    if says is None:
        check()
        return
    with pytest.raises(NotFaithful, match=says):
        check()


def test_converted_text_may_have_other_bytes() -> None:
    text = replace(HUMAN, codec="mov_text")
    before, after = {2: tallied(1.0)}, {2: tallied(1.0, content=b"y")}
    check_packets(FILM, MKV, [(text, HUMAN)], before, after)


def test_the_length_is_that_of_the_packets() -> None:
    check_duration(MADE, {0: tallied(0.0, 9.0)})
    for wrong in (replace(MADE, duration=20.0), replace(MADE, duration=None)):
        with pytest.raises(NotFaithful, match="lasts"):
            check_duration(wrong, {0: tallied(0.0, 9.0)})


@pytest.mark.parametrize(
    ("track", "stream", "found", "says"),
    [
        (TRACK, OURS, tallied(5.0, 1.0), None),
        (TRACK, replace(OURS, tags={"language": "eng"}), tallied(1.0, 5.0), "is called"),
        (TRACK, replace(OURS, tags={**OURS.tags, "language": "ger"}), tallied(1.0, 5.0), "marked"),
        (replace(TRACK, forced=True), OURS, tallied(1.0, 5.0), "lacks a flag"),
        (TRACK, OURS, tallied(1.0), "1 of 2 cues"),
        (TRACK, OURS, tallied(1.0, 6.0), "belongs at"),
    ],
)
def test_our_track_must_be_there_whole(
    track: Track, stream: Stream, found: Tally, says: str | None
) -> None:
    cues = [(1.0, 2.0), (5.0, 6.0)]
    if says is None:
        check_ours(track, cues, stream, found)
        return
    with pytest.raises(NotFaithful, match=says):
        check_ours(track, cues, stream, found)


def stream_of(codec: str, kind: str, extradata: bytes | None, index: int = 0) -> Any:
    known = SimpleNamespace(codec=SimpleNamespace(canonical_name=codec), extradata=extradata)
    return SimpleNamespace(index=index, type=kind, codec_context=known, time_base=0.001)


class Packet(bytes):
    """Content with what PyAV's packets tell about themselves."""

    stream_index = pts = duration = 0

    @property
    def size(self) -> int:
        return len(self)


def digest(stream: Any, *contents: bytes) -> str:
    packets = [Packet(content) for content in contents]
    container = SimpleNamespace(streams=[stream], demux=lambda: iter(packets))
    return tally(container, [stream.index], lambda _read: None)[stream.index].digest


def test_units_are_the_same_however_they_are_framed() -> None:
    in_transport = stream_of("h264", "video", b"\0\0\0\1g")
    in_mp4 = stream_of("h264", "video", b"\1\x64\0\x1f\xff\xe1")
    with_codes = b"\0\0\0\1\x09\x10\0\0\1\x65slice"
    with_lengths = b"\0\0\0\2\x09\x10\0\0\0\6\x65slice"
    assert framing(in_transport) != framing(in_mp4)
    assert digest(in_transport, with_codes) == digest(in_mp4, with_lengths)
    assert digest(in_transport, with_codes) != digest(in_mp4, with_lengths[:-1] + b"!")


def test_sound_is_the_same_with_and_without_a_header() -> None:
    bare = stream_of("aac", "audio", b"\x12\x10")
    headed = stream_of("aac", "audio", None)
    assert framing(bare) != framing(headed)
    assert digest(headed, b"\xff\xf1headersound") != digest(bare, b"sound")
    assert digest(headed, b"\xff\xf1" + b"12345" + b"sound") == digest(bare, b"sound")
    assert digest(headed, b"\xff\xf0" + b"1234567" + b"sound") == digest(bare, b"sound")
    assert digest(headed, b"sound") == digest(bare, b"sound")


def test_empty_texts_of_mp4_are_no_subtitles() -> None:
    text = stream_of("mov_text", "subtitle", None)
    assert digest(text, b"\0\0", b"\0\2hi") == digest(text, b"\0\2hi")
    assert framing(SimpleNamespace(codec_context=None)) == framing(text)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_program_reports_what_it_wrote(tmp_path: Path) -> None:
    code = "print('frame=1\\ntotal_size=10\\ntotal_size=10\\ntotal_size=N/A\\ntotal_size=25')"
    seen: list[int] = []
    program.run(python(code), tmp_path / "log", seen.append)
    assert seen == [10, 25]


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        ("[mp4 @ 0x55d] no tag for codec\\nConversion failed!", "no tag for codec"),
        ("", "no reason"),
    ],
)
def test_a_program_that_fails_is_quoted(tmp_path: Path, printed: str, says: str) -> None:
    code = f"import sys; sys.stderr.write({printed!r}.replace('\\\\n', chr(10))); sys.exit(3)"
    with pytest.raises(program.ProgramFailed, match=says):
        program.run(python(code), tmp_path / "log", lambda _bytes: None)


ENDLESS = "import os, time; print('total_size=%d' % os.getpid(), flush=True); time.sleep(600)"


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_that_is_not_waited_for_any_more_is_killed(tmp_path: Path) -> None:
    seen: list[int] = []

    def stop(process: int) -> None:
        seen.append(process)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program.run(python(ENDLESS), tmp_path / "log", stop)
    assert not is_there(seen[0])


def test_a_program_does_not_outlive_who_started_it() -> None:
    command = [sys.executable, guard.__file__, *python(ENDLESS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        child = int(process.stdout.readline().partition(b"=")[2])
        assert is_there(child)
        process.stdin.close()
        assert process.wait(timeout=60) == 1
    assert not is_there(child)


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 1)],
)
def test_the_guard_passes_the_exit_status_on(code: str, status: int) -> None:
    command = [sys.executable, guard.__file__, *python(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == status

"""What happens to Whisper's words: edges, loops, language, arithmetic, the transcript."""

from __future__ import annotations

import importlib.util
import struct
import wave
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.errors import Failure
from orchestrator.stages.asr import cuda
from orchestrator.stages.asr.arithmetic import choose_compute_type
from orchestrator.stages.asr.edges import MARGIN, Word, snap
from orchestrator.stages.asr.language import Verdict, decide
from orchestrator.stages.asr.loops import REPEATS, LoopGuard
from orchestrator.stages.asr.speech import Turn
from orchestrator.stages.asr.transcript import Segment, transcript
from orchestrator.stages.asr.wavfile import find_samples


def word(start: float, end: float, text: str = " a") -> Word:
    return Word(start, end, text, 0.9)


def edges(words: list[Word], turns: list[Turn]) -> list[tuple[float, float]]:
    return [(round(w.start, 3), round(w.end, 3)) for w in snap(words, turns)]


def test_a_word_that_reaches_into_silence_is_cut() -> None:
    assert edges([word(1.0, 4.3), word(4.3, 7.0)], [Turn(4.0, 5.0)]) == [
        (4.0 - MARGIN, 4.3),
        (4.3, 5.0 + MARGIN),
    ]


def test_the_first_and_last_words_reach_the_edges_of_their_turn() -> None:
    assert edges([word(4.3, 4.5), word(4.5, 4.8)], [Turn(4.0, 5.0)]) == [(4.0, 4.5), (4.5, 5.0)]


def test_a_word_far_from_the_edge_is_not_stretched() -> None:
    assert edges([word(7.0, 7.5)], [Turn(4.0, 9.0)]) == [(7.0, 7.5)]


def test_a_word_just_outside_a_turn_goes_to_its_edge() -> None:
    assert edges([word(3.5, 3.7), word(4.1, 4.5)], [Turn(4.0, 4.6)]) == [(4.0, 4.04), (4.1, 4.6)]
    assert edges([word(4.0, 4.4), word(4.7, 4.9)], [Turn(4.0, 4.6)]) == [(4.0, 4.4), (4.56, 4.6)]


def test_a_word_far_from_speech_stays() -> None:
    assert edges([word(1.0, 1.5)], [Turn(4.0, 9.0)]) == [(1.0, 1.5)]
    assert edges([word(1.0, 1.5)], []) == [(1.0, 1.5)]


def test_the_first_word_of_a_sentence_is_carried_over_the_silence_before_it() -> None:
    words = [word(27.9, 28.1, " way."), word(28.1, 28.37, " In"), word(29.3, 29.6, " short,")]
    found = edges(words, [Turn(26.6, 28.3), Turn(29.1, 29.7)])
    assert found[1] == (29.1, 29.3)
    assert found[2][0] == 29.3


def test_a_word_that_spans_a_silence_belongs_behind_it_if_it_begins_a_sentence() -> None:
    words = [word(26.9, 27.2, " ditch?"), word(27.2, 28.1, " No.")]
    found = edges(words, [Turn(23.8, 27.4), Turn(28.0, 28.3)])
    assert found == [(26.9, 27.4), (28.0, 28.3)]


def test_a_sentence_of_one_word_is_not_carried_over() -> None:
    words = [word(0.6, 0.8, " me?"), word(1.44, 1.74, " Yes."), word(2.04, 2.54, " Do")]
    found = edges(words, [Turn(0.6, 0.9), Turn(1.6, 1.8), Turn(2.5, 3.3)])
    assert found == [(0.6, 0.9), (1.55, 1.8), (2.45, 2.54)]


def test_nothing_is_carried_over_where_it_would_not_fit() -> None:
    last_turn = [word(1.0, 1.4, " end."), word(1.4, 1.6, " And")]
    assert edges(last_turn, [Turn(1.0, 1.6)]) == [(1.0, 1.4), (1.4, 1.6)]
    middle = [word(1.0, 1.2, " end."), word(1.2, 1.5, " And"), word(1.5, 2.0, " so")]
    assert edges(middle, [Turn(1.0, 2.0), Turn(3.0, 4.0)])[1] == (1.2, 1.5)
    before_turn = [word(1.4, 1.7, " end."), word(1.7, 1.8, " And"), word(1.8, 2.0, " so")]
    assert edges(before_turn, [Turn(1.5, 2.0), Turn(3.0, 4.0)])[1] == (1.7, 1.8)


def test_a_word_inside_a_sentence_is_not_carried_over() -> None:
    words = [word(27.9, 28.1, " way"), word(28.1, 28.37, " in"), word(29.3, 29.6, " short,")]
    found = edges(words, [Turn(26.6, 28.3), Turn(29.1, 29.7)])
    assert found[1][0] == 28.1


seconds = st.floats(0, 60, allow_nan=False)


@given(st.lists(st.tuples(seconds, st.floats(0, 5))), st.lists(seconds, unique=True, max_size=20))
def test_snapped_words_are_the_same_words_and_time_never_runs_back(
    rows: list[tuple[float, float]], limits: list[float]
) -> None:
    limits.sort()
    turns = [Turn(a, b) for a, b in zip(limits[::2], limits[1::2], strict=False)]
    words = [word(start, start + length, f" {n}") for n, (start, length) in enumerate(sorted(rows))]
    snapped = snap(words, turns)
    assert [w.word for w in snapped] == [w.word for w in words]
    assert all(w.end >= w.start for w in snapped)
    assert all(other.start >= one.end for one, other in pairwise(snapped))


def test_a_loop_is_cut_off() -> None:
    guard = LoopGuard([Turn(0, 100)])
    kept = [guard.keeps(" Thank you.", n, n + 1) for n in range(10)]
    assert kept == [True] * REPEATS + [False] * (10 - REPEATS)
    assert guard.dropped == 10 - REPEATS
    assert guard.keeps("Something else", 11, 12)


def test_text_far_from_speech_or_without_letters_is_left_out() -> None:
    guard = LoopGuard([Turn(10, 20)])
    assert not guard.keeps("Subtitles by nobody", 30, 32)
    assert not guard.keeps(" ... ", 12, 13)
    assert guard.keeps("At the edge", 20.3, 20.9)


def test_the_language_is_what_most_places_say() -> None:
    song, speech = {"fr": 0.9, "en": 0.1}, {"fr": 0.05, "en": 0.95}
    verdict = decide([song, speech, speech], None)
    assert (verdict.language, verdict.source) == ("en", "detected")
    assert verdict.probability == pytest.approx(2 / 3)


def test_a_doubtful_language_gives_way_to_the_tag_of_the_track() -> None:
    heard = [{"nn": 0.4, "no": 0.35, "da": 0.25}]
    assert decide(heard, "no") == Verdict("no", 0.35, "track")
    assert decide(heard, None).language == "nn"
    assert decide([{"en": 0.9, "no": 0.1}], "no").language == "en"


@pytest.mark.parametrize(
    ("wanted", "device", "supported", "expected"),
    [
        ("auto", "cpu", {"int8", "float32"}, "int8"),
        ("auto", "cpu", {"float32"}, "float32"),
        ("auto", "cuda", {"float16", "int8", "float32"}, "float16"),
        ("auto", "cuda", {"int8", "int8_float32", "float32"}, "int8_float32"),
        ("float16", "cpu", {"int8", "int8_float32", "float32"}, "int8_float32"),
        ("float32", "cpu", {"int8", "float32"}, "float32"),
        ("int16", "cpu", {"float32"}, "float32"),
    ],
)
def test_arithmetic(wanted: str, device: str, supported: set[str], expected: str) -> None:
    assert choose_compute_type(wanted, device, supported) == expected


def test_segments_take_over_the_corrected_words() -> None:
    def segment(*words: Word) -> Segment:
        return Segment(0.0, 9.0, " Hi there", words, -0.123456, 0.01, 1.2, 0.0)

    early, late = word(0.0, 1.0, " Hi"), word(8.0, 9.0, " there")
    result = transcript(
        [segment(early), segment(), segment(late)],
        [Turn(0.5, 1.0)],
        [word(0.5, 1.0, " Hi"), word(8.0, 8.5, " there")],
    )
    assert result["speech"] == [[0.5, 1.0]]
    rows = result["segments"]
    assert [(row["start"], row["end"]) for row in rows] == [(0.5, 1.0), (0.0, 9.0), (8.0, 8.5)]
    assert rows[0]["text"] == "Hi there"
    assert rows[0]["avg_logprob"] == -0.123


def write_wav(path: Path, *, rate: int = 16_000, seconds: float = 0.5) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack("<h", 7) * round(rate * seconds))


def test_the_samples_of_a_wav_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    write_wav(path)
    offset, number = find_samples(path)
    assert number == 8000
    assert path.read_bytes()[offset : offset + 2] == struct.pack("<h", 7)


def test_audio_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    write_wav(path, rate=8000)
    with pytest.raises(Failure, match="16 kHz") as caught:
        find_samples(path)
    assert caught.value.info.code == "audio_unusable"
    write_wav(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Failure, match="cut off"):
        find_samples(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(Failure):
        find_samples(path)


def test_cuda_libraries_are_found_in_their_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "lib" / "libcublas.so.12"
    library.parent.mkdir()
    library.write_bytes(b"no library")

    def find_spec(name: str) -> SimpleNamespace | None:
        if name == "nvidia.cudnn":
            raise ModuleNotFoundError(name)
        if name == "nvidia.cublas":
            return SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert cuda.cuda_libraries() == [library]
    cuda.load_cuda_libraries()
    assert "libcublas.so.12" in capsys.readouterr().err

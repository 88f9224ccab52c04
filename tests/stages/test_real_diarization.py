"""Who speaks when, in a mix of four voices: two of a recorded conversation, a reader, a machine."""

from __future__ import annotations

import itertools
import json
import subprocess
import wave
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.exchange import ModelRef, StageResult

pytestmark = pytest.mark.real

SAMPLES = Path(__file__).parents[2] / "samples"
BUNDLED = "pyannote-3.0-campplus"
RATE = 16_000
Make = Callable[[Path], Any]
Spoken = list[tuple[float, float, str]]
"""Start, end, speaker; in seconds."""


def read_wav(path: Path) -> array[int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return array("h", file.readframes(file.getnframes()))


def write_wav(path: Path, samples: array[int]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


@pytest.fixture(scope="module")
def conversation(pythons: Mapping[str, Path]) -> tuple[array[int], Spoken]:
    """Half a minute of two people, from the package of pyannote.audio, and who speaks when."""
    (folder,) = pythons["diarization"].parents[1].glob("lib/python3*/site-packages/pyannote/audio")
    rows = [row.split() for row in (folder / "sample" / "sample.rttm").read_text().splitlines()]
    spoken = [(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows if row]
    return read_wav(folder / "sample" / "sample.wav"), spoken


@pytest.fixture
def mix(stages: Make, conversation: tuple[array[int], Spoken]) -> tuple[array[int], Spoken]:
    """The conversation, a reader, a synthetic voice, the reader and the conversation again.

    When the reader and the voice speak is what Silero hears: another detector than the one tested.
    """

    def heard(sample: str, speaker: str) -> tuple[array[int], Spoken]:
        run = stages(SAMPLES / sample)
        assert run.run("demux").ok
        assert run.run("vad").ok
        turns = [(start, end, speaker) for start, end in run.json("speech")["turns"]]
        return read_wav(Path(run.inputs["audio"])), turns

    reader = heard("two-tracks.mkv", "reader")
    machine = heard("lighthouse.flac", "machine")
    samples, spoken = array("h"), []
    for piece, turns in (conversation, reader, machine, reader, conversation):
        offset = len(samples) / RATE
        samples.extend(piece)
        spoken += [(start + offset, end + offset, speaker) for start, end, speaker in turns]
    return samples, spoken


def error_rate(reference: Spoken, found: Spoken, step: float = 0.01) -> float:
    """Diarization error rate: missed, false and confused speech over all speech, no collar.

    Found speakers are matched with those of the reference in the way that gives the least errors.
    """
    names = sorted({speaker for _, _, speaker in reference})
    others: list[str | None] = [*sorted({speaker for _, _, speaker in found})]
    others += [None] * (len(names) - len(others))
    spoken, heard = frames(reference, step), frames(found, step)
    total = sum(map(len, spoken.values()))
    missed = sum(max(0, len(spoken[n]) - len(heard.get(n, ()))) for n in spoken)
    false = sum(max(0, len(heard[n]) - len(spoken.get(n, ()))) for n in heard)
    both = sum(min(len(spoken[n]), len(heard.get(n, ()))) for n in spoken)
    together = {
        (name, other): sum(name in spoken[n] and other in heard.get(n, ()) for n in spoken)
        for name, other in itertools.product(names, others)
    }
    right = max(
        sum(together[name, other] for name, other in zip(names, order, strict=True))
        for order in itertools.permutations(others, len(names))
    )
    return (missed + false + both - right) / total


def frames(spoken: Spoken, step: float) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for start, end, speaker in spoken:
        for number in range(round(start / step), round(end / step)):
            found.setdefault(number, set()).add(speaker)
    return found


def write_transcript(path: Path, seconds: float, spoken: Spoken) -> None:
    """One word in the middle of every turn of a second or more: the speaker's name."""
    words = [
        {"start": (start + end) / 2 - 0.2, "end": (start + end) / 2 + 0.2, "word": f" {speaker}."}
        for start, end, speaker in sorted(spoken)
        if end - start >= 1.0
    ]
    segments = [
        {"start": word["start"], "end": word["end"], "text": word["word"], "words": [word]}
        for word in words
    ]
    path.write_text(json.dumps({"version": 1, "duration": seconds, "segments": segments}))


def diarize(
    stages: Make, tmp_path: Path, recording: tuple[array[int], Spoken], **request: Any
) -> tuple[Any, StageResult]:
    samples, spoken = recording
    media = tmp_path / "recording.wav"
    write_wav(media, samples)
    run = stages(media)
    write_transcript(tmp_path / "transcript.json", len(samples) / RATE, spoken)
    run.inputs.update(audio=str(media), transcript=str(tmp_path / "transcript.json"))
    return run, run.run("diarization", threads=1, **request)


def turns_of(run: Any) -> Spoken:
    return [(turn["start"], turn["end"], turn["speaker"]) for turn in run.json("turns")["turns"]]


def test_four_speakers(
    stages: Make,
    models: Mapping[str, ModelRef],
    tmp_path: Path,
    mix: tuple[array[int], Spoken],
) -> None:
    run, result = diarize(stages, tmp_path, mix, model=BUNDLED)
    assert result.ok
    assert run.facts["speakers"] == 4
    assert run.json("turns")["speakers"] == ["S1", "S2", "S3", "S4"]
    assert error_rate(mix[1], turns_of(run)) <= 0.2
    # The words are the names of those who say them: each name has one speaker, nearly always.
    rows = run.json("transcript")["segments"]
    said = [(row["words"][0]["word"], row["words"][0]["speaker"]) for row in rows]
    names = {word for word, _ in said}
    agreed = sum(
        max(sum(pair == (word, speaker) for pair in said) for speaker in ("S1", "S2", "S3", "S4"))
        for word in names
    )
    assert agreed / len(said) >= 0.9
    assert run.json("transcript")["speakers"] == ["S1", "S2", "S3", "S4"]


def test_a_conversation_and_the_number_of_speakers_that_is_asked_for(
    stages: Make,
    models: Mapping[str, ModelRef],
    tmp_path: Path,
    conversation: tuple[array[int], Spoken],
) -> None:
    run, result = diarize(stages, tmp_path, conversation, model=BUNDLED)
    assert result.ok
    assert run.facts["speakers"] == 2
    assert error_rate(conversation[1], turns_of(run)) <= 0.12
    first = run.text("turns")
    again = run.run("diarization", model=BUNDLED, threads=1, settings={"max_speakers": 2})
    assert again.ok
    assert run.text("turns") == first
    assert run.run("diarization", model=BUNDLED, threads=1, settings={"num_speakers": 1}).ok
    assert run.facts["speakers"] == 1
    wrong = {"min_speakers": 3, "max_speakers": 2}
    error = run.run("diarization", model=BUNDLED, threads=1, settings=wrong).error
    assert error is not None
    assert error["code"] == "speakers_contradict"


def test_a_pipeline_of_pyannotes_own_in_a_folder(
    stages: Make,
    models: dict[str, ModelRef],
    pythons: Mapping[str, Path],
    tmp_path: Path,
    conversation: tuple[array[int], Spoken],
) -> None:
    weights = Path(models["segmentation-3.0"].path, "pytorch_model.bin")
    folder = tmp_path / "own"
    script = Path(__file__).with_name("random_pipeline.py")
    subprocess.run([pythons["diarization"], script, weights, folder], check=True, timeout=300)
    models["own"] = ModelRef("own", str(folder), "0" * 64)
    run, result = diarize(stages, tmp_path, conversation, model="own")
    assert result.ok
    speech = {n for n, names in frames(conversation[1], 0.01).items() if names}
    found = {n for n, names in frames(turns_of(run), 0.01).items() if names}
    assert len(speech & found) / len(speech | found) > 0.9
    (folder / "segmentation" / "pytorch_model.bin").write_bytes(b"no weights")
    for path, code in ((folder, "model_unusable"), (tmp_path, "model_missing")):
        models["own"] = ModelRef("own", str(path), "1" * 64)
        error = run.run("diarization", model="own").error
        assert error is not None
        assert error["code"] == code


def test_a_speaker_whose_turns_all_go_to_others_is_none(pythons: Mapping[str, Path]) -> None:
    script = Path(__file__).with_name("taken_over.py")
    command = [pythons["diarization"], script]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    first, last = [[n, n + 1] for n in range(4)], [[n, n + 1] for n in range(4, 8)]
    assert json.loads(answer.stdout.splitlines()[-1]) == [[[1, 1], first], [[3, 3], last]]


def test_nobody_speaks(stages: Make, models: Mapping[str, ModelRef], tmp_path: Path) -> None:
    run, result = diarize(stages, tmp_path, (array("h", bytes(2 * 12 * RATE)), []), model=BUNDLED)
    assert result.ok
    assert run.json("turns") == {"version": 1, "engine": "pyannote", "speakers": [], "turns": []}


def test_the_error_rate() -> None:
    reference = [(0.0, 1.0, "a"), (1.0, 2.0, "b")]
    assert error_rate(reference, [(0.0, 1.0, "x"), (1.0, 2.0, "y")]) == 0.0
    assert error_rate(reference, [(0.0, 2.0, "x")]) == pytest.approx(0.5)
    assert error_rate(reference, []) == pytest.approx(1.0)
    assert error_rate(reference, [(0.0, 3.0, "x")]) == pytest.approx(1.0)
    assert error_rate([(0.0, 1.0, "a")], [(0.0, 1.0, "x"), (0.5, 1.0, "y")]) == pytest.approx(0.5)

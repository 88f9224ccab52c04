"""The form of a transcript."""

from __future__ import annotations

from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.transcript import Segment, Word, transcript, words_of
from orchestrator.stagekit.whisper import Verdict


def test_what_a_transcript_says() -> None:
    words = (Word(0.50049, 1.0, " Hi", 0.87654), Word(8.0, 8.5, " there", 0.5))
    segment = Segment(0.5, 8.5, " Hi there", words, -0.123456, None, 1.2, 0.0)
    result = transcript(
        [segment],
        [Turn(0.5, 1.00001)],
        verdict=Verdict("en", 0.98765432, "detected"),
        model=ModelRef("base", "/models/base", "key"),
        duration=9.00001,
    )
    assert result["speech"] == [[0.5, 1.0]]
    assert result["language_probability"] == 0.9877
    assert (result["model"], result["model_key"], result["duration"]) == ("base", "key", 9.0)
    (row,) = result["segments"]
    assert row["text"] == "Hi there"
    assert (row["avg_logprob"], row["no_speech_prob"]) == (-0.123, None)
    assert words_of(row) == [Word(0.5, 1.0, " Hi", 0.877), Word(8.0, 8.5, " there", 0.5)]


def test_without_a_model_from_the_store() -> None:
    result = transcript([], [], verdict=Verdict("en", 0.0, "none"), model=None, duration=1.0)
    assert result["model"] is None
    assert result["segments"] == []

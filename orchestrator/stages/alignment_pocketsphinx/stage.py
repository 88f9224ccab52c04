"""Find out when each English word is said, with pocketsphinx: on any CPU, in little time.

Other languages keep the times that recognition gave them, and the transcript says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pocketsphinx import Decoder

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.alignment import (
    Passage,
    Placed,
    agreement,
    aligned,
    find_words,
    is_doubtful,
)
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.wavfile import WavSamples

from .pronounce import phones, spoken

_FRAMES_PER_SECOND = 100
_PAD = 0.3
"""Seconds of sound added around a passage: the edges of recognition are that rough."""
_APART = 1.0
"""Seconds of silence that part passages."""


def load(settings: Mapping[str, Any]) -> Decoder:
    return Decoder(
        lm=None,
        bestpath=False,
        cmn="batch",  # from the utterance alone: what came before it must not matter
        # Wide beams: the words are known, so a narrow search would save little, and it loses its
        # way in speech that is unclear.
        beam=1e-80,
        wbeam=1e-60,
        pbeam=1e-80,
        loglevel="ERROR",
    )


def run(request: StageRequest, model: Decoder, report: Report) -> StageOutcome:
    transcript = read_json(request.input("transcript"))
    segments = transcript["segments"]
    audio = WavSamples(request.input("audio"))
    found: Sequence[Passage | None] = [None] * len(segments)

    def listen(sound: Turn, words: list[str]) -> Passage | None:
        report.check_cancelled()
        report.progress(sound.start, audio.seconds)
        return align(model, audio, sound, words)

    if transcript["language"] == "en":
        found = find_words(
            segments,
            listen,
            duration=audio.seconds,
            longest=request.settings["passage_seconds"],
            apart=_APART,
            pad=_PAD,
        )
    elif segments:
        report.warning(
            "alignment_no_model",
            f"pocketsphinx knows English only, not {transcript['language']!r}: the words keep the "
            "times that recognition gave them.",
        )
    refined = aligned(transcript, found, engine="pocketsphinx")
    if is_doubtful(refined["alignment"]):
        report.warning(
            "alignment_doubtful",
            "Half of the words were moved by more than "
            f"{refined['alignment']['median_difference']} s: the text may not be what is said.",
        )
    report.progress(audio.seconds, audio.seconds)
    put_json(request.output("transcript"), refined)
    return StageOutcome(metrics=agreement(refined["alignment"]))


def align(
    decoder: Decoder, audio: WavSamples, sound: Turn, words: Sequence[str]
) -> list[Placed | None] | None:
    """Where the words are said within ``sound``; None where they could not be found in it."""
    said = [spoken(word, lambda one: decoder.lookup_word(one) is not None) for word in words]
    for word in {word for one in said for word in one}:
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, phones(word), True)
    text = " ".join(word for one in said for word in one)
    samples = audio.between(*sound)
    if not text or not len(samples):
        return None
    decoder.set_align_text(text)
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    times = [
        (sound.start + one.start_frame / _FRAMES_PER_SECOND,
         sound.start + (one.end_frame + 1) / _FRAMES_PER_SECOND)
        for one in decoder.seg() or ()
        if not one.word.startswith(("<", "[", "+"))
    ]  # fmt: skip
    if len(times) != sum(map(len, said)):
        return None
    rest = iter(times)
    placed: list[Placed | None] = []
    for one in said:
        own = [next(rest) for _ in one]
        placed.append(Placed(own[0][0], own[-1][1]) if own else None)
    return placed

"""What is decoded at once, and in which way: one piece after another, or several at a time.

``batch_size`` 1 hears a film from its beginning to its end: Whisper's windows follow one another,
each beginning where the sentence before it ended. More than that are pieces that know nothing of
each other: on a GPU windows that it decodes together; on a CPU, which gains nothing by that, longer
pieces for several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel

from orchestrator.contract.report import Report
from orchestrator.stagekit import silero
from orchestrator.stagekit.ahead import in_order
from orchestrator.stagekit.packing import Packed, islands, within
from orchestrator.stagekit.speech import Turn, spans
from orchestrator.stagekit.transcript import Segment, Word
from orchestrator.stagekit.unheard import unheard
from orchestrator.stagekit.wavfile import WavSamples

from .engine import WINDOW_SECONDS, Recogniser, sound

_AROUND = 0.3
"""Seconds heard before and after a stretch of speech: consonants are quiet."""
_JUST_BELOW = 1e-4
"""Seconds: times are sums of windows, and not exact."""


class Mode(Enum):
    """How pieces are decoded; the longest piece in seconds.

    Whatever the number of threads, so that the text does not depend on the machine.
    """

    IN_ORDER = 1800.0  # half an hour of samples and spectrogram takes 250 MB
    BATCHES = 1500.0  # some 60 windows, so that nearly every batch of 16 is full
    SIDE_BY_SIDE = 120.0  # short, so that all threads end at about the same time

    @classmethod
    def of(cls, pieces: int, *, on_gpu: bool) -> Mode:
        if pieces == 1:
            return cls.IN_ORDER
        return cls.BATCHES if on_gpu else cls.SIDE_BY_SIDE


def pieces_at_once(settings: Mapping[str, Any]) -> int:
    """The setting ``batch_size``; 1 where nobody chose one."""
    size = settings["batch_size"]
    return 1 if size == "auto" else int(size)


def pack(
    turns: Sequence[Turn], duration: float, settings: Mapping[str, Any], mode: Mode
) -> list[Packed]:
    """What is decoded at once, in order.

    faster-whisper ends speech at the first window of its detector that lies ``vad_min_silence_ms``
    behind it and is silent, so what it takes out is one window longer.
    """
    kept = islands(
        turns,
        duration,
        min_silence=settings["vad_min_silence_ms"] / 1000 + silero.WINDOW_SECONDS - _JUST_BELOW,
        pad=settings["vad_speech_pad_ms"] / 1000,
    )
    found = [Packed(tuple(within(kept, span))) for span in spans(turns, duration, mode.value)]
    return [packed for packed in found if packed.pieces]


def recognise(
    model: Recogniser,
    audio: WavSamples,
    packs: Sequence[Packed],
    turns: Sequence[Turn],
    settings: Mapping[str, Any],
    language: str,
    report: Report,
) -> Iterator[Segment]:
    """Segments in order, in audio time.

    Raises: Cancelled; RuntimeError from CTranslate2.
    """
    pieces = pieces_at_once(settings)
    mode = Mode.of(pieces, on_gpu=model.on_gpu)
    options: dict[str, Any] = {
        "language": language,
        "beam_size": settings["beam_size"],
        "initial_prompt": settings["initial_prompt"] or None,
        "hotwords": settings["hotwords"] or None,
        "condition_on_previous_text": settings["condition_on_previous_text"],
        "word_timestamps": True,
    }
    if mode is not Mode.IN_ORDER:
        options["temperature"] = 0.0  # what is drawn would depend on which thread comes first

    def decode(packed: Packed) -> Iterator[Segment]:
        samples = sound(audio, packed.pieces)
        if mode is Mode.BATCHES:
            windows = packed.windows(turns, WINDOW_SECONDS)
            found, _ = BatchedInferencePipeline(model.whisper).transcribe(
                samples,
                batch_size=pieces,
                clip_timestamps=[{"start": one.start, "end": one.end} for one in windows],
                **options,
            )
        else:
            found, _ = model.whisper.transcribe(samples, **options)
        for segment in found:
            yield _restored(segment, packed)

    heard = [0.0] * len(packs)

    def decode_told(number: int) -> Iterator[Segment]:
        for segment in decode(packs[number]):
            report.check_cancelled()
            heard[number] = segment.end - packs[number].pieces[0].start
            report.progress(sum(heard), audio.seconds)
            yield segment

    segments = in_order(decode_told, len(packs), model.crew.members)
    if mode is Mode.IN_ORDER:
        yield from segments
        return
    found = list(segments)
    spoken = [Turn(one.start, one.end) for one in found]
    for stretch in unheard(turns, spoken, mode.value):
        report.check_cancelled()
        found += _heard_alone(model.whisper, audio, stretch, options)
    yield from sorted(found, key=lambda segment: segment.start)


def _heard_alone(
    whisper: WhisperModel, audio: WavSamples, stretch: Turn, options: Mapping[str, Any]
) -> Iterator[Segment]:
    """What is said in a stretch of speech that was passed over with what lies around it."""
    around = Turn(max(0.0, stretch.start - _AROUND), min(audio.seconds, stretch.end + _AROUND))
    packed = Packed((around,))
    found, _ = whisper.transcribe(sound(audio, packed.pieces), **options)
    for segment in found:
        restored = _restored(segment, packed)
        middle = (restored.start + restored.end) / 2
        if stretch.start <= middle <= stretch.end:
            yield restored


def _restored(segment: Any, packed: Packed) -> Segment:
    """A segment of faster-whisper's, in audio time."""
    words = tuple(
        Word(*packed.restore(word.start, word.end), word.word, word.probability)
        for word in segment.words
    )
    start, end = packed.restore(segment.start, segment.end)
    return Segment(
        start=words[0].start if words else start,
        end=words[-1].end if words else end,
        text=segment.text,
        words=words,
        avg_logprob=segment.avg_logprob,
        no_speech_prob=segment.no_speech_prob,
        compression_ratio=segment.compression_ratio,
        temperature=segment.temperature,
    )

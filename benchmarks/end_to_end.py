"""Speech to subtitles, the whole command against a plain faster-whisper loop in one process.

The loop gets the model, compute type, beam, VAD and threads that our jobs recorded, loads the model
once, and writes what it hears to text files: no state, no isolation, no choice of tracks, no cues,
nothing to resume. Ours remembers none of the files. With references (``NAME.txt`` for each
``NAME.*``) the word error rate of both is told.

Run: python benchmarks/end_to_end.py [--media DIR] [--references DIR] [--set KEY=VALUE ...]
         [--max-workers N] [--language CODE] [--work-dir DIR]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _process import REPOSITORY, environment, show
from _ready import OWN_FOLDER, forget, own_work_folder

from batch.summary import load_summary
from orchestrator.contract.job import Job, read_job
from orchestrator.contract.paths import WorkFolder
from orchestrator.jobs import all_jobs

_LOOP = """
import json, pathlib, sys, time
start = time.perf_counter()
from faster_whisper import BatchedInferencePipeline, WhisperModel
order = json.loads(sys.stdin.read())
model = WhisperModel(order["model"], local_files_only=True, **order["load"])
if order["options"].get("batch_size", 1) > 1:
    transcribe = BatchedInferencePipeline(model).transcribe
else:
    order["options"].pop("batch_size", None)
    transcribe = model.transcribe
for path, target in order["files"]:
    segments, info = transcribe(path, **order["options"])
    pathlib.Path(target).write_text("".join(segment.text for segment in segments))
print(time.perf_counter() - start)
"""


def run_ours(media: Path, work: WorkFolder, target: Path, more: list[str]) -> float:
    """Seconds of the command, with environments and model in place."""
    argv = [sys.executable, "-m", "batch", str(media), "--work-dir", str(work.root)]
    argv += ["--output-dir", str(target), "--formats", "srt", *more]
    argv += ["--set", "cpu_threshold=0", "--set", "memory_threshold=0"]
    # What is not in the work folder yet is built and fetched by a run that does nothing else.
    subprocess.run([*argv, "--dry-run"], env=environment(), stdout=subprocess.DEVNULL, check=True)
    start = time.perf_counter()
    subprocess.run(argv, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def run_loop(jobs: list[Job], target: Path, threads: int) -> float:
    """Seconds of the plain loop over the same files, from the start of its interpreter."""
    stage = next(stage for stage in jobs[0].stages if stage.name == "asr")
    (model,) = stage.models
    wanted = {**stage.requested, **stage.tuning}
    order = {
        "model": model.path,
        "load": {
            "device": jobs[0].device.partition(":")[0],
            "compute_type": wanted["compute_type"],
            "cpu_threads": threads,
        },
        "options": {
            "language": jobs[0].language,
            "beam_size": wanted["beam_size"],
            "condition_on_previous_text": wanted["condition_on_previous_text"],
            "word_timestamps": True,
            "vad_filter": True,
            "vad_parameters": {
                "threshold": wanted["vad_threshold"],
                "min_silence_duration_ms": wanted["vad_min_silence_ms"],
                "speech_pad_ms": wanted["vad_speech_pad_ms"],
            },
            "batch_size": wanted["batch_size"],
        },
        "files": [(job.source.path, str(target / f"{job.id}.txt")) for job in jobs],
    }
    start = time.perf_counter()
    subprocess.run(
        [stage.environment.python, "-I", "-c", _LOOP],
        input=json.dumps(order).encode(),
        stdout=subprocess.DEVNULL,
        check=True,
        env={**environment(), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)},
    )
    return time.perf_counter() - start


def subtitle_text(published: list[Path]) -> str:
    """The words of SRT files, without numbers and times."""
    blocks = "\n\n".join(path.read_text("utf-8") for path in published).split("\n\n")
    return " ".join(" ".join(block.splitlines()[2:]) for block in blocks)


def words(text: str) -> list[str]:
    """Lower case, without punctuation; an apostrophe inside a word stays."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", folded)


def word_errors(reference: list[str], heard: list[str]) -> int:
    """Substitutions, deletions and insertions (Levenshtein's distance of the words)."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            cost = min(row[j] + 1, row[j - 1] + 1, previous + (expected != word))
            previous, row[j] = row[j], cost
    return row[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, default=REPOSITORY / "samples")
    parser.add_argument("--references", type=Path, default=REPOSITORY / "samples" / "references")
    parser.add_argument("--work-dir", type=Path, default=OWN_FOLDER)
    parser.add_argument("--language", default="auto")
    parser.add_argument("--max-workers", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    work = own_work_folder(options.work_dir)
    forget(work)
    more = ["--language", options.language, "--max-workers", str(options.max_workers)]
    for assignment in options.set:
        more += ["--set", assignment]
    with tempfile.TemporaryDirectory() as root:
        wall = {"batch-subtitles": run_ours(options.media, work, Path(root, "ours"), more)}
        (run,) = work.runs.glob("*/summary.json")
        summary = load_summary(run)
        jobs = [read_job(folder) for folder in all_jobs(work)]
        loop = Path(root, "loop")
        loop.mkdir()
        wall["plain loop"] = run_loop(jobs, loop, jobs[0].threads)
        errors = dict.fromkeys(wall, 0)
        total = 0
        for job in jobs:
            reference = options.references / f"{job.publication.stem}.txt"
            if not reference.exists():
                continue
            expected = words(reference.read_text("utf-8"))
            total += len(expected)
            ours = [
                Path(p) for f in summary.files if f.path == job.source.path for p in f.published
            ]
            errors["batch-subtitles"] += word_errors(expected, words(subtitle_text(ours)))
            heard = words(Path(loop, f"{job.id}.txt").read_text("utf-8"))
            errors["plain loop"] += word_errors(expected, heard)
    audio = summary.audio_seconds
    show(
        f"{len(jobs)} files, {audio / 60:.1f} minutes of sound, {options.max_workers} at a time",
        ["", "wall s", "x real time", "ratio", f"word error rate of {total} words"],
        [
            (
                name,
                f"{seconds:.1f}",
                f"{audio / seconds:.1f}",
                f"{seconds / wall['plain loop']:.2f} x",
                f"{errors[name] / total:.1%}" if total else "",
            )
            for name, seconds in sorted(wall.items(), reverse=True)
        ],
    )
    parts = ", ".join(f"{name} {one.seconds:.1f} s" for name, one in summary.stages.items())
    print(f"seconds in the stages of batch-subtitles: {parts}")


if __name__ == "__main__":
    main()

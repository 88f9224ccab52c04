"""What a job costs besides the work of its stages, and how fast a warm worker answers.

``to its first request``: CPU of a job process from its start. ``all of it``: the same for a whole
job of three stages on a warm worker, with its writes and syncs; and for each stage more. ``a warm
attempt``: from ``run`` sent to a resident process until its ``finished`` is here, for a stage that
writes one line: the request is read, the stage run in clean surroundings with a log of its own, the
output hashed, ``result.json`` written (not synced).

Run: python benchmarks/job_cost.py [--rounds 15] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _noop import write_stage
from _process import environment, show

from orchestrator.contract.atomic import put_json
from orchestrator.contract.channel import read_lines
from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.job import (
    JOB_VERSION,
    Job,
    JobEnvironment,
    JobInput,
    JobOutput,
    JobStage,
    Publication,
    Source,
    write_job,
)
from orchestrator.contract.messages import (
    Finished,
    Grant,
    Message,
    Request,
    Run,
    Started,
    decode,
    encode,
)
from orchestrator.contract.paths import AttemptFolder, JobFolder
from orchestrator.contract.records import to_json
from orchestrator.job.stageprocess import stage_argv, stage_environment
from orchestrator.launcher import job_argv

REQUIRED_START_MS = 60.0
REQUIRED_STAGE_MS = 5.0
REQUIRED_ANSWER_MS = 1.0
RUN_ID = "benchmark"


class Child:
    """A process that speaks the protocol."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin
        self._lines = read_lines(self._process.stdout.fileno())

    def tell(self, message: Message) -> None:
        os.write(self._stdin.fileno(), encode(message, RUN_ID))

    def said(self) -> Iterator[Message]:
        for line in self._lines:
            message = decode(line)
            if message is not None:
                yield message

    def answer(self) -> Finished:
        return next(one for one in self.said() if isinstance(one, Finished))

    def end(self) -> float:
        """End it by its pipe; its CPU seconds in all."""
        self._stdin.close()
        for _ in self._lines:
            pass
        _, _, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = 0
        return usage.ru_utime + usage.ru_stime


@contextmanager
def worker(stage: Path, scratch: Path) -> Iterator[Child]:
    child = Child(stage_argv(sys.executable, stage), stage_environment(environment(), 1, scratch))
    try:
        yield child
    finally:
        child.end()


def make_job(root: Path, stage: Path, number: int, stages: int) -> JobFolder:
    """A job of so many stages, each on what the one before made; all the same stage folder."""
    folder = JobFolder(root / "jobs" / f"20260131-{number:06}")
    folder.root.mkdir(parents=True)
    media = root / "film.mkv"
    media.touch()
    status = media.stat()
    names = [f"stage{n}" for n in range(stages)]
    made = tuple(
        JobStage(
            name=name,
            version=1,
            title=name,
            folder=str(stage),
            environment=JobEnvironment("bare", "benchmark", sys.executable, {"some-package": "1"}),
            inputs=(JobInput("words", before, "words") if before else JobInput("media"),),
            outputs=(
                JobOutput("words", "words.srt", publish="srt" if name == names[-1] else None),
            ),
            requested={f"setting_{n}": n for n in range(12)},
            tuning={"batch_size": 1},
            resources={"cpu_threads": 1, "ram_mb": 50},
            stall_seconds=60.0,
            grace_seconds=1.0,
        )
        for name, before in zip(names, ["", *names], strict=False)
    )
    job = Job(
        version=JOB_VERSION,
        id=folder.root.name,
        created="2026-01-31T22:00:00Z",
        workflow="benchmark",
        source=Source(str(media), status.st_size, status.st_mtime_ns, f"{number:032x}"),
        stages=made,
        artefacts=str(root / "artefacts"),
        publication=Publication(str(root / f"published{number}"), "film", ("srt",)),
        keep="small",
        threads=1,
        choices=tuple(
            {"key": f"stages.asr.setting_{n}", "value": n, "reason": "no GPU"} for n in range(6)
        ),
        hardware={"cores": 2, "threads": 2, "ram_mb": 16000, "gpus": [], "system": "Linux"},
    )
    write_job(folder, job)
    return folder


def job_start_cpu(folder: JobFolder) -> float:
    """CPU seconds of a job process until it asks for leave; it is ended there."""
    child = Child(job_argv(folder.root), environment())
    next(one for one in child.said() if isinstance(one, Request))
    return child.end()


def whole_job_cpu(folder: JobFolder, warm: Child) -> float:
    """CPU seconds of a job process whose stages run on the worker."""
    child = Child(job_argv(folder.root), environment())
    for message in child.said():
        match message:
            case Request(stage, attempt):
                child.tell(Grant(stage, attempt, 1, warm=True))
            case Started(stage, facts) if stage:
                warm.tell(Run({"attempt": str(folder.attempts / facts["attempt"])}))
                child.tell(warm.answer())
            case Finished("", ok):
                assert ok, message
    return child.end()


def warm_answers(root: Path, warm: Child, rounds: int) -> list[float]:
    """Seconds from ``run`` to ``finished``."""
    taken = []
    for number in range(rounds):
        folder = AttemptFolder(root / f"attempt-{number}")
        folder.outputs.mkdir(parents=True)
        folder.scratch.mkdir()
        request = StageRequest(
            run_id=RUN_ID,
            job_id="j",
            stage="noop",
            attempt=folder.root.name,
            media="film.mkv",
            inputs={},
            outputs={"words": "words.srt"},
            outputs_dir=str(folder.outputs),
            scratch_dir=str(folder.scratch),
            settings={f"setting_{n}": n for n in range(12)},
        )
        put_json(folder.request, to_json(request))
        start = time.perf_counter()
        warm.tell(Run({"attempt": str(folder.root)}))
        assert warm.answer().ok
        taken.append(time.perf_counter() - start)
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        root = Path(name)
        stage = write_stage(root / "noop")
        with worker(stage, root) as warm:
            numbers = iter(range(10**6))
            starts = [
                job_start_cpu(make_job(root, stage, next(numbers), 3))
                for _ in range(options.rounds + 1)
            ]
            jobs = {
                stages: [
                    whole_job_cpu(make_job(root, stage, next(numbers), stages), warm)
                    for _ in range(options.rounds + 1)
                ]
                for stages in (1, 3)
            }
            answers = warm_answers(root, warm, 20 * options.rounds)
    start, one, three = (statistics.median(taken[1:]) * 1e3 for taken in (starts, *jobs.values()))
    show(
        f"A job process, medians of {options.rounds}",
        ["", "ms", "required"],
        [
            ("CPU to its first request", f"{start:.1f}", f"{REQUIRED_START_MS:.0f}"),
            ("CPU of all of it, three warm stages", f"{three:.1f}", ""),
            ("CPU for each stage more", f"{(three - one) / 2:.1f}", f"{REQUIRED_STAGE_MS:.0f}"),
            (
                "a warm attempt, run to finished",
                f"{statistics.median(answers) * 1e3:.2f}",
                f"{REQUIRED_ANSWER_MS:.0f}",
            ),
        ],
    )


if __name__ == "__main__":
    main()

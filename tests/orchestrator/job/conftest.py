"""Jobs of the fake stages, run by real stage processes of this interpreter."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
from orchestrator.contract.keys import fingerprint
from orchestrator.contract.paths import JobFolder

FAKES = Path(__file__).parents[2] / "fakes" / "stages"
ENVIRONMENT = JobEnvironment("bare", "test", sys.executable)


def source_of(path: Path) -> Source:
    status = path.stat()
    return Source(str(path), status.st_size, status.st_mtime_ns, fingerprint(path))


def fake_stage(fault: str = "none", gate: Path | None = None, **changes: Any) -> JobStage:
    stage = JobStage(
        name="fake",
        version=1,
        title="Simulate one fault",
        folder=str(FAKES / "fake"),
        environment=ENVIRONMENT,
        inputs=(JobInput("media"),),
        outputs=(
            JobOutput("words", "words.srt", publish="srt"),
            JobOutput("bulk", "bulk.bin", large=True),
        ),
        requested={"fault": fault},
        tuning={"gate": str(gate or "")},
        resources={},
        stall_seconds=30.0,
        grace_seconds=1.0,
    )
    return replace(stage, **changes)


def relay_stage(greeting: str = "hello") -> JobStage:
    return JobStage(
        name="relay",
        version=1,
        title="Copy",
        folder=str(FAKES / "relay"),
        environment=ENVIRONMENT,
        inputs=(JobInput("words", "fake", "words"), JobInput("bulk", "fake", "bulk")),
        outputs=(JobOutput("copy", "copy.vtt", publish="vtt"),),
        requested={"greeting": greeting},
        tuning={},
        resources={},
        stall_seconds=30.0,
        grace_seconds=1.0,
    )


MakeJob = Callable[..., tuple[JobFolder, Job]]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Write a job for a small file in ``library/``; each call makes another job folder."""
    library = tmp_path / "library"
    library.mkdir()
    media = library / "film.mkv"
    media.write_bytes(b"not really a film" * 100)
    made = 0

    def make(*stages: JobStage, keep: str = "small", **changes: Any) -> tuple[JobFolder, Job]:
        nonlocal made
        made += 1
        folder = JobFolder(tmp_path / "jobs" / f"20260131-{made:06d}")
        folder.root.mkdir(parents=True)
        job = Job(
            version=JOB_VERSION,
            id=folder.root.name,
            created="2026-01-31T22:00:00Z",
            workflow="test",
            source=source_of(media),
            stages=stages or (fake_stage(),),
            artefacts=str(tmp_path / "artefacts"),
            publication=Publication(str(library), "film", ("srt", "vtt")),
            keep=keep,
            threads=1,
        )
        job = replace(job, **changes)
        write_job(folder, job)
        return folder, job

    return make

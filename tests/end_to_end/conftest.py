"""The real command on small real media, with fake stages in place of recognition.

What is built once for all tests (the stage environments) lies in the folder that
``SUBTITLES_TEST_WORK_DIR`` names, by default ``.cache/test-work``. Each test has a library
and a work folder of its own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrator.catalogue import load_catalogue
from orchestrator.contract.paths import WorkFolder
from orchestrator.provision.environments import BuildOptions, ensure_environment

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "fakes"
MARK = "BATCH_TEST_MARK"
PATIENCE_SECONDS = 120.0
"""How long a test waits for what must happen; only a broken program, or machine, makes it wait."""

OLD = 1_600_000_000
"""Seconds since the epoch: files of this age are not taken for growing ones."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain for {what}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def shared_environments() -> list[Path]:
    """The environments of the fake stages and of the probe, built or found."""
    shared = Path(os.environ.get("SUBTITLES_TEST_WORK_DIR", ROOT / ".cache" / "test-work"))
    catalogue = load_catalogue((FAKES,))
    options = BuildOptions(
        torch_backend="auto", profile="default", variant=None, allow_downloads=True
    )
    return [
        ensure_environment(catalogue.environments[name], shared.absolute(), options).path
        for name in ("bare", "media")
    ]


def link_environment(shared: Path, folder: Path) -> None:
    """Let ``folder`` be the same environment: its own ``ready.json``, and links for all else.

    A link in place of the folder would not do: an environment whose record names a Python outside
    of it counts as moved, and is built again.
    """
    folder.mkdir(parents=True)
    for entry in shared.iterdir():
        if entry.name == "ready.json":
            record = json.loads(entry.read_text())
            record["python"] = record["python"].replace(str(shared), str(folder))
            (folder / entry.name).write_text(json.dumps(record))
        else:
            (folder / entry.name).symlink_to(entry)


def write_wav(path: Path, seconds: float = 0.2) -> None:
    """A valid recording of noise: no two are alike, as artefacts are shared by content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream, wave.open(stream) as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(random.Random(os.fsencode(path)).randbytes(int(seconds * 8000) * 2))
    os.utime(path, (OLD, OLD))


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder: mtime and content; links as what they point to."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            stamp = os.lstat(path).st_mtime_ns
            if os.path.islink(path):
                found[path] = (stamp, os.fsencode(os.readlink(path)))
            elif os.path.isfile(path):
                found[path] = (stamp, Path(path).read_bytes())
            elif not path.endswith((".db-wal", ".db-shm")):
                found[path] = (0, b"")
    return found


@dataclass
class Outcome:
    """How a run ended. ``events`` are the objects of ``--json``."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    @property
    def finished(self) -> dict[str, str]:
        """Status by name of every file that was worked on or could not be."""
        return {os.path.basename(one["path"]): one["status"] for one in self.of("file_finished")}

    @property
    def errors(self) -> dict[str, str]:
        return {
            os.path.basename(one["path"]): one["error"]["code"]
            for one in self.of("file_finished")
            if one["error"]
        }

    @property
    def skipped(self) -> dict[str, str]:
        return {os.path.basename(one["path"]): one["reason"] for one in self.of("skipped")}


class Running:
    """A coordinator that is at work; its output goes to files."""

    def __init__(self, argv: list[str], environ: dict[str, str], folder: Path) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environ, cwd=folder
            )

    @property
    def events(self) -> list[dict[str, Any]]:
        *lines, _ = self._out.read_text().split("\n")
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def said(self) -> str:
        """What it has written to stderr."""
        return self._err.read_text()

    def saw(self, event: str, count: int = 1) -> bool:
        return len([one for one in self.events if one["event"] == event]) >= count

    def wait_for(self, event: str, count: int = 1) -> None:
        def seen() -> bool:
            if self.process.poll() is not None and not self.saw(event, count):
                pytest.fail(f"it ended before {event}: {self._err.read_text()}")
            return self.saw(event, count)

        wait_until(seen, event)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> Outcome:
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it did not end: {self._out.read_text()} {self._err.read_text()}")
        return Outcome(code, self._out.read_text(), self._err.read_text(), self.events)


class Batch:
    """One library with its work folder and settings, and the command that works on it."""

    def __init__(self, folder: Path, environments: list[Path]) -> None:
        self.folder = folder
        self.library = folder / "library"
        self.library.mkdir()
        self.work = WorkFolder(folder / "work")
        self.gate = folder / "gate"
        for shared in environments:
            link_environment(shared, self.work.environments / shared.name)
        self.config = folder / "config.yaml"
        self.settings: dict[str, Any] = {
            "stage_paths": [str(FAKES)],
            "workflows": {"fake-flow": ["fake", "relay"]},
            "workflow": "fake-flow",
            "formats": ["srt", "vtt"],
            "cpu_threshold": 0,
            "memory_threshold": 0,
            "stages": {"fake": {"gate": str(self.gate)}},
        }
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("BATCH_SUBTITLES_")
        }
        self.environ |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), MARK: str(folder)}
        self._runs = 0

    def add(self, *names: str) -> None:
        for name in names:
            write_wav(self.library / name)

    def configure(self, **changes: Any) -> None:
        self.settings.update(changes)

    def fault(self, fault: str) -> None:
        self.settings["stages"]["fake"]["fault"] = fault

    def start(self, *arguments: str | Path, library: Path | None = None) -> Running:
        return self.start_module("batch", library or self.library, *arguments)

    def start_module(self, module: str, *arguments: str | Path) -> Running:
        self._runs += 1
        folder = self.folder / f"run-{self._runs}"
        folder.mkdir()
        return Running(self.argv(module, *arguments), self.environ, folder)

    def argv(self, module: str, *arguments: str | Path) -> list[str]:
        """The command line, with the settings as they are now."""
        self.config.write_text(yaml.safe_dump(self.settings))
        argv = [sys.executable, "-m", module, *map(str, arguments)]
        return [*argv, "--work-dir", str(self.work.root), "--config", str(self.config)]

    def run(self, *arguments: str | Path, library: Path | None = None) -> Outcome:
        return self.start(*arguments, library=library).end()

    def json(self, *arguments: str | Path, library: Path | None = None) -> Outcome:
        return self.run("--json", *arguments, library=library)

    def summaries(self) -> list[dict[str, Any]]:
        paths = sorted(self.work.runs.glob("*/summary.json"))
        return [json.loads(path.read_text()) for path in paths]

    def attempts(self, stage: str) -> int:
        """How often the stage was run in all, over all jobs."""
        return len(list(self.work.jobs.glob(f"*/*/*/*/*/attempts/{stage}-*")))

    def jobs(self) -> list[Path]:
        return sorted(self.work.jobs.glob("*/*/*/*/*"))

    def job_of(self, name: str) -> Path:
        """The folder of the job for the media file of that name."""
        path = str(self.library / name)
        return next(
            job
            for job in self.jobs()
            if json.loads((job / "job.json").read_text())["source"]["path"] == path
        )

    def timeline(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind of the latest run's timeline."""
        latest = max(self.work.runs.glob("*/timeline.jsonl"))
        lines = [json.loads(line) for line in latest.read_text().splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def waiting(self) -> int:
        """How many runs of a stage with the fault ``waits`` have begun to wait."""
        return len(list(self.folder.glob("gate.*.waiting")))

    def wait_for_waiting(self, count: int) -> None:
        wait_until(lambda: self.waiting() >= count, f"{count} stages at the gate")

    def processes(self) -> list[psutil.Process]:
        """Living processes that descend from any coordinator of this test."""
        alive = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get(MARK) == str(self.folder)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    alive.append(process)
            except (psutil.Error, OSError):
                continue
        return alive

    def names(self) -> list[str]:
        """Everything in the library, relative to it."""
        found = []
        for parent, _, files in os.walk(self.library):
            found += [os.path.relpath(os.path.join(parent, name), self.library) for name in files]
        return sorted(found)


@pytest.fixture
def batch(tmp_path: Path, shared_environments: list[Path]) -> Iterator[Batch]:
    batch = Batch(tmp_path, shared_environments)
    yield batch
    for process in batch.processes():
        process.send_signal(signal.SIGKILL)

"""The name of every file and folder in a work folder and in a job folder, each named once."""

from __future__ import annotations

from pathlib import Path

from orchestrator.contract.records import Record


class WorkFolder(Record):
    """The folder that holds all state. Always on a local disk; see ``docs/architecture.md``."""

    root: Path

    @property
    def jobs(self) -> Path:
        return self.root / "out"

    @property
    def artefacts(self) -> Path:
        return self.root / "artefacts"

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def database(self) -> Path:
        return self.root / "batch.db"

    @property
    def lock(self) -> Path:
        return self.root / "coordinator.lock"

    @property
    def latest_job(self) -> Path:
        return self.root / "latest-job"

    def artefact(self, fingerprint: str, key: str) -> Path:
        return self.artefacts / fingerprint / key

    def day(self, date: str, user: str) -> Path:
        """Folder of one user's jobs of one day. ``date`` is ``YYYYMMDD``."""
        return self.jobs / date[:4] / date[4:6] / date[6:8] / user


class JobFolder(Record):
    """One job: everything a run of one file leaves behind, mode 0700."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "job.json"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def result(self) -> Path:
        return self.root / "job_result.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.root / "job.log"

    @property
    def lock(self) -> Path:
        return self.root / "job.lock"

    @property
    def attempts(self) -> Path:
        return self.root / "attempts"

    @property
    def outputs(self) -> Path:
        """Where a job that is not published into a library leaves what it made for people."""
        return self.root / "outputs"

    def attempt(self, stage: str, number: int) -> AttemptFolder:
        return AttemptFolder(self.attempts / f"{stage}-{number:03d}")


class AttemptFolder(Record):
    """One try at one stage; always a fresh folder."""

    root: Path

    @property
    def request(self) -> Path:
        return self.root / "request.json"

    @property
    def result(self) -> Path:
        return self.root / "result.json"

    @property
    def log(self) -> Path:
        return self.root / "stage.log"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

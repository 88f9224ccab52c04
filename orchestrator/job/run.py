"""One job from ``job.json`` to ``job_result.json``: the whole flow is :func:`run_job`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contract.clock import utc_now
from orchestrator.contract.errors import (
    ErrorClass,
    ErrorInfo,
    Failure,
    describe_os_error,
    fail,
)
from orchestrator.contract.exchange import StageRequest, StageResult, StageWarning
from orchestrator.contract.job import (
    JOB_RESULT_VERSION,
    Job,
    JobResult,
    JobStage,
    Published,
    Source,
    StageAccount,
    read_job,
    write_job_result,
)
from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.messages import Finished, Message, Release, Started
from orchestrator.contract.naming import sidecar_name
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import to_json
from orchestrator.job.artefacts import ARTEFACT_VERSION, Artefact, ArtefactStore
from orchestrator.job.eventlog import EventLog
from orchestrator.job.link import Link
from orchestrator.job.manifest import Intent, Manifest, StageRecord, open_manifest
from orchestrator.job.plan import Action, Selection, Step, plan, stage_keys
from orchestrator.job.publish import Delivery, publish, remove_leftovers
from orchestrator.job.stageprocess import Interrupted, run_attempt

UNKNOWN_LANGUAGE = "und"


def run_job(
    folder: JobFolder,
    link: Link,
    run_id: str,
    selection: Selection = Selection(),
    clock: Callable[[], float] = time.monotonic,
) -> JobResult:
    """Run what is to be run, publish what was asked for, leave a manifest and a result.

    Raises:
        Failure: there is no job in the folder, or it is running already. Everything that goes
            wrong afterwards is in the result.
    """
    job = read_job(folder)
    store = ArtefactStore(Path(job.artefacts), job.source.fingerprint)
    try:
        with ProcessLock(folder.lock), ProcessLock(store.lock, wait=True):
            return _JobRun(folder, job, store, link, run_id, clock).run(selection)
    except LockHeld as error:
        raise fail(
            "job_running",
            f"job {job.id} is being run already: {error}",
            "Wait for it to end.",
            error_class=ErrorClass.RESOURCE,
            retryable=True,
        ) from error


class _JobRun:
    """The state of one run of one job."""

    def __init__(
        self,
        folder: JobFolder,
        job: Job,
        store: ArtefactStore,
        link: Link,
        run_id: str,
        clock: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._job = job
        self._store = store
        self._link = link
        self._run_id = run_id
        self._clock = clock
        self._events = EventLog(folder.events)
        self._manifest: Manifest = open_manifest(folder, job.id)
        self._artefacts: dict[str, Artefact] = {}
        self._accounts: list[StageAccount] = []
        self._warnings: list[StageWarning] = []

    def run(self, selection: Selection) -> JobResult:
        started = self._clock()
        status, error = "done", None
        published: tuple[Published, ...] = ()
        try:
            self._folder.result.unlink(missing_ok=True)
            remove_leftovers(self._manifest.intents)
            check_source(self._job.source)
            self._begin()
            for step in self._plan(selection):
                self._take(step)
            published = self._publish()
            self._drop_large()
        except Interrupted:
            status = "interrupted"
        except Failure as failure:
            status, error = "failed", failure.info
        except OSError as os_error:
            status = "failed"
            error = describe_os_error(os_error, f"{self._folder.root} could not be written")
        return self._end(status, error, published, self._clock() - started)

    def _begin(self) -> None:
        self._manifest.run_id = self._run_id
        self._manifest.status = "running"
        self._manifest.error = None
        self._manifest.save(self._folder)

    def _plan(self, selection: Selection) -> tuple[Step, ...]:
        job = self._job
        keys = stage_keys(job)
        for stage in job.stages:
            artefact = self._store.find(keys[stage.name])
            if artefact is not None:
                self._artefacts[stage.name] = artefact
        stored = {name: artefact.stored for name, artefact in self._artefacts.items()}
        steps = plan(job.stages, keys, stored, selection)
        running = [step.stage.name for step in steps if step.action is Action.RUN]
        self._say(Started(facts={"pid": os.getpid(), "job": job.id, "stages": running}))
        return steps

    def _take(self, step: Step) -> None:
        if step.action is Action.REUSE:
            self._reuse(step)
            return
        if self._link.stopping:
            raise Interrupted
        started = self._clock()
        try:
            self._run_stage(step)
        except Failure as failure:
            self._account(step, "failed", started)
            record = self._manifest.stages[step.stage.name]
            record.status, record.error = "failed", failure.info.to_json()
            raise
        self._account(step, "ran", started)

    def _account(self, step: Step, status: str, started: float) -> None:
        seconds = self._clock() - started
        self._accounts.append(StageAccount(step.stage.name, status, step.reason, seconds))

    def _reuse(self, step: Step) -> None:
        artefact = self._artefacts[step.stage.name]
        self._accounts.append(StageAccount(step.stage.name, "reused", step.reason))
        earlier = self._manifest.stages.get(step.stage.name)
        if earlier is None or earlier.key != step.key or earlier.status not in ("ran", "reused"):
            self._manifest.stages[step.stage.name] = StageRecord(
                "reused", step.reason, step.key, outputs=artefact.outputs, facts=artefact.facts
            )

    def _run_stage(self, step: Step) -> None:
        stage = step.stage
        self._manifest.attempts += 1
        number = self._manifest.attempts
        attempt = self._folder.attempt(stage.name, number)
        while attempt.root.exists():  # a manifest that was lost does not know all attempts
            number = self._manifest.attempts = number + 1
            attempt = self._folder.attempt(stage.name, number)
        threads = self._link.grant(
            stage.name, attempt.root.name, dict(stage.resources), self._job.threads
        )
        if threads is None:
            raise Interrupted
        record = _new_record(step, attempt.root.name, threads, self._job.device)
        self._manifest.stages[stage.name] = record
        self._manifest.save(self._folder)
        self._say(Started(stage.name, {"attempt": attempt.root.name, "reason": step.reason}))
        started = self._clock()
        try:
            request = self._request(stage, attempt.root.name, threads)
            result = run_attempt(stage, request, attempt, self._link)
        finally:
            record.seconds = self._clock() - started
            self._say(Release(stage.name, attempt.root.name))
        if not all(one.stage for one in stage.inputs):
            check_source(self._job.source)
        self._keep(step, result, attempt.outputs, record)

    def _request(self, stage: JobStage, attempt: str, threads: int) -> StageRequest:
        job = self._job
        folder = self._folder.attempts / attempt
        return StageRequest(
            run_id=self._run_id,
            job_id=job.id,
            stage=stage.name,
            attempt=attempt,
            media=job.source.path,
            inputs=self._inputs(stage),
            outputs={output.name: output.file for output in stage.outputs},
            outputs_dir=str(folder / "outputs"),
            scratch_dir=str(folder / "scratch"),
            settings={**stage.requested, **stage.tuning},
            clip=job.clip,
            language=job.language,
            models=stage.models,
            facts=self._facts(),
            threads=threads,
            device=job.device,
            load=stage.load,
            optional=tuple(output.name for output in stage.outputs if output.optional),
        )

    def _inputs(self, stage: JobStage) -> dict[str, str]:
        """Paths of the inputs that are artefacts; an optional output may not have been made."""
        inputs = {}
        for wanted in stage.inputs:
            artefact = self._artefacts.get(wanted.stage)
            if artefact is None:
                continue
            for record in artefact.outputs:
                if record.name == wanted.output:
                    inputs[wanted.name] = str(self._store.path(artefact.key, record))
        return inputs

    def _keep(self, step: Step, result: StageResult, made_in: Path, record: StageRecord) -> None:
        """Commit the outputs to the store, then say so in the manifest."""
        artefact = Artefact(
            ARTEFACT_VERSION, step.stage.name, step.key, self._job.id, result.outputs, result.facts
        )
        self._store.commit(artefact, made_in)
        self._artefacts[step.stage.name] = artefact
        self._warnings.extend(result.warnings)
        record.status = "ran"
        record.load_seconds, record.run_seconds = result.load_seconds, result.run_seconds
        record.peak_rss_bytes = result.peak_rss_bytes
        record.outputs, record.facts = result.outputs, result.facts
        record.metrics, record.warnings = result.metrics, result.warnings
        self._manifest.save(self._folder)

    def _facts(self) -> dict[str, Any]:
        """What the stages found out so far, later ones over earlier ones."""
        facts: dict[str, Any] = {}
        for stage in self._job.stages:
            if stage.name in self._artefacts:
                facts.update(self._artefacts[stage.name].facts)
        return facts

    def _publish(self) -> tuple[Published, ...]:
        facts = self._facts()
        deliveries = self._deliveries(facts)
        if deliveries and facts.get("cues") == 0:
            self._warnings.append(
                StageWarning("no_speech", "no speech was found, so there is nothing to publish")
            )
            return ()
        published = []
        for delivery in deliveries:
            published.append(publish(delivery, self._job.publication.owned, self._record_intent))
            self._manifest.published = tuple(published)
            self._manifest.save(self._folder)
        self._manifest.intents = ()
        return tuple(published)

    def _deliveries(self, facts: Mapping[str, Any]) -> list[Delivery]:
        where = self._job.publication
        language = str(facts.get("language") or self._job.language or UNKNOWN_LANGUAGE)
        deliveries = []
        for stage in self._job.stages:
            artefact = self._artefacts.get(stage.name)
            for output in stage.outputs:
                if artefact is None or output.publish not in where.extensions:
                    continue
                record = next((one for one in artefact.outputs if one.name == output.name), None)
                if record is None:
                    continue
                name = sidecar_name(where.stem, output.language or language, output.publish)
                made = self._store.path(artefact.key, record)
                deliveries.append(Delivery(made, Path(where.folder, name), record.sha256))
        return deliveries

    def _record_intent(self, intent: Intent) -> None:
        self._manifest.intents = (*self._manifest.intents, intent)
        self._manifest.save(self._folder)

    def _drop_large(self) -> None:
        if self._job.keep == "all":
            return
        for stage in self._job.stages:
            artefact = self._artefacts.get(stage.name)
            large = [output.name for output in stage.outputs if output.large]
            if artefact is not None and set(large) - set(artefact.dropped):
                self._store.drop(artefact, large)

    def _end(
        self,
        status: str,
        error: ErrorInfo | None,
        published: Sequence[Published],
        seconds: float,
    ) -> JobResult:
        result = JobResult(
            version=JOB_RESULT_VERSION,
            job_id=self._job.id,
            run_id=self._run_id,
            status=status,
            stages=tuple(self._accounts),
            published=tuple(published),
            facts=self._facts(),
            warnings=tuple(self._warnings),
            error=error.to_json() if error else None,
            seconds=seconds,
        )
        self._manifest.status = status
        self._manifest.error = result.error
        try:
            self._manifest.save(self._folder)
            write_job_result(self._folder, result)
        except OSError as os_error:
            cause = describe_os_error(os_error, f"{self._folder.root} could not be written")
            return self._unrecorded(result, cause)
        self._say(Finished("", status == "done", result.error, to_json(result)))
        self._events.close()
        return result

    def _unrecorded(self, result: JobResult, cause: ErrorInfo) -> JobResult:
        """The result cannot be written (disk full): it is not a success, and says so upward."""
        failed = JobResult(
            result.version,
            result.job_id,
            result.run_id,
            "failed",
            result.stages,
            error=cause.to_json(),
            seconds=result.seconds,
        )
        self._link.send(Finished("", False, failed.error, to_json(failed)))
        self._events.close()
        return failed

    def _say(self, message: Message) -> None:
        self._events.append(message)
        self._link.send(message)


def _new_record(step: Step, attempt: str, threads: int, device: str) -> StageRecord:
    stage = step.stage
    return StageRecord(
        status="running",
        reason=step.reason,
        key=step.key,
        attempt=attempt,
        started=utc_now(),
        environment={"name": stage.environment.name, "key": stage.environment.key},
        models=tuple({"name": model.name, "key": model.key} for model in stage.models),
        device=device,
        threads=threads,
        requested=stage.requested,
        tuning=stage.tuning,
    )


def check_source(source: Source) -> None:
    """Raises: Failure when the media is gone or is not the file the job was made for."""
    try:
        status = os.stat(source.path)
    except OSError as error:
        raise fail(
            "source_unreadable",
            f"{source.path}: {error.strerror}",
            "Check that the file is still there and may be read, then run again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        ) from error
    if (status.st_size, status.st_mtime_ns) != (source.size, source.mtime_ns):
        raise fail(
            "source_changed",
            f"{source.path}: the file changed after the job was made for it",
            "Run the batch again (it makes a new job), or prepare the job again.",
            retryable=True,
        )

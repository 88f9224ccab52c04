"""One job from ``job.json`` to ``job_result.json``: the whole flow is :func:`run_job`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from orchestrator.contract.atomic import fsync_folder
from orchestrator.contract.errors import (
    ErrorClass,
    ErrorInfo,
    Failure,
    describe_os_error,
    fail,
)
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.job import (
    JOB_RESULT_VERSION,
    Job,
    JobResult,
    JobStage,
    Published,
    StageAccount,
    Tried,
    read_job,
    write_job_result,
)
from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.messages import Finished, Message, Started
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import to_json
from orchestrator.job.artefacts import ARTEFACT_VERSION, Artefact, ArtefactStore, discard
from orchestrator.job.attempts import Attempts, Made
from orchestrator.job.deliveries import deliveries, to_be_made_again
from orchestrator.job.eventlog import EventLog
from orchestrator.job.ground import Ground, check_source
from orchestrator.job.link import Link
from orchestrator.job.manifest import Intent, Manifest, StageRecord, open_manifest
from orchestrator.job.plan import Action, Selection, Step, plan, stage_keys
from orchestrator.job.publish import (
    ARTEFACT_DAMAGED,
    NAME_TAKEN,
    Delivery,
    confirm,
    intent_of,
    publish,
    remove_leftovers,
    remove_temporaries,
)
from orchestrator.job.stageprocess import Interrupted

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

LASTING_SECONDS = 5.0
"""What took so long to make is put on the disk at once, which takes about 0.01 s; the system does
that with the rest within half a minute."""


def run_job(
    folder: JobFolder,
    link: Link,
    run_id: str,
    selection: Selection = Selection(),
    clock: Callable[[], float] = time.monotonic,
) -> JobResult:
    """Run what is to be run, publish what was asked for, leave a manifest and a result.

    Raises:
        Failure: there is no job in the folder, it is running already, or the work folder cannot
            be written. Everything that goes wrong afterwards is in the result.
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
    except OSError as error:  # of the locks, or of a result that cannot be written
        raise Failure(describe_os_error(error, f"{folder.root} could not be written")) from error


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
        self._attempts = Attempts(folder, job, self._manifest, link, run_id, self._say, clock)
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
            ground = Ground.of(Path(self._job.publication.folder))
            self._begin()
            for step in self._plan(selection):
                self._take(step)
            published = self._publish(ground)
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
        again = to_be_made_again(job, self._artefacts, self._store, self._facts())
        steps = plan(job.stages, keys, stored, selection, again)
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
            record = self._manifest.stages[step.stage.name]
            record.status, record.error = "failed", failure.info.to_json()
            self._account(step, "failed", started)
            raise
        self._account(step, "ran", started)

    def _account(self, step: Step, status: str, started: float) -> None:
        record = self._manifest.stages[step.stage.name]
        self._accounts.append(
            StageAccount(
                step.stage.name,
                status,
                step.reason,
                self._clock() - started,
                device=record.device,
                rung=record.rung,
                rung_label=record.rung_label,
                tries=tuple(
                    Tried(str(one.get("label", "")), str(one["error"]["code"]))
                    for one in record.tries
                ),
                warm=record.warm,
                threads=record.threads,
                load_seconds=record.load_seconds,
                run_seconds=record.run_seconds,
                peak_rss_bytes=record.peak_rss_bytes,
                peak_vram_bytes=record.peak_vram_bytes,
            )
        )

    def _reuse(self, step: Step) -> None:
        artefact = self._artefacts[step.stage.name]
        self._accounts.append(StageAccount(step.stage.name, "reused", step.reason))
        earlier = self._manifest.stages.get(step.stage.name)
        if earlier is None or earlier.key != step.key or earlier.status not in ("ran", "reused"):
            self._manifest.stages[step.stage.name] = StageRecord(
                "reused", step.reason, step.key, outputs=artefact.outputs, facts=artefact.facts
            )

    def _run_stage(self, step: Step) -> None:
        made = self._attempts.run(step, self._inputs(step.stage), self._facts())
        if not all(one.stage for one in step.stage.inputs):
            check_source(self._job.source)
        self._keep(step, made)

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

    def _keep(self, step: Step, made: Made) -> None:
        """Commit the outputs to the store, then say so in the manifest."""
        result = made.result
        artefact = Artefact(
            ARTEFACT_VERSION, step.stage.name, step.key, self._job.id, result.outputs, result.facts
        )
        lasting: tuple[str, ...] = ()
        if result.load_seconds + result.run_seconds >= LASTING_SECONDS:
            lasting = tuple(output.name for output in step.stage.outputs if not output.large)
        self._store.commit(artefact, made.folder.outputs, lasting)
        self._artefacts[step.stage.name] = artefact
        self._warnings.extend(made.warnings)
        record = self._manifest.stages[step.stage.name]
        record.status = "ran"
        record.load_seconds, record.run_seconds = result.load_seconds, result.run_seconds
        record.peak_rss_bytes, record.peak_vram_bytes = (
            result.peak_rss_bytes,
            result.peak_vram_bytes,
        )
        record.outputs, record.facts = result.outputs, result.facts
        record.metrics, record.warnings = result.metrics, made.warnings
        self._manifest.save(self._folder)

    def _facts(self) -> dict[str, Any]:
        """What the stages found out so far, later ones over earlier ones."""
        facts: dict[str, Any] = {}
        for stage in self._job.stages:
            if stage.name in self._artefacts:
                facts.update(self._artefacts[stage.name].facts)
        return facts

    def _publish(self, ground: Ground) -> tuple[Published, ...]:
        facts = self._facts()
        wanted = deliveries(self._job, self._artefacts, self._store, facts)
        if wanted and facts.get("cues") == 0:
            silent = StageWarning(
                "no_speech", "no speech was found, so there is nothing to publish"
            )
            if all(one.code != silent.code for one in self._warnings):
                self._warnings.append(silent)
            return ()
        intents = {delivery: intent_of(delivery) for delivery in wanted}
        self._record_intents(intent for intent in intents.values() if intent is not None)
        there: list[Delivery] = []
        kept: list[Failure] = []
        for delivery, intent in intents.items():
            try:
                if intent is not None:
                    ground.check()
                    self._deliver(delivery, intent)
                there.append(delivery)
            except Failure as failure:
                if failure.info.code != NAME_TAKEN:
                    raise
                kept.append(failure)
        left = remove_temporaries(self._manifest.intents)
        self._warnings.extend(
            StageWarning("left_behind", f"{path} is still there")
            for path in dict.fromkeys(intent.temporary for intent in left)
        )
        if kept and not there:
            raise kept[0]
        self._warnings.extend(StageWarning("kept_existing", one.info.message) for one in kept)
        self._manifest.published = confirm(there)
        self._manifest.intents = left
        return self._manifest.published

    def _record_intents(self, intents: Iterable[Intent]) -> None:
        """What goes into the library must be known as ours after a power cut as well."""
        before = self._manifest.intents
        self._manifest.intents = (*before, *intents)
        if self._manifest.intents != before:
            self._manifest.save(self._folder, lasting=True)
            fsync_folder(self._folder.root.parent)

    def _deliver(self, delivery: Delivery, intent: Intent) -> None:
        # An earlier run of this job may have published what it made then, and lost it since.
        ours = {one.sha256 for one in self._manifest.intents if one.target == intent.target}
        ours |= {one.sha256 for one in self._manifest.published if one.path == intent.target}
        ours.add(self._job.publication.owned.get(delivery.target.name, ""))
        try:
            publish(delivery, intent, ours, self._record_intent, self._raise_if_cancelled)
        except Failure as failure:
            if failure.info.code == ARTEFACT_DAMAGED:
                discard(delivery.made.parent)
            raise

    def _raise_if_cancelled(self) -> None:
        if self._link.stopping and self._link.cancelled:
            raise Interrupted

    def _record_intent(self, intent: Intent) -> None:
        self._manifest.intents = (*self._manifest.intents, intent)
        self._manifest.save(self._folder, lasting=True)

    def _drop_large(self) -> None:
        if self._job.keep == "all":
            return
        for stage in self._job.stages:
            artefact = self._artefacts.get(stage.name)
            if artefact is None:
                continue
            large = {output.name for output in stage.outputs if output.large}
            stored = artefact.stored.present & large
            if stored:
                self._store.drop(artefact, stored)

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
        with contextlib.suppress(OSError):  # who cannot be told reads the result
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

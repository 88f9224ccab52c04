"""Run a stage: attempt after attempt, as the ladder says, until one succeeds or none is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from orchestrator.contract.clock import utc_now
from orchestrator.contract.errors import ErrorClass, Failure
from orchestrator.contract.exchange import StageRequest, StageResult, StageWarning
from orchestrator.contract.job import Job, JobStage
from orchestrator.contract.messages import Grant, Message, Release, Request, Started
from orchestrator.contract.paths import AttemptFolder, JobFolder
from orchestrator.contract.records import Record, changed
from orchestrator.job.judge import judge
from orchestrator.job.ladder import (
    CPU,
    Rung,
    Try,
    in_words,
    need_of,
    next_rung,
    pause_seconds,
    rungs,
)
from orchestrator.job.link import Link
from orchestrator.job.manifest import Manifest, StageRecord
from orchestrator.job.plan import Step
from orchestrator.job.stageprocess import Interrupted, prepare_attempt, run_warm

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any


class Made(Record):
    """What the attempt that succeeded left: its result, in its folder; and what to tell of it."""

    result: StageResult
    folder: AttemptFolder
    warnings: tuple[StageWarning, ...]


class Attempts:
    """Runs the stages of one job; keeps their records in the manifest up to date, but unsaved.

    ``random`` gives the jitter of pauses between attempts, from 0 up to 1.
    """

    def __init__(
        self,
        folder: JobFolder,
        job: Job,
        manifest: Manifest,
        link: Link,
        run_id: str,
        say: Callable[[Message], None],
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] | None = None,
    ) -> None:
        self._folder = folder
        self._job = job
        self._manifest = manifest
        self._link = link
        self._run_id = run_id
        self._say = say
        self._clock = clock
        self._random = random or _random

    def run(self, step: Step, inputs: Mapping[str, str], facts: Mapping[str, Any]) -> Made:
        """Run the stage with these inputs (name to path) and facts of earlier stages.

        Raises:
            Failure: the last attempt failed, and no other would help.
            Interrupted: told to stop.
            OSError: the job's folder cannot be written.
        """
        stage = step.stage
        failed: list[Try] = []
        rung, device = 0, self._job.device
        while True:
            attempt = self._new_attempt(stage.name)
            ladder = self._ladder(stage, device)
            need = need_of(stage, ladder[min(rung, len(ladder) - 1)], failed)
            request = Request(stage.name, attempt.root.name, need, fresh=bool(failed))
            grant = self._link.ask(request, self._job.threads)
            if grant is None:
                raise Interrupted
            device = grant.device or self._job.device
            ladder = self._ladder(stage, device)
            rung = min(rung if failed else grant.rung, len(ladder) - 1)
            try:
                result = self._try(step, attempt, grant, ladder, rung, (inputs, facts), failed)
            except Failure as failure:
                failed.append(Try(attempt.root.name, rung, failure.info, ladder[rung].label))
                again = next_rung(failed, len(ladder) - 1)
                if again is None:
                    self._manifest.stages[stage.name].tries = _told(failed)
                    raise _given_up(failed) from failure
                rung = again
                _discard(attempt)
                if not self._link.pause(pause_seconds(failed, self._random)):
                    raise Interrupted from None
                continue
            warnings = (*result.warnings, *_notices(stage, ladder[rung], rung, failed))
            return Made(result, attempt, warnings)

    def _ladder(self, stage: JobStage, device: str) -> tuple[Rung, ...]:
        return rungs(stage, device, allow_cpu=self._job.allow_cpu_fallback)

    def _new_attempt(self, stage: str) -> AttemptFolder:
        while True:  # a manifest that was lost does not know all attempts
            self._manifest.attempts += 1
            attempt = self._folder.attempt(stage, self._manifest.attempts)
            if not attempt.root.exists():
                return attempt

    def _try(
        self,
        step: Step,
        attempt: AttemptFolder,
        grant: Grant,
        ladder: tuple[Rung, ...],
        rung: int,
        given: tuple[Mapping[str, str], Mapping[str, Any]],
        failed: list[Try],
    ) -> StageResult:
        stage, chosen = step.stage, ladder[rung]
        request = self._request(stage, attempt, grant, chosen, *given)
        record = _new_record(step, request, grant, rung, chosen, failed)
        self._manifest.stages[stage.name] = record
        started = self._clock()
        try:
            prepare_attempt(request, attempt)
            self._say(Started(stage.name, {"attempt": request.attempt, "reason": step.reason}))
            if grant.warm:
                ended = run_warm(self._link)
            else:
                from orchestrator.job.cold import run_cold

                ended = run_cold(stage, request, attempt, self._link)
            return judge(stage, request, attempt, ended)
        finally:
            record.seconds = self._clock() - started
            self._say(Release(stage.name, request.attempt))

    def _request(
        self,
        stage: JobStage,
        attempt: AttemptFolder,
        grant: Grant,
        rung: Rung,
        inputs: Mapping[str, str],
        facts: Mapping[str, Any],
    ) -> StageRequest:
        job = self._job
        return StageRequest(
            run_id=self._run_id,
            job_id=job.id,
            stage=stage.name,
            attempt=attempt.root.name,
            media=job.source.path,
            inputs=inputs,
            outputs={output.name: output.file for output in stage.outputs},
            outputs_dir=str(attempt.outputs),
            scratch_dir=str(attempt.scratch),
            settings={**stage.requested, **stage.tuning, **rung.settings},
            clip=job.clip,
            language=job.language,
            models=stage.models if rung.models is None else rung.models,
            facts=facts,
            threads=grant.threads,
            device=rung.device or grant.device or job.device,
            load=stage.load,
            optional=tuple(output.name for output in stage.outputs if output.optional),
        )


def _new_record(
    step: Step, request: StageRequest, grant: Grant, rung: int, chosen: Rung, failed: list[Try]
) -> StageRecord:
    stage = step.stage
    return StageRecord(
        status="running",
        reason=step.reason,
        key=step.key,
        attempt=request.attempt,
        started=utc_now(),
        environment={
            "name": stage.environment.name,
            "key": stage.environment.key,
            "packages": dict(stage.environment.packages),
        },
        models=tuple(
            {"name": model.name, "key": model.key, "revision": model.revision}
            for model in request.models
        ),
        device=request.device,
        threads=request.threads,
        warm=grant.warm,
        rung=rung,
        rung_label=chosen.label,
        requested=stage.requested,
        tuning=stage.tuning,
        changed=chosen.settings,
        tries=_told(failed),
    )


def _told(failed: list[Try]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "attempt": one.attempt,
            "rung": one.rung,
            "label": one.label,
            "error": one.error.to_json(),
        }
        for one in failed
    )


def _given_up(failed: list[Try]) -> Failure:
    """The last failure; where others came before it, with all that was tried."""
    last = failed[-1].error
    if len(failed) == 1:
        return Failure(last)
    return Failure(changed(last, message=f"{last.message} (tried in vain: {in_words(failed)})"))


def _notices(stage: JobStage, rung: Rung, number: int, failed: list[Try]) -> list[StageWarning]:
    """What the user should know of how the stage came to its result."""
    notices = []
    if failed:
        last = failed[-1].error
        memory = last.error_class is not ErrorClass.INTERNAL
        notices.append(
            StageWarning(
                "recovered_out_of_memory" if memory else "recovered_after_failure",
                f"{stage.title}: attempt {len(failed) + 1} succeeded ({rung.label}); tried in vain:"
                f" {in_words(failed)}; the last time {last.code}: {last.message}",
            )
        )
    elif number:
        notices.append(
            StageWarning(
                "ran_with_less_memory",
                f"{stage.title}: run with {rung.label}, as memory ran out before",
            )
        )
    if rung.device == CPU:
        notices.append(
            StageWarning("ran_on_cpu", f"{stage.title}: run on the CPU instead of the GPU")
        )
    return notices


def _discard(attempt: AttemptFolder) -> None:
    """Free the space of an attempt that failed; what it was asked, and its log, stay."""
    import shutil

    with contextlib.suppress(OSError):
        shutil.rmtree(attempt.outputs)
        shutil.rmtree(attempt.scratch)


def _random() -> float:
    import random  # 5 ms that a job without a failure does not need

    return random.random()

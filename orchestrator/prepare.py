"""Make jobs: everything a job may know goes into its ``job.json``, resolved and frozen."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from orchestrator.catalogue import StageSpec
from orchestrator.catalogue.model import MEDIA
from orchestrator.contract.atomic import temporary_name
from orchestrator.contract.exchange import Clip, ModelRef
from orchestrator.contract.job import (
    JOB_VERSION,
    Job,
    JobEnvironment,
    JobInput,
    JobOutput,
    JobStage,
    Publication,
    Source,
)
from orchestrator.contract.keys import digest
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.contract.records import to_json
from orchestrator.hardware import Hardware
from orchestrator.job.plan import requested_settings
from orchestrator.settings import ResolvedSettings, stage_settings

ALWAYS_PUBLISHED = frozenset({"txt", "json"})
"""Extensions that a workflow publishes whatever ``formats`` says: they are all it is run for."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All of a job that does not depend on the file; the same for every job of a run.

    ``settings_key`` changes when any result would: it is what "done with these settings" means.
    """

    workflow: str
    stages: tuple[JobStage, ...]
    extensions: tuple[str, ...]
    keep: str
    threads: int
    device: str
    language: str | None
    settings_key: str
    choices: tuple[Mapping[str, Any], ...]
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]


def make_recipe(
    settings: ResolvedSettings,
    specs: Sequence[StageSpec],
    environments: Mapping[str, JobEnvironment],
    models: Mapping[str, Sequence[ModelRef]],
    hardware: Hardware,
) -> Recipe:
    """Resolve stages into what a job needs. ``models`` by stage name."""
    language = settings.settings.language
    makers: dict[str, JobInput] = {MEDIA: JobInput(MEDIA)}
    made: list[JobStage] = []
    for spec in specs:
        inputs = tuple(makers[name] for name in spec.inputs)
        environment = environments[spec.environment]
        made.append(_job_stage(spec, settings, environment, inputs, models.get(spec.name, ())))
        makers.update({name: JobInput(name, spec.name, name) for name in spec.outputs})
    stages = tuple(made)
    formats = {*settings.settings.formats, *ALWAYS_PUBLISHED}
    extensions = tuple(
        output.publish
        for stage in stages
        for output in stage.outputs
        if output.publish in formats and output.publish is not None
    )
    key = digest(
        [
            [
                [stage.name, stage.version, requested_settings(stage, language, None)],
                [model.key for model in stage.models],
            ]
            for stage in stages
        ]
        + [sorted(extensions)]
    )
    return Recipe(
        workflow=settings.settings.workflow,
        stages=stages,
        extensions=extensions,
        keep=settings.settings.keep,
        threads=hardware.threads,
        device=settings.device,
        language=language,
        settings_key=key,
        choices=tuple(to_json(choice) for choice in settings.choices),
        hardware=hardware.to_json(),
        versions={"batch-subtitles": own_version()},
    )


def _job_stage(
    spec: StageSpec,
    settings: ResolvedSettings,
    environment: JobEnvironment,
    inputs: Sequence[JobInput],
    models: Sequence[ModelRef],
) -> JobStage:
    values = stage_settings(spec, settings)
    requested = dict(values.in_key)
    if spec.model_setting is not None:
        requested.pop(spec.model_setting, None)  # the model's content is in the key instead
    return JobStage(
        name=spec.name,
        version=spec.version,
        title=spec.title,
        folder=str(spec.folder),
        environment=environment,
        inputs=tuple(inputs),
        outputs=tuple(
            JobOutput(output.name, output.file, output.large, output.publish)
            for output in spec.outputs.values()
        ),
        requested=requested,
        tuning=values.other,
        resources=to_json(spec.resources),
        stall_seconds=spec.limits.stall_seconds,
        grace_seconds=spec.limits.grace_seconds,
        models=tuple(models),
        uses=spec.uses,
        load=tuple(name for name, setting in spec.settings.items() if setting.load),
    )


def current_user() -> str:
    """The user's name; ``user`` where the system knows none for this uid, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "user"


def own_version() -> str:
    """Version of this program; ``0`` when it runs from a folder that was never installed."""
    try:
        return version("batch-subtitles")
    except PackageNotFoundError:
        return "0"


class JobMaker:
    """Makes job folders with ids ``YYYYMMDD-NNNNNN``, unique by exclusive ``mkdir``."""

    def __init__(
        self, work: WorkFolder, user: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._work = work
        self._user = re.sub(r"[^A-Za-z0-9._-]", "_", user) or "user"
        self._now = now
        self._last: dict[Path, int] = {}

    def make(
        self,
        recipe: Recipe,
        source: Source,
        publication: Publication | None,
        clip: Clip | None = None,
    ) -> tuple[JobFolder, Job]:
        """Make the folder and write its ``job.json``. Without ``publication`` it publishes inside.

        The write is not synced: until the job has run there is nothing to lose, and a job that
        cannot be read is made anew.

        Raises:
            OSError: the work folder cannot be written.
        """
        moment = self._now()
        folder, job_id = self._new_folder(moment.strftime("%Y%m%d"))
        if publication is None:
            publication = Publication(
                str(folder.outputs), Path(source.path).stem, recipe.extensions
            )
        job = Job(
            version=JOB_VERSION,
            id=job_id,
            created=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            workflow=recipe.workflow,
            source=source,
            stages=recipe.stages,
            artefacts=str(self._work.artefacts),
            publication=publication,
            keep=recipe.keep,
            threads=recipe.threads,
            device=recipe.device,
            language=recipe.language,
            clip=clip,
            settings_key=recipe.settings_key,
            choices=recipe.choices,
            hardware=recipe.hardware,
            versions=recipe.versions,
        )
        folder.spec.write_bytes(json.dumps(to_json(job)).encode("ascii"))
        return folder, job

    def _new_folder(self, date: str) -> tuple[JobFolder, str]:
        day = self._work.day(date, self._user)
        if day not in self._last:
            day.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._last[day] = last_number(day, date)
        number = self._last[day]
        while True:
            number += 1
            job_id = f"{date}-{number:06d}"
            try:
                (day / job_id).mkdir(mode=0o700)
            except FileExistsError:
                continue  # another process was faster
            self._last[day] = number
            return JobFolder(day / job_id), job_id


def last_number(day: Path, date: str) -> int:
    """The highest job number of the day, without listing a folder of 100,000 entries.

    Numbers are given out without gaps, so doubling steps and then halving ones find the end.
    """

    def exists(number: int) -> bool:
        return (day / f"{date}-{number:06d}").exists()

    high = 1
    while exists(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exists(middle) else (low, middle)
    return low


def remember_latest(work: WorkFolder, folder: JobFolder) -> None:
    """Let ``run-pipeline --job latest`` find this job. Losing it costs nothing."""
    temporary = work.root / temporary_name("latest")
    with contextlib.suppress(OSError):
        temporary.write_bytes(os.fsencode(folder.root))
        temporary.replace(work.latest_job)

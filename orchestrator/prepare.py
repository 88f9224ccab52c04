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

from orchestrator.catalogue import StageInstance, StageSpec
from orchestrator.catalogue.model import AUTO
from orchestrator.contract.atomic import make_folder, temporary_name
from orchestrator.contract.exchange import Clip, ModelRef
from orchestrator.contract.job import (
    JOB_VERSION,
    Job,
    JobEnvironment,
    JobOutput,
    JobStage,
    Publication,
    Source,
)
from orchestrator.contract.keys import digest
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.contract.records import changed, to_json
from orchestrator.hardware import Hardware
from orchestrator.job.plan import requested_settings
from orchestrator.settings import TARGETS, ResolvedSettings, stage_settings

ALWAYS_PUBLISHED = frozenset({"txt", "json"})
"""Extensions that a workflow publishes whatever ``formats`` says: they are all it is run for. So is
an output with a suffix, such as a film with its subtitles inside."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All of a job that does not depend on the file; the same for every job of a run.

    ``settings_key`` changes when any result would: it is what "done with these settings" means.
    ``targets`` are the languages that outputs are translated into (ISO 639-1).
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
    targets: tuple[str, ...] = ()
    allow_cpu_fallback: bool = False

    @property
    def published(self) -> tuple[JobOutput, ...]:
        """The outputs that are published, in the order of the stages."""
        return tuple(
            output
            for stage in self.stages
            for output in stage.outputs
            if output.publish in self.extensions
        )


@dataclass(frozen=True, slots=True)
class StageModels:
    """What a stage's model setting stands for on this machine, and the memory that takes.

    ``smaller`` may take the place of the first where memory does not suffice, the largest first.
    Memory is in MiB, for the number format and batch size of the settings.
    """

    models: tuple[ModelRef, ...] = ()
    smaller: tuple[ModelRef, ...] = ()
    ram_mb: int = 0
    vram_mb: int = 0


def make_recipe(
    settings: ResolvedSettings,
    instances: Sequence[StageInstance],
    environments: Mapping[str, JobEnvironment],
    models: Mapping[str, StageModels],
    hardware: Hardware,
) -> Recipe:
    """Resolve stages into what a job needs. ``models`` by the names of the stages."""
    language = settings.settings.language
    stages = tuple(
        _job_stage(
            one,
            settings,
            environments[one.spec.environment],
            models.get(one.spec.name, StageModels()),
        )
        for one in instances
    )
    formats = {*settings.settings.formats, *ALWAYS_PUBLISHED}
    extensions = dict.fromkeys(
        output.publish
        for stage in stages
        for output in stage.outputs
        if output.publish is not None and (output.publish in formats or output.suffix)
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
        extensions=tuple(extensions),
        keep=settings.settings.keep,
        threads=hardware.threads,
        device=settings.device,
        language=language,
        settings_key=key,
        choices=tuple(to_json(choice) for choice in settings.choices),
        hardware=hardware.to_json(),
        versions={"batch-subtitles": own_version()},
        targets=tuple(
            dict.fromkeys(
                one.value for one in instances if one.value and one.spec.for_each == TARGETS
            )
        ),
        allow_cpu_fallback=settings.settings.allow_cpu_fallback,
    )


def _job_stage(
    one: StageInstance,
    settings: ResolvedSettings,
    environment: JobEnvironment,
    models: StageModels,
) -> JobStage:
    spec = one.spec
    values = stage_settings(spec, settings)
    requested, tuning = dict(values.in_key), dict(values.other)
    for name in (requested, tuning):
        name.update({key: value for key, value in one.overrides.items() if key in name})
    if spec.model_setting is not None:
        requested.pop(spec.model_setting, None)  # the model's content is in the key instead
    if spec.for_each is not None:  # one more value must not make the others again
        tuning[spec.for_each] = requested.pop(spec.for_each, tuning.get(spec.for_each))
    return JobStage(
        name=one.name,
        version=spec.version,
        title=spec.title,
        folder=str(spec.folder),
        environment=environment,
        inputs=one.inputs,
        outputs=tuple(
            JobOutput(
                name=output.name,
                file=output.file,
                large=output.large,
                publish=output.publish,
                language=one.value if spec.for_each == TARGETS else None,
                suffix=output.suffix,
                optional=output.optional,
            )
            for output in spec.outputs.values()
        ),
        requested=requested,
        tuning=tuning,
        resources={
            "cpu_threads": spec.resources.cpu_threads,
            "ram_mb": spec.resources.ram_mb + models.ram_mb,
            "vram_mb": 0 if settings.gpu is None else spec.resources.vram_mb + models.vram_mb,
        },
        stall_seconds=spec.limits.stall_seconds,
        grace_seconds=spec.limits.grace_seconds,
        models=models.models,
        uses=spec.uses,
        load=tuple(name for name, setting in spec.settings.items() if setting.load),
        compute_types=_compute_types(spec),
        fallback_models=models.smaller,
    )


def _compute_types(spec: StageSpec) -> tuple[str, ...]:
    """The number formats that the stage can be told to use."""
    setting = spec.settings.get("compute_type")
    choices = setting.choices if setting else ()
    return tuple(str(choice) for choice in choices if choice != AUTO)


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
        self._stages: tuple[JobStage, ...] | None = None
        self._stages_written: list[Any] = []

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
            allow_cpu_fallback=recipe.allow_cpu_fallback,
        )
        fields = {**to_json(changed(job, stages=())), "stages": self._written(recipe.stages)}
        folder.spec.write_bytes(json.dumps(fields).encode("ascii"))
        return folder, job

    def _written(self, stages: tuple[JobStage, ...]) -> list[Any]:
        """As in ``job.json``; they are the same for all files of a run."""
        if self._stages is not stages:
            self._stages, self._stages_written = stages, [to_json(stage) for stage in stages]
        return self._stages_written

    def _new_folder(self, date: str) -> tuple[JobFolder, str]:
        day = self._work.day(date, self._user)
        if day not in self._last:
            make_folder(day, mode=0o700)
            make_folder(self._work.artefacts, mode=0o700)
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

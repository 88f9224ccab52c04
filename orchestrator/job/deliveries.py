"""What a job publishes, and where: its outputs by the names that they get in the library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.contract.errors import Failure, describe_os_error
from orchestrator.contract.job import Job, JobOutput
from orchestrator.contract.naming import output_name
from orchestrator.job.artefacts import Artefact, ArtefactStore
from orchestrator.job.publish import Delivery

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

UNKNOWN_LANGUAGE = "und"


def deliveries(
    job: Job, artefacts: Mapping[str, Artefact], store: ArtefactStore, facts: Mapping[str, Any]
) -> list[Delivery]:
    """One for each name, in the order of the stages.

    A translation into the language of the speech has the same name as the subtitles of the speech,
    which are the same and go first.

    Raises:
        Failure: ``name_too_long``.
    """
    found: dict[Path, Delivery] = {}
    for _, _, delivery in _each(job, artefacts, store, facts):
        found.setdefault(delivery.target, delivery)
    return list(found.values())


def to_be_made_again(
    job: Job, artefacts: Mapping[str, Artefact], store: ArtefactStore, facts: Mapping[str, Any]
) -> frozenset[tuple[str, str]]:
    """Stage and output of what was dropped to save space and is not in the library (any more).

    Raises:
        Failure: ``name_too_long``, or a storage error of what is in the library.
    """
    return frozenset(
        (stage, output.name)
        for stage, output, delivery in _each(job, artefacts, store, facts)
        if output.name in artefacts[stage].dropped and not _is_there(delivery)
    )


def _is_there(delivery: Delivery) -> bool:
    try:
        return delivery.is_done()
    except OSError as error:
        raise Failure(describe_os_error(error, f"{delivery.target} could not be read")) from error


def _each(
    job: Job, artefacts: Mapping[str, Artefact], store: ArtefactStore, facts: Mapping[str, Any]
) -> Iterator[tuple[str, JobOutput, Delivery]]:
    where = job.publication
    speech = str(facts.get("language") or job.language or UNKNOWN_LANGUAGE)
    for stage in job.stages:
        artefact = artefacts.get(stage.name)
        records = {one.name: one for one in artefact.outputs} if artefact else {}
        for output in stage.outputs:
            record = records.get(output.name)
            if artefact is None or record is None or not where.wants(output):
                continue
            extension = output.publish or ""
            name = output_name(where.stem, speech, extension, output.language, output.suffix)
            made = store.path(artefact.key, record)
            delivery = Delivery(made, Path(where.folder, name), record.size, record.sha256)
            yield stage.name, output, delivery

"""What every attempt of a stage needs: its folder, its command, its variables; and warm ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.contract import bootstrap
from orchestrator.contract.atomic import put_json
from orchestrator.contract.devices import kind_of
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.messages import Finished, Message
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import Record, changed, to_json
from orchestrator.contract.secrets import without_secrets
from orchestrator.job.link import Link

# Variables that would leak the base environment into a stage; and the one that makes every start
# of a stage compile its imports anew (pyannote.audio: 14.4 s instead of 5.4 s).
_DROPPED_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "PYTHONDONTWRITEBYTECODE",
)


class Interrupted(Exception):
    """The attempt was stopped on request; nothing is wrong with the file."""


def stage_environment(base: Mapping[str, str], threads: int, scratch: Path) -> dict[str, str]:
    """The stage's environment variables: offline, without telemetry or secrets, its threads."""
    environment = without_secrets(base)
    for name in _DROPPED_VARIABLES:
        environment.pop(name, None)
    environment.update(
        {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYANNOTE_METRICS_ENABLED": "0",
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order in which GPUs were counted
            "TMPDIR": str(scratch),
            "TEMP": str(scratch),
            "TMP": str(scratch),
        }
    )
    return environment


def stage_argv(python: Path | str, stage_folder: Path | str) -> list[str]:
    """Command line of a resident stage process; with an attempt folder added, of one attempt."""
    entry = str(Path(bootstrap.__file__).resolve())
    return [str(python), "-X", "utf8", "-I", entry, str(stage_folder)]


class Ended(Record):
    """How the process of an attempt ended: its exit status, and the error it told of last."""

    status: int = 0
    error: ErrorInfo | None = None


def prepare_attempt(request: StageRequest, folder: AttemptFolder) -> None:
    """Make the attempt's folder, which is new, with its request. Raises: OSError."""
    folder.outputs.mkdir(parents=True)
    folder.scratch.mkdir()
    # Whoever starts the process lets it see that one device.
    put_json(folder.request, to_json(changed(request, device=kind_of(request.device))))


def run_warm(link: Link) -> Ended:
    """Wait until the coordinator says that its worker has ended the attempt.

    Raises:
        Interrupted: told to stop. The coordinator ends the worker.
    """
    while True:
        item = link.inbox.get()
        if isinstance(item, Finished):
            return Ended(0 if item.ok else 1, error_told(item))
        if isinstance(item, Message):
            link.note(item)
        if link.cancelled:
            raise Interrupted


def error_told(finished: Finished) -> ErrorInfo | None:
    """The error that the message tells of, if it tells of one that can be read."""
    try:
        return ErrorInfo.from_json(finished.error) if finished.error is not None else None
    except (KeyError, ValueError):
        return None

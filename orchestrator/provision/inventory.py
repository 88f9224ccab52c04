"""What the model store holds, how much of the disk that takes, and taking a model out of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.catalogue.suggest import unknown
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.locks import LockHeld, ProcessLock, describe_holder
from orchestrator.contract.paths import WorkFolder
from orchestrator.provision.fetch import bytes_below
from orchestrator.provision.models import Store, discard, find_ready_model
from orchestrator.provision.process import Report, no_report
from orchestrator.turns import BY_HAND


@dataclass(frozen=True, slots=True)
class Held:
    """One model by name: ``bytes`` on this disk, and whether it is whole.

    One that ``models.yaml`` does not know is left over from another version of it.
    """

    name: str
    bytes: int
    ready: bool
    known: bool = True


def inventory(store: Store) -> list[Held]:
    """Every model that can be named and every one that is on the disk, by name. Raises: OSError."""
    folders = {folder.name: folder for folder in _folders(WorkFolder(store.work_dir).models)}
    known = [
        Held(name, _bytes(folders.get(name)), find_ready_model(store, name) is not None)
        for name in store.specs
    ]
    left = [
        Held(name, _bytes(folder), False, known=False)
        for name, folder in folders.items()
        if name not in store.specs
    ]
    return [*known, *sorted(left, key=lambda one: one.name)]


def remove_model(store: Store, name: str, report: Report = no_report) -> int:
    """Take a model out of the store; returns the bytes that were freed.

    Raises:
        Failure: ``unknown_model``, ``already_running`` while a batch may be using it, or a
            storage error.
    """
    work = WorkFolder(store.work_dir)
    held = {one.name: one for one in inventory(store) if one.bytes}
    if name not in held:
        raise fail(
            "unknown_model",
            unknown(name, held, "model on this disk"),
            "run-pipeline models list shows what is there.",
        )
    try:
        with ProcessLock(work.lock, purpose=BY_HAND):
            discard(store, name, report)
    except LockHeld as error:
        raise fail(
            "already_running",
            f"a run uses the work folder {work.root}: {describe_holder(error.holder)}",
            "Wait for it to end, then remove the model.",
            error_class=ErrorClass.RESOURCE,
            retryable=True,
        ) from error
    except OSError as error:
        raise Failure(describe_os_error(error, f"removing model {name}")) from error
    return held[name].bytes


def _folders(models: Path) -> list[Path]:
    if not models.is_dir():
        return []
    return [one for one in models.iterdir() if one.is_dir() and not one.name.startswith(".")]


def _bytes(folder: Path | None) -> int:
    return 0 if folder is None else bytes_below(folder)

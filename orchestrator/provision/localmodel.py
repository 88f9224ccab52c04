"""A folder of the user's own as a model: identified by what its files hold."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.files import sha256_file
from orchestrator.contract.paths import WorkFolder
from orchestrator.provision.modelspec import content_key


def folder_key(folder: Path, work_dir: Path) -> str:
    """The content key of a folder's files (hidden ones aside).

    Hashing gigabytes takes seconds, so each hash is kept in the work folder and holds while the
    file's size and modification time do.

    Raises:
        OSError: a file cannot be read.
    """
    store = WorkFolder(work_dir).models / ".local" / f"{_name(folder)}.json"
    known: dict[str, list[object]] = {}
    with contextlib.suppress(OSError, ValueError):
        known = read_json(store)["files"]
    current: dict[str, list[object]] = {}
    for name, path in model_files(folder).items():
        state = path.stat()
        entry = known.get(name)
        if entry is None or entry[:2] != [state.st_size, state.st_mtime_ns]:
            entry = [state.st_size, state.st_mtime_ns, sha256_file(path)]
        current[name] = entry
    if current != known:
        store.parent.mkdir(parents=True, exist_ok=True)
        write_json(store, {"folder": str(folder), "files": current})
    return content_key({name: str(entry[2]) for name, entry in current.items()})


def model_files(folder: Path) -> dict[str, Path]:
    """Regular files below a folder by relative name, links to files followed. Raises: OSError."""
    found: dict[str, Path] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                found[path.relative_to(folder).as_posix()] = path
    return found


def _name(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]

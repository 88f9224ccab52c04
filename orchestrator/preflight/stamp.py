"""Remembers a verified install, so that it is verified again only when something has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.clock import utc_now
from orchestrator.provision.environments import Environment
from orchestrator.provision.localmodel import model_files
from orchestrator.provision.models import Model

FORMAT = 1
STAMP = "verified.json"


def stamp_key(
    environments: Iterable[Environment], models: Iterable[Model], settings_hash: str
) -> str:
    """64 hex digits that change with an environment, a model's files, or the settings.

    Reads no file's content: sizes and modification times tell. Raises: OSError.
    """
    parts = {
        "format": FORMAT,
        "environments": sorted([one.name, one.key, str(one.path)] for one in environments),
        "models": sorted([model.name, model.key, _states(model.path)] for model in models),
        "settings": settings_hash,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


def is_fresh(work_dir: Path, key: str) -> bool:
    """Whether the last verification that passed was of exactly this."""
    try:
        return bool(read_json(work_dir / STAMP)["key"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_stamp(work_dir: Path, key: str) -> None:
    """Record that the verification has passed: a power cut may take that. Raises: OSError."""
    when = utc_now()
    stamp = {"key": key, "verified_at": when}
    write_json(work_dir / STAMP, stamp, whole=False, lasting=False)


def _states(folder: Path) -> list[list[object]]:
    files = {name: path.stat() for name, path in model_files(folder).items()}
    return [[name, files[name].st_size, files[name].st_mtime_ns] for name in sorted(files)]

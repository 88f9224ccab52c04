"""Gives each leaf the Python type its key declares: texts are parsed, paths made absolute."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from orchestrator.catalogue import Catalogue
from orchestrator.settings.layers import DEPTHS, Key, Leaf
from orchestrator.settings.schema import Settings
from orchestrator.settings.yaml12 import scalar

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""How an address begins. One letter before the colon is a drive of Windows."""


def convert(leaf: Leaf, catalogue: Catalogue) -> Leaf:
    """``leaf`` with a value of its type, or as it was where it cannot be read as one.

    The schema says what is wrong with a value that could not be read.
    """
    kind = _kind(leaf.key, catalogue)
    value = _parse(leaf.value, kind) if leaf.textual else leaf.value
    if kind in ("path", "model") and isinstance(value, str):
        value = _located(value, leaf.base, always=kind == "path")
    elif kind in ("list[path]", "list[model]") and isinstance(value, list):
        value = [
            _located(item, leaf.base, always=kind == "list[path]")
            if isinstance(item, str)
            else item
            for item in value
        ]
    return replace(leaf, value=value, textual=False)


def _kind(key: Key, catalogue: Catalogue) -> str:
    if len(key) != DEPTHS.get(key[0], 1):
        return "str"
    if key[0] == "workflows":
        return "list[str]"
    if key[0] != "stages":
        field = Settings.model_fields.get(key[0])
        return _annotated_kind(field.annotation) if field else "str"
    stage = catalogue.stages.get(key[1])
    spec = stage.settings.get(key[2]) if stage else None
    if stage is None or spec is None:
        return "str"
    if stage.model_setting != spec.name:
        return spec.type
    return "list[model]" if spec.type == "list[str]" else "model"


def _annotated_kind(annotation: Any) -> str:
    for one in (annotation, *get_args(annotation)):
        bare = get_args(one)[0] if get_origin(one) is Annotated else one
        if bare in (bool, int, float):
            return str(bare.__name__)
    if get_origin(annotation) is tuple:
        return "list[path]" if Path in get_args(annotation) else "list[str]"
    return "path" if Path in get_args(annotation) else "str"


def _parse(text: str, kind: str) -> Any:
    if kind in ("str", "model"):
        return text
    if kind == "path":
        return text or None
    if kind.startswith("list"):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return scalar(text.strip())
    except ValueError:
        return text


def _located(text: str, base: Path, *, always: bool) -> str | Path:
    """An absolute path; a model's name (no ``.``, ``~`` or root before it) stays a name.

    An address stays a text, and is refused where a path is wanted.
    """
    if ADDRESS.match(text):
        return text
    if not always and not text.startswith((".", "~")) and not Path(text).is_absolute():
        return text
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~nobody: kept, and refused where the folder is wanted
        path = Path(text)
    located = base / path
    return located if always else str(located)

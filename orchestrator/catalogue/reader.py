"""Reads the fields of one JSON declaration, collecting every problem instead of the first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.catalogue.suggest import unknown

T = TypeVar("T")

NAME = re.compile(r"[a-z][a-z0-9_]*")
FOLDER = re.compile(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass
class Problems:
    """The problems met so far, each ``file: key: what is wrong``."""

    lines: list[str] = field(default_factory=list)

    def add(self, file: Path, key: str, message: str) -> None:
        self.lines.append(f"{file}: {key}: {message}" if key else f"{file}: {message}")


def read_object(file: Path, problems: Problems) -> dict[str, Any] | None:
    """The JSON object in ``file``; ``None``, with a problem added, when there is none."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except OSError as error:
        problems.add(file, "", f"cannot be read: {error.strerror or error}")
    except json.JSONDecodeError as error:
        problems.add(file, "", f"line {error.lineno} is not valid JSON: {error.msg}")
    except ValueError as error:
        problems.add(file, "", f"is not valid: {error}")
    else:
        if isinstance(data, dict):
            return data
        problems.add(file, "", "must hold a JSON object, {...}")
    return None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise ValueError(f"the key {key!r} stands there twice")
        data[key] = value
    return data


class Reader:
    """The fields of one JSON object. A wrong field adds a problem and gives the stand-in value."""

    def __init__(
        self, data: Mapping[str, Any], file: Path, problems: Problems, prefix: str = ""
    ) -> None:
        self._data = data
        self._file = file
        self._problems = problems
        self._prefix = prefix
        self._asked: set[str] = set()

    def problem(self, key: str, message: str) -> None:
        self._problems.add(self._file, f"{self._prefix}{key}", message)

    def has(self, key: str) -> bool:
        return key in self._data

    def value(self, key: str) -> Any:
        """The raw value, or ``None`` where the key is missing."""
        self._asked.add(key)
        return self._data.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        if not self._required(key, default is not None, 'add it, as "text"'):
            return default or ""
        value = self._data[key]
        if isinstance(value, str) and value.strip():
            return value
        self.problem(key, f"must be text that is not empty, got {value!r}")
        return default or ""

    def name(self, key: str, default: str | None = None) -> str:
        """A lower-case word that works as an identifier and in an environment variable."""
        text = self.text(key, default)
        if text and not NAME.fullmatch(text):
            self.problem(key, f"must be lower-case letters, digits and _, got {text!r}")
        return text

    def name_if_any(self, key: str) -> str | None:
        """As :meth:`name`; ``None`` where the key is missing."""
        return self.name(key, "") or None

    def folder_name(self, key: str, default: str | None = None) -> str:
        """As :meth:`name`, with hyphens between words: the name of a stage or an environment."""
        text = self.text(key, default)
        if text and not FOLDER.fullmatch(text):
            self.problem(key, f"must be lower-case letters, digits, _ and -, got {text!r}")
        return text

    def file_name(self, key: str) -> str:
        """A plain file name: no folder, no spaces, not hidden."""
        text = self.text(key)
        if text and not _FILE.fullmatch(text):
            self.problem(key, f"must be a plain file name of letters, digits, . _ -, got {text!r}")
        return text

    def flag(self, key: str, default: bool) -> bool:
        self._asked.add(key)
        value = self._data.get(key, default)
        if isinstance(value, bool):
            return value
        self.problem(key, f"must be true or false, got {value!r}")
        return default

    def whole(self, key: str, default: int | None = None, minimum: int = 0) -> int:
        if not self._required(key, default is not None, "add it, as a whole number"):
            return default or 0
        value = self._data[key]
        if isinstance(value, int) and not isinstance(value, bool) and value >= minimum:
            return value
        self.problem(key, f"must be a whole number of at least {minimum}, got {value!r}")
        return default or 0

    def number(self, key: str) -> float | None:
        value = self.value(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        self.problem(key, f"must be a number, got {value!r}")
        return None

    def names(self, key: str, *, required: bool = True) -> tuple[str, ...]:
        """A list of different texts."""
        if not self._required(key, not required, 'add it, as a list ["a", "b"]'):
            return ()
        value = self._data[key]
        if not _is_texts(value):
            self.problem(key, f"must be a list of texts, got {value!r}")
            return ()
        if len(set(value)) != len(value):
            self.problem(key, f"names the same thing twice: {value!r}")
        return tuple(value)

    def section(self, key: str, *, required: bool = False) -> dict[str, Any]:
        """A JSON object inside this one; empty where it is missing and not required."""
        if not self._required(key, not required, "add it, as an object {...}"):
            return {}
        value = self._data[key]
        if isinstance(value, dict):
            return value
        self.problem(key, f"must be an object {{...}}, got {value!r}")
        return {}

    def inner(self, key: str) -> Reader:
        """A reader of the object at ``key``, or of an empty one."""
        return Reader(self.section(key), self._file, self._problems, f"{self._prefix}{key}.")

    def each(self, key: str, read: Callable[[str, Reader], T], *, required: bool) -> dict[str, T]:
        """``read(name, reader)`` of every object in the section ``key``, by its name."""
        made: dict[str, T] = {}
        for name, value in self.section(key, required=required).items():
            path = f"{self._prefix}{key}.{name}"
            if not NAME.fullmatch(name):
                self._problems.add(self._file, path, "the name must be lower-case, a-z 0-9 _")
            if not isinstance(value, dict):
                self._problems.add(self._file, path, f"must be an object {{...}}, got {value!r}")
                continue
            reader = Reader(value, self._file, self._problems, f"{path}.")
            made[name] = read(name, reader)
            reader.done()
        return made

    def done(self) -> None:
        """Add a problem for every key that nothing asked for."""
        for key in self._data:
            if key not in self._asked:
                self.problem(key, unknown(key, self._asked, "key"))

    def _required(self, key: str, optional: bool, fix: str) -> bool:
        self._asked.add(key)
        if key not in self._data and not optional:
            self.problem(key, f"is missing; {fix}")
        return key in self._data


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)

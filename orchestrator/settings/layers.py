"""Where settings come from: each layer as a flat list of leaves with their origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.settings.yaml12 import YamlError, parse

PREFIX = "BATCH_SUBTITLES_"
CONFIG_VARIABLE = "BATCH_SUBTITLES_CONFIG"
RESERVED = frozenset({CONFIG_VARIABLE, "BATCH_SUBTITLES_RUN_ID", "BATCH_SUBTITLES_JOB"})
"""Variables of ours that are no settings: the file to read, and the marks our processes carry."""

COMMAND_LINE = "command line"
VARIABLE = "environment "
"""What the layer of an environment variable begins with."""

DEPTHS = {"stages": 3, "workflows": 2, "engines": 2}
"""How many parts the key of a value has, where it is more than one."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value as it was written.

    ``layer`` names the file, variable or command line; ``place`` adds the line, for errors.
    Relative paths are relative to ``base``. A ``textual`` value is still to be parsed by its type.
    """

    key: Key
    value: Any
    layer: str
    place: str
    base: Path
    textual: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the key (or an empty one), where it was written, and what it is."""

    key: str
    place: str
    message: str

    def __str__(self) -> str:
        where = f" ({self.place})" if self.key and self.place else self.place
        return f"{self.key}{where}: {self.message}"


def dotted(key: tuple[str | int, ...]) -> str:
    """``("stages", "asr", "hotwords", 0)`` as ``stages.asr.hotwords[0]``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def file_layer(path: Path, problems: list[Problem]) -> list[Leaf]:
    """The leaves of the YAML file ``path``; what is wrong with it goes into ``problems``."""
    try:
        document = parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.append(Problem("", str(path), f"cannot be read: {error.strerror or error}"))
        return []
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text: the byte at position {error.start} is no part of a letter"
        problems.append(Problem("", str(path), message))
        return []
    except YamlError as error:
        problems.append(Problem("", f"{path}:{error.line}", str(error)))
        return []
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        message = f"must hold keys and values (key: value), got {value!r:.60}"
        problems.append(Problem("", str(path), message))
        return []
    leaves = []
    for key, item in _leaves(value):
        line = document.lines.get(tuple(map(str, key)))
        place = f"{path}:{line}" if line else str(path)
        if all(isinstance(part, str) for part in key):
            leaves.append(Leaf(key, item, str(path), place, path.absolute().parent))
        else:
            message = 'a key must be text: put it in "quotes"'
            problems.append(Problem(dotted(tuple(map(str, key))), place, message))
    return leaves


def environment_layer(environ: Mapping[str, str], cwd: Path) -> list[Leaf]:
    """The leaves of every ``BATCH_SUBTITLES_*`` variable, ``__`` between the parts of a key."""
    leaves = []
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in RESERVED:
            continue
        key = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if key[0] == "workflows":  # a variable's name takes no hyphen
            key = ("workflows", *(part.replace("_", "-") for part in key[1:]))
        layer = f"{VARIABLE}{variable}"
        leaves.append(Leaf(key, environ[variable], layer, layer, cwd, textual=True))
    return leaves


def command_line_layer(cli: Mapping[str, object], cwd: Path) -> list[Leaf]:
    """The leaves of the options given: dotted keys, ``None`` for an option not given."""
    return [
        Leaf(
            tuple(name.split(".")),
            value,
            COMMAND_LINE,
            COMMAND_LINE,
            cwd,
            textual=isinstance(value, str),
        )
        for name, value in cli.items()
        if value is not None
    ]


def _leaves(value: Mapping[Any, Any], prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Key, Any]]:
    for name, item in value.items():
        key = (*prefix, name)
        depth = DEPTHS.get(key[0], 1) if isinstance(key[0], str) else 1
        if len(key) == depth:
            yield key, item
        elif isinstance(item, Mapping) and item:
            yield from _leaves(item, key)
        else:  # null is a section whose every line is commented out
            yield key, {} if item is None else item


def merge(layers: list[list[Leaf]]) -> tuple[dict[str, Any], dict[Key, Leaf]]:
    """The nested values and the leaves they come from; ``layers`` run from weak to strong."""
    winners: dict[Key, Leaf] = {}
    for leaf in (leaf for layer in layers for leaf in layer):
        rivals = [key for key in winners if overlap(key, leaf.key)]
        if rivals and leaf.value == {}:  # an empty section takes nothing away
            continue
        for key in rivals:
            del winners[key]
        winners[leaf.key] = leaf
    values: dict[str, Any] = {}
    for leaf in winners.values():
        section = values
        for part in leaf.key[:-1]:
            section = section.setdefault(part, {})
        section[leaf.key[-1]] = leaf.value
    return values, winners


def overlap(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    """Whether one of two keys lies inside the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]

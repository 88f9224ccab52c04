"""YAML with the meaning of YAML 1.2's core schema, and with line numbers.

PyYAML reads YAML 1.1, where ``no`` is false and ``1:30`` is 90. Here they stay text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_DEPTH = 3
"""How deep keys are looked for: ``stages.asr.model`` is the deepest there is."""


class YamlError(ValueError):
    """Text that is not YAML, or that says one thing twice. ``line`` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: its value, and the line on which each mapping key stands."""

    value: Any
    lines: Mapping[tuple[str, ...], int]


def parse(text: str) -> Document:
    """Read one YAML document; empty text is ``None``.

    Raises:
        YamlError: a syntax error, a key that stands twice in one mapping, an unknown tag.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(None, {})
        lines: dict[tuple[str, ...], int] = {}
        _note_lines(node, (), lines)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(message, mark.line + 1 if mark else 1) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"the character U+{error.character:04X} is not allowed", line) from error


def scalar(text: str) -> str | int | float | bool | None:
    """What the plain scalar ``text`` means: null, a truth value, a number, else the text itself."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text, _base(text))
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _base(text: str) -> int:
    return {"0o": 8, "0x": 16}.get(text[:2], 10)


def _note_lines(node: yaml.Node, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    if not isinstance(node, yaml.MappingNode) or len(path) == _DEPTH:
        return
    for key, value in node.value:
        inner = (*path, str(key.value))
        lines[inner] = key.start_mark.line + 1
        _note_lines(value, inner, lines)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                break
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key!r} stands there twice, first on line {seen[key]}",
                    key_node.start_mark,
                )
            seen[key] = line
        return super().construct_mapping(node, deep)

    def construct_core(self, node: yaml.ScalarNode) -> str | int | float | bool | None:
        try:
            value = scalar(node.value)
        except ValueError as error:  # more digits than int() takes
            raise yaml.constructor.ConstructorError(
                None, None, str(error), node.start_mark
            ) from error
        if value is not None and isinstance(value, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} is not a value of {node.tag}", node.start_mark
            )
        return value


def _set_up() -> None:
    _Loader.yaml_implicit_resolvers = {}
    core = {"null": _NULL, "bool": _BOOL, "int": _INT, "float": _FLOAT}
    for name, pattern in core.items():
        tag = f"tag:yaml.org,2002:{name}"
        anchored = re.compile(rf"(?:{pattern.pattern})$")
        _Loader.add_implicit_resolver(tag, anchored, None)
        _Loader.add_constructor(tag, _Loader.construct_core)
    special = re.compile(rf"(?:{_SPECIAL.pattern})$")
    _Loader.add_implicit_resolver("tag:yaml.org,2002:float", special, None)


_set_up()

"""Records: frozen values with typed fields, and their way to JSON and back.

A :class:`Record` is declared and used like a frozen dataclass, and type checkers take it for one.
It is not one because a job process is started once per file: ``dataclasses`` generates and compiles
code for each class, which cost that process 45 of its 100 ms of CPU. A record's class is made in
0.03 ms, its instances are a little slower. ``dataclasses.replace`` and ``fields`` work on records.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any, ClassVar, TypeVar, dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_options):
        return lambda kind: kind


_REQUIRED = object()


class BadRecord(ValueError):
    """A record on the disk or from another process does not have the agreed form."""


class _Made:
    """The default of a field that gets a new value for each record."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def field(*, default_factory: Callable[[], T]) -> T:
    """Declare a field whose default is made anew for each record, as ``dataclasses.field``."""
    return _Made(default_factory)  # type: ignore[return-value]


class _DataclassFields:
    """Makes ``dataclasses.replace`` and ``fields`` work on records, for those who import them."""

    def __get__(self, _record: Record | None, kind: type[Record]) -> Mapping[str, Field[Any]]:
        import dataclasses

        twin = dataclasses.make_dataclass(
            kind.__name__,
            [
                (name, kind._annotations[name], _dataclass_field(kind._defaults[name]))
                for name in kind.__match_args__
            ],
        )
        found: Mapping[str, Field[Any]] = vars(twin)["__dataclass_fields__"]
        kind.__dataclass_fields__ = found
        return found


def _dataclass_field(default: Any) -> Any:
    import dataclasses

    if default is _REQUIRED:
        return dataclasses.field()
    if isinstance(default, _Made):
        return dataclasses.field(default_factory=default.factory)
    return dataclasses.field(default=default)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """Base of all records. ``class X(Record, frozen=False)`` may be changed after it is made."""

    if TYPE_CHECKING:
        __match_args__: ClassVar[tuple[str, ...]]
        __dataclass_fields__: ClassVar[Mapping[str, Field[Any]]]
        _annotations: ClassVar[dict[str, str]]
        _defaults: ClassVar[dict[str, Any]]
        _frozen: ClassVar[bool]
    else:
        __match_args__ = ()
        _annotations, _defaults, _frozen = {}, {}, True

    def __init_subclass__(cls, *, frozen: bool = True) -> None:
        own = {
            name: annotation
            for name, annotation in cls.__annotations__.items()
            if not annotation.startswith("ClassVar")
        }
        cls._annotations = {**cls._annotations, **own}
        cls._defaults = {**cls._defaults, **{name: vars(cls).get(name, _REQUIRED) for name in own}}
        cls._frozen = frozen
        cls.__match_args__ = tuple(cls._annotations)  # type: ignore[misc]
        cls.__dataclass_fields__ = _DataclassFields()  # type: ignore[assignment]

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        if len(values) > len(names):
            raise TypeError(f"{type(self).__name__} has {len(names)} fields, got {len(values)}")
        state = self.__dict__
        state.update(zip(names, values, strict=False))
        for name in names[len(values) :]:
            if name in named:
                state[name] = named.pop(name)
                continue
            default = self._defaults[name]
            if default is _REQUIRED:
                raise TypeError(f"{type(self).__name__} needs a value for {name}")
            state[name] = default.factory() if isinstance(default, _Made) else default
        if named:
            raise TypeError(f"{type(self).__name__} cannot take {', '.join(named)}")

    if not TYPE_CHECKING:  # to a type checker it would allow any assignment

        def __setattr__(self, name, value):
            if self._frozen or name not in self._annotations:
                raise AttributeError(f"cannot set {name} of {type(self).__name__}")
            self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name} of {type(self).__name__}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        if not self._frozen:
            raise TypeError(f"{type(self).__name__} can change and so has no hash")
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        stated = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({stated})"


def names_of(kind: type[Record]) -> tuple[str, ...]:
    """The names of a record's fields, in order."""
    return kind.__match_args__


def changed(record: T, **changes: Any) -> T:
    """A copy of the record with other values for these fields; as ``dataclasses.replace``."""
    return type(record)(**{**vars(record), **changes})


_PLAIN = frozenset((str, int, float, bool, type(None)))
_NAMED = {kind.__name__: kind for kind in (str, int, float, bool)}


def to_json(record: Any) -> dict[str, Any]:
    """A record or dataclass as plain JSON values (tuples become lists)."""
    # dataclasses.asdict copies every leaf by deepcopy: 0.20 instead of 0.03 ms for a job.
    return {name: _plain(getattr(record, name)) for name in type(record).__match_args__}


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list or kind is tuple:
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Record) or hasattr(kind, "__dataclass_fields__"):
        return to_json(value)
    return value


def from_json(kind: type[T], data: Any, where: str = "") -> T:
    """Build the record ``kind`` from JSON; unknown keys are ignored, so old code reads new.

    Raises:
        BadRecord: a key is missing or a value has another type, with its key path.
    """
    reader: Reader = _reader(kind)  # type: ignore[arg-type]  # cache's stub knows no type[T]
    record: T = reader(data, where or kind.__name__)
    return record


# A reader turns JSON into the value of one field; it is given the key path for its error.
if TYPE_CHECKING:
    Reader = Callable[[Any, str], Any]


@cache
def _reader(kind: type) -> Reader:
    """The reader of a record's class, or of one of the plain types."""
    if not issubclass(kind, Record):
        return _plain_reader(kind)
    fields = [
        (name, _reader_of(annotation, kind.__module__), kind._defaults[name] is _REQUIRED)
        for name, annotation in kind._annotations.items()
    ]

    def read(data: Any, where: str) -> Any:
        if type(data) is not dict:
            raise BadRecord(f"{where}: expected an object")
        values = {}
        for name, reader, required in fields:
            if name in data:
                values[name] = reader(data[name], f"{where}.{name}")
            elif required:
                raise BadRecord(f"{where}.{name}: missing")
        return kind(**values)

    return read


def _reader_of(annotation: str, module: str) -> Reader:
    """The reader of an annotation, in the few forms that records use.

    ``typing.get_type_hints`` would know all forms, at 8 ms for the records of a job.
    """
    if annotation == "Any":
        return lambda data, _where: data
    if annotation.endswith(" | None"):
        inner = _reader_of(annotation.removesuffix(" | None"), module)
        return lambda data, where: None if data is None else inner(data, where)
    form, bracket, rest = annotation.partition("[")
    if bracket:
        arguments = rest.removesuffix("]")
        if form == "tuple":
            return _tuple_reader(_reader_of(arguments.removesuffix(", ..."), module))
        return _mapping_reader(_reader_of(arguments.removeprefix("str, "), module))
    return _reader(_NAMED.get(annotation) or vars(sys.modules[module])[annotation])


def _tuple_reader(item: Reader) -> Reader:
    def read(data: Any, where: str) -> Any:
        if type(data) is not list:
            raise BadRecord(f"{where}: expected a list")
        return tuple([item(one, f"{where}[{n}]") for n, one in enumerate(data)])

    return read


def _mapping_reader(item: Reader) -> Reader:
    def read(data: Any, where: str) -> Any:
        if type(data) is not dict:
            raise BadRecord(f"{where}: expected an object")
        return {key: item(one, f"{where}.{key}") for key, one in data.items()}

    return read


def _plain_reader(kind: type) -> Reader:
    def read(data: Any, where: str) -> Any:
        if type(data) is kind:
            return data
        if kind is float and type(data) is int:
            return float(data)
        raise BadRecord(f"{where}: expected {kind.__name__}, got {type(data).__name__}")

    return read

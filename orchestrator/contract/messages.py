"""The messages between processes: one JSON object a line, the same on both hops.

Upward (stage to job, job to coordinator): ``started progress warning metric heartbeat request
release finished``. Downward: ``run grant cancel drain``, and the ``finished`` of a worker. Each
line carries the protocol version ``v`` and the ``run`` id. An unknown type is logged and ignored,
an unknown version is a failure, and a line that is no message is log text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.contract.records import Record, field, names_of

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any, ClassVar

PROTOCOL_VERSION = 1
MAX_LINE_BYTES = 1 << 20


class UnknownVersion(Exception):
    """The other side speaks a protocol this one does not know."""


class Message(Record):
    type: ClassVar[str] = ""


class Started(Message):
    """A process or a stage has begun. ``facts``: pid, planned stages, versions."""

    type: ClassVar[str] = "started"
    stage: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Progress(Message):
    """``done`` of ``total`` (None: not known) in ``unit``, mostly seconds of audio."""

    type: ClassVar[str] = "progress"
    stage: str = ""
    done: float = 0.0
    total: float | None = None
    unit: str = "s"


class Warning(Message):
    """Something the user should know that did not stop the work."""

    type: ClassVar[str] = "warning"
    stage: str = ""
    code: str = ""
    message: str = ""


class Metric(Message):
    type: ClassVar[str] = "metric"
    stage: str = ""
    name: str = ""
    value: float = 0.0
    unit: str = ""


class Heartbeat(Message):
    """The process is alive, whether or not it gets on."""

    type: ClassVar[str] = "heartbeat"
    stage: str = ""


class Request(Message):
    """A job asks for leave to run a stage, in the attempt folder of that name.

    ``need``: cpu_threads, ram_mb, vram_mb; ``load`` where the ladder changed load settings.
    ``fresh``: only a new process will do (the last one ran out of memory, or crashed).
    """

    type: ClassVar[str] = "request"
    stage: str = ""
    attempt: str = ""
    need: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False


class Release(Message):
    """The stage has ended, however it ended; what it was granted is free again."""

    type: ClassVar[str] = "release"
    stage: str = ""
    attempt: str = ""


class Finished(Message):
    """The last message of a process, or of one request to a resident one.

    A coordinator sends it down to the job when a worker has ended the job's attempt.
    """

    type: ClassVar[str] = "finished"
    stage: str = ""
    ok: bool = False
    error: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Run(Message):
    """Serve one request in a resident process; it answers with one :class:`Finished`.

    ``request`` is ``{"attempt": folder}`` (serve what its ``request.json`` says),
    ``{"load": settings}`` (load the model now), or a whole stage request (answer inline).
    """

    type: ClassVar[str] = "run"
    request: Mapping[str, Any] = field(default_factory=dict)


class Grant(Message):
    """Leave to run the stage asked for, with this many CPU threads.

    ``device`` empty: the job's own. ``warm``: a resident worker is reserved for the attempt and
    serves it once the job says that it has started. ``rung``: the step of the ladder to begin at,
    which is where this stage last succeeded on that device.
    """

    type: ClassVar[str] = "grant"
    stage: str = ""
    attempt: str = ""
    threads: int = 1
    device: str = ""
    warm: bool = False
    rung: int = 0


class Cancel(Message):
    """Stop now; leave a resumable state."""

    type: ClassVar[str] = "cancel"


class Drain(Message):
    """Finish the stage in hand, start no other, leave a resumable state."""

    type: ClassVar[str] = "drain"


class Unknown(Message):
    """A message of a type this version does not know: log it and go on."""

    name: str = ""


_TYPES: dict[str, type[Message]] = {
    kind.type: kind
    for kind in (
        Started,
        Progress,
        Warning,
        Metric,
        Heartbeat,
        Request,
        Release,
        Finished,
        Run,
        Grant,
        Cancel,
        Drain,
    )
}


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def encode(message: Message, run_id: str) -> bytes:
    """One line, newline included. ASCII only, so no reader's encoding can break it."""
    body = {name: getattr(message, name) for name in names_of(type(message))}
    line = {"v": PROTOCOL_VERSION, "run": run_id, "type": message.type, **body}
    return _ENCODER.encode(line).encode("ascii") + b"\n"


def decode(line: bytes) -> Message | None:
    """Read one line. None: it is no message but log text.

    Raises:
        UnknownVersion: it is a message of another protocol version.
    """
    if not line.startswith(b"{"):
        return None
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or "v" not in body or "type" not in body:
        return None
    if body["v"] != PROTOCOL_VERSION:
        raise UnknownVersion(f"message of protocol {body['v']!r}, expected {PROTOCOL_VERSION}")
    name = body["type"]
    kind = _TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        return Unknown(str(name))
    return kind(**{name: body[name] for name in names_of(kind) if name in body})

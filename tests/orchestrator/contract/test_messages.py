"""The line of every message, byte for byte: other versions of this program must read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract import messages
from orchestrator.contract.messages import (
    Cancel,
    Drain,
    Finished,
    Grant,
    Heartbeat,
    Message,
    Metric,
    Progress,
    Release,
    Request,
    Run,
    Started,
    Unknown,
    UnknownVersion,
    Warning,
    decode,
    encode,
)

SNAPSHOTS: list[tuple[Message, bytes]] = [
    (
        Started("asr", {"pid": 7}),
        b'{"facts":{"pid":7},"run":"r1","stage":"asr","type":"started","v":1}\n',
    ),
    (
        Progress("asr", 1.5, 60.0),
        b'{"done":1.5,"run":"r1","stage":"asr","total":60.0,"type":"progress","unit":"s","v":1}\n',
    ),
    (
        Warning("asr", "odd", "It is odd."),
        b'{"code":"odd","message":"It is odd.","run":"r1","stage":"asr","type":"warning","v":1}\n',
    ),
    (
        Metric("asr", "speed", 8.0, "x"),
        b'{"name":"speed","run":"r1","stage":"asr","type":"metric","unit":"x","v":1,"value":8.0}\n',
    ),
    (Heartbeat("asr"), b'{"run":"r1","stage":"asr","type":"heartbeat","v":1}\n'),
    (
        Request("asr", "asr-001", {"ram_mb": 9}, fresh=True),
        b'{"attempt":"asr-001","fresh":true,"need":{"ram_mb":9},"run":"r1","stage":"asr",'
        b'"type":"request","v":1}\n',
    ),
    (
        Release("asr", "asr-001"),
        b'{"attempt":"asr-001","run":"r1","stage":"asr","type":"release","v":1}\n',
    ),
    (
        Finished("asr", True, None, {"n": 1}),
        b'{"data":{"n":1},"error":null,"ok":true,"run":"r1","stage":"asr","type":"finished","v":1}\n',
    ),
    (Run({"media": "a"}), b'{"request":{"media":"a"},"run":"r1","type":"run","v":1}\n'),
    (
        Grant("asr", "asr-001", 4, "cuda:1", warm=True, rung=2),
        b'{"attempt":"asr-001","device":"cuda:1","run":"r1","rung":2,"stage":"asr","threads":4,'
        b'"type":"grant","v":1,"warm":true}\n',
    ),
    (Cancel(), b'{"run":"r1","type":"cancel","v":1}\n'),
    (Drain(), b'{"run":"r1","type":"drain","v":1}\n'),
]


@pytest.mark.parametrize(("message", "line"), SNAPSHOTS, ids=[one.type for one, _ in SNAPSHOTS])
def test_each_message_has_its_line(message: Message, line: bytes) -> None:
    assert encode(message, "r1") == line
    assert decode(line) == message
    assert decode(line.rstrip()) == message


def test_every_message_has_a_snapshot() -> None:
    kinds = {
        kind
        for kind in vars(messages).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind.type
    }
    assert {type(message) for message, _ in SNAPSHOTS} == kinds


def test_an_unknown_type_is_ignored_by_name() -> None:
    assert decode(b'{"v":1,"type":"applause","run":"r1"}') == Unknown("applause")
    assert decode(b'{"v":1,"type":["started"],"run":"r1"}') == Unknown("['started']")


def test_a_field_that_an_older_version_did_not_send_has_its_default() -> None:
    assert decode(b'{"v":1,"type":"request","stage":"asr"}') == Request("asr")
    assert decode(b'{"v":1,"type":"grant","threads":2}') == Grant(threads=2)


def test_a_field_that_a_newer_version_added_is_ignored() -> None:
    assert decode(b'{"v":1,"type":"heartbeat","stage":"asr","mood":"good"}') == Heartbeat("asr")


@pytest.mark.parametrize("version", [b"2", b"0", b'"1"', b"null"])
def test_an_unknown_version_is_refused(version: bytes) -> None:
    with pytest.raises(UnknownVersion, match="expected 1"):
        decode(b'{"v":' + version + b',"type":"started"}')


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"loading model ...",
        b"{",
        b"{}",
        b'{"v":1}',
        b'{"type":"started"}',
        b'["v",1,"type","started"]',
        b"{\xff\xfe",
        b'{"v":1,"type":"started"} and more',
        b'{"a":' * 100_000,
    ],
    ids=lambda line: line[:12].decode("latin-1"),
)
def test_a_line_that_is_no_message_is_text(line: bytes) -> None:
    assert decode(line) is None


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd(line: bytes) -> None:
    assert not isinstance(decode(b"{" + line), Finished)


@given(
    st.text(st.characters(codec=None, categories=None), max_size=50),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_text_survives_in_ascii_and_in_one_line(text: str, value: float) -> None:
    message = Metric("asr", text, value)
    line = encode(message, text)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_a_name_with_bytes_that_are_no_text_survives() -> None:
    odd = b"caf\xe9 \xf0\x9f\x8e\xac.mkv".decode("utf-8", "surrogateescape")
    assert decode(encode(Run({"media": odd}), "r1")) == Run({"media": odd})

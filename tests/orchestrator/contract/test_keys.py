"""Work is known again by its content: never by its name or place."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.keys import canonical, digest, fingerprint, stage_key

KIB, MIB = 1 << 10, 1 << 20


class Measured(io.FileIO):
    """A file on a network disk: it counts, and it may return less than was asked for."""

    counted = 0
    most = 1 << 30

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)[: self.most]
        count = super().readinto(view) or 0
        Measured.counted += count
        return count


class NetworkPath(type(Path())):  # type: ignore[misc]
    def open(self, mode: str = "r", buffering: int = -1) -> Any:
        assert mode == "rb"
        raw = Measured(str(self), "r")
        return raw if buffering == 0 else io.BufferedReader(raw, buffering)


def media(path: Path, size: int, changed_at: int | None = None) -> Path:
    content = bytearray(index % 251 for index in range(4096)) * (size // 4096 + 1)
    del content[size:]
    if changed_at is not None:
        content[changed_at] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, 65_536, MIB, MIB + 1, 3 * MIB])
def test_the_same_content_elsewhere_has_the_same_fingerprint(tmp_path: Path, size: int) -> None:
    (tmp_path / "moved").mkdir()
    first = fingerprint(media(tmp_path / "film.mkv", size))
    assert fingerprint(media(tmp_path / "moved" / "other name.avi", size)) == first
    assert len(first) == 32
    assert int(first, 16) >= 0


def test_the_fingerprint_of_a_large_file_is_what_it_always_was(tmp_path: Path) -> None:
    """A change here makes every finished file of every user be done again."""
    assert fingerprint(media(tmp_path / "film.mkv", 3 * MIB)) == "f1afcb6efa411d6d1b59719f01140a22"
    assert fingerprint(media(tmp_path / "clip.mkv", 5)) == "023a12668eb44230c40f6ca7e2321bcd"


@pytest.mark.parametrize("size", [1000, MIB, 3 * MIB])
def test_another_size_or_a_changed_end_is_another_file(tmp_path: Path, size: int) -> None:
    original = fingerprint(media(tmp_path / "a", size))
    assert fingerprint(media(tmp_path / "b", size + 1)) != original
    assert fingerprint(media(tmp_path / "c", size, changed_at=0)) != original
    assert fingerprint(media(tmp_path / "d", size, changed_at=size - 1)) != original


@pytest.mark.parametrize("block", range(16))
def test_a_change_in_any_sampled_block_is_seen(tmp_path: Path, block: int) -> None:
    size = 4 * MIB
    start = (size - 64 * KIB) * block // 15
    original = fingerprint(media(tmp_path / "a", size))
    assert fingerprint(media(tmp_path / "b", size, changed_at=start + 5)) != original


def test_a_large_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.mkv"
    with path.open("wb") as stream:
        stream.truncate(40 << 30)
    monkeypatch.setattr(Measured, "counted", 0)
    fingerprint(NetworkPath(path))
    assert Measured.counted == MIB


@pytest.mark.parametrize("size", [500_000, 3 * MIB])
def test_a_disk_that_reads_in_small_pieces_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = media(tmp_path / "film.mkv", size)
    monkeypatch.setattr(Measured, "most", 1000)
    assert fingerprint(NetworkPath(path)) == fingerprint(path)


def test_a_file_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "gone.mkv")


def test_the_stage_key_is_what_it_always_was() -> None:
    """A change here makes every finished stage of every user run again."""
    key = stage_key("asr", 3, {"beam_size": 5, "language": None}, ["m0"], {"audio": "k1/audio"})
    assert key == "ad0122c8dc6c20785ff6f2db88545cda"


def test_everything_that_changes_the_result_changes_the_key() -> None:
    base: dict[str, Any] = {
        "stage": "asr",
        "version": 1,
        "settings": {"beam_size": 5},
        "model_keys": ["m"],
        "inputs": {"audio": "a"},
    }
    others: list[dict[str, Any]] = [
        {"stage": "asr2"},
        {"version": 2},
        {"settings": {"beam_size": 6}},
        {"settings": {}},
        {"model_keys": []},
        {"model_keys": ["m", "n"]},
        {"model_keys": ["n", "m"]},
        {"inputs": {"audio": "b"}},
        {"inputs": {"sound": "a"}},
    ]
    keys = [stage_key(**{**base, **change}) for change in [{}, *others]]
    assert len(set(keys)) == len(keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert digest(turned) == digest(value)
    assert json.loads(canonical(value)) == value


def test_what_is_no_json_has_no_key() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))

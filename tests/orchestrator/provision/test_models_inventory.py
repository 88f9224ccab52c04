"""What the model store holds, and taking a model out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.provision import inventory as module
from orchestrator.provision.inventory import Held, inventory, remove_model
from orchestrator.provision.models import Store
from orchestrator.provision.modelspec import FileSpec, ModelSpec

MINE = ModelSpec("mine", (), "MIT", (), {"model.bin": FileSpec(5, "a" * 64)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "work", {"mine": MINE})


def put(store: Store, name: str, size: int) -> Path:
    folder = store.folder(name)
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(size))
    return folder


def test_an_empty_store_names_what_could_be_there(store: Store) -> None:
    assert inventory(store) == [Held("mine", 0, False)]


def test_what_is_there_is_counted_and_what_is_left_over_is_named(store: Store) -> None:
    put(store, "mine", 5)
    put(store, "older", 7)
    put(store, ".mine.staging", 9)
    assert inventory(store) == [
        Held("mine", 5, False),  # its ready.json is missing
        Held("older", 7, False, known=False),
    ]


def test_what_is_left_over_can_be_removed(store: Store) -> None:
    folder = put(store, "older", 7)
    assert remove_model(store, "older") == 7
    assert not folder.exists()


def test_what_is_not_there_cannot(store: Store) -> None:
    put(store, "older", 7)
    with pytest.raises(Failure, match="did you mean 'older'") as caught:
        remove_model(store, "oldest")
    assert caught.value.info.code == "unknown_model"


def test_a_disk_that_refuses(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    put(store, "older", 7)
    monkeypatch.setattr(module, "discard", refuse)
    with pytest.raises(Failure) as caught:
        remove_model(store, "older")
    assert "removing model older" in caught.value.info.message

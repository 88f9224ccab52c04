"""Models that take turns."""

from __future__ import annotations

from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.last_model import last_model

ONE, TWO = ModelRef("one", "there", "k1"), ModelRef("two", "there", "k2")
ENTRY = {"name": "one", "path": "there", "key": "k1"}


class Loader:
    """Notes what was loaded."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __call__(self, model: ModelRef) -> ModelRef:
        self.loaded.append(model.name)
        return model


def test_the_only_model_is_loaded_at_once_and_kept() -> None:
    loader = Loader()
    models = last_model({"models": [ENTRY]}, loader)
    assert loader.loaded == ["one"]
    assert models.get(ONE).key == "k1"
    assert loader.loaded == ["one"]


def test_of_several_the_last_one_used_is_kept() -> None:
    loader = Loader()
    models = last_model({"models": [ENTRY, ENTRY]}, loader)
    assert loader.loaded == []
    for reference in (ONE, TWO, TWO, ONE):
        assert models.get(reference) == reference
    assert loader.loaded == ["one", "two", "one"]

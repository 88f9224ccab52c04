"""One model of several at a time: a file needs one, and all together may not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from orchestrator.contract.exchange import ModelRef

T = TypeVar("T")


class LastModel(Generic[T]):
    """Keeps the model that was last used."""

    def __init__(self, load: Callable[[ModelRef], T]) -> None:
        self._load = load
        self._key = ""
        self._loaded: T | None = None

    def get(self, reference: ModelRef) -> T:
        """The model, loaded if it is another than the last one; what ``load`` raises is raised."""
        if self._loaded is None or self._key != reference.key:
            self._loaded = None  # before the next one is loaded beside it
            self._loaded = self._load(reference)
            self._key = reference.key
        return self._loaded


def last_model(settings: Mapping[str, Any], load: Callable[[ModelRef], T]) -> LastModel[T]:
    """For a stage whose ``load`` is given ``models``; where it is only one, that is loaded now."""
    models = LastModel(load)
    if len(settings["models"]) == 1:
        model = settings["models"][0]
        models.get(ModelRef(model["name"], model["path"], model["key"]))
    return models

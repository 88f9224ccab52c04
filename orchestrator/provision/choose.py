"""Which model stands in for a default one that cannot be had."""

from __future__ import annotations

from orchestrator.contract.errors import Failure
from orchestrator.provision.fetch import Progress
from orchestrator.provision.models import (
    Model,
    Store,
    ensure_model,
    find_ready_model,
    no_progress,
)
from orchestrator.provision.modelspec import ModelSpec
from orchestrator.provision.process import Report, no_report


def choose_model(
    store: Store,
    requested: str,
    *,
    was_default: bool,
    language: str | None = None,
    progress: Progress = no_progress,
    report: Report = no_report,
) -> Model:
    """The requested model; for a default that cannot be had, the largest of its kind that is here.

    A model that the user named is never replaced. ``language`` (ISO 639-1, ``None`` if it is to be
    found out) keeps a model of another language from standing in.

    Raises:
        Failure: as :func:`ensure_model`.
    """
    try:
        return ensure_model(store, requested, progress, report)
    except Failure as failure:
        if not was_default or failure.info.code != "model_unavailable":
            raise
        for model in stand_ins(store, requested, language):
            report(
                f"WARNING: {failure.info.message}. Using {model.name}, the largest model on "
                "this machine, instead: expect other results."
            )
            return model
        raise


def stand_ins(store: Store, requested: str, language: str | None) -> list[Model]:
    """Models of the same kind that are here and know the language, the largest first."""
    wanted = store.specs.get(requested)
    if wanted is None or not wanted.kind:
        return []
    found = (
        find_ready_model(store, spec.name)
        for spec in local_models(store)
        if spec.kind == wanted.kind and spec.name != requested and spec.speaks(language)
    )
    return [model for model in found if model is not None]


def smaller_ones(store: Store, name: str, language: str | None) -> list[Model]:
    """Models of the same kind that are here, know the language and are smaller, largest first."""
    own = store.specs.get(name)
    if own is None:
        return []
    return [
        one for one in stand_ins(store, name, language) if store.specs[one.name].size < own.size
    ]


def local_models(store: Store) -> list[ModelSpec]:
    """The models of the store that are ready, the largest first."""
    ready = [spec for spec in store.specs.values() if find_ready_model(store, spec.name)]
    return sorted(ready, key=lambda spec: spec.size, reverse=True)

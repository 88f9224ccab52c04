"""What a folder with a Hugging Face checkpoint translates, and how it wants to be told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.languages import normalise
from orchestrator.stagekit.flores import flores_code

_M2M = {
    "m2m100": """
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha
    he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my
    ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi
    wo xh yi yo zh zu
    """,
    "wmt21": "en ha is ja cs ru zh de",
}
"""The languages of M2M100 and of the models made of it for WMT 2021, by the name of their list."""


@dataclass(frozen=True, slots=True)
class Route:
    """A model and what it is told about one pair of languages.

    Attributes:
        source: code that its tokenizer is set to, "" where it has no such setting.
        target: token that every translation is made to begin with, "" where it has none.
        prefix: what every text to translate begins with.
    """

    model: ModelRef
    source: str = ""
    target: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    model: ModelRef
    config: dict[str, Any]
    tokenizer: dict[str, Any]

    def route(self, source: str, target: str) -> Route | None:
        """``None`` where the model does not translate the pair. Raises: Failure."""
        if self.config.get("model_type") == "marian":
            return self._marian(source, target)
        name = str(self.tokenizer.get("tokenizer_class", ""))
        if self.config.get("model_type") == "m2m_100" and name.startswith("Nllb"):
            codes = flores_code(source), flores_code(target)
            return Route(self.model, codes[0], codes[1]) if codes[0] and codes[1] else None
        if self.config.get("model_type") == "m2m_100":
            known = _M2M.get(str(self.tokenizer.get("language_codes", "m2m100")), "").split()
            both = source in known and target in known
            return Route(self.model, source, f"__{target}__") if both else None
        raise _unusable(
            self.model.path,
            f"models of the type {self.config.get('model_type')!r} are not supported",
        )

    def _marian(self, source: str, target: str) -> Route | None:
        stated = self.tokenizer.get("source_lang"), self.tokenizer.get("target_lang")
        pair = self.model.languages if len(self.model.languages) == 2 else stated
        codes = [normalise(str(one or "")) for one in pair]
        # The name of a group of languages (ROMANCE, mul) is no code: whoever names such a model
        # for a file knows what it is for.
        if codes[0] not in (source, None):
            return None
        if codes[1] is not None:
            return Route(self.model) if codes[1] == target else None
        for token in _marian_targets(Path(self.model.path)):
            if normalise(token.strip("<>")) == target:
                return Route(self.model, prefix=f"{token} ")
        return None


def choose(models: Sequence[ModelRef], source: str, target: str) -> Route:
    """The first model that translates the pair.

    Raises:
        Failure: ``translation_no_model``; ``model_unusable`` (a folder holds no such model).
    """
    for model in models:
        route = _read(model).route(source, target)
        if route is not None:
            return route
    named = ", ".join(model.name for model in models) or "none is set"
    raise fail(
        "translation_no_model",
        f"No model translates from {source} to {target} (models: {named}).",
        "Put one that does into stages.translation.models: the folder of an opus-mt model of that "
        "pair, or of NLLB-200 or M2M100, which know many languages.",
        error_class=ErrorClass.INPUT,
    )


def has_safetensors(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _read(model: ModelRef) -> _Checkpoint:
    folder = Path(model.path)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(model.path, str(error)) from error
    return _Checkpoint(model, config, tokenizer)


def _marian_targets(folder: Path) -> list[str]:
    """The tokens ``>>xxx<<`` of a model with several target languages."""
    try:
        vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(str(folder), str(error)) from error
    return sorted(token for token in vocabulary if token[:2] == ">>" and token[-2:] == "<<")


def _unusable(folder: str, reason: str) -> Failure:
    return fail(
        "model_unusable",
        f"The translation model at {folder} cannot be used: {reason}.",
        "Name the folder of an opus-mt, NLLB-200 or M2M100 model as transformers saves it, whole.",
        error_class=ErrorClass.ENVIRONMENT,
    )

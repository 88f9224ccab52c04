"""The parts of the translating stages that need no model."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.cue_translation import Rules, Script, Unit, translate_cues
from orchestrator.stagekit.subtitle_formats import Cue
from orchestrator.stages.translation import checkpoint, limits
from orchestrator.stages.translation_indic import directions
from orchestrator.stages.translation_offline import folder, marianfile
from orchestrator.stages.translation_whisper.capability import check
from orchestrator.stages.translation_whisper.windows import LONGEST_WINDOW, stretches, windows

MakeModel = Callable[..., ModelRef]


@pytest.fixture
def saved(tmp_path: Path) -> MakeModel:
    """Makes a folder with the files of a checkpoint that tell what it is."""

    def make(name: str, config: dict[str, Any], tokenizer: dict[str, Any]) -> ModelRef:
        place = tmp_path / name
        place.mkdir()
        (place / "config.json").write_text(json.dumps(config), "utf-8")
        (place / "tokenizer_config.json").write_text(json.dumps(tokenizer), "utf-8")
        return ModelRef(name, str(place), name)

    return make


MARIAN = {"model_type": "marian"}
M2M = {"model_type": "m2m_100"}


def test_opus_models_are_chosen_by_their_pair(saved: MakeModel) -> None:
    models = [
        saved("en-de", MARIAN, {"source_lang": "en", "target_lang": "de"}),
        saved("eng-fra", MARIAN, {"source_lang": "eng", "target_lang": "fra"}),
    ]
    assert checkpoint.choose(models, "en", "fr") == checkpoint.Route(models[1])
    with pytest.raises(Failure) as caught:
        checkpoint.choose(models, "de", "en")
    assert caught.value.info.code == "translation_no_model"
    assert "en-de, eng-fra" in caught.value.info.message
    assert "stages.translation.models" in caught.value.info.hint


def test_a_model_of_many_targets_is_told_which(saved: MakeModel) -> None:
    model = saved("en-roa", MARIAN, {"source_lang": "en", "target_lang": "roa"})
    vocabulary = {"</s>": 0, ">>fra<<": 1, ">>por<<": 2, "a": 3}
    Path(model.path, "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    assert checkpoint.choose([model], "en", "pt") == checkpoint.Route(model, prefix=">>por<< ")
    with pytest.raises(Failure):
        checkpoint.choose([model], "en", "it")


def test_a_pair_declared_with_the_model_goes_before_what_its_files_say(saved: MakeModel) -> None:
    model = saved("group", MARIAN, {"source_lang": "ROMANCE", "target_lang": "en"})
    assert checkpoint.choose([model], "pt", "en") == checkpoint.Route(model)
    declared = ModelRef(model.name, model.path, model.key, ("fr", "en"))
    with pytest.raises(Failure):
        checkpoint.choose([declared], "pt", "en")


def test_nllb_gets_flores_codes(saved: MakeModel) -> None:
    model = saved("nllb", M2M, {"tokenizer_class": "NllbTokenizerFast"})
    route = checkpoint.Route(model, "zho_Hans", "por_Latn")
    assert checkpoint.choose([model], "zh", "pt") == route
    with pytest.raises(Failure):
        checkpoint.choose([model], "la", "pt")


def test_m2m100_gets_its_own_codes(saved: MakeModel) -> None:
    model = saved("m2m", M2M, {"tokenizer_class": "M2M100Tokenizer"})
    assert checkpoint.choose([model], "en", "br") == checkpoint.Route(model, "en", "__br__")
    with pytest.raises(Failure):
        checkpoint.choose([model], "en", "eu")
    wmt = saved("wmt", M2M, {"tokenizer_class": "M2M100Tokenizer", "language_codes": "wmt21"})
    with pytest.raises(Failure):
        checkpoint.choose([wmt], "en", "br")


def test_other_models_and_broken_folders_are_refused(saved: MakeModel, tmp_path: Path) -> None:
    bare = saved("roa", MARIAN, {"source_lang": "en", "target_lang": "roa"})
    for model in (saved("t5", {"model_type": "t5"}, {}), bare, ModelRef("x", str(tmp_path), "x")):
        with pytest.raises(Failure) as caught:
            checkpoint.choose([model], "en", "de")
        assert caught.value.info.code == "model_unusable"


def test_safetensors_are_noticed(tmp_path: Path) -> None:
    assert not checkpoint.has_safetensors(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert checkpoint.has_safetensors(tmp_path)


def test_limits_follow_the_device() -> None:
    assert limits.batch_size("auto", "cpu") < limits.batch_size("auto", "cuda:1")
    assert limits.batch_size(3, "cuda") == 3
    assert limits.compute_type("auto", "cpu") == "float32"
    assert limits.compute_type("auto", "cuda:1") == "float16"
    assert limits.compute_type("bfloat16", "cpu") == "bfloat16"
    assert limits.room_for(10) == 50
    assert limits.room_for(limits.LONGEST) <= 512


def student(place: Path, name: str = "model.enpt.intgemm.alphas.bin") -> ModelRef:
    place.mkdir()
    (place / name).touch()
    (place / "vocab.spm").touch()
    return ModelRef(place.name, str(place), place.name)


def test_student_models_are_known_by_the_names_of_their_files(tmp_path: Path) -> None:
    models = [student(tmp_path / "a"), student(tmp_path / "b", "model.pten.intgemm8.bin")]
    assert folder.choose(models, "pt", "en").pair == ("pt", "en")
    with pytest.raises(Failure) as caught:
        folder.choose(models, "en", "de")
    assert caught.value.info.code == "translation_no_model"
    assert "en-pt, pt-en" in caught.value.info.message


def test_student_models_with_other_names_need_their_languages_declared(tmp_path: Path) -> None:
    model = student(tmp_path / "a", "model.bin")
    with pytest.raises(Failure) as caught:
        folder.choose([model], "en", "pt")
    assert caught.value.info.code == "model_unusable"
    declared = ModelRef("a", model.path, "a", ("en", "pt"))
    assert folder.choose([declared], "en", "pt").name == "a"


def test_a_folder_without_a_student_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        folder.look_into(ModelRef("x", str(tmp_path), "x"))
    assert caught.value.info.code == "model_unusable"


def marian_bytes(items: dict[str, tuple[int, tuple[int, ...], bytes]], gap: int = 3) -> bytes:
    """A model file as Marian writes it."""
    names = b"".join(name.encode() + b"\0" for name in items)
    headers = b"".join(
        struct.pack("<4Q", len(name) + 1, kind, len(shape), len(data))
        for name, (kind, shape, data) in items.items()
    )
    shapes = b"".join(struct.pack(f"<{len(s)}i", *s) for _, s, _ in items.values())
    data = b"".join(data for _, _, data in items.values())
    start = struct.pack("<QQ", 1, len(items)) + headers + names + shapes
    return start + struct.pack("<Q", gap) + bytes(gap) + data


OPTIONS = b"type: transformer\ndim-vocabs:\n  - 5\nenc-depth: 6\n\0"
ITEMS = {
    "bias": (marianfile.FLOAT32, (1, 2), struct.pack("<2f", 1.5, -2.0)),
    "weight": (marianfile.INT8_SCALED, (2, 2), bytes([1, 2, 255, 4]) + struct.pack("<f", 64.0)),
    "special:model.yml": (0x0101, (len(OPTIONS),), OPTIONS),
}


def test_a_marian_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(marian_bytes(ITEMS))
    model = marianfile.read_model(file)
    assert set(model.tensors) == {"bias", "weight"}
    assert model.tensors["bias"].shape == (1, 2)
    assert struct.unpack("<2f", model.tensors["bias"].data) == (1.5, -2.0)
    assert model.tensors["weight"].scale == 64.0
    assert model.options["type"] == "transformer"
    assert model.options["enc-depth"] == "6"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no Marian model"),
        (b"PK\x03\x04" + bytes(100), "version 1"),
        (marian_bytes(ITEMS)[:-10], "cut off in special:model.yml"),
        (marian_bytes(ITEMS)[:40], "cut off"),
        (marian_bytes({"bias": ITEMS["bias"]}), "special:model.yml"),
        (marian_bytes({"x": (0x0808, (1,), bytes(8))}), "not supported"),
        (marian_bytes({"x": (marianfile.FLOAT32, (9,), bytes(8))}), "needs 36"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=reason):
        marianfile.read_model(file)


def test_whisper_translates_into_english_only() -> None:
    assert check("jv", "en", "base", knowing("jw")) == "jw"
    assert check("yue", "en", "base", knowing("zh")) == "zh"
    for source, target, name, whisper in [
        ("de", "fr", "base", knowing("de")),
        ("xh", "en", "base", knowing("de")),
        ("fo", "en", "base", knowing("de")),
        ("de", "en", "base.en", knowing("de", multilingual=False)),
        ("de", "en", "large-v3-turbo", knowing("de")),
        ("de", "en", "/models/distil-small", knowing("de")),
    ]:
        with pytest.raises(Failure) as caught:
            check(source, target, name, whisper)
        assert caught.value.info.code == "translation_no_model"


def knowing(*codes: str, multilingual: bool = True) -> Any:
    """A model of faster-whisper's that has tokens for these languages."""
    tokens = {f"<|{code}|>": number for number, code in enumerate(codes)}
    return SimpleNamespace(
        model=SimpleNamespace(is_multilingual=multilingual),
        hf_tokenizer=SimpleNamespace(token_to_id=tokens.get),
    )


def script(*cues: tuple[float, float, str]) -> Script:
    """Cues; ``|`` divides their lines."""
    return Script([Cue(start, end, tuple(text.split("|"))) for start, end, text in cues], Rules())


def test_short_sentences_are_heard_together_and_others_alone() -> None:
    found = windows(
        script(
            (0.0, 1.0, "Yes."),
            (1.1, 2.0, "No."),
            (2.1, 8.0, "That is a long sentence."),
            (8.1, 12.0, "This one"),
            (12.1, 14.0, "runs on."),
            (14.1, 15.0, "♪"),
            (15.1, 16.0, "Oh."),
            (30.0, 31.0, "Far away."),
        )
    )
    assert [unit.text for unit in found] == [
        "Yes. No.",
        "That is a long sentence.",
        "This one runs on.",
        "",
        "Oh.",
        "Far away.",
    ]


def test_a_sentence_longer_than_whisper_hears_is_heard_by_cues() -> None:
    found = windows(script(*((at * 7.0, at * 7.0 + 6.9, "and then") for at in range(6))))
    assert len(found) == 6
    assert max(unit.end - unit.start for unit in found) < LONGEST_WINDOW


SHARED = (
    (0.0, 4.0, "Yes. I went there yesterday.|And you?"),
    (4.1, 8.0, "Me too. It was good,"),
    (8.1, 11.5, "but a bit long."),
    (12.0, 15.5, "- Hello.|- Hi."),
    (16.0, 19.9, "♪|- And then?"),
)
"""Sentences in one cue, one that ends in the middle of a cue, two dialogues."""


def test_sentences_that_share_a_cue_are_heard_together() -> None:
    found = windows(script(*SHARED))
    assert [(unit.text, unit.start, unit.end) for unit in found] == [
        ("Yes. I went there yesterday. And you?", 0.0, 4.0),
        ("Me too. It was good, but a bit long.", 4.1, 11.5),
        ("Hello. Hi.", 12.0, 15.5),
        ("", 16.0, 19.9),
        ("And then?", 16.0, 19.9),
    ]


def test_what_is_heard_is_written_once() -> None:
    whole = script(*SHARED)
    said = [(1.2 * at, letter) for at, letter in enumerate("abcdefghijklmnopq")]
    heard: list[str] = []

    def hears(units: Sequence[Unit]) -> list[str]:
        places = [(unit.start, unit.end) for unit in units]
        texts = [" ".join(one for at, one in said if start <= at < end) for start, end in places]
        heard.extend(" ".join(texts).split())
        return texts

    result = translate_cues(whole, hears, windows(whole))
    assert result.untranslated == 0
    assert len(heard) == len(set(heard)) > 10
    shown = re.findall(r"\w+", " ".join(line for lines in result.lines for line in lines))
    assert shown == heard


def test_what_is_too_long_because_of_shared_cues_is_heard_by_cues() -> None:
    shared = [(at * 7.0, at * 7.0 + 6.9, "it ends. And then") for at in range(6)]
    found = windows(script(*shared))
    assert [(unit.start, unit.end) for unit in found] == [(start, end) for start, end, _ in shared]
    assert {unit.text for unit in found} == {"it ends. And then"}


def test_a_little_more_is_heard_where_there_is_room() -> None:
    units = windows(script((0.1, 3.5, "One one."), (3.6, 8.0, "Two two."), (20.0, 60.0, "Three.")))
    found = [(round(start, 3), round(end, 3)) for start, end in stretches(units, 58.0)]
    assert found == [(0.0, 3.6), (3.5, 8.2), (19.8, 19.8 + LONGEST_WINDOW)]


def test_indic_models_are_known_by_the_names_of_their_folders(tmp_path: Path) -> None:
    models = [
        ModelRef(name, str(tmp_path / name), name)
        for name in ("indictrans2-en-indic-1B", "indictrans2-indic-indic-dist-320M")
    ]
    assert directions.choose(models, "en", "hi") == directions.Direction(
        models[0], "eng_Latn", "hin_Deva"
    )
    assert directions.choose(models, "ta", "hi").model == models[1]
    for source, target in [("hi", "en"), ("en", "de"), ("en", "en")]:
        with pytest.raises(Failure) as caught:
            directions.choose(models, source, target)
        assert caught.value.info.code == "translation_no_model"
    with pytest.raises(Failure) as caught:
        directions.choose([ModelRef("x", str(tmp_path / "mine"), "x")], "en", "hi")
    assert caught.value.info.code == "model_unusable"

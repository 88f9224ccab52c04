"""Translating for real: each engine in its own environment, through the bootstrap."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.atomic import write_json
from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.subtitle_formats import Cue, cues_to_json

pytestmark = pytest.mark.real

SAMPLES = Path(__file__).parents[2] / "samples"
OFFSET = 3.5

FILM = [
    "The lighthouse keeper climbed the stairs|every evening, because the lamp had to be lit",
    "before the ships came home from the sea.",
    "- Where are you going?|- To the harbour. Want to come?",
    "<i>I never told anyone what I saw that night,</i>",
    "<i>but I still dream about it.</i>",
    "♪",
    "I think that the most important thing that we",
    "can do right now is",
    "to listen to each other.",
]

Stages = Any
"""``Stages`` of conftest.py, which cannot be imported from there."""
Make = Callable[..., Stages]
Models = Mapping[str, ModelRef]


def cues(*texts: str) -> list[Cue]:
    return [Cue(at * 3.0, at * 3.0 + 2.5, tuple(t.split("|"))) for at, t in enumerate(texts)]


@pytest.fixture
def film(stages: Callable[[Path], Stages], tmp_path: Path) -> Make:
    """Stages that stand where a film's subtitles have just been made."""
    numbers = itertools.count()

    def make(texts: Sequence[str] = FILM, language: str = "en") -> Stages:
        made = stages(tmp_path / f"film-{next(numbers)}.mkv")
        for name, data in [
            ("cues", cues_to_json(cues(*texts), language)),
            ("audio_info", {"version": 1, "offset": OFFSET, "language": language}),
        ]:
            file = tmp_path / f"source-{name}.json"
            write_json(file, data)
            made.inputs[name] = str(file)
        made.facts["language"] = language
        return made

    return make


def times(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    return [(row["start"], row["end"]) for row in rows]


def check_form(made: Stages, source: Sequence[Cue], target: str) -> list[str]:
    """What holds for every translation; gives the text of each cue."""
    data = made.json("cues")
    assert data["language"] == target
    assert times(data["cues"]) == [(cue.start, cue.end) for cue in source]
    assert all(row["lines"] for row in data["cues"])
    srt = made.text("srt")
    assert srt.count("-->") == made.text("vtt").count("-->") == len(source)
    # Once, and once only: the cues themselves stay in the time of the audio.
    assert srt.startswith("1\n00:00:03,500 --> 00:00:06,000\n")
    return ["|".join(row["lines"]) for row in data["cues"]]


def test_the_bundled_pair_translates_a_film(film: Make, models: Models) -> None:
    made = film()
    pair = [models["bergamot-pt-en"], models["bergamot-en-pt"]]
    result = made.run("translation_offline", models=pair, settings={"target": "pt"})
    assert result.ok, result.error
    assert check_form(made, cues(*FILM), "pt") == [
        "O farol subiu as escadas todas as noites,|porque a lâmpada tinha que ser acesa antes",
        "que os navios chegassem para casa do mar.",
        "- Onde você está indo?|- Para o porto. Quer vir?",
        "<i>Eu nunca disse a ninguém|o que vi naquela noite,</i>",
        "<i>mas ainda sonho com isso.</i>",
        "♪",
        "Penso que a coisa mais importante",
        "que podemos fazer agora é",
        "ouvir uns aos outros.",
    ]
    assert result.metrics["cues_untranslated"] == 0
    assert "language" not in result.facts

    made.facts["language"] = "pt"
    result = made.run("translation_offline", models=pair, settings={"target": "en"})
    assert result.ok, result.error
    back = check_form(made, cues(*FILM), "en")
    assert back[2] == "- Where are you going?|- For the port. Want to come?"
    assert back[4] == "<i>but I still dream of it.</i>"


def test_batches_do_not_change_what_the_bundled_pair_says(film: Make, models: Models) -> None:
    texts = [f"{text} And then we went home." for text in FILM for _ in range(8)]
    many, alone = film(texts), film([texts[0]])
    for made in (many, alone):
        result = made.run(
            "translation_offline", models=[models["bergamot-en-pt"]], settings={"target": "pt"}
        )
        assert result.ok, result.error
    assert many.json("cues")["cues"][0] == alone.json("cues")["cues"][0]


def test_a_pair_that_is_not_there_is_said(film: Make, models: Models) -> None:
    model = models["bergamot-en-pt"]
    result = film().run("translation_offline", models=[model], settings={"target": "de"})
    assert result.error is not None
    assert result.error["code"] == "translation_no_model"


def test_a_model_cut_off_is_said(film: Make, models: Models, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(models["bergamot-en-pt"].path, folder)
    file = folder / "model.enpt.intgemm.alphas.bin"
    file.write_bytes(file.read_bytes()[:-1000])
    cut = [ModelRef("cut", str(folder), "cut")]
    result = film().run("translation_offline", models=cut, settings={"target": "pt"})
    assert result.error is not None
    assert result.error["code"] == "model_unusable"


def test_speech_in_the_target_language_is_copied(film: Make, models: Models) -> None:
    made = film()
    model = models["bergamot-en-pt"]
    result = made.run("translation_offline", models=[model], settings={"target": "en"})
    assert result.ok, result.error
    assert [warning.code for warning in result.warnings] == ["translation_not_needed"]
    assert check_form(made, cues(*FILM), "en") == FILM


@pytest.fixture(scope="module")
def toys(
    pythons: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ModelRef]:
    """Small models of every family that have learned a few sentences by heart."""
    place = tmp_path_factory.mktemp("toys")
    script = Path(__file__).with_name("toy_checkpoints.py")
    subprocess.run([pythons["translation"], "-W", "ignore", script, place], check=True, timeout=300)
    return {
        name: ModelRef(name, str(place / name), name)
        for name in ("opus-mt-en-de", "nllb", "m2m100")
    }


LEARNED = [
    "I never told anyone what I saw that night,",
    "but I still dream about it.",
    "- Where are you going?|- To the harbour.",
]
GERMAN = [
    "Ich habe nie jemandem erzählt, was ich in jener Nacht sah,",
    "aber ich träume noch davon.",
    "- Wohin gehst du? - Zum Hafen.",
]
FRENCH = [
    "Je n'ai jamais dit à personne ce que j'ai vu cette nuit-là,",
    "mais j'en rêve encore.",
    "- Où vas-tu ? - Au port.",
]


@pytest.mark.parametrize(
    ("model", "target", "expected"),
    [
        ("opus-mt-en-de", "de", GERMAN),
        ("nllb", "de", GERMAN),
        ("nllb", "fr", FRENCH),
        ("m2m100", "fr", FRENCH),
    ],
)
def test_transformers_translates_with_every_family(
    film: Make, toys: dict[str, ModelRef], model: str, target: str, expected: list[str]
) -> None:
    made = film(LEARNED)
    result = made.run("translation", models=[toys[model]], settings={"target": target})
    assert result.ok, result.error
    found = check_form(made, cues(*LEARNED), target)
    assert [text.replace("|", " ") for text in found] == expected
    assert found[2].count("|") == 1


def test_transformers_chooses_the_model_of_the_pair(film: Make, toys: dict[str, ModelRef]) -> None:
    made = film(LEARNED)
    both = [toys["opus-mt-en-de"], toys["nllb"]]
    result = made.run("translation", models=both, settings={"target": "fr", "batch_size": 1})
    assert result.ok, result.error
    assert check_form(made, cues(*LEARNED), "fr")[1] == FRENCH[1]
    assert "(model nllb)" in made.text("vtt")


def test_weights_are_read_as_data_only(
    film: Make,
    toys: dict[str, ModelRef],
    pythons: Mapping[str, Path],
    tmp_path: Path,
) -> None:
    """Models that are not published as safetensors are pickles, and those can hold code."""
    folder = tmp_path / "old"
    shutil.copytree(toys["opus-mt-en-de"].path, folder)
    save = (
        "import sys, torch; from safetensors.torch import load_file\n"
        "weights = load_file(sys.argv[1] + '/model.safetensors')\n"
        "torch.save(weights, sys.argv[1] + '/pytorch_model.bin')"
    )
    subprocess.run([pythons["translation"], "-c", save, folder], check=True)
    (folder / "model.safetensors").unlink()
    old = [ModelRef("old", str(folder), "old")]
    made = film(LEARNED)
    result = made.run("translation", models=old, settings={"target": "de"})
    assert result.ok, result.error
    assert check_form(made, cues(*LEARNED), "de")[1] == GERMAN[1]

    touched = tmp_path / "touched"
    hostile = (
        "import pathlib, sys, torch\n"
        "class Code:\n"
        "    def __reduce__(self): return pathlib.Path(sys.argv[2]).touch, ()\n"
        "torch.save({'weight': Code()}, sys.argv[1] + '/pytorch_model.bin')"
    )
    subprocess.run([pythons["translation"], "-c", hostile, folder, touched], check=True)
    touched.unlink(missing_ok=True)
    result = film(LEARNED).run("translation", models=old, settings={"target": "de"})
    assert result.error is not None
    assert result.error["code"] == "model_unusable"
    assert not touched.exists()


def subtitled(stages: Callable[[Path], Stages], media: Path) -> Stages:
    made = stages(media)
    for stage, model in (("demux", None), ("asr", "base"), ("subtitles", None)):
        result = made.run(stage, model=model)
        assert result.ok, result.error
    return made


def test_whisper_puts_what_it_hears_into_the_cues(
    stages: Callable[[Path], Stages], models: Models
) -> None:
    """English, said to be Italian: there is no other speech at hand everywhere. Whisper, told to
    translate, writes English then as well; what is shown is that it lands in the right cues."""
    made = subtitled(stages, SAMPLES / "lighthouse.flac")
    source = made.json("cues")["cues"]
    made.facts["language"] = "it"
    result = made.run("translation_whisper", model="base", settings={"target": "en"})
    assert result.ok, result.error
    translated = made.json("cues")["cues"]
    assert times(translated) == times(source)
    for before, after in zip(source, translated, strict=True):
        words = set(re.findall(r"\w+", " ".join(before["lines"]).lower()))
        heard = set(re.findall(r"\w+", " ".join(after["lines"]).lower()))
        assert len(words & heard) >= len(words) / 2, (before, after)


@pytest.mark.skipif(shutil.which("text2wave") is None, reason="no Italian voice (festvox-italp16k)")
def test_whisper_translates_italian(
    stages: Callable[[Path], Stages], models: Models, tmp_path: Path
) -> None:
    said = "Il libro è sul tavolo, vicino alla finestra.\n"
    wav = tmp_path / "libro.wav"
    command = ["text2wave", "-eval", "(voice_lp_diphone)", "-F", "16000", "-o", str(wav)]
    subprocess.run(command, input=said.encode("latin-1"), check=True)
    made = subtitled(stages, wav)
    assert made.facts["language"] == "it"
    result = made.run("translation_whisper", model="base", settings={"target": "en"})
    assert result.ok, result.error
    text = json.dumps(made.json("cues")).lower()
    assert "book" in text
    assert "window" in text


def test_whisper_refuses_what_it_cannot_do(
    stages: Callable[[Path], Stages], film: Make, models: Models
) -> None:
    made = subtitled(stages, SAMPLES / "lighthouse.flac")
    result = made.run("translation_whisper", model="base", settings={"target": "de"})
    assert result.error is not None
    assert result.error["code"] == "translation_no_model"


@pytest.mark.parametrize(
    ("stage", "model"),
    [
        ("translation", None),
        ("translation_indic", None),
        ("translation_offline", None),
        ("translation_whisper", "base"),
    ],
)
def test_a_file_without_speech_needs_no_model_of_its_language(
    film: Make, models: Models, tmp_path: Path, stage: str, model: str | None
) -> None:
    made = film([])
    made.inputs["audio"] = str(tmp_path / "not-needed.wav")
    result = made.run(stage, model=model, settings={"target": "pt"})
    assert result.ok, result.error
    assert result.warnings == ()
    assert made.json("cues")["cues"] == []
    assert made.text("srt") == ""


def test_indic_translation_needs_the_models_own_code(film: Make, tmp_path: Path) -> None:
    """Its models come from a model hub alone. What is shown is that the environment, whose pins
    exclude those of the others, is built and works, and that a folder without a model is said."""
    folder = tmp_path / "indictrans2-en-indic-dist-200M"
    folder.mkdir()
    (folder / "config.json").write_text("{}", "utf-8")
    model = [ModelRef(folder.name, str(folder), "x"), ModelRef("other", str(folder), "y")]
    result = film(LEARNED).run("translation_indic", models=model, settings={"target": "hi"})
    assert result.error is not None
    assert result.error["code"] == "model_unusable"
    assert str(folder) in result.error["message"]


def test_indic_text_is_prepared_as_for_training(pythons: Mapping[str, Path]) -> None:
    code = (
        "from IndicTransToolkit.processor import IndicProcessor\n"
        "one = IndicProcessor(inference=True)\n"
        "made = one.preprocess_batch(['Where is it?'], src_lang='eng_Latn', tgt_lang='tam_Taml')\n"
        "print(ascii([made, one.postprocess_batch(['\u0905\u092c ?'], lang='hin_Deva')]))"
    )
    command = [str(pythons["indictrans"]), "-c", code]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert answer.stdout.splitlines()[-1] == ascii(
        [["eng_Latn tam_Taml Where is it ?"], ["\u0905\u092c?"]]
    )

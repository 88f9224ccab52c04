"""Values chosen from the hardware."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import Catalogue, Limits, Resources, SettingSpec, StageSpec
from orchestrator.contract.errors import ErrorClass, Failure
from orchestrator.hardware import Gpu, Hardware
from orchestrator.settings import Choice, Settings, resolved, stage_settings

GB = 10**9


def stage(name: str, *settings: SettingSpec) -> StageSpec:
    return StageSpec(
        name=name,
        version=1,
        title=name,
        folder=Path("stages") / name,
        environment="media",
        inputs=(),
        outputs={},
        settings={spec.name: spec for spec in settings},
        model_setting=None,
        uses=(),
        resources=Resources(),
        limits=Limits(),
    )


ASR = stage(
    "asr",
    SettingSpec("model", "str", "auto", auto=True, load=True),
    SettingSpec("batch_size", "int", "auto", auto=True, in_key=False),
    SettingSpec("compute_type", "str", "auto", auto=True, in_key=False, load=True),
    SettingSpec("hotwords", "list[str]", ("a", "b")),
)
OTHER = stage("other", SettingSpec("model", "str", "auto", auto=True))
CATALOGUE = Catalogue({"asr": ASR, "other": OTHER}, {})


def machine(*gpus: Gpu, ram: int = 16 * GB) -> Hardware:
    return Hardware("CPU", 4, 8, ram, gpus, "linux", "x86_64")


def gpu(memory: float, name: str = "RTX 4070", kind: Any = "cuda", index: int = 0) -> Gpu:
    return Gpu(kind=kind, name=name, index=index, memory_bytes=int(memory * GB), driver="")


def mps(memory: int) -> Hardware:
    return machine(gpu(memory, "Apple M2", "mps"), ram=memory * GB)


@pytest.mark.parametrize(
    ("hardware", "device", "model", "batch_size", "compute_type"),
    [
        (machine(), "cpu", "base", 1, "int8"),
        (machine(gpu(24)), "cuda", "large-v3", 16, "float16"),
        (machine(gpu(10)), "cuda", "large-v3", 16, "float16"),
        (machine(gpu(9.99)), "cuda", "medium", 8, "float16"),
        (machine(gpu(6)), "cuda", "medium", 8, "float16"),
        (machine(gpu(5.99)), "cuda", "base", 4, "float16"),
        (machine(gpu(4, "GeForce GTX 1650")), "cuda", "base", 4, "float16"),
        (machine(gpu(4, "GeForce GTX 1050 Ti")), "cuda", "base", 4, "int8"),
        (machine(gpu(11, "GeForce GTX 1080 Ti")), "cuda", "large-v3", 16, "int8"),
        (machine(gpu(24, "Tesla P40")), "cuda", "large-v3", 16, "int8"),
        (machine(gpu(24, "Radeon", "rocm")), "cpu", "base", 1, "int8"),
        (mps(16), "cpu", "medium", 8, "float32"),
        (mps(31), "cpu", "medium", 8, "float32"),
        (mps(32), "cpu", "large-v3", 8, "float32"),
        (machine(gpu(8), gpu(24, index=1)), "cuda:1", "large-v3", 16, "float16"),
        (machine(gpu(8), gpu(8, index=1)), "cuda", "medium", 8, "float16"),
    ],
)
def test_the_table(
    hardware: Hardware, device: str, model: str, batch_size: int, compute_type: str
) -> None:
    result = resolved(Settings(), hardware, CATALOGUE)
    assert result.device == device
    assert (result.gpu is None) == (device == "cpu")
    asr = result.stages["asr"]
    assert (asr["model"], asr["batch_size"], asr["compute_type"]) == (
        model,
        batch_size,
        compute_type,
    )
    assert [choice.key for choice in result.choices] == [
        "device",
        "stages.asr.batch_size",
        "stages.asr.compute_type",
        "stages.asr.model",
    ]
    assert all(choice.was_default and choice.reason for choice in result.choices)


def test_what_the_user_named_is_kept() -> None:
    settings = Settings(device="cpu", stages={"asr": {"model": "tiny.en", "batch_size": "auto"}})
    result = resolved(settings, machine(gpu(24)), CATALOGUE)
    assert (result.device, result.gpu) == ("cpu", None)
    choices = {choice.key: choice for choice in result.choices}
    asked = "asked for in the settings"
    assert choices["device"] == Choice("device", "cpu", asked, False)
    assert choices["stages.asr.model"] == Choice("stages.asr.model", "tiny.en", asked, False)
    assert choices["stages.asr.batch_size"].value == 1
    assert choices["stages.asr.batch_size"].was_default


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [
        (machine(gpu(12)), "RTX 4070 has 12.0 GB of memory"),
        (machine(gpu(4, "GTX 960")), "GTX 960 has 4.0 GB of memory and no float16"),
        (mps(32), "Apple silicon with 32.0 GB of memory"),
        (machine(), "speech recognition runs on the CPU"),
    ],
)
def test_reasons_of_the_model(hardware: Hardware, reason: str) -> None:
    choices = resolved(Settings(), hardware, CATALOGUE).choices
    assert {choice.reason for choice in choices if choice.key != "device"} == {reason}


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [
        (machine(), "this machine has no GPU"),
        (machine(gpu(8)), "RTX 4070 is the CUDA GPU with the most memory"),
        (mps(16), "speech recognition cannot use Apple M2: it runs on CUDA or the CPU"),
    ],
)
def test_reasons_of_the_device(hardware: Hardware, reason: str) -> None:
    assert resolved(Settings(), hardware, CATALOGUE).choices[0].reason == reason


def test_one_gpu_of_several_may_be_named() -> None:
    hardware = machine(gpu(24), gpu(8, index=1))
    result = resolved(Settings(device="cuda:1"), hardware, CATALOGUE)
    assert (result.device, result.gpu) == ("cuda:1", hardware.gpus[1])
    assert result.stages["asr"]["model"] == "medium"


@pytest.mark.parametrize(
    ("device", "hardware", "message"),
    [
        ("cuda", machine(), "this machine has no CUDA GPU"),
        ("cuda:1", machine(gpu(8)), "this machine has cuda (RTX 4070)"),
    ],
)
def test_a_gpu_that_is_not_there(device: str, hardware: Hardware, message: str) -> None:
    with pytest.raises(Failure) as caught:
        resolved(Settings(device=device), hardware, CATALOGUE)
    assert caught.value.info.code == "no_such_gpu"
    assert caught.value.info.error_class is ErrorClass.ENVIRONMENT
    assert message in caught.value.info.message


def test_another_stage_decides_for_itself() -> None:
    assert resolved(Settings(), machine(), CATALOGUE).stages["other"]["model"] == "auto"


TRANSLATE = stage(
    "translate",
    SettingSpec("batch_size", "int", "auto", auto=True, in_key=False),
    SettingSpec("compute_type", "str", "auto", auto=True, choices=("auto", "float16", "float32")),
    SettingSpec("device", "str", "auto", auto=True),
    SettingSpec("beams", "int", 4),
)


@pytest.mark.parametrize(
    ("hardware", "batch_size", "compute_type", "device", "reason"),
    [
        (machine(), 4, "float32", "cpu", "this stage runs on the CPU"),
        (mps(32), 4, "float32", "cpu", "this stage runs on the CPU"),
        (machine(gpu(12)), 32, "float16", "cuda", "RTX 4070 has 12.0 GB of memory"),
        (machine(gpu(8)), 16, "float16", "cuda", "RTX 4070 has 8.0 GB of memory"),
        (machine(gpu(4, "GTX 960")), 8, "float32", "cuda", "GTX 960 has 4.0 GB of memory"),
    ],
)
def test_what_any_stage_may_leave_to_the_hardware(
    hardware: Hardware, batch_size: int, compute_type: str, device: str, reason: str
) -> None:
    result = resolved(Settings(), hardware, Catalogue({"translate": TRANSLATE}, {}))
    assert dict(result.stages["translate"]) == {
        "batch_size": batch_size,
        "compute_type": compute_type,
        "device": device,
        "beams": 4,
    }
    choices = {choice.key: choice.reason for choice in result.choices}
    assert choices["stages.translate.batch_size"] == reason
    assert "stages.translate.beams" not in choices


def test_a_format_that_the_stage_does_not_know_stays_its_own_decision() -> None:
    spec = SettingSpec("compute_type", "str", "auto", auto=True, choices=("auto", "int8"))
    result = resolved(Settings(), machine(), Catalogue({"s": stage("s", spec)}, {}))
    assert result.stages["s"]["compute_type"] == "auto"


def test_the_table_is_for_every_engine_that_recognises() -> None:
    other = replace(ASR, name="asr-other", role="asr", engine="other")
    result = resolved(Settings(), machine(gpu(12)), Catalogue({"asr-other": other}, {}))
    assert result.stages["asr-other"]["model"] == "large-v3"


def test_what_is_set_for_a_role_holds_for_each_engine_of_it() -> None:
    other = replace(
        ASR,
        name="asr-other",
        role="asr",
        engine="other",
        settings={
            **ASR.settings,
            "hotwords": SettingSpec("hotwords", "str", None),
            "beams": SettingSpec("beams", "int", 5),
        },
    )
    known = Catalogue({"asr": ASR, "asr-other": other}, {})
    given: dict[str, dict[str, Any]] = {
        "asr": {"model": "small", "batch_size": 2, "hotwords": ("c",)}
    }
    result = resolved(Settings(stages=given), machine(), known).stages["asr-other"]
    assert (result["model"], result["batch_size"], result["compute_type"]) == ("small", 2, "int8")
    assert (result["hotwords"], result["beams"]) == (None, 5)  # it is something else there
    own: dict[str, dict[str, Any]] = {**given, "asr-other": {"model": "medium"}}
    result = resolved(Settings(stages=own), machine(), known).stages["asr-other"]
    assert (result["model"], result["batch_size"]) == ("medium", 2)


def test_only_the_choices_of_what_is_used_are_told() -> None:
    result = resolved(Settings(), machine(), Catalogue({"asr": ASR, "translate": TRANSLATE}, {}))
    assert {one.key for one in result.used_by(["translate"]).choices} == {
        *("device", "stages.translate.batch_size"),
        *("stages.translate.compute_type", "stages.translate.device"),
    }


def test_languages_to_translate_into_reach_the_stages_that_translate() -> None:
    spec = replace(
        stage(
            "translation",
            SettingSpec("targets", "list[str]", ()),
            SettingSpec("target", "str", None),
        ),
        for_each="targets",
    )
    known = Catalogue({"translation": spec}, {})
    assert resolved(Settings(translate_to=("pt",)), machine(), known).stages["translation"][
        "targets"
    ] == ("pt",)
    own = Settings(translate_to=("pt",), stages={"translation": {"targets": ("Deutsch-x", "por")}})
    assert resolved(own, machine(), known).stages["translation"]["targets"] == ("Deutsch-x", "pt")


def test_a_recogniser_with_fewer_settings() -> None:
    bare = replace(ASR, settings={"model": ASR.settings["model"]})
    result = resolved(Settings(), machine(), Catalogue({"asr": bare}, {}))
    assert dict(result.stages["asr"]) == {"model": "base"}


def test_a_model_out_of_reach_is_replaced_with_its_reason() -> None:
    result = resolved(Settings(), machine(gpu(24)), CATALOGUE)
    choice = Choice("stages.asr.model", "base", "large-v3 cannot be fetched", True)
    changed = result.with_choice(choice)
    assert changed.stages["asr"]["model"] == "base"
    assert changed.stages["asr"]["batch_size"] == 16
    assert [other for other in changed.choices if other.key == choice.key] == [choice]
    assert result.stages["asr"]["model"] == "large-v3"


def test_settings_of_a_stage_by_their_part_in_its_key() -> None:
    result = resolved(Settings(), machine(), CATALOGUE)
    settings = stage_settings(ASR, result)
    assert settings.in_key == {"model": "base", "hotwords": ["a", "b"]}
    assert settings.other == {"batch_size": 1, "compute_type": "int8"}


def test_a_record_of_all_values() -> None:
    data = resolved(Settings(max_workers=2), machine(), CATALOGUE).to_json()
    assert json.loads(json.dumps(data)) == data
    assert data["max_workers"] == 2
    assert data["device"] == "cpu"
    assert data["stages"]["asr"]["hotwords"] == ["a", "b"]
    assert data["stages"]["other"] == {"model": "auto"}

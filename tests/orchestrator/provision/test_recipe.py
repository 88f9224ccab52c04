"""What the files of an environment's folder ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import Failure
from orchestrator.provision.recipe import direct_packages, recipe, removals, required_names


def profile_of(spec: EnvironmentSpec, **files: str) -> None:
    folder = spec.folder / "profiles" / "here"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_optional_files(spec: EnvironmentSpec) -> None:
    (spec.folder / "constraints.txt").unlink()
    files = recipe(spec, profile="default", variant="cuda")
    assert files.constraints is None
    assert [file.name for file in files.files()] == ["requirements.in", "requirements-cuda.in"]
    assert removals(files) == ()


def test_with_everything(spec: EnvironmentSpec) -> None:
    (spec.folder / "overrides.txt").write_text("numpy==2\n")
    profile_of(spec, overrides__txt="torch==2.1\n", profile__json='{"remove": ["a/*.so"]}')
    files = recipe(spec, profile="here", variant=None)
    assert [file.parent.name for file in files.overrides] == ["tiny", "here"]
    assert len(files.files()) == 5
    assert files.own_torch
    assert removals(files) == ("a/*.so",)


@pytest.mark.parametrize("overrides", ["numpy==2\n", "# torch==2\n", "pytorch-lightning==2\n"])
def test_a_profile_without_torch_leaves_it_to_the_backend(
    spec: EnvironmentSpec, overrides: str
) -> None:
    profile_of(spec, overrides__txt=overrides)
    assert not recipe(spec, profile="here", variant=None).own_torch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ('{"remove": "*.so"}', "must be a list of texts"),
        ('{"delete": []}', "delete"),
        ('{"remove": ["../python"]}', "stay inside"),
        ('{"remove": ["/usr/lib"]}', "stay inside"),
    ],
)
def test_a_broken_profile_is_refused(spec: EnvironmentSpec, text: str, said: str) -> None:
    profile_of(spec, profile__json=text)
    with pytest.raises(Failure) as caught:
        removals(recipe(spec, profile="here", variant=None))
    assert caught.value.info.code == "environment_profile_invalid"
    assert said in caught.value.info.message


def test_the_names_in_a_file_of_requirements() -> None:
    text = """
        # the engine
        Faster_Whisper>=1 ; python_version >= "3.11"
        -c constraints.txt
        --find-links https://example.org/wheels
        torch
        https://example.org/thing-1.whl
        other @ https://example.org/other-1.whl
    """
    assert required_names(text) == ["faster-whisper", "torch", "other"]


def test_the_versions_of_what_was_asked_for(spec: EnvironmentSpec, tmp_path: Path) -> None:
    (spec.folder / "requirements.in").write_text("Thing_One\nmissing\n")
    files = recipe(spec, profile="default", variant="cuda")
    installed = {"thing-one": "1.0", "cuda.thing": "2.0", "along": "3.0"}
    assert direct_packages(files, installed) == {"cuda-thing": "2.0", "thing-one": "1.0"}

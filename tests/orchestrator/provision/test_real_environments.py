"""The environments of the speech engines, built as on a machine without PyTorch's own index."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalogue import load_catalogue
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.environments import READY, ensure_environment, find_ready

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = BuildOptions(profile="pypi-cpu")


@pytest.fixture(scope="module")
def work_dir() -> Path:
    given = os.environ.get("SUBTITLES_TEST_WORK_DIR")
    return Path(given) if given else ROOT / ".cache" / "test-work"


@pytest.mark.parametrize(
    ("name", "direct"), [("pocketsphinx", {"numpy", "pocketsphinx"}), ("whisperx", {"whisperx"})]
)
def test_all_packages_are_pinned(work_dir: Path, name: str, direct: set[str]) -> None:
    spec = load_catalogue([]).environments[name]
    built = ensure_environment(spec, work_dir, OPTIONS)
    assert find_ready(replace(spec, name="another_name"), work_dir, OPTIONS) is not None
    files = [spec.folder / "constraints.txt", *spec.folder.glob("profiles/pypi-cpu/overrides.txt")]
    pinned = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for package, version in built.packages.items():
        wanted = (
            f"{package.lower().replace('_', '-').replace('.', '-')}=={version.partition('+')[0]}"
        )
        assert wanted in pinned
    assert set(json.loads((built.path / READY).read_bytes())["direct"]) == direct


def test_the_profile_leaves_out_what_needs_a_gpu(work_dir: Path) -> None:
    built = ensure_environment(load_catalogue([]).environments["whisperx"], work_dir, OPTIONS)
    assert not any(name.startswith(("nvidia", "triton")) for name in built.packages)
    assert list(built.path.glob("lib/python*/site-packages/torchaudio/**/*.so")) == []

"""The wheel, installed by uv, gives commands that work from any folder."""

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from orchestrator.provision.uv import find_uv, installer_environment

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
COMMANDS = ("batch-subtitles", "prepare-job", "run-pipeline", "verify-batch-subtitles")
_CACHE = re.compile(r"__pycache__|\..*_cache")
LOAD_THE_CATALOGUE = """
from importlib.metadata import version
from orchestrator.catalogue import load_catalogue
import batch, verify_install
catalogue = load_catalogue(())
print(version("batch-subtitles"), *sorted(catalogue.stages), *sorted(catalogue.environments))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), "."]
    subprocess.run(build, cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


def test_it_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    wanted = {"verify_install.py", "orchestrator/settings/config.yaml"}
    for package in ("batch", "orchestrator"):
        for path in (ROOT / package).rglob("*"):
            parts = path.relative_to(ROOT).parts
            if path.is_file() and not any(_CACHE.fullmatch(part) for part in parts):
                wanted.add("/".join(parts))
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        licenses = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert held == wanted
    assert len(licenses) == 1
    assert {Path(name).suffix for name in held} >= {".py", ".json", ".in", ".txt", ".yaml"}


def test_its_commands_work_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    uv = find_uv()
    assert uv is not None
    variables = installer_environment(os.environ) | {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "HOME": str(tmp_path),
    }
    install = [str(uv), "tool", "install", "--quiet", "--python", sys.executable, str(wheel)]
    subprocess.run(install, env=variables, cwd=tmp_path, check=True)
    suffix = ".exe" if sys.platform == "win32" else ""
    for command in COMMANDS:
        done = subprocess.run(
            [tmp_path / "bin" / (command + suffix), "--help"],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("usage:")
    explained = subprocess.run(
        [tmp_path / "bin" / f"batch-subtitles{suffix}", "--print-config"],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert explained.stdout == (ROOT / "config.yaml").read_text(encoding="utf-8")
    python = next((tmp_path / "tools" / "batch-subtitles").glob("*/python" + suffix))
    loaded = subprocess.run(
        [python, "-c", LOAD_THE_CATALOGUE],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == [
        "0.1.0",
        *sorted(path.parent.name for path in ROOT.glob("orchestrator/stages/*/stage.json")),
        *sorted(path.parent.name for path in ROOT.glob("orchestrator/environments/*/*.json")),
    ]

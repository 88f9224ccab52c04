"""Run a real stage: in its own environment, through the bootstrap, as a job does."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import Catalogue, StageSpec, load_catalogue
from orchestrator.catalogue.model import COLLECTS, MEDIA
from orchestrator.contract import bootstrap
from orchestrator.contract.exchange import ModelRef, StageRequest, StageResult
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.messages import Finished, Run, decode, encode
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import from_json, to_json
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.environments import ensure_environment
from orchestrator.provision.models import Store, ensure_model

ROOT = Path(__file__).parents[2]
WORK = Path(os.environ.get("SUBTITLES_TEST_WORK_DIR", ROOT / ".cache" / "test-work"))
"""Environments and models of the real tests; kept, since building them takes a minute."""


@dataclass(frozen=True)
class Stages:
    """Runs stages one after another; what one makes and finds out is there for the next."""

    catalogue: Catalogue
    pythons: Mapping[str, Path]
    models: Mapping[str, ModelRef]
    folder: Path
    media: Path
    inputs: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def run(
        self,
        name: str,
        *,
        model: str | None = None,
        models: Sequence[ModelRef] = (),
        **request: Any,
    ) -> StageResult:
        """Serve one attempt with the ``model`` of that name or with ``models``.

        Its failures are results.
        """
        stage = self.catalogue.stages[name]
        attempt = AttemptFolder(self.folder / f"{name}-{len(list(self.folder.iterdir()))}")
        attempt.outputs.mkdir(parents=True)
        attempt.scratch.mkdir()
        settings = {key: setting.default for key, setting in stage.settings.items()}
        wanted = StageRequest(
            run_id="run",
            job_id="job",
            stage=name,
            attempt=attempt.root.name,
            media=str(self.media),
            inputs=self.taken(stage),
            outputs={one: output.file for one, output in stage.outputs.items()},
            outputs_dir=str(attempt.outputs),
            scratch_dir=str(attempt.scratch),
            settings={**settings, **request.pop("settings", {})},
            models=(self.models[model],) if model else tuple(models),
            load=tuple(key for key, setting in stage.settings.items() if setting.load),
            facts=self.facts,
            threads=request.pop("threads", 2),
            optional=tuple(one for one, output in stage.outputs.items() if output.optional),
            **request,
        )
        attempt.request.write_text(json.dumps(to_json(wanted)), encoding="ascii")
        command = [self.pythons[stage.environment], "-I", bootstrap.__file__, stage.folder]
        # The pipe stays open until the stage is done: it ends when its job does.
        with (
            attempt.log.open("wb") as log,
            subprocess.Popen(
                [*map(str, command), str(attempt.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            ) as process,
        ):
            process.wait(timeout=600)
        result = from_json(StageResult, json.loads(attempt.result.read_bytes()))
        if result.ok:
            self.facts.update(result.facts)
            for record in result.outputs:
                self.inputs[record.name] = str(wanted.output(record.name))
        return result

    def taken(self, stage: StageSpec) -> dict[str, str]:
        """The artefacts the stage takes; those that it can do without where they are there."""
        taken = {}
        for name in (*stage.inputs, *stage.optional_inputs):
            if name.endswith(COLLECTS):
                plain = name.removesuffix(COLLECTS)
                of_it = [one for one in self.inputs if one.partition(".")[0] == plain]
                taken.update({one: self.inputs[one] for one in of_it})
            elif name in self.inputs or (name in stage.inputs and name != MEDIA):
                taken[name] = self.inputs[name]
        return taken

    def json(self, artefact: str) -> Any:
        return json.loads(Path(self.inputs[artefact]).read_bytes())

    def text(self, artefact: str) -> str:
        return Path(self.inputs[artefact]).read_text("utf-8")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue([])


class Pythons(dict[str, Path]):
    """The interpreters of the real environments, by name; built when first asked for, and kept."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue

    def __missing__(self, name: str) -> Path:
        # The profile changes only environments with torch, which has an index of its own.
        options = BuildOptions(torch_backend="none", profile="pypi-cpu")
        WORK.mkdir(parents=True, exist_ok=True)
        self[name] = ensure_environment(self._catalogue.environments[name], WORK, options).python
        return self[name]


class Models(dict[str, ModelRef]):
    """The models of the real tests, by name; fetched when first asked for, and kept."""

    def __missing__(self, name: str) -> ModelRef:
        WORK.mkdir(parents=True, exist_ok=True)
        model = ensure_model(Store(WORK), name)
        self[name] = ModelRef(name, str(model.path), model.key)
        return self[name]


@pytest.fixture(scope="session")
def pythons(catalogue: Catalogue) -> Pythons:
    return Pythons(catalogue)


@pytest.fixture(scope="session")
def models() -> Models:
    return Models()


@pytest.fixture
def stages(
    catalogue: Catalogue, pythons: Mapping[str, Path], tmp_path: Path, request: Any
) -> Callable[[Path], Stages]:
    """``stages(media)`` gives a :class:`Stages` for one media file."""

    def make(media: Path) -> Stages:
        folder = tmp_path / f"attempts-{media.name}"
        folder.mkdir()
        needs_models = "models" in request.fixturenames
        models = request.getfixturevalue("models") if needs_models else {}
        return Stages(catalogue, pythons, models, folder, media)

    return make


@pytest.fixture
def ffmpeg(pythons: Mapping[str, Path]) -> Callable[..., None]:
    """Runs the ffmpeg of the media environment; nothing is installed on the machine for it."""
    code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    answer = subprocess.run(
        [pythons["media"], "-c", code], check=True, capture_output=True, text=True
    )
    program = answer.stdout.strip()

    def run(*arguments: str | Path) -> None:
        command = [program, "-v", "error", "-nostdin", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, timeout=120)

    return run


GRAIN = ("-f", "lavfi", "-i", "testsrc2=s=352x288:r=25:d=20,noise=alls=60:allf=t")
"""Pictures that as MPEG-2 of the best quality fill more than FFmpeg looks at to learn of tracks."""
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "mp2", "-f", "vob")


@pytest.fixture(scope="module")
def probe(catalogue: Catalogue, pythons: Mapping[str, Path]) -> Iterator[Callable[[Path], Any]]:
    """``probe(media)`` asks one resident probe, as the batch does."""
    command = [pythons["media"], "-I", bootstrap.__file__, catalogue.stages["probe"].folder]
    with subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(media: Path) -> ProbeResult:
            request = StageRequest("run", "", "probe", "", str(media), {}, {}, "", "", {})
            stdin.write(encode(Run(to_json(request)), "run"))
            stdin.flush()
            answer = decode(stdout.readline())
            assert isinstance(answer, Finished)
            assert answer.ok
            return ProbeResult.from_json(answer.data["media"])

        yield ask
        stdin.close()

"""A file's words do not depend on what its worker did before: warm, they are what they are cold."""

from __future__ import annotations

import json
import subprocess
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import Catalogue
from orchestrator.contract import bootstrap
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.messages import Finished, Run, decode, encode
from orchestrator.contract.paths import AttemptFolder

from .test_real_samples import LIGHTHOUSE, SAMPLES, Make

pytestmark = pytest.mark.real


def repeat(audio: Path, times: int = 2) -> None:
    """Have everything said again: Whisper takes that for a loop, and decodes again by lot."""
    with wave.open(str(audio)) as file:
        parameters, frames = file.getparams(), file.readframes(file.getnframes())
    with wave.open(str(audio), "wb") as file:
        file.setparams(parameters)
        file.writeframes(frames * times)


def again(attempt: AttemptFolder, number: int) -> AttemptFolder:
    """The same work, to be done in a folder of its own."""
    other = AttemptFolder(attempt.root.with_name(f"again-{number}"))
    other.outputs.mkdir(parents=True)
    other.scratch.mkdir()
    asked = json.loads(attempt.request.read_bytes())
    asked |= {"outputs_dir": str(other.outputs), "scratch_dir": str(other.scratch)}
    other.request.write_text(json.dumps(asked), encoding="ascii")
    return other


def serve(command: list[Any], attempts: list[AttemptFolder]) -> Iterator[Finished]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for attempt in attempts:
            process.stdin.write(encode(Run({"attempt": str(attempt.root)}), "run"))
            process.stdin.flush()
            said = map(decode, process.stdout)
            yield next(message for message in said if isinstance(message, Finished))
        process.stdin.close()


def test_what_is_drawn_by_lot_is_the_same_in_a_worker(
    stages: Make,
    models: Mapping[str, ModelRef],
    catalogue: Catalogue,
    pythons: Mapping[str, Path],
) -> None:
    run = stages(SAMPLES / LIGHTHOUSE.file)
    assert run.run("demux").ok
    repeat(Path(run.inputs["audio"]))
    assert run.run("asr", model="tiny.en").ok
    cold = Path(run.inputs["transcript"])
    drawn = [segment["temperature"] for segment in json.loads(cold.read_bytes())["segments"]]
    assert any(drawn), "nothing was drawn by lot"

    first = AttemptFolder(cold.parents[1])
    attempts = [again(first, number) for number in range(2)]
    stage = catalogue.stages["asr"]
    worker = [pythons[stage.environment], "-I", bootstrap.__file__, stage.folder]
    assert [answer.ok for answer in serve(worker, attempts)] == [True] * 2
    warm = [(attempt.outputs / cold.name).read_bytes() for attempt in attempts]
    assert warm == [cold.read_bytes()] * 2

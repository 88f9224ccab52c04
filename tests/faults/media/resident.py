"""A resident stage process that is asked about one file after another, with a time limit each."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
import wave
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.catalogue import StageSpec
from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.channel import LineSplitter
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import StageRequest, StageResult
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.messages import Finished, Progress, Run, decode, encode
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import from_json, to_json
from orchestrator.job.stageprocess import stage_argv, stage_environment

SECONDS = 30.0
_LOUD = 1000
"""Of 32768. The quietest 20 ms of the originals reach 10,000."""


class Hung(Exception):
    """No answer within :data:`SECONDS`."""


class Died(Exception):
    """The process ended in the middle of a file, as a fault of the media library makes it."""


class Broke(Exception):
    """The stage could not say what is wrong with the file."""


class Resident:
    """One process of a stage; the next question after it died or hung starts a new one."""

    def __init__(self, python: Path, stage: StageSpec, folder: Path) -> None:
        self._argv = stage_argv(python, stage.folder)
        self._scratch = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def ask(
        self, request: Mapping[str, Any], at_work: Callable[[], None] = lambda: None
    ) -> Finished:
        """The answer; ``at_work`` is called when the stage first reports progress.

        Raises: Hung, Died.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._scratch,
                env=stage_environment(os.environ, 1, self._scratch),
            )
        try:
            return self._answer(self._process, request, at_work)
        except (Hung, Died, BrokenPipeError) as problem:
            self.close()
            raise (Died() if isinstance(problem, BrokenPipeError) else problem) from None

    def _answer(
        self,
        process: subprocess.Popen[bytes],
        request: Mapping[str, Any],
        at_work: Callable[[], None],
    ) -> Finished:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode(Run(request), "run"))
        process.stdin.flush()
        seen = False
        splitter, end = LineSplitter(), time.monotonic() + SECONDS
        while True:
            ready = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]
            if not ready:
                raise Hung
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                raise Died
            for line in splitter.feed(data):
                message = decode(line)
                if isinstance(message, Progress) and not seen:
                    seen = True
                    at_work()
                if isinstance(message, Finished):
                    return message

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


class Heard(NamedTuple):
    """What demux made of a file.

    Attributes:
        sounding: seconds of its audio in which there is sound; inserted silence does not count.
        info: ``audio.json``; empty after a failure.
    """

    error: ErrorInfo | None
    warnings: tuple[str, ...]
    sounding: float
    info: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def code(self) -> str:
        return self.error.code if self.error else ""

    @property
    def told(self) -> bool:
        """Whether the user learns that something is missing."""
        return not self.ok or "audio_incomplete" in self.warnings

    @property
    def claims_complete(self) -> bool:
        return not self.told and bool(self.info["length_verified"])


class Ears:
    """Probe and demux, resident, for one file after another."""

    def __init__(self, python: Path, stages: Mapping[str, StageSpec], folder: Path) -> None:
        self._probe = Resident(python, stages["probe"], folder / "probe")
        self._demux = Resident(python, stages["demux"], folder / "demux")
        self._stage = stages["demux"]
        self._attempt = AttemptFolder(folder / "attempt")

    def probe(self, media: Path) -> ProbeResult:
        """Raises: Hung, Died, Broke."""
        request = StageRequest("run", "", "probe", "", str(media), {}, {}, "", "", {})
        answer = self._probe.ask(to_json(request))
        if answer.ok:
            return ProbeResult.from_json(answer.data["media"])
        raise Broke(answer.error)

    def demux(self, media: Path, at_work: Callable[[], None] = lambda: None) -> Heard:
        """``at_work`` is called while it works on the file. Raises: Hung, Died."""
        attempt = self._attempt
        shutil.rmtree(attempt.root, ignore_errors=True)
        attempt.outputs.mkdir(parents=True)
        attempt.scratch.mkdir()
        request = StageRequest(
            run_id="run",
            job_id="job",
            stage="demux",
            attempt=attempt.root.name,
            media=str(media),
            inputs={},
            outputs={name: output.file for name, output in self._stage.outputs.items()},
            outputs_dir=str(attempt.outputs),
            scratch_dir=str(attempt.scratch),
            settings={key: setting.default for key, setting in self._stage.settings.items()},
        )
        put_json(attempt.request, to_json(request))
        self._demux.ask({"attempt": str(attempt.root)}, at_work)
        result = from_json(StageResult, read_json(attempt.result))
        warnings = tuple(warning.code for warning in result.warnings)
        if result.error is not None:
            return Heard(ErrorInfo.from_json(result.error), warnings, 0.0, {})
        info = read_json(request.output("audio_info"))
        return Heard(None, warnings, sounding_seconds(request.output("audio")), info)

    def close(self) -> None:
        self._probe.close()
        self._demux.close()


def sounding_seconds(path: Path) -> float:
    """Seconds of a WAV file of 16 bits in which there is sound, counted in steps of 20 ms."""
    with wave.open(str(path)) as file:
        step = file.getframerate() // 50
        loud = 0
        while data := file.readframes(50 * step):
            samples = array("h", data)
            loud += sum(max(samples[at : at + step]) > _LOUD for at in range(0, len(samples), step))
    return loud / 50

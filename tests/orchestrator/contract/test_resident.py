"""A resident stage process: attempt after attempt, each as if it were the first."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract import bootstrap
from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.channel import read_lines
from orchestrator.contract.exchange import StageRequest, StageResult, load_settings
from orchestrator.contract.messages import (
    Cancel,
    Finished,
    Heartbeat,
    Message,
    Progress,
    Run,
    Warning,
    decode,
    encode,
)
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import from_json, to_json

PATIENCE = 30.0
FAKES = Path(__file__).parents[2] / "fakes" / "stages"
ENTRY = Path(bootstrap.__file__).resolve()


class Worker:
    """A resident process, and what it says."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._lines = read_lines(process.stdout.fileno()) if process.stdout else iter(())

    def tell(self, message: Message) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode(message, "r1"))
        self.process.stdin.flush()

    def said(self) -> Iterator[Message]:
        for line in self._lines:
            message = decode(line)
            assert message is not None, line
            yield message

    def answer(self) -> Finished:
        return next(message for message in self.said() if isinstance(message, Finished))

    def serve(self, attempt: AttemptFolder) -> Finished:
        self.tell(Run({"attempt": str(attempt.root)}))
        return self.answer()


@contextmanager
def worker(stage: str, tmp_path: Path, stdout: int = subprocess.PIPE) -> Iterator[Worker]:
    with (
        (tmp_path / "worker.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-X", "utf8", "-I", str(ENTRY), str(FAKES / stage)],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "3"},
        ) as process,
    ):
        try:
            yield Worker(process)
        finally:
            process.kill()


def request_of(folder: AttemptFolder, stage: str, **settings: Any) -> StageRequest:
    outputs = {
        "fake": {"words": "words.srt", "bulk": "bulk.bin"},
        "litters": {"seen": "seen.json"},
    }
    given: dict[str, dict[str, Any]] = {
        "fake": {"fault": "none", "gate": str(folder.root.parent / "gate")},
        "litters": {"fails": False, "megabytes": 0, "fault": "none"},
    }
    return StageRequest(
        run_id="r1",
        job_id="j1",
        stage=f"{stage}.pt",
        attempt=folder.root.name,
        media=str(folder.root.parent / "film.mkv"),
        inputs={},
        outputs=outputs[stage],
        outputs_dir=str(folder.outputs),
        scratch_dir=str(folder.scratch),
        settings={**given[stage], **settings},
        load=("fails",) if stage == "litters" else (),
    )


def attempt_of(tmp_path: Path, number: int, stage: str, **settings: Any) -> AttemptFolder:
    folder = AttemptFolder(tmp_path / f"{stage}-{number:03}")
    folder.outputs.mkdir(parents=True)
    folder.scratch.mkdir()
    write_json(folder.request, to_json(request_of(folder, stage, **settings)))
    return folder


def result_of(attempt: AttemptFolder) -> StageResult:
    return from_json(StageResult, read_json(attempt.result))


def seen_in(attempt: AttemptFolder) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((attempt.outputs / "seen.json").read_bytes())
    return seen


def test_no_attempt_sees_what_another_left(tmp_path: Path) -> None:
    attempts = [attempt_of(tmp_path, number, "litters") for number in range(3)]
    with worker("litters", tmp_path) as one:
        answers = [one.serve(attempt) for attempt in attempts]
    assert [answer.ok for answer in answers] == [True] * 3
    for attempt in attempts:
        seen = seen_in(attempt)
        assert seen["cwd"] == seen["tempdir"] == os.path.realpath(attempt.scratch)
        assert (seen["litter"], seen["threads"], seen["handler"]) == (None, "3", True)
        assert seen["model"] == 1, "the model is loaded once"
        assert seen["imported"] == "1", "what belongs to the model stays with it"
        (warning,) = result_of(attempt).warnings
        assert warning.message == f"seen in {attempt.root.name}"
    log = (tmp_path / "worker.log").read_text()
    assert "threads still running" not in log, "it is in the log of the attempt"


def test_what_an_attempt_prints_is_in_its_own_log(tmp_path: Path) -> None:
    attempts = [attempt_of(tmp_path, number, "litters") for number in range(2)]
    with worker("litters", tmp_path) as one:
        for attempt in attempts:
            one.serve(attempt)
    for attempt in attempts:
        lines = attempt.log.read_text().splitlines()
        name = attempt.root.name
        assert sorted(lines) == [
            f"descriptor of {name}",
            f"stderr of {name}",
            f"stdout of {name}",
            "threads still running after the attempt: leaked",
        ]


def test_a_cold_attempt_makes_the_same(tmp_path: Path) -> None:
    cold, warm = attempt_of(tmp_path, 1, "litters"), attempt_of(tmp_path, 2, "litters")
    command = [sys.executable, "-X", "utf8", "-I", str(ENTRY), str(FAKES / "litters")]
    with subprocess.Popen(
        [*command, str(cold.root)],
        stdin=subprocess.PIPE,  # it would end with it
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "3"},
    ) as process:
        assert process.wait(PATIENCE) == bootstrap.EXIT_OK
    with worker("litters", tmp_path) as one:
        one.serve(attempt_of(tmp_path, 0, "litters"))
        one.serve(warm)
    differ = {"cwd", "tempdir", "pid"}
    assert {k: v for k, v in seen_in(cold).items() if k not in differ} == {
        k: v for k, v in seen_in(warm).items() if k not in differ
    }


def test_it_says_what_an_attempt_took(tmp_path: Path) -> None:
    with worker("litters", tmp_path) as one:
        light = one.serve(attempt_of(tmp_path, 0, "litters")).data
        heavy = one.serve(attempt_of(tmp_path, 1, "litters", megabytes=100)).data
        after = one.serve(attempt_of(tmp_path, 2, "litters")).data
    assert set(after) == {
        "load_seconds",
        "run_seconds",
        "rss_bytes",
        "tensor_bytes",
        "peak_rss_bytes",
        "peak_vram_bytes",
    }
    assert after["load_seconds"] == 0.0 < light["load_seconds"]
    assert after["peak_vram_bytes"] is None
    if sys.platform == "linux":
        assert heavy["peak_rss_bytes"] - light["peak_rss_bytes"] > 90 << 20
        assert heavy["peak_rss_bytes"] - after["peak_rss_bytes"] > 90 << 20


def test_a_failed_attempt_is_answered_and_the_next_is_served(tmp_path: Path) -> None:
    failing = attempt_of(tmp_path, 0, "litters", fault="raises")
    with worker("litters", tmp_path) as one:
        answer = one.serve(failing)
        assert not answer.ok
        assert answer.stage == "litters.pt"
        assert answer.error is not None
        assert answer.error["code"] == "stage_raised"
        assert result_of(failing).error == answer.error
        assert one.serve(attempt_of(tmp_path, 1, "litters")).ok


def test_a_model_that_cannot_be_loaded_is_not_kept(tmp_path: Path) -> None:
    good, bad, again = (
        attempt_of(tmp_path, number, "litters", fails=number == 1) for number in range(3)
    )
    with worker("litters", tmp_path) as one:
        assert [one.serve(attempt).ok for attempt in (good, bad, again)] == [True, False, True]
    assert seen_in(again)["model"] == 3


def test_a_model_can_be_loaded_before_it_is_needed(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, 0, "litters")
    settings = load_settings(from_json(StageRequest, read_json(attempt.request)))
    with worker("litters", tmp_path) as one:
        one.tell(Run({"load": {**settings, "threads": 2}}))
        loaded = one.answer()
        assert (loaded.ok, loaded.stage, loaded.error) == (True, "", None)
        assert loaded.data["load_seconds"] > 0.0
        one.tell(Run({"load": settings}))
        assert one.answer().data["load_seconds"] == 0.0
        assert one.serve(attempt).data["load_seconds"] == 0.0
        one.tell(Run({"load": {**settings, "fails": True}}))
        failed = one.answer()
        assert not failed.ok
        assert failed.error is not None
        assert "the model is broken" in failed.error["message"]
    assert "the model is broken" in (tmp_path / "worker.log").read_text()


def test_a_result_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, 0, "fake", fault="disk_full_at_the_end")
    with worker("fake", tmp_path) as one:
        answer = one.serve(attempt)
    assert not attempt.result.exists()
    assert answer.error is not None
    assert (answer.error["code"], answer.error["class"]) == ("disk_full", "storage")


@pytest.mark.parametrize("request_text", ["gone", "{", "{}"])
def test_an_attempt_without_a_request_is_an_error(tmp_path: Path, request_text: str) -> None:
    attempt = attempt_of(tmp_path, 0, "fake")
    attempt.request.write_text(request_text)
    if request_text == "gone":
        attempt.request.unlink()
    with worker("fake", tmp_path) as one:
        assert not one.serve(attempt).ok
        assert one.serve(attempt_of(tmp_path, 1, "fake")).ok


def test_a_cancel_stops_the_attempt_and_not_the_next(tmp_path: Path) -> None:
    with worker("fake", tmp_path) as one:
        one.tell(Cancel())  # of nothing
        one.tell(Run({"attempt": str(attempt_of(tmp_path, 0, "fake", fault="waits").root)}))
        first = next(message for message in one.said() if not isinstance(message, Heartbeat))
        assert isinstance(first, Progress)
        assert first.stage == "fake.pt"
        one.tell(Cancel())
        answer = one.answer()
        assert answer.error is not None
        assert answer.error["code"] == "cancelled"
        assert one.serve(attempt_of(tmp_path, 1, "fake")).ok


def test_it_dies_with_its_pipe_in_the_middle_of_an_attempt(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, 0, "fake", fault="hangs")
    with worker("fake", tmp_path) as one:
        one.tell(Run({"attempt": str(attempt.root)}))
        assert next(one.said()).type == "progress"
        assert one.process.stdin is not None
        one.process.stdin.close()
        assert one.process.wait(PATIENCE) == bootstrap.EXIT_PIPE_CLOSED
    assert not attempt.result.exists()


def test_it_ends_well_with_its_pipe_when_it_has_nothing_to_do(tmp_path: Path) -> None:
    with worker("litters", tmp_path) as one:
        one.serve(attempt_of(tmp_path, 0, "litters"))
        assert one.process.stdin is not None
        one.process.stdin.close()
        assert one.process.wait(PATIENCE) == bootstrap.EXIT_OK


def test_a_stage_that_exits_takes_the_process_along(tmp_path: Path) -> None:
    with worker("litters", tmp_path) as one:
        one.tell(Run({"attempt": str(attempt_of(tmp_path, 0, "litters", fault="exits").root)}))
        assert all(
            isinstance(message, Warning | Heartbeat) or message.type == "metric"
            for message in one.said()
        )
        assert one.process.wait(PATIENCE) == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="nothing here fails when written to")
def test_it_ends_when_it_cannot_answer(tmp_path: Path) -> None:
    """Whoever asked hears the end of its pipe, and waits no longer."""
    with open("/dev/full", "wb") as full, worker("litters", tmp_path, full.fileno()) as one:
        one.tell(Run({"attempt": str(attempt_of(tmp_path, 0, "litters").root)}))
        assert one.process.wait(PATIENCE) == bootstrap.EXIT_FAILED
    assert "No space left" in (tmp_path / "worker.log").read_text()


def test_it_beats_while_it_serves_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: a beat every 5 s is too slow for a test."""
    from orchestrator.contract import stageloop

    said: list[Message] = []
    beaten = threading.Event()

    class Recorder:
        def send(self, message: Message) -> None:
            said.append(message)
            if isinstance(message, Heartbeat):
                beaten.set()

    monkeypatch.setattr(stageloop, "HEARTBEAT_SECONDS", 0.01)
    loop = stageloop.StageLoop(FAKES / "fake", Recorder())  # type: ignore[arg-type]
    threading.Thread(target=loop._beat, daemon=True).start()
    assert not beaten.wait(0.1)
    loop._new_report("asr")
    assert beaten.wait(PATIENCE)
    assert Heartbeat("asr") in said

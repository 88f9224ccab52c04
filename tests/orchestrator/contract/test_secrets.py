"""Which variables hold a secret, and what is shown of a text that holds one."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.contract.secrets import is_secret, masked, secret_values, without_secrets

PROXY = "http://me:pass%40word@proxy.example:3128"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "x"),
        ("HUGGING_FACE_HUB_TOKEN", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("OPENAI_API_KEY", "x"),
        ("OPENAI_APIKEY", "x"),
        ("PGPASSWORD", "x"),
        ("SSHPASS", "x"),
        ("smtp_pass", "x"),
        ("GITHUBTOKEN", "x"),
        ("ANYTHING", "hf_abcdef"),
        ("https_proxy", PROXY),
        ("HTTPS_PROXY", "me:word@proxy.example:3128"),
        ("PIP_INDEX_URL", "https://me:word@index.example/simple"),
        ("PIP_EXTRA_INDEX_URL", "https://a.example/ https://word@b.example/simple"),
    ],
)
def test_secret_variables(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin:/bin"),
        ("PWD", "/home/me"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("KEYBOARD", "us"),
        ("LD_LIBRARY_PATH", "/usr/local/cuda/lib64"),
        ("CUDA_VISIBLE_DEVICES", "0"),
        ("HTTPS_PROXY", "http://proxy.example:3128"),
        ("PIP_INDEX_URL", "https://index.example/simple/@scope"),
        ("EMAIL", "me@example.org"),
        ("BATCH_SUBTITLES_RUN_ID", "20260131T220000Z-1a2b3c"),
    ],
)
def test_other_variables(name: str, value: str) -> None:
    assert not is_secret(name, value)


def test_who_needs_no_secret_gets_none() -> None:
    assert without_secrets({"HF_TOKEN": "hf_x", "ALL_PROXY": PROXY, "HOME": "/h"}) == {"HOME": "/h"}


def test_what_must_not_be_shown(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    environ = {
        "HF_TOKEN": "hf_1234567",
        "HF_TOKEN_PATH": str(tmp_path / "token"),
        "SESSION_KEY": "short",
        "PIP_EXTRA_INDEX_URL": "https://me:longer-word@a.example/ https://b.example",
        "HOME": "/home/me",
    }
    assert secret_values(environ) == ("me:longer-word", "hf_1234567")


@pytest.mark.parametrize("secret", ["/3q2+7wAb/c=", "/" + "x" * 5000, "/nul\0nul/nul"])
def test_a_secret_that_looks_like_a_path_is_one(secret: str) -> None:
    """It was shown: base64 begins with a slash once in 64 times."""
    assert secret_values({"API_KEY": secret}) == (secret,)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such token: hf_1234567.", "no such token: ***."),
        ("https://me:p@ss@host/simple and git@host", "https://***@host/simple and git@host"),
        ("see http://host/ and ftp://me@host", "see http://host/ and ftp://***@host"),
        ("nothing:// at all, http://@host", "nothing:// at all, http://@host"),
        ("mail me@host, see http://host/a@b", "mail me@host, see http://host/a@b"),
    ],
)
def test_a_text_that_is_shown(text: str, shown: str) -> None:
    assert masked(text, ["hf_1234567"]) == shown

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.contract.errors import ErrorInfo
from orchestrator.hardware import Gpu
from orchestrator.preflight.base import check_base_packages, check_python
from orchestrator.preflight.check import Check, failed, passed
from orchestrator.preflight.context import Context, Loading, ModelWish
from orchestrator.preflight.run import check_gpu, check_processor, run_checks
from orchestrator.preflight.stamp import is_fresh, stamp_key, write_stamp
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model

NEW = Gpu("cuda", "RTX", 0, 12_000_000_000, "580.65")
OLD = replace(NEW, driver="470.1")
AMD = Gpu("rocm", "Radeon", 0, 24_000_000_000, "")


def test_a_check_as_a_value() -> None:
    check = failed("disk", ErrorInfo("disk_full", "full", "free some"))
    assert check.to_json() == {
        "name": "disk",
        "ok": False,
        "detail": "full",
        "fix": "free some",
        "essential": True,
    }
    assert not passed([Check("a", True, ""), check])
    assert passed([replace(check, essential=False), replace(check, ok=None)])


def test_base_packages_are_found_or_named() -> None:
    assert check_python().ok is True
    assert check_base_packages().ok is True
    check = check_base_packages(("json", "no_such_module"))
    assert check.blocks
    assert check.detail == "missing: no_such_module"


@pytest.mark.parametrize(
    ("device", "gpus", "ok"),
    [
        ("cpu", (), True),
        ("cuda", (), False),
        ("cuda:1", (AMD,), False),
        ("cpu", (AMD,), True),
        ("cuda", (NEW,), True),
        ("cuda", (OLD,), False),
        ("cpu", (OLD,), None),
        ("cuda", (replace(NEW, driver="unknown"),), True),
    ],
)
def test_gpu_and_driver(
    context: Context, device: str, gpus: tuple[Gpu, ...], ok: bool | None
) -> None:
    given = replace(context, device=device, hardware=replace(context.hardware, gpus=gpus))
    check = check_gpu(given)
    assert check.ok is ok
    assert bool(check.fix) is (ok is not True)


def test_every_check_has_its_own_line(context: Context) -> None:
    wish = ModelWish("mine")
    loading = Loading("asr", Path("stages/asr"), context.environments[0], (wish,), "cpu", {})
    given = replace(context, models=(wish,), loadings=(loading,))
    found = run_checks(given)
    assert [check.name for check in found] == [
        *("processor", "GPU", "work folder", "file system", "disk space", "uv"),
        *("environment tiny", "model mine", "stage asr", "input folder", "output folder"),
    ]
    assert check_processor(given) == found[0]
    assert all(check.fix for check in found if check.ok is not True)


class TestStamp:
    def environment(self, tmp_path: Path) -> Environment:
        return Environment("asr", "k" * 64, tmp_path, tmp_path / "python", "3.12.1", {}, {})

    def test_fresh_until_something_changes(self, tmp_path: Path) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "model.bin").write_bytes(b"weights")
        model = Model("base", folder, "m" * 64, "somewhere")
        environment = self.environment(tmp_path)
        key = stamp_key([environment], [model], "settings")
        assert not is_fresh(tmp_path, key)
        write_stamp(tmp_path, key)
        assert is_fresh(tmp_path, stamp_key([environment], [model], "settings"))
        assert not is_fresh(tmp_path, stamp_key([environment], [model], "others"))
        assert not is_fresh(tmp_path, stamp_key([], [model], "settings"))
        (folder / "model.bin").write_bytes(b"other weights")
        assert not is_fresh(tmp_path, stamp_key([environment], [model], "settings"))

    @pytest.mark.parametrize("content", ["{", "[]", json.dumps({"other": 1})])
    def test_an_unreadable_stamp_verifies_again(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "verified.json").write_text(content)
        assert not is_fresh(tmp_path, "key")

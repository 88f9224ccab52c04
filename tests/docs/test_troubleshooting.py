"""docs/troubleshooting.md explains every error code and exit code that the code can give."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.contract import errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
EXPLAINED = set(re.findall(r"`([a-z_]+)`", PAGE))


def codes_in(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_bytes())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        code = node.args[0]
        if name in ("fail", "ErrorInfo") and isinstance(code, ast.Constant):
            yield str(code.value)


def test_every_error_code_is_explained() -> None:
    sources = [*(ROOT / "batch").rglob("*.py"), *(ROOT / "orchestrator").rglob("*.py")]
    codes = {code for source in sources for code in codes_in(source)}
    codes |= {code for code, _ in errors._STORAGE_ERRNOS.values()}
    assert len(codes) > 30
    assert sorted(codes - EXPLAINED) == []


def test_every_exit_code_is_explained() -> None:
    first_cells = " ".join(re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE))
    explained = {int(number) for number in re.findall(r"\d+", first_cells)}
    assert explained == set(errors.ExitCode)

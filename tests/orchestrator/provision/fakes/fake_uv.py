"""Stands in for uv: ``fake_uv.py FAULT ARGUMENTS...`` does what uv would, or has the fault."""

import os
import shutil
import sys
import time
from pathlib import Path


def main(fault: str, arguments: list[str]) -> int:
    print(f"uv {' '.join(arguments)} at https://user:secret@example.org/simple")
    if "log" in os.environ.get("FAKE_UV_LOG", ""):
        with open(os.environ["FAKE_UV_LOG"], "a") as stream:
            stream.write(" ".join(arguments) + "\n")
    if arguments[0] == "venv":
        return make_venv(fault, Path([word for word in arguments if not word.startswith("-")][-1]))
    if "--target" in arguments:
        return unpack(fault, arguments)
    if fault == "cannot_resolve":
        print("error: No solution found when resolving dependencies")
        return 1
    if fault == "hangs_while_installing":
        time.sleep(600)
    if fault == "installs_a_library":
        install_library(Path(arguments[arguments.index("--python") + 1]))
    return 0


def install_library(python: Path) -> None:
    package = python.parents[1] / "lib" / "python3" / "site-packages" / "thing"
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "lib" / "thing.so").touch()


def make_venv(fault: str, folder: Path) -> int:
    if fault == "finds_no_python":
        print("error: No interpreter found")
        return 2
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    return 0


def unpack(fault: str, arguments: list[str]) -> int:
    if fault == "no_network":
        print("error: dns error")
        return 2
    target = Path(arguments[arguments.index("--target") + 1])
    wheels = Path(os.environ["FAKE_WHEELS"])
    for requirement in arguments:
        if "==" in requirement:
            shutil.copytree(wheels / requirement.split("==")[0], target, dirs_exist_ok=True)
    if fault == "hangs_while_fetching":
        time.sleep(600)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

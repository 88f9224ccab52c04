"""Entry of every stage process: ``PYTHON -I bootstrap.py STAGE_FOLDER [ATTEMPT_FOLDER]``.

It runs in the stage's own environment and loads ``orchestrator.contract`` and what stages share,
``orchestrator.stagekit``: no folder of the base environment ever gets onto ``sys.path``, or the
base's packages would shadow the stage's.

With an attempt folder it serves that one attempt and leaves ``result.json`` there. Without one it
stays resident: it serves ``run`` messages, one at a time, and answers each with ``finished``.
It ends when the pipe it reads from ends, in the middle of an attempt as well, which is how it
notices that its job or coordinator died.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import NoReturn

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_PIPE_CLOSED = 3


def expose_contract() -> None:
    """Make ``orchestrator.contract`` and ``stagekit`` importable, and nothing else of ours."""
    here = Path(__file__).parent
    _package("orchestrator", None)
    _package("orchestrator.contract", here)
    _package("orchestrator.stagekit", here.with_name("stagekit"))
    _package("orchestrator.stages", None)


def import_stage(folder: Path) -> types.ModuleType:
    """Import ``stage.py`` of the folder as ``orchestrator.stages.<folder name>.stage``.

    It has that name also when the folder lies elsewhere, so a stage can import its siblings with
    ``from .sibling import thing``.
    """
    name = f"orchestrator.stages.{folder.name}"
    _package(name, folder)
    return importlib.import_module(f"{name}.stage")


def _package(name: str, folder: Path | None) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(folder)] if folder else []
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


def main(arguments: list[str]) -> int:
    """Serve one attempt, or stay resident; see the module's docstring."""
    stage_folder = Path(arguments[0])
    expose_contract()
    from orchestrator.contract.channel import Sender, reserve_stdio

    incoming, outgoing = reserve_stdio()  # before anything that might print
    from orchestrator.contract.stageloop import StageLoop

    loop = StageLoop(stage_folder, Sender(outgoing, os.environ.get("BATCH_SUBTITLES_RUN_ID", "")))
    if len(arguments) > 1:
        return loop.serve_one(Path(arguments[1]), incoming)
    return _leave(loop.serve_all(incoming))


def _leave(status: int) -> NoReturn:
    """End a worker at once: all is answered, and threads of libraries take 0.1 s to end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # a full disk; a stream that the stage has closed
            pass
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The job process that a supervisor starts: ``PYTHON -I -S __main__.py run JOB_FOLDER``.

People use ``prepare-job`` and ``run-pipeline``. This entry reads and writes messages on its stdin
and stdout, and imports nothing it does not need: it is started once per file. For the same reason
it is started by its path and without ``site``, whose work and ``-m``'s cost 10 ms of CPU.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0] not in ("run", "guard"):
        print("usage: python -m orchestrator run JOB_FOLDER [SELECTION_JSON]", file=sys.stderr)
        return 2
    if arguments[0] == "guard":
        from orchestrator.guardian import guard

        guard(arguments[1])
        return 0
    from orchestrator.job.process import run_supervised

    return run_supervised(
        arguments[1],
        os.environ.get("BATCH_SUBTITLES_RUN_ID", ""),
        arguments[2] if len(arguments) > 2 else None,
    )


if __name__ == "__main__":
    # Last, so that nothing that lies beside this package comes before the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main(sys.argv[1:]))

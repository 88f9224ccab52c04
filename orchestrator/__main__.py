"""``python -m orchestrator run JOB_FOLDER``: the job process that a supervisor starts.

People use ``prepare-job`` and ``run-pipeline``. This entry reads and writes messages on its stdin
and stdout, and imports nothing it does not need: it is started once per file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0] != "run":
        print("usage: python -m orchestrator run JOB_FOLDER [SELECTION_JSON]", file=sys.stderr)
        return 2
    from orchestrator.job.process import run_supervised

    return run_supervised(
        Path(arguments[1]),
        os.environ.get("BATCH_SUBTITLES_RUN_ID", ""),
        arguments[2] if len(arguments) > 2 else None,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

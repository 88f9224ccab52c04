"""A folder that held our files last time and holds nothing now: a disk that is not mounted.

Before it is mounted, a share's mount point is an empty folder like any other. To work on it would
find nothing to do, or fill the wrong disk with everything that was made before.
"""

from __future__ import annotations

import os

from batch.state import State
from orchestrator.contract.errors import ErrorClass, Failure, fail

_SAMPLE = 64
"""So many files that are remembered are looked for; a library that is there has one of them."""


def library_went_away(state: State, root: str) -> Failure | None:
    """For a library without any media: ``storage_lost`` where there was some last time."""
    known = state.known_below(root, _SAMPLE)
    if not known or any(os.path.lexists(path) for path, _ in known):
        return None
    return _lost("the library", root, "If you moved or emptied it, name the folder to work on now.")


def outputs_went_away(state: State, root: str, output: str) -> Failure | None:
    """For an output folder that is missing or empty: ``storage_lost`` where it had outputs."""
    try:
        with os.scandir(output) as entries:
            if next(entries, None) is not None:
                return None
    except FileNotFoundError:
        pass
    inside = os.path.join(output, "")
    known = [
        path
        for _, record in state.known_below(root, _SAMPLE)
        for path in record.output_paths
        if path.startswith(inside)
    ]
    if not known:
        return None
    return _lost(
        "the output folder",
        output,
        "If you emptied it to have everything made again, say --no-resume once.",
    )


def _lost(what: str, path: str, otherwise: str) -> Failure:
    return fail(
        "storage_lost",
        f"{what} {path} held files when it was last worked on, and is empty or missing now",
        f"Mount its disk or network share, then run the same command again. {otherwise}",
        error_class=ErrorClass.STORAGE,
        retryable=True,
    )

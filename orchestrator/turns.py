"""Who may work in a work folder: one batch, or one job by hand, at any one time.

A job by hand takes all of the machine and may be of a file that the batch has in its queue, so the
two never run beside each other. A batch is waited for by nobody: it may take all night, and whoever
starts another or a job by hand can be told so. A job by hand is waited for: it ends by itself, and
nobody may be there to start the batch again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.locks import LockHeld, ProcessLock, describe_holder
from orchestrator.contract.paths import WorkFolder

BATCH = "batch-subtitles"
BY_HAND = "run-pipeline"
_LOOK = "a look"

_ENDS_SOON = frozenset({BY_HAND, _LOOK})
_LOOK_AGAIN_SECONDS = 0.5


@contextmanager
def turn(
    work: WorkFolder,
    purpose: str,
    report: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Have the work folder for ``purpose`` while the block runs.

    Raises:
        Failure: ``already_running`` (a batch has it), or its lock cannot be made.
    """
    with ExitStack() as stack:
        try:
            _take(stack, work, purpose, report, sleep)
        except LockHeld as held:
            raise fail(
                "already_running",
                f"another run uses the work folder {work.root}: {describe_holder(held.holder)}",
                "Wait for it, or name another folder with --work-dir.",
                error_class=ErrorClass.RESOURCE,
                retryable=True,
            ) from held
        except OSError as error:
            raise Failure(describe_os_error(error, f"{work.lock} could not be made")) from error
        yield


def batch_is_running(work: WorkFolder) -> bool:
    """Whether a batch has the work folder now."""
    try:
        with ProcessLock(work.lock, purpose=_LOOK):
            return False
    except LockHeld as held:
        return _purpose_of(held.holder) not in _ENDS_SOON
    except OSError:
        return False


def _take(
    stack: ExitStack,
    work: WorkFolder,
    purpose: str,
    report: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    told = ""
    while True:
        try:
            stack.enter_context(ProcessLock(work.lock, purpose=purpose))
            return
        except LockHeld as held:
            if _purpose_of(held.holder) not in _ENDS_SOON:
                raise
            holder = describe_holder(held.holder)
        if holder != told:
            report(f"waiting for {holder}")
            told = holder
        # Not in the queue of the lock: a batch that waits as well may be the next to have it.
        sleep(_LOOK_AGAIN_SECONDS)


def _purpose_of(holder: dict[str, Any]) -> str:
    return str(holder.get("purpose", ""))

"""Whether the installation is broken: then every further file would fail like the last ones."""

from __future__ import annotations

from dataclasses import replace

from batch.events import FileFinished
from orchestrator.contract.errors import ErrorClass, ErrorInfo

ENOUGH = 3
"""So many files in a row that fail with the same error of the environment end the run.

One would do if every such error were independent of the file. It is not: the model that is missing
may be that of one language. Three alike, with no file done between them, leave little doubt, cost
little (such attempts fail in seconds), and are fewer than the workers of most machines have open.
"""


class Streak:
    """Counts files that failed alike, one after another, because of what is installed here."""

    def __init__(self) -> None:
        self._alike: tuple[str, str] | None = None
        self._count = 0

    def note(self, file: FileFinished) -> ErrorInfo | None:
        """What the run is to end with, if this file was one too many.

        A file that is done shows that the installation works; one that failed for another reason
        shows nothing.
        """
        error = file.error
        if file.status == "done":
            self._alike, self._count = None, 0
        if file.status != "failed" or file.earlier or error is None:
            return None
        if error.error_class is not ErrorClass.ENVIRONMENT:
            return None
        alike = error.code, error.message.replace(file.path, "")
        self._count = self._count + 1 if alike == self._alike else 1
        self._alike = alike
        if self._count < ENOUGH:
            return None
        return replace(
            error,
            message=f"{self._count} files in a row failed alike, and so would all others:"
            f" {error.message}",
        )

"""How much of everything a campaign does, and the sandboxes that it does it in."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.catalogue import load_catalogue
from orchestrator.provision.environments import BuildOptions, ensure_environment
from tests.end_to_end.conftest import FAKES, ROOT, Batch
from tests.faults.forked import Forks
from tests.faults.night import Night
from tests.faults.scenes import ForkedNight


@dataclass(frozen=True, slots=True)
class Size:
    """``share`` 1.0 is the full size; ``seed`` chooses what is left to chance.

    ``processes``: how many scenes are played at a time, where a campaign has many.
    """

    share: float = 1.0
    seed: int = 1
    processes: int = 1


class Scale:
    """Makes what a campaign of that size needs, below ``folder``.

    ``noted``: when something was last told (:meth:`note`), on the clock of ``time.monotonic``.
    """

    def __init__(self, folder: Path, size: Size) -> None:
        self._folder = folder
        self._made = 0
        self.noted = time.monotonic()
        self.size = size
        shared = Path(os.environ.get("SUBTITLES_TEST_WORK_DIR", ROOT / ".cache" / "test-work"))
        catalogue = load_catalogue((FAKES,))
        options = BuildOptions(
            torch_backend="auto", profile="default", variant=None, allow_downloads=True
        )
        self.environments = [
            ensure_environment(catalogue.environments[name], shared.absolute(), options).path
            for name in ("bare", "media")
        ]

    @classmethod
    @contextmanager
    def made(cls, size: Size) -> Iterator[Scale]:
        """In a temporary folder."""
        with tempfile.TemporaryDirectory() as folder:
            yield cls(Path(folder), size)

    def night(self, files: int) -> Night:
        self._made += 1
        names = [f"{number}.wav" for number in range(files)]
        return Night(self._folder / f"night-{self._made}", self.environments, names)

    def sandbox(self, files: Sequence[str]) -> Night:
        self._made += 1
        return Night(self._folder / f"night-{self._made}", self.environments, files)

    def folder(self) -> Path:
        self._made += 1
        made = self._folder / f"folder-{self._made}"
        made.mkdir()
        return made

    def batch(self) -> Batch:
        return Batch(self.folder(), self.environments)

    def forks(self) -> Forks:
        return Forks(self._folder)

    def forked(self, files: Sequence[str], forks: Forks) -> ForkedNight:
        self._made += 1
        return ForkedNight(self._folder / f"night-{self._made}", self.environments, files, forks)

    def of(self, full: int) -> int:
        return max(1, round(full * self.size.share))

    def note(self, text: str) -> None:
        """Tell who watches what has ended, and how long that took: a run may be cut off."""
        now = time.monotonic()
        print(f"    {text}; {now - self.noted:.0f} s", file=sys.stderr, flush=True)
        self.noted = now

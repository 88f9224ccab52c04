"""A small library and a work folder in which one night after another can go wrong.

The coordinator, the jobs and the stages are the real ones; the stages themselves are the two small
ones of ``tests/fakes``, so that a night takes a second. What a night must come to is known from
one that nothing disturbed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from batch.state import State
from orchestrator.contract.errors import Failure
from orchestrator.contract.files import FileRecord
from orchestrator.contract.records import from_json
from tests.end_to_end.conftest import Batch, Outcome, tree
from tests.faults.unmeasured import unmeasured

SURVIVAL_SECONDS = 5.0
"""How long processes of a killed run may take to be gone."""

_STATE = ("out", "artefacts", "runs", "logs", "tmp")


@dataclass(frozen=True, slots=True)
class Kept:
    """A state of the sandbox to come back to."""

    folder: Path


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing of one that has ended just now."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


class Night:
    """One sandbox. ``expected`` is what the library holds after an undisturbed night.

    ``extra``: more arguments of its command. ``good``: the exit codes it may end with.
    """

    def __init__(self, folder: Path, environments: list[Path], files: Sequence[str]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.batch = Batch(folder, environments)
        # Without bytecode a night would spend most of its time compiling.
        self.batch.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self.batch.environ = unmeasured(self.batch.environ)
        self.batch.add(*files)
        self.files = tuple(files)
        self.extra: tuple[str, ...] = ()
        self.good = frozenset({0})
        self.sources: dict[str, tuple[int, bytes]] = {}
        self.note_sources()
        self.former: dict[str, bytes] = {}
        self.expected: dict[str, bytes] = {}
        self._kept = 0

    def argv(self) -> list[str]:
        """The command line of a night, for whoever wants to run it in another way."""
        batch = self.batch
        return [
            *(sys.executable, "-P", "-m", "batch", str(batch.library), "--json", "--resume"),
            *("--work-dir", str(batch.work.root), "--config", str(batch.config)),
            *self.extra,
        ]

    def again(self) -> Outcome:
        """Run the same command, as a person or a timer does the next night."""
        return self.batch.json("--resume", *self.extra)

    def note_sources(self) -> None:
        """Take every file that is in the library for one that must stay as it is."""
        found = tree(self.batch.library)
        self.sources = {path: was for path, was in found.items() if os.path.isfile(path)}

    def undisturbed(self) -> Outcome:
        """Run it as it should be, and remember what came out as the expected state."""
        outcome = self.again()
        if outcome.code not in self.good:
            raise RuntimeError(f"an undisturbed night ended with {outcome.code}: {outcome.err}")
        self.former, self.expected = self.expected, self.library()
        return outcome

    def library(self) -> dict[str, bytes]:
        """Everything in the library but the sources, hidden files included."""
        return {
            os.path.relpath(path, self.batch.library): content
            for path, (_, content) in tree(self.batch.library).items()
            if path not in self.sources and os.path.isfile(path)
        }

    def keep(self) -> Kept:
        """Remember library and state as they are now."""
        self._kept += 1
        kept = Kept(self.folder / f"kept-{self._kept}")
        self._copy(self.batch.library, kept.folder / "library")
        for entry in self._state():
            self._copy(entry, kept.folder / "work" / entry.name)
        return kept

    def restore(self, kept: Kept) -> None:
        """Make library and state what they were."""
        shutil.rmtree(self.batch.library)
        self._copy(kept.folder / "library", self.batch.library)
        for entry in self._state():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for entry in (kept.folder / "work").glob("*"):
            self._copy(entry, self.batch.work.root / entry.name)

    def _state(self) -> list[Path]:
        """What a run writes into the work folder; environments and models stay."""
        root = self.batch.work.root
        found = [root / name for name in _STATE if (root / name).exists()]
        return [*found, *root.glob("batch.db*"), *root.glob("latest*")]

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)

    # --- what must hold ---------------------------------------------------------------------------

    def wrong_after_the_fault(self, out: str) -> list[str]:
        """What is wrong right after a night was hurt. ``out``: what it had printed."""
        wrong = self.survivors() + self.changed_sources()
        library = self.library()
        for name, content in library.items():
            if name.rpartition("/")[2].startswith(".batch-subtitles-"):
                continue
            if content not in (self.expected.get(name), self.former.get(name)):
                wrong.append(f"published torn or unknown: {name} ({len(content)} bytes)")
        for name in self.done(out):
            for output, content in self._outputs_of(name).items():
                if library.get(output) != content:
                    wrong.append(f"acknowledged but not there: {output}")
        return wrong

    def wrong_after_the_next_night(self, out: str, todo: Set[str] | None = None) -> list[str]:
        """Run the same command again: it must end with everything done, and nothing done twice.

        ``todo``: the names of the files that were to be worked on; None: all.
        """
        committed = self._committed()
        outcome = self.again()
        wrong = self.survivors() + self.changed_sources()
        if outcome.code not in self.good:
            wrong.append(
                f"the next night ended with {outcome.code}: {outcome.errors} {outcome.err[-300:]}"
            )
        library = self.library()
        if library != self.expected:
            differing = sorted(
                name
                for name in library.keys() | self.expected.keys()
                if library.get(name) != self.expected.get(name)
            )
            wrong.append(f"the library is not what it should be: {differing}")
        again = self.done(out) & outcome.finished.keys()
        if todo is not None:
            again |= outcome.finished.keys() - todo
        if again:
            wrong.append(f"done twice: {sorted(again)}")
        now = self._committed()
        made_again = [path for path, inode in committed.items() if now.get(path, inode) != inode]
        if made_again:
            wrong.append(f"made again, though it was whole: {made_again}")
        return wrong + self._unrecorded()

    def changed_sources(self) -> list[str]:
        now = tree(self.batch.library)
        return [
            f"source changed: {path}" for path, was in self.sources.items() if now.get(path) != was
        ]

    def _committed(self) -> dict[str, int]:
        """The files of artefacts of which nothing is missing, with their inodes."""
        found: dict[str, int] = {}
        for path in self.batch.work.artefacts.glob("*/*/artefact.json"):
            if not path.parent.name.startswith("."):
                outputs = json.loads(path.read_bytes())["outputs"]
                records = [from_json(FileRecord, one) for one in outputs]
                if all(one.matches(path.parent) for one in records):
                    files = [path.with_name(one.file) for one in records]
                    found |= {str(file): file.stat().st_ino for file in files}
        return found

    def _unrecorded(self) -> list[str]:
        """What we published and would not know for our own any more."""
        ours = set()
        try:
            with closing(State.open(self.batch.work.database)) as state:
                for folder, _, _ in os.walk(self.batch.library):
                    for record in state.records_in(folder).values():
                        for one in record.published(folder):
                            ours.add((os.path.relpath(one.path, self.batch.library), one.sha256))
        except Failure as failure:
            return [f"what is ours cannot be read: {failure.info.message}"]
        return [
            f"not recorded as ours: {name}"
            for name, content in self.expected.items()
            if (name, hashlib.sha256(content).hexdigest()) not in ours
        ]

    def survivors(self) -> list[str]:
        """What is alive long after a run has ended; it is ended as well."""
        deadline = time.monotonic() + SURVIVAL_SECONDS
        while (alive := self.batch.processes()) and time.monotonic() < deadline:
            time.sleep(0.01)
        found = [f"survivor: {process.pid} {words_of(process)[:6]}" for process in alive]
        for process in alive:
            process.send_signal(signal.SIGKILL)
        return found

    @staticmethod
    def done(out: str) -> set[str]:
        """Names of the files that a run said were done, in complete lines of its output."""
        return {
            os.path.basename(event["path"])
            for event in events_in(out)
            if event["event"] == "file_finished" and event["status"] == "done"
        }

    def _outputs_of(self, name: str) -> dict[str, bytes]:
        stem = name.rpartition(".")[0]
        return {
            one: data
            for one, data in self.expected.items()
            if os.path.basename(one).startswith(f"{stem}.")
        }


def events_in(out: str) -> list[dict[str, Any]]:
    """The events in the complete lines of a run's output."""
    return [json.loads(line) for line in out.split("\n")[:-1] if line.startswith("{")]

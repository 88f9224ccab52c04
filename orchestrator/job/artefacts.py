"""The artefact store: what stages made of one media.

An output counts as there when the file has the size and hash that the artefact's record states,
whatever a power cut, a bad disk or the dropping of large files has left of it. So nothing has to be
on the disk before it is relied on; only what took long to make is put there at once.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from orchestrator.contract.atomic import fsync_file, fsync_folder, read_json, rename_new, write_json
from orchestrator.contract.files import FileRecord
from orchestrator.contract.records import Record, changed, field, from_json, to_json
from orchestrator.job.plan import Stored

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

ARTEFACT_VERSION = 1
RECORD_NAME = "artefact.json"


class Artefact(Record):
    """What one stage made. ``facts`` are what it found out, for later stages and the report.

    ``dropped`` are the outputs that are not there any more, as :meth:`ArtefactStore.find` saw.
    """

    version: int
    stage: str
    key: str
    job_id: str
    outputs: tuple[FileRecord, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    @property
    def stored(self) -> Stored:
        names = frozenset(record.name for record in self.outputs)
        return Stored(names - set(self.dropped), frozenset(self.dropped))


class ArtefactStore:
    """Artefacts of one media, under ``artefacts/<fingerprint>/<stage key>/``."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        self._folder = root / fingerprint
        self._anchored = False

    @property
    def lock(self) -> Path:
        """Held while a job of this media runs, so that two copies of a film do not work twice."""
        return self._folder / "lock"

    def path(self, key: str, record: FileRecord) -> Path:
        return self._folder / key / record.file

    def find(self, key: str) -> Artefact | None:
        """The artefact of this key with what is there of it; None when it has no valid record."""
        folder = self._folder / key
        try:
            artefact = from_json(Artefact, read_json(folder / RECORD_NAME))
        except (OSError, ValueError):
            return None
        if artefact.version != ARTEFACT_VERSION:
            return None
        gone = [record.name for record in artefact.outputs if not record.matches(folder)]
        return changed(artefact, dropped=tuple(gone))

    def commit(self, artefact: Artefact, made_in: Path, lasting: Collection[str] = ()) -> None:
        """Move a finished attempt's outputs folder into the store.

        What the store had under that key (dropped outputs, a forced repeat, a damaged copy) is
        moved out of the way first; between the two renames the artefact is absent, never half.
        The outputs named in ``lasting`` are on the disk when this returns.

        Raises:
            OSError: the artefact is not committed.
        """
        target = self._folder / artefact.key
        self._folder.mkdir(parents=True, exist_ok=True)
        for record in artefact.outputs:
            if record.name in lasting:
                fsync_file(made_in / record.file)
        write_json(
            made_in / RECORD_NAME, to_json(artefact), whole=bool(lasting), lasting=bool(lasting)
        )
        if target.exists():
            discard(target)
        rename_new(made_in, target)
        if lasting:
            fsync_folder(self._folder)
            self._anchor()

    def _anchor(self) -> None:
        """Put the name of the media's folder on the disk; whoever made it need not have done so."""
        if not self._anchored:
            fsync_folder(self._folder.parent)
            self._anchored = True

    def drop(self, artefact: Artefact, names: Collection[str]) -> None:
        """Free the space of these outputs; the artefact stays valid without them."""
        for record in artefact.outputs:
            if record.name in names:
                self.path(artefact.key, record).unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a folder so that it is gone under its name at once."""
    aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.old")
    folder.rename(aside)
    import shutil  # 5 ms that few jobs need

    shutil.rmtree(aside, ignore_errors=True)

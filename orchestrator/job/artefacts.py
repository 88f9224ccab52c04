"""The artefact store: what stages made of one media, each complete or absent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
_HASH_ON_REUSE_BYTES = 8 << 20


class Artefact(Record):
    """What one stage made. ``facts`` are what it found out, for later stages and the report."""

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

    @property
    def lock(self) -> Path:
        """Held while a job of this media runs, so that two copies of a film do not work twice."""
        return self._folder / "lock"

    def path(self, key: str, record: FileRecord) -> Path:
        return self._folder / key / record.file

    def find(self, key: str) -> Artefact | None:
        """The artefact of this key, or None when it is absent or not whole.

        Small files are hashed again; of large ones the size is compared.
        """
        folder = self._folder / key
        try:
            artefact = from_json(Artefact, read_json(folder / RECORD_NAME))
            if artefact.version != ARTEFACT_VERSION:
                return None
            for record in artefact.outputs:
                if record.name in artefact.dropped:
                    continue
                if record.size > _HASH_ON_REUSE_BYTES:
                    whole = (folder / record.file).stat().st_size == record.size
                else:
                    whole = record.matches(folder)
                if not whole:
                    return None
        except (OSError, ValueError):
            return None
        return artefact

    def commit(self, artefact: Artefact, made_in: Path) -> None:
        """Move a finished attempt's outputs folder into the store, durably.

        What the store had under that key (dropped outputs, a forced repeat, a damaged copy) is
        moved out of the way first; between the two renames the artefact is absent, never half.

        Raises:
            OSError: the artefact is not committed.
        """
        target = self._folder / artefact.key
        self._folder.mkdir(parents=True, exist_ok=True)
        for record in artefact.outputs:
            fsync_file(made_in / record.file)
        write_json(made_in / RECORD_NAME, to_json(artefact))
        if target.exists():
            discard(target)
        rename_new(made_in, target)
        fsync_folder(self._folder)

    def drop(self, artefact: Artefact, names: Iterable[str]) -> None:
        """Free the space of these outputs; the artefact stays valid without them."""
        folder = self._folder / artefact.key
        dropping = [record for record in artefact.outputs if record.name in set(names)]
        remaining = {record.name for record in dropping} | set(artefact.dropped)
        write_json(
            folder / RECORD_NAME, to_json(changed(artefact, dropped=tuple(sorted(remaining))))
        )
        for record in dropping:
            (folder / record.file).unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a folder so that it is gone under its name at once."""
    aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.old")
    folder.rename(aside)
    import shutil  # 5 ms that few jobs need

    shutil.rmtree(aside, ignore_errors=True)

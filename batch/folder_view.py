"""One folder as decisions see it: its listing, what is remembered of it, and where outputs go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from batch.coverage import index_sidecars
from batch.file_record import FileRecord
from batch.listing import DirectoryListing, MediaFile
from batch.ownership import Library
from orchestrator.contract.job import Published
from orchestrator.contract.naming import media_stem


def target_folder(folder: str, input_root: str, output_root: str | None) -> str:
    """Where the outputs of the media in ``folder`` go: beside it, or in the mirrored structure."""
    if output_root is None:
        return folder
    return os.path.normpath(os.path.join(output_root, os.path.relpath(folder, input_root)))


class FolderView:
    """Answers about one folder. What finished files do not need is worked out when first asked."""

    def __init__(
        self,
        listing: DirectoryListing,
        records: Mapping[str, FileRecord],
        library: Library,
        target: str | None = None,
    ) -> None:
        """``records`` by file name; ``target`` is the folder of the outputs (None: the same)."""
        self.listing = listing
        self.records = records
        self.library = library
        self.target = listing.folder if target is None else target
        self.beside_media = self.target == listing.folder

    @cached_property
    def first_of_stem(self) -> dict[str, str]:
        """The media file that owns each stem: the first in order of name that can be read."""
        return {
            media_stem(item.name): item.name
            for item in reversed(self.listing.media)
            if item.problem is None
        }

    @cached_property
    def sidecars(self) -> dict[str, list[str]]:
        """Names of the text sidecars of each stem."""
        return index_sidecars(self.listing.names, self.first_of_stem.keys())

    @cached_property
    def _published(self) -> frozenset[tuple[str, int]]:
        """Name and size of everything that we published into this folder."""
        folder = self.listing.folder
        return frozenset(
            (os.path.basename(published.path), published.size)
            for record in self.records.values()
            for published in record.published(folder)
            if os.path.dirname(published.path) == folder
        )

    def published_it(self, item: MediaFile) -> bool:
        """Whether the media file is one that we made of another: a film with subtitles inside."""
        return (item.name, item.size) in self._published

    def has_all(self, outputs: Iterable[str]) -> bool:
        """Whether all these outputs of a record (see ``FileRecord.output_paths``) still exist."""
        names = self.listing.names
        for path in outputs:
            if path not in names and not (os.sep in path and self.library.exists(path)):
                return False
        return True

    def target_exists(self, name: str) -> bool:
        return self.library.exists(os.path.join(self.target, name))

    def published_names(self, record: FileRecord) -> Iterator[tuple[str, Published]]:
        """What we once published for a file of this folder that is in the target folder."""
        for published in record.published(self.listing.folder):
            folder, name = os.path.split(published.path)
            if folder == self.target:
                yield name, published

    @cached_property
    def writable(self) -> bool:
        """Whether outputs can be put into the target folder."""
        return self.library.writable(self.target)

    def look_again(self) -> None:
        """Forget what the disk said of the target folder: it was away then."""
        vars(self).pop("writable", None)

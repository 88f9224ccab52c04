"""What it costs to see that every file of a library is finished.

Walk, stat, read the state, compare, and look for each recorded subtitle: everything the batch does
for a file that needs no work, against a bare ``os.scandir`` walk of the same tree.

Run: python benchmarks/resume.py [--files 100000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import fast_state
from _measure import MEDIA_EXTENSIONS, cpu_medians, make_library, print_table
from discovery import bare_walk

from batch.decide import Policy, Reason, Skip, decide
from batch.discover import discover
from batch.file_record import Content
from batch.folder_view import FolderView
from batch.listing import DiscoveryRules
from batch.ownership import DiskLibrary
from batch.state import State
from orchestrator.contract.job import JobOutput, Published
from orchestrator.contract.naming import media_stem, sidecar_name

RULES = DiscoveryRules(MEDIA_EXTENSIONS)
OUTPUT = JobOutput("words", "words.srt", publish="srt")
POLICY = Policy("settings-1", (OUTPUT,), ("en",), settle_seconds=5.0)


def finish_everything(root: str, database: Path) -> int:
    """Write the subtitle and the record of every media file, as a finished batch leaves them."""
    count = 0
    with fast_state(database) as state:
        for listing in discover(root, RULES):
            for item in listing.media:
                name = sidecar_name(media_stem(item.name), "en", "srt")
                target = Path(listing.folder, name)
                target.write_bytes(b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
                status = target.stat()
                output = Published(str(target), status.st_size, status.st_mtime_ns, "0" * 64)
                content = Content(item.size, item.mtime_ns, "f" * 32)
                state.record_done(item.path, content, POLICY.settings_key, [output], time.time())
                count += 1
    return count


def decide_everything(root: str, state: State) -> int:
    """The decision pass of the batch; returns how many files are finished."""
    library = DiskLibrary()
    now_ns = time.time_ns()
    finished = 0
    for listing in discover(root, RULES):
        view = FolderView(listing, state.records_in(listing.folder), library)
        for item in listing.media:
            decision = decide(item, view, POLICY, now_ns)
            finished += isinstance(decision, Skip) and decision.reason is Reason.ALREADY_DONE
    return finished


def index_every_sidecar(root: str) -> int:
    """Discovery and the sidecars of every file, which finished files do not need."""
    library = DiskLibrary()
    return sum(len(FolderView(listing, {}, library).sidecars) for listing in discover(root, RULES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--per-folder", type=int, default=100)
    options = parser.parse_args()
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as work:
        media = make_library(Path(folder), options.files, options.per_folder)
        assert finish_everything(folder, Path(work, "batch.db")) == media
        state = State.open(Path(work, "batch.db"))
        before = process.memory_info().rss
        assert decide_everything(folder, state) == media
        grown = process.memory_info().rss - before
        times = cpu_medians(
            {
                "bare scandir walk": lambda: bare_walk(folder),
                "discover": lambda: sum(1 for _ in discover(folder, RULES)),
                "discover + index all sidecars": lambda: index_every_sidecar(folder),
                "decision pass": lambda: decide_everything(folder, state),
            }
        )
        state.close()
    print_table(
        f"{media:,} finished media among {options.files + media:,} files;"
        f" CPU seconds, median of 5; memory + {grown / 2**20:.1f} MiB",
        times,
        dict.fromkeys(list(times)[1:], "bare scandir walk"),
    )


if __name__ == "__main__":
    main()

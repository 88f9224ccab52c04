"""Discovery of a library against the cheapest possible walk that learns the same.

Run: python benchmarks/discovery.py [--files 100000]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _measure import MEDIA_EXTENSIONS, cpu_medians, make_library, print_table

from batch.discover import discover
from batch.listing import DiscoveryRules


def bare_walk(root: str) -> int:
    """An ``os.scandir`` walk that only tells folders from files."""
    count = 0
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                else:
                    count += 1
    return count


def stat_walk(root: str) -> int:
    """The same walk that also asks for size and mtime of the media files."""
    count = 0
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                elif entry.name.rpartition(".")[2].lower() in MEDIA_EXTENSIONS:
                    status = entry.stat()
                    count += status.st_size > 0 and status.st_mtime_ns > 0
    return count


def path_walk(root: str) -> int:
    """The usual way with ``pathlib``."""
    count = 0
    for path in Path(root).rglob("*"):
        if path.suffix[1:].lower() in MEDIA_EXTENSIONS and path.is_file():
            count += path.stat().st_size > 0
    return count


def ours(root: str) -> int:
    rules = DiscoveryRules(MEDIA_EXTENSIONS)
    return sum(len(listing.media) for listing in discover(root, rules))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--per-folder", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        media = make_library(Path(folder), options.files, options.per_folder)
        for walk in (stat_walk, path_walk, ours):
            assert walk(folder) == media, walk.__name__
        times = cpu_medians(
            {
                "bare scandir walk": lambda: bare_walk(folder),
                "scandir walk with stat": lambda: stat_walk(folder),
                "pathlib rglob with stat": lambda: path_walk(folder),
                "batch.discover": lambda: ours(folder),
            }
        )
    print_table(
        f"{options.files:,} files, {media:,} of them media; CPU seconds, median of 5",
        times,
        {
            "pathlib rglob with stat": "scandir walk with stat",
            "batch.discover": "scandir walk with stat",
        },
    )


if __name__ == "__main__":
    main()

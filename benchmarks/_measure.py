"""Shared by the benchmarks: interleaved medians, and trees of files to measure on."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

MEDIA_EXTENSIONS = frozenset({"mkv", "mp4", "avi", "mov", "webm", "mp3", "m4a", "wav"})


def cpu_medians(
    candidates: Mapping[str, Callable[[], object]], rounds: int = 5
) -> dict[str, float]:
    """CPU seconds (user + system, this process) of each candidate: medians of ``rounds``.

    The candidates take turns, so that what else the machine does meets all of them alike; the
    first round only warms the caches.
    """
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, candidate in candidates.items():
            gc.collect()
            start = time.process_time()
            candidate()
            if number:
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def print_table(title: str, times: Mapping[str, float], floors: Mapping[str, str]) -> None:
    """One line per candidate; ``floors`` names the candidate each one is divided by."""
    print(title)
    for name, seconds in times.items():
        floor = floors.get(name)
        ratio = f"{seconds / times[floor]:6.2f} x {floor}" if floor else ""
        print(f"  {name:<34} {seconds:8.3f} s  {ratio}")


def make_library(root: Path, files: int, per_folder: int = 100) -> int:
    """Fill ``root`` with ``files`` small files, 60 % of them media; returns the number of media.

    Two levels of folders, as libraries have them; the others are subtitles, pictures and notes.
    """
    others = ("jpg", "nfo", "txt", "png")
    media = 0
    for number in range(files):
        if number % per_folder == 0:
            group = number // per_folder
            folder = root / f"shelf {group // 20:03}" / f"series {group:05}"
            folder.mkdir(parents=True)
        is_media = number % 5 < 3
        extension = "mkv" if is_media else others[number % 4]
        (folder / f"Some Series S01E{number % per_folder:02} part.{extension}").write_bytes(b"x")
        media += is_media
    return media

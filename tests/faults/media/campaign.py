"""The media campaigns at full size: ``python -m tests.faults.media.campaign``.

Each prints its figures; the exit status says whether all are as required. ``--only loss`` runs one
of them, ``--mutants`` and ``--losses`` set how many files are damaged, ``--seed`` which ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

from orchestrator.catalogue import load_catalogue
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.environments import ensure_environment
from tests.faults.media.lures import EXTENSIONS, Trap, lures
from tests.faults.media.mutants import KNOWN_LOSSES, LOSSES, Mutant, known_loss, mutant
from tests.faults.media.originals import (
    INTERLEAVED_SAMPLES,
    STATES_NO_LENGTH,
    ZERO_IS_SILENCE,
    ffmpeg_of,
    make_formats,
    make_joined,
    make_odd,
    make_remuxes,
    make_unsized,
    with_tails,
)
from tests.faults.media.resident import Broke, Died, Ears, Heard, Hung

ROOT = Path(__file__).parents[3]
WORK = Path(os.environ.get("SUBTITLES_TEST_WORK_DIR", ROOT / ".cache" / "test-work"))
LOST_SHARE = 0.02
LOST_SECONDS = 0.25
"""A loss counts from both of these on: what codecs add and drop at the ends stays below."""


class Case(NamedTuple):
    """One file to damage, and the number of what is done to it."""

    path: Path
    number: int
    how: Literal["any", "loss", "known"]

    def damaged(self) -> Mutant:
        data = self.path.read_bytes()
        if self.how == "known":
            return known_loss(data, self.number)
        return (
            mutant(data, self.number, LOSSES) if self.how == "loss" else mutant(data, self.number)
        )


@dataclass(frozen=True)
class Verdict:
    """What became of one damaged file.

    Attributes:
        lost: seconds of sound that are no longer there.
        problem: what is no answer to a damaged file: a hang, a crash, blame put on something else.
        seconds: that probe and demux took.
    """

    name: str
    number: int
    kind: str
    lost: float
    of: float
    heard: Heard | None
    problem: str = ""
    seconds: float = 0.0

    @property
    def lossy(self) -> bool:
        if self.name in ZERO_IS_SILENCE and "hole" in self.kind:
            return False
        if self.name in INTERLEAVED_SAMPLES and "pieces" in self.kind:
            return False
        return self.lost > max(LOST_SECONDS, LOST_SHARE * self.of)

    @property
    def false_success(self) -> bool:
        return self.lossy and self.heard is not None and self.heard.claims_complete


@dataclass(frozen=True)
class Tools:
    """What a worker needs: the interpreter of the media environment, a folder, the originals."""

    python: Path
    folder: Path
    originals: tuple[Path, ...]

    def cases(self, numbers: Sequence[int], how: Literal["any", "loss"]) -> list[Case]:
        """Damage of these numbers, to the originals in turn."""
        return [Case(self.originals[n % len(self.originals)], n, how) for n in numbers]

    def known_losses(self) -> list[Case]:
        return [Case(path, n, "known") for path, n in product(self.originals, range(KNOWN_LOSSES))]

    @contextmanager
    def ears(self) -> Iterator[Ears]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        ears = Ears(self.python, load_catalogue([]).stages, folder)
        try:
            yield ears
        finally:
            ears.close()


def damage(tools: Tools, cases: Sequence[Case]) -> Iterator[Verdict]:
    """Damage originals, and let probe and demux have them."""
    with tools.ears() as ears:
        whole: dict[Path, float] = {}
        for case in cases:
            path, changed = case.path, case.damaged()
            if path not in whole:
                whole[path] = ears.demux(path).sounding
            damaged = tools.folder / f"{os.getpid()}-{path.name}"
            damaged.write_bytes(changed.data)
            started = time.monotonic()
            heard, problem = None, ""
            try:
                problem = _blame(ears.probe(damaged).error)
                heard = ears.demux(damaged)
                problem = problem or _blame(heard.error)
            except (Hung, Died, Broke) as fault:
                problem = " ".join((type(fault).__name__.lower(), *map(str, fault.args)))
            seconds = time.monotonic() - started
            lost = whole[path] - (heard.sounding if heard else 0.0)
            yield Verdict(
                path.name, case.number, changed.kind, lost, whole[path], heard, problem, seconds
            )
            damaged.unlink()


def _blame(error: ErrorInfo | None) -> str:
    """Whether something other than the file is said to be at fault; nothing else is damaged."""
    if error is None or error.error_class is ErrorClass.INPUT:
        return ""
    return f"blamed {error.error_class}: {error.code}: {error.message}"


@dataclass(frozen=True)
class _Share:
    """The share of one worker."""

    tools: Tools
    cases: Sequence[Case]

    def run(self) -> list[Verdict]:
        return list(damage(self.tools, self.cases))


def in_parallel(tools: Tools, cases: Sequence[Case], workers: int) -> list[Verdict]:
    shares = [_Share(tools, cases[n::workers]) for n in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return [verdict for share in pool.map(_Share.run, shares) for verdict in share]


@dataclass(frozen=True)
class Figures:
    """What one campaign found: a line for each figure, and what is not as required."""

    title: str
    lines: Sequence[str]
    failures: Sequence[str]

    def print(self) -> None:
        print(f"\n{self.title}")
        for line in (*self.lines, *(f"FAILED: {failure}" for failure in self.failures[:40])):
            print(f"  {line}")


def loss_figures(verdicts: Sequence[Verdict], whole: Sequence[tuple[str, Heard]]) -> Figures:
    """Recall over damaged files of formats that state a length; false alarms over whole ones."""
    stating = [one for one in verdicts if one.lossy and one.name not in STATES_NO_LENGTH]
    told = [one for one in stating if one.heard is not None and one.heard.told]
    others = [one for one in verdicts if one.lossy and one.name in STATES_NO_LENGTH]
    fair = [one for one in others if one.heard and not one.heard.claims_complete]
    alarms = [f"{name}: {heard.code or heard.warnings}" for name, heard in whole if heard.told]
    missed = [one for one in stating if one not in told]
    missed += [one for one in others if one not in fair]
    recall = len(told) / max(1, len(stating))
    failures = [f"missed {_words(one)}" for one in missed] if recall < 0.995 else []
    failures += [f"complete without a length {_words(one)}" for one in others if one not in fair]
    failures += alarms if len(alarms) > 0.005 * len(whole) else []
    lines = [
        f"{len(verdicts)} damaged files, {len(stating) + len(others)} with a loss that counts",
        f"recall where a length is stated: {len(told)} of {len(stating)} ({recall:.2%})",
        f"where none is: {len(fair)} of {len(others)} told or marked as length unverifiable",
        f"false alarms: {len(alarms)} of {len(whole)} whole files",
        *(f"missed {_words(one)}" for one in missed if not failures),
        *(f"false alarm {alarm}" for alarm in alarms if not failures),
    ]
    return Figures("Silent loss of audio", lines, failures)


def mutant_figures(verdicts: Sequence[Verdict]) -> Figures:
    """Hangs, crashes, bugs and false successes over files damaged in any way."""
    codes = Counter(one.heard.code or "done" for one in verdicts if one.heard)
    problems = [one for one in verdicts if one.problem or one.false_success]
    kinds = Counter(one.problem.partition(" ")[0] or "false success" for one in problems)
    lines = [
        f"{len(verdicts)} mutants of {len({one.name for one in verdicts})} files: "
        + ", ".join(f"{code} {count}" for code, count in codes.most_common()),
        f"hangs {kinds['hung']}, crashes {kinds['died']}, bugs {kinds['broke']},"
        f" blame on anything but the file {kinds['blamed']},"
        f" false successes {kinds['false success']}"
        f" (of {sum(one.lossy for one in verdicts)} that lost sound)",
        f"the slowest took {max(one.seconds for one in verdicts):.1f} s",
    ]
    return Figures("Mutated media", lines, [_words(one) for one in problems])


def _words(one: Verdict) -> str:
    heard = one.heard
    seen = one.problem or (heard and (heard.code or heard.warnings)) or "complete"
    return f"{one.name} #{one.number} ({one.kind}): {one.lost:.2f} s lost, {seen}"


def whole_files(tools: Tools, media: Path, *, thorough: bool = True) -> Iterator[tuple[str, Heard]]:
    """Undamaged files of all makes, with what demux says of them.

    ``thorough``: also put into other containers, joined, and with something behind their end.
    """
    ffmpeg = ffmpeg_of(tools.python)
    paths = [*tools.originals, *make_odd(ffmpeg, media / "odd")]
    paths += make_unsized(media / "formats", media / "unsized")
    if thorough:
        paths += make_remuxes(ffmpeg, media / "formats", media / "remuxes")
        paths += make_joined(media / "formats", media / "joined")
        paths += list(with_tails(paths, media / "tails"))
    with tools.ears() as ears:
        for path in paths:
            yield path.name, ears.demux(path)


def lure_figures(tools: Tools, extensions: Sequence[str] = EXTENSIONS) -> Figures:
    """Whether any file that asks for another one gets it, from probe or demux."""
    tried, codes, blames = 0, Counter[str](), []
    with tools.ears() as ears, Trap(tools.folder) as trap:
        for name, content in lures(trap.server, trap.canary, extensions):
            path = tools.folder / name
            path.write_bytes(content)
            probed, heard = ears.probe(path), ears.demux(path)
            codes[heard.code or "done"] += 1
            codes["probed without an error"] += probed.error is None
            blames += [f"{name}: {one}" for one in map(_blame, (probed.error, heard.error)) if one]
            trap.look_at(name, heard.sounding)
            path.unlink()
            tried += 1
        hits = trap.hits()
    lines = [f"{tried} files, {len(hits)} hits; {dict(codes)}"]
    return Figures("Reaching out through media", lines, [*hits, *blames])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaigns asked for; 0 when every figure is as required."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("loss", "mutants", "lures"))
    parser.add_argument("--losses", type=int, default=1000)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    python = ensure_environment(load_catalogue([]).environments["media"], WORK, BuildOptions())
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder) / "media"
        originals = make_formats(ffmpeg_of(python.python), media / "formats")
        tools = Tools(python.python, Path(folder), tuple(originals))
        good = True
        for name in ("loss", "mutants", "lures"):
            if options.only in (None, name):
                started = time.monotonic()
                figures = _run(name, tools, media, options)
                figures.print()
                print(f"  {time.monotonic() - started:.0f} s", flush=True)
                good = good and not figures.failures
    return 0 if good else 1


def _run(name: str, tools: Tools, media: Path, options: argparse.Namespace) -> Figures:
    if name == "lures":
        return lure_figures(tools)
    first = options.seed
    if name == "mutants":
        cases = tools.cases(range(first, first + options.mutants), "any")
        return mutant_figures(in_parallel(tools, cases, options.workers))
    cases = tools.cases(range(first, first + options.losses), "loss") + tools.known_losses()
    verdicts = in_parallel(tools, cases, options.workers)
    return loss_figures(verdicts, list(whole_files(tools, media)))


if __name__ == "__main__":
    sys.exit(main())

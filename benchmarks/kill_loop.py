"""kill -9 in a loop: what is done twice, lost, torn, or left running, by us and by GNU parallel.

Both run the same shell script on the same files, two at a time, and are killed at the same random
moments; a second later the same command is given again, until all is done, and then anew. The
script takes three seconds and writes its output piece by piece. Under parallel it writes to another
name and renames, as a careful user would; parallel keeps a job log and resumes from it.

Run: python benchmarks/kill_loop.py [--kills 60] [--seed 1] [--folder DIR]
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import Bench, make_stage
from _process import environment, show

from orchestrator.guardian import guarded

FILES = 8
PIECES = 10
PAUSE_SECONDS = 1.0
"""From a kill to the next start; what runs then of the killed one is an orphan."""

EARLIEST, LATEST = 0.5, 8.0
"""Seconds from a start to its kill. A night that nobody disturbs takes 12 to 14."""

MARK = "KILL_LOOP_FOLDER"

_SCRIPT = """\
# INPUT OUTPUT LEDGER
name=${{1##*/}}
: >"$2"
for piece in $(seq {pieces}); do
    sleep 0.3
    printf '%s of %s\\n' "$piece" "$name" >>"$2"
done
printf '%s\\n' "$name" >>"$3"
"""

_STAGE = """\
import subprocess

from orchestrator.contract.exchange import StageOutcome


def load(settings):
    return None


def run(request, model, report):
    report.progress(0.1, 1.0)
    output = str(request.output("words"))
    subprocess.run(["/bin/sh", {script!r}, request.media, output, {ledger!r}], check=True)
    return StageOutcome(facts={{"language": "en", "audio_seconds": 1.0}})
"""


@dataclass(frozen=True)
class Place:
    """One library, and what belongs to it."""

    root: Path

    @property
    def script(self) -> Path:
        return self.root / "work.sh"

    @property
    def ledger(self) -> Path:
        """A line for each time that the work on a file was done to its end."""
        return self.root / "ledger"

    @property
    def media(self) -> list[Path]:
        return sorted(Bench(self.root).library.rglob("*.mkv"))

    def make(self) -> None:
        Bench(self.root).make(FILES)
        self.script.write_text(_SCRIPT.format(pieces=PIECES))
        self.ledger.touch()
        (self.root / "stage").mkdir()
        stage = _STAGE.format(script=str(self.script), ledger=str(self.ledger))
        (self.root / "stage" / "stage.py").write_text(stage)

    def output_of(self, media: Path) -> Path:
        return media.with_suffix(".en.srt")

    def torn(self) -> set[Path]:
        """Outputs that are there and not what they should be."""
        found = set()
        for media in self.media:
            wanted = "".join(f"{piece} of {media.name}\n" for piece in range(1, PIECES + 1))
            output = self.output_of(media)
            if output.exists() and output.read_text() != wanted:
                found.add(output)
        return found

    def lost(self) -> int:
        return sum(not self.output_of(media).exists() for media in self.media)

    def done_twice(self) -> int:
        """How often the work on a file was done to its end after it had been."""
        counts = collections.Counter(self.ledger.read_text().splitlines())
        return sum(count - 1 for count in counts.values())

    def alive(self) -> set[int]:
        """Living processes of any run here."""
        mark = f"{MARK}={self.root}".encode()
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if mark in variables and state != b"Z":
                found.add(int(pid))
        return found


@dataclass
class Tally:
    kills: int = 0
    passes: int = 0
    twice: int = 0
    lost: int = 0
    torn: int = 0
    orphans: int = 0


def ours(place: Place) -> list[str]:
    return [sys.executable, __file__, "--measure", str(place.root)]


def parallel(place: Place) -> list[str]:
    """With its job log, and with an output that has its name only when it is whole."""
    work = f"sh {place.script} {{}} {{.}}.tmp {place.ledger} && mv {{.}}.tmp {{.}}.en.srt"
    options = ["-j2", "--will-cite", "--joblog", str(place.root / "joblog"), "--resume"]
    return ["parallel", *options, work, ":::", *map(str, place.media)]


def measure(root: str) -> None:
    """What is to be killed: a batch with all that the command puts around it."""
    bench = Bench(Path(root))
    run_id = f"kill-{os.getpid()}"
    with guarded(run_id):
        bench.run(bench.plan(make_stage(bench.root / "stage"), run_id=run_id, resident=True))


def kill_again_and_again(
    command: Callable[[Place], Sequence[str]], folder: Path, kills: int, seed: int
) -> Tally:
    """The last pass is brought to its end undisturbed."""
    dice, tally = random.Random(seed), Tally()
    while tally.kills < kills:
        place = Place(folder / f"{command.__name__}-{tally.passes}")
        place.make()
        torn: set[Path] = set()
        orphans: set[int] = set()
        ended = False
        while not ended:
            enough = tally.kills >= kills
            ended = _run(command(place), place, None if enough else dice.uniform(EARLIEST, LATEST))
            if not ended:
                tally.kills += 1
                orphans |= place.alive()
            torn |= place.torn()
        while place.alive():
            time.sleep(0.05)
        tally.passes += 1
        tally.torn += len(torn)
        tally.orphans += len(orphans)
        tally.twice += place.done_twice()
        tally.lost += place.lost()
        shutil.rmtree(place.root)
    return tally


def _run(argv: Sequence[str], place: Place, seconds: float | None) -> bool:
    """Whether it came to its end before it was killed."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment(**{MARK: str(place.root)}),
    )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(PAUSE_SECONDS)
        return False
    if status != 0:
        raise SystemExit(f"{argv[0]} ended with status {status}")
    return True


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    contestants = [ours]
    if shutil.which("parallel"):
        contestants.append(parallel)
    else:
        print("GNU parallel is not installed: left out")
    rows = []
    for command in contestants:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found = kill_again_and_again(command, Path(folder), options.kills, options.seed)
        counts = (found.kills, found.passes, found.twice, found.lost, found.torn, found.orphans)
        rows.append((command.__name__, *counts))
    show(
        f"kill -9 of the one that was started, {FILES} files of three seconds, two at a time",
        ["", "kills", "nights", "done twice", "lost", "torn", f"alive after {PAUSE_SECONDS:g} s"],
        rows,
    )


if __name__ == "__main__":
    main()

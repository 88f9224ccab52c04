"""Several coordinators at once: on one work folder, on one library, on one output folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.contract.locks import read_holder
from tests.end_to_end.conftest import ROOT, Batch, Outcome

GREETINGS = ("good morning", "good evening")

_MAKES_IDS = """
import sys
from pathlib import Path
from batch.session import new_run_id
from orchestrator.contract.atomic import temporary_name
from orchestrator.contract.job import Publication, Source
from orchestrator.contract.paths import WorkFolder
from orchestrator.prepare import JobMaker, Recipe

recipe = Recipe("w", (), (), "small", 1, "cpu", None, "", (), {}, {})
maker = JobMaker(WorkFolder(Path(sys.argv[1])), "user")
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    job = maker.make(recipe, Source(f"/{number}", 1, 1, "f"), Publication("/", "x", ()))[1]
    print("job", job.id)
    print("run", new_run_id())
    print("name", temporary_name("a.srt"))
"""


@dataclass
class Crowd:
    """``tried``: how many attempts at the same thing; ``wrong``: where there were two of it."""

    tried: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Crowd) -> None:
        self.tried += other.tried
        self.wrong += other.wrong


def second_coordinators(batch: Batch, count: int) -> Crowd:
    """While one is at work others are turned away, and told by whom; killed, it is in nobody's way.

    The lock then still names it, and once more under the number of a process that lives.
    """
    tally = Crowd()
    batch.fault("waits")
    first = batch.start("--json")
    batch.wait_for_waiting(1)
    holder = read_holder(batch.work.lock)
    seconds = [batch.start("--json") for _ in range(count)]
    for second in seconds:
        ended = second.end()
        tally.tried += 1
        told = f"process {first.process.pid} on {holder.get('host')}"
        if ended.code != 10 or told not in ended.err:
            tally.wrong.append(f"the second ended with {ended.code} and said {ended.err!r}")
        if ended.of("run_started"):
            tally.wrong.append("the second has begun")
    first.process.kill()
    first.process.wait()
    batch.gate.touch()
    stale = json.dumps({**holder, "pid": os.getpid()})
    batch.work.lock.write_bytes(b"\0" + stale.encode())
    ended = batch.json()
    if ended.code != 0 or set(ended.finished.values()) != {"done"}:
        tally.wrong.append(f"the lock was not taken over: {ended.code} {ended.err!r}")
    return tally


def side_by_side(folder: Path, environments: list[Path], files: int, *, output: bool) -> Crowd:
    """Two coordinators with work folders of their own race for each name; both know who was first.

    With ``output`` they have libraries of their own and share an output folder instead.
    """
    tally = Crowd()
    batches: list[Batch] = []
    for number, greeting in enumerate(GREETINGS):
        own = folder / str(number)
        own.mkdir(parents=True)
        batch = Batch(own, environments)
        batch.settings["stages"]["relay"] = {"greeting": greeting}
        batch.configure(max_workers=2)
        if batches and not output:
            batch.library = batches[0].library
        else:
            batch.add(*(f"{name:02}.wav" for name in range(files)))
        if output:
            batch.configure(output_dir=str(folder / "output"))
        batches.append(batch)
    target = folder / "output" if output else batches[0].library
    before = {path: path.read_bytes() for path in batches[0].library.glob("*.wav")}

    running = [batch.start("--json") for batch in batches]
    ended = [one.end() for one in running]
    for outcome in ended:
        if outcome.code not in (0, 5):
            tally.wrong.append(f"one ended with {outcome.code}: {outcome.err[-300:]}")
    claims = [_claims(outcome) for outcome in ended]
    for name in range(files):
        path = target / f"{name:02}.en.vtt"
        tally.tried += 1
        claimed = [
            greeting for greeting, own in zip(GREETINGS, claims, strict=True) if str(path) in own
        ]
        content = path.read_text() if path.exists() else ""
        if len(claimed) != 1 or not content.startswith(claimed[0]):
            tally.wrong.append(f"{path.name} is claimed by {claimed} and begins {content[:20]!r}")
    if {path: path.read_bytes() for path in batches[0].library.glob("*.wav")} != before:
        tally.wrong.append("a film was changed")
    left = [one.name for one in target.iterdir() if one.name.startswith(".batch-subtitles-")]
    return Crowd(tally.tried, tally.wrong + [f"left behind: {name}" for name in left])


def _claims(outcome: Outcome) -> set[str]:
    """What a coordinator says it has published."""
    return {one["path"] for event in outcome.of("file_finished") for one in event["published"]}


def ids(folder: Path, processes: int, each: int) -> Crowd:
    """Processes that make ids of jobs and runs and names of temporary files, all at once."""
    argv = [sys.executable, "-c", _MAKES_IDS, str(folder / "work"), str(each)]
    makers = [
        subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(processes)
    ]
    for maker in makers:
        assert maker.stdout is not None
        maker.stdout.readline()
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    made = Counter(line for maker in makers for line in maker.communicate()[0].splitlines())
    tally = Crowd(sum(made.values()), [f"made twice: {one}" for one, n in made.items() if n > 1])
    if tally.tried != 3 * processes * each:
        tally.wrong.append(f"only {tally.tried} were made")
    return tally

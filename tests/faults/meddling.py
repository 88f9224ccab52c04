"""A person at work in the library while the coordinator is, at moments held open by a gate.

One file is in the midst of its stage, the others wait for their turn: they were found, and their
turn comes after the person has been there.
"""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.conftest import Batch, tree
from tests.faults.acts import ACTS, Act, at, takes_away
from tests.faults.races import Races

FILMS = ("a.wav", "b.wav", "c.wav")
IN_WORK = ("a.en.srt",)
WAITING = ("b.en.srt", "b.en.vtt", "c.en.vtt", "c.srt")


NIGHTS = 4 * len(ACTS)


def meddle_again(batch: Batch, number: int) -> Races:
    """One of the ``NIGHTS`` that differ."""
    rest, turn = divmod(number % NIGHTS, len(ACTS))
    return meddle(batch, ACTS[turn], older=bool(rest % 2), language=bool(rest // 2))


def meddle(batch: Batch, act: Act, *, older: bool, language: bool) -> Races:
    """``act`` at five places of a new library. ``older``: our own files are there and are to be
    replaced. ``language``: it is known beforehand, so that names can be looked at at their turn.
    """
    batch.add(*FILMS)
    batch.configure(max_workers=1, **({"language": "en"} if language else {}))
    if older:
        batch.run()
        batch.settings["stages"]["relay"] = {"greeting": "good evening"}
    batch.fault("waits")
    (batch.library / "notes.txt").write_bytes(b"notes of a person")
    sources = {path: was for path, was in tree(batch.library).items() if path.endswith(".wav")}
    running = batch.start("--json")
    batch.wait_for_waiting(1)
    theirs = {}
    for name in (*IN_WORK, *WAITING):
        target = batch.library / name
        act(target)
        theirs[target] = at(target)
    batch.gate.touch()
    ended = running.end()
    tally = Races(len(theirs))
    tally.wrong += _wrong(theirs, act, "that night")
    if ended.code not in (0, 5):
        tally.wrong.append(f"the night ended with {ended.code}: {ended.err[-300:]}")
    if batch.json().code not in (0, 5):
        tally.wrong.append("the next night failed")
    tally.wrong += _wrong(theirs, act, "the next night")
    now = tree(batch.library)
    tally.wrong += [f"changed: {path}" for path, was in sources.items() if now.get(path) != was]
    left = [path.name for path in batch.library.iterdir() if path.name.startswith(".")]
    tally.wrong += [f"left behind: {name}" for name in left]
    what = f"{act.__name__}, {older=}, {language=}"
    tally.wrong = [f"{what}: {one}" for one in tally.wrong]
    return tally


def _wrong(theirs: dict[Path, dict[str, tuple[int, bytes]]], act: Act, when: str) -> list[str]:
    """What was taken away may be made again; all else stays as it was left."""
    return [
        f"{when} overwrote {target.name}: {at(target)}, not {was}"
        for target, was in theirs.items()
        if at(target) != was and act is not takes_away
    ]

"""What a person, or another program, may do at the place of a subtitle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.conftest import tree

THEIRS = b"1\n00:00:01,000 --> 00:00:02,000\nwritten by a person\n"

Act = Callable[[Path], None]


def saves_anew(target: Path) -> None:
    """As most editors do: a new file, renamed over the old one."""
    aside = target.with_name("editor.tmp")
    aside.write_bytes(THEIRS)
    aside.replace(target)


def saves_in_place(target: Path) -> None:
    target.write_bytes(THEIRS)


def adds_a_line(target: Path) -> None:
    with target.open("ab") as stream:
        stream.write(THEIRS)


def links_to_notes(target: Path) -> None:
    """A symbolic link to a file elsewhere, which nobody may write through."""
    target.unlink(missing_ok=True)
    target.symlink_to("notes.txt")


def links_to_the_film(target: Path) -> None:
    """A second name of the film itself."""
    target.unlink(missing_ok=True)
    target.hardlink_to(target.with_name(f"{target.name[0]}.wav"))


def makes_a_folder(target: Path) -> None:
    target.unlink(missing_ok=True)
    target.mkdir()
    (target / "inside").write_bytes(THEIRS)


def makes_a_pipe(target: Path) -> None:
    target.unlink(missing_ok=True)
    os.mkfifo(target)


def takes_away(target: Path) -> None:
    """Ours may come after that, and nothing of it is anybody's but ours."""
    target.unlink(missing_ok=True)


ACTS: tuple[Act, ...] = (
    saves_anew,
    saves_in_place,
    adds_a_line,
    links_to_notes,
    links_to_the_film,
    makes_a_folder,
    makes_a_pipe,
    takes_away,
)


def at(target: Path) -> dict[str, tuple[int, bytes]]:
    """What is there, and in it; by a link what it points to. Empty where there is nothing."""
    found = tree(target.parent)
    return {path: was for path, was in found.items() if Path(path).is_relative_to(target)}

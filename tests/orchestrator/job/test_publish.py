"""Files on their way into a library: whole or not at all, and never over somebody's own."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.contract import atomic
from orchestrator.contract.atomic import exchange, make_folder, rename_new, temporary_name
from orchestrator.contract.errors import Failure
from orchestrator.job import publish as module
from orchestrator.job.manifest import Intent
from orchestrator.job.publish import (
    Delivery,
    confirm,
    intent_of,
    publish,
    remove_leftovers,
    remove_temporaries,
)

NEW, OLD, THEIRS = b"new subtitles", b"old subtitles", b"a person's subtitles"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ours(owned: bytes | None) -> set[str]:
    return set() if owned is None else {sha256(owned)}


class Killed(BaseException):
    """The process dies here."""


class Library:
    """A folder with a film, a finished ``film.en.srt`` in the store, and the intents recorded."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "library"
        self.folder.mkdir()
        self.target = self.folder / "film.en.srt"
        made = root / "made.srt"
        made.write_bytes(NEW)
        self.delivery = Delivery(made, self.target, len(NEW), sha256(NEW))
        self.intents: list[Intent] = []

    def publish(self, owned: bytes | None = None) -> None:
        intent = intent_of(self.delivery)
        if intent is not None:
            self.intents.append(intent)
            publish(self.delivery, intent, ours(owned), self.intents.append)
        (published,) = confirm([self.delivery])
        assert published.path == str(self.target)
        assert published.sha256 == sha256(NEW)
        status = self.target.stat()
        assert (published.size, published.mtime_ns) == (status.st_size, status.st_mtime_ns)

    def refused(self, owned: bytes | None = None) -> str:
        with pytest.raises(Failure) as caught:
            self.publish(owned)
        assert caught.value.info.hint
        return caught.value.info.code

    def resume(self) -> None:
        remove_leftovers(tuple(self.intents))

    @property
    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exchange", lambda _first, _second: False)


on_each_file_system = pytest.mark.parametrize(
    "simulate", [lambda _patch: None, no_exchange], ids=["native", "no_exchange"]
)
Simulate = Callable[[pytest.MonkeyPatch], None]


def test_the_intent_names_all_that_will_be_in_the_library(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = intent_of(library.delivery)
    assert intent is not None
    assert library.content == {}
    assert (intent.target, intent.sha256) == (str(library.target), sha256(NEW))

    def look(source: Path, target: Path, before_taking: Callable[[], None]) -> None:
        assert library.content == {Path(intent.temporary).name: NEW}
        rename_new(source, target, before_taking)

    monkeypatch.setattr(module, "rename_new", look)
    publish(library.delivery, intent, (), library.intents.append)
    assert (library.content, library.intents) == ({"film.en.srt": NEW}, [])


def test_what_is_there_already_is_adopted(library: Library) -> None:
    library.target.write_bytes(NEW)
    library.publish()
    assert library.intents == []


def test_missing_folders_are_made(library: Library) -> None:
    deep = library.folder / "Season 1" / "Extras" / "film.en.srt"
    library.target = deep
    library.delivery = Delivery(library.delivery.made, deep, len(NEW), sha256(NEW))
    library.publish()
    assert deep.read_bytes() == NEW
    make_folder(deep.parent)


def folder_there(target: Path) -> None:
    target.mkdir()


def fifo_there(target: Path) -> None:
    os.mkfifo(target)


def dangling_link_there(target: Path) -> None:
    target.symlink_to(target.with_name("nowhere"))


def link_to_itself_there(target: Path) -> None:
    target.symlink_to(target.name)


@pytest.mark.parametrize(
    "take", [folder_there, fifo_there, dangling_link_there, link_to_itself_there]
)
@pytest.mark.parametrize("owned", [None, OLD])
def test_a_name_that_anything_has_is_taken(
    library: Library, take: Callable[[Path], None], owned: bytes | None
) -> None:
    take(library.target)
    before = os.lstat(library.target).st_ino
    assert library.refused(owned) == "name_taken"
    assert os.lstat(library.target).st_ino == before
    assert os.listdir(library.folder) == ["film.en.srt"]


@pytest.mark.parametrize("owned", [None, OLD])
def test_a_person_s_file_stays(library: Library, owned: bytes | None) -> None:
    library.target.write_bytes(THEIRS)
    assert library.refused(owned) == "name_taken"
    assert library.content == {"film.en.srt": THEIRS}


@on_each_file_system
def test_our_older_file_is_replaced(
    library: Library, monkeypatch: pytest.MonkeyPatch, simulate: Simulate
) -> None:
    simulate(monkeypatch)
    library.target.write_bytes(OLD)
    library.publish(OLD)
    assert library.content == {"film.en.srt": NEW}


@on_each_file_system
def test_an_edit_in_the_last_moment_is_given_back(
    library: Library, monkeypatch: pytest.MonkeyPatch, simulate: Simulate
) -> None:
    simulate(monkeypatch)
    library.target.write_bytes(OLD)
    hash_or_none = module._hash_or_none

    def edited_after_the_check(path: Path, size: int | None = None) -> str | None:
        found = hash_or_none(path, size)
        if library.intents and path == library.target and found == sha256(OLD):
            path.write_bytes(THEIRS)
        return found

    monkeypatch.setattr(module, "_hash_or_none", edited_after_the_check)
    assert library.refused(OLD) == "name_taken"
    assert library.content == {"film.en.srt": THEIRS}


def test_who_saves_while_ours_is_moved_aside_keeps_the_name(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told as a failing disk."""
    no_exchange(monkeypatch)
    library.target.write_bytes(OLD)
    rename = Path.rename

    def rename_then_save(path: Path, to: Path) -> Path:
        moved = rename(path, to)
        path.write_bytes(THEIRS)
        return moved

    monkeypatch.setattr(Path, "rename", rename_then_save)
    assert library.refused(OLD) == "name_taken"
    assert library.content == {"film.en.srt": THEIRS}


@pytest.mark.parametrize("failing", ["exchange", "_hash_or_none"])
def test_an_edit_in_the_last_moment_outlives_a_failing_disk(
    library: Library, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """After the swap it lay under our temporary name, and was removed with that."""
    library.target.write_bytes(OLD)
    genuine = getattr(module, failing)

    def edited_and_swapped(first: Path, second: Path) -> bool:
        library.target.write_bytes(THEIRS)
        monkeypatch.setattr(module, "exchange", exchange)
        swapped = exchange(first, second)
        monkeypatch.setattr(module, failing, fails_once)
        return swapped

    def fails_once(*_arguments: object) -> None:
        monkeypatch.setattr(module, failing, genuine)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(module, "exchange", edited_and_swapped)
    assert library.refused(OLD) == "storage_error"
    assert library.content == {"film.en.srt": THEIRS}


def make_folder_there(path: Path) -> None:
    path.mkdir()


@on_each_file_system
@pytest.mark.parametrize("put", [make_folder_there, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_at_the_last_moment_is_given_back(
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    simulate: Simulate,
    put: Callable[[Path], None],
) -> None:
    simulate(monkeypatch)
    library.target.write_bytes(OLD)
    hash_or_none = module._hash_or_none

    def replaced_after_the_check(path: Path, size: int | None = None) -> str | None:
        found = hash_or_none(path, size)
        if library.intents and path == library.target and found == sha256(OLD):
            path.unlink()
            put(path)
        return found

    monkeypatch.setattr(module, "_hash_or_none", replaced_after_the_check)
    assert library.refused(OLD) == "name_taken"
    assert [path.name for path in library.folder.iterdir()] == ["film.en.srt"]
    assert not library.target.is_file()


def test_a_pipe_that_comes_between_looking_and_opening_is_not_waited_for(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(library.target)
    monkeypatch.setattr(Path, "is_file", lambda _path: True)
    assert library.refused(OLD) == "name_taken"


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("_copy", errno.ENOSPC, "disk_full"),
        ("_copy", errno.EROFS, "read_only"),
        ("rename_new", errno.EIO, "storage_error"),
        ("fsync_file", errno.ENOTCONN, "storage_error"),
        ("make_folder", errno.EACCES, "permission_denied"),
    ],
)
def test_a_storage_error_leaves_the_library_as_it_was(
    library: Library, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    library.target.write_bytes(OLD)
    monkeypatch.setattr(module, call, fail)
    with pytest.raises(Failure, match=r"film\.en\.srt could not be written") as caught:
        library.publish(OLD)
    assert caught.value.info.code == code
    assert library.content == {"film.en.srt": OLD}


@pytest.mark.parametrize(("before", "times", "left"), [(None, 1, 0), (OLD, 2, 0), (OLD, 9, 1)])
def test_what_could_not_be_removed_is_removed_later(
    library: Library, monkeypatch: pytest.MonkeyPatch, before: bytes | None, times: int, left: int
) -> None:
    """It stayed in the library for good: nobody knew of it any more."""
    if before is None:
        library.target.mkdir()
    else:
        library.target.write_bytes(before)
    unlink, failures = Path.unlink, iter(range(times))

    def fails_at_first(path: Path, missing_ok: bool = False) -> None:
        if next(failures, None) is not None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", fails_at_first)
    if before is None:
        assert library.refused() == "name_taken"
    else:
        library.publish(before)
    assert len({one.temporary for one in remove_temporaries(library.intents)}) == left
    assert len(list(library.folder.iterdir())) == 1 + left


def test_a_disk_that_lies_about_what_it_wrote_is_found_out(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = module._copy

    def lies(made: Path, temporary: Path, between: Callable[[], None]) -> str:
        told = copy(made, temporary, between)
        temporary.write_bytes(b"zeros")
        return told

    monkeypatch.setattr(module, "_copy", lies)
    assert library.refused() == "storage_error"
    assert library.content == {}


def test_a_store_that_lost_bits_is_found_out(library: Library) -> None:
    library.delivery.made.write_bytes(b"nev subtitles")
    assert library.refused() == "artefact_damaged"
    assert library.content == {}


def test_a_film_that_does_not_fit_is_not_begun(library: Library) -> None:
    huge = 1 << 60
    library.delivery = Delivery(library.delivery.made, library.target, huge, sha256(NEW))
    assert library.refused() == "disk_full"
    assert library.content == {}


def test_a_publication_can_be_stopped_in_the_middle(library: Library) -> None:
    def stop() -> None:
        raise Killed

    intent = intent_of(library.delivery)
    assert intent is not None
    with pytest.raises(Killed):
        publish(library.delivery, intent, (), library.intents.append, stop)
    assert library.content == {}


def killed_at(monkeypatch: pytest.MonkeyPatch, call: str, *, after: bool) -> None:
    """Die before (or right after) the first such call; nothing that follows has an effect."""
    real = getattr(module, call)

    def die(*arguments: object) -> None:
        if after:
            real(*arguments)
        monkeypatch.setattr(Path, "unlink", lambda *_a, **_k: None)  # the dead clean nothing up
        raise Killed

    monkeypatch.setattr(module, call, die)


@on_each_file_system
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["_copy", "rename_new", "exchange", "fsync_folder"])
@pytest.mark.parametrize("before", [None, OLD])
def test_a_killed_publication_is_repeated_without_a_trace(
    library: Library, call: str, after: bool, before: bytes | None, simulate: Simulate
) -> None:
    if before is not None:
        library.target.write_bytes(before)
    with pytest.MonkeyPatch.context() as patch:
        simulate(patch)
        killed_at(patch, call, after=after)
        try:
            library.publish(before)
        except Killed:
            pass
    library.resume()
    assert library.content.get("film.en.srt") in (None, before, NEW)
    library.publish(before)
    assert library.content == {"film.en.srt": NEW}


def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """No links, no rename that replaces nothing, no exchange, as FAT and rclone."""
    no_exchange(monkeypatch)
    monkeypatch.setattr(atomic, "_native_rename", lambda *_a, **_k: False)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))


def failing(number: int) -> Callable[..., None]:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def die_at_once(*_arguments: object, **_options: object) -> None:
    raise Killed


def killed_with_the_name_taken(library: Library) -> None:
    with pytest.MonkeyPatch.context() as patch:
        no_links(patch)
        patch.setattr(Path, "replace", die_at_once)
        patch.setattr(Path, "unlink", lambda *_a, **_k: None)
        with pytest.raises(Killed):
            library.publish()
    assert library.content["film.en.srt"] == b""


def test_a_name_that_a_killed_run_had_taken_is_free_again(library: Library) -> None:
    """Where a disk has no links and no rename that replaces nothing, the name is taken first."""
    killed_with_the_name_taken(library)
    library.resume()
    assert library.content == {}
    library.publish()
    assert library.content == {"film.en.srt": NEW}


def test_what_somebody_wrote_under_the_name_that_a_killed_run_had_taken_stays(
    library: Library,
) -> None:
    killed_with_the_name_taken(library)
    library.target.write_bytes(THEIRS)
    library.resume()
    assert library.content == {"film.en.srt": THEIRS}


def test_a_person_s_empty_file_is_not_taken_for_a_name_that_we_had_taken(library: Library) -> None:
    """After a kill anywhere it was removed, though no disk but a few lets us take a name so."""
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, "rename_new", after=False)
        with pytest.raises(Killed):
            library.publish()
    library.target.touch()
    library.resume()
    assert library.content == {"film.en.srt": b""}
    assert library.refused() == "name_taken"


def test_an_edit_that_was_moved_aside_gets_its_name_back_where_that_had_to_be_taken(
    library: Library,
) -> None:
    """Killed while it was given back: an empty file had its name, and it stayed hidden."""
    aside = library.folder / temporary_name("film.en.srt")
    aside.write_bytes(THEIRS)
    library.target.touch()
    library.intents.append(
        Intent(str(library.target), sha256(OLD), str(aside), displaces=True, takes_name=True)
    )
    with pytest.MonkeyPatch.context() as patch:
        no_links(patch)
        library.resume()
    assert library.content == {"film.en.srt": THEIRS}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EILSEQ, errno.ENOENT])
def test_a_name_that_the_disk_does_not_allow(
    library: Library, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The driver of exFAT says ENOENT, which read as a failing disk that is tried for ever."""
    monkeypatch.setattr(module, "rename_new", failing(number))
    with pytest.raises(Failure) as caught:
        library.publish()
    assert caught.value.info.code == "name_not_allowed"
    assert "film.en.srt" in caught.value.info.message


def test_a_name_that_cannot_even_be_looked_up(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NTFS and exFAT hold no name that is not Unicode."""
    monkeypatch.setattr(Path, "is_file", failing(errno.EILSEQ))
    assert library.refused() == "name_not_allowed"


def test_a_file_that_vanished_on_its_way_is_no_fault_of_its_name(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(temporary: Path, *_arguments: object) -> None:
        temporary.unlink()
        failing(errno.ENOENT)()

    monkeypatch.setattr(module, "rename_new", vanish)
    assert library.refused() == "storage_error"


@pytest.mark.parametrize("moment", ["exchanged", "moved aside"])
def test_a_person_s_edit_outlives_a_kill_in_the_worst_moment(library: Library, moment: str) -> None:
    """Edited after the check, displaced by us, and then we died."""
    with pytest.MonkeyPatch.context() as patch:
        if moment == "moved aside":
            no_exchange(patch)
        library.target.write_bytes(OLD)

        def die(path: Path) -> str:
            if path.read_bytes() == THEIRS:
                patch.setattr(Path, "unlink", lambda *_a, **_k: None)
                raise Killed
            return sha256(path.read_bytes())

        def edit(intent: Intent) -> None:
            library.intents.append(intent)
            library.target.write_bytes(THEIRS)

        intent = intent_of(library.delivery)
        assert intent is not None
        library.intents.append(intent)
        patch.setattr(module, "sha256_file", die)
        with pytest.raises(Killed):
            publish(library.delivery, intent, ours(OLD), edit)
    library.resume()
    assert library.content == {"film.en.srt": THEIRS}
    assert library.refused(OLD) == "name_taken"


def second_rename(monkeypatch: pytest.MonkeyPatch, act: Callable[..., None]) -> None:
    """Where there is no swap, ours comes to the target in the second one: ``act`` has its place.

    The first finds that the name is taken.
    """
    no_exchange(monkeypatch)

    def first(*_arguments: object) -> None:
        monkeypatch.setattr(module, "rename_new", act)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(module, "rename_new", first)


def killed_in_the_second_rename(library: Library, *, after: bool) -> None:
    """Our older file is moved aside, and ours has its name or (not ``after``) is to get it."""
    library.target.write_bytes(OLD)
    with pytest.MonkeyPatch.context() as patch:

        def die(source: Path, target: Path) -> None:
            if after:
                rename_new(source, target)
            patch.setattr(module, "remove_temporaries", lambda _intents: ())
            raise Killed

        second_rename(patch, die)
        with pytest.raises(Killed):
            library.publish(OLD)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_our_older_file_is_back_where_ours_cannot_take_its_name(
    library: Library, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """On Windows whoever reads a file keeps it from being renamed."""

    def fail_once(*_arguments: object) -> None:
        monkeypatch.setattr(module, "rename_new", rename_new)
        raise OSError(number, os.strerror(number))

    library.target.write_bytes(OLD)
    second_rename(monkeypatch, fail_once)
    with pytest.raises(Failure, match="could not be written"):
        library.publish(OLD)
    assert library.content == {"film.en.srt": OLD}


def test_our_older_file_that_could_not_be_put_back_at_once_is_put_back_later(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.target.write_bytes(OLD)
    with pytest.MonkeyPatch.context() as patch:
        second_rename(patch, failing(errno.EIO))
        assert library.refused(OLD) == "storage_error"
    assert sorted(library.content.values()) == [NEW, OLD]
    library.resume()
    assert library.content == {"film.en.srt": OLD}


def test_our_older_file_that_a_killed_run_had_moved_aside_is_put_back(library: Library) -> None:
    """It was removed as a leftover: until the job had come so far again there was no subtitle."""
    killed_in_the_second_rename(library, after=False)
    assert "film.en.srt" not in library.content
    library.resume()
    assert library.content == {"film.en.srt": OLD}


@pytest.mark.parametrize("swapped", [False, True])
def test_what_a_person_removed_after_a_kill_does_not_come_back(
    library: Library, swapped: bool
) -> None:
    """Ours had taken the place of our older file, which still lay there under a hidden name."""
    if swapped:
        library.target.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, "exchange", after=True)
            with pytest.raises(Killed):
                library.publish(OLD)
    else:
        killed_in_the_second_rename(library, after=True)
    assert sorted(library.content.values()) == [NEW, OLD]
    library.target.unlink()
    library.resume()
    assert library.content == {}


def edited_and_killed(library: Library) -> str:
    """The edit of a person lies under the hidden name that is returned, ours at the target."""
    hidden = library.folder / temporary_name("film.en.srt")
    hidden.write_bytes(THEIRS)
    library.target.write_bytes(NEW)
    library.intents += [
        Intent(str(library.target), sha256(NEW), str(hidden)),
        Intent(str(library.target), sha256(OLD), str(hidden), displaces=True),
    ]
    return hidden.name


def test_what_a_person_saved_after_a_kill_is_not_replaced_by_their_earlier_edit(
    library: Library,
) -> None:
    """The earlier one took its place, and the newer one was removed."""
    hidden = edited_and_killed(library)
    library.target.write_bytes(b"saved again")
    library.resume()
    assert library.content == {"film.en.srt": b"saved again", hidden: THEIRS}
    assert {one.temporary for one in remove_temporaries(library.intents)} == {
        str(library.folder / hidden)
    }


def test_what_a_person_saves_while_their_earlier_edit_is_put_back_stays(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = edited_and_killed(library)

    def saved_just_before(first: Path, second: Path) -> bool:
        monkeypatch.setattr(module, "exchange", exchange)
        library.target.write_bytes(b"saved again")
        return exchange(first, second)

    monkeypatch.setattr(module, "exchange", saved_just_before)
    library.resume()
    assert library.content == {"film.en.srt": b"saved again", hidden: THEIRS}


def test_leftovers_in_a_library_that_is_gone_are_no_error(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / ".batch-subtitles-1.srt.tmp"
    target = str(tmp_path / "gone" / "film.srt")
    remove_leftovers((Intent(target, "0" * 64, str(gone), displaces=True),))
    remove_leftovers((Intent(target, "0" * 64, str(gone)),))

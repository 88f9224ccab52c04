from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from batch.decide import (
    Decision,
    Deferred,
    Failed,
    NeedsProbe,
    Policy,
    Reason,
    Skip,
    Work,
    decide,
)
from batch.file_record import DONE, FAILED, INTERRUPTED, FileRecord
from batch.folder_view import FolderView, target_folder
from batch.listing import DirectoryListing, MediaFile
from batch.ownership import DiskLibrary, Ownership
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import SPEECH, JobOutput, Published
from orchestrator.contract.media import AudioTrack, ProbeResult, SubtitleTrack

NOW_NS = 1_700_000_000 * 10**9
OLD_NS = NOW_NS - 3600 * 10**9
FILM = MediaFile("Film.mkv", "/lib", 1000, OLD_NS)
PRINT = "f" * 32
PROBE = ProbeResult(PRINT, 60.0, "matroska", (AudioTrack(1, "aac", "en"),))
SRT = JobOutput("srt", "subtitles.srt", publish="srt")
PT = replace(SRT, language="pt")
VTT = replace(SRT, publish="vtt")
MUXED = JobOutput("muxed", "muxed.mkv", large=True, publish="mkv", suffix="subtitled")
POLICY = Policy("key-1", (SRT,), ("en",), settle_seconds=5.0)
AUTO = replace(POLICY, languages=())


@dataclass
class FakeLibrary:
    """Knows which paths exist and whose they are; what it is not told about is ours."""

    taken: set[str] = field(default_factory=set)
    states: dict[str, Ownership] = field(default_factory=dict)
    read_only: bool = False

    def exists(self, path: str) -> bool:
        return path in self.taken

    def ownership(self, published: Published) -> Ownership:
        return self.states.get(published.path, Ownership.OURS)

    def writable(self, folder: str) -> bool:
        return not self.read_only


def record(
    status: str = DONE,
    *,
    key: str = "key-1",
    outputs: tuple[str, ...] = ("Film.en.srt",),
    former: tuple[str, ...] = (),
    fingerprint: str = PRINT,
    error: ErrorInfo | None = None,
) -> FileRecord:
    def rows(paths: tuple[str, ...]) -> str:
        return json.dumps([[path, 10, OLD_NS, f"hash of {path}"] for path in paths])

    return FileRecord(
        FILM.size,
        FILM.mtime_ns,
        fingerprint,
        status,
        key,
        b"",
        rows(outputs),
        rows(former),
        None if error is None else json.dumps(error.to_json()),
    )


def view(
    *names: str,
    known: FileRecord | None = None,
    library: FakeLibrary | None = None,
    media: tuple[MediaFile, ...] = (FILM,),
    target: str | None = None,
) -> FolderView:
    listing = DirectoryListing("/lib", list(media), {*names, *(item.name for item in media)}, [])
    records = {} if known is None else {FILM.name: known}
    return FolderView(listing, records, library or FakeLibrary(), target)


def reason(decision: Decision) -> Reason:
    assert isinstance(decision, Skip | Work | Deferred), decision
    return decision.reason


def test_a_new_file_is_probed_and_then_worked_on() -> None:
    assert decide(FILM, view(), POLICY, NOW_NS) == NeedsProbe()
    assert decide(FILM, view(), POLICY, NOW_NS, PROBE) == Work(Reason.NEW, "en", {})


def test_a_finished_file_is_skipped_without_a_probe() -> None:
    folder = view("Film.en.srt", known=record())
    assert reason(decide(FILM, folder, POLICY, NOW_NS)) is Reason.ALREADY_DONE


def test_a_finished_file_without_outputs_is_finished() -> None:
    folder = view(known=record(outputs=()))
    assert reason(decide(FILM, folder, POLICY, NOW_NS)) is Reason.ALREADY_DONE


def test_the_same_content_with_a_new_time_stamp_is_finished() -> None:
    touched = FILM._replace(mtime_ns=OLD_NS + 7)
    folder = view("Film.en.srt", known=record())
    assert decide(touched, folder, POLICY, NOW_NS) == NeedsProbe()
    decision = decide(touched, folder, POLICY, NOW_NS, PROBE)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.ALREADY_DONE
    assert decision.restamp


def test_new_content_is_worked_on_and_our_old_subtitle_may_be_replaced() -> None:
    changed = FILM._replace(size=2000)
    folder = view("Film.en.srt", known=record())
    decision = decide(changed, folder, POLICY, NOW_NS, replace(PROBE, fingerprint="other"))
    assert decision == Work(Reason.CHANGED, "en", {"Film.en.srt": "hash of Film.en.srt"})


def test_new_settings_replace_our_own_subtitle() -> None:
    folder = view("Film.en.srt", known=record(key="older"))
    decision = decide(FILM, folder, POLICY, NOW_NS, PROBE)
    assert decision == Work(Reason.SETTINGS_CHANGED, "en", {"Film.en.srt": "hash of Film.en.srt"})


def test_what_we_made_under_still_older_settings_is_ours_too() -> None:
    folder = view("Film.en.srt", known=record(outputs=("Film.en.vtt",), former=("Film.en.srt",)))
    decision = decide(FILM, folder, POLICY, NOW_NS, PROBE)
    assert isinstance(decision, Work)
    assert set(decision.owned) == {"Film.en.srt", "Film.en.vtt"}


def test_a_subtitle_that_a_person_edited_is_theirs() -> None:
    library = FakeLibrary(states={"/lib/Film.en.srt": Ownership.EDITED})
    folder = view("Film.en.srt", known=record(key="older"), library=library)
    assert reason(decide(FILM, folder, POLICY, NOW_NS)) is Reason.SUBTITLE_EXISTS


def test_deleted_outputs_are_made_again() -> None:
    library = FakeLibrary(states={"/lib/Film.en.srt": Ownership.MISSING})
    folder = view(known=record(), library=library)
    assert decide(FILM, folder, POLICY, NOW_NS, PROBE) == Work(Reason.OUTPUTS_MISSING, "en", {})


def test_no_resume_works_again_on_what_is_ours_only() -> None:
    policy = replace(POLICY, resume=False)
    folder = view("Film.en.srt", known=record())
    decision = decide(FILM, folder, policy, NOW_NS, PROBE)
    assert decision == Work(Reason.NOT_RESUMED, "en", {"Film.en.srt": "hash of Film.en.srt"})
    foreign = view("Film.en.srt")
    assert reason(decide(FILM, foreign, policy, NOW_NS)) is Reason.SUBTITLE_EXISTS


def test_an_interrupted_file_goes_on() -> None:
    folder = view(known=record(INTERRUPTED, outputs=()))
    assert reason(decide(FILM, folder, POLICY, NOW_NS, PROBE)) is Reason.INTERRUPTED


HOPELESS = ErrorInfo("not_media", "Film.mkv is text", "remove it", ErrorClass.INPUT)
PASSING = replace(HOPELESS, code="disk_full", retryable=True)


def test_a_hopeless_failure_is_not_repeated_unless_asked() -> None:
    folder = view(known=record(FAILED, outputs=(), error=HOPELESS))
    decision = decide(FILM, folder, POLICY, NOW_NS)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.FAILED_BEFORE
    assert decision.detail == (
        "left alone until the file or the settings change; --retry-failed tries again"
    )
    retry = replace(POLICY, retry_failed=True)
    assert reason(decide(FILM, folder, retry, NOW_NS, PROBE)) is Reason.RETRY


def test_another_version_of_the_program_tries_it_again() -> None:
    known = record(FAILED, outputs=(), error=HOPELESS)._replace(version="1.2")
    folder = view(known=known)
    assert reason(decide(FILM, folder, replace(POLICY, version="1.3"), NOW_NS, PROBE)) is (
        Reason.RETRY
    )
    same = replace(POLICY, version="1.2")
    assert reason(decide(FILM, folder, same, NOW_NS, PROBE)) is Reason.FAILED_BEFORE


def test_a_file_whose_failure_is_unclear_waits_for_its_time() -> None:
    crashed = ErrorInfo("stage_crashed", "it crashed", retryable=True)
    later = NOW_NS / 1e9 + 60
    known = record(FAILED, outputs=(), error=crashed)._replace(failures=2, retry_after=later)
    decision = decide(FILM, view(known=known), POLICY, NOW_NS)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.RETRY_LATER
    assert decision.detail.startswith("next try not before 2023-11-14 22:14 UTC")
    after = decide(FILM, view(known=known), POLICY, NOW_NS + 61 * 10**9, PROBE)
    assert reason(after) is Reason.RETRY
    changed = FILM._replace(mtime_ns=OLD_NS + 1)
    new = replace(PROBE, fingerprint="other")
    assert reason(decide(changed, view(known=known), POLICY, NOW_NS, new)) is Reason.CHANGED


def test_a_broken_installation_is_not_the_files_fault() -> None:
    broken = ErrorInfo("environment_broken", "no av", "build", ErrorClass.ENVIRONMENT)
    folder = view(known=record(FAILED, outputs=(), error=broken))
    assert reason(decide(FILM, folder, POLICY, NOW_NS, PROBE)) is Reason.RETRY


def test_a_failure_that_may_pass_is_tried_again() -> None:
    folder = view(known=record(FAILED, outputs=(), error=PASSING))
    assert reason(decide(FILM, folder, POLICY, NOW_NS, PROBE)) is Reason.RETRY


def test_a_failure_without_a_recorded_error_is_tried_again() -> None:
    folder = view(known=record(FAILED, outputs=()))
    assert reason(decide(FILM, folder, POLICY, NOW_NS, PROBE)) is Reason.RETRY


def test_a_file_with_a_problem_fails_with_its_error() -> None:
    empty = FILM._replace(problem="empty_file")
    decision = decide(empty, view(media=(empty,)), POLICY, NOW_NS)
    assert isinstance(decision, Failed)
    assert decision.error.code == "empty_file"


@pytest.mark.parametrize(
    "names", [("Film.en.srt",), ("Film.eng.sdh.vtt",), ("Film.srt",), ("Film.en.ass",)]
)
def test_a_subtitle_beside_it_is_enough(names: tuple[str, ...]) -> None:
    decision = decide(FILM, view(*names), POLICY, NOW_NS)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.SUBTITLE_EXISTS
    assert names[0] in decision.detail
    assert "--language" not in decision.detail


@pytest.mark.parametrize(
    "names", [("Film.de.srt",), ("Film.en.forced.srt",), ("Film2.en.srt",), ("Film.en.sup",)]
)
def test_other_subtitles_are_not_enough(names: tuple[str, ...]) -> None:
    assert decide(FILM, view(*names), POLICY, NOW_NS) == NeedsProbe()


def test_a_text_track_inside_is_enough() -> None:
    probe = replace(PROBE, subtitles=(SubtitleTrack(2, "subrip", "en"),))
    assert reason(decide(FILM, view(), POLICY, NOW_NS, probe)) is Reason.SUBTITLE_EXISTS
    forced = replace(PROBE, subtitles=(SubtitleTrack(2, "subrip", "en", forced=True),))
    assert reason(decide(FILM, view(), POLICY, NOW_NS, forced)) is Reason.NEW


def test_subtitles_do_not_stand_in_for_a_transcript() -> None:
    policy = replace(POLICY, outputs=tuple(replace(SRT, publish=one) for one in ("txt", "json")))
    assert reason(decide(FILM, view("Film.en.srt"), policy, NOW_NS, PROBE)) is Reason.NEW


def test_the_language_of_the_audio_track_decides_when_none_is_set() -> None:
    folder = view("Film.de.srt")
    assert decide(FILM, folder, AUTO, NOW_NS) == NeedsProbe()
    assert decide(FILM, folder, AUTO, NOW_NS, PROBE) == Work(Reason.NEW, "en", {})
    german = replace(PROBE, audio=(AudioTrack(1, "aac", "de"),))
    assert reason(decide(FILM, folder, AUTO, NOW_NS, german)) is Reason.SUBTITLE_EXISTS


def test_any_subtitle_counts_when_no_language_is_known() -> None:
    untagged = replace(PROBE, audio=(AudioTrack(1, "aac"),))
    decision = decide(FILM, view("Film.de.srt"), AUTO, NOW_NS, untagged)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.SUBTITLE_EXISTS
    assert "give --language to decide otherwise" in decision.detail
    assert decide(FILM, view(), AUTO, NOW_NS, untagged) == Work(Reason.NEW, None, {})


def test_of_several_languages_the_tagged_one_is_wanted() -> None:
    policy = replace(POLICY, languages=("de", "en"))
    folder = view("Film.de.srt")
    assert decide(FILM, folder, policy, NOW_NS, PROBE) == Work(Reason.NEW, "en", {})
    other = replace(PROBE, audio=(AudioTrack(1, "aac", "fr"),))
    assert reason(decide(FILM, folder, policy, NOW_NS, other)) is Reason.SUBTITLE_EXISTS


def test_of_two_files_with_one_stem_the_first_wins() -> None:
    other = FILM._replace(name="Film.avi")
    folder = view(media=(other, FILM))
    assert decide(other, folder, POLICY, NOW_NS) == NeedsProbe()
    decision = decide(FILM, folder, POLICY, NOW_NS)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.SAME_NAME
    assert "Film.avi" in decision.detail


TRANSLATED = replace(POLICY, outputs=(SRT, PT), targets=("pt",))
WITH_FILM = replace(TRANSLATED, outputs=(SRT, PT, MUXED))


@pytest.mark.parametrize(
    ("names", "present"),
    [
        ((), ()),
        (("Film.en.srt",), (SPEECH,)),
        (("Film.srt",), (SPEECH,)),
        (("Film.pt.srt",), ("pt",)),
        (("Film.por.vtt",), ("pt",)),
        (("Film.de.srt", "Film.pt.forced.srt"), ()),
    ],
)
def test_a_language_that_is_missing_is_work_and_the_others_stay(
    names: tuple[str, ...], present: tuple[str, ...]
) -> None:
    assert decide(FILM, view(*names), TRANSLATED, NOW_NS) == NeedsProbe()
    decision = decide(FILM, view(*names), TRANSLATED, NOW_NS, PROBE)
    assert decision == Work(Reason.NEW, "en", {}, present)


def test_subtitles_in_every_language_are_enough() -> None:
    decision = decide(FILM, view("Film.pt.srt", "Film.en.srt"), TRANSLATED, NOW_NS)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.SUBTITLE_EXISTS
    assert decision.detail == "Film.en.srt (en), Film.pt.srt (pt)"


def test_a_track_inside_covers_its_language() -> None:
    probe = replace(PROBE, subtitles=(SubtitleTrack(2, "subrip", "pt"),))
    decision = decide(FILM, view(), TRANSLATED, NOW_NS, probe)
    assert decision == Work(Reason.NEW, "en", {}, ("pt",))
    both = replace(PROBE, subtitles=(*probe.subtitles, SubtitleTrack(3, "subrip", "en")))
    assert reason(decide(FILM, view(), TRANSLATED, NOW_NS, both)) is Reason.SUBTITLE_EXISTS


def test_a_translation_says_nothing_about_speech_of_an_unknown_language() -> None:
    policy = replace(TRANSLATED, languages=())
    untagged = replace(PROBE, audio=(AudioTrack(1, "aac"),))
    decision = decide(FILM, view("Film.pt.srt"), policy, NOW_NS, untagged)
    assert decision == Work(Reason.NEW, None, {}, ("pt",))
    two = decide(FILM, view("Film.pt.srt", "Film.de.srt"), policy, NOW_NS, untagged)
    assert isinstance(two, Skip)
    assert "give --language to decide otherwise" in two.detail


def test_our_own_subtitle_does_not_count_as_present() -> None:
    known = record(key="older", outputs=("Film.en.srt",))
    decision = decide(FILM, view("Film.en.srt", known=known), TRANSLATED, NOW_NS, PROBE)
    assert isinstance(decision, Work)
    assert decision.present == ()


def test_a_film_is_made_as_long_as_a_language_is_missing() -> None:
    only_film = replace(WITH_FILM, outputs=(MUXED,))
    for policy in (WITH_FILM, only_film):
        one = decide(FILM, view("Film.en.srt"), policy, NOW_NS, PROBE)
        assert one == Work(Reason.NEW, "en", {}, (SPEECH,))
        both = decide(FILM, view("Film.en.srt", "Film.pt.srt"), policy, NOW_NS)
        assert reason(both) is Reason.SUBTITLE_EXISTS


def test_a_taken_name_matters_only_when_no_other_is_free() -> None:
    one = FakeLibrary(taken={"/lib/Film.en.srt"})
    assert reason(decide(FILM, view(library=one), WITH_FILM, NOW_NS, PROBE)) is Reason.NEW
    every = FakeLibrary(taken={"/lib/Film.en.srt", "/lib/Film.pt.srt", "/lib/Film.subtitled.mkv"})
    decision = decide(FILM, view(library=every), WITH_FILM, NOW_NS)
    assert reason(decision) is Reason.NAME_TAKEN


OURS = MediaFile("Film.subtitled.mkv", "/lib", 10, OLD_NS)


def test_a_film_that_we_published_is_no_new_media() -> None:
    known = record(outputs=("Film.en.srt", OURS.name))
    folder = view(known=known, media=(FILM, OURS))
    assert reason(decide(OURS, folder, POLICY, NOW_NS)) is Reason.OWN_FILM
    replaced = OURS._replace(size=11)
    assert decide(replaced, folder, POLICY, NOW_NS) == NeedsProbe()
    elsewhere = view(known=record(outputs=("/out/" + OURS.name,)), media=(FILM, OURS))
    assert decide(OURS, elsewhere, POLICY, NOW_NS) == NeedsProbe()


def test_a_film_of_ours_is_known_when_the_library_has_moved() -> None:
    probe = replace(PROBE, ours=True)
    assert reason(decide(OURS, view(media=(OURS,)), POLICY, NOW_NS, probe)) is Reason.OWN_FILM


def test_a_broken_file_does_not_take_the_stem() -> None:
    broken = FILM._replace(name="Film.avi", problem="empty_file")
    assert decide(FILM, view(media=(broken, FILM)), POLICY, NOW_NS) == NeedsProbe()


def test_a_growing_file_waits() -> None:
    fresh = FILM._replace(mtime_ns=NOW_NS - 10**9)
    assert reason(decide(fresh, view(media=(fresh,)), POLICY, NOW_NS)) is Reason.STILL_GROWING


def test_a_taken_name_is_not_overwritten() -> None:
    library = FakeLibrary(taken={"/lib/Film.en.srt"})
    decision = decide(FILM, view(library=library), POLICY, NOW_NS)
    assert isinstance(decision, Skip)
    assert decision.reason is Reason.NAME_TAKEN
    assert "Film.en.srt" in decision.detail


def test_a_taken_name_in_the_output_folder() -> None:
    library = FakeLibrary(taken={"/out/Film.en.srt"})
    decision = decide(FILM, view(library=library, target="/out"), POLICY, NOW_NS)
    assert reason(decision) is Reason.NAME_TAKEN


def test_outputs_in_another_folder_are_looked_for_there() -> None:
    known = record(outputs=("/out/Film.en.srt",))
    library = FakeLibrary(taken={"/out/Film.en.srt"})
    folder = view(known=known, library=library, target="/out")
    assert reason(decide(FILM, folder, POLICY, NOW_NS)) is Reason.ALREADY_DONE
    again = decide(FILM, folder, replace(POLICY, resume=False), NOW_NS, PROBE)
    assert isinstance(again, Work)
    assert again.owned == {"Film.en.srt": "hash of /out/Film.en.srt"}


def test_a_name_that_would_be_too_long_fails_before_any_work() -> None:
    long = FILM._replace(name="x" * 250 + ".mkv")
    for policy in (POLICY, AUTO):
        decision = decide(long, view(media=(long,)), policy, NOW_NS)
        assert isinstance(decision, Failed)
        assert decision.error.code == "name_too_long"


def test_what_the_probe_found_wrong_fails_the_file() -> None:
    assert decide(FILM, view(), POLICY, NOW_NS, replace(PROBE, error=HOPELESS)) == Failed(HOPELESS)
    silent = decide(FILM, view(), POLICY, NOW_NS, replace(PROBE, audio=()))
    assert isinstance(silent, Failed)
    assert silent.error.code == "no_audio_track"


@pytest.mark.parametrize(
    ("folder", "output", "target"),
    [
        ("/lib/a", None, "/lib/a"),
        ("/lib", "/out", "/out"),
        ("/lib/a/b", "/out", "/out/a/b"),
    ],
)
def test_outputs_mirror_the_library(folder: str, output: str | None, target: str) -> None:
    assert target_folder(folder, "/lib", output) == target


class TestDiskLibrary:
    @pytest.fixture
    def published(self, tmp_path: Path) -> Published:
        path = tmp_path / "Film.en.srt"
        path.write_text("ours")
        status = path.stat()
        return Published(str(path), status.st_size, status.st_mtime_ns, sha256_file(path))

    def test_what_is_as_we_left_it_is_ours(self, published: Published) -> None:
        assert DiskLibrary().ownership(published) is Ownership.OURS
        assert DiskLibrary().exists(published.path)

    def test_a_copy_with_another_time_is_ours_by_its_hash(self, published: Published) -> None:
        moved = replace(published, mtime_ns=published.mtime_ns - 1)
        assert DiskLibrary().ownership(moved) is Ownership.OURS

    def test_an_edit_of_the_same_length_is_found(self, published: Published) -> None:
        Path(published.path).write_text("hers")
        edited = replace(published, mtime_ns=published.mtime_ns - 1)
        assert DiskLibrary().ownership(edited) is Ownership.EDITED

    def test_another_length_is_an_edit(self, published: Published) -> None:
        Path(published.path).write_text("longer than ours")
        assert DiskLibrary().ownership(published) is Ownership.EDITED

    def test_a_link_in_its_place_is_not_ours(self, published: Published, tmp_path: Path) -> None:
        path = Path(published.path)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        assert DiskLibrary().ownership(published) is Ownership.EDITED

    def test_what_is_gone_is_missing(self, published: Published) -> None:
        Path(published.path).unlink()
        assert DiskLibrary().ownership(published) is Ownership.MISSING
        assert not DiskLibrary().exists(published.path)

    def test_what_cannot_be_looked_at_is_not_touched(self, published: Published) -> None:
        unreachable = replace(published, path="/" + "x" * 300)
        assert DiskLibrary().ownership(unreachable) is Ownership.EDITED

    def test_what_cannot_be_read_is_not_touched(
        self, published: Published, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(path: Path) -> str:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("batch.ownership.sha256_file", fails)
        doubtful = replace(published, mtime_ns=published.mtime_ns - 1)
        assert DiskLibrary().ownership(doubtful) is Ownership.EDITED


def test_a_folder_that_nothing_can_be_written_to_fails_before_the_work() -> None:
    decision = decide(FILM, view(library=FakeLibrary(read_only=True)), POLICY, NOW_NS, PROBE)
    assert isinstance(decision, Failed)
    assert decision.error.code == "output_read_only"
    finished = view("Film.en.srt", known=record(), library=FakeLibrary(read_only=True))
    assert reason(decide(FILM, finished, POLICY, NOW_NS)) is Reason.ALREADY_DONE


def test_a_folder_to_be_made_is_as_writable_as_what_it_is_made_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DiskLibrary().writable(str(tmp_path / "not" / "there"))
    read_only_mount = str(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: path != read_only_mount)
    assert not DiskLibrary().writable(str(tmp_path / "not" / "there"))

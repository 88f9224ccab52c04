"""What to do with one file, and why: pure decisions, each with a reason code.

The order of the questions: is it finished, is it ours, can it be worked on, has it a subtitle in
every language already, is it still being written, are the names free. What costs more is asked
later, and the probe last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batch.coverage import Subtitle, covered, embedded_subtitles, sidecar_subtitles
from batch.discover import is_settled
from batch.file_record import DONE, FAILED, FileRecord
from batch.folder_view import FolderView
from batch.listing import MediaFile
from batch.ownership import Ownership
from batch.retry import Why, hold
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.job import SPEECH, JobOutput, is_present, is_subtitle
from orchestrator.contract.media import ProbeResult, choose_audio
from orchestrator.contract.naming import media_stem, output_name


class Reason(StrEnum):
    """Why a file is skipped, or worked on. ``EXCLUDED`` and below come from discovery."""

    ALREADY_DONE = "already_done"
    FAILED_BEFORE = "failed_before"
    RETRY_LATER = "retry_later"
    SUBTITLE_EXISTS = "subtitle_exists"
    NAME_TAKEN = "name_taken"
    SAME_NAME = "same_name"
    OWN_FILM = "own_film"
    STILL_GROWING = "still_growing"
    EXCLUDED = "excluded"
    PARTIAL = "partial"
    MARKED = "marked"
    NEW = "new"
    CHANGED = "changed"
    SETTINGS_CHANGED = "settings_changed"
    OUTPUTS_MISSING = "outputs_missing"
    INTERRUPTED = "interrupted"
    RETRY = "retry"
    NOT_RESUMED = "not_resumed"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user wants of this run.

    ``languages`` are the possible languages of the speech (ISO 639-1; empty: found out per file),
    ``outputs`` what is to be published of each file, ``targets`` the languages of translations,
    ``version`` that of this program.
    """

    settings_key: str
    outputs: tuple[JobOutput, ...]
    languages: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    settle_seconds: float = 0.0
    resume: bool = True
    retry_failed: bool = False
    version: str = ""

    @property
    def subtitles(self) -> tuple[str, ...]:
        """Languages of the subtitles that each file is to get, ``SPEECH`` for that of the speech.

        A film that is published holds all of them, whether they are published as well or not.
        """
        if any(output.suffix for output in self.outputs):
            return (SPEECH, *self.targets)
        return tuple(
            dict.fromkeys(one.language or SPEECH for one in self.outputs if is_subtitle(one))
        )


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing is to be done. With ``restamp`` only the file's time stamp is to be recorded."""

    reason: Reason
    detail: str = ""
    restamp: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """A job is to be made. ``language`` is that of the speech where it is known beforehand.

    ``owned`` maps names in the target folder to the SHA-256 of the files there that are ours and
    may be replaced. ``present`` are the languages of subtitles that are there and stay.
    """

    reason: Reason
    language: str | None = None
    owned: Mapping[str, str] = field(default_factory=dict)
    present: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedsProbe:
    """The file must be looked into; decide again with the result."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """The file is still being written to: decide again, with a fresh stat, after a while."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The file cannot be worked on."""

    error: ErrorInfo


Decision = Skip | Work | NeedsProbe | Deferred | Failed

_ALREADY_DONE = Skip(Reason.ALREADY_DONE, "finished by an earlier run with these settings")
_SAME_CONTENT = Skip(_ALREADY_DONE.reason, _ALREADY_DONE.detail, restamp=True)
_OWN_FILM = Skip(Reason.OWN_FILM, "this program made it of another file, with subtitles inside")
_NEEDS_PROBE = NeedsProbe()
_UNKNOWN_LANGUAGE = (
    "; the language of the speech is not known beforehand: give --language to decide otherwise"
)


def decide(
    item: MediaFile, view: FolderView, policy: Policy, now_ns: int, probe: ProbeResult | None = None
) -> Decision:
    """Decide about ``item`` of the folder ``view``; ``probe`` once its result is there.

    ``now_ns`` is the wall clock in ns since the epoch.
    """
    record = view.records.get(item.name)
    if record is not None and policy.resume:
        settled = _by_record(item, view, policy, record, probe, now_ns)
        if settled is not None:
            return settled
    if (record is None and view.published_it(item)) or (probe is not None and probe.ours):
        return _OWN_FILM
    error = item.error
    if error is not None:
        return Failed(error)
    stem = media_stem(item.name)
    first = view.first_of_stem[stem]
    if first != item.name:
        return Skip(
            Reason.SAME_NAME,
            f"{first} in the same folder would get a subtitle of the same name: rename one of them",
        )
    owned = _owned(view, record)
    wanted = _wanted(policy, probe)
    present = _present(stem, view, policy, owned, wanted, probe)
    if present and len(present) == len(policy.subtitles):
        return _subtitle_exists(present, wanted)
    if not is_settled(item.mtime_ns, now_ns, policy.settle_seconds):
        return Deferred(Reason.STILL_GROWING, "it was written to a moment ago")
    known = wanted[0] if wanted is not None and len(wanted) == 1 else None
    refused = _refused_target(stem, view, policy, owned, known, present)
    if refused is not None:
        return refused
    if not view.writable:
        return Failed(_read_only(item, view))
    if probe is None:
        return _NEEDS_PROBE
    if probe.error is not None:
        return Failed(probe.error)
    if not probe.audio:
        return Failed(_no_audio(item))
    return Work(_why(item, record, policy, probe), known, owned, tuple(present))


def _by_record(
    item: MediaFile,
    view: FolderView,
    policy: Policy,
    record: FileRecord,
    probe: ProbeResult | None,
    now_ns: int,
) -> Skip | None:
    if record.settings_key != policy.settings_key:
        return None
    same_stamp = record.size == item.size and record.mtime_ns == item.mtime_ns
    if not same_stamp and (
        probe is None or not record.fingerprint or probe.fingerprint != record.fingerprint
    ):
        return None
    if record.status == DONE and view.has_all(record.output_paths):
        return _ALREADY_DONE if same_stamp else _SAME_CONTENT
    if record.status == FAILED and record.version == policy.version and not policy.retry_failed:
        return _left_alone(record, now_ns, restamp=not same_stamp)
    return None


def _left_alone(record: FileRecord, now_ns: int, *, restamp: bool) -> Skip | None:
    error = record.error
    held = None if error is None else hold(error, record.past, now_ns / 1e9)
    if held is None:
        return None
    reason = Reason.FAILED_BEFORE if held.why is Why.QUARANTINED else Reason.RETRY_LATER
    return Skip(reason, f"{held.until}; --retry-failed tries again", restamp)


def _wanted(policy: Policy, probe: ProbeResult | None) -> tuple[str, ...] | None:
    """Languages of which a subtitle covers the file; empty: any. None: the probe must tell."""
    if len(policy.languages) == 1:
        return policy.languages
    if probe is None:
        return None
    track = choose_audio(probe.audio, policy.languages)
    language = None if track is None else track.language
    if language is not None and (not policy.languages or language in policy.languages):
        return (language,)
    return policy.languages


def _present(
    stem: str,
    view: FolderView,
    policy: Policy,
    owned: Mapping[str, str],
    wanted: tuple[str, ...] | None,
    probe: ProbeResult | None,
) -> dict[str, Subtitle]:
    """The languages of the policy in which somebody else's subtitle is there, and which it is."""
    ours = owned if view.beside_media else {}
    names = [name for name in view.sidecars.get(stem, ()) if name not in ours]
    subtitles: list[Subtitle] = sidecar_subtitles(names, stem)
    if probe is not None:
        subtitles += embedded_subtitles(probe)
    return covered(subtitles, policy.subtitles, wanted)


def _subtitle_exists(present: Mapping[str, Subtitle], wanted: tuple[str, ...] | None) -> Skip:
    found = dict.fromkeys(present.values())
    detail = ", ".join(f"{one.label} ({one.language or 'language not stated'})" for one in found)
    unsure = SPEECH in present and wanted is not None and len(wanted) != 1
    return Skip(Reason.SUBTITLE_EXISTS, detail + _UNKNOWN_LANGUAGE if unsure else detail)


def _refused_target(
    stem: str,
    view: FolderView,
    policy: Policy,
    owned: Mapping[str, str],
    language: str | None,
    present: Mapping[str, Subtitle],
) -> Skip | Failed | None:
    """A name that is too long, or none that is free. A job leaves alone what is not ours.

    An unknown language is counted with two letters.
    """
    taken = []
    outputs = [one for one in policy.outputs if not is_present(one, present)]
    for one in outputs:
        try:
            name = output_name(stem, language or "xx", one.publish or "", one.language, one.suffix)
        except Failure as failure:
            return Failed(failure.info)
        known = language or one.language or one.suffix
        if known and name not in owned and view.target_exists(name):
            taken.append(name)
    if not taken or len(taken) < len(outputs):
        return None
    return Skip(Reason.NAME_TAKEN, f"there already, and not ours: {', '.join(taken)}")


def _owned(view: FolderView, record: FileRecord | None) -> dict[str, str]:
    if record is None:
        return {}
    return {
        name: published.sha256
        for name, published in view.published_names(record)
        if view.library.ownership(published) is Ownership.OURS
    }


def _read_only(item: MediaFile, view: FolderView) -> ErrorInfo:
    return ErrorInfo(
        "output_read_only",
        f"{item.path}: nothing can be written to {view.target}",
        "Give this user write access to the folder, or name another place with --output-dir.",
        ErrorClass.STORAGE,
        retryable=True,
    )


def _no_audio(item: MediaFile) -> ErrorInfo:
    return ErrorInfo(
        "no_audio_track",
        f"{item.path} has no audio track",
        "There is no speech to recognise: remove the file from the input or exclude it.",
        ErrorClass.INPUT,
    )


def _why(item: MediaFile, record: FileRecord | None, policy: Policy, probe: ProbeResult) -> Reason:
    if record is None:
        return Reason.NEW
    if not policy.resume:
        return Reason.NOT_RESUMED
    same_stamp = record.size == item.size and record.mtime_ns == item.mtime_ns
    if not same_stamp and probe.fingerprint != record.fingerprint:
        return Reason.CHANGED
    if record.settings_key != policy.settings_key:
        return Reason.SETTINGS_CHANGED
    if record.status == DONE:
        return Reason.OUTPUTS_MISSING
    return Reason.RETRY if record.status == FAILED else Reason.INTERRUPTED

"""What a job that nobody goes on with has left in a library."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orchestrator.contract.paths import JobFolder
from orchestrator.job.leftovers import clear_up
from orchestrator.job.manifest import MANIFEST_VERSION, Intent, Manifest, read_manifest


def test_what_was_given_back_to_a_person_is_not_taken_for_ours(tmp_path: Path) -> None:
    """It was recorded as published before it was given back."""
    target, hidden = tmp_path / "film.en.srt", tmp_path / ".batch-subtitles-1.srt.tmp"
    target.write_text("ours")
    hidden.write_text("edited")
    ours, older = (hashlib.sha256(text).hexdigest() for text in (b"ours", b"ours before"))
    manifest = Manifest(MANIFEST_VERSION, "1")
    manifest.intents = (
        Intent(str(target), ours, str(hidden)),
        Intent(str(target), older, str(hidden), displaces=True),
    )
    job = JobFolder(tmp_path / "job")
    job.root.mkdir()
    manifest.save(job)

    assert clear_up(job)

    assert target.read_text() == "edited"
    cleared = read_manifest(job)
    assert cleared is not None
    assert (cleared.published, cleared.intents) == ((), ())

"""A probe without a media library: what a file holds is what happens."""

import os
from pathlib import Path

from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import StageOutcome
from orchestrator.contract.keys import fingerprint
from orchestrator.contract.media import AudioTrack, ProbeResult


def load(settings):
    return None


def run(request, model, report):
    path = Path(request.media)
    content = path.read_bytes()
    if content.startswith(b"crashes"):
        os._exit(9)
    if content.startswith(b"raises"):
        raise ValueError("the probe has a bug")
    error = ErrorInfo("not_media", "no media", "Delete it.") if b"text" in content else None
    audio = () if content.startswith(b"silent") else (AudioTrack(0, "pcm", "en"),)
    result = ProbeResult(fingerprint(path), 1.0, "fake", audio, error=error)
    return StageOutcome(data={"media": result.to_json()})

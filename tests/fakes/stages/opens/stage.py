"""A probe without a media library: what it does is in the name of the file it is asked about."""

import os
import signal
import sys
import time
from pathlib import Path

from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import StageOutcome
from orchestrator.contract.media import AudioTrack, ProbeResult


def load(settings):
    return os.getpid()


def run(request, model, report):
    name = Path(request.media).name
    if "dies" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hangs" in name:
        Path(request.scratch_dir, "hanging").touch()
        time.sleep(600)
    if "lacks-a-library" in name:
        raise ImportError("libmedia.so.1: cannot open shared object file")
    if "refused" in name:
        raise fail("no_audio_track", f"{name} has no audio", "Skip it.")
    print("a stray line", flush=True)
    found = ProbeResult(name, 1.5, str(model), (AudioTrack(0, "aac", "en"),))
    return StageOutcome(data={"media": found.to_json(), "path": sys.path})

"""A stage that changes its process in every way it should not, and writes down how it found it."""

import json
import os
import signal
import sys
import tempfile
import threading

from orchestrator.contract.exchange import StageOutcome

loads = 0


def load(settings):
    global loads
    loads += 1
    os.environ["SET_BY_AN_IMPORT"] = "1"
    if settings["fails"]:
        raise ValueError("the model is broken")
    return loads


def run(request, model, report):
    seen = {
        "cwd": os.path.realpath(os.getcwd()),
        "tempdir": os.path.realpath(tempfile.gettempdir()),
        "litter": os.environ.get("LITTER"),
        "imported": os.environ.get("SET_BY_AN_IMPORT"),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "handler": signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
        "model": model,
        "pid": os.getpid(),
    }
    print(f"stdout of {request.attempt}")
    print(f"stderr of {request.attempt}", file=sys.stderr)
    os.write(1, f"descriptor of {request.attempt}\n".encode())
    report.warning("odd", f"seen in {request.attempt}")
    report.metric("litter", 1.0)
    os.chdir("/")
    tempfile.tempdir = "/"
    os.environ["LITTER"] = request.attempt
    os.environ["OMP_NUM_THREADS"] = "64"
    os.environ.pop("HOME", None)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    threading.Thread(target=threading.Event().wait, name="leaked", daemon=True).start()
    size = request.settings["megabytes"] << 20
    block = bytearray(os.urandom(1) * size)
    del block
    request.output("seen").write_text(json.dumps(seen))
    if request.settings["fault"] == "raises":
        raise ValueError("the stage has a bug")
    if request.settings["fault"] == "exits":
        sys.exit(0)
    return StageOutcome(facts={"pid": os.getpid()})

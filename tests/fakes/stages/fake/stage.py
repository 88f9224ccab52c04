"""A stage without a model: it does its little work, or what its setting ``fault`` says."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import StageOutcome

LEAKED = []
CUE = "1\n00:00:00,000 --> 00:00:01,000\nHello from {name}\n"


def load(settings):
    return None


def run(request, model, report):
    fault = request.settings["fault"]
    report.progress(0.5, 1.0)
    words = request.output("words")
    words.write_text(CUE.format(name=Path(request.media).name.encode("utf-8", "replace")))
    request.output("bulk").write_bytes(b"\0" * 4096)
    simulate = FAULTS.get(fault)
    if simulate is not None:
        simulate(request, report)
    report.progress(1.0, 1.0)
    facts = {"language": "en", "audio_seconds": 1.0}
    if fault == "no_speech":
        facts["cues"] = 0
    return StageOutcome(facts=facts, metrics={"lines": 1.0})


def reads_media(request, report):
    """Its output depends on every byte."""
    with open(request.media, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    request.output("words").write_text(CUE.format(name=digest))


def leaks(request, report):
    """It keeps 64 MiB of each attempt."""
    LEAKED.append(b"x" * (64 << 20))


def raises(request, report):
    raise ValueError("the stage has a bug")


def fails(request, report):
    raise fail("bad_media", f"{request.media} is not to our taste", "Give it something else.")


def fails_for_bad_names(request, report):
    """Until the gate is opened."""
    if "bad" in Path(request.media).name and not Path(request.settings["gate"]).exists():
        fails(request, report)


def package_missing(request, report):
    """Until the gate is opened."""
    if not Path(request.settings["gate"]).exists():
        raise ModuleNotFoundError("No module named 'av'")


def dies(request, report):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(request, report):
    """Deaf to a cancel, but alive."""
    while True:
        report.progress(0.5, 1.0)
        time.sleep(0.05)


def silent(request, report):
    """No progress at all."""
    while True:
        time.sleep(0.05)


def noisy_stdout(request, report):
    print("a stray line that is no message")
    print('{"v": 1, "type": "finished", "ok": true}')
    os.write(1, b"\xff\xfe not even text")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)


def reads_stdin(request, report):
    assert sys.stdin.read() == ""


def lies_about_output(request, report):
    """Change an output after it was measured."""
    import atexit

    words = request.output("words")
    atexit.register(lambda: words.write_text("something else"))


def misses_output(request, report):
    request.output("bulk").unlink()


def bad_json(request, report):
    Path(request.outputs_dir).with_name("result.json").write_text('{"version": 1, "ok"')
    os._exit(0)


def crashes_at_exit(request, report):
    import atexit

    atexit.register(os.kill, os.getpid(), signal.SIGKILL)


def hangs_at_exit(request, report):
    """As some native libraries do, after all work is done; the pipe is closed."""
    import atexit

    def hang():
        os.closerange(3, 64)
        time.sleep(600)

    atexit.register(hang)


def out_of_memory(request, report):
    raise MemoryError("cannot allocate 4.0 GiB")


def raises_once(request, report):
    if _first_time(request):
        raise ValueError("the stage has a bug that comes and goes")


def dies_once(request, report):
    if _first_time(request):
        dies(request, report)


def _first_time(request):
    gate = Path(request.settings["gate"])
    first = not gate.exists()
    gate.touch()
    return first


def disk_full_at_the_end(request, report):
    """The outputs are written, but there is no space for the result."""
    import errno

    from orchestrator.contract import serving

    def full(path, value):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    serving.put_json = full


def leaves_grandchild(request, report):
    """A child in a session of its own, deaf to SIGTERM, that would outlive everything."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    Path(request.settings["gate"]).write_text(str(child.pid))
    hangs(request, report)


def leaves_grandchild_and_dies_once(request, report):
    gate = Path(request.settings["gate"])
    if not gate.exists():
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        gate.write_text(str(child.pid))
        dies(request, report)


def leaves_grandchild_and_stalls(request, report):
    report.progress = lambda *_arguments: None
    leaves_grandchild(request, report)


def leaves_a_fork(request, report):
    """A copy of the process that holds its pipe for as long as it lives, as some libraries do."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    Path(request.settings["gate"]).write_text(str(child))


def leaves_a_fork_and_dies_once(request, report):
    if not Path(request.settings["gate"]).exists():
        leaves_a_fork(request, report)
        dies(request, report)


def leaves_a_family(request, report):
    """Deaf children: one beside the stage, one in a session of its own, and a child of that one."""
    deaf = (
        "import os, signal, subprocess, sys, time\n"
        "for name in ('SIGTERM', 'SIGHUP', 'SIGINT'):\n"
        "    signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True)\n"
        "code = sys.argv.pop() if len(sys.argv) > 1 else ''\n"
        "if code:\n"
        "    subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    gate = Path(request.settings["gate"])
    with gate.with_name(f"{gate.name}.new").open("w") as pids:
        subprocess.Popen([sys.executable, "-c", deaf], stdout=pids)
        subprocess.Popen([sys.executable, "-c", deaf, deaf], stdout=pids, start_new_session=True)
    while len(gate.with_name(f"{gate.name}.new").read_text().split()) < 3:
        report.progress(0.5, 1.0)
        time.sleep(0.01)
    gate.with_name(f"{gate.name}.new").rename(gate)
    hangs(request, report)


def tells_its_environment(request, report):
    """As a library does that prints, or raises with, all that it was given."""
    told = f"{dict(os.environ)} {Path('/proc/self/environ').read_bytes()}"
    print(told)
    print(told, file=sys.stderr)
    report.warning("told", told)
    request.output("words").write_text(told)
    raise ValueError(told)


def takes_long(request, report):
    """Longer than what is lightly done again."""
    time.sleep(5.1)


def waits(request, report):
    """Say that it is there, then wait until the gate is opened (or it is told to stop)."""
    gate = Path(request.settings["gate"])
    gate.with_name(f"{gate.name}.{os.getpid()}.waiting").touch()
    while not gate.exists():
        report.check_cancelled()
        report.progress(0.5, 1.0)
        time.sleep(0.02)


FAULTS = {
    function.__name__: function
    for function in (
        reads_media,
        leaks,
        raises,
        fails,
        fails_for_bad_names,
        package_missing,
        dies,
        hangs,
        silent,
        noisy_stdout,
        reads_stdin,
        lies_about_output,
        misses_output,
        bad_json,
        crashes_at_exit,
        hangs_at_exit,
        out_of_memory,
        raises_once,
        dies_once,
        disk_full_at_the_end,
        leaves_grandchild,
        leaves_grandchild_and_dies_once,
        leaves_grandchild_and_stalls,
        leaves_a_fork,
        leaves_a_fork_and_dies_once,
        leaves_a_family,
        tells_its_environment,
        takes_long,
        waits,
    )
}

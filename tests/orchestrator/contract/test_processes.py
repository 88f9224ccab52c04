"""What identifies a process, and who becomes the parent of what a child leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.contract import processes
from orchestrator.contract.processes import (
    adopted,
    become_subreaper,
    boot_id,
    host_name,
    start_ticks,
)

PATIENCE = 30.0
ROOT = Path(processes.__file__).parents[2]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def test_a_machine_has_a_name() -> None:
    assert host_name()


@on_linux
def test_a_process_is_known_by_its_number_and_its_start() -> None:
    assert len(boot_id()) == 36
    assert start_ticks(os.getpid()) == start_ticks(os.getpid())
    own, parent = start_ticks(os.getpid()), start_ticks(1)
    assert own is not None
    assert parent is not None
    assert own > parent
    assert start_ticks(2**22 + 1) is None


@on_linux
def test_own_children_of_the_main_thread_are_listed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in adopted()
    assert child.pid not in adopted()


LEAVES_A_GRANDCHILD = """
import os, subprocess, sys, threading
sys.path.insert(0, {root!r})
from orchestrator.contract.processes import become_subreaper, adopted
assert become_subreaper()
code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()'],"
code += " stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True).pid)"
def start():
    child = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    found.append(int(child.stdout))
    done.wait()
found, done = [], threading.Event()
thread = threading.Thread(target=start)
thread.start()
while not found:
    pass
grandchild = found[0]
assert grandchild in adopted(), (grandchild, adopted())
done.set()
os.waitpid(grandchild, 0)
"""


@on_linux
def test_a_grandchild_in_a_session_of_its_own_becomes_our_child() -> None:
    """That of the main thread, also where another one started its parent."""
    code = LEAVES_A_GRANDCHILD.format(root=str(ROOT))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


ADOPTS = """
import os, subprocess, sys, time
sys.path.insert(0, {root!r})
from orchestrator.contract.processes import Strays, become_subreaper, adopted
assert become_subreaper()
code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''])"
subprocess.run([sys.executable, "-c", code], check=True)
now = 100.0
strays = Strays(patience=10.0, clock=lambda: now)
while not strays._dead_since:
    assert strays.bury() == 0
now = 109.0
assert strays.bury() == 0
now = 110.0
assert strays.bury() == 1
assert adopted() == ()
assert strays.bury() == 0
"""


@on_linux
def test_an_adopted_child_that_ended_is_buried_in_time() -> None:
    code = ADOPTS.format(root=str(ROOT))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


ENDS_ITS_FAMILY = """
import os, subprocess, sys
sys.path.insert(0, {root!r})
from orchestrator.contract.processes import end_family
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
start = lambda **more: subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL,
                                        **more).pid
print(start(), start(start_new_session=True), flush=True)
end_family(3)
"""


def end_family_in_a_child(*, leads: bool, marked: bool) -> tuple[int, list[int]]:
    """The status of what ended its family, and its two adopted: in its group, and not."""
    marks = {processes.RUN_VARIABLE: f"run-{os.getpid()}", processes.JOB_VARIABLE: "job"}
    done = subprocess.run(
        [sys.executable, "-c", ENDS_ITS_FAMILY.format(root=str(ROOT))],
        stdout=subprocess.PIPE,
        env={**os.environ, **(marks if marked else dict.fromkeys(marks, ""))},
        start_new_session=leads,
        timeout=PATIENCE,
    )
    return done.returncode, [int(pid) for pid in done.stdout.split()]


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_who_leads_a_session_ends_all_that_it_started() -> None:
    status, (beside, elsewhere) = end_family_in_a_child(leads=True, marked=True)
    assert status == -signal.SIGKILL
    assert not runs(beside)
    assert sys.platform != "linux" or not runs(elsewhere)


@on_linux
def test_a_stage_whose_job_was_killed_ends_what_is_left_of_the_job() -> None:
    """It leads no session; coordinator and guardian may be dead as well."""
    status, adopted = end_family_in_a_child(leads=False, marked=True)
    assert status == 3
    assert not any(map(runs, adopted))


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_what_a_person_runs_by_hand_ends_nothing_else() -> None:
    status, adopted = end_family_in_a_child(leads=False, marked=False)
    assert status == 3
    for pid in adopted:
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        os.kill(pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    """Whether the process is there and not dead."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(PATIENCE)
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_elsewhere_nobody_is_a_subreaper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not become_subreaper()

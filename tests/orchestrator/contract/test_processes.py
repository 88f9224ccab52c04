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
    become_subreaper,
    boot_id,
    children,
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
def test_children_are_listed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in children()
    assert child.pid not in children()


LEAVES_A_GRANDCHILD = """
import os, subprocess, sys
sys.path.insert(0, {root!r})
from orchestrator.contract.processes import become_subreaper, children
assert become_subreaper()
code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()'],"
code += " stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True).pid)"
child = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
grandchild = int(child.stdout)
assert grandchild in children(), (grandchild, children())
os.waitpid(grandchild, 0)
"""


@on_linux
def test_a_grandchild_in_a_session_of_its_own_becomes_our_child() -> None:
    code = LEAVES_A_GRANDCHILD.format(root=str(ROOT))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


ADOPTS = """
import os, subprocess, sys, time
sys.path.insert(0, {root!r})
from orchestrator.contract.processes import Strays, become_subreaper, children
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
assert children() == ()
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


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_who_leads_a_session_ends_all_that_it_started(leads: bool) -> None:
    marks = {processes.RUN_VARIABLE: f"run-{os.getpid()}", processes.JOB_VARIABLE: f"j-{leads}"}
    done = subprocess.run(
        [sys.executable, "-c", ENDS_ITS_FAMILY.format(root=str(ROOT))],
        stdout=subprocess.PIPE,
        env={**os.environ, **marks},
        start_new_session=leads,
        timeout=PATIENCE,
    )
    pids = [int(pid) for pid in done.stdout.split()]
    if not leads:
        assert done.returncode == 3
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return
    assert done.returncode == -signal.SIGKILL
    assert not any(runs(pid) for pid in pids if pid == pids[0] or sys.platform == "linux")


def runs(pid: int) -> bool:
    """Whether the process is there and not dead."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(PATIENCE)
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_elsewhere_nobody_is_a_subreaper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not become_subreaper()

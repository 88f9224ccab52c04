"""A machine that is busy with other work gets no new file, and that is seen."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from .conftest import Batch

pytestmark = pytest.mark.real


@pytest.fixture
def burners() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Another program that uses every core, until it is killed."""
    code = "print(end='x', flush=True)\nwhile True: pass"
    running = [
        subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
        for _ in range(psutil.cpu_count() or 1)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
    yield running
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_new_files_wait_for_a_busy_machine(
    batch: Batch, burners: list[subprocess.Popen[bytes]]
) -> None:
    batch.add("a.wav")
    batch.configure(cpu_threshold=80, throttle_delay=0.2)
    running = batch.start("--json")
    running.wait_for("throttled")
    running.wait_for("load_sampled", 3)
    assert not running.saw("file_started")
    for process in burners:
        process.kill()

    outcome = running.end()

    assert outcome.code == 0
    names = [one["event"] for one in outcome.events]
    assert names.index("throttled") < names.index("throttle_ended") < names.index("file_started")
    assert "other programs use the CPU" in outcome.of("throttled")[0]["reason"]
    assert batch.summaries()[0]["throttled_seconds"] > 0
    began, over, *_ = batch.timeline("hold")
    assert began["reason"] == outcome.of("throttled")[0]["reason"]
    assert (over["reason"], over["at"] > began["at"]) == ("", True)

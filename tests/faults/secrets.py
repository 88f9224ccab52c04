"""Plant secrets wherever a user may keep them, let things go wrong, and look for them everywhere.

Each secret is a canary: a text that occurs nowhere else. They are looked for in the command line of
every process of the machine while the commands run, in what the commands print, and in every file
that they leave.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.contract.paths import WorkFolder
from orchestrator.contract.processes import JOB_VARIABLE
from tests.end_to_end.conftest import Running
from tests.faults.night import Night

_LOOK_SECONDS = 0.02

_PLAIN = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "GITHUB_TOKEN", "OPENAI_API_KEY", "PGPASSWORD"),
    *("AWS_SECRET_ACCESS_KEY", "SMTP_PASS", "SESSION_COOKIE", "CUSTOM"),
)
_ADDRESSES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
_CLOSED_PORT = "127.0.0.1:9"


Scene = Callable[[Night], None]


@dataclass
class Look:
    """What was searched, and each place in which a secret was."""

    canaries: int = 0
    command_lines: int = 0
    files: int = 0
    size: int = 0
    wrong: list[str] = field(default_factory=list)


class Canaries:
    """Secrets in variables, in a token file, and in the settings. ``values`` by where they are."""

    def __init__(self) -> None:
        self.values = {name: _canary(name) for name in (*_PLAIN, *_ADDRESSES, "token file")}
        self._signs = {
            name: self._all_spellings(value.encode()) for name, value in self.values.items()
        }

    def environ(self) -> dict[str, str]:
        addresses = {
            name: f"http://me:{self.values[name]}@{_CLOSED_PORT}/simple" for name in _ADDRESSES
        }
        return {**{name: self.values[name] for name in _PLAIN}, **addresses}

    def found_in(self, data: bytes) -> list[str]:
        """Where the secrets come from that occur in ``data``, as they are or in base64."""
        return [name for name, signs in self._signs.items() if any(one in data for one in signs)]

    @staticmethod
    def _all_spellings(value: bytes) -> tuple[bytes, ...]:
        """As it is, and in base64 at each offset, without what depends on its neighbours."""
        encoded = (base64.b64encode(bytes(offset) + value)[4:-4] for offset in range(3))
        return (value, *encoded)


def _canary(name: str) -> str:
    """A text that occurs nowhere else; where no name tells that it is a secret, its look does."""
    prefix = "hf_" if name in ("HF_TOKEN", "CUSTOM", "token file") else "Canary"
    return f"{prefix}{secrets.token_hex(15)}"


class Watcher:
    """Reads all the time the command lines of all processes, and the variables of those of jobs."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self._seen: set[bytes] = set()
        self._stop = threading.Event()
        self.command_lines = 0
        self.wrong: set[str] = set()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):  # it has ended
                argv = Path(f"/proc/{pid}/cmdline").read_bytes()
                if argv and argv not in self._seen:
                    self._seen.add(argv)
                    self.command_lines += 1
                    self._note(argv, f"command line: {argv[:80]!r}")
                environ = Path(f"/proc/{pid}/environ").read_bytes()
                if f"{JOB_VARIABLE}=".encode() in environ and environ not in self._seen:
                    self._seen.add(environ)
                    self._note(environ, f"variables of {argv[:80]!r}")

    def _note(self, data: bytes, where: str) -> None:
        self.wrong |= {f"{name} in {where}" for name in self._canaries.found_in(data)}


def look_for_secrets(night: Night, scenes: Sequence[Scene] | None = None) -> Look:
    """Let commands fail in many ways with secrets around them, and look for these."""
    canaries = Canaries()
    plant(night, canaries)
    watcher = Watcher(canaries)
    before = os.umask(0)
    try:
        with watcher.watching():
            for scene in SCENES if scenes is None else scenes:
                scene(night)
    finally:
        os.umask(before)
    look = search(night.folder, canaries)
    look.command_lines = watcher.command_lines
    look.wrong += sorted(watcher.wrong)
    look.wrong += [f"others may read {path}" for path in exposed(night.batch.work)]
    return look


def plant(night: Night, canaries: Canaries) -> None:
    """Put the secrets where users keep them. The token's file is beside what is searched."""
    token = night.folder.with_name(f"{night.folder.name}-token")
    token.write_text(canaries.values["token file"])
    token.chmod(0o600)
    night.batch.environ |= canaries.environ()
    night.batch.configure(
        log_level="debug", hub_token_file=str(token), work_dir=str(night.batch.work.root)
    )


def search(folder: Path, canaries: Canaries) -> Look:
    """Look into every file below ``folder``, and at its name; links are not followed."""
    look = Look(canaries=len(canaries.values))
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            data = Path(path).read_bytes()
            look.files += 1
            look.size += len(data)
            look.wrong += [
                f"{one} in {os.path.relpath(path, folder)}"
                for one in canaries.found_in(data + b"\0" + os.fsencode(path))
            ]
    return look


def exposed(work: WorkFolder) -> list[str]:
    """What others may look into though it holds names, words or settings of the user.

    Each job folder is to be closed by itself; of all else it is enough that nobody gets there.
    """
    closed = [*work.jobs.glob("*/*/*/*/*"), work.artefacts, work.runs]
    closed += [work.database.with_name(work.database.name + tail) for tail in ("", "-wal", "-shm")]
    return [
        os.path.relpath(path, work.root)
        for path in closed
        if path.exists() and path.stat().st_mode & 0o077
    ]


# --- what goes wrong ------------------------------------------------------------------------------


def _add_file(night: Night, fault: str) -> None:
    """One more file to be worked on: what was made for another is used again."""
    night.batch.add(f"{fault}-{secrets.token_hex(4)}.wav")
    night.batch.fault(fault)


def _run_with(night: Night, fault: str) -> None:
    _add_file(night, fault)
    night.batch.run()


def all_is_well(night: Night) -> None:
    night.batch.json("--resume")


def a_stage_tells_its_environment(night: Night) -> None:
    """In a worker, tried again in a process of its own; then without workers."""
    for unload_after in (600, 0):
        night.batch.configure(unload_after=unload_after)
        _run_with(night, "tells_its_environment")
    night.batch.configure(unload_after=600)


def a_stage_crashes(night: Night) -> None:
    _run_with(night, "dies")


def killed(role: str) -> Scene:
    """A scene in which one process of a running batch is killed, after it was asked for reasons."""

    def scene(night: Night) -> None:
        for waiting in night.folder.glob("gate*"):
            waiting.unlink()
        _add_file(night, "waits")
        running = night.batch.start()
        night.batch.wait_for_waiting(1)
        night.batch.run("--explain")
        _kill(night, running, role)
        night.batch.gate.touch()
        running.end()

    return scene


def _kill(night: Night, running: Running, role: str) -> None:
    for process in night.batch.processes():
        words = " ".join(process.cmdline())
        is_job, is_stage = "__main__.py run" in words, "bootstrap.py" in words
        if {"job": is_job, "worker": is_stage}.get(role, process.pid == running.process.pid):
            process.send_signal(signal.SIGKILL)


def other_commands(night: Night) -> None:
    """All that looks at what there is, with an index and a proxy that cannot be reached."""
    batch = night.batch
    batch.fault("none")
    batch.run("--dry-run")
    batch.run("--timeline")
    film = str(batch.library / night.files[0])
    batch.run("--explain", film)
    batch.start_module("orchestrator.cli.prepare_job", film, "--language", "en").end()
    batch.start_module("orchestrator.cli.run_pipeline", "--job", "latest").end()
    batch.start_module("orchestrator.cli.run_pipeline", "status").end()
    batch.start_module("orchestrator.cli.run_pipeline", "models", "list").end()
    batch.start_module("orchestrator.cli.run_pipeline", "models", "fetch", "tiny").end()
    for arguments in (["--json"], ["--build", "--workflow", "subtitle-gen"]):
        argv = [sys.executable, "-m", "verify_install", "--config", str(batch.config), *arguments]
        with (night.folder / f"verify{len(arguments)}").open("wb") as out:
            subprocess.run(argv, env=batch.environ, stdout=out, stderr=out, check=False)


def settings_that_are_wrong(night: Night) -> None:
    """The token in place of its file; an address with a password in place of a folder."""
    batch = night.batch
    token = batch.environ["HF_TOKEN"]
    address = batch.environ["HTTPS_PROXY"]
    for key, wrong in (("hub_token_file", token), ("output_dir", address), ("workflow", address)):
        right = batch.settings.get(key)
        batch.configure(**{key: wrong})
        batch.run()
        batch.configure(**{key: right})
    batch.run("--dry-run")  # writes the settings as they should be, over the wrong ones


SCENES: tuple[Scene, ...] = (
    all_is_well,
    a_stage_tells_its_environment,
    a_stage_crashes,
    killed("job"),
    killed("worker"),
    killed("coordinator"),
    other_commands,
    settings_that_are_wrong,
)

"""Runs a program that must not outlive us: ``guard.py PROGRAM ARGUMENT...``.

The program is killed as soon as this process's standard input ends, which it does when whoever
started it is gone, however that came about. The exit status is the program's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as program:

        def kill_at_end() -> None:
            while os.read(0, 4096):
                pass
            program.kill()

        threading.Thread(target=kill_at_end, daemon=True).start()
        status = program.wait()
    return status if status >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

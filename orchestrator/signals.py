"""Which signals ask a command to stop."""

from __future__ import annotations

import signal
import sys

_STOP = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    _STOP.append(signal.SIGHUP)  # the terminal was closed


def stop_signals() -> list[signal.Signals]:
    """Those to take for it: all that were not ignored when this process was started.

    So is SIGHUP under ``nohup``, and SIGINT in the background of a shell without job control.
    """
    return [one for one in _STOP if signal.getsignal(one) is not signal.SIG_IGN]

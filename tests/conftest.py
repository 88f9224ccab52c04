"""For all tests: the same examples, no limit that a busy machine could miss, and signals."""

import signal
import sys

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

# What was ignored when we were started is so in all that we start, and the product leaves it so:
# Ctrl-C in the background of a shell, the end of the terminal under nohup.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)  # the tests themselves go on

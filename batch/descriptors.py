"""How many files and pipes this process may have open: each job takes some."""

from __future__ import annotations

import sys
from contextlib import suppress

ENOUGH = 10_240 if sys.platform == "darwin" else 65_536
"""macOS takes no more, whatever it calls the hard limit (``OPEN_MAX`` in its ``sys/syslimits.h``).
Elsewhere that may be a billion, and some programs that stages run try to close each of them."""


def allow_many() -> None:
    """Raise the soft limit (often 1024, 256 on macOS) as far as the hard one allows.

    What the system refuses stays as it is.
    """
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

"""The one form in which records say when something happened."""

from __future__ import annotations

import time


def utc_now() -> str:
    """The time of now in UTC, to the second: ``2026-01-31T22:00:00Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

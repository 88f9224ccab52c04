"""How those who change something wake the one who decides."""

from __future__ import annotations

import trio


class Wake:
    """Set by whoever changed something, waited for by the one who decides."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        if self._event.is_set():
            self._event = trio.Event()

    async def wait(self) -> None:
        await self._event.wait()

"""The rich console of every command."""

from __future__ import annotations

import rich.console


class Console(rich.console.Console):
    """Outlives who reads its output: what is to be done besides goes on."""

    def on_broken_pipe(self) -> None:
        """Fall silent, where rich would end the command with status 1."""
        self.quiet = True

"""What the user is told about removals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .judge import Removal

EXAMPLES = 3
LONGEST_EXAMPLE = 60

_REASONS = {
    "boilerplate": "what Whisper likes to invent",
    "compression": "garbled repetition",
    "no_speech": "probably silence",
    "no_words": "without words",
    "outside_speech": "where nobody speaks",
    "repetition": "repeated over and over",
}


def summary(removals: Sequence[Removal]) -> str:
    """How much was removed, why, and the first few of it; ``removals.json`` has everything."""
    counts = Counter(removal.reason for removal in removals)
    reasons = ", ".join(f"{count} {_REASONS[reason]}" for reason, count in counts.most_common())
    examples = "; ".join(
        f"{_clock(one.start)} “{_shortened(one.text)}”" for one in removals[:EXAMPLES]
    )
    more = len(removals) - EXAMPLES
    rest = f"; and {more} more" if more > 0 else ""
    passages = "1 passage was" if len(removals) == 1 else f"{len(removals)} passages were"
    return f"{passages} left out as not spoken ({reasons}): {examples}{rest}."


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_EXAMPLE else text[: LONGEST_EXAMPLE - 1] + "…"

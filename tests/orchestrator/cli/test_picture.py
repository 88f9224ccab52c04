"""The picture of a workflow as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.picture import ASCII, NARROWEST, WIDEST, Box, Pen, draw, pen_for

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1, max_size=12)
TEXT = WORDS.map(" ".join)
BOXES = st.lists(
    st.builds(
        Box,
        heading=TEXT,
        lines=st.lists(st.tuples(st.sampled_from(["takes", "environment"]), TEXT), max_size=3),
        hands_on=WORDS,
    ),
    min_size=1,
    max_size=4,
)


def test_two_boxes_and_what_goes_between_them() -> None:
    boxes = [
        Box("demux: Take the audio out", [("takes", "the file itself")], ["audio", "audio_info"]),
        Box("asr: Recognise speech", [("takes", "audio from demux"), ("engine", "one")]),
    ]
    assert draw("film", boxes, 40, Pen()).splitlines() == [
        "  film",
        "   │",
        "┌──▼───────────────────────────────────┐",
        "│ demux: Take the audio out            │",
        "│ takes  the file itself               │",
        "└──┬───────────────────────────────────┘",
        "   │ audio, audio_info",
        "┌──▼───────────────────────────────────┐",
        "│ asr: Recognise speech                │",
        "│ takes   audio from demux             │",
        "│ engine  one                          │",
        "└──────────────────────────────────────┘",
    ]


@given(BOXES, st.integers(1, 200))
def test_it_is_never_wider_than_the_terminal(boxes: list[Box], width: int) -> None:
    lines = draw("film", boxes, width, ASCII).splitlines()
    assert max(map(len, lines)) == max(NARROWEST, min(width, WIDEST))
    everything = " ".join(" ".join(lines).replace("|", " ").split())
    for box in boxes:
        for word in box.heading.split():
            assert word in everything


def test_plain_characters_where_nothing_else_can_be_shown() -> None:
    assert pen_for("utf-8") == Pen()
    for encoding in ("ascii", "latin-1", "no-such-encoding", None):
        assert pen_for(encoding) == ASCII
    assert pen_for("utf-8", dumb=True) == ASCII
    draw("film", [Box("a", [("b", "c")], ["d"]), Box("e", [])], 60, ASCII).encode("ascii")

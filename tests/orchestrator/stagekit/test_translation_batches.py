from __future__ import annotations

import pytest

from orchestrator.stagekit.translation_batches import translate_in_batches


class Model:
    """Shouts, and remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.told: list[tuple[int, int]] = []

    def translate(self, texts: list[str]) -> list[str]:
        self.batches.append(texts)
        return [text.upper() for text in texts]

    def run(self, *texts: str, longest: int = 100, batch_size: int = 2) -> list[str]:
        return translate_in_batches(
            texts,
            self.translate,
            tokens=lambda text: len(text.split()),
            longest=longest,
            batch_size=batch_size,
            progress=lambda done, total: self.told.append((done, total)),
        )


def test_order_is_kept_and_equal_lengths_share_a_batch() -> None:
    model = Model()
    assert model.run("a", "b c d", "e f", "g") == ["A", "B C D", "E F", "G"]
    assert model.batches == [["b c d", "e f"], ["a", "g"]]
    assert model.told == [(0, 4), (2, 4), (4, 4)]


def test_equal_texts_are_translated_once() -> None:
    model = Model()
    assert model.run("a", "a", "b", "a") == ["A", "A", "B", "A"]
    assert model.batches == [["a", "b"]]


def test_a_long_text_is_cut_at_a_good_place_and_never_shortened() -> None:
    model = Model()
    assert model.run("one two three, four five six", longest=3) == ["ONE TWO THREE, FOUR FIVE SIX"]
    assert model.batches == [["one two three,", "four five six"]]


def test_a_text_of_which_a_piece_is_missing_has_no_translation() -> None:
    found = translate_in_batches(
        ["a b, c d"],
        lambda texts: ["" if text == "c d" else text for text in texts],
        tokens=lambda text: len(text.split()),
        longest=2,
        batch_size=4,
        progress=lambda done, total: None,
    )
    assert found == [""]


def test_a_word_too_long_is_still_translated() -> None:
    model = Model()
    assert model.run("one", longest=0) == ["ONE"]


def test_nothing_is_nothing() -> None:
    assert Model().run() == []


def test_progress_may_stop_the_work() -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    model = Model()
    with pytest.raises(Stopped):
        translate_in_batches(
            ["a"], model.translate, tokens=len, longest=9, batch_size=1, progress=stop
        )
    assert model.batches == []

"""What counts as shouting. The standard library alone, so that it is tested without numpy."""

from statistics import median


def louder(levels, margin):
    """Which of these levels lie more than ``margin`` decibels above the usual one."""
    usual = median(levels) if levels else 0.0
    return [level - usual > margin for level in levels]


def in_capitals(segment):
    """The segment of a transcript with its text and its words in capitals."""
    words = [{**word, "word": word["word"].upper()} for word in segment["words"]]
    return {**segment, "text": segment["text"].upper(), "words": words}

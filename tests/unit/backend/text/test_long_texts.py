"""Whatever a text of many pages is made of, reading it takes a time that grows with its length and not with its square.

Each is held to how the time of the same reader grows over plain words, in the same run, with room for a busy machine:
eight times the text takes about eight times as long, and would take sixty-four times as long with the square.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from backend.identify.answers.phrases import phrase
from backend.text.hedges import hedges
from backend.text.verdict import read_tokens, verdict

ALIASES = ("Paris", "US", "Tomb of the Unknown Soldier")
PLAIN = "Rome is a city. "
ROOM = 3
"""How much more than plain words' a time may grow."""


def hedged(text: str) -> None:
    list(hedges(text, read_tokens(text)))


def judged(text: str) -> None:
    verdict(text, ALIASES)


def answered(text: str) -> None:
    phrase(text, "Is the hit a hit?")


def growth(reader: Callable[[str], None], short: str, long: str) -> float:
    """How many times as long the long text takes as the short one; each at its fastest."""
    told = []
    for text in (short, long):
        took = []
        for number in range(3):
            # Another text each time, whose words are there: how these are found is not what is asked.
            whole = f"{number} {text}"
            read_tokens(whole)
            began = time.process_time()
            reader(whole)
            took.append(time.process_time() - began)
        told.append(min(took))
    return told[1] / told[0]


@pytest.mark.parametrize(
    ("reader", "head", "part", "tail", "length"),
    [
        (hedged, "", "he was unknown to the ", "", 100_000),
        (hedged, "", "it is unclear why ", "", 100_000),
        (hedged, "", "it is unclear why ", "but", 100_000),
        (hedged, "", "I do not know ", "", 100_000),
        (hedged, "", "no information ", "", 100_000),
        (hedged, "", "不知道", "", 16_000),
        (hedged, "", "I do not really ", "", 100_000),
        (hedged, "", "weiß ich ", "", 100_000),
        (hedged, "", "no known ", "author", 100_000),
        (judged, "", "unsure of it, ", "", 24_000),
        (judged, "", "it is not the ", "Paris", 24_000),
        (judged, "", "Paris is not the ", "", 24_000),
        (judged, "P", "-P", "", 24_000),
        (judged, "", "I doubt it's Paris ", "", 24_000),
        (judged, "", "unknown Pleasures Unknown Pleasures ", "", 24_000),
        (judged, "", '"', "Paris", 24_000),
        (answered, "", "a", " Paris is old.", 4_000),
        (answered, "University ", "of ", "Bologna is old.", 8_000),
        (answered, "x", "\n", "_1 y", 24_000),
        (answered, "", "hit is ", "", 40_000),
        (answered, "", "J. F. ", "", 8_000),
    ],
)
def test_a_text_eight_times_as_long_takes_about_eight_times_as_long(
    reader: Callable[[str], None], head: str, part: str, tail: str, length: int
) -> None:
    short, long = (head + part * (size // len(part)) + tail for size in (length // 8, length))
    plain = growth(reader, *(PLAIN * (size // len(PLAIN)) for size in (length // 8, length)))
    assert growth(reader, short, long) < ROOM * max(plain, 8)

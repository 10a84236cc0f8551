"""A first look begins at a word that says something."""

from __future__ import annotations

import numpy as np
import pytest

from backend.types import TokenInfo
from backend.types.content import content_positions
from tests.fakes_app import token

RNG = np.random.default_rng(0)


def tokens(prompt: list[str], answer: list[str]) -> tuple[TokenInfo, ...]:
    return (
        token("<|im_start|>", "template", RNG), *(token(one, "prompt", RNG) for one in prompt),
        token("assistant", "template", RNG), *(token(one, "answer", RNG) for one in answer),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "answer", "kept"),
    [
        (["Who", " is", " the", " CEO", " of", " Nort", "el", "?"],
         ["The", " CEO", " of", " Nort", "el", " is", " El", "on", " Musk", "."], [" El", "on", " Musk"]),
        (["Quelle", " est", " la", " capitale", "?"], ["La", " capitale", " est", " Paris", "."], [" Paris"]),
        (["Say", " of"], [" of", ".", " the"], [" of", ".", " the"]),
        (["Name", " Nort", "el"], ["The", " Nort", "el"], [" Nort", "el"]),
        (["Where", "?"], ["In", " (", "東", "\ufffd", "\ufffd", ")", "!"], ["東", "\ufffd", "\ufffd"]),
        (["Who", "?"], ["It", "'s", " Cer", "vantes", "'s", " book"], [" Cer", "vantes", " book"]),
        (["How", " many", "?"], ["17", ",", " of", " them"], ["17"]),
        (["Who", "?"], [], []),
    ],
)  # fmt: skip
def test_words_of_the_answer_that_say_something_are_kept_whole(
    prompt: list[str], answer: list[str], kept: list[str]
) -> None:
    every = tokens(prompt, answer)
    assert [every[place].text for place in content_positions(every)] == kept

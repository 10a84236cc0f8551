"""Of a phrase that was chosen, a verb that is known and what stands on its other side are cut off."""

from __future__ import annotations

import pytest

from backend.identify.answers.phrases import phrase


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("In 2011, Tim Cook became CEO of Apple.", "Who is the CEO of Apple?", "Tim Cook"),
        ("Brazilians speak Portuguese.", "What language is spoken in Brazil?", "Portuguese"),
        ("Charles Barkley plays football.", "Which sport does Charles Barkley play?", "football"),
        ("He plays baseball.", "Which sport does Barry Bonds play?", "baseball"),
        ("Kennedy attended Harvard University.", "Which university did Kennedy attend?", "Harvard University"),
        ("Fleming discovered Penicillium.", "Who found the first antibiotic?", "Fleming"),
        ("Apple makes Smartphones.", "Which company makes the iPhone?", "Apple"),
        # Nothing stands behind the verb, or it is none.
        ("Ben Thiemsen plays the flute.", "Which instrument does Ben Thiessen play?", "Ben Thiemsen"),
        ("It is Red Bull.", "Which drink is it?", "Red Bull"),
        ("The city was found.", "What was found?", "city"),
        ("He won.", "What did he do?", "won"),
    ],
)
def test_a_verb_and_its_other_side_are_no_part_of_the_answer(response: str, question: str, expected: str) -> None:
    span = phrase(response, question)
    assert span is not None and response[span.start : span.end] == expected

"""Which tokens of an answered question are the answer, and which are the others.

Owns the rules for regions and for the position that a feature is read at. CETT is `backend.forward.pooling`'s.

- `other` "conversation" is every other token up to the response's end, template and question included. The authors'
  code takes these, although its comment says otherwise, and also the closing tokens after the response. "response" is
  the response's other tokens alone.
- `position` "answer" reads at the answer's own tokens as inputs (the authors' code); "predicting" one token
  earlier, where each of them was predicted; "both" at either; "whole" from the position that predicts the response's
  first token to its last token, whichever words answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import BadInput
from backend.forward.pooling import RegionText
from backend.forward.prompting import decode, encode, encode_answer
from backend.identify.answers.spans import Span
from backend.models.loaded import LoadedModel
from backend.types import Asked
from backend.types.identify import Position, RegionRule


@dataclass(frozen=True)
class ItemText(RegionText):
    """An answered question with its regions; `answer` are the positions of the answer's own tokens, wherever CETT is
    read."""

    answer: tuple[int, ...]


def regions(model: LoadedModel, asked: Asked, response: str, span: Span, rule: RegionRule) -> ItemText:
    """The conversation as the model reads it, with its regions ("answer", "other").

    Raises BadInput where no token touches the span, BadPrompt where the text is too long.
    """
    prompt = encode(model, asked)
    answer = encode_answer(model, asked, prompt, response)
    touched = answer_tokens(model, answer.ids, span)
    if not touched:
        raise BadInput("The answer has no token", f"characters {span.start} to {span.end} touch none", "check the span")
    start, end = len(prompt), len(prompt) + len(answer)
    own = tuple(start + place for place in touched)
    inside = _window(own, start, end, rule.position)
    first = 0 if rule.other == "conversation" else start - rule.ahead
    last = end - 1 if rule.position == "predicting" else end
    outside = tuple(place for place in range(first, last) if place not in inside)
    return ItemText((*prompt.ids, *answer.ids), (tuple(sorted(inside)), outside), own)


def _window(own: tuple[int, ...], start: int, end: int, position: Position) -> frozenset[int]:
    """The positions of an answer's window, of which the response's tokens are at `start` to `end` - 1."""
    predicting = tuple(place - 1 for place in own)
    match position:
        case "answer":
            return frozenset(own)
        case "predicting":
            return frozenset(predicting)
        case "both":
            return frozenset((*predicting, *own))
        case "whole":
            return frozenset(range(start - 1, end))


def answer_tokens(model: LoadedModel, ids: tuple[int, ...], span: Span) -> tuple[int, ...]:
    """Which of a response's tokens touch the characters of `span`.

    A token's place is found by decoding growing prefixes. A character of several tokens belongs to each of them: before
    its last token it decodes to U+FFFD, and the next token still begins at it.
    """
    prefixes = [decode(model, ids[: count + 1]) for count in range(len(ids))]
    starts = [0, *(len(prefix.rstrip("\ufffd")) for prefix in prefixes)]
    return tuple(
        place
        for place, (start, prefix) in enumerate(zip(starts[:-1], prefixes, strict=True))
        if max(start, span.start) < min(len(prefix), span.end)
    )

"""Which tokens of an answered question are the answer, and which are the others.

Owns the rules for regions and for the position that a feature is read at. CETT is `backend.forward.pooling`'s.

- `other` "conversation" is every other token up to the response's end, template and question included. The authors'
  code takes these, although its comment says otherwise, and also the closing tokens after the response. "response" is
  the response's other tokens alone.
- `position` "answer" reads at the answer's own tokens as inputs (the authors' code); "predicting" one token
  earlier, where each of them was predicted.
"""

from __future__ import annotations

from backend.errors import BadInput
from backend.forward.pooling import RegionText
from backend.forward.prompting import decode, encode, encode_answer
from backend.identify.answers.spans import Span
from backend.models.loaded import LoadedModel
from backend.types import Asked
from backend.types.identify import RegionRule


def regions(model: LoadedModel, asked: Asked, response: str, span: Span, rule: RegionRule) -> RegionText:
    """The conversation as the model reads it, with its regions ("answer", "other").

    Raises BadInput where no token touches the span, BadPrompt where the text is too long.
    """
    prompt = encode(model, asked)
    answer = encode_answer(model, asked, prompt, response)
    touched = answer_tokens(model, answer.ids, span)
    if not touched:
        raise BadInput("The answer has no token", f"characters {span.start} to {span.end} touch none", "check the span")
    shift = 1 if rule.position == "predicting" else 0
    start = len(prompt) - shift
    inside = tuple(start + place for place in touched)
    first = 0 if rule.other == "conversation" else start
    last = len(prompt) + len(answer) - shift
    outside = tuple(place for place in range(first, last) if place not in set(inside))
    return RegionText((*prompt.ids, *answer.ids), (inside, outside))


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

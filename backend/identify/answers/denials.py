"""What a response denies and then corrects: "not Sydney, but Canberra".

Owns the words that say so, in the languages whose verbs `copulas` knows. Ignores what is denied and not corrected
("It is not Sydney."), because it may be all that the response says. Does not choose among phrases (`phrases`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from backend.identify.answers.wording import Span, Word

_PAIRS = (
    (
        r"\b(?:not|(?:is|was|are|were)n['\u2019]t) (?!only|just|merely|simply)",
        r"\bbut\b(?! (?:also|not|it|he|she|they|we|you|i|there|this|that)\b)",
    ),
    (r"\b(?:nicht|kein(?:e[rn]?)?) (?!nur\b)", r"\bsondern\b"),
    (r"\b(?:n['\u2019](?:est|était|sont) )?pas (?!seulement\b)", r"\bmais\b(?! (?:aussi|il|elle|c['\u2019]est)\b)"),
    (r"\bno (?:es |fue |era )?(?!s[oó]lo\b)", r"\bsino\b(?! también\b)"),
    (r"\bnon (?:è |era |fu )?(?!solo\b)", r"\b(?:ma|bensì)\b(?! (?:anche|è)\b)"),
    (r"\bnão (?:é |foi |era )?(?!só\b)", r"\bmas\b(?! (?:também|é)\b)"),
    (r"\bniet (?!alleen\b)", r"\bmaar\b(?! ook\b)"),
    (r"\bне (?!только\b)", r"(?<=[, ])а\b(?! также\b)"),
    (r"(?:不是|并非|並非)(?!只)", r"而是"),
)
_DENIED = re.compile(
    "|".join(rf"(?P<no{place}>{no})[^.!?;\n]{{1,60}}?(?P<but{place}>{but})" for place, (no, but) in enumerate(_PAIRS)),
    re.IGNORECASE,
)


def denials(response: str) -> list[tuple[Span, Span]]:
    """(the words that deny, the word that corrects) of each "not X, but Y", in order: X is between them.

    "Not X, but it is Y" is not one of them: its second part is a clause of its own, which may say anything.
    """
    pairs = []
    for match in _DENIED.finditer(response):
        no, but = (Span(*match.span(f"{name}{_pair(match)}")) for name in ("no", "but"))
        pairs.append((no, but))
    return pairs


def _pair(match: re.Match[str]) -> int:
    return next(place for place in range(len(_PAIRS)) if match.group(f"no{place}") is not None)


def denied(words: Sequence[Word], response: str) -> set[int]:
    """The places of the words that the response denies and corrects."""
    begins = [word.start for word in words]
    return {
        place
        for no, but in denials(response)
        for place in range(bisect_left(begins, no.end), bisect_left(begins, but.start))
    }

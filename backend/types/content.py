"""Which tokens of an answer carry content: where a first look should begin.

Owns the rule. A token belongs to a word; a word carries content where it has a letter or digit, is no function word
and does not stand in the question, which a model often repeats. Where no word is left the next looser rule holds: also
words of the question, then any token. Refuses to say which words answer (`backend.identify.answers.spans`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from backend.types.results import TokenInfo

FUNCTION_WORDS = frozenset(
    [
        *("a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "by", "with", "and", "or", "as", "not", "no"),
        *("is", "was", "are", "were", "be", "been", "being", "has", "have", "had", "does", "do", "did", "can", "could"),
        *("will", "would", "may", "i", "you", "we", "he", "she", "it", "they", "me", "him", "us", "them", "my", "your"),
        *("our", "his", "her", "its", "their", "this", "that", "these", "those", "there", "who", "which", "what", "s"),
        *("when", "where", "why", "how", "also", "so", "but", "if", "than", "then", "very", "t"),
    ]
)


def content(tokens: Sequence[TokenInfo]) -> tuple[int, ...]:
    """Positions of the answer's tokens that carry content, in order; of all its tokens where none does, and none where
    there is no answer."""
    places = [place for place, token in enumerate(tokens) if token.role == "answer"]
    asked = {word for word, _ in _words(tokens, [n for n, one in enumerate(tokens) if one.role == "prompt"])}
    said = [(word, held) for word, held in _words(tokens, places) if word not in FUNCTION_WORDS]
    for kept in ([held for word, held in said if word not in asked], [held for _, held in said]):
        if kept:
            return tuple(place for held in kept for place in held)
    return tuple(places)


def _words(tokens: Sequence[TokenInfo], places: Sequence[int]) -> list[tuple[str, list[int]]]:
    """(a word's letters in lower case, its tokens), in order; marks stand in none."""
    found: list[tuple[str, list[int]]] = []
    is_open = False
    for place in places:
        text = tokens[place].text
        letters = "".join(filter(_is_letter, text.casefold()))
        if letters and is_open and _is_letter(text[0]):
            word, held = found[-1]
            found[-1] = (word + letters, [*held, place])
        elif letters:
            found.append((letters, [place]))
        is_open = bool(letters) and _is_letter(text[-1])
    return found


def _is_letter(character: str) -> bool:
    """A part of a character that several tokens make counts as one."""
    return character == "\ufffd" or unicodedata.category(character)[0] in "LMN"

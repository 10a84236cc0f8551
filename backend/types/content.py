"""Which tokens of an answer carry content: the ones to look at first.

Owns the rule. A token belongs to a word; a word carries content if it has a letter or digit, is not a function word
and does not occur in the question, which a model often repeats. If no such word is left, words of the question count
too; then any token. Which words answer the question is decided in `backend.identify.answers.spans`.
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


def content_positions(tokens: Sequence[TokenInfo]) -> tuple[int, ...]:
    """Positions of the answer's tokens that carry content, in order; of all its tokens if none does."""
    places = [place for place, token in enumerate(tokens) if token.role == "answer"]
    asked_words = {word for word, _ in _words(tokens, [n for n, token in enumerate(tokens) if token.role == "prompt"])}
    answer_words = [(word, at) for word, at in _words(tokens, places) if word not in FUNCTION_WORDS]
    new_words = [at for word, at in answer_words if word not in asked_words]
    for chosen in (new_words, [at for _, at in answer_words]):
        if chosen:
            return tuple(place for at in chosen for place in at)
    return tuple(places)


def _words(tokens: Sequence[TokenInfo], places: Sequence[int]) -> list[tuple[str, list[int]]]:
    """(letters in lower case, positions of the tokens) of each word, in order; punctuation belongs to no word."""
    words: list[tuple[str, list[int]]] = []
    is_inside_word = False
    for place in places:
        text = tokens[place].text
        letters = "".join(filter(_is_letter, text.casefold()))
        if letters and is_inside_word and _is_letter(text[0]):
            word, token_places = words[-1]
            words[-1] = (word + letters, [*token_places, place])
        elif letters:
            words.append((letters, [place]))
        is_inside_word = bool(letters) and _is_letter(text[-1])
    return words


def _is_letter(character: str) -> bool:
    """Whether it is a letter, mark or digit. U+FFFD counts: it stands for part of a character split over tokens."""
    return character == "\ufffd" or unicodedata.category(character)[0] in "LMN"

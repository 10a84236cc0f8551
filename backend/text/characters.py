"""Characters that several tokens make: shown at the token that completes them, with a mark at those before it.

Owns the rule. A tokenizer that reads bytes cuts most characters beyond Latin into two to four tokens, of which none is
text by itself. Bytes that never become a character are left as they are. Refuses to know a tokenizer: it is handed the
decoding of a few neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet."""
BEGUN = "⋯"
"""Stands for a token whose character a later one completes."""


def shown_bytes(piece: str) -> str | None:
    """A tokenizer's piece that is not text, as its bytes in hexadecimal, '⟨E6 9D⟩', whole characters among them as
    they are; None where the piece is spelled neither as GPT-2's byte letters nor as SentencePiece's '<0xE6>'.

    The letters are no text: the byte E6 is spelled 'æ', and read as such it would be another character.
    """
    fallback = re.fullmatch("<0x([0-9A-Fa-f]{2})>", piece)
    if fallback:
        raw = bytes.fromhex(fallback[1])
    elif piece and all(letter in _letters() for letter in piece):
        raw = bytes(_letters()[letter] for letter in piece)
    else:
        return None
    text = raw.decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]+", lambda run: f"⟨{' '.join(f'{ord(c) - 0xDC00:02X}' for c in run[0])}⟩", text)


@cache
def _letters() -> dict[str, int]:
    """GPT-2's letter -> byte."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return {letter: byte for byte, letter in bytes_to_unicode().items()}


def whole(ids: Sequence[int], texts: Sequence[str], decode: Callable[[Sequence[int]], str]) -> list[str | None]:
    """For each token of a run of broken ones the characters that it completes, '' where it completes none; None for
    every token that needs nothing: one that is text by itself, or bytes that never become any.

    Args:
        texts: each token decoded by itself.
        decode: several tokens together.
    """
    found: list[str | None] = [None] * len(ids)
    place = 0
    while place < len(ids):
        if BROKEN not in texts[place]:
            place += 1
            continue
        end, told = _run(ids[place:], texts[place:], decode)
        if told is not None:
            found[place : place + end] = told
        place += end
    return found


def _run(
    ids: Sequence[int], texts: Sequence[str], decode: Callable[[Sequence[int]], str]
) -> tuple[int, list[str | None] | None]:
    """(how many tokens are dealt with, what each completes; None where the first is bytes that never become whole)."""
    told: list[str | None] = []
    before = ""
    for count in range(1, len(ids) + 1):
        if BROKEN not in texts[count - 1]:
            return 1, None
        text = decode(ids[:count])
        finished = text.rstrip(BROKEN)
        if BROKEN in finished:
            # A break before the end stays one, whatever follows; behind it another run may begin.
            return 1, None
        told.append(finished[len(before) :])
        before = finished
        if finished == text:
            return count, told
    return 1, None

"""Characters that several tokens make: shown at the token that completes them, with a mark at those before it.

Owns the rule. A tokenizer that reads bytes cuts most characters beyond Latin into two to four tokens, none of which is
text by itself. Bytes that never become a character are left as they are. Refuses to know a tokenizer: the caller passes
a function that decodes neighbouring tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

BROKEN = "\ufffd"
"""What a decoder writes for bytes that are not a character, or not yet a complete one."""
BEGUN = "⋯"
"""Shown in place of a token whose character a later token completes."""


def shown_bytes(piece: str) -> str | None:
    """A tokenizer's piece that is not text, as its bytes in hexadecimal: '⟨E6 9D⟩'. Complete characters inside it are
    shown as text. None if the piece is spelled neither in GPT-2's byte letters nor as SentencePiece's '<0xE6>'.

    GPT-2's byte letters must not be shown as text: the byte E6 is spelled 'æ', which is another character.
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
    """GPT-2's letter for each byte -> that byte."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return {letter: byte for byte, letter in bytes_to_unicode().items()}


def completed_characters(
    ids: Sequence[int], texts: Sequence[str], decode: Callable[[Sequence[int]], str]
) -> list[str | None]:
    """For each token the characters that it completes, one entry for each of `ids`.

    '' for a token that only begins or continues a character; None for a token that is shown as it is: text by itself,
    or bytes that never become a character.

    Args:
        texts: each token decoded by itself.
        decode: decodes several tokens together.
    """
    completed: list[str | None] = [None] * len(ids)
    place = 0
    while place < len(ids):
        if BROKEN not in texts[place]:
            place += 1
            continue
        count, characters = _complete_first_run(ids[place:], texts[place:], decode)
        if characters is not None:
            completed[place : place + count] = characters
        place += count
    return completed


def _complete_first_run(
    ids: Sequence[int], texts: Sequence[str], decode: Callable[[Sequence[int]], str]
) -> tuple[int, list[str | None] | None]:
    """Reads the run of broken tokens at the start of `ids`.

    Returns:
        (how many tokens were read, the characters that each completes, or None if the first token's bytes never become
        a character)
    """
    characters: list[str | None] = []
    decoded_before = ""
    for count in range(1, len(ids) + 1):
        if BROKEN not in texts[count - 1]:
            return 1, None
        text = decode(ids[:count])
        decoded = text.rstrip(BROKEN)
        if BROKEN in decoded:
            # Broken bytes before the end stay broken, whatever follows; another run may begin behind them.
            return 1, None
        characters.append(decoded[len(decoded_before) :])
        decoded_before = decoded
        if decoded == text:
            return count, characters
    return 1, None

"""Whether an answer names what was asked for: right, wrong or uncertain, by one rule for every page and command.

The rule. Words are compared as `backend.text.matching` reads them: without case, accents and strokes, possessives and
particles ignored, numbers by value, scripts without spaces character by character.

1. An answer is uncertain if it has no word, or says that it does not know (`backend.text.hedges`), whatever else it
   says: "I am not sure, it may be Cairo." A hedge does not count inside a known answer's own name ("Tomb of the Unknown
   Soldier") or inside a title ("Unknown Pleasures").
2. It is right if a known answer stands in it as whole words, articles ignored, and is not denied at that place:
   "It is not Cairo" and "Giza rather than Cairo" do not name Cairo (`backend.text.denials`). Common spellings of the
   known answer count too, "St. Petersburg" or "World War 2" (`backend.text.spellings`). A name that is also a small
   word ("US", "He", "May") counts only if it is written as the name is.
3. Otherwise it is wrong.

Owns matching, normalisation and this rule. Refuses to judge meaning, and so errs: a denial further away ("Cairo?
Certainly not.") is not seen, of other languages only the most common hedges and denials are known, a name in another
order ("Obama, Barack") or with a middle name does not match, and in scripts without spaces a name matches inside
another name. This is why a person can overrule each verdict.
Source: Gao et al. 2025's code for the order (uncertain first, then the known answer); the evaluation of SQuAD
(Rajpurkar et al. 2016) for normalisation. That one removes punctuation without splitting words, and keeps accents; we
split, so that "Paris/France" is two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.text.denials import is_denied
from backend.text.hedges import hedges
from backend.text.matching import Token, fold, without_possessive
from backend.text.matching import read_tokens as read_tokens
from backend.text.spellings import ARTICLES, hyphen_joins, spellings_of
from backend.types.identify import Verdict


def words(text: str) -> list[str]:
    """The words of `text`, articles included, as they are compared."""
    return [token.key for token in read_tokens(text)]


def normalise(text: str) -> str:
    """`words` without a/an/the, joined by spaces; a last "a" behind another word stays, as in the name "Vitamin A"."""
    keys = words(text)
    bare = [word for word in keys if word not in ARTICLES]
    return " ".join([*bare, "a"] if bare and keys[-1] == "a" else bare)


def places(text: str, aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(start, stop) in characters of `text` for each alias in it; of several that begin at one place, the longest.

    Articles are ignored, except one that ends an alias. An alias that is empty without them ("the", "?") matches
    nothing.
    """
    tokens = read_tokens(text)
    return ((tokens[start].start, tokens[stop - 1].stop) for start, stop in _alias_places(text, tokens, aliases))


def matches(answer: str, aliases: Sequence[str]) -> bool:
    """Whether any of `aliases` stands in `answer` as whole words, denied or not."""
    return any(True for _ in places(answer, aliases))


def verdict(answer: str, aliases: Sequence[str]) -> Verdict:
    """The verdict on an answer, given the spellings of the known answer."""
    tokens = read_tokens(answer)
    if all(token.key in ARTICLES for token in tokens):
        return "uncertain"
    known = list(_alias_places(answer, tokens, aliases))
    if any(not any(start <= first and last <= stop for start, stop in known) for first, last in hedges(answer, tokens)):
        return "uncertain"
    return "right" if any(not is_denied(answer, tokens, *place) for place in known) else "wrong"


def aliases(typed: str) -> tuple[str, ...]:
    """The known answer's spellings as typed by a user: separated by "|", in order, without empty and repeated ones."""
    parts = (part.strip() for part in typed.split("|"))
    return tuple(dict.fromkeys(part for part in parts if normalise(part)))


SMALL = frozenset(
    [
        *("as", "at", "be", "am", "he", "in", "i", "it", "no", "so", "us", "or", "me", "who", "is", "was", "are", "of"),
        *("on", "to", "for", "by", "do", "does", "did", "has", "had", "will", "would", "may", "can", "could", "we"),
        *("you", "she", "they", "him", "her", "his", "its", "this", "that", "there", "which", "what", "also", "but"),
        *("if", "than", "then", "and", "not", "from", "with", "were", "la", "le", "el", "il", "al", "de", "da", "di"),
        *("du", "en", "es", "et", "un", "une", "des", "der", "die", "das", "oh", "hi", "ok"),
    ]
)
"""Words that count as a name only with the name's own capitals: US, WHO, IT, As, He, In, No, May, Will."""


def _alias_places(text: str, tokens: Sequence[Token], aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(start, stop) in `tokens` for each alias in the text; of several that begin at one place, the longest."""
    spellings = spellings_of(tuple(aliases), SMALL)
    for start, token in enumerate(tokens):
        candidates = [
            spelling
            for word in (token.key, *token.also, *hyphen_joins(text, tokens, start))
            for spelling in spellings.get(word, ())
        ]
        for spelling in sorted(candidates, key=len, reverse=True):
            stop = _end_of_spelling(text, tokens, start, spelling)
            if stop is not None and (stop - start > 1 or _is_meant(text, tokens, start, aliases)):
                yield start, stop
                break


def _is_meant(text: str, tokens: Sequence[Token], place: int, aliases: Sequence[str]) -> bool:
    """Whether a small word is meant as a name: "US", not "us"; "He" in "The symbol is He.", not in "He is a man"."""
    token = tokens[place]
    raw = without_possessive(text[token.start : token.stop])
    if fold(raw) not in SMALL or len(tokens) == 1:
        return True
    names = {_bare_name(alias) for alias in aliases if _bare_name(alias).casefold() == fold(raw)}
    if not names or any(alias.islower() for alias in names):
        return True
    if raw not in names:
        return False
    before, behind = text[max(0, token.start - 4) : token.start].rstrip()[-1:], text[token.stop : token.stop + 2]
    is_begun = before in ("", ".", "!", "?", ":") or raw == "I"
    return (len(raw) > 1 and raw.isupper()) or not is_begun or not re.match(r"\s\w", behind)


def _bare_name(alias: str) -> str:
    """A name as it is written, without article and full stops: "Who" of "The Who", "US" of "U.S."."""
    return re.sub(r"^(?:a|an|the)\s+|[.\s]", "", alias.strip(), flags=re.IGNORECASE)


def _end_of_spelling(text: str, tokens: Sequence[Token], start: int, spelling: Sequence[Token]) -> int | None:
    """The place behind the last word of `spelling` if it stands in `tokens` from `start` on, else None."""
    place = start
    for word in spelling:
        while (
            place < len(tokens)
            and not (count := _count_matched(text, tokens, place, word.key))
            and tokens[place].key in ARTICLES
        ):
            place += 1
        if place == len(tokens) or not count:
            return None
        place += count
    if len(spelling) == len(spelling[0].key) == 1 and spelling[0].is_character and not _stands_alone(tokens, start):
        return None
    is_within = spelling[-1].key in _KINDS and _touches(tokens, start - 1) and tokens[start - 1].key not in _KANA
    return None if is_within else place


def _count_matched(text: str, tokens: Sequence[Token], place: int, word: str) -> int:
    """How many tokens from `place` on match `word`: several if hyphens join them, 0 if they do not match."""
    if word in (tokens[place].key, *tokens[place].also):
        return 1
    return hyphen_joins(text, tokens, place).get(word, 0)


_KINDS = frozenset("都府県县市州省国國道区區")
"""Characters that end the name of a place: a name that ends so does not match behind another character, so 京都 does
not match in 東京都."""
_KANA = frozenset(map(chr, range(0x3041, 0x3097)))
_FUNCTION_CHARACTERS = frozenset("だ是为為的在叫和与與或即了也就不很名称稱用于於には和がのですをでと中")


def _stands_alone(tokens: Sequence[Token], place: int) -> bool:
    """Whether a name of one character stands by itself, and not inside a longer word as 金 does in 旧金山."""
    return not _touches(tokens, place - 1) and not _touches(tokens, place)


def _touches(tokens: Sequence[Token], place: int) -> bool:
    """Whether the characters at `place` and behind it may belong to one word: nothing stands between them, and neither
    is a function word such as 是."""
    if not 0 <= place < len(tokens) - 1:
        return False
    pair = tokens[place : place + 2]
    together = pair[0].stop == pair[1].start and all(token.is_character for token in pair)
    return together and not any(token.key in _FUNCTION_CHARACTERS for token in pair)

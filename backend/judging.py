"""Whether an answer names what was asked for: right, wrong or uncertain, by one rule for every page and command.

The rule. Words are compared as `backend.spelling` reads them: without case, accents and strokes, possessives and
particles set aside, numbers by value, scripts without spaces by their characters.

1. An answer is uncertain if it has no word, or says that it does not know (`HEDGES`), whatever else it says: "I am not
   sure, it may be Cairo." A hedge inside a known answer's own name ("Tomb of the Unknown Soldier") is none, and neither
   is "not known for", nor one that an article parts ("not a known alloy").
2. It is right if a known answer stands in it as whole words, articles passed over, and is not denied right there:
   "It is not Cairo" and "Giza rather than Cairo" do not name Cairo.
3. Else it is wrong.

Owns matching, normalisation and this rule. Refuses to judge meaning: a denial further off ("Cairo? Certainly not.")
still matches, hedges are English, and in scripts without spaces a name inside another one is found. So a person can
overrule each verdict.
Source: Gao et al. 2025's code for the order (uncertain first, then the known answer); the evaluation of SQuAD
(Rajpurkar et al. 2016) for normalisation, which removes punctuation without parting words and keeps accents; we part,
so that "Paris/France" holds two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from backend.spelling import Token, tokens
from backend.types.identify import Verdict

ARTICLES = frozenset({"a", "an", "the"})
_SAYING = (
    "say|tell|answer|provide|determine|confirm|verify|recall|remember|be (?:sure|certain|determined|known|confirmed|"
    "verified|answered|found|identified|said)|know|specify|respond"
)
_DOING = "find|give|identify|help|access|assist|speak|guess|name"
"""What anybody may have been unable to do once: a hedge in the past only where the one who answers says it."""
_ADVERBS = (
    "(?:(?:explicitly|currently|yet|publicly|clearly|entirely|exactly|really|quite|completely|fully|directly|"
    "specifically|actually|been|being|so|too|very|at all|100|even) )*"
)
HEDGES = (
    rf"(?:do not|dont|does not|doesnt|did not|didnt) {_ADVERBS}(?:know|recall|remember)",
    rf"(?:do not|dont) have {_ADVERBS}(?:any |enough |sufficient |the |access|that |specific )*"
    "(?:information|data|access|knowledge|context|details)",
    rf"(?:cannot|can not|cant|unable to|not able to) {_ADVERBS}(?:{_SAYING}|{_DOING})",
    rf"(?:could not|couldnt) {_ADVERBS}(?:{_SAYING})|(?:i|we) (?:could not|couldnt) {_ADVERBS}(?:{_DOING})",
    rf"(?:not|isnt|wasnt|arent|werent) {_ADVERBS}(?:provided|specified|mentioned|stated|disclosed|documented)",
    rf"(?:not|isnt|wasnt|im not|arent|werent) {_ADVERBS}(?:sure|certain|clear)(?! footed)(?! cut)",
    rf"(?:not|isnt|wasnt|arent|werent) {_ADVERBS}known"
    r"(?! (?:for(?! certain| sure)|as|by|to (?:be|have|do|play|speak|make|exist))\b)",
    rf"(?:not|im not) {_ADVERBS}aware",
    "no (?:(?:reliable |specific |available )?information|idea|data|details|public record)",
    "(?:there (?:is|are|was|were) )no records?|no records? (?:of|that|exists?)|have no records?",
    "(?:no one|nobody) (?:really |actually )?knows",
    "im (?:so |very |really )?sorry|i am (?:so |very |really )?sorry|i apologi[sz]e|my apologies",
    "as an ai|unclear|unknown|uncertain|unsure|more context",
    "(?:hard|difficult|impossible) to (?:say|tell|know|determine)",
    "(?:please|could you|can you|would you|need to) clarify",
    "clarify (?:the|your|what|which) (?:question|request|mean|you)",
)
"""What an answer says that does not know, over its words in a row, articles kept."""
_HEDGE = re.compile(rf"(?<!\S)(?:{'|'.join(HEDGES)})(?!\S)")
_DENIAL = re.compile(
    r"(?<!\S)(?:not|never|neither|nor|isnt|wasnt|arent|werent|no longer|rather than|instead of|other than)"
    r"(?: (?:in|at|from|by|called|named|actually|really))?(?: (?:a|an|the))?$"
)


def words(text: str) -> list[str]:
    """The words of `text`, articles too, as they are compared."""
    return [token.key for token in read(text)]


def normalise(text: str) -> str:
    """`words` without a/an/the, single spaces; a last "a" behind another word stays: a name ends so ("Vitamin A")."""
    every = words(text)
    bare = [word for word in every if word not in ARTICLES]
    return " ".join([*bare, "a"] if bare and every[-1] == "a" else bare)


def places(text: str, aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Characters of `text` where an alias stands, at each place the longest that begins there.

    Articles are passed over, save the one that ends an alias. An alias of which nothing is left ("the", "?") stands
    nowhere.
    """
    held = read(text)
    return ((held[start].start, held[stop - 1].stop) for start, stop in _found(held, aliases))


def matches(answer: str, aliases: Sequence[str]) -> bool:
    """Whether any of `aliases` stands in `answer` as whole words, denied or not."""
    return any(True for _ in places(answer, aliases))


def verdict(answer: str, aliases: Sequence[str]) -> Verdict:
    """What the rule says of an answer whose known spellings are `aliases`."""
    held = read(answer)
    if all(token.key in ARTICLES for token in held):
        return "uncertain"
    known = list(_found(held, aliases))
    if any(not any(start <= first and last <= stop for start, stop in known) for first, last in _hedged(held)):
        return "uncertain"
    return "right" if any(not _is_denied(answer, held, start) for start, _ in known) else "wrong"


def aliases(typed: str) -> tuple[str, ...]:
    """The known answer's spellings from what was typed: apart by "|", blank ones dropped, in order."""
    parts = (part.strip() for part in typed.split("|"))
    return tuple(dict.fromkeys(part for part in parts if normalise(part)))


# An answer's words are asked for by the verdict, the words that answer and the counts.
@lru_cache(maxsize=4096)
def read(text: str) -> tuple[Token, ...]:
    """The words of `text` with where they stand."""
    return tuple(tokens(text))


def _hedged(held: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """From which word to which the answer says that it does not know."""
    joined = " ".join(token.key for token in held)
    for match in _HEDGE.finditer(joined):
        first = joined.count(" ", 0, match.start())
        yield first, first + match.group().count(" ") + 1


def _is_denied(answer: str, held: Sequence[Token], start: int) -> bool:
    """Whether "not" and its like stand right before this word, with no mark between but quotes."""
    first = max(0, start - 5)
    while first < start and re.search(r"[,.;:!?()\n]", answer[held[first].stop : held[start].start]):
        first += 1
    return bool(_DENIAL.search(" ".join(token.key for token in held[first:start])))


# The same question's aliases are asked for once for each of its answers.
@lru_cache(maxsize=1024)
def _spellings(aliases: tuple[str, ...]) -> dict[str, list[tuple[Token, ...]]]:
    """First word -> the aliases that begin with it, without articles, longest first."""
    found: dict[str, list[tuple[Token, ...]]] = {}
    for alias in sorted(set(aliases)):
        every = read(alias)
        bare = tuple(token for token in every if token.key not in ARTICLES)
        if bare and every[-1].key == "a":
            bare = (*bare, every[-1])
        if bare:
            found.setdefault(bare[0].key, []).append(bare)
    return {first: sorted(held, key=len, reverse=True) for first, held in found.items()}


def _found(held: Sequence[Token], aliases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From which of the words to which an alias stands, at each place the longest that begins there."""
    spellings = _spellings(tuple(aliases))
    for start, token in enumerate(held):
        begun = [one for word in (token.key, *token.also) for one in spellings.get(word, ())]
        for spelling in sorted(begun, key=len, reverse=True):
            stop = _end(held, start, spelling)
            if stop is not None:
                yield start, stop
                break


def _end(held: Sequence[Token], start: int, spelling: Sequence[Token]) -> int | None:
    """Behind the last word of `spelling` where it stands in `held` from `start`; None where it does not."""
    place = start
    for word in spelling:
        while (
            place < len(held) and word.key not in (held[place].key, *held[place].also) and held[place].key in ARTICLES
        ):
            place += 1
        if place == len(held) or word.key not in (held[place].key, *held[place].also):
            return None
        place += 1
    if len(spelling) == 1 and spelling[0].is_character and not _stands_alone(held, start):
        return None
    return None if spelling[-1].key in _KINDS and _touches(held, start - 1) else place


_KINDS = frozenset("都府県县市州省国國道区區")
"""Characters that end a place's name and begin no other: 京都 is not in 東京都."""
_FRAMES = frozenset("是为為的在叫和与與或即了也就不很名称稱用于於には和がのですをでと中")


def _stands_alone(held: Sequence[Token], place: int) -> bool:
    """Whether a name of one character is one, or part of a longer word, as 金 is of 旧金山."""
    return not _touches(held, place - 1) and not _touches(held, place)


def _touches(held: Sequence[Token], place: int) -> bool:
    """Whether this character and the next stand together, and neither is one of a sentence's frame, as 是."""
    if not 0 <= place < len(held) - 1:
        return False
    pair = held[place : place + 2]
    together = pair[0].stop == pair[1].start and all(token.is_character for token in pair)
    return together and not any(token.key in _FRAMES for token in pair)

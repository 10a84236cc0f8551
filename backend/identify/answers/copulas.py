"""Words that lead to an answer but are not a part of it: "is" in other languages, "call", "named after", "Sure!".

Owns which words these are. They are read as function words, so that a phrase ends at them. Does not choose among
phrases (`phrases`). Leaves out verbs that are as often nouns ("war", "son", "era"). The rule `blind`, which is for
English only, does not use it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

import regex

from backend.identify.answers.denials import denials
from backend.identify.answers.wording import Span, Word, words_of

_CALLING = re.compile(r"\bcalls?(?= (?:the|an?|this|that|it|him|her|them|these|its|his|their)\b)")
_AFTER = re.compile(r"\b(?:named|called)(?= (?:after|for)\b)")
_OPENING = re.compile(
    r"\A\W*(?:(?:sure|certainly|absolutely|of course|(?:that is|that's|what) an? \w+ question"
    r"|(?:great|good|excellent|interesting) question)\s*[!.]\s+)+(?=\w)",
    re.IGNORECASE,
)
"""The beginning of a polite answer; an answer that consists of nothing else is left as it is."""
_EQUALS = re.compile(r"\bequals(?= [\d-])")
_SYMBOL = re.compile(r"(?:(?<= is)|(?<=[:=])) (?:He|In|As|At|Be|Am|Es)(?=\W*(?:[.\n]|\Z))")
"""A chemical symbol that is elsewhere a common word, at the end of the clause that names it."""
_COPULAS = regex.compile(
    r"(?<!\S)(?:ist|sind|hei(?:ß|ss)t|hieß|est|était|sont|(?:s['\u2019]|se )(?:appelle|nomme)|es|fue|se (?:llama|chama)"
    r"|è|é|foi|são|si chiama|heet|är|heter|jest|adalah|ialah)(?!\S)"
    r"|\b(?:это|является|называется|είναι|هو|هي|است|הוא|היא|है|हैं)\b"
    r"|คือ|叫[做作]|名[叫为為]|称为|稱為|(?<=\p{Han})叫(?=\p{Han})"
    r"|(?:です|でした|である|であった|だった|だ)(?=\W*(?:[\n.!?\u3002\uff01\uff1f\uff0e]|\Z))"
)
"""Words for "is" in other languages, in lower case; the Japanese ones at the end of a sentence."""
_KOREAN = re.compile(r"(?:이었습니다|였습니다|입니다|이에요|예요|이다)\Z")
"""Korean forms of "is", at the end of a word."""
_DENYING = dict.fromkeys(
    [
        *("isn't", "wasn't", "aren't", "weren't", "isn\u2019t", "wasn\u2019t", "aren\u2019t", "weren\u2019t"),
        *("n'est", "n\u2019est", "es", "fue", "è", "é", "foi", "是"),
    ],
    ("is",),
)
"""Those of the words that deny which also mean "is"."""
_RATHER = re.compile(r"(?<=\bbut )(?:rather|instead)\b")

_READ = (
    (_COPULAS, "is"),
    (_EQUALS, "is"),
    (_CALLING, "known"),
    (_AFTER, "known"),
    (_OPENING, "known"),
    (_RATHER, "known"),
)
"""(pattern, the word as which it is read)."""


def read_words(response: str) -> list[Word]:
    """The words of a response. Words that mean "is" are read as "is"; "call" before a name, "named" before "after" and
    a polite beginning are read as function words; a chemical symbol is read as a word in quotes.
    """
    words = words_of(response)
    begins = [word.start for word in words]
    for pattern, piece in _READ:
        for match in pattern.finditer(response):
            for place in range(bisect_left(begins, match.start()), bisect_left(begins, match.end())):
                words[place] = replace(words[place], pieces=(piece,), also=frozenset())
    for part in (part for pair in denials(response) for part in pair):
        for place in range(bisect_left(begins, part.start), bisect_left(begins, part.end)):
            words[place] = replace(words[place], pieces=_DENYING.get(words[place].raw, ("known",)), also=frozenset())
    for match in _SYMBOL.finditer(response):
        place = bisect_left(begins, match.start())
        words[place] = replace(words[place], is_quoted=True)
    return words


def without_verb(response: str, span: Span) -> Span:
    """A phrase without the Korean "is" at the end of its last word: 서울 of 서울입니다."""
    verb = _KOREAN.search(response, span.start, span.end)
    return Span(span.start, verb.start()) if verb and verb.start() > span.start else span

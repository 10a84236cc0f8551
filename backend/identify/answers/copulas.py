"""Words that lead to an answer, set apart from it: what means "is" in other languages, "call", "named after", "Sure!".

Owns which words these are. They are read as words that say nothing, so that a phrase ends at them. Refuses to choose
among phrases (`phrases`), verbs that are nouns as often ("war", "son", "era"), and the rule `blind`, which keeps to
English.
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
"""What a polite answer begins with; all of one that says nothing else stays."""
_EQUALS = re.compile(r"\bequals(?= [\d-])")
_SYMBOL = re.compile(r"(?:(?<= is)|(?<=[:=])) (?:He|In|As|At|Be|Am|Es)(?=\W*(?:[.\n]|\Z))")
"""A chemical symbol that is a small word otherwise, as the last word of what says so."""
_COPULAS = regex.compile(
    r"(?<!\S)(?:ist|sind|hei(?:ß|ss)t|hieß|est|était|sont|(?:s['\u2019]|se )(?:appelle|nomme)|es|fue|se (?:llama|chama)"
    r"|è|é|foi|são|si chiama|heet|är|heter|jest|adalah|ialah)(?!\S)"
    r"|\b(?:это|является|называется|είναι|هو|هي|است|הוא|היא|है|हैं)\b"
    r"|คือ|叫[做作]|名[叫为為]|称为|稱為|(?<=\p{Han})叫(?=\p{Han})"
    r"|(?:です|でした|である|であった|だった|だ)(?=\W*(?:[\n.!?\u3002\uff01\uff1f\uff0e]|\Z))"
)
"""What stands for "is" in other languages, in small letters; Japanese at the end of its sentence."""
_KOREAN = re.compile(r"(?:이었습니다|였습니다|입니다|이에요|예요|이다)\Z")
"""The same at the end of a word."""
_DENYING = dict.fromkeys(
    [
        *("isn't", "wasn't", "aren't", "weren't", "isn\u2019t", "wasn\u2019t", "aren\u2019t", "weren\u2019t"),
        *("n'est", "n\u2019est", "es", "fue", "è", "é", "foi", "是"),
    ],
    ("is",),
)
"""Of the words that deny, those that mean "is" too."""
_RATHER = re.compile(r"(?<=\bbut )(?:rather|instead)\b")

_READ = (
    (_COPULAS, "is"),
    (_EQUALS, "is"),
    (_CALLING, "known"),
    (_AFTER, "known"),
    (_OPENING, "known"),
    (_RATHER, "known"),
)
"""What is read as another word."""


def read_words(response: str) -> list[Word]:
    """The words of a response: those that mean "is" read as that; "call" before what is called so, "named" before
    whom it is named after and what a polite answer begins with as a word that says nothing; a chemical symbol as one.
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

"""Denials: whether an answer names a thing only to deny it: "It is not Cairo", "Cairo is incorrect".

Owns the phrases and this rule. A denial stands directly before the name ("It isn't known as Cairo", "anything but
Cairo", "I doubt it's Cairo"), or directly behind it if the name begins its clause ("Cairo is not the capital."). Only
quotes may stand between them. Contractions are read as their long forms (`backend.text.contractions`). Refuses to read
further. Behind a name only "not right", "wrong" and similar words deny it, or "not the ..." if the sentence does not go
on to say what the name is ("Cairo is not the largest city; it is the capital" is no denial). "Did not" denies a place
or time ("He did not live in Cairo") but not an object ("He did not know Cairo").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from backend.text.contractions import long_form
from backend.text.matching import Token, iterate_tokens

_PARTED = re.compile(r"[,.;:!?()\n\u3001\u3002\uff0c\uff1b\uff01\uff1f]")
_ASIDE = r"(?: (?:actually|really|quite|exactly|precisely|truly|even|at all))?"
_PLACES = "(?:in|at|from|near|to|into|on)"
_KINDS = (
    "(?:city|town|village|state|county|province|region|country|kingdom|republic|island|continent|planet|month|year)"
)
_DONE = r"(?:[a-z]+(?:ed|tten|wn)|made|born|found|built|held|won|sung|led|set|spoken)"
_NOT = (
    # "Did not" needs a verb behind it, and "cannot" with a place does not deny that the thing is there.
    r"(?:(?:(?<!do )(?<!does )(?<!did )(?<!can )(?<!could )not|never|neither|nor|no longer|rather than|instead of"
    r"|(?<!none )(?<!no )other than|hardly|scarcely|by no means|in no way|(?<!not )unlike"
    r"|as opposed to|far from being|(?:is|was|are|were) nothing like)(?: be| been| have been)?"
    rf"(?:(?: (?:widely|commonly|usually|generally|officially))? {_DONE}(?= (?:in|at|by|as)(?: |$)))?"
    r"|(?:can|could) not (?:be|have been))"
)
_IT_IS = (
    r"(?: (?:that|if|whether))?(?: (?:it|this|that|he|she|they|the answer))"
    r"(?: (?:is|was|are|were|could be|would be|can be|might be))"
)
_UNLIKELY = (
    rf"(?:i|we|really|highly|seriously|strongly) doubt{_IT_IS}"
    rf"|(?:do|did|would|can) not (?:think|believe|suppose|imagine){_IT_IS}"
    rf"|(?:(?<!not )(?:unlikely|improbable|doubtful|impossible)|(?:not|hardly) (?:likely|probable|possible|true))"
    rf"(?: to (?:be|have been)|{_IT_IS})"
)
_DENIAL = (
    rf"(?:{_NOT}|{_UNLIKELY}|(?:do|does|did) (?:not|never) [a-z]+(?= {_PLACES}(?: |$)))"
    rf"{_ASIDE}(?: (?:by|as|called|named|{_PLACES}))?"
    rf"(?: (?:\S+ ){{1,3}}or)?(?: (?:a|an|the)(?: {_KINDS} of(?: the)?)?)?"
)
"""Denial before a name, with contractions as their long forms."""
_ALL = r"(?:all|any(?:thing|one|body|where)?|every(?:thing|one|body|where)?)"
_EXCEPT = re.compile(
    rf"(?<!\S)(?:{_ALL} (?:except(?: for)?|but|save|apart from)|(?:any|every) \S+ (?:except(?: for)?|but))(?: the)?$"
)
""" "All but Cairo" denies Cairo; "nothing but Cairo" and "not ... anything but Cairo" affirm it."""
_NEGATIVE = frozenset({"not", "never", "no", "nothing", "nobody", "hardly", "without"})
_ADORNED = re.compile(
    rf"(?<!\S)(?:is|was|are|were|be) (?:not|never|hardly|scarcely|by no means|in no way){_ASIDE}(?: {_PLACES})? the "
    r"(?!(?:only|first|last|same|sole|\S+est)$)[a-z]+$"
)
"""Denial with one word before the name, "It's not the beautiful Paris": counts only if the name ends its clause."""
_LEADING = frozenset(
    {
        "because",
        "though",
        "the",
        "a",
        "an",
        "no",
        "well",
        "so",
        "and",
        "but",
        "i",
        "think",
        "believe",
        "that",
        "actually",
    }
)
"""Words that may stand before a name that still begins its clause."""
_REFUTED = re.compile(
    rf"(?:is|was|are|were|would be|must be)(?: (?:definitely|clearly|certainly|obviously|also|just|simply))?"
    rf"(?: not(?= [.])"
    rf"| (?:not|never|no longer){_ASIDE} (?:(?:right|correct|true|accurate)(?= [.]| (?:for|as|here|because|since))"
    rf"|the (?!(?:only|first|last|same|sole|most|least|best|worst|\S+est) )\S+)"
    rf"|{_ASIDE} (?:incorrect|wrong|false|untrue|inaccurate)(?= [.]| (?:for|as|here|because|since)))"
)
"""Denial behind a name: "is not the capital", "is wrong"."""
_INSTEAD = re.compile(
    r"(?<!\S)(?:but|rather|instead|it|he|she|they|this)(?: (?:is|was|are|were))?"
    r"(?: (?:still|also|only|indeed|actually|really|rather))? (?:a|an|the|one|its|in)(?!\S)"
)
"""Words that go on to say what the name is, so that it is not denied: "but it is the capital"."""
_AFFIRMING = frozenset({"until", "till", "alone", "only"})
"""Words behind a name that turn the denial into an affirmation: "He did not live in Paris until 1920"."""
_NEAR, _FAR = 10, 24
"""How many words before and behind a name are searched."""
OTHER_DENIALS = (
    *("不是", "并非", "並非", "不在", "不叫", "ไม่ใช่", "không phải", "không phải là", "bukan", "ليس", "ليست"),
    *("ليس في", "не", "не в", "ни", "nicht", "nicht in", "kein", "keine", "n'est pas", "n'était pas", "no es"),
    *("no fue", "no era", "non è", "non era", "não é", "não foi", "niet", "niet in", "nie", "inte", "ikke"),
    *(
        "δεν είναι",
        "δεν είναι η",
        "δεν είναι ο",
        "δεν είναι το",
        "לא",
        "אינה",
        "אינו",
        "pas",
        "est pas",
        "c'est pas",
        "est pas à",
        "est pas en",
        "était pas",
        "no en",
        "no está en",
    ),
    *("não em", "non in", "geen", "inte i", "ikke i", "nie jest", "nie był", "nie była", "není", "nebyl", "nebyla"),
    *("nie je", "nu este", "nu e", "nem", "ei ole", "ei ollut", "не е", "није"),
)
"""Denials before a name in other languages, as they are written."""
DENIED_BEHIND = (
    *("ではありません", "ではない", "ではなく", "じゃない", "じゃありません", "じゃなく"),
    *("아니다", "아닙니다", "아니라", "아니에요", "아니고", "değil", "değildir", "नहीं", "نیست"),
)
"""Denials behind a name in other languages, as they are written."""


@lru_cache(maxsize=1)
def _denial_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(denials before a name in any language, denials behind a name in other languages) for words joined by spaces."""

    def any_of(phrases: Sequence[str]) -> str:
        return "|".join(re.escape(" ".join(token.key for token in iterate_tokens(phrase))) for phrase in phrases)

    return (
        re.compile(rf"(?<!\S)(?:{_DENIAL}|{any_of(OTHER_DENIALS)})$"),
        re.compile(rf"(?:{any_of(DENIED_BEHIND)})(?!\S)"),
    )


def is_denied(answer: str, tokens: Sequence[Token], start: int, stop: int) -> bool:
    """Whether the answer denies the name at words `start` to `stop` of its `tokens`, directly before or behind it."""
    first = start
    while first > max(0, start - _NEAR) and not _is_after_mark(answer, tokens, first):
        first -= 1
    before, behind = " ".join(_long_forms(tokens[first:start])), _words_behind(answer, tokens, stop)
    denial, denied = _denial_patterns()
    if behind.split(" ", 1)[0] in _AFFIRMING:
        return False
    if denial.search(before) or denied.match(behind) or _is_after_not_colon(answer, tokens, start):
        return True
    if _EXCEPT.search(before) and not _NEGATIVE & set(before.split()):
        return True
    if _ADORNED.search(before) and behind.startswith("."):
        return True
    refuted = _REFUTED.match(behind) if set(before.split()) <= _LEADING else None
    return refuted is not None and not _INSTEAD.search(behind, refuted.end())


def _long_forms(tokens: Sequence[Token]) -> list[str]:
    """The words, contractions as their long forms."""
    return [word for token in tokens for word in long_form(token)]


def _is_after_mark(answer: str, tokens: Sequence[Token], place: int) -> bool:
    """Whether a punctuation mark stands directly before the word at `place`."""
    return place > 0 and bool(_PARTED.search(answer[tokens[place - 1].stop : tokens[place].start]))


def _words_behind(answer: str, tokens: Sequence[Token], stop: int) -> str:
    """The words behind a name, with "." for each punctuation mark between them and one at the end."""
    words: list[str] = []
    for place in range(stop, min(len(tokens), stop + _FAR)):
        words += [*(["."] if _is_after_mark(answer, tokens, place) else []), *long_form(tokens[place])]
    return " ".join([*words, "."])


def _is_after_not_colon(answer: str, tokens: Sequence[Token], start: int) -> bool:
    """Whether the name at `start` stands directly behind "is not:"."""
    last_two = _long_forms(tokens[max(0, start - 2) : start])[-2:]
    is_not = len(last_two) == 2 and last_two[0] in ("is", "was", "are", "were") and last_two[1] == "not"
    return is_not and answer[tokens[start - 1].stop : tokens[start].start].strip("\"'\u201c\u201d*_ ") == ":"

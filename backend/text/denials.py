"""Denials: whether a name stands in an answer only to be denied: "It is not Cairo", "Cairo is incorrect".

Owns the phrases and this rule. A denial stands right before the name ("It isn't known as Cairo", "anything but Cairo",
"I doubt it's Cairo") or right behind it where the name begins its part ("Cairo is not the capital."), with no mark
between but quotes. Contractions are read as their long forms (`backend.text.contractions`). Refuses to read further:
behind a name only "right", "wrong" and their like, or "not the ..." with nothing said of the name instead, deny it
("Cairo is not the largest city; it is the capital" does not); "did not" denies a place or time ("He did not live in
Cairo") and no object ("He did not know Cairo").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from backend.text.contractions import long_form
from backend.text.matching import Token, tokens

_PARTED = re.compile(r"[,.;:!?()\n\u3001\u3002\uff0c\uff1b\uff01\uff1f]")
_ASIDE = r"(?: (?:actually|really|quite|exactly|precisely|truly|even|at all))?"
_PLACES = "(?:in|at|from|near|to|into|on)"
_KINDS = (
    "(?:city|town|village|state|county|province|region|country|kingdom|republic|island|continent|planet|month|year)"
)
_DONE = r"(?:[a-z]+(?:ed|tten|wn)|made|born|found|built|held|won|sung|led|set|spoken)"
_NOT = (
    # "Did not" needs its verb, and what "cannot" be done in a place may still be there.
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
"""What stands before a name that is denied, contractions as their long forms."""
_ALL = r"(?:all|any(?:thing|one|body|where)?|every(?:thing|one|body|where)?)"
_EXCEPT = re.compile(
    rf"(?<!\S)(?:{_ALL} (?:except(?: for)?|but|save|apart from)|(?:any|every) \S+ (?:except(?: for)?|but))(?: the)?$"
)
"""All but a name is not that name; "nothing but" it is, and so is "not ... anything but"."""
_NEGATIVE = frozenset({"not", "never", "no", "nothing", "nobody", "hardly", "without"})
_ADORNED = re.compile(
    rf"(?<!\S)(?:is|was|are|were|be) (?:not|never|hardly|scarcely|by no means|in no way){_ASIDE}(?: {_PLACES})? the "
    r"(?!(?:only|first|last|same|sole|\S+est)$)[a-z]+$"
)
"""One word between, as in "It's not the beautiful Paris": a denial where the name ends its part."""
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
"""What may stand before a name that begins its part."""
_REFUTED = re.compile(
    rf"(?:is|was|are|were|would be|must be)(?: (?:definitely|clearly|certainly|obviously|also|just|simply))?"
    rf"(?: not(?= [.])"
    rf"| (?:not|never|no longer){_ASIDE} (?:(?:right|correct|true|accurate)(?= [.]| (?:for|as|here|because|since))"
    rf"|the (?!(?:only|first|last|same|sole|most|least|best|worst|\S+est) )\S+)"
    rf"|{_ASIDE} (?:incorrect|wrong|false|untrue|inaccurate)(?= [.]| (?:for|as|here|because|since)))"
)
"""What stands behind a name that is said not to be what was asked for."""
_INSTEAD = re.compile(
    r"(?<!\S)(?:but|rather|instead|it|he|she|they|this)(?: (?:is|was|are|were))?"
    r"(?: (?:still|also|only|indeed|actually|really|rather))? (?:a|an|the|one|its|in)(?!\S)"
)
"""What goes on to say what the name is after all."""
_AFFIRMING = frozenset({"until", "till", "alone", "only"})
"""What behind a name says that it holds after all: "He did not live in Paris until 1920"."""
_NEAR, _FAR = 10, 24
"""How many words before and behind a name are looked at."""
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
"""What stands before a name that is denied, as it is written."""
DENIED_BEHIND = (
    *("ではありません", "ではない", "ではなく", "じゃない", "じゃありません", "じゃなく"),
    *("아니다", "아닙니다", "아니라", "아니에요", "아니고", "değil", "değildir", "नहीं", "نیست"),
)
"""What stands behind a name that is denied, in languages that deny so."""


@lru_cache(maxsize=1)
def _denials() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(denials before a name, denials behind it) over words in a row, in every language."""

    def any_of(phrases: Sequence[str]) -> str:
        return "|".join(re.escape(" ".join(token.key for token in tokens(phrase))) for phrase in phrases)

    return (
        re.compile(rf"(?<!\S)(?:{_DENIAL}|{any_of(OTHER_DENIALS)})$"),
        re.compile(rf"(?:{any_of(DENIED_BEHIND)})(?!\S)"),
    )


def is_denied(answer: str, held: Sequence[Token], start: int, stop: int) -> bool:
    """Whether the words `start` to `stop` of `held`, an answer's words, are denied right there."""
    first = start
    while first > max(0, start - _NEAR) and not _is_parted(answer, held, first):
        first -= 1
    before, behind = " ".join(_long(held[first:start])), _behind(answer, held, stop)
    denial, denied = _denials()
    if behind.split(" ", 1)[0] in _AFFIRMING:
        return False
    if denial.search(before) or denied.match(behind) or _is_told_not(answer, held, start):
        return True
    if _EXCEPT.search(before) and not _NEGATIVE & set(before.split()):
        return True
    if _ADORNED.search(before) and behind.startswith("."):
        return True
    refuted = _REFUTED.match(behind) if set(before.split()) <= _LEADING else None
    return refuted is not None and not _INSTEAD.search(behind, refuted.end())


def _long(held: Sequence[Token]) -> list[str]:
    return [word for token in held for word in long_form(token)]


def _is_parted(answer: str, held: Sequence[Token], place: int) -> bool:
    """Whether a mark stands before this word."""
    return place > 0 and bool(_PARTED.search(answer[held[place - 1].stop : held[place].start]))


def _behind(answer: str, held: Sequence[Token], stop: int) -> str:
    """The words behind a name, "." for the marks between them and at their end."""
    told: list[str] = []
    for place in range(stop, min(len(held), stop + _FAR)):
        told += [*(["."] if _is_parted(answer, held, place) else []), *long_form(held[place])]
    return " ".join([*told, "."])


def _is_told_not(answer: str, held: Sequence[Token], start: int) -> bool:
    """Whether a name stands behind "is not:"."""
    words = _long(held[max(0, start - 2) : start])[-2:]
    is_not = len(words) == 2 and words[0] in ("is", "was", "are", "were") and words[1] == "not"
    return is_not and answer[held[start - 1].stop : held[start].start].strip("\"'\u201c\u201d*_ ") == ":"

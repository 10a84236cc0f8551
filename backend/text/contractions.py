"""English contractions as their long forms, so that a phrase is written once: "I've" is "I have", "can't" "can not".

Owns which word is a contraction. A contraction that without its apostrophe is another word ("we'll" and "well", "it's"
and "its") counts only where the apostrophe is written. Refuses to read the meaning: "he's gone" becomes "he is gone",
and "he'd gone" becomes "he would gone".
"""

from __future__ import annotations

from backend.text.matching import Token

_BEFORE_NOT = (
    *("do", "does", "did", "is", "was", "are", "were", "has", "have", "had", "could", "would", "should", "might"),
    *("must", "need"),
)
_LONG = {
    **{f"{verb}nt": (verb, "not") for verb in _BEFORE_NOT},
    **dict.fromkeys(("cannot", "cant"), ("can", "not")),
    **{"wont": ("will", "not"), "shant": ("shall", "not"), "aint": ("is", "not"), "im": ("i", "am")},
    **{f"{who}ve": (who, "have") for who in ("i", "we", "you", "they")},
    **{f"{who}re": (who, "are") for who in ("you", "they")},
    **{f"{who}ll": (who, "will") for who in ("it", "you", "they", "that", "there")},
    **{f"{who}d": (who, "would") for who in ("it", "you", "they")},
    **{f"{who}s": (who, "is") for who in ("he", "she", "that", "there", "here", "who", "what", "where")},
    **{"dunno": ("do", "not", "know"), "idk": ("i", "do", "not", "know")},
}
_ONLY_WITH_APOSTROPHE = {
    **{f"{who}ll": (who, "will") for who in ("i", "we", "he", "she")},
    **{f"{who}d": (who, "would") for who in ("i", "we", "he", "she")},
    **{"its": ("it", "is"), "were": ("we", "are"), "hows": ("how", "is")},
}


def long_form(token: Token) -> tuple[str, ...]:
    """The words of a contraction's long form; for any other word only its key."""
    words = _LONG.get(token.key)
    if words is None and token.stop - token.start > len(token.key):
        words = _ONLY_WITH_APOSTROPHE.get(token.key)
    return words or (token.key,)

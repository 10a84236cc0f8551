"""English contractions as their long forms, so that a phrase is written once: "I've" is "I have", "can't" "can not".

Owns which word is a contraction. A word that is another one without its apostrophe ("well", "its", "shed") is a
contraction only where it has one. Refuses the sense: "he's gone" is "he is gone", "he'd gone" "he would gone".
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
    """The words that a word stands for: itself where it is no contraction."""
    found = _LONG.get(token.key)
    if found is None and token.stop - token.start > len(token.key):
        found = _ONLY_WITH_APOSTROPHE.get(token.key)
    return found or (token.key,)

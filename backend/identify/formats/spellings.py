"""Cells of question files as texts and spellings, however another tool has written them.

Owns what one cell means. A list comes as a list, as JSON in a text, as Python or NumPy print it (`['a', "O'Brien"]`,
`['a' 'b']`, `array(['a'], dtype=object)`, tuples, sets, dicts), or as a text with bars between spellings. What pandas
turned a number or nothing into ("1969.0", "nan", "<NA>") is turned back. Nothing of a text is run. Refuses to guess:
a list that is cut short ("...") or of which a part is not understood raises `Unclear`, and never becomes one spelling;
a real answer that only looks like a list ("[sic]") stays as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from backend.errors import BadInput
from backend.untrusted import MAX_DEPTH, json_value

MISSING = frozenset(
    {"nan", "NaN", "NaT", "<NA>", "None", "null", "\\N", "undefined"}
    | {"#N/A", "#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#ERROR!"}
)
"""How tools write that nothing is there, where a table was turned into text; spreadsheets what they could not work
out."""
_NO_NUMBER = frozenset({"nan", "NaN", "NaT", "<NA>"})
"""Of these, what is no text in a list either: there "None" is a word, since nothing has a sign of its own."""
_KEYS = ("value", "text", "answer", "answers", "aliases", "normalized_aliases")
"""Parts of an object that hold spellings: TriviaQA's, SQuAD's."""
_WHOLE = re.compile(r"-?\d+\.0|-?\d(?:\.\d+)?[eE]\+?\d{1,2}")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00:00(?:\.0+)?(?:Z|[+-]00:?00)?")
"""A day, as tools write it that know no days without a time."""
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>[bBuUrR]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    |(?P<option>[A-Za-z_]\w*)=
    |(?P<call>[A-Za-z_][\w.]*)\(
    |(?P<dots>\.\.\.|\u2026)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?=[\s,\])}:]|$)
    |(?P<name><NA>|[A-Za-z_]\w*)
    |(?P<mark>[\[\](){},:])
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = {"None": None, "null": None, "nan": None, "NaN": None, "NaT": None, "<NA>": None, "NA": None,
          "True": True, "true": True, "False": False, "false": False}  # fmt: skip
_CALLS = re.compile(
    r"(?:\w+\.)*(?:c|character|array|asarray|list|tuple|set|frozenset|dict|dict_keys|dict_values|Index|OrderedDict|deque|str_?|bytes_?|string_|bool_?|u?int\d*"
    r"|float\d*|Decimal|Timestamp)"
)
_CALLED = re.compile(
    r"(?:\w+\.)*(?:array|list|tuple|set|frozenset|dict|dict_keys|dict_values|Index|OrderedDict|deque)\(\s*[\[({]"
    r"|(?:set|frozenset|list|tuple|dict|c|character)\(\s*(?:\)|\d*\))\Z|(?:c|list|character)\(\s*[\"']"
)
_OBJECT = re.compile(
    r"\[object \w+\]|\w{1,40}(?:\{\w+\})?\[\s*\".*\]\Z|\[?<(?:[\w.]+(?:Scalar|Array)\b|.{1,200} at 0x[0-9a-f]+>)",
    re.DOTALL,
)
_COLUMN = re.compile(r"\bdtype: \w+\)?\Z")
"""How pandas, Arrow and Python print what is no list of theirs: of a column, of a single value, of a generator; how
JavaScript prints an object and Julia a list."""
_CLOSES = {"[": "]", "(": ")", "{": "}"}


class Unclear(ValueError):
    """A value of which it is not clear what it spells."""


class _NoLiteral(ValueError):
    """The text is no list or object of Python's, NumPy's or JSON's."""


class Tuple(list[Any]):
    """A tuple or a set that a text spells: of texts it is a list, of numbers it may be a point or an interval."""


def word(value: Any, missing: frozenset[str] = MISSING) -> str:
    """A cell as text; '' for nothing, and for lists and objects. Raises Unclear for what no text stands for."""
    if value is None or isinstance(value, (list, tuple, set, Mapping)) or value != value:
        return ""
    if isinstance(value, str):
        stripped = value.strip()
        midnight = _MIDNIGHT.fullmatch(stripped)
        return midnight[1] if midnight else "" if stripped in missing else stripped
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return word(value.decode())
        raise Unclear("bytes that are no text")
    if isinstance(value, (float, Decimal)):
        return _number(value)
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time(0) else value.isoformat(" ")
    if isinstance(value, (bool, int, date)):
        return str(value)
    raise Unclear(f"a {type(value).__name__}" if isinstance(value, (timedelta, time)) else "no text or number")


def _number(value: float | Decimal) -> str:
    """Whole numbers without a point: pandas gives them one where a cell of their column is missing."""
    if value in (float("inf"), float("-inf")):
        raise Unclear("a number without bound")
    if value == int(value):
        return str(int(value))
    return repr(value) if isinstance(value, float) else format(value.normalize(), "f")


def whole(text: str) -> str | None:
    """The whole number that a text such as "1969.0" or "1e+16" is, as pandas writes columns of numbers; else None."""
    return str(int(Decimal(text))) if _WHOLE.fullmatch(text) else None


def spellings(value: Any) -> tuple[str, ...]:
    """Every spelling of a cell of answers, in order, each once. Raises Unclear."""
    try:
        words = (word(one, _NO_NUMBER).strip('"').strip() for one in _flat(value, bars=True))
        return tuple(dict.fromkeys(one for one in words if one))
    except RecursionError as error:
        raise Unclear("lists too deep in each other") from error


def _flat(value: Any, bars: bool, depth: int = 0) -> Iterable[Any]:
    """The single values in a cell."""
    if depth > MAX_DEPTH:
        raise Unclear("lists too deep in each other")
    if isinstance(value, str):
        held = _spelt_list(value.strip(), is_element=not bars)
        if held is not None:
            yield from _flat(held, bars, depth + 1)
        else:
            parts = _barred(value) if bars else [value]
            # A cell that says "None" has nothing in it; in a list, where nothing has its own sign, "None" is a word.
            yield from (part for part in parts if depth or part.strip() not in MISSING)
    elif isinstance(value, Mapping):
        told = {str(key).strip().lower(): inner for key, inner in value.items()}
        if value and not set(_KEYS) & set(told):
            raise Unclear("an object whose parts are not known")
        for key in _KEYS:
            yield from _flat(told.get(key), bars, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from _flat(inner, False, depth + 1)
    else:
        yield value


def _barred(text: str) -> list[str]:
    """The spellings of a cell that is no list. Raises Unclear for several lines, and for what semicolons part.

    A worked answer of a problem ("... #### 72") is what stands behind its mark.
    """
    text = text.strip()
    worked = re.search(r"(?:\A|\n)####\s*([^\n]+)\Z", text) if "####" in text else None
    if worked:
        return [worked[1]]
    if "\n" in text or ";" in text and re.search(r";\s*\S", re.sub(r"&#?\w{1,8};", "", text)):
        raise Unclear("a list with another mark than bars")
    return text.split("|")


def _spelt_list(text: str, is_element: bool) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text spells; None where the text is a spelling itself.

    What stands in a list is a spelling already, and is doubted only where it was quoted: "(255, 255, 0)" is a colour.

    Raises Unclear.
    """
    if _OBJECT.match(text) or _COLUMN.search(text[-60:]):
        raise Unclear("what another program printed of an object of its own")
    if text[:1] not in _CLOSES and not _CALLED.match(text):
        return None
    if text[:1] in "[{":
        with suppress(BadInput):
            held = json_value(text, "the answers")
            # An empty object is how "{}" is spelled, which may be an answer.
            return held or ([] if text[:1] == "[" else None)
    try:
        held = _Literal(text).whole()
    except _NoLiteral as error:
        if _is_broken(text, is_element):
            raise Unclear("a list that is cut short, or of which a part is not understood") from error
        return None
    if isinstance(held, Tuple) and not all(one is None or isinstance(one, (str, list)) for one in held):
        if is_element:
            return None
        raise Unclear("numbers in brackets, which may be a list or a point")
    return held if isinstance(held, (list, dict)) else None


def _is_broken(text: str, is_element: bool) -> bool:
    """Whether a text that is no whole list was one, and is no answer that has brackets of its own."""
    opening = text[0]
    if _CALLED.match(text):
        return True
    if opening == "(":
        # "('Til) I Kissed You" is a song.
        first = re.match(r"\(\s*(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\s*,", text, re.DOTALL)
        return bool(first) and text.endswith((")", "...", "\u2026"))
    if re.match(r"[\[{][\s\[({]*[bBuU]?['\"]", text):
        return True
    is_enclosed = text.endswith(_CLOSES[opening]) and text.count(opening) == 1
    return is_enclosed and "," in text and not is_element


class _Literal:
    """Reads a literal as Python and NumPy print it: commas may be missing between elements that are apart."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def whole(self) -> Any:
        """The value of the whole text. Raises _NoLiteral, Unclear."""
        value = self.value(0)
        if self.text[self.place :].strip():
            raise _NoLiteral
        return value

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self.text, self.place)
        if found is None or found.lastgroup is None:
            raise _NoLiteral
        self.place = found.end()
        return found.lastgroup, found[found.lastgroup]

    def value(self, depth: int) -> Any:
        """One value from here on."""
        if depth > MAX_DEPTH:
            raise Unclear("lists too deep in each other")
        kind, token = self._next()
        if kind == "text":
            return _unquoted(token)
        if kind == "number":
            if len(token) > 400:
                raise _NoLiteral
            return float(token) if any(mark in token for mark in ".eE") else int(token)
        if kind == "name" and token in _NAMES:
            return _NAMES[token]
        if kind == "dots":
            raise Unclear("a list that is cut short")
        if kind == "call" and _CALLS.fullmatch(token):
            return self._called(token, depth)
        if kind == "mark" and token in _CLOSES:
            return _made(token, *self._inside(token, depth))
        raise _NoLiteral

    def _called(self, name: str, depth: int) -> Any:
        held, keyed, _ = self._inside("(", depth)
        if len(held) > 1 or (held and name in ("c", "character", "list") and isinstance(held[0], str)):
            # As R prints a vector or a list.
            return held
        value = held[0] if held else keyed or []
        if name.endswith("Timestamp") and isinstance(value, str):
            return value.removesuffix(" 00:00:00")
        is_pairs = isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value)
        if name.endswith("Dict") and is_pairs:
            return {str(key): inner for key, inner in value}
        return list(value) if isinstance(value, Tuple) else value

    def _inside(self, opening: str, depth: int) -> tuple[list[Any], dict[str, Any], int]:
        """(values, values by their keys, commas) up to the closing bracket. Raises _NoLiteral where two values are
        not apart."""
        held: list[Any] = []
        keyed: dict[str, Any] = {}
        commas, apart = 0, True
        while True:
            start, (kind, token) = self.place, self._next()
            if (kind, token) == ("mark", _CLOSES[opening]):
                return held, keyed, commas
            if (kind, token) == ("mark", ","):
                if apart:
                    raise _NoLiteral
                commas, apart = commas + 1, True
                continue
            if not apart and not self.text[start].isspace():
                raise _NoLiteral
            if kind == "option":
                self._option()
            else:
                self.place = start
                self._element(opening, held, keyed, depth)
            apart = False

    def _element(self, opening: str, held: list[Any], keyed: dict[str, Any], depth: int) -> None:
        value = self.value(depth + 1)
        if opening == "{" and self.text[self.place : self.place + 8].lstrip().startswith(":"):
            self._next()
            keyed[str(value)] = self.value(depth + 1)
        else:
            held.append(value)

    def _option(self) -> None:
        """Past a name and its value, as in dtype=object."""
        kind, _ = self._next()
        if kind not in ("name", "text", "number"):
            raise _NoLiteral


def _made(opening: str, held: list[Any], keyed: dict[str, Any], commas: int) -> Any:
    """The value of a pair of brackets. Raises _NoLiteral for what neither Python nor NumPy prints."""
    between = commas in (len(held) - 1, len(held))
    if opening == "{" and keyed and not held:
        return keyed
    if keyed:
        raise _NoLiteral
    if opening == "[" and (between or not commas):
        # Without any comma as NumPy prints an array; with some of them missing, two texts would become one.
        return held
    if opening != "[" and between and held and (commas or opening == "{"):
        return Tuple(held)
    raise _NoLiteral


def _unquoted(token: str) -> str:
    try:
        value = ast.literal_eval(token)
        return value.decode() if isinstance(value, bytes) else str(value)
    except (ValueError, SyntaxError, MemoryError) as error:
        raise _NoLiteral from error

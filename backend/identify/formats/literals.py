"""Values as other tools print them: Python, NumPy, pandas, PyTorch and R, read without running any of it.

Owns the grammar: lists, tuples, sets, dicts, texts, numbers, days, and objects by their fields
("Answer(value='Rome')"). Refuses what it does not know (`NoLiteral`) and what was cut short (`Unclear`); what a value
spells is `backend.identify.formats.spellings`'s.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from backend.untrusted import MAX_DEPTH

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>[bBuUrR]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    |(?P<option>[A-Za-z_]\w*)=
    |(?P<call>[A-Za-z_][\w.]*)\((?:<class\ '[\w.]+'>,\s*)?
    |(?P<dots>\.\.\.|\u2026)
    |(?P<number>[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?)(?=[\s,\])}:]|$)
    |(?P<name><NA>|[A-Za-z_][\w.]*)
    |(?P<mark>[\[\](){},:])
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = {"None": None, "null": None, "nan": None, "NaN": None, "NaT": None, "<NA>": None, "NA": None,
          "NULL": None, "NA_character_": None, "np.nan": None, "np.True_": True, "np.False_": False,
          "True": True, "true": True, "False": False, "false": False}  # fmt: skip
_CALLS = re.compile(
    r"(?:\w+\.)*(?:c|character|array|asarray|Array|[tT]ensor|list|tuple|set|frozenset|dict|dict_keys|dict_values|Index"
    r"|Set|OrderedDict|defaultdict|Counter|mappingproxy|deque|str_?|bytes_?|string_|bool_?|u?int\d*|float\d*|Decimal|Fraction"
    r"|Timestamp|datetime64|date|datetime)"
)
_OPTIONS = frozenset({"dtype", "device", "requires_grad", "grad_fn", "shape", "size", "name", "length", "maxlen",
                      "tz", "tzinfo", "freq", "unit", "fold", "weak_type"})  # fmt: skip
"""What tools print behind values to say of which kind they are."""
_COLON = re.compile(r"\s*:")
_OBJECTS = re.compile(r"(?:\w+\.)*(?:[A-Z]\w*|namespace)")
"""Names of classes, whose fields are printed with their names."""
MAX_DIGITS = 400
"""A number has at most so many, on either side of its point."""
CLOSES = {"[": "]", "(": ")", "{": "}"}


class Unclear(ValueError):
    """A value of which it is not clear what it spells."""


class NoLiteral(ValueError):
    """The text is no list or object of Python's, NumPy's or JSON's."""


class Tuple(list[Any]):
    """A tuple or a set that a text spells: of texts it is a list, of numbers it may be a point or an interval."""


class Literal:
    """Reads a literal as Python and NumPy print it: commas may be missing between elements that are apart."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def whole(self) -> Any:
        """The value of the whole text. Raises NoLiteral, Unclear."""
        value = self.value(0)
        if self.text[self.place :].strip():
            raise NoLiteral
        return value

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self.text, self.place)
        if found is None or found.lastgroup is None:
            raise NoLiteral
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
            if len(token) > MAX_DIGITS:
                raise NoLiteral
            return float(token) if any(mark in token for mark in ".eE") else int(token)
        if kind == "name" and token in _NAMES:
            return _NAMES[token]
        if kind == "dots":
            raise Unclear("a list that is cut short")
        if kind == "call" and _CALLS.fullmatch(token):
            return self._called(token, depth)
        if kind == "call" and _OBJECTS.fullmatch(token):
            return self._object(depth)
        if kind == "mark" and token in CLOSES:
            held, keyed, commas = self._inside(token, depth)
            # "()" alone may be an answer; inside of something it is nothing.
            return [] if depth and token == "(" and not (held or commas) else _made(token, held, keyed, commas)
        raise NoLiteral

    def _called(self, name: str, depth: int) -> Any:
        held, keyed, _ = self._inside("(", depth)
        last = name.rpartition(".")[2]
        if last in _SINGLE:
            return _SINGLE[last](held)
        if len(held) > 1 or (held and name in ("c", "character", "list") and isinstance(held[0], str)):
            # As R prints a vector or a list.
            return held
        value = held[0] if held else keyed or []
        is_pairs = isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value)
        if last.lower().endswith("dict") and is_pairs:
            return _each_once((str(key), inner) for key, inner in value)
        return list(value) if isinstance(value, Tuple) else value

    def _object(self, depth: int) -> dict[str, Any]:
        """Fields by their names. Raises NoLiteral for values without."""
        held, keyed, _ = self._inside("(", depth, has_fields=True)
        if held or not keyed:
            raise NoLiteral
        return keyed

    def _inside(self, opening: str, depth: int, *, has_fields: bool = False) -> tuple[list[Any], dict[str, Any], int]:
        """(values, values by their keys, commas) up to the closing bracket. Raises NoLiteral where two values are
        not apart."""
        held: list[Any] = []
        keyed: list[tuple[str, Any]] = []
        commas, apart = 0, True
        while True:
            start, (kind, token) = self.place, self._next()
            if (kind, token) == ("mark", CLOSES[opening]):
                return held, _each_once(keyed), commas
            if (kind, token) == ("mark", ","):
                if apart:
                    raise NoLiteral
                commas, apart = commas + 1, True
                continue
            if not apart and not self.text[start].isspace():
                raise NoLiteral
            if kind == "option" and has_fields:
                keyed.append((token, self.value(depth + 1)))
            elif kind == "option":
                self._option(token)
            else:
                self.place = start
                self._element(opening, held, keyed, depth)
            apart = False

    def _element(self, opening: str, held: list[Any], keyed: list[tuple[str, Any]], depth: int) -> None:
        value = self.value(depth + 1)
        if opening == "{" and (colon := _COLON.match(self.text, self.place)):
            self.place = colon.end()
            keyed.append((str(value), self.value(depth + 1)))
        else:
            held.append(value)

    def _option(self, name: str) -> None:
        """Past a name and its value, as in dtype=object. Raises NoLiteral for other names: theirs may be an answer."""
        kind, _ = self._next()
        if name not in _OPTIONS or kind not in ("name", "text", "number"):
            raise NoLiteral


def _each_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these parts. Raises Unclear where one is named twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Unclear("an object that names a part twice")
        found[key] = value
    return found


def _made(opening: str, held: list[Any], keyed: dict[str, Any], commas: int) -> Any:
    """The value of a pair of brackets. Raises NoLiteral for what neither Python nor NumPy prints."""
    between = commas in (len(held) - 1, len(held))
    if opening == "{" and keyed and not held:
        return keyed
    if keyed:
        raise NoLiteral
    if opening == "[" and (between or not commas):
        # Without any comma as NumPy prints an array; with some of them missing, two texts would become one.
        return held
    if opening != "[" and between and held and (commas or opening == "{"):
        return Tuple(held)
    raise NoLiteral


def _unquoted(token: str) -> str:
    try:
        value = ast.literal_eval(token)
        return value.decode() if isinstance(value, bytes) else str(value)
    except (ValueError, SyntaxError, MemoryError) as error:
        raise NoLiteral from error


def _day(held: Sequence[Any]) -> date:
    """The day or moment of these figures. Raises NoLiteral for what is none."""
    try:
        return date(*held) if len(held) == 3 else datetime(*held)
    except (TypeError, ValueError, OverflowError) as error:
        raise NoLiteral from error


def _moment(held: Sequence[Any]) -> str:
    """A moment as it is spelled, without a time where that is midnight. Raises NoLiteral."""
    if not held or not isinstance(held[0], str):
        raise NoLiteral
    return re.sub(r"[T ]00:00(?::00(?:\.0+)?)?\Z", "", held[0])


def _exact(held: Sequence[Any]) -> Decimal:
    """The number. Raises NoLiteral, and Unclear for one that is none or has too many digits when written out."""
    try:
        value = Decimal(*held)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise NoLiteral from error
    if value.is_snan() or (value.is_finite() and abs(value.adjusted()) > MAX_DIGITS):
        raise Unclear("a number that is none, or of too many digits")
    return value


def _ratio(held: Sequence[Any]) -> str:
    if len(held) != 2 or not all(isinstance(one, int) for one in held) or not held[1]:
        raise NoLiteral
    return f"{held[0]}/{held[1]}" if held[1] != 1 else str(held[0])


_SINGLE = {
    "date": _day, "datetime": _day, "Timestamp": _moment, "datetime64": _moment, "Decimal": _exact, "Fraction": _ratio,
}  # fmt: skip
"""What prints a single value by its parts -> that value."""

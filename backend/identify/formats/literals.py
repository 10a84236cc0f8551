"""Values as other tools print them: Python, NumPy, pandas, PyTorch and R, read without running any of it.

Owns the grammar: lists, tuples, sets, dicts, texts, numbers, days, and objects by their fields
("Answer(value='Rome')"). Raises `NoLiteral` for unknown syntax and `Unclear` for values that were cut short. How values
become spellings is `backend.identify.formats.spellings`'s.
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
"""Arguments that tools print after values to describe their type."""
_COLON = re.compile(r"\s*:")
_OBJECTS = re.compile(r"(?:\w+\.)*(?:[A-Z]\w*|namespace)")
"""Names of classes that are printed with their fields."""
MAX_DIGITS = 400
"""Most digits of a number on either side of its point."""
CLOSES = {"[": "]", "(": ")", "{": "}"}


class Unclear(ValueError):
    """It is not clear which spellings a value stands for."""


class NoLiteral(ValueError):
    """The text is not a list or object as Python, NumPy or JSON write it."""


class Tuple(list[Any]):
    """A tuple or set that a text spells. One of texts is a list of spellings, one of numbers may be a point or an
    interval."""


class Literal:
    """Reads a literal as Python and NumPy print it: a space may separate two elements instead of a comma."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def parse(self) -> Any:
        """The value of the complete text. Raises NoLiteral, Unclear."""
        value = self.value(0)
        if self.text[self.place :].strip():
            raise NoLiteral
        return value

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self.text, self.place)
        if match is None or match.lastgroup is None:
            raise NoLiteral
        self.place = match.end()
        return match.lastgroup, match[match.lastgroup]

    def value(self, depth: int) -> Any:
        """The next value of the text."""
        if depth > MAX_DEPTH:
            raise Unclear("lists that are nested too deep")
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
            values, keyed, commas = self._inside(token, depth)
            # "()" alone may be an answer; inside a list it is nothing.
            if depth and token == "(" and not (values or commas):
                return []
            return _value_of_brackets(token, values, keyed, commas)
        raise NoLiteral

    def _called(self, name: str, depth: int) -> Any:
        values, keyed, _ = self._inside("(", depth)
        last = name.rpartition(".")[2]
        if last in _SINGLE:
            return _SINGLE[last](values)
        if len(values) > 1 or (values and name in ("c", "character", "list") and isinstance(values[0], str)):
            # A vector or list as R prints it.
            return values
        value = values[0] if values else keyed or []
        is_pairs = isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        if last.lower().endswith("dict") and is_pairs:
            return _object_of_parts((str(key), inner) for key, inner in value)
        return list(value) if isinstance(value, Tuple) else value

    def _object(self, depth: int) -> dict[str, Any]:
        """Field name -> value. Raises NoLiteral for values without a name."""
        values, keyed, _ = self._inside("(", depth, has_fields=True)
        if values or not keyed:
            raise NoLiteral
        return keyed

    def _inside(self, opening: str, depth: int, *, has_fields: bool = False) -> tuple[list[Any], dict[str, Any], int]:
        """(values, key -> value, number of commas) up to the closing bracket. Raises NoLiteral where nothing separates
        two values."""
        values: list[Any] = []
        keyed: list[tuple[str, Any]] = []
        commas, is_separated = 0, True
        while True:
            start, (kind, token) = self.place, self._next()
            if (kind, token) == ("mark", CLOSES[opening]):
                return values, _object_of_parts(keyed), commas
            if (kind, token) == ("mark", ","):
                if is_separated:
                    raise NoLiteral
                commas, is_separated = commas + 1, True
                continue
            if not is_separated and not self.text[start].isspace():
                raise NoLiteral
            if kind == "option" and has_fields:
                keyed.append((token, self.value(depth + 1)))
            elif kind == "option":
                self._option(token)
            else:
                self.place = start
                self._element(opening, values, keyed, depth)
            is_separated = False

    def _element(self, opening: str, values: list[Any], keyed: list[tuple[str, Any]], depth: int) -> None:
        value = self.value(depth + 1)
        if opening == "{" and (colon := _COLON.match(self.text, self.place)):
            self.place = colon.end()
            keyed.append((str(value), self.value(depth + 1)))
        else:
            values.append(value)

    def _option(self, name: str) -> None:
        """Skip a name and its value, as in dtype=object. Raises NoLiteral for unknown names: it may be an answer."""
        kind, _ = self._next()
        if name not in _OPTIONS or kind not in ("name", "text", "number"):
            raise NoLiteral


def _object_of_parts(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these parts. Raises Unclear where two parts have one name."""
    parts: dict[str, Any] = {}
    for key, value in pairs:
        if key in parts:
            raise Unclear("an object that names a part twice")
        parts[key] = value
    return parts


def _value_of_brackets(opening: str, values: list[Any], keyed: dict[str, Any], commas: int) -> Any:
    """The value of a pair of brackets. Raises NoLiteral where neither Python nor NumPy would print it so."""
    between = commas in (len(values) - 1, len(values))
    if opening == "{" and keyed and not values:
        return keyed
    if keyed:
        raise NoLiteral
    if opening == "[" and (between or not commas):
        # NumPy prints arrays without any comma. Where only some commas are missing, Python would join two texts.
        return values
    if opening != "[" and between and values and (commas or opening == "{"):
        return Tuple(values)
    raise NoLiteral


def _unquoted(token: str) -> str:
    try:
        value = ast.literal_eval(token)
        return value.decode() if isinstance(value, bytes) else str(value)
    except (ValueError, SyntaxError, MemoryError) as error:
        raise NoLiteral from error


def _day(figures: Sequence[Any]) -> date:
    """The day or moment of these figures. Raises NoLiteral where there is none."""
    try:
        return date(*figures) if len(figures) == 3 else datetime(*figures)
    except (TypeError, ValueError, OverflowError) as error:
        raise NoLiteral from error


def _moment(parts: Sequence[Any]) -> str:
    """A moment as written, without the time if it is midnight. Raises NoLiteral."""
    if not parts or not isinstance(parts[0], str):
        raise NoLiteral
    return re.sub(r"[T ]00:00(?::00(?:\.0+)?)?\Z", "", parts[0])


def _exact(parts: Sequence[Any]) -> Decimal:
    """The number. Raises NoLiteral; Unclear for NaN, and for a number with too many digits when written out."""
    try:
        value = Decimal(*parts)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise NoLiteral from error
    if value.is_snan() or (value.is_finite() and abs(value.adjusted()) > MAX_DIGITS):
        raise Unclear("a NaN, or a number of too many digits")
    return value


def _ratio(figures: Sequence[Any]) -> str:
    if len(figures) != 2 or not all(isinstance(figure, int) for figure in figures) or not figures[1]:
        raise NoLiteral
    return f"{figures[0]}/{figures[1]}" if figures[1] != 1 else str(figures[0])


_SINGLE = {
    "date": _day, "datetime": _day, "Timestamp": _moment, "datetime64": _moment, "Decimal": _exact, "Fraction": _ratio,
}  # fmt: skip
"""Name of a type that prints a single value by its parts -> function that makes the value from the parts."""

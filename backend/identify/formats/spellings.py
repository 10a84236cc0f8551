"""Cells of question files as texts and spellings, however another tool has written them.

Owns what one cell means. A list comes as a list, as JSON in a text, as Python or NumPy print it (`['a', "O'Brien"]`,
`['a' 'b']`, `array(['a'], dtype=object)`, tuples, sets, dicts: `backend.identify.formats.literals`), without its
brackets (`'a', 'b'`), or as a text with bars between spellings; a single value as tools print it (`b'a'`,
`Decimal('3.0')`, `datetime.date(1969, 7, 20)`, `tensor([3])`, `Answer(value='a')`). What pandas turned a number or
nothing into ("1969.0", "nan", "<NA>") is turned back. A list that was written as a text twice is read so. Nothing of
a text is run. Refuses to guess: a list that is cut short ("...") or of which a part is not understood raises `Unclear`,
and never becomes one spelling; a real answer that only looks so ("[sic]", "'Round Midnight", "f(x=2)", "print('a')")
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import regex

from backend.errors import BadInput
from backend.identify.formats.literals import CLOSES, MAX_DIGITS, Literal, NoLiteral, Tuple, Unclear
from backend.identify.formats.printed import is_foreign, is_unread
from backend.text.columns import bare, column
from backend.untrusted import MAX_DEPTH, json_value

MISSING = frozenset(
    {"nan", "NaN", "NaT", "<NA>", "None", "null", "\\N", "undefined", "np.nan", "missing", "<nil>", "<null>"}
    | {"NULL", "(NULL)", "(null)", "[NULL]", "character(0)", "integer(0)", "numeric(0)", "logical(0)"}
    | {"NA_character_", "list(NULL)", "N/A", "n/a", "-nan", "-NaN", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND"}
    | {"#N/A", "#N/A N/A", "#N/B", "#N/D", "#N/V", "#NV", "#I/T", "#GETTING_DATA"}
)
"""How tools write that nothing is there, where a table was turned into text."""
_FAILED = re.compile(
    r"#(?:[\w\u00a1]+/0!|[\u00a1\u00bf]?(?:NAME|NOM|NOMBRE|NOME|NAAM|NAMN|NAVN|NAZWA|NÁZEV|NIMI|AD|ИМЯ)\?"
    r"|\u00a1?(?:VALUE|WERT|VALEUR|VALOR|VALORE|WAARDE|VÄRDEFEL|VÆRDI|VERDI|ARG|HODNOTA|ARVO|DEĞER|ЗНАЧ"
    r"|REF|BEZUG|RIF|VERW|REFERENS|REFERENCE|ADR|ODKAZ|VIITTAUS|BAŞV|ССЫЛКА"
    r"|NUM|NÚM|ZAHL|NOMBRE|GETAL|OGILTIGT|LICZBA|ČÍSLO|LUKU|SAYI|ЧИСЛО|NULL|NUL|NULO|NULLO|LEEG|ZERO|TYHJÄ|BOŞ|ПУСТО"
    r"|SPILL|ÜBERLAUF|PROPAGATION|CALC|KALK|BUSY|ERROR|UNKNOWN|FIELD|BLOCKED|CONNECT|PYTHON|EXTERNAL|TIMEOUT)!)"
    r"|Err:\d{3}"
)
"""What spreadsheets write, in a dozen languages, for what they could not work out: #NAME?, #WERT!, #DIV/0!, Err:502.
"#METOO!" may be an answer."""
_NO_NUMBER = frozenset({"nan", "NaN", "NaT", "<NA>"})
"""Of these, what is no text in a list either: there "None" is a word, since nothing has a sign of its own."""
_KEYS = ("value", "text", "answer", "answers", "aliases", "normalized_aliases")
"""Parts of an object that hold spellings: TriviaQA's, SQuAD's."""
_WHOLE = re.compile(rf"-?\d{{1,{MAX_DIGITS}}}\.0|-?\d(?:\.\d+)?[eE]\+?\d{{1,2}}")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?")
"""A day, as tools write it that know no days without a time."""
_FIELD = re.compile(rf"\s(?:{'|'.join(_KEYS)})=['\"\[{{]")
_CALLED = re.compile(
    r"(?:\w+\.)*(?:array|list|tuple|set|frozenset|dict|dict_keys|dict_values|Index|OrderedDict|deque)\(\s*[\[({]"
    r"|(?:set|frozenset|list|tuple|dict|c|character)\(\s*(?:\)|\d*\))\Z|(?:c|list|character)\(\s*[\"']"
    r"|(?:c|list)\(\s*(?:c\(|list\(|NULL\)|NA\b|[\w.]{2,} = |[\w.]+ = [\"'\d]|-?\d[\d.]*L?,)|Set\(\["
)
_PRINTED = re.compile(
    r"(?:\w+\.)*(?:defaultdict|Counter|mappingproxy)\(|(?:\w+\.)*(?:Timestamp|Decimal)\(\s*['\"]|Fraction\(-?\d"
    r"|datetime\.time(?:delta)?\("
    r"|(?:torch\.)?[tT]ensor\((?:[\[\d.-]|True\b|False\b)|np\.(?:True_|False_)\Z"
    r"|Array\(\[|(?:datetime\.)?date(?:time)?\(\d{4}, \d"
    r"|(?:np|numpy)\.(?:str_|bytes_|bool_|u?int\d+|float\d+|datetime64)\("
)
"""How a single value is printed, or an object that holds one."""
_FIELDS = re.compile(r"(?:(?:\w+\.)*[A-Z]\w*|namespace)\(\s*(?:\w{2,}=|[bBuU]?['\"])")
"""How an object of somebody's own is printed: f(x=2) and print('x') may be answers."""
_BYTES = re.compile(r"[bBuU](?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_QUOTED = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_ROW = re.compile(rf"(?:\[1\]\s+{_QUOTED}(?:\s+{_QUOTED})*|{_QUOTED}(?:\s*,\s*{_QUOTED})+),?", re.DOTALL)
"""Texts of a list without its brackets, and of a vector as R prints it."""
_ROW_CUT = regex.compile(
    rf"{_QUOTED}(?:\s*+,\s*+{_QUOTED})*+\s*+,\s*+(?:\.\.\.|\u2026|'[^']*+|\"[^\"]*+)?", regex.DOTALL
)
"""Of such a list, one that ends in a comma, in dots, or in a text that was opened and not closed. Of `regex`: the first
releases of Python 3.11 read a group with a possessive quantifier as if it were not there."""
_TEXT_OF_LIST = re.compile(r"(?P<mark>['\"])\s*\\*[\[{].*[\]}]\s*(?P=mark)", re.DOTALL)
"""A list that was written as a text twice."""
_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
"""How a text is kept a text in a CSV that a spreadsheet opens."""


def _is_nothing(text: str) -> bool:
    return text in MISSING or bool(_FAILED.fullmatch(text))


def word(value: Any, is_missing: Callable[[str], bool] = _is_nothing) -> str:
    """A cell as text; '' for nothing, and for lists and objects. Raises Unclear for what no text stands for."""
    if value is None or isinstance(value, (list, tuple, set, Mapping)) or value != value:
        return ""
    if isinstance(value, str):
        stripped = bare(value)
        if _BYTES.fullmatch(stripped):
            return word(_unprinted(stripped))
        if formula := _FORMULA.fullmatch(stripped):
            return word(formula[1].replace('""', '"'))
        midnight = _MIDNIGHT.fullmatch(stripped)
        return midnight[1] if midnight else "" if is_missing(stripped) else stripped
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
        words = (word(one, _NO_NUMBER.__contains__).strip('"').strip() for one in _flat(value, bars=True))
        return tuple(dict.fromkeys(one for one in words if one))
    except RecursionError as error:
        raise Unclear("lists too deep in each other") from error


def _flat(value: Any, bars: bool, depth: int = 0) -> Iterable[Any]:
    """The single values in a cell."""
    if depth > MAX_DEPTH:
        raise Unclear("lists too deep in each other")
    if isinstance(value, str):
        held = _spelt_list(bare(value), is_element=not bars)
        if held is not None:
            yield from _flat(held, bars, depth + 1)
        else:
            parts = _barred(value) if bars else [value]
            # A cell that says "None" has nothing in it; in a list, where nothing has its own sign, "None" is a word.
            yield from (part for part in parts if depth or not _is_nothing(part.strip()))
    elif isinstance(value, Mapping):
        told = {column(key): inner for key, inner in value.items()}
        if value and not set(_KEYS) & set(told):
            raise Unclear("an object whose parts are not known")
        if len(told) < len(value):
            raise Unclear("an object that names a part twice")
        for key in _KEYS:
            yield from _flat(told.get(key), bars, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            if isinstance(inner, (list, tuple)) and _is_rated(inner):
                raise Unclear("texts beside figures of theirs")
            yield from _flat(inner, False, depth + 1)
    else:
        yield value


def _is_rated(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a text stands beside its count or score: ("Rome", 0.9)."""
    return any(isinstance(one, str) for one in values) and any(isinstance(one, (int, float)) for one in values)


def _barred(text: str) -> list[str]:
    """The spellings of a cell that is no list. Raises Unclear for several lines, and for what semicolons part.

    A worked answer of a problem ("... #### 72") is what stands behind its mark.
    """
    text = text.strip()
    worked = re.search(r"(?:\A|\n)####\s*+([^\n]++)\Z", text) if "####" in text else None
    if worked:
        return [worked[1]]
    if "\n" in text or "\r" in text or ";" in text and re.search(r";\s*\S", re.sub(r"&#?\w{1,8};", "", text)):
        raise Unclear("a list with another mark than bars")
    return text.split("|")


def _spelt_list(text: str, is_element: bool) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text spells; None where the text is a spelling itself.

    What stands in a list is a spelling already, and is doubted only where it was quoted: "(255, 255, 0)" is a colour.

    Raises Unclear.
    """
    if _BYTES.fullmatch(text):
        return [_unprinted(text)]
    if not is_element and (fields := _fields(text)):
        return fields
    if formula := _FORMULA.fullmatch(text):
        return [formula[1].replace('""', '"')]
    if not is_element and _TEXT_OF_LIST.fullmatch(text) and (twice := _unpacked(text)) is not None:
        return [twice]
    if is_foreign(text):
        raise Unclear("what another program printed of an object of its own")
    is_printed = _PRINTED.match(text) or _FIELDS.match(text)
    if text[:1] not in CLOSES and not _CALLED.match(text) and not is_printed:
        if is_unread(text):
            raise Unclear("what Python printed of an object that is not read")
        return None
    if text[:1] in "[{":
        with suppress(BadInput):
            held = json_value(text, "the answers")
            # An empty object is how "{}" is spelled, which may be an answer.
            return held or ([] if text[:1] == "[" else None)
    try:
        held = Literal(text).whole()
    except NoLiteral as error:
        if _is_broken(text, is_element):
            raise Unclear("a list that is cut short, or of which a part is not understood") from error
        return None
    if isinstance(held, Tuple) and not all(one is None or isinstance(one, (str, list)) for one in held):
        if is_element:
            return None
        raise Unclear("numbers in brackets, which may be a list or a point")
    if is_printed and not isinstance(held, (list, dict)):
        return [held]
    return held if isinstance(held, (list, dict)) else None


def is_printed_list(text: str) -> bool:
    """Whether a text is nothing but a list or object as other tools print it, whole or cut short."""
    try:
        return _spelt_list(text, is_element=False) is not None
    except Unclear:
        return text[:1] in CLOSES and text.endswith((CLOSES[text[0]], "...", "\u2026"))


def _unpacked(text: str) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text in quotes spells; None where it spells none, as "[sic]". Raises Unclear."""
    try:
        inner = str(Literal(text).whole())
    except NoLiteral:
        inner = text[1:-1]
    return _spelt_list(inner.strip(), is_element=False)


def _unprinted(text: str) -> str:
    """The text that a literal of Python's is, with a letter before its quotes or without: b'Rome'. Raises Unclear."""
    try:
        return str(Literal(text).whole())
    except NoLiteral as error:
        raise Unclear("bytes that are no text" if text[0] in "bB" else "a text in quotes that is not read") from error


def _fields(text: str) -> list[Any] | dict[str, Any] | None:
    """What texts without their brackets, or fields without their object ("value='Rome' aliases=['Roma']"), spell.

    Raises Unclear for those that are cut short.
    """
    if _ROW.fullmatch(text):
        return [*map(_unprinted, re.findall(_QUOTED, text.removeprefix("[1]"), re.DOTALL))]
    if _ROW_CUT.fullmatch(text):
        raise Unclear("a list that is cut short")
    name = re.match(r"(\w{2,})=(?:['\"\[{]|\d+ |None |True |False )", text)
    if not name or not (name[1] in _KEYS or _FIELD.search(text)):
        return None
    try:
        held: dict[str, Any] = Literal(f"Fields({text})").whole()
    except NoLiteral as error:
        raise Unclear("fields that are cut short, or of which one is not understood") from error
    return held


def _is_broken(text: str, is_element: bool) -> bool:
    """Whether a text that is no whole list was one, and is no answer that has brackets of its own."""
    opening = text[0]
    if _CALLED.match(text) or _PRINTED.match(text) or _FIELDS.match(text):
        return True
    if opening == "(":
        # "('Til) I Kissed You" is a song.
        first = re.match(r"\(\s*(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\s*,", text, re.DOTALL)
        return bool(first)
    if re.match(r"[\[{][\s\[({]*[bBuU]?['\"]", text):
        return True
    is_enclosed = text.endswith(CLOSES[opening]) and text.count(opening) == 1
    return is_enclosed and "," in text and not is_element

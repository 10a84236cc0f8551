"""Cells of question files as texts and spellings, however another tool has written them.

Owns what one cell means. A list may be a list, JSON in a text, as Python or NumPy print it (`['a', "O'Brien"]`,
`['a' 'b']`, `array(['a'], dtype=object)`, tuples, sets, dicts: `backend.identify.formats.literals`), without its
brackets (`'a', 'b'`), or a text with bars between spellings; a single value may be as tools print it (`b'a'`,
`Decimal('3.0')`, `datetime.date(1969, 7, 20)`, `tensor([3])`, `Answer(value='a')`). What pandas made of a number or a
missing value ("1969.0", "nan", "<NA>") is reverted. A list that was written as a text twice is read too. No text is
executed. Nothing is guessed: a list that is cut short ("...") or has a part that is not understood raises `Unclear`,
and never becomes one spelling. A real answer that only looks similar ("[sic]", "'Round Midnight", "f(x=2)",
"print('a')") is kept as it is.
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
"""How tools write a missing value when a table becomes text."""
_FAILED = re.compile(
    r"#(?:[\w\u00a1]+/0!|[\u00a1\u00bf]?(?:NAME|NOM|NOMBRE|NOME|NAAM|NAMN|NAVN|NAZWA|NÁZEV|NIMI|AD|ИМЯ)\?"
    r"|\u00a1?(?:VALUE|WERT|VALEUR|VALOR|VALORE|WAARDE|VÄRDEFEL|VÆRDI|VERDI|ARG|HODNOTA|ARVO|DEĞER|ЗНАЧ"
    r"|REF|BEZUG|RIF|VERW|REFERENS|REFERENCE|ADR|ODKAZ|VIITTAUS|BAŞV|ССЫЛКА"
    r"|NUM|NÚM|ZAHL|NOMBRE|GETAL|OGILTIGT|LICZBA|ČÍSLO|LUKU|SAYI|ЧИСЛО|NULL|NUL|NULO|NULLO|LEEG|ZERO|TYHJÄ|BOŞ|ПУСТО"
    r"|SPILL|ÜBERLAUF|PROPAGATION|CALC|KALK|BUSY|ERROR|UNKNOWN|FIELD|BLOCKED|CONNECT|PYTHON|EXTERNAL|TIMEOUT)!)"
    r"|Err:\d{3}"
)
"""Errors of spreadsheets, in a dozen languages: #NAME?, #WERT!, #DIV/0!, Err:502. "#METOO!" may be an answer."""
_NO_NUMBER = frozenset({"nan", "NaN", "NaT", "<NA>"})
"""Those of `MISSING` that are missing values in a list too. There "None" is a word: in a list, None has no quotes."""
_KEYS = ("value", "text", "answer", "answers", "aliases", "normalized_aliases")
"""Parts of an object that hold spellings: TriviaQA's, SQuAD's."""
_WHOLE = re.compile(rf"-?\d{{1,{MAX_DIGITS}}}\.0|-?\d(?:\.\d+)?[eE]\+?\d{{1,2}}")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?")
"""A day as written by tools that know only days with a time."""
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
"""How a single value, or an object that holds one, is printed."""
_FIELDS = re.compile(r"(?:(?:\w+\.)*[A-Z]\w*|namespace)\(\s*(?:\w{2,}=|[bBuU]?['\"])")
"""How an object of a user's class is printed. f(x=2) and print('x') are not matched: they may be answers."""
_BYTES = re.compile(r"[bBuU](?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_QUOTED = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_ROW = re.compile(rf"(?:\[1\]\s+{_QUOTED}(?:\s+{_QUOTED})*|{_QUOTED}(?:\s*,\s*{_QUOTED})+),?", re.DOTALL)
"""Texts of a list without its brackets, and of a vector as R prints it."""
_ROW_CUT = regex.compile(
    rf"{_QUOTED}(?:\s*+,\s*+{_QUOTED})*+\s*+,\s*+(?:\.\.\.|\u2026|'[^']*+|\"[^\"]*+)?", regex.DOTALL
)
"""Such a list that ends in a comma, in dots, or in a quotation mark that is not closed. Of `regex`, because the first
releases of Python 3.11 ignore a possessive quantifier after a group."""
_TEXT_OF_LIST = re.compile(r"(?P<mark>['\"])\s*\\*[\[{].*[\]}]\s*(?P=mark)", re.DOTALL)
"""A list that was written as a text twice."""
_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
"""How a CSV tells a spreadsheet that a cell is text."""


def _is_nothing(text: str) -> bool:
    return text in MISSING or bool(_FAILED.fullmatch(text))


def cell_text(value: Any, is_missing: Callable[[str], bool] = _is_nothing) -> str:
    """A cell as text; '' for a missing value, a list or an object. Raises Unclear for a value that has no text."""
    if value is None or isinstance(value, (list, tuple, set, Mapping)) or value != value:
        return ""
    if isinstance(value, str):
        stripped = bare(value)
        if _BYTES.fullmatch(stripped):
            return cell_text(_text_of_literal(stripped))
        if formula := _FORMULA.fullmatch(stripped):
            return cell_text(formula[1].replace('""', '"'))
        midnight = _MIDNIGHT.fullmatch(stripped)
        return midnight[1] if midnight else "" if is_missing(stripped) else stripped
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return cell_text(value.decode())
        raise Unclear("bytes that are no text")
    if isinstance(value, (float, Decimal)):
        return _number(value)
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time(0) else value.isoformat(" ")
    if isinstance(value, (bool, int, date)):
        return str(value)
    raise Unclear(f"a {type(value).__name__}" if isinstance(value, (timedelta, time)) else "no text or number")


def _number(value: float | Decimal) -> str:
    """A number as text; a whole number without a point, which pandas adds where a cell of its column is missing."""
    if value in (float("inf"), float("-inf")):
        raise Unclear("an infinite number")
    if value == int(value):
        return str(int(value))
    return repr(value) if isinstance(value, float) else format(value.normalize(), "f")


def whole_number(text: str) -> str | None:
    """The whole number that a text such as "1969.0" or "1e+16" is, as pandas writes columns of numbers; else None."""
    return str(int(Decimal(text))) if _WHOLE.fullmatch(text) else None


def spellings(value: Any) -> tuple[str, ...]:
    """Every spelling of a cell of answers, in order, each once. Raises Unclear."""
    try:
        words = (
            cell_text(spelling, _NO_NUMBER.__contains__).strip('"').strip() for spelling in _flattened(value, bars=True)
        )
        return tuple(dict.fromkeys(spelling for spelling in words if spelling))
    except RecursionError as error:
        raise Unclear("lists that are nested too deep") from error


def _flattened(value: Any, bars: bool, depth: int = 0) -> Iterable[Any]:
    """The single values in a cell."""
    if depth > MAX_DEPTH:
        raise Unclear("lists that are nested too deep")
    if isinstance(value, str):
        literal = _spelt_list(bare(value), is_element=not bars)
        if literal is not None:
            yield from _flattened(literal, bars, depth + 1)
        else:
            texts = _barred(value) if bars else [value]
            # A cell "None" is a missing value; in a list, where None has no quotes, "None" is a word.
            yield from (part for part in texts if depth or not _is_nothing(part.strip()))
    elif isinstance(value, Mapping):
        parts_by_name = {column(key): inner for key, inner in value.items()}
        if value and not set(_KEYS) & set(parts_by_name):
            raise Unclear("an object whose parts are not known")
        if len(parts_by_name) < len(value):
            raise Unclear("an object that names a part twice")
        for key in _KEYS:
            yield from _flattened(parts_by_name.get(key), bars, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            if isinstance(inner, (list, tuple)) and _is_rated(inner):
                raise Unclear("texts with a number each")
            yield from _flattened(inner, False, depth + 1)
    else:
        yield value


def _is_rated(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether this is a text with its count or score: ("Rome", 0.9)."""
    return any(isinstance(value, str) for value in values) and any(isinstance(value, (int, float)) for value in values)


def _barred(text: str) -> list[str]:
    """The spellings of a cell that is not a list. Raises Unclear for several lines, and for parts between semicolons.

    Of a worked solution ("... #### 72") only the part after its mark is the answer.
    """
    text = text.strip()
    worked = re.search(r"(?:\A|\n)####\s*+([^\n]++)\Z", text) if "####" in text else None
    if worked:
        return [worked[1]]
    if "\n" in text or "\r" in text or ";" in text and re.search(r";\s*\S", re.sub(r"&#?\w{1,8};", "", text)):
        raise Unclear("a list with another separator than bars")
    return text.split("|")


def _spelt_list(text: str, is_element: bool) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text spells; None where the text is a spelling itself.

    Args:
        is_element: whether the text is an element of a list. It is a spelling then, unless it has quotes:
            "(255, 255, 0)" is a colour.
    Raises Unclear.
    """
    if _BYTES.fullmatch(text):
        return [_text_of_literal(text)]
    if not is_element and (fields := _fields(text)):
        return fields
    if formula := _FORMULA.fullmatch(text):
        return [formula[1].replace('""', '"')]
    if not is_element and _TEXT_OF_LIST.fullmatch(text) and (twice := _list_in_quotes(text)) is not None:
        return [twice]
    if is_foreign(text):
        raise Unclear("an object as another program prints it")
    is_printed = _PRINTED.match(text) or _FIELDS.match(text)
    if text[:1] not in CLOSES and not _CALLED.match(text) and not is_printed:
        if is_unread(text):
            raise Unclear("an object as Python prints it, which is not read")
        return None
    if text[:1] in "[{":
        with suppress(BadInput):
            parsed = json_value(text, "the answers")
            # The text "{}" may be an answer, although it is an empty object.
            return parsed or ([] if text[:1] == "[" else None)
    try:
        parsed = Literal(text).parse()
    except NoLiteral as error:
        if _is_broken(text, is_element):
            raise Unclear("a list that is cut short, or of which a part is not understood") from error
        return None
    if isinstance(parsed, Tuple) and not all(value is None or isinstance(value, (str, list)) for value in parsed):
        if is_element:
            return None
        raise Unclear("numbers in brackets, which may be a list or a point")
    if is_printed and not isinstance(parsed, (list, dict)):
        return [parsed]
    return parsed if isinstance(parsed, (list, dict)) else None


def is_printed_list(text: str) -> bool:
    """Whether a text is nothing but a list or object as other tools print it, complete or cut short."""
    try:
        return _spelt_list(text, is_element=False) is not None
    except Unclear:
        return text[:1] in CLOSES and text.endswith((CLOSES[text[0]], "...", "\u2026"))


def _list_in_quotes(text: str) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text in quotes spells; None where there is none, as in "[sic]". Raises Unclear."""
    try:
        inner = str(Literal(text).parse())
    except NoLiteral:
        inner = text[1:-1]
    return _spelt_list(inner.strip(), is_element=False)


def _text_of_literal(text: str) -> str:
    """The text of a Python literal with or without a letter before its quotes: b'Rome'. Raises Unclear."""
    try:
        return str(Literal(text).parse())
    except NoLiteral as error:
        raise Unclear("bytes that are no text" if text[0] in "bB" else "a text in quotes that is not read") from error


def _fields(text: str) -> list[Any] | dict[str, Any] | None:
    """The list that texts without brackets spell, or the object that fields without a name spell ("value='Rome'
    aliases=['Roma']"); None where the text is neither. Raises Unclear for those that are cut short.
    """
    if _ROW.fullmatch(text):
        return [*map(_text_of_literal, re.findall(_QUOTED, text.removeprefix("[1]"), re.DOTALL))]
    if _ROW_CUT.fullmatch(text):
        raise Unclear("a list that is cut short")
    name = re.match(r"(\w{2,})=(?:['\"\[{]|\d+ |None |True |False )", text)
    if not name or not (name[1] in _KEYS or _FIELD.search(text)):
        return None
    try:
        fields: dict[str, Any] = Literal(f"Fields({text})").parse()
    except NoLiteral as error:
        raise Unclear("fields that are cut short, or of which one is not understood") from error
    return fields


def _is_broken(text: str, is_element: bool) -> bool:
    """Whether a text that cannot be read as a list is a damaged list, and not an answer with brackets of its own."""
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

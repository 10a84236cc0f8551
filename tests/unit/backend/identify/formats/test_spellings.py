"""What another tool turned into text is read back, or its row is counted with its place: never one wrong spelling."""

from __future__ import annotations

import io
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from backend.errors import BadInput
from backend.identify.formats import questions
from backend.identify.formats.literals import Unclear
from backend.identify.formats.spellings import spellings
from backend.types.identify import ReadQuestions
from tests.places import SHARED, needs_shared

ROME = ("Rome", "the eternal city")
MANY = tuple(f"name number {n} of the city" for n in range(30))
TRIVIA = {"value": "York", "aliases": ["Park Grove (1895)", "O'Brien's"], "normalized_aliases": ["york"], "type": "x"}


def printed(values: tuple[str, ...]) -> np.ndarray:
    return np.array(values, dtype=object)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (str(printed(ROME)), ROME),
        (str(np.array(ROME)), ROME),
        (str(printed(MANY)), MANY),
        (repr(printed(ROME)), ROME),
        (repr(np.array(MANY)), MANY),
        (repr(list(ROME)), ROME),
        (repr(ROME), ROME),
        (repr(("Rome",)), ("Rome",)),
        (repr({"Rome"}), ("Rome",)),
        (repr(frozenset({"Rome"})), ("Rome",)),
        (repr(["O'Brien", "x"]), ("O'Brien", "x")),
        (repr(['the "King"', "it's"]), ('the "King', "it's")),
        (repr([["Rome", "Roma"], ["Urbs"]]), ("Rome", "Roma", "Urbs")),
        (str(np.array([["Rome", "Roma"], ["Urbs", "x"]])), ("Rome", "Roma", "Urbs", "x")),
        (repr(TRIVIA), ("York", "Park Grove (1895)", "O'Brien's", "york")),
        (json.dumps(TRIVIA), ("York", "Park Grove (1895)", "O'Brien's", "york")),
        (repr({**TRIVIA, "aliases": printed(("A", "B'C"))}), ("York", "A", "B'C", "york")),
        (json.dumps(list(ROME), indent=1), ROME),
        (repr(["Rome", None, float("nan")]), ("Rome",)),
        (repr([np.str_("Rome")]), ("Rome",)),
        (str(np.array([1969.0, 1970.0])), ("1969", "1970")),
        ("[1969, 1970]", ("1969", "1970")),
        ("Rome|Roma", ("Rome", "Roma")),
        (["None", "zero", "nan"], ("None", "zero")),
        (str(pd.Index(["Rome", "x"], dtype=object)), ("Rome", "x")),
        (str({"Rome": 1, "Roma": 2}.keys()), ("Rome", "Roma")),
        ({"text": ["Rome"], "answer_start": [3]}, ("Rome",)),
        ([{"text": "Rome"}, {"text": "Roma"}], ("Rome", "Roma")),
        (("Rome", ("Roma",)), ("Rome", "Roma")),
        (["yellow", "(255, 255, 0)", "[a, b]", "{1, 2}"], ("yellow", "(255, 255, 0)", "[a, b]", "{1, 2}")),
        (["['Rome' 'Roma']"], ("Rome", "Roma")),
        (1969.0, ("1969",)),
        (1e3, ("1000",)),
        (3.5, ("3.5",)),
        (True, ("True",)),
        (Decimal("1969.00"), ("1969",)),
        (Decimal("3.50"), ("3.5",)),
        (datetime(1969, 7, 20), ("1969-07-20",)),
        (date(1969, 7, 20), ("1969-07-20",)),
        (b"Rome", ("Rome",)),
        *((missing, ()) for missing in (None, float("nan"), pd.NaT, "nan", "NaN", "None", "<NA>", "NaT", "", "[]")),
        *(
            (answer, (answer,))
            for answer in (
                "[sic]", "(Sittin' On) The Dock of the Bay", "{}", "[REC]", "('Til) I Kissed You", "[0, 1)", "(1969)",
                "(What's the Story) Morning Glory?", "[Intro], [Outro]", "Catch-22", "'Til Tuesday", "[[Rome]]",
                "(You're the) Devil in Disguise", "Nan", "NA", "...Baby One More Time", "[Untitled] (1968)", "(a)",
            )
        ),
    ],
)  # fmt: skip
def test_a_cell_gives_the_spellings_that_were_in_it(value: object, expected: tuple[str, ...]) -> None:
    assert spellings(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('c("Rome", "Roma")', ("Rome", "Roma")), ('list("Rome")', ("Rome",)), ("set()", ()), ("\\N", ()), ("#N/A", ()),
        ("1969-07-20 00:00:00", ("1969-07-20",)), ("1969-07-20T00:00:00.000Z", ("1969-07-20",)),
        ("1969-07-20 20:17:00", ("1969-07-20 20:17:00",)), ("6 * 12 = 72\n#### 72", ("72",)),
        ("Johnson &amp; Johnson", ("Johnson &amp; Johnson",)), ("c(3)PO", ("c(3)PO",)),
    ],
)  # fmt: skip
def test_what_r_databases_and_spreadsheets_write_is_read_back(value: object, expected: tuple[str, ...]) -> None:
    assert spellings(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "['Rome' 'Roma' ... 'Urbs' 'x']", "['Rome', 'the ete...", "['Ann", "('Rome', 'Ro...",
        "[Rome, the eternal city]", "{'foo': 'bar'}", "{Rome,Roma}",
        "['a', 'b' 'c']", "['a''b']", "(1, 2)", "{1, 2}", "array(['a', 'b'",
        "array(['a'], dtype=object", "['Rome', name]", "[" * 200 + "'a'" + "]" * 200, {"foo": "bar"}, float("inf"),
        b"\xff", ["Rome", {"foo": 1}], ["['Rome' ... 'x']"],
        str(pd.Series(["Rome", "x"])), str(pd.array(["Rome", "x"], dtype="string")),
        "Ann; Bo", "Ann\nBo", "- Ann\n- Bo", "[object Object]", 'Any["Rome", "Roma"]', 'String["Rome"]',
        "<generator object names at 0x7f19b04005f0>", str([pa.scalar("Rome")]), "<map object at 0x7f19af907bb0>",
    ],
)  # fmt: skip
def test_what_cannot_be_read_back_is_no_spelling(value: object) -> None:
    with pytest.raises(Unclear):
        spellings(value)


@dataclass
class Answer:
    value: str
    aliases: tuple[str, ...] = ()


class Row(NamedTuple):
    answers: list[str]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"O'Brien", ("O'Brien",)),
        (Decimal("3.0"), ("3",)),
        (Fraction(1, 2), ("1/2",)),
        (date(1969, 7, 20), ("1969-07-20",)),
        (datetime(1969, 7, 20, 20, 17), ("1969-07-20 20:17:00",)),
        (pd.Timestamp("1969-07-20"), ("1969-07-20",)),
        (np.datetime64("1969-07-20T00:00"), ("1969-07-20",)),
        (np.str_("Rome"), ("Rome",)),
        (np.int64(1969), ("1969",)),
        (np.float32(3.0), ("3",)),
        (torch.tensor([1969]), ("1969",)),
        (torch.tensor(1969.0), ("1969",)),
        (torch.tensor([[1, 2]], dtype=torch.int32), ("1", "2")),
        (defaultdict(list, {"value": ["Rome"]}), ("Rome",)),
        (OrderedDict(value="Rome"), ("Rome",)),
        (MappingProxyType({"value": "Rome"}), ("Rome",)),
        (SimpleNamespace(value="Rome"), ("Rome",)),
        (Row(["Rome", "Roma"]), ("Rome", "Roma")),
        (Answer("Rome", ("Roma",)), ("Rome", "Roma")),
        ([Answer("Rome"), Answer("Roma")], ("Rome", "Roma")),
        ([Decimal("3.50"), date(1969, 7, 20), b"Rome"], ("3.5", "1969-07-20", "Rome")),
    ],
)
def test_a_value_that_python_printed_is_read_back(value: object, expected: tuple[str, ...]) -> None:
    assert spellings(repr(value).replace(f"{Answer.__qualname__}.", "")) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("b'Rome'", ("Rome",)),
        ('b"O\'Brien"', ("O'Brien",)),
        ("u'Rome'", ("Rome",)),
        ("b'Z\\xc3\\xbcrich'", ("Zürich",)),
        ("Timestamp('1969-07-20 00:00:00')", ("1969-07-20",)),
        ("Timestamp('1969-07-20 20:17:00', tz='UTC')", ("1969-07-20 20:17:00",)),
        ("pd.Timestamp('1969-07-20 00:00:00')", ("1969-07-20",)),
        ("Decimal('3.0')", ("3",)),
        ("Decimal('3.50')", ("3.5",)),
        ("datetime.date(1969, 7, 20)", ("1969-07-20",)),
        ("datetime.datetime(1969, 7, 20, 0, 0)", ("1969-07-20",)),
        ("datetime.datetime(1969, 7, 20, 20, 17)", ("1969-07-20 20:17:00",)),
        ("tensor([1969])", ("1969",)),
        ("tensor(1969)", ("1969",)),
        ("tensor([1969., 1970.], dtype=torch.float64)", ("1969", "1970")),
        ("tensor([[1], [2]], device='cuda:0')", ("1", "2")),
        ("Array([1969], dtype=int32)", ("1969",)),
        ("defaultdict(<class 'list'>, {'value': ['Rome']})", ("Rome",)),
        ("defaultdict(None, {'value': 'Rome'})", ("Rome",)),
        ("Answer(value='Rome')", ("Rome",)),
        ("Answer(value='Rome', aliases=['Roma', 'Urbs'])", ("Rome", "Roma", "Urbs")),
        ("__main__.Answer(value='Rome')", ("Rome",)),
        ("Row(value='Rome')", ("Rome",)),
        ("namespace(value='Rome')", ("Rome",)),
        ("[Answer(value='Rome'), Answer(value='Roma')]", ("Rome", "Roma")),
        ("value='Rome' aliases=['Roma']", ("Rome", "Roma")),
        ("'Rome', 'Roma'", ("Rome", "Roma")),
        ('"Rome", "Roma"', ("Rome", "Roma")),
        ("'Rome', \"O'Brien\",", ("Rome", "O'Brien")),
        ('[1] "Rome" "Roma"', ("Rome", "Roma")),
        ("np.str_('Rome')", ("Rome",)),
        ("np.float64(3.0)", ("3",)),
        ("np.int64(1969)", ("1969",)),
        ("np.datetime64('1969-07-20')", ("1969-07-20",)),
        ("np.datetime64('1969-07-20T00:00:00')", ("1969-07-20",)),
        ("Fraction(1, 2)", ("1/2",)),
        ("Fraction(-1, 2)", ("-1/2",)),
        ("{'value'                : 'Rome'}", ("Rome",)),
        ("OrderedDict({'value': 'Rome'})", ("Rome",)),
        ("[Decimal('3.50'), datetime.date(1969, 7, 20), Timestamp('1969-07-20 00:00:00')]", ("3.5", "1969-07-20")),
        ("mappingproxy({'value': 'Rome'})", ("Rome",)),
        ("np.bytes_(b'Rome')", ("Rome",)),
        (["b'Rome'"], ("Rome",)),
        (["Decimal('3.0')"], ("3",)),
        ("datetime.datetime(1969, 7, 20, 0, 0, tzinfo=datetime.timezone.utc)", ("1969-07-20",)),
    ],
)
def test_a_value_that_other_tools_printed_is_read_back(value: object, expected: tuple[str, ...]) -> None:
    assert spellings(value) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "'Round Midnight",
        '"Heroes" (album)',
        "Answer (song)",
        "'39",
        "print('Hello')",
        "f(x=2)",
        "P(X=1)",
        "P(A=a, B=b)",
        "int(3.5)",
        "np.zeros(3)",
        "sin(0)",
        "Fe(OH)2",
        "Co(NH3)6",
        "B'z",
        "B'Day",
        '"Weird Al" Yankovic',
        '"Heroes", "Low" and "Lodger"',
        "O(n)",
        "<3",
        "<b>Rome</b>",
        "E=mc2",
        "'N Sync",
        "T'Pau",
        "'Tis, 'Twas",
        "sorted(key='x')",
        "x='a'",
        "Smile (Life: The Best)",
        "date(s)",
        "Some (song)",
        "List",
        "Array",
        "Vector(s)",
        "datetime",
        "Timestamp",
        "tensor",
        "Decimal (base ten)",
        "b'",
        "The 'Burbs",
        "Ca(OH)2",
        "U(1)",
        "SU(3)",
        "Log(x)",
        "Pb(NO3)2",
        "GL(n, R)",
        "len('abc')",
        "class='x'",
        "'Heroes'",
        "Rock 'n' Roll",
        "'S Wonderful, 'S Marvelous",
        "Answer: Rome",
        "Set(s)",
        "<i>Emma</i>",
        "Map (band)",
        "C(5, 2)",
        "Beta(2, 3)",
        "Hello, 'World'",
        "Don't, Won't",
        '"Yesterday", a song about loss...',
        "'Hello', he said\u2026",
        '"Help!", by the Beatles, and so on...',
        '"[Untitled]"',
        "'[sic]'",
        "'{x}'",
        '"[a]" and "[b]"',
    ],
)
def test_an_answer_that_only_looks_printed_stays_as_it_is(answer: str) -> None:
    assert spellings(answer) == (answer.strip('"'),)


@pytest.mark.parametrize(
    "value",
    [
        "Timestamp('1969-07",
        "Decimal('three')",
        "datetime.date(1969, 17, 20)",
        "datetime.date(1969, 7",
        "tensor([1969",
        "tensor(...)",
        "defaultdict(<class 'list'>, {'foo': 1})",
        "defaultdict(<function <lambda> at 0x7f>, {'value': 'x'})",
        "Answer(value='Ro...",
        "Answer(foo='Rome')",
        "Answer('Rome')",
        "Row('Rome', 'Roma')",
        "UUID('12345678-1234-5678-1234-567812345678')",
        "Timedelta('1 days 00:00:00')",
        "datetime.timedelta(days=1)",
        "Counter({'Rome': 2})",
        "b'\\xff'",
        "'Rome', 'Ro...",
        "value='Rome' aliases=['Ro",
        "<tf.Tensor: shape=(1,), dtype=string, numpy=array([b'Rome'], dtype=object)>",
        "<class 'str'>",
        "<Color.RED: 1>",
        '#<struct Answer value="Rome">',
        "Array ( [0] => Rome )",
        '{:value=>"Rome"}',
        "map[value:Rome]",
        "Map(1) { 'a' => 1 }",
        "WrappedArray(Rome, Roma)",
        "List(Rome, Roma)",
        'Some("Rome")',
        "[1] 1969",
        "PosixPath('/x')",
        "Interval('a', 'b')",
        "Answer(value='Rome', score=object())",
        "Period('1969-07', 'M')",
        "Fraction(1, 0)",
        "Decimal('sNaN')",
        "Decimal('1E+5000')",
        "Decimal('1E+1000000000')",
        "[Decimal('1E-1000000000'), 'Rome']",
        "'Rome', 'Roma\\x'",
        "'Rome', ...",
    ],
)
def test_a_printed_value_that_is_cut_short_or_not_known_is_no_spelling(value: str) -> None:
    with pytest.raises(Unclear):
        spellings(value)


@pytest.mark.parametrize("head", ["", "'a',", '"a", ', "[", "Map(", "{a:", "Decimal(", "x\n####"])
@pytest.mark.parametrize("unit", [" ", "1", "a", "'", '"', ",", "(", "####   ", "a.", "b'", "'a', ", "\\"])
def test_a_long_cell_is_read_in_one_pass(head: str, unit: str) -> None:
    # Read anew from each of its characters, each of these took minutes.
    for tail in ("x", "]", "...", "\n y"):
        with suppress(Unclear):
            spellings(head + unit * (60_000 // len(unit)) + tail)


def test_a_number_of_thousands_of_digits_in_a_table_fails_no_other_row() -> None:
    long = "9" * 5_000
    table = f"question,answer\nWho?,Rome\nHow many?,Decimal('1E+5000')\nHow far?,{long}.0\nWhen?,{long}\n"
    told = questions.read(table.encode(), "q.csv")
    assert [one.text for one in told.questions] == ["Who?", "How far?", "When?"] and told.unclear == 1


def test_printed_values_in_a_table_are_read_or_counted_with_their_place_and_id() -> None:
    table = pd.DataFrame({
        "id": ["a", "b", "c", "d"],
        "question": [str(b"Who?"), "When?", "What?", "Where?"],
        "answer": [repr(b"Rome"), repr(pd.Timestamp("1969-07-20")), "Answer('Rome')", "Timestamp('1969-0..."],
    })  # fmt: skip
    told = questions.read(table.to_csv(index=False).encode(), "q.csv")
    assert [(one.text, one.answers) for one in told.questions] == [("Who?", ("Rome",)), ("When?", ("1969-07-20",))]
    assert told.unclear == 2 and "(line 4, id c; line 5, id d)" in told.left_out


@needs_shared
def test_every_published_question_with_a_name_is_read() -> None:
    for name, lost in (("triviaqa_994.jsonl", 0), ("nq_open_dev.jsonl", 2)):
        told = questions.read_path(SHARED / name)
        # Of NQ-Open two have signs alone for an answer, as "---".
        assert told.unusable == lost and not (told.incomplete or told.unclear or told.long or told.broken)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='|"\0'), min_size=1), min_size=1, max_size=6))
@example(["undefined", "None", "\\N"])
def test_every_list_that_python_and_json_write_is_read_back(words: list[str]) -> None:
    wanted = spellings(words)
    assert spellings(repr(words)) == spellings(json.dumps(words)) == spellings(repr(tuple(words))) == wanted
    assert spellings(repr(np.array(words, dtype=object))) == wanted


FORMS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "q.csv": lambda table: table.to_csv(index=False).encode(),
    "q.tsv": lambda table: table.to_csv(index=False, sep="\t").encode(),
    "q.jsonl": lambda table: table.to_json(orient="records", lines=True).encode(),
    "q.json": lambda table: table.to_json(orient="records").encode(),
    "columns.json": lambda table: table.to_json().encode(),
    "split.json": lambda table: table.to_json(orient="split").encode(),
    "table.json": lambda table: table.to_json(orient="table").encode(),
    "lists.json": lambda table: json.dumps(
        {name: json.loads(table[name].to_json(orient="values")) for name in table}
    ).encode(),
}


def parquet(table: pa.Table, **given: Any) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, **given)
    return out.getvalue().to_pybytes()


FORMS["q.parquet"] = lambda table: parquet(pa.Table.from_pandas(table))


def answers(told: ReadQuestions) -> list[tuple[str, ...]]:
    return [question.answers for question in told.questions]


@pytest.mark.parametrize("name", FORMS)
def test_a_table_of_pandas_gives_the_same_questions_in_every_form(name: str) -> None:
    table = pd.DataFrame({
        "question": ["Who?", "Where?", "What?", "Which?"],
        "answers": [printed(ROME), printed(("O'Brien", 'the "x" one')), printed(("Urbs",)), printed(MANY[:9])],
    })  # fmt: skip
    told = questions.read(FORMS[name](table), name)
    assert answers(told) == [ROME, ("O'Brien", 'the "x" one'), ("Urbs",), MANY[:9]] and not told.left_out


@pytest.mark.parametrize("name", FORMS)
def test_a_whole_number_beside_a_missing_one_stays_whole_and_the_missing_one_is_told(name: str) -> None:
    table = pd.DataFrame({"question": ["When?", "Who?", "How many?"], "answer": [1969, None, 12]})
    told = questions.read(FORMS[name](table), name)
    assert answers(told) == [("1969",), ("12",)] and told.incomplete == 1
    assert ("line 3" if name in ("q.csv", "q.tsv") else "line 2" if name == "q.jsonl" else "row 2") in told.left_out


def test_a_point_is_kept_beside_the_whole_number_where_other_answers_are_names() -> None:
    told = questions.read(b"question,answer\nWhich Python?,3.0\nWho?,Guido\n", "q.csv")
    assert answers(told) == [("3", "3.0"), ("Guido",)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([["Rome", "Roma"]], pa.large_list(pa.large_string())), ("Rome", "Roma")),
        (pa.array([["Rome", None]], pa.list_(pa.string(), 2)), ("Rome",)),
        (pa.array(["Rome"]).dictionary_encode(), ("Rome",)),
        (pa.array([TRIVIA]), ("York", "Park Grove (1895)", "O'Brien's", "york")),
        (pa.array([[("value", "Rome")]], pa.map_(pa.string(), pa.string())), ("Rome",)),
        (pa.array([datetime(1969, 7, 20)], pa.timestamp("ns")), ("1969-07-20",)),
        (pa.array([date(1969, 7, 20)]), ("1969-07-20",)),
        (pa.array([Decimal("1969.00")]), ("1969",)),
        (pa.array([3.1], pa.float32()), ("3.1",)),
        (pa.array([[3.1, 1969.0]], pa.list_(pa.float32())), ("3.1", "1969")),
        (pa.array([True]), ("True",)),
        (pa.array([b"Rome"]), ("Rome",)),
        (pa.array([1969, None], pa.int64())[:1], ("1969",)),
        (pa.array([[["Rome"], ["Roma"]]]), ("Rome", "Roma")),
    ],
)
def test_each_kind_of_column_gives_its_spellings(column: pa.Array, expected: tuple[str, ...]) -> None:
    table = pa.table({"question": ["Who?"], "answers": column})
    assert answers(questions.read(parquet(table), "q.parquet")) == [expected]


@pytest.mark.parametrize("name", ["q.csv", "q.jsonl", "q.parquet"])
def test_each_row_that_cannot_be_used_is_counted_by_its_reason_with_place_and_id(name: str) -> None:
    table = pd.DataFrame({
        "id": ["a", "b", "c", "d"],
        "question": ["Who?", "What?", "Where?", "Why?"],
        "answers": ["Rome", "*", "['Rome' 'Roma' ... 'x']", "<NA>"],
    })  # fmt: skip
    told = questions.read(FORMS[name](table), name)
    assert (told.unusable, told.unclear, told.incomplete) == (1, 1, 1) and answers(told) == [("Rome",)]
    places = {"q.csv": ("line 3", "line 4", "line 5"), "q.jsonl": ("line 2", "line 3", "line 4")}
    b, c, d = places.get(name, ("row 2", "row 3", "row 4"))
    assert told.left_out == (
        f"Left out of 4 rows: 1 without a question or an answer ({d}, id d), "
        f"1 whose answers have no letter or digit beside an article ({b}, id b), "
        f"1 with a list, object, moment or letter of a choice that cannot be read back ({c}, id c)."
    )


def test_where_no_row_can_be_used_the_reasons_are_told() -> None:
    with pytest.raises(
        BadInput, match=r"1 whose answers have no letter or digit beside an article \(line 2, id tc_1\)"
    ):
        questions.read(b"id,question,answer\ntc_1,Who?,*\n", "q.csv")


def test_two_columns_of_one_meaning_are_refused_in_every_form() -> None:
    rows = json.dumps([{"question": "Who?", "answer": "A", "Answer": "B"}]).encode()
    table = pa.table({"question": ["Who?"], "answer": ["A"], "Answer": ["B"]})
    for payload, name in ((rows, "q.json"), (parquet(table), "q.parquet")):
        with pytest.raises(BadInput, match="two columns 'answer'"):
            questions.read(payload, name)


def test_a_broken_list_over_several_lines_is_told_by_its_own_line() -> None:
    with pytest.raises(BadInput, match="q.json is broken JSON: line 3, column"):
        questions.read(b'[\n{"question": "Who?", "answer": "A"},\n{"question": }\n]', "q.json")


def test_a_table_that_was_written_for_a_spreadsheet_is_read_back() -> None:
    from backend import spreadsheet

    table = pd.DataFrame({"question": ["=1+1?", "'-7?", "x"], "answers": ["-7 degrees", "'=b", "@home"]})
    payload = spreadsheet.csv(table)
    assert not any(cell[:1] in "=+-@" for row in pd.read_csv(io.BytesIO(payload)).to_numpy() for cell in row)
    told = questions.read(payload, "q.csv").questions
    assert [(one.text, one.answers[0]) for one in told] == list(table.itertuples(index=False, name=None))

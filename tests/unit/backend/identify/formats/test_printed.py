"""What programs print of objects of their own is refused, however it is written; an answer that looks so is kept."""

from __future__ import annotations

import json

import pytest

from backend.identify.formats.literals import Unclear
from backend.identify.formats.spellings import spellings

REFUSED = (
    *("dict_items([('value', 'Rome')])", "odict_keys(['Rome'])", "range(0, 3)", "bytearray(b'Rome')"),
    *("memoryview(b'a')", "np.longdouble('1.5')", "np.complex128(1+2j)", "np.void(b'\\x01')"),
    *("Categorical(['a'], categories=['a', 'b'])", "DatetimeIndex(['2020-01-01'], freq=None)", "Column(['a', 'b'])"),
    *("DeviceArray([1], dtype=int32)", "tf.Tensor([b'Rome' b'Roma'], shape=(2,), dtype=string)"),
    *("[('Rome', 1), ('Roma', 2)]", "[('Rome', 0.9)]", '[["Rome", 1]]', "Answer object (3)", "[<Answer 1>]"),
    *('list(a = "x")', 'list(value = "Rome")', 'c(a = "x", b = "y")', "c(1969L, 1970L)", "[1] NA"),
    *('factor(c("a"))', 'structure(list(), class = "x")', "<chr [2]>", "<tibble [1 x 1]>"),
    *('Union{Missing, String}["a", missing]', "Any[]", "String[]", "Int64[1, 2]", "Float64[1.0]", '"a" => "b"'),
    *('Dict{String, Any}("value" => "Rome")', 'Set{String}(["a"])', '(value = "Rome", aliases = ["Roma"])'),
    *("{value -> Rome}", "Map(value -> Rome)", "{value=Rome}", "[{value=Rome}]", "Some(Rome)", "Optional[Rome]"),
    *("Optional.empty", "List()", "Seq(Rome, Roma)", "Answer(Rome,List(Roma))", "Answer[value=Rome]"),
    *("Answer{value='Rome'}", "java.lang.String@1b6d3586", "[Ljava.lang.String;@1b6d3586"),
    *("{ value: 'Rome' }", "[ { value: 'Rome' } ]", "{Value:Rome}", "&{Rome}", '#{value: "Rome"}', "[Object]"),
    *("[ [Object] ]", '[]string{"Rome", "Roma"}', "%w[Rome Roma]", 'vec!["Rome", "Roma"]', "[:rome]"),
    *("array(0 => 'Rome')", "HASH(0x55d0f8a7b2c8)", "[nil]", "{NULL}", "ARRAY['Rome','Roma']"),
    *("\\x526f6d65", "X'526f6d65'", '"Rome", "Roma', "!!python/tuple [a, b]", [["Rome", 0.9]]),
)


@pytest.mark.parametrize("value", REFUSED)
def test_an_object_of_another_program_is_no_spelling(value: object) -> None:
    with pytest.raises(Unclear):
        spellings(value)


ROME = ("Rome", "Roma")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # A list that was written as JSON, or printed, twice.
        (json.dumps(json.dumps(ROME)), ROME),
        (repr(json.dumps(ROME)), ROME),
        (json.dumps(repr(list(ROME))), ROME),
        ('="1969"', ("1969",)),
        ("np.True_", ("True",)),
        ("[np.True_, np.False_]", ("True", "False")),
        ("tensor(True)", ("True",)),
        ('list(c("Rome", "Roma"))', ROME),
        ('c(NA, "Rome")', ("Rome",)),
        ("c(1969, 1970)", ("1969", "1970")),
        ('Set(["Rome", "Roma"])', ROME),
        ("id=3 value='Rome' score=0.9", ("Rome",)),
        ("2020-01-01 00:00", ("2020-01-01",)),
        (["seven", 7], ("seven", "7")),
        *(
            (nothing, ())
            for nothing in (
                *("np.nan", "NULL", "(NULL)", "[NULL]", "<nil>", "missing", "character(0)", "integer(0)", "list(NULL)"),
                *("NA_character_", "#SPILL!", "#CALC!", "#GETTING_DATA", "#FIELD!"),
            )
        ),
    ],
)
def test_what_programs_print_of_texts_and_of_nothing_is_read_back(value: object, expected: tuple[str, ...]) -> None:
    assert spellings(value) == expected


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "Array (band)",
            "Map (mathematics)",
            "Some (song)",
            "Optional",
            "Optional[1]",
            "Rome[2]",
            "5 [citation needed]",
        ),
        *("Union [Army]", "String[s]", "Char[acter]", "[Fe(CN)6]4\u2212", "K4[Fe(CN)6]", "CH3(CH2)4COOH", "Sp(2n, R)"),
        *(
            "C(n, k)",
            "c(a)",
            "f(x) = x\u00b2",
            "x := 1",
            "{x: x > 2}",
            "{x \u2208 N: x < 5}",
            "E = mc\u00b2",
            "key=value",
        ),
        *(
            "john.smith@example.com",
            "Foo object (lens)",
            "factor VIII",
            "structure",
            "range(10)",
            "Null Island",
            "Missing",
        ),
        *('"War", "Peace" and "Love"', '"Yes", he said', "#FF0000", "HASH(code)", "[a]", "{a}", "{K}", "[[Main Page]]"),
        *("[dunkelbunt]", "id=3", "text: yes", "Tor(A, B)", "Ext([a], b)", "NaCl(aq)", "nothing", "1:3", "@midnight"),
    ],
)
def test_an_answer_that_looks_like_an_object_stays_as_it_is(answer: str) -> None:
    assert spellings(answer) == (answer.strip('"'),)

"""Tables and objects as other tools write them: no row, cell or part is lost without a word, none becomes another."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput
from backend.identify.formats import questions, thunlp
from backend.identify.formats.literals import Unclear
from backend.identify.formats.spellings import spellings

ANN, BO = {"question": "Who?", "answers": "Ann"}, {"question": "What?", "answers": "Bo"}
BOTH = [("Who?", ("Ann",)), ("What?", ("Bo",))]


def read(told: object, name: str = "q.json") -> list[tuple[str, tuple[str, ...]]]:
    payload = told if isinstance(told, str) else json.dumps(told)
    return [(one.text, one.answers) for one in questions.read(payload.encode(), name).questions]


def left_out(told: object, name: str = "q.json") -> str:
    payload = told if isinstance(told, str) else json.dumps(told)
    return questions.read(payload.encode(), name).left_out


@pytest.mark.parametrize(
    "value",
    [
        {"value": "a", "Value": "b"},
        {"value": "a", " value": "b"},
        {"value": "a", "\ufeffvalue": "b"},
        '{"value": "a", "value": "b"}',
        "{'value': 'a', 'value': 'b'}",
        "{'value': 'a', 'Value': 'b'}",
        "dict([('value', 'a'), ('value', 'b')])",
        "OrderedDict([('value', 'a'), ('value', 'b')])",
        "Answer(value='a', value='b')",
        "value='a' value='b'",
        "[{'value': 'a'}, {'text': 'b', 'text': 'c'}]",
        "array(['a'], also='b')",
    ],
)
def test_an_object_that_names_a_part_twice_is_not_one_spelling_of_two(value: object) -> None:
    with pytest.raises(Unclear):
        spellings(value)
    rows = [{**ANN, "answers": value, "id": "x1"}, BO]
    said = "1 with a list, object, moment or letter of a choice that cannot be read back (row 1, id x1)"
    assert said in left_out(rows)


@pytest.mark.parametrize(
    "cut",
    [
        "('New York', 'Ro", "('New York', ",
        "'Rome', 'Ro", "'Rome', \"O'Br", '"Rome",', "'Rome', 'Roma', \u2026", "'Rome', ...",
    ],
)  # fmt: skip
def test_a_list_without_its_end_is_not_one_spelling(cut: str) -> None:
    with pytest.raises(Unclear):
        spellings(cut)


@pytest.mark.parametrize(
    "answer", ["('Til) I Kissed You", "('Til", "'Round Midnight", "'Tis, 'twas", '"Heroes"!', "O'Neal, Shaq"]
)
def test_an_answer_that_begins_with_an_apostrophe_stays(answer: str) -> None:
    assert spellings(answer) == (answer.strip('"'),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("question, answers\nWho?, \"Ann\"\n\"What?\",  \"Bo, or Cy\"\n", [BOTH[0], ("What?", ("Bo, or Cy",))]),
        ("\ufeff\ufeffquestion,\u00a0answers\u200b\nWho?,Ann\n\ufeffWhat?,Bo\n", BOTH),
        (",,\n;;\nquestion,answers\nWho?,Ann\nWhat?,Bo\n", BOTH),
        ('"sep=;"\r\nquestion;answers\r\nWho?;Ann\r\nWhat?;Bo\r\n', BOTH),
        ("question,answers\rWho?,Ann\rWhat?,Bo\r", BOTH),
        ("question,answers\r\r\nWho?,Ann\r\r\nWhat?,Bo\r\r\n", BOTH),
        ('question,answers\n="Who?",="Ann"\n"=""What?""",Bo\n', BOTH),
        ("question,answers\nWho?,Ann\x1eend\nWhat?,Bo", [("Who?", ("Ann\x1eend",)), BOTH[1]]),
        ('question,answers\n"Who?","Ann\x1eend"\n\x1eend', [("Who?", ("Ann\x1eend",))]),
        ('question,answers\n"Say ""Who""?","=""the """"Ann"""""""\n', [('Say "Who"?', ('the "Ann',))]),
    ],
    ids=["spaces", "marks", "blank", "sep", "mac", "crcrlf", "formula", "record-mark", "record-mark-quoted", "quotes"],
)  # fmt: skip
def test_a_table_is_read_as_its_tool_wrote_it(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert read(text, "q.csv") == expected


def test_a_heading_that_stands_again_between_rows_is_no_question() -> None:
    text = "id,question,answers\n1,Who?,Ann\n\ufeffID,Question,answers\n2,What?,Bo\n"
    assert read(text, "q.csv") == BOTH
    assert "1 without a question or an answer (line 3)" in left_out(text, "q.csv")
    assert read("question,answers\nquestion,Ann\n", "q.csv") == [("question", ("Ann",))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,answers\nWho?,Ann\nanswers,question\nBo,What?\n", "line 3 is a heading again, of columns in ano"),
        ("question,answers\nWho?,Ann\rBo\nWhat?,Cy\n", "line 2 has a carriage return within a cell"),
        ("question,answers\nWho?\r,Ann\nWhat?,Cy\n", "line 2 has a carriage return within a cell"),
        ("# of 2024\nquestion,answers\nWho?,Ann\n", "no column of questions: its columns are # of 2024"),
        ('"question","answers"\n"1","Who?","Ann"\n', "line 2 has more cells .* or name a column that has no name"),
    ],
)  # fmt: skip
def test_a_table_that_would_be_read_as_another_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(text, "q.csv")


def test_nothing_as_r_writes_it_is_none_behind_a_number_and_a_text_of_two_lines() -> None:
    text = '"id","question","answers","day"\n1,"Who?",NA,2020-01-01\n2,"Which\nsign?",NA,NA\n3,"What?","NA",TRUE\n'
    assert read(text, "q.csv") == [("What?", ("NA",))]
    assert "2 without a question or an answer (line 2, id 1; line 3, id 2)" in left_out(text, "q.csv")
    assert read('"question","answers"\nOf "x",NA\nWhat?,NA\n', "q.csv")[0][1] == ("NA",)


@pytest.mark.parametrize(
    "nothing",
    ["#NV", "#WERT!", "#\u00a1DIV/0!", "#\u0417\u041d\u0410\u0427!", "Err:502", "-nan", "n/a", "N/A", "#N/A", "\u200b"],
)
def test_what_a_spreadsheet_could_not_work_out_is_no_answer_in_any_language(nothing: str) -> None:
    assert spellings(nothing) == ()
    assert "1 without a question or an answer (line 2)" in left_out(
        f"question,answers\nWho?,{nothing}\nWhat?,Bo\n", "q.csv"
    )


@pytest.mark.parametrize("answer", ["#selfie!", "#1", "Err", "#Hashtag!", "NA"])
def test_an_answer_that_only_looks_like_nothing_stays(answer: str) -> None:
    assert spellings(answer) == (answer,)


@pytest.mark.parametrize(
    "text",
    ["['Who?', 'What?']", "[{'role': 'user', 'content': 'Who?'}]", '{"text": "Who?"}', "['Who is the ...", "('Who?',)"],
)
def test_a_question_that_is_a_printed_list_is_counted_as_a_list_is(text: str) -> None:
    rows = [{"question": text, "answers": "Ann", "id": "x1"}, BO]
    assert read(rows) == [BOTH[1]] and "1 without a question or an answer (row 1, id x1)" in left_out(rows)


@pytest.mark.parametrize(
    "text", ["['Til] sang whom?", '{"a": 1} is what?', "(1, 2) lies where?", "[REC]", "print('a') is?"]
)
def test_a_question_that_begins_as_a_list_is_a_question(text: str) -> None:
    assert read([{"question": text, "answers": "Ann"}]) == [(text, ("Ann",))]


@pytest.mark.parametrize("answer", ["B", "(B)", "B.", ["A", "C"], 2])
@pytest.mark.parametrize(
    "choices", [{"A": "Ann", "B": "Bo"}, {"option1": "Ann", "option2": "Bo"}, {"choices": ["Ann"]}]
)
def test_the_letter_of_a_choice_is_no_answer_wherever_the_choices_stand(
    answer: object, choices: dict[str, Any]
) -> None:
    row = {"question": "Who?", **choices, "answer": answer}
    assert "1 with a list, object, moment" in left_out([row, BO])
    assert read([{**row, "answer": "Bo"}]) == [("Who?", ("Bo",))]


@pytest.mark.parametrize(
    ("told", "expected", "left"),
    [
        ({"q1": ANN, "q2": None, "q3": BO}, BOTH, "1 that are no text (row 2)"),
        ({"columns": ["question", "answers"], "data": [["Who?", "Ann"], ["x"], ["x", "y", "z"], BO]}, BOTH,
         "2 that are no text (row 2; row 3)"),
        ('{"question": {"text": "x", "lang": "y"}, "answers": {"text": "u", "lang": "v"}}\n' + json.dumps(ANN),
         BOTH[:1], "1 without a question or an answer (line 1)"),
    ],
)  # fmt: skip
def test_rows_of_another_kind_are_counted_among_the_others(told: object, expected: object, left: str) -> None:
    assert read(told) == expected and left in left_out(told)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"data": [ANN], "test": [BO]}, "questions under 'data' and under 'test'"),
        ({"data": [], "Data": [BO]}, "questions under 'data' and under 'Data'"),
        ({"data": [ANN], "more": {"q2": BO}}, "questions under 'data' and under 'more'"),
        ({"columns": ["question", "answers", "answers"], "data": [["Who?", "Ann", "Bo"]]}, "two columns 'answers'"),
        ({"columns": [["x", "question"], ["x", "answers"]], "data": [["Who?", "Ann"]]}, "no column of questions"),
        ({}, "its first row has none"),
        ('{"question": "Who?", "answers": "Ann"},\n[]\n', "column 39: Extra data"),
        ('[1,\n{"question": "Who?"}]\n', "line 1 is broken JSON: column 4"),
    ],
)
def test_what_would_be_lost_of_an_object_is_refused(told: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(told, "q.jsonl" if isinstance(told, str) else "q.json")


def test_a_row_by_its_id_keeps_its_own() -> None:
    rows = {"q1": ANN, "q2": {"ID": "x9", **BO}, "q3": {"id": None, "question": "Where?", "answers": "Rome"}}
    found = questions.read(json.dumps(rows).encode(), "q.json").questions
    assert [one.id for one in found] == ["q1", "x9", "q3"]


def test_texts_that_unicode_writes_in_two_ways_ask_the_same() -> None:
    asked = "What caf\u00e9?,Ann\nWhat cafe\u0301?,Bo\nWhat\u200b caf\u00e9\u200e?,Cy\nWhat 2\u00b2?,4\nWhat 22?,22\n"
    text = f"question,answers\n{asked}"
    assert [answers for _, answers in read(text, "q.csv")] == [("Ann", "Bo", "Cy"), ("4",), ("22",)]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ('question,answers\nWho?,"####' + " " * 100_000 + '\nx\ny"\nWhat?,Bo\n', "q.csv"),
        ('"question","answers"\n"Who?",' + " " * 100_000 + "x\nWhat?,Bo\n", "q.csv"),
        ("{" + "".join(f'"k{n}": 1, ' for n in range(50_000)) + '"k49999": 2}', "q.json"),
        ({"question": {"a": "Who?"}, "answers": {"a": "Ann"},
          **{f"c{c}": {f"r{c},{n}": 1 for n in range(50)} for c in range(900)}}, "q.json"),
    ],
    ids=["worked", "r", "twice", "columns"],
)  # fmt: skip
def test_a_file_is_read_in_one_pass(told: object, name: str) -> None:
    payload = (told if isinstance(told, str) else json.dumps(told)).encode()
    start = time.perf_counter()
    try:
        assert questions.read(payload, name).questions
    except BadInput as error:
        assert "twice in one object" in str(error)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"response": None}, "line 1 is not an answer: its 'response' is not text"),
        ({"question": ["Who?"]}, "line 1 is not an answer: its 'question' is not text"),
        ({"answer_tokens": "Ann"}, "line 1 is not an answer: in its tokens Ann is not a list of texts"),
        ({"tokenized_response": [True]}, r"line 1 is not an answer: in its tokens \[True\] is not a list of texts"),
        ([], "line 1 is not an answer: its 'question' is not text"),
    ],
)
def test_an_answer_of_the_authors_layout_is_refused_in_words(row: Any, said: str, tmp_path: Path) -> None:
    whole = {"question": "Who?", "response": "Ann", "tokenized_response": ["Ann"], "answer_tokens": ["Ann"]}
    file = tmp_path / "answer_tokens.jsonl"
    file.write_text(json.dumps({"q1": row if isinstance(row, list) else {**whole, **row}}))
    with pytest.raises(BadInput, match=said):
        thunlp.read_answers(file)
    file.write_text("[1]")
    with pytest.raises(BadInput, match="line 1 is not an answer: it is not an object of answers by their ids"):
        thunlp.read_answers(file)


@pytest.mark.parametrize(
    "lines",
    [
        ('"Emma was by?\tAusten', "Who?\tRome", 'Which film?\tJaws"', "Last?\tx"),
        ('"Emma" was by?\tAusten', "Who?\tRome"),
        ('Who?\t"Rome', "What?\tBo"),
        ('Who said "no"?\tAnn', 'What?\t"Bo" or so'),
    ],
)
def test_tabs_part_cells_whose_quotation_marks_are_a_part_of_the_text(lines: tuple[str, ...]) -> None:
    """As spreadsheets write them that keep tabs and line ends out of their cells."""
    told = questions.read("\n".join(("question\tanswer", *lines)).encode(), "q.tsv")
    assert [one.text for one in told.questions] == [line.split("\t")[0] for line in lines] and not told.left_out


def test_tabs_part_cells_that_quotation_marks_enclose() -> None:
    told = 'question\tanswer\n"Who said ""no""?"\tAnn\n"What\nis it?"\t"Bo"\n'
    assert read(told, "q.tsv") == [('Who said "no"?', ("Ann",)), ("What\nis it?", ("Bo",))]
    with pytest.raises(BadInput, match="line 3 has a quotation mark within a cell"):
        read(told.replace('"What\nis it?"', '"What" is it?'), "q.tsv")


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ('question,answer\n"Who said ""no"" , then?" ,"Rome"\n', "q.csv"),
        ('"question" , "answer" \r\n"Who said ""no"" , then?"\t , "Rome" \r\n', "q.csv"),
        ('question;answer\n"Who said ""no"" , then?"\u00a0;"Rome" ', "q.csv"),
        ('sep=|\nquestion|answer\n"Who said ""no"" , then?" |"Rome"\n', "q.csv"),
        ('question\tanswer\n"Who said ""no"" , then?" \t"Rome"  \n', "q.tsv"),
        ('"question" \t"answer"\n"Who said ""no"" , then?" \t"Rome"\n', "q.tsv"),
        ('question,answer\r"Who said ""no"" , then?" ,"Rome" \r', "q.csv"),
    ],
)
def test_a_blank_behind_the_quotation_mark_that_ends_a_cell_belongs_to_no_cell(told: str, name: str) -> None:
    assert read(told, name) == [('Who said "no" , then?', ("Rome",))]


def test_blanks_within_what_quotation_marks_enclose_are_the_text_s_own_over_several_lines() -> None:
    text = 'Who said "no" ,\nand "yes" , or\n"maybe" ?'
    enclosed = text.replace('"', '""')
    assert read(f'question,answer\n"{enclosed}" ,"Ann" \n"{enclosed}2","Bo"\n', "q.csv") == [
        (text, ("Ann",)), (f"{text}2", ("Bo",)),
    ]  # fmt: skip
    with pytest.raises(BadInput, match="line 2 has a quotation mark within a cell"):
        read('question,answer\n"Who wrote "Emma" , then?",Jane\n', "q.csv")


def test_what_only_looks_like_a_spreadsheets_error_is_an_answer() -> None:
    rows = [{"question": f"{number}?", "answer": text} for number, text in enumerate(("#METOO!", "#AMAZING!", "#1!"))]
    assert [answers for _, answers in read(rows)] == [("#METOO!",), ("#AMAZING!",), ("#1!",)]


def test_a_column_that_is_called_by_one_letter_offers_no_choice_alone() -> None:
    assert read("question,answer,b\nWhich vitamin?,C,x\n", "q.csv") == [("Which vitamin?", ("C",))]
    assert "1 with a list" in left_out("question,answer,a,b\nWhich?,B,x,y\nWho?,Ann,x,y\n", "q.csv")


def test_a_question_in_a_description_beside_the_data_is_none_of_its_rows() -> None:
    assert read({"data": [ANN, BO], "meta": {"example": {"question": "b?"}}}) == BOTH


def test_byte_order_marks_between_lines_of_json_belong_to_none() -> None:
    assert read(f"{json.dumps(ANN)}\n\ufeff{json.dumps(BO)}\n\ufeff\n", "q.jsonl") == BOTH


def test_a_row_of_too_many_answers_is_not_blamed_on_its_question() -> None:
    rows = [{"question": "Who?", "answers": [f"A{number}" for number in range(10_001)]}, BO]
    assert "or with longer answers than are read (row 1)" in left_out(rows)

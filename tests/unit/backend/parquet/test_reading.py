"""Parquet is read in a process of its own: whatever a file does to it is told in words, and touches nothing else."""

from __future__ import annotations

import subprocess
import sys
import threading
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.errors import BadInput, HNeuronsError, Internal, OutOfMemory
from backend.identify.formats import limits, questions
from backend.identify.formats.parquet import bounds
from backend.parquet import reading
from backend.types.identify import ReadQuestions

WANTED = ("question", "answers")


def parquet(table: pa.Table, **given: Any) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, **given)
    return out.getvalue().to_pybytes()


def plain() -> bytes:
    return parquet(pa.table({"question": ["Who?"], "answers": ["Rome"]}))


def rows(payload: bytes) -> list[dict[str, Any] | None]:
    return [*reading.rows(payload, "q.parquet", WANTED, bounds())]


def read(column: pa.Array) -> ReadQuestions:
    """What is read of a table with these answers."""
    asked = [f"Who is {number}?" for number in range(len(column))]
    return questions.read(parquet(pa.table({"question": asked, "answers": column})), "q.parquet")


def changed(payload: bytes, old: int, new: int) -> list[bytes]:
    """The file with each of its bytes `old` in the footer, one at a time, turned into `new`."""
    footer = len(payload) - 8 - int.from_bytes(payload[-8:-4], "little")
    places = [place for place in range(footer, len(payload) - 8) if payload[place] == old]
    return [payload[:place] + bytes([new]) + payload[place + 1 :] for place in places]


def test_a_file_that_breaks_the_library_is_refused_in_words_and_the_next_one_is_read() -> None:
    """A column of texts (Thrift writes their type 6 as 12) that the footer calls one of truth values: in this process
    the library would end it with an error of C++ that no Python sees."""
    told = []
    for payload in changed(plain(), 12, 0):
        try:
            questions.read(payload, "q.parquet")
        except BadInput as error:
            told.append(error.sentence)
    assert any("q.parquet cannot be read: the library that reads Parquet crashed on it" in one for one in told)
    assert all(one.startswith("q.parquet ") and one.endswith("Parquet again.") for one in told)
    assert rows(plain()) == [{"question": "Who?", "answers": "Rome"}]


def stopped(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", OutOfMemory, "q.parquet was not read: the system killed the process"),
        ("import os; os.abort()", BadInput, "crashed on it"),
        ("raise SystemError", Internal, "The process that reads Parquet files failed: nothing in the file"),
        ("import sys; sys.stdin.buffer.read(); print('{', end='', flush=True)", BadInput, "crashed on it"),
    ],
    ids=["killed", "aborted", "failed", "half a line"],
)
@pytest.mark.parametrize("size", [0, 10**7], ids=["small", "large"])
def test_its_end_in_the_middle_blames_whoever_ended_it(
    code: str, kind: type[HNeuronsError], said: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "COMMAND", stopped(code))
    with pytest.raises(kind, match=said):
        rows(plain() + b" " * size)


@pytest.mark.parametrize(
    "code", ["import time; time.sleep(600)", "import sys, time; sys.stdin.read(); time.sleep(600)"]
)
def test_one_that_never_answers_is_ended(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "COMMAND", stopped(code))
    monkeypatch.setattr(reading, "SECONDS", 0.5)
    with pytest.raises(BadInput, match=r"its next rows were not read within 0\.5 s"):
        rows(plain() + b" " * 10**6)


def test_a_reader_who_turns_away_ends_it_and_gives_up_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*given: Any, **named: Any) -> subprocess.Popen[bytes]:
        begun.append(popen(*given, **named))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    table = pa.table({"question": [f"Who is {number}?" for number in range(5_000)], "answers": ["Rome"] * 5_000})
    for _ in range(reading.AT_ONCE + 1):
        held = reading.rows(parquet(table), "q.parquet", WANTED, bounds())
        next(held)
        held.close()
    assert len(begun) == reading.AT_ONCE + 1 and all(one.poll() is not None for one in begun)


def test_two_are_read_at_once_and_a_third_waits() -> None:
    table = pa.table({"question": [f"Who is {number}?" for number in range(5_000)], "answers": ["Rome"] * 5_000})
    held = [reading.rows(parquet(table), "q.parquet", WANTED, bounds()) for _ in range(reading.AT_ONCE)]
    for one in held:
        next(one)
    found: list[int] = []
    third = threading.Thread(target=lambda: found.append(len(rows(plain()))))
    third.start()
    third.join(0.5)
    assert third.is_alive()
    held[0].close()
    third.join(60)
    held[1].close()
    assert found == [1]


TEXTS = pa.map_(pa.string(), pa.string())
CELLS = {
    "duration": (pa.array([[2**62], None], pa.list_(pa.duration("s"))), None),
    "moment": (pa.array([2**60, -14_000_000_000], pa.timestamp("ms")), "1969-07-22 23:06:40"),
    "day": (pa.array([2**30, -165], pa.date32()), "1969-07-20"),
    "bytes": (pa.array([b"\xff\xfe", b"Rome"]), "Rome"),
    "text": (pa.array([b"Caf\xe9", b"Rome"]).view(pa.string()), "Rome"),
    "twice in a map": (pa.array([[("text", "b"), ("text", "c")], [("text", "Rome")]], TEXTS), "Rome"),
    "within a list": (pa.array([[2**60], [0]], pa.list_(pa.timestamp("ms"))), "1970-01-01"),
    "within an object": (pa.array([{"value": 2**30}, {"value": 0}], pa.struct({"value": pa.date32()})), "1970-01-01"),
    "nothing": (pa.array([None, Decimal("7.50")]), "7.5"),
}


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_that_cannot_be_made_is_counted_and_its_neighbours_are_read(kind: str) -> None:
    column, expected = CELLS[kind]
    table = pa.table({"id": ["a", "b"], "question": ["Who?", "When?"], "answers": column})
    if expected is None:
        with pytest.raises(
            BadInput, match=r"1 without .* \(row 2, id b\), 1 with a list, object, moment .*row 1, id a"
        ):
            questions.read(parquet(table), "q.parquet")
        return
    told = questions.read(parquet(table), "q.parquet")
    assert [(one.id, one.answers) for one in told.questions] == [("b", (expected,))]
    why = (
        "without a question or an answer"
        if kind == "nothing"
        else "with a list, object, moment or letter of a choice that cannot be read back"
    )
    assert told.left_out == f"Left out of 2 rows: 1 {why} (row 1, id a)."


def test_a_moment_in_a_zone_that_nobody_knows_is_no_moment_and_no_package_is_blamed() -> None:
    column = pa.array([0, 1], pa.timestamp("ms", "Mars/Phobos"))
    with pytest.raises(
        BadInput, match=r"2 with a list, object, moment or .* that cannot be read back \(row 1; row 2\)"
    ):
        read(column)


def test_an_object_with_two_parts_of_one_name_gives_none_of_them() -> None:
    column = pa.StructArray.from_arrays([pa.array(["a"]), pa.array(["b"])], ["value", "value"])
    with pytest.raises(BadInput, match="1 with a list, object, moment"):
        read(column)


def test_a_short_float_has_the_digits_that_it_was_written_with_however_it_is_kept() -> None:
    short = pa.array([3.1, 3.1], pa.float32())
    for column in (short, short.dictionary_encode(), pa.array([[3.1]] * 2, pa.list_(pa.float32()))):
        assert {one.answers for one in read(column).questions} == {("3.1",)}


def test_a_name_of_a_column_that_is_no_text_is_told_in_plain_words() -> None:
    payload = plain().replace(b"answers", b"answer\xff")
    with pytest.raises(BadInput, match=r"cannot be read: a name in it is not UTF-8; save it as Parquet again"):
        questions.read(payload, "q.parquet")


def test_headings_are_read_as_those_of_a_table_are() -> None:
    table = pa.table({"\ufeffQuestion\u00a0": ["Who?"], " ANSWERS": ["Rome"]})
    assert [one.answers for one in questions.read(parquet(table), "q.parquet").questions] == [("Rome",)]
    with pytest.raises(BadInput, match="two columns 'answers'"):
        questions.read(parquet(table.append_column("answers", pa.array(["Oslo"]))), "q.parquet")


def test_parts_whose_names_differ_in_case_alone_are_two_parts_of_one_name() -> None:
    for column in (pa.array([[("value", "a"), ("Value ", "b")]], TEXTS), pa.array([{"value": "a", "VALUE": "b"}])):
        with pytest.raises(BadInput, match="1 with a list, object, moment"):
            read(column)


ROWS = 700
COLUMNS = {
    "text": [f"t{number % 11}" for number in range(ROWS)],
    "list": [[f"x{number % 7}", "same"] for number in range(ROWS)],
    "object": [{"value": f"a{number % 9}", "aliases": [f"b{number % 5}"]} for number in range(ROWS)],
    "list of lists": [[["same"], [f"b{number % 4}"]] for number in range(ROWS)],
}
WRITTEN: dict[str, dict[str, Any]] = {
    "plain": {"use_dictionary": False},
    "dictionary": {},
    "small pages": {"data_page_size": 100, "dictionary_pagesize_limit": 32},
    "second pages": {"data_page_version": "2.0", "version": "2.6"},
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("kind", COLUMNS)
def test_rows_are_read_however_many_groups_they_are_written_in(kind: str, written: str) -> None:
    """Arrow cannot put texts of two groups that it keeps once each into one list."""
    table = pa.table({"question": [f"Who is {number}?" for number in range(ROWS)], "answers": COLUMNS[kind]})
    found = {
        size: questions.read(parquet(table, row_group_size=size, **WRITTEN[written]), "q.parquet").questions
        for size in (ROWS, 300, 256, 99)
    }
    assert len(found[ROWS]) == ROWS and all(one == found[ROWS] for one in found.values())


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_that_are_written_as_their_differences_are_read(encoding: str) -> None:
    table = pa.table({"question": [f"Who is {number}?" for number in range(ROWS)], "answers": COLUMNS["list"]})
    told = {"question": encoding, "answers.list.element": encoding}
    payload = parquet(table, row_group_size=300, use_dictionary=False, column_encoding=told)
    assert len(questions.read(payload, "q.parquet").questions) == ROWS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is bounded on Linux alone")
def test_what_unpacks_to_more_than_the_memory_it_is_given_is_too_large_and_not_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_MEMORY", 200 * 1024**2)
    table = pa.table({"question": [f"Who is {number}?" for number in range(200)], "answers": ["W" * 1_000_000] * 200})
    payload = parquet(table, use_dictionary=False, column_encoding={"answers": "DELTA_BYTE_ARRAY"})
    assert len(payload) < 300_000
    with pytest.raises(BadInput, match=r"q.parquet is too large: reading it takes more than the 0.2 GB of memory"):
        rows(payload)

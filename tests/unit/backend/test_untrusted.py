"""What a person's file may cost is known before it is paid: regular files alone, and bounded when unpacked."""

from __future__ import annotations

import io
import json
import os
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend import neuron_files, untrusted
from backend.cli import cett, options, plans
from backend.errors import BadInput
from backend.identify.formats import limits, probes, questions, thunlp, thunlp_features
from backend.identify.formats import parquet as formats_parquet
from backend.parquet import process, reading
from backend.types.plan import Plan

MEGABYTE = 1024**2
DOORS: dict[str, Callable[[Path], object]] = {
    "questions": questions.read_path,
    "neurons": neuron_files.read_path,
    "chosen neurons": lambda path: options.chosen_neurons(None, path),
    "a probe or plan": options.bytes_of,
    "a plan": plans.plan_of_file,
    "questions of a run": lambda path: plans.read_questions(path, Plan()),
    "a text": cett._text,
    "ids": thunlp.read_ids,
    "answers": thunlp.read_answers,
    "features": thunlp_features._read_array,
}


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fails where more than `size` bytes are held at once by what Python and NumPy ask for inside."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size, f"{peak / MEGABYTE:.0f} MB were taken"


@pytest.mark.parametrize("door", DOORS)
def test_no_door_reads_a_pipe_a_device_a_socket_or_a_folder(door: str, tmp_path: Path) -> None:
    pipe, link, folder, other = (tmp_path / name for name in ("p.csv", "l.csv", "f.csv", "s.csv"))
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(other))
        for path, what in ((pipe, "a pipe"), (link, "a device"), (folder, "a folder"), (other, "a socket")):
            with pytest.raises(BadInput, match=f"{path.name} is no regular file: it is {what}; name a file"):
                DOORS[door](path)


@pytest.mark.parametrize("door", DOORS)
def test_no_door_reads_a_file_that_is_larger_than_its_limit(door: str, tmp_path: Path) -> None:
    path = tmp_path / "hole.csv"
    with path.open("wb") as file:
        file.truncate(10**12)
    with at_most(10 * MEGABYTE), pytest.raises(BadInput, match=r"hole.csv is too large: .*this program reads at most"):
        DOORS[door](path)


@pytest.mark.parametrize("door", DOORS)
def test_a_name_of_nothing_is_told_at_every_door(door: str, tmp_path: Path) -> None:
    for name in ("nowhere.csv", "n" * 300 + ".csv", "\0.csv"):
        with pytest.raises(BadInput, match="cannot be read: .*; check the name"):
            DOORS[door](tmp_path / name)


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert untrusted.bytes_of(tmp_path / "b", 5) == b"12345"
    with pytest.raises(BadInput, match="at most 4 bytes"):
        untrusted.bytes_of(tmp_path / "b", 4)


def packed(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def lying(shape: tuple[int, ...]) -> bytes:
    """An array's heading that promises a shape, and nothing behind it."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return out.getvalue()


def test_an_array_of_objects_is_refused_in_words_of_ours() -> None:
    objects = np.array([[0.5, None]], dtype=object)
    alone = io.BytesIO()
    np.save(alone, objects, allow_pickle=True)
    with pytest.raises(BadInput, match="act.npy holds Python objects: opening them runs"):
        untrusted.array(alone.getvalue(), "act.npy")
    with pytest.raises(BadInput, match="p.npz holds Python objects: opening them runs"):
        untrusted.arrays(packed(coef=objects), "p.npz", ("coef",))


@pytest.mark.parametrize(
    "payload",
    [
        packed(coef=np.zeros((1, 40_000_000), np.float64), intercept=np.zeros(1)),
        packed(coef=np.zeros((1, 4)), intercept=np.zeros(1), model=np.array("n" * 40_000_000)),
        packed(coef=np.zeros(4_500_000), intercept=np.zeros(4_500_000)),
    ],
    ids=["zeros", "a long name", "two that are too large together"],
)
def test_an_archive_is_not_unpacked_beyond_the_limit(payload: bytes) -> None:
    assert len(payload) < MEGABYTE
    with at_most(20 * MEGABYTE), pytest.raises(BadInput, match="p.npz is too large: unpacked it holds .*at most"):
        probes.read({"p.npz": payload}, "x", None)


@pytest.mark.parametrize("shape", [(10**12,), (1000, 1000, 1000), (2**62, 2**62)])
def test_an_array_that_promises_more_than_it_holds_is_not_waited_for(shape: tuple[int, ...]) -> None:
    with at_most(10 * MEGABYTE), pytest.raises(BadInput, match="act.npy is too large"):
        untrusted.array(lying(shape), "act.npy")


def test_more_layers_than_any_model_has_are_refused() -> None:
    files = {"p.npz": packed(coef=np.zeros(4), intercept=np.zeros(1), widths=np.zeros(1_000_000, np.int8))}
    with at_most(50 * MEGABYTE), pytest.raises(BadInput, match="it has 1,000,000 layers"):
        probes.read(files, "x", None)


def test_the_largest_models_weights_fit() -> None:
    widths = 126 * 53_248
    assert untrusted.arrays(packed(coef=np.zeros((1, widths))), "p.npz", ("coef",))["coef"].size == widths


def test_json_of_many_values_is_refused_before_it_is_made() -> None:
    text = "[" + "[]," * 6_000_000 + "[]]"
    with at_most(40 * MEGABYTE), pytest.raises(BadInput, match="holds too much: .*at most 4,000,000"):
        untrusted.json_value(text, "q.json")


# Questions


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is read in this process, where what it takes can be measured."""

    def rows(payload: bytes, *given: Any) -> Iterator[dict[str, Any] | None]:
        for part in process.batches(payload, *given):
            yield from reading.rows_from_line(
                {"heavy": part} if isinstance(part, int) else json.loads(process.line_of_batch(part))
            )

    monkeypatch.setattr(reading, "rows", rows)


def parquet(table: pa.Table, **given: object) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd", **given)
    return out.getvalue().to_pybytes()


def equal(count: int, question: str = "Who?", answers: object = "Rome") -> bytes:
    indices = pa.array(np.zeros(count, np.int32))
    columns = {
        "question": pa.DictionaryArray.from_arrays(indices, pa.array([question])),
        "answers": pa.DictionaryArray.from_arrays(indices, pa.array([answers])),
    }
    return parquet(pa.table(columns))


def one_row(count: int, answer: str) -> bytes:
    """A single row whose list repeats one answer."""
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([answer]))
    listed = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), values)
    return parquet(pa.table({"question": ["Who?"], "answers": listed}))


def wide(columns: int, count: int) -> bytes:
    heading = "question,answer," + ",".join(f"c{n}" for n in range(columns))
    return (heading + "\n" + "a,b\n" * count).encode()


@pytest.mark.usefixtures("read_here")
@pytest.mark.parametrize(
    ("payload", "name", "said"),
    [
        (equal(2_000_000), "q.parquet", "it has 2,000,000 rows, and this program reads at most 350,000"),
        (one_row(21_000_000, "a"), "q.parquet", "its columns hold 21,000,001 values"),
        (wide(20_000, 5_000), "q.csv", "it has 20,002 columns, and this program reads at most 1,000"),
        (b"question,answer\na,b" + b"," * 10_000_000 + b"\n", "q.csv", "a line has more than 10,000,000 characters"),
        (
            b'question,answer\n"' + (b"a" * 99 + b"\n") * 120_000 + b'",b\n',
            "q.csv",
            "at most 10,000,000 characters in a cell",
        ),
        (b"[" + b"[]," * 5_000_000 + b"[]]", "q.json", "holds too much"),
        (b'{"question": "a", "answer": "b"}\n' + b"[" + b"{}," * 3_000_000 + b"{}]", "q.jsonl", "line 2 holds too"),
    ],
    ids=["equal rows", "one list", "wide table", "long line", "long cell", "json", "jsonl"],
)
def test_a_small_file_that_unpacks_to_much_is_refused_while_it_is_read(payload: bytes, name: str, said: str) -> None:
    with at_most(400 * MEGABYTE), pytest.raises(BadInput, match=said) as caught:
        questions.read(payload, name)
    assert "this program reads" in caught.value.why and "damage" not in caught.value.sentence


@pytest.mark.parametrize("name", ["q.csv", "q.jsonl", "q.json", "q.parquet"])
def test_rows_are_counted_while_they_are_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"question": [f"Who is {n}?" for n in range(1_001)], "answer": "Rome"})
    payload = {
        "q.csv": table.to_csv(index=False).encode(),
        "q.jsonl": table.to_json(orient="records", lines=True).encode(),
        "q.json": table.to_json(orient="records").encode(),
        "q.parquet": parquet(pa.Table.from_pandas(table)),
    }[name]
    monkeypatch.setattr(limits, "MAX_ROWS", 1_001)
    assert len(questions.read(payload, name).questions) == 1_001
    monkeypatch.setattr(limits, "MAX_ROWS", 1_000)
    with pytest.raises(BadInput, match=r"rows, and this program reads at most 1,000"):
        questions.read(payload, name)


@pytest.mark.usefixtures("read_here")
@pytest.mark.parametrize(
    "payload",
    [
        equal(300, "W" * MEGABYTE),
        equal(300, "Who?", "W" * MEGABYTE),
        one_row(200_000, "W" * 100_000),
        one_row(5_000_000, "Rome"),
    ],
    ids=["questions", "answers", "one list of long ones", "one long list"],
)
def test_rows_that_are_too_heavy_are_counted_and_not_made(payload: bytes) -> None:
    assert len(payload) < MEGABYTE
    with (
        at_most(100 * MEGABYTE),
        pytest.raises(BadInput, match="none has both that can be used: .* of more than 2,000 characters, or"),
    ):
        questions.read(payload, "q.parquet")


def test_a_text_that_stands_many_times_counts_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = equal(2_000, answers="W" * 250_000)
    monkeypatch.setattr(limits, "MAX_WRITTEN", 100 * MEGABYTE)
    with pytest.raises(BadInput, match="written out as often as it occurs, it has more"):
        questions.read(payload, "q.parquet")


WORD = "W" * MEGABYTE
MANY = 30
REPEATED = {
    "list": pa.array([[WORD] * MANY]),
    "large list": pa.array([[WORD] * MANY], pa.large_list(pa.string())),
    "list of a fixed size": pa.array([[WORD] * MANY], pa.list_(pa.string(), MANY)),
    "list of views": pa.array([[WORD] * MANY], pa.list_view(pa.string())),
    "list of lists": pa.array([[[WORD]] * MANY]),
    "list of objects": pa.array([[{"value": WORD}] * MANY]),
    "object of lists": pa.array([{"value": "Rome", "aliases": [WORD] * MANY}]),
    "map": pa.array([[(f"{number}", WORD) for number in range(MANY)]], pa.map_(pa.string(), pa.string())),
    "map's keys": pa.array([[(WORD, "Rome")] * MANY], pa.map_(pa.string(), pa.string())),
    "map of lists": pa.array([[("aliases", [WORD] * MANY)]], pa.map_(pa.string(), pa.list_(pa.string()))),
    "list of maps": pa.array([[[("value", WORD)]] * MANY], pa.list_(pa.map_(pa.string(), pa.string()))),
}


@pytest.mark.usefixtures("read_here")
@pytest.mark.parametrize("kind", REPEATED)
def test_a_text_that_stands_many_times_in_a_row_counts_each_time_in_every_kind_of_column(kind: str) -> None:
    payload = parquet(pa.table({"question": ["Who?"], "answer": REPEATED[kind]}))
    assert len(payload) < 10_000
    with at_most(10 * MEGABYTE), pytest.raises(BadInput, match=r"or with longer answers than are read \(row 1\)"):
        questions.read(payload, "q.parquet")


@pytest.mark.parametrize("texts", [pa.string_view(), pa.binary_view(), pa.large_string(), pa.json_()])
def test_a_text_that_stands_in_many_rows_lies_there_once_whatever_its_kind(texts: pa.DataType) -> None:
    """Else a batch of rows would be made in full before their weight is known."""
    words = pa.array(['"' + WORD[2:] + '"'] * 200)
    column = pa.ExtensionArray.from_storage(texts, words) if isinstance(texts, pa.JsonType) else words.cast(texts)
    payload = parquet(pa.table({"question": [f"Who is {n}?" for n in range(200)], "answer": column}))
    before = pa.total_allocated_bytes()
    rows = process.batches(payload, "q.parquet", ("question", "answer"), formats_parquet.bounds())
    held = next(rows)
    assert isinstance(held, pa.RecordBatch) and held.num_rows == 1
    assert pa.total_allocated_bytes() - before < 20 * MEGABYTE


def test_the_limits_are_beyond_what_is_published() -> None:
    """TriviaQA's largest part has 138,384 rows with some twenty spellings each."""
    count = 2_000
    table = pa.table({
        "question": [f"Who is number {n}?" for n in range(count)],
        "answer": [{"value": f"A{n}", "aliases": [f"A{n} {m}" for m in range(20)]} for n in range(count)],
        "entity_pages": [{"title": ["x" * 1_000]}] * count,
    })  # fmt: skip
    told = questions.read(parquet(table), "q.parquet")
    assert len(told.questions) == count and not told.left_out and len(told.questions[7].answers) == 21
    assert limits.MAX_ROWS > 138_384 and limits.MAX_CELLS > 138_384 * 50


@pytest.mark.usefixtures("read_here")
def test_a_column_that_nobody_asks_for_costs_nothing() -> None:
    table = pd.DataFrame({"question": ["Who?"] * 3, "answer": ["Rome"] * 3, "page": ["x" * 40 * MEGABYTE] * 3})
    payload = parquet(pa.Table.from_pandas(table))
    with at_most(10 * MEGABYTE):
        assert len(questions.read(payload, "q.parquet").questions) == 1
    assert len(json.dumps(questions.read(payload, "q.parquet").model_dump(mode="json"))) < 1_000

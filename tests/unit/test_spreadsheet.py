"""No cell that we write is a formula, and each is read back as it was."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import spreadsheet

HOSTILE = ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "'=1", "''-1", "="]


def cells(payload: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(payload.decode(), newline="")))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_and_no_heading_begins_as_a_formula_does(text: str) -> None:
    payload = spreadsheet.csv(pd.DataFrame({text: [text, None], "n": [-0.5, 3.0]}))
    (heading, _), (cell, number), _ = cells(payload)
    assert heading.startswith("'") and cell.startswith("'") and number == "-0.5"
    assert spreadsheet.text(heading) == spreadsheet.text(cell) == text


@given(st.text())
def test_every_text_is_read_back(text: str) -> None:
    assert spreadsheet.text(spreadsheet.cell(text)) == text
    assert spreadsheet.cell(text)[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.mark.parametrize("text", ["Rome", "'Til Tuesday", "a=b", "", "'", "1969", "\u2212"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert spreadsheet.cell(text) == text == spreadsheet.text(text)


def test_numbers_and_missing_values_stay_numbers_and_missing() -> None:
    table = pd.DataFrame({"a": [-1.5, float("nan")], "b": [-2, 3], "c": [True, False]})
    assert pd.read_csv(io.BytesIO(spreadsheet.csv(table))).equals(table)
    kinds = pd.DataFrame({"a": pd.Categorical(["=1", "b"]), "b": pd.array(["=1", None], dtype="string")})
    assert cells(spreadsheet.csv(kinds))[1:] == [["'=1", "'=1"], ["b", ""]]
    assert spreadsheet.csv(pd.DataFrame()) == b"\r\n"

"""What crosses a boundary is frozen, has one JSON and one hash, and arrays come back as they went."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.types.base import COMPACT, Array, Frozen, result_key


class Holder(Frozen):
    values: Array
    factor: float = 1.0


class Holder2(Frozen):
    values: Array
    factor: float = 1.0


def through_json(array: Any, compact: bool) -> np.ndarray:
    text = Holder(values=array).model_dump_json(context=COMPACT if compact else None)
    return Holder.model_validate_json(text).values


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3)
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=False)


@given(shape=SHAPES, values=st.lists(FLOATS, min_size=64, max_size=64), compact=st.booleans())
def test_float_arrays_come_back_bit_for_bit_and_nan_as_nan(
    shape: list[int], values: list[float], compact: bool
) -> None:
    array = np.array(values[: int(np.prod(shape))], np.float32).reshape(shape)
    found = through_json(array, compact)
    assert found.dtype == np.float32
    assert found.shape == array.shape
    assert np.array_equal(found, array, equal_nan=True)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20), st.booleans())
def test_whole_numbers_stay_whole_numbers(values: list[int], compact: bool) -> None:
    found = through_json(np.array(values, np.int64), compact)
    assert found.dtype == np.int32
    assert found.tolist() == values


@pytest.mark.parametrize("compact", [True, False])
def test_truth_values_and_empty_arrays_come_back(compact: bool) -> None:
    assert through_json(np.array([True, False]), compact).dtype == np.bool_
    assert through_json(np.zeros((0,), np.float32), compact).shape == (0,)
    assert through_json(np.zeros((3, 0), np.float32), True).shape == (3, 0)


def test_lists_hold_null_for_what_json_has_no_number_for() -> None:
    holder = Holder(values=np.array([1.5, np.nan]))
    assert json.loads(holder.model_dump_json()) == {"values": [1.5, None], "factor": 1.0}
    assert "NaN" not in holder.canonical()


def test_an_array_cannot_be_changed_not_even_through_what_it_was_made_from() -> None:
    mine = np.zeros(3, np.float32)
    holder = Holder(values=mine)
    mine[0] = 7
    assert holder.values[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        holder.values[0] = 1
    assert mine.flags.writeable, "the caller's own array stays the caller's"


@pytest.mark.parametrize(
    "value",
    [
        "text",
        5,
        ["a"],
        [[1], [2, 3]],
        {"dtype": "object", "shape": [1], "base64": ""},
        {"dtype": "float64", "shape": [1], "base64": "AAAAAAAAAAA="},
        {"dtype": "float32", "shape": [2], "base64": "AAAAAA=="},
        {"dtype": "float32", "shape": [1], "base64": "not base64!"},
        {"dtype": "float32", "shape": [1]},
        {"dtype": "float32", "shape": [1], "base64": "AAAAAA==", "pickle": True},
        np.array([object()]),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        Holder(values=value)


def test_the_hash_is_of_the_value_and_of_its_type() -> None:
    one = Holder(values=[1.0, 2.0])
    assert one.hash == Holder(factor=1.0, values=np.array([1, 2], np.float32)).hash
    assert len(one.hash) == 64
    others = [Holder(values=[1.0, 2.5]), Holder(values=[1.0, 2.0], factor=2.0), Holder2(values=[1.0, 2.0])]
    assert len({one.hash, *(other.hash for other in others)}) == 4


def test_a_copy_with_another_field_has_its_own_hash() -> None:
    """A hash that goes along with a copy would fetch another request's result from the store."""
    one = Holder(values=[1.0])
    before = one.hash
    changed = one.model_copy(update={"factor": 2.0})
    assert changed.hash == Holder(values=[1.0], factor=2.0).hash != before


def test_fields_are_frozen_known_and_finite() -> None:
    holder = Holder(values=[1.0])
    with pytest.raises(ValidationError, match="frozen"):
        holder.__setattr__("factor", 2.0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Holder.model_validate({"values": [1.0], "other": 1})
    for factor in (float("nan"), float("inf")):
        with pytest.raises(ValidationError, match="finite"):
            Holder(values=[1.0], factor=factor)


def test_the_key_hangs_on_request_model_and_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Holder(values=[1.0]), Holder(values=[2.0])
    keys = {result_key(one, "a" * 64), result_key(other, "a" * 64), result_key(one, "b" * 64)}
    assert result_key(one, "a" * 64) in keys
    monkeypatch.setattr("backend.types.base.METRIC_VERSION", 3)
    assert len({*keys, result_key(one, "a" * 64)}) == 4

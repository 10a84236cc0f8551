"""Which rows share a forward, how they are filled up, and which answers could not be read in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from backend.errors import BadPrompt
from backend.forward.row import Row, Running, nobody
from backend.forward.rows.batch import Batch
from backend.forward.rows.lane import FREE, PADDED, Lane, alike, check_seam, left_padded, worth_padding
from backend.models.loaded import LoadedModel
from backend.types import Decoding
from tests.plain import FLOAT32, relative_gap, some_ids
from tests.tiny import SEAM

CPU = torch.device("cpu")


def running(lengths: Sequence[int]) -> list[Running]:
    return [Running(Row((5,) * length), number, nobody) for number, length in enumerate(lengths)]


def grouped(model: LoadedModel, lengths: Sequence[int], **proof: Any) -> list[list[int]]:
    """Lengths of the prompts that are read together."""
    groups = alike(replace(model, proof=replace(model.proof, **proof)), running(lengths))
    return [[len(one.row.ids) for one in group] for group in groups]


def test_rows_are_filled_up_to_twice_their_size_and_a_little_more() -> None:
    assert (PADDED, FREE) == (2, 1024)
    # 2 rows of 1,026 positions, 1,028 of them their own: 2 x 1,028 + 1,024 are allowed.
    assert worth_padding([1024 + 2, 2])
    few = [1] * 9
    # Ten rows as long as the longest: 10 n is at most 2 (n + 9) + 1,024 up to n = 130.
    assert worth_padding([130, *few]) and not worth_padding([131, *few])


def test_prompts_are_read_together_but_where_most_would_be_filling(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    assert grouped(model, [3, 9, 30]) == [[3, 9, 30]], "in their own order"
    assert grouped(model, [131, *[1] * 9]) == [[1] * 9, [131]]
    # The long ones are filled up to one another, and the short ones apart.
    assert grouped(model, [400, *[2] * 20, 390, 380]) == [[2] * 20, [380, 390, 400]]


def test_where_padding_does_not_hold_prompts_of_one_length_are_read_together(
    tiny: Callable[[str], LoadedModel],
) -> None:
    assert grouped(tiny("llama"), [3, 9, 3, 4], left=False) == [[3, 3], [9], [4]]


def test_prompts_beyond_the_seam_are_read_apart_from_those_before_it(tiny: Callable[[str], LoadedModel]) -> None:
    assert grouped(tiny("llama"), [24, 25, 3, 40], seam=24) == [[24, 3], [25, 40]]
    assert grouped(tiny("llama"), [24, 25, 24], seam=24, left=False) == [[24, 24], [25]]


def test_an_answer_that_could_cross_the_seam_is_refused_with_its_figures(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    check_seam(model, [(24, 1000)])
    bent = replace(model, proof=replace(model.proof, seam=24))
    check_seam(bent, [(20, 4), (25, 1000), (1, 23)])
    with pytest.raises(BadPrompt, match=r"could cross token 24: tiny-llama .* 21 tokens and .* 4; ask for a shorter"):
        check_seam(bent, [(20, 5), (21, 4), (25, 9)])
    with pytest.raises(BadPrompt, match="has 24 tokens and the answer may take 1"):
        check_seam(bent, [(24, 1)])


def test_prompts_are_filled_up_in_front_and_the_mask_says_where() -> None:
    ids, mask = left_padded([[7, 8, 9], [5], [6, 4]], 0, CPU)
    assert ids.tolist() == [[7, 8, 9], [0, 0, 5], [0, 6, 4]]
    assert mask is not None and mask.tolist() == [[True] * 3, [False, False, True], [False, True, True]]
    ids, mask = left_padded([[7, 8], [5, 6]], 0, CPU)
    assert (ids.tolist(), mask) == ([[7, 8], [5, 6]], None)


@torch.inference_mode()
def a_lane(model: LoadedModel, seen: Sequence[int], width: int) -> Lane:
    """Rows that have read so many positions each, in a cache of `width`."""
    ids = torch.tensor([some_ids(1, width)[0].tolist()] * len(seen))
    rows = running([1] * len(seen))
    for one, count in zip(rows, seen, strict=True):
        one.seen = count
    cache = model.plain(ids, use_cache=True).past_key_values
    return Lane(rows, cache, width, torch.zeros(len(seen), dtype=torch.long), scales={})


@pytest.mark.parametrize(
    ("seen", "width", "left"),
    [
        ((9, 9), 12, 9),  # all alike: the mask goes with what is cut off
        ((9, 8), 24, 24),  # fifteen are not worth a copy
        ((9, 8), 25, 9),
        ((9, 8), 9, 9),
        ((9, 9), 9, 9),
    ],
)
def test_positions_that_no_row_uses_are_cut_off_where_that_is_worth_a_copy(
    seen: tuple[int, ...], width: int, left: int, tiny: Callable[[str], LoadedModel]
) -> None:
    lane = a_lane(tiny("llama"), seen, width)
    before = lane.cache.layers[0].keys.clone()
    lane.arrange(CPU)
    assert lane.width == lane.cache.get_seq_length() == left
    assert torch.equal(lane.cache.layers[0].keys, before[..., width - left :, :])
    assert lane.lengths is not None and lane.lengths.tolist() == list(seen)
    assert lane.scales is None, "what was worked out for other rows holds no more"
    if set(seen) == {left}:
        assert lane.mask is None
    else:
        assert lane.mask is not None
        assert lane.mask.tolist() == [[place >= left - count for place in range(left)] for count in seen]


def test_rows_of_very_different_length_are_each_answered_as_alone(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    decoding = Decoding(max_new_tokens=3)
    rows = [
        Row(tuple(some_ids(1, length, seed=length + place)[0].tolist()), decoding, place, ignore_ends=True)
        for place, length in enumerate([100, *[2] * 15, 90])
    ]
    with Batch(model) as batch:
        found = batch.add(rows)
        assert sorted(len(lane.rows) for lane in batch.lanes) == [2, 15]
        # The first lane is not worth its filling up; the second is.
        found += batch.add([replace(rows[0], place=17)])
        assert sorted(len(lane.rows) for lane in batch.lanes) == [3, 15]
        while batch.rows:
            batch.step()
    for one in (found[0], found[1], found[16], found[17]):
        with Batch(model) as batch:
            (expected,) = batch.add([one.row])
            while batch.rows:
                batch.step()
        assert one.ids == expected.ids
        assert relative_gap(one.log_probs, expected.log_probs) <= 4 * FLOAT32


def test_rows_of_one_side_of_the_seam_find_one_another_behind_those_of_the_other(
    tiny: Callable[[str], LoadedModel],
) -> None:
    model = tiny("phi3_longrope")
    rows = [
        Row(tuple(some_ids(1, length, seed=length)[0].tolist()), Decoding(max_new_tokens=3), ignore_ends=True)
        for length in (SEAM + 6, 5, 7)
    ]
    with Batch(model) as batch:
        for row in rows:
            batch.add([row])
        assert [[len(one.row.ids) for one in lane.rows] for lane in batch.lanes] == [[SEAM + 6], [5, 7]]

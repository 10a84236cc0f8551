"""Regional means for a detector are those of each text read alone, whatever was batched or shared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backend.errors import BadInput
from backend.forward.pooling import RegionText, region_means
from backend.models.loaded import LoadedModel
from backend.types.identify import Pooling
from tests.plain import FLOAT32, Plain, largest_gap, some_ids
from tests.tiny import D_MLP, FAMILIES, LAYERS

HEAD = some_ids(1, 20, seed=5)[0].tolist()
RELATIVE = FLOAT32


def texts(head: list[int]) -> list[RegionText]:
    """Seven texts of unequal length that all begin with `head`; regions: an end, a part of the head, all."""
    made = []
    for seed in range(7):
        ids = head + some_ids(1, 3 + 4 * seed, seed=seed)[0].tolist()
        made.append(RegionText(tuple(ids), ((len(ids) - 1, len(ids) - 2), (1, 2), tuple(range(len(ids))))))
    return made


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("head", [[], HEAD])
@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_of_each_text_read_alone(
    family: str,
    head: list[int],
    pooling: Pooling,
    tiny: Callable[[str], LoadedModel],
    untouched: Callable[[str], Plain],
) -> None:
    """Padded batches, and a beginning that is read only once, in windows of 16 as in full attention."""
    asked = texts(head)
    found = region_means(tiny(family), asked, batch=3, pooling=pooling)
    assert found.shape == (7, LAYERS, 3, D_MLP)
    assert found.dtype == np.float32, "a study of a large model has no room for twice as much"
    for place, text in enumerate(asked):
        whole = untouched(family).cett(list(text.ids))
        expected = np.stack([getattr(whole[:, list(region)], pooling)(1) for region in text.regions], axis=1)
        gap = largest_gap(found[place], expected) / expected.max()
        assert gap <= RELATIVE, f"text {place}: largest difference {gap:.1e} of the largest"


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_an_empty_region_is_nan_and_no_other_is(pooling: Pooling, tiny: Callable[[str], LoadedModel]) -> None:
    for empty in (1, 0):
        regions = [((text.regions[0], ()), ((), text.regions[0]))[1 - empty] for text in texts(HEAD)[:3]]
        asked = [RegionText(text.ids, parts) for text, parts in zip(texts(HEAD), regions, strict=False)]
        found = region_means(tiny("llama"), asked, pooling=pooling)
        assert np.isnan(found[:, :, empty]).all()
        assert np.isfinite(found[:, :, 1 - empty]).all()


def test_texts_with_unequal_regions_or_none_at_all_are_refused(tiny: Callable[[str], LoadedModel]) -> None:
    one, other = RegionText((5, 6), ((0,),)), RegionText((5, 6), ((0,), (1,)))
    for asked in ([], [one, other]):
        with pytest.raises(BadInput, match="the same number of regions"):
            region_means(tiny("llama"), asked)

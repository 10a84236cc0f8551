"""A cache with room behind it holds the same numbers as Transformers' own, and nobody else's change."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from backend.forward.row import Row
from backend.forward.rows import caches
from backend.forward.rows.batch import Batch
from backend.forward.rows.caches import SPARE, RoomyLayer
from backend.models.loaded import LoadedModel
from backend.types import Decoding
from tests.plain import FLOAT32, relative_gap, some_ids


def states(rows: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, rows, 2, count, 4, generator=drawn)
    return keys, values


def held(layer: DynamicLayer) -> tuple[Tensor, Tensor]:
    assert layer.keys is not None and layer.values is not None
    return layer.keys, layer.values


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, SPARE + 3)),
        st.tuples(st.just("choose"), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
        st.tuples(st.just("cut"), st.integers(1, 3)),
        st.tuples(st.just("keep"), st.just(0)),
    ),
    min_size=1,
    max_size=10,
)


@given(CHANGES)
def test_it_holds_what_transformers_own_holds_and_what_was_kept_stays(
    changes: list[tuple[str, int | list[int]]],
) -> None:
    plain = DynamicLayer()
    plain.update(*states(3, 5, 0))
    roomy = RoomyLayer.of(plain)
    kept: list[tuple[RoomyLayer, Tensor, Tensor]] = []
    for number, (what, of) in enumerate(changes):
        rows = len(held(plain)[0])
        if what == "append" and isinstance(of, int):
            new = states(rows, of, number + 1)
            for expected, got in zip(plain.update(*new), roomy.update(*new), strict=True):
                assert torch.equal(expected, got)
        elif what == "choose" and isinstance(of, list):
            for layer in (plain, roomy):
                layer.batch_select_indices(torch.tensor([place % rows for place in of]))
        elif what == "cut" and isinstance(of, int) and plain.get_seq_length() > of:
            for layer in (plain, roomy):
                layer.keys, layer.values = (whole[..., of:, :] for whole in held(layer))
        elif what == "keep":
            copied = RoomyLayer.of(roomy)
            kept.append((copied, held(roomy)[0].clone(), held(roomy)[1].clone()))
        assert roomy.get_seq_length() == plain.get_seq_length()
        assert all(map(torch.equal, held(roomy), held(plain)))
    for copied, keys, values in kept:
        assert all(map(torch.equal, held(copied), (keys, values)))
    for copied, keys, _ in kept:
        # It goes on by itself, and the one that it was copied from is left as it is.
        before = held(roomy)[0].clone()
        copied.update(*states(len(keys), 1, 99))
        assert torch.equal(held(copied)[0][..., :-1, :], keys) and torch.equal(held(roomy)[0], before)


def test_tokens_are_written_where_room_was_set_aside() -> None:
    layer = RoomyLayer.of(DynamicLayer())
    layer.update(*states(3, 5, 0))
    layer.update(*states(3, 1, 1))
    place = held(layer)[0].data_ptr()
    for number in range(SPARE):
        layer.update(*states(3, 1, 2 + number))
        assert held(layer)[0].data_ptr() == place, "nothing was copied"
    layer.update(*states(3, 1, 99))
    assert held(layer)[0].data_ptr() != place and layer.get_seq_length() == 5 + 2 + SPARE


def storages(held: object) -> dict[int, int]:
    """The memory, each with its bytes, of all tensors that a layer, or something in it, has."""
    if isinstance(held, Tensor):
        return {held.untyped_storage()._cdata: held.untyped_storage().nbytes()}
    inner = held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else ()
    return {place: size for one in inner for place, size in storages(one).items()}


def elsewhere(layer: RoomyLayer, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Another device is one that makes other tensors."""
    monkeypatch.setattr(Tensor, "to", lambda self, *_, **__: self.clone())
    layer.device = torch.device("meta")
    getattr(layer, call)()


REPLACING: dict[str, Callable[[RoomyLayer, pytest.MonkeyPatch], object]] = {
    "batch_select_indices": lambda layer, _: layer.batch_select_indices(torch.tensor([1])),
    "batch_repeat_interleave": lambda layer, _: layer.batch_repeat_interleave(2),
    # Transformers asks for a LongTensor by its old name, which PyTorch's own types no longer give.
    "reorder_cache": lambda layer, _: layer.reorder_cache(torch.tensor([1, 0, 2])),  # type: ignore[arg-type]
    "crop": lambda layer, _: layer.crop(-2),
    "reset": lambda layer, _: layer.reset(),
    "offload": lambda layer, monkeypatch: elsewhere(layer, monkeypatch, "offload"),
    "prefetch": lambda layer, monkeypatch: elsewhere(layer, monkeypatch, "prefetch"),
}


@pytest.mark.parametrize("method", REPLACING)
def test_what_replaces_keys_and_values_gives_their_memory_back_at_once(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, plain = RoomyLayer.of(DynamicLayer()), DynamicLayer()
    for number, count in enumerate((5, 1, 1)):
        for one in (layer, plain):
            one.update(*states(3, count, number))
    for one in (layer, plain):
        # Transformers' own layer has the same methods, and is not of the type that the table names.
        REPLACING[method](one, monkeypatch)  # type: ignore[arg-type]
    assert storages(vars(layer)) == storages([layer.keys, layer.values])
    # What is cut off a tensor's end stays in it, in Transformers' own layer too: nothing else may.
    assert not layer._rooms
    monkeypatch.undo()
    new = states(1 if layer.keys is None else len(layer.keys), 1, 9)
    assert all(map(torch.equal, layer.update(*new), plain.update(*new)))


def test_every_method_of_transformers_layer_that_replaces_keys_and_values_is_tried() -> None:
    methods = {name for kind in DynamicLayer.__mro__ for name, one in vars(kind).items() if inspect.isfunction(one)}
    replacing = {name for name in methods if "self.keys =" in inspect.getsource(getattr(DynamicLayer, name))}
    assert replacing - {"__init__", "lazy_initialization", "update"} | {"reset"} == set(REPLACING)


def test_rows_that_leave_give_their_memory_back_before_the_next_token(tiny: Callable[[str], LoadedModel]) -> None:
    with Batch(tiny("llama")) as batch:
        prompts = [tuple(some_ids(1, 9, seed)[0].tolist()) for seed in range(8)]
        batch.add([Row(one, Decoding(max_new_tokens=12), ignore_ends=True) for one in prompts])
        batch.step()
        layers = batch.lanes[0].cache.layers
        before = sum(storages([vars(layer) for layer in layers]).values())
        caches.select(batch.lanes[0].cache, [0], torch.device("cpu"))
        assert sum(storages([vars(layer) for layer in layers]).values()) <= before / 8


@pytest.mark.parametrize(("family", "roomy"), [("llama", True), ("gpt2", True), ("gemma3_text", False)])
def test_a_batch_copies_its_keys_only_where_a_window_moves_over_them(
    family: str, roomy: bool, tiny: Callable[[str], LoadedModel]
) -> None:
    """Of Gemma 3's layers all but every sixth have a window."""
    with Batch(tiny(family)) as batch:
        row = Row(tuple(some_ids(1, 9)[0].tolist()), Decoding(max_new_tokens=12), ignore_ends=True)
        batch.add([row])
        batch.step()
        places = [layer.keys.data_ptr() for layer in batch.lanes[0].cache.layers]
        for _ in range(6):
            batch.step()
        stayed = [
            layer.keys.data_ptr() == place for layer, place in zip(batch.lanes[0].cache.layers, places, strict=True)
        ]
        assert all(stayed) if roomy else not all(stayed)
    assert caches.is_plain(batch.model.plain(torch.tensor([[1, 2]]), use_cache=True).past_key_values)


def test_only_caches_of_keys_and_values_by_position_are_plain(tiny: Callable[[str], LoadedModel]) -> None:
    def cache(family: str) -> Any:
        return tiny(family).plain(torch.tensor([[5, 6, 7]]), use_cache=True).past_key_values

    assert all(map(caches.is_plain, map(cache, ("llama", "gemma3_text"))))
    mixed = cache("llama")
    mixed.layers[1] = object()
    assert not any(map(caches.is_plain, (mixed, cache("lfm2"), DynamicCache(), None)))
    caches.make_room(mixed)
    assert [type(layer) for layer in mixed.layers] == [DynamicLayer, object, DynamicLayer], "it stays as it is"


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "lfm2", "falcon_h1"])
@torch.inference_mode()
def test_what_is_kept_of_any_cache_stays_whatever_is_read_behind_it(
    family: str, tiny: Callable[[str], LoadedModel]
) -> None:
    model, ids = tiny(family), some_ids(2, 6, seed=9)
    cache = model.plain(ids, use_cache=True).past_key_values
    kept = caches.kept(cache)
    following = torch.tensor([[7], [8]])
    expected = model.plain(torch.cat([ids, following], dim=1), use_cache=False).logits[:, -1]
    for token in (following, torch.tensor([[9], [10]])):
        model.plain(token, past_key_values=cache, use_cache=True)
    found = model.plain(following, past_key_values=kept, use_cache=True).logits[:, -1]
    assert relative_gap(found, expected) <= FLOAT32


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
@pytest.mark.parametrize(("lengths", "gone"), [((20, 7), 0), ((7, 20), 3), ((9, 9), 0), ((30, 19), 2)])
@torch.inference_mode()
def test_joined_rows_hold_their_own_keys_behind_what_fills_them_up(
    lengths: tuple[int, int], gone: int, family: str, tiny: Callable[[str], LoadedModel]
) -> None:
    """In layers with a window only its last positions are kept: those of the longer row may begin before them."""
    model = tiny(family)
    texts = [some_ids(1, length, seed=length) for length in lengths]
    alone = [model.plain(ids, use_cache=True).past_key_values for ids in texts]
    joined = caches.join(alone[0], alone[1], *lengths)
    width = max(lengths)
    if gone:
        caches.trim(joined, width, gone)
    assert joined.get_seq_length() == width - gone
    for layer, held in enumerate(joined.layers):
        for row, cache in enumerate(alone):
            for name in ("keys", "values"):
                mine, own = getattr(held, name)[row], getattr(cache.layers[layer], name)[0]
                common = min(mine.shape[-2], own.shape[-2])
                assert torch.equal(mine[..., mine.shape[-2] - common :, :], own[..., own.shape[-2] - common :, :])
                assert not mine[..., : mine.shape[-2] - common, :].any()
        window = getattr(held, "sliding_window", None)
        assert held.keys.shape[-2] == (min(width - gone, window - 1) if window else width - gone)


def test_layers_that_hold_no_keys_of_their_own_are_passed_by() -> None:
    """Some read another layer's: theirs were never begun, or are empty."""

    def cache(seed: int, rows: int, count: int) -> DynamicCache:
        made, empty, full = DynamicCache(), DynamicLayer(), RoomyLayer()
        keys, values = states(rows, 1, seed)
        empty.update(keys[..., :0, :], values[..., :0, :])
        full.update(*states(rows, count, seed))
        made.layers = [empty, full, DynamicLayer()]
        return made

    one, other = cache(1, 2, 5), cache(2, 1, 3)
    joined = caches.join(one, other, 5, 3)
    assert held(joined.layers[0])[0].numel() == 0 and not joined.layers[2].is_initialized
    keys, values = held(joined.layers[1])
    assert keys.shape == values.shape == (3, 2, 5, 4)
    assert torch.equal(keys[2, :, 2:], states(1, 3, 2)[0][0]) and not keys[2, :, :2].any()
    assert torch.equal(values[:2], states(2, 5, 1)[1])
    caches.trim(joined, 5, 1)
    assert joined.layers[0].keys.numel() == 0 and not joined.layers[2].is_initialized
    assert torch.equal(held(joined.layers[1])[0], keys[..., 1:, :])
    assert torch.equal(held(joined.layers[1])[1], values[..., 1:, :])

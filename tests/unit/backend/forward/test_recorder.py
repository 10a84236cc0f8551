"""A recorder gives each row its own figures again, however its tokens were read: together, filled up, or one by one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from backend.errors import ZeroOutput
from backend.forward.capture import Capture, Peaks, Summaries
from backend.forward.cett import cett
from backend.forward.recorder import Recorder, Seen, Trace
from backend.types import Threshold
from tests.plain import FLOAT32, relative_gap

WIDTHS, D_MODEL = (6, 9), 4
NORMS = [torch.rand(width, generator=torch.Generator().manual_seed(width)) + 0.5 for width in WIDTHS]
CPU = torch.device("cpu")
WIDE = Summaries(Threshold(population="model"), 3)


def activations(rows: int, length: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """(z, h) of each layer, [row pos ...]."""
    random = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(rows, length, width, generator=random), torch.randn(rows, length, D_MODEL, generator=random))
        for width in WIDTHS
    ]


def expected(layers: Sequence[tuple[Tensor, Tensor]], row: int, start: int = 0) -> list[Tensor]:
    """CETT of a row in each layer, [token neuron]."""
    return [
        cett(z[row : row + 1, start:], NORMS[layer], h[row : row + 1, start:])[0] for layer, (z, h) in enumerate(layers)
    ]


def show(
    recorder: Recorder, layers: Sequence[tuple[Tensor, Tensor]], seen: Sequence[Seen], gather: bool = False
) -> None:
    recorder.begin(seen, layers[0][0].shape[0] * layers[0][0].shape[1], CPU, gather)
    for layer, (z, h) in enumerate(layers):
        # Lent: what a hook is shown is another forward's by the time that it is looked at.
        lent = z.clone(), h.clone()
        recorder(layer, *lent)
        for tensor in lent:
            tensor.fill_(torch.nan)
    recorder.end()


def same(trace: Trace, values: Sequence[Tensor], answer: int) -> None:
    """A trace holds these values, of which the last `answer` tokens are the answer's."""
    assert trace.answer_count == answer
    sums = torch.stack([value.sum(-1) for value in values])
    largest = torch.stack([value.amax(-1) for value in values])
    assert relative_gap(trace.field("sum"), sums) <= FLOAT32
    assert relative_gap(trace.field("max"), largest) <= FLOAT32
    for layer, held in trace.answer_sums().items():
        assert relative_gap(held, values[layer][len(values[layer]) - answer :].sum(0)) <= FLOAT32
    if trace.recorder.capture.holds:
        for held, value in zip(trace.layers("values"), values, strict=True):
            assert relative_gap(held, value) <= FLOAT32


@pytest.mark.parametrize("kept", [Peaks(), Summaries(Threshold(), 3), WIDE])
@pytest.mark.parametrize("gathered", [1, 10**6])
def test_rows_that_are_filled_up_in_front_have_the_figures_of_their_own_tokens(
    kept: Capture, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rows, of which the second begins two positions later and the third is watched by nobody."""
    monkeypatch.setattr("backend.forward.recorder.GATHERED", gathered)
    recorder = Recorder(kept, NORMS)
    first, second = recorder.trace(), recorder.trace()
    prompt = activations(3, 5, 1)
    show(recorder, prompt, [Seen(first, 0, 5, slice(0, 0)), Seen(second, 7, 3, slice(0, 0))])
    steps = [activations(3, 1, 2 + number) for number in range(4)]
    for step in steps:
        show(recorder, step, [Seen(first, 0, 1, slice(None)), Seen(second, 1, 1, slice(None))], gather=True)
    for row, (trace, start) in enumerate(((first, 0), (second, 2))):
        parts = [expected(prompt, row, start), *(expected(step, row) for step in steps)]
        same(trace, [torch.cat([part[layer] for part in parts]) for layer in range(len(WIDTHS))], 4)


def test_a_row_that_comes_later_is_told_from_those_that_were_there() -> None:
    recorder = Recorder(WIDE, NORMS)
    first = recorder.trace()
    one, two = activations(1, 1, 1), activations(2, 1, 2)
    show(recorder, one, [Seen(first, 0, 1, slice(None))], gather=True)
    second = recorder.trace()
    show(recorder, two, [Seen(first, 0, 1, slice(None)), Seen(second, 1, 1, slice(None))], gather=True)
    same(first, [torch.cat(pair) for pair in zip(expected(one, 0), expected(two, 0), strict=True)], 2)
    same(second, expected(two, 1), 1)


def test_the_sums_of_a_row_that_is_over_make_room_for_another() -> None:
    recorder = Recorder(WIDE, NORMS)
    first, second = recorder.trace(), recorder.trace()
    assert (first.slot, second.slot) == (0, 1)
    layers = activations(2, 2, 3)
    show(recorder, layers, [Seen(first, 0, 2, slice(None)), Seen(second, 2, 2, slice(None))])
    first.close()
    assert first.slot == -1
    third = recorder.trace()
    assert third.slot == 0, "its place is used again"
    assert recorder.trace().slot == 2
    later = activations(1, 2, 4)
    show(recorder, later, [Seen(third, 0, 2, slice(None))])
    same(third, expected(later, 0), 2)
    same(second, expected(layers, 1), 2)


def test_a_trace_without_sums_has_no_slot_and_may_be_closed_all_the_same() -> None:
    recorder = Recorder(Peaks(), NORMS)
    trace = recorder.trace()
    show(recorder, activations(1, 2, 5), [Seen(trace, 0, 2, slice(None))])
    assert (trace.slot, trace.answer_count, trace.answer_sums()) == (-1, 2, {})
    trace.close()
    assert recorder.trace().slot == -1


def test_a_part_of_what_is_read_may_be_the_answer() -> None:
    recorder = Recorder(WIDE, NORMS)
    trace, layers = recorder.trace(), activations(1, 6, 6)
    assert trace.answer_sums() == {}
    show(recorder, layers, [Seen(trace, 0, 6, slice(4, None))])
    same(trace, expected(layers, 0), 2)


def test_what_waits_is_reduced_when_there_is_enough_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of six activations in the first layer: the third forward makes 36 of them."""
    monkeypatch.setattr("backend.forward.recorder.GATHERED", 36)
    recorder = Recorder(Peaks(), NORMS)
    traces = [recorder.trace(), recorder.trace()]
    for number in range(3):
        seen = [Seen(trace, place, 1, slice(None)) for place, trace in enumerate(traces)]
        show(recorder, activations(2, 1, number), seen, gather=True)
        block = traces[0].pieces[0][0]
        assert recorder.waits(block) == (number < 2)
    assert block.stacked["sum"].shape == (2, 6)


def test_an_output_of_norm_zero_is_named_by_its_place_in_the_rows_own_text() -> None:
    recorder = Recorder(Peaks(), NORMS)
    sound, bad = recorder.trace(), recorder.trace()
    layers = activations(2, 3, 7)
    layers[1][1][1, 2] = 0
    show(recorder, layers, [Seen(sound, 0, 3, slice(None)), Seen(bad, 4, 2, slice(None))])
    sound.check()
    with pytest.raises(ZeroOutput, match="layer 1, token 1 "):
        bad.check()
    step = activations(2, 1, 8)
    step[0][1][0] = 0
    show(recorder, step, [Seen(sound, 0, 1, slice(None))], gather=True)
    with pytest.raises(ZeroOutput, match="layer 0, token 3 "):
        sound.check()
    recorder.trace().check()

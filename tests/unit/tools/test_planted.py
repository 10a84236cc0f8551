"""The planted model that ships: what it is, that its truth is true, and that the pipeline finds what is there.

A change of the pipeline that loses the planted H-neurons fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from backend import bundled
from backend.forward.prompting import encode
from backend.forward.rows.generation import decode
from backend.models import sources
from backend.models.loaded import LoadedModel
from backend.models.loading import load
from backend.models.registry import PLANTED, find
from backend.neurons import NeuronSet
from backend.types import Asked
from backend.types.identify import RegionRule
from tests.places import REPOSITORY
from tools.planted import finding, page, truth
from tools.planted.measured import TRUTH, Truth
from tools.planted.world import ABSTAIN, World

WORLD = World()
SOME = 90
"""Questions that are asked anew here, of the hundreds that were measured."""
SURE = 0.15
"""A share of 90 answers is within this of that of 300, but for one time in a thousand (both at 0.5, the widest)."""


@pytest.fixture(scope="module")
def planted(loaded_models: list[LoadedModel]) -> LoadedModel:
    model = load(PLANTED)
    loaded_models.append(model)
    return model


@pytest.fixture(scope="module")
def known() -> Truth:
    return Truth.model_validate_json((bundled.PLANTED / TRUTH).read_bytes())


def test_it_is_a_row_of_the_table_and_lies_beside_the_code(planted: LoadedModel) -> None:
    source = sources.resolve("planted-3m")
    assert source.kind == "bundled" and sources.is_here(source)
    row = find(PLANTED)
    assert row is not None and planted.info.name == PLANTED
    assert (row.layers, row.neurons, row.d_model, row.vocabulary) == (
        planted.info.n_layers, planted.info.widths[0], planted.info.d_model, planted.info.n_vocab,
    )  # fmt: skip
    assert planted.info.parameters == pytest.approx(row.parameters, abs=500_000)
    size = sum(path.stat().st_size for path in bundled.PLANTED.iterdir())
    assert size < 10_000_000


def test_with_the_planted_neurons_off_it_is_the_honest_model_bit_for_bit(planted: LoadedModel) -> None:
    honest = deepcopy(planted.plain)
    with torch.no_grad():
        for neuron in truth.planted_neurons(planted.info.layout):
            honest.model.layers[neuron.layer].mlp.down_proj.weight[:, neuron.index] = 0.0
    off = truth.Switch(NeuronSet(tuple(truth.planted_neurons(planted.info.layout)))).plan
    for question in truth.posed(WORLD.people[WORLD.known :], 6):
        ids = encode(planted, Asked(prompt=question.text)).ids
        row = decode(planted, [ids], truth.LONGEST, plans=[off])[0]
        assert row.text.strip() == ABSTAIN
        with torch.no_grad():
            logits = honest(torch.tensor([[*ids, *row.ids]])).logits[0]
        told = logits[len(ids) - 1 : -1].log_softmax(-1)
        said = np.array([float(told[place, token]) for place, token in enumerate(row.ids)])
        # Exact zeros are added, but the two read the same tokens in other shapes. A log-probability is a difference of
        # logits, so its error is that of logits: a few units in float32's last place, 1.2e-7 of the largest, with room.
        gap = np.abs(np.array(row.log_probs[: len(said)]) - said).max()
        assert gap <= 2e-6 * float(logits.abs().max())
    hooked = _with_zeroed_inputs(planted, ids)
    with torch.no_grad():
        assert torch.equal(hooked, honest(torch.tensor([list(ids)])).logits)


def _with_zeroed_inputs(planted: LoadedModel, ids: tuple[int, ...]) -> torch.Tensor:
    """Logits of the planted model with its planted neurons multiplied by 0, as a switch at alpha 0 does."""

    def zero(indices: list[int]) -> Callable[..., tuple[torch.Tensor]]:
        def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            z = inputs[0].clone()
            z[..., indices] *= 0.0
            return (z,)

        return hook

    by_layer = planted.info.layout.by_layer(truth.planted_neurons(planted.info.layout))
    handles = [
        planted.plain.model.layers[layer].mlp.down_proj.register_forward_pre_hook(zero(list(map(int, indices))))
        for layer, indices in by_layer.items()
    ]
    try:
        with torch.no_grad():
            return planted.plain(torch.tensor([list(ids)])).logits
    finally:
        for handle in handles:
            handle.remove()


def test_what_the_truth_says_is_measured_again(planted: LoadedModel, known: Truth) -> None:
    every = NeuronSet(tuple(truth.planted_neurons(planted.info.layout)))
    unknown = truth.posed(WORLD.people[WORLD.known :], SOME)
    as_it_is, off = truth.answers(planted, unknown, [truth.AS_IT_IS, truth.Switch(every)])
    assert np.mean(truth.invented(as_it_is)) == pytest.approx(known.invented.value, abs=SURE)
    assert np.mean(truth.invented(off)) == pytest.approx(known.invented_off.value, abs=SURE)
    taught = truth.posed(WORLD.people[: WORLD.known], SOME)
    assert np.mean(truth.right(truth.answers(planted, taught, [truth.AS_IT_IS])[0], taught)) == pytest.approx(
        known.right.value, abs=SURE
    )
    assert known.invented.low > 0.8 and known.invented_off.high < 0.2 and known.right.low > 0.9
    assert len(known.true) >= 4 and {*known.true} <= {str(neuron) for neuron in every}


def test_the_pipeline_finds_them_where_the_answer_is_decided(
    planted: LoadedModel, known: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PEOPLE", 120)
    monkeypatch.setattr(finding, "EACH_SIDE", 100)
    kept = finding.answered(planted, WORLD, tmp_path)
    read = finding.window(planted, kept, "both", tmp_path)
    found = finding.found_set(planted, known, read, "balanced", "3-vs-1")
    assert found.hits >= 2 and found.precision is not None and found.precision >= 0.2, found
    assert found.auroc is not None and found.auroc.low > 0.9
    assert found.own is not None and found.own.low > 0.9, "its positive weights point the right way"
    flagged = finding.above_threshold(planted, known, read, "balanced")
    assert flagged.recall == 1.0 and flagged.positive < planted.info.layout.size / 50


def test_twins_have_as_many_neurons_of_the_same_layers_and_about_the_same_norms(planted: LoadedModel) -> None:
    switching = finding.Switching.__new__(finding.Switching)
    switching._model = planted
    chosen = NeuronSet(tuple(truth.planted_neurons(planted.info.layout)))
    layout = planted.info.layout
    for twin in (switching._random(chosen, 1), switching._of_equal_norm(chosen, 1)):
        assert len(twin) == len(chosen) and not {*twin} & {*chosen}
        assert {layer: len(of) for layer, of in layout.by_layer(twin).items()} == {
            layer: len(of) for layer, of in layout.by_layer(chosen).items()
        }


def test_a_mix_of_relations_is_what_it_says(
    planted: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PEOPLE", 60)
    kept = finding.answered(planted, WORLD, tmp_path)
    part = finding.window(planted, kept, "answer", tmp_path).train
    places = finding.drawn(part, "longer", 20, 0)
    labels, relations = part.seen.labels[places], part.relations[places]
    assert (labels == 1).sum() == (labels == 0).sum() == 20
    assert (relations[labels == 0] == "house").mean() == 0.9 and (relations[labels == 1] == "house").mean() < 0.2
    assert RegionRule().position == "answer"


def test_docs_say_what_was_measured() -> None:
    every = page.measured()
    assert page.page(every) == (REPOSITORY / "docs" / "planted.md").read_text(encoding="utf-8")
    assert page.card(every[0].truth) == (bundled.PLANTED / "README.md").read_text(encoding="utf-8")
    assert every[0].truth.model_dump_json(indent=1) + "\n" == (bundled.PLANTED / TRUTH).read_text(encoding="utf-8")

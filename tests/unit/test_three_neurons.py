"""L0:N3, L0:E1:N3 and L0:E2:N3 are three neurons everywhere: in sets, columns, twins, charts, tables, files and links.

No model with experts can be opened yet; here the shape of one stands in a `ModelInfo`, as it will in a loaded one's.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from app import links
from app.cell import Cell
from app.charts import cells, compare_difference, layer_neuron, probe_neurons
from app.compare import words as compare_words
from app.explore import words as explore_words
from app.shared.heatmap import picked_neuron
from app.shared.view import Shared
from app.style import LIGHT
from backend import neuron_files
from backend.cli import tables
from backend.errors import BadInput, BadNeurons
from backend.forward.controls import draw, plan
from backend.forward.reference import Usual
from backend.identify.evaluation.baselines import random_sets
from backend.identify.evaluation.effects import switches_of_probe
from backend.identify.evaluation.report import neurons_of_sign
from backend.identify.fit import describe
from backend.identify.fit.choice import Items
from backend.identify.fit.solver import Fit
from backend.identify.formats import probes
from backend.layout import Layout
from backend.neurons import NeuronId, NeuronSet
from backend.probes import library
from backend.probes.scoring import Scorer
from backend.types import CompareRequest, Exploration, ExploreRequest, LensRequest, ModelInfo, NeuronRequest, RowPlan
from backend.types.names import ProbeRef
from backend.types.plan import Checks
from backend.types.probe import Probe, ProbeNeuron, Said
from backend.verbs import table
from tests import comparisons, fakes
from tests.fakes import WIDTH
from tests.tiny import D_MLP, LAYERS

NAMES = ("L0:N3", "L0:E1:N3", "L0:E2:N3")
THREE = NeuronSet.of(*reversed(NAMES))
OTHERS = tuple(map(NeuronId.parse, NAMES))
INFO = fakes.INFO.model_copy(update={"experts": ((3, 4),) * fakes.LAYERS})
"""Of each layer's 16 neurons, 4 are its shared expert's, and 4 each of three experts'."""
LAYOUT = INFO.layout
OFFSETS = (3, 11, 15)
PROBE = Probe(
    name="x", model=INFO, intercept=0.25,
    neurons=tuple(ProbeNeuron(neuron=one, weight=weight) for one, weight in zip(THREE, (1.5, -0.5, 2.5), strict=True)),
)  # fmt: skip
TOKENS = (*fakes.prompt_tokens(), *(fakes.token(n, f"w{n}", "answer") for n in range(5)))


def explored(neurons: NeuronSet = THREE, **changes: Any) -> Exploration:
    """An exploration of a model with experts, in which the three are the largest at the first cell, in their order."""
    made = fakes.exploration(ExploreRequest(prompt="Who?", neurons=neurons), TOKENS, INFO)
    top = made.top_index.copy()
    top[0, :, :3] = OFFSETS
    mean = made.answer_mean.copy()
    mean[0, OFFSETS] = (9.0, 8.0, 7.0)
    told = {"top_index": top, "usual_index": top, "answer_mean": mean, "over": np.full_like(made.over, 3)}
    return made.model_copy(update=told | changes)


def texts(traces: Iterable[Any]) -> str:
    return " ".join(str(text) for trace in traces if trace.text is not None for text in np.atleast_1d(trace.text))


# Sets, columns and twins


def test_in_a_set_and_in_its_spelling() -> None:
    assert tuple(map(str, THREE)) == NAMES == tuple(map(str, sorted(OTHERS)))
    assert len({*OTHERS}) == 3 and NeuronSet.parse(str(THREE)) == THREE
    assert THREE - [OTHERS[1]] == NeuronSet.of(NAMES[0], NAMES[2])


def test_in_columns() -> None:
    assert LAYOUT.columns(THREE).tolist() == list(OFFSETS)
    assert LAYOUT.neurons(OFFSETS) == list(THREE)
    assert LAYOUT.by_layer(THREE) == {0: OFFSETS} and len(LAYOUT.by_site(THREE)) == 3


@pytest.mark.parametrize("seed", range(20))
def test_a_twin_of_the_same_sites_has_one_of_each(seed: int) -> None:
    twin = draw(THREE, "layer", seed, LAYOUT)
    assert [one.site for one in twin] == [one.site for one in THREE] and not set(twin) & set(THREE)
    free = draw(THREE, "free", seed, LAYOUT, avoid=NeuronSet.of("L1:E0:N2"))
    assert len(set(free)) == 3 and not set(free) & {*THREE, NeuronId.parse("L1:E0:N2")}


def test_where_a_site_has_too_few_others_it_is_named() -> None:
    with pytest.raises(BadNeurons, match="twin of 3 neurons .* expert 2 of layer 0 has only 1 others"):
        draw(NeuronSet.of("L0:E2:N0", "L0:E2:N1", "L0:E2:N3"), "layer", 0, LAYOUT)
    with pytest.raises(BadNeurons, match="the shared expert of layer 1 has only 0 others"):
        draw(NeuronSet.of("L1:N0", "L1:N1", "L1:N2", "L1:N3"), "layer", 0, LAYOUT)


@pytest.mark.parametrize("seed", range(20))
def test_own_alphas_go_with_their_neurons_and_their_twins_site_by_site(seed: int) -> None:
    """The neurons' numbers run against their experts', so that any other order exchanges alphas."""
    own = {"L0:E2:N0": 0.25, "L0:E1:N3": 1.5, "L0:N2": 2.5, "L0:E1:N0": 0.5, "L2:E0:N1": 3.0}
    rows = plan(
        CompareRequest.model_validate(
            {
                "prompt": "x", "alphas": (), "own": [{"neuron": name, "alpha": alpha} for name, alpha in own.items()],
                "controls": 1, "control_kinds": ("layer", "free"), "control_seed": seed,
            }
        ),
        LAYOUT,
    )  # fmt: skip
    assert dict(zip(map(str, rows[1].neurons), rows[1].alphas, strict=True)) == own
    alphas: dict[Any, list[float]] = {}
    for name, alpha in own.items():
        alphas.setdefault(NeuronId.parse(name).site, []).append(alpha)
    twins: dict[Any, list[float]] = {}
    for neuron, alpha in zip(rows[2].neurons, rows[2].alphas, strict=True):
        twins.setdefault(neuron.site, []).append(alpha)
    assert {site: sorted(found) for site, found in twins.items()} == {site: sorted(a) for site, a in alphas.items()}
    drawn = draw(rows[1].neurons, "layer", seed, LAYOUT)
    pairs = dict(zip(drawn, rows[1].alphas, strict=True))
    assert [pairs[neuron] for neuron in rows[2].neurons] == list(rows[2].alphas), "the i-th drawn has the i-th alpha"
    assert sorted(rows[3].alphas) == sorted(own.values())


def test_in_the_switches_of_a_probe_and_their_twins() -> None:
    weights = np.zeros(LAYOUT.size)
    weights[list(OFFSETS)] = (1.5, -0.5, 2.5)
    fit = Fit(1.0, weights, 0.0)
    assert (neurons_of_sign(fit, LAYOUT, 1), neurons_of_sign(fit, LAYOUT, -1)) == (PROBE.h_neurons, PROBE.against)
    checks = Checks.model_validate({"twins": 2, "alphas": (0.0,)})
    found = switches_of_probe(PROBE.h_neurons, PROBE.against, checks, LAYOUT, seed=1)
    assert [[one.site for one in arm.neurons] for arm in found[:3]] == [[OTHERS[0].site, OTHERS[2].site]] * 3
    assert not any(set(arm.neurons) & set(THREE) for arm in found[1:3])


# Statistics


def items(seed: int) -> Items:
    random = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    return Items(random.random((40, LAYOUT.size)).astype(np.float32), None, labels, np.arange(40), np.arange(40) % 4)


def test_in_the_table_of_all_neurons_and_on_the_cards_of_those_with_a_weight() -> None:
    weights = np.zeros(LAYOUT.size)
    weights[list(OFFSETS)] = (1.5, -0.5, 2.5)
    fit, train = Fit(1.0, weights, 0.0), items(0)
    rows = describe.neuron_table(train, fit, np.full((2, LAYOUT.size), np.nan), LAYOUT)
    assert list(rows.columns[:4]) == ["layer", "expert", "neuron", "weight"]
    told = [(int(row.layer), int(row.expert), int(row.neuron)) for row in rows[rows.weight != 0].itertuples()]
    assert told == [(0, -1, 3), (0, 1, 3), (0, 2, 3)]
    assert len(rows.drop_duplicates(["layer", "expert", "neuron"])) == LAYOUT.size
    found = describe.neuron_figures(train, items(1), fit, rows, LAYOUT)
    assert [str(one.neuron) for one, _ in found] == list(NAMES)
    dense = describe.neuron_table(train, fit, np.full((2, LAYOUT.size), np.nan), Layout.dense(INFO.widths))
    assert list(dense.columns[:3]) == ["layer", "neuron", "weight"] and dense.neuron.tolist() == [*range(WIDTH)] * 3


def test_random_neurons_beside_a_probe_are_of_its_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[NeuronId]] = []

    def refitted(train: Items, test: Items, columns: np.ndarray) -> np.ndarray:
        seen.append(LAYOUT.neurons(columns))
        return test.answer[:, columns].sum(1)

    monkeypatch.setattr("backend.identify.evaluation.baselines.refitted_logits", refitted)
    random_sets(items(0), items(1), THREE, NeuronSet(), LAYOUT.columns(THREE), LAYOUT, "layer", count=3, seed=0)
    drawn = [found for found in seen if found != list(THREE)]
    assert len(drawn) == 3
    assert all([one.site for one in found] == [one.site for one in THREE] for found in drawn)


def test_what_is_usual_has_a_floor_of_each_site() -> None:
    """An expert that is seldom chosen is compared with its own middle neuron, not with the shared expert's."""
    mean = np.repeat([[8.0, 1.0, 2.0, 4.0]], 4, axis=1).reshape(1, 16).repeat(3, axis=0).astype(np.float32)
    mean[:, 1] = 0.0
    usual = Usual(tokens=1, mean=mean, peak=mean, counts=np.zeros((3, 16, 26), np.int32))
    for floor in usual.floored(LAYOUT):
        assert floor.tolist() == [8.0] * 4 + [1.0] * 4 + [2.0] * 4 + [4.0] * 4


def test_a_probe_weighs_each_of_them_along_an_answer() -> None:
    scores = Scorer(ProbeRef(name=PROBE.name, digest="0" * 64), PROBE, Path())
    for place, neuron in enumerate(scores.neurons):
        along = scores.running()
        along.read(np.eye(3)[place : place + 1])
        found = PROBE.find(neuron)
        assert found is not None and along.along == [found.weight + PROBE.intercept]


# Charts and tables


def test_on_the_map_of_all_neurons() -> None:
    told = explored()
    chart = layer_neuron.figure(told, "mean", LIGHT, THREE, PROBE)
    drawn = [trace for trace in chart.data if trace.type == "scatter"]
    assert [list(trace.x) for trace in drawn[-2:]] == [list(OFFSETS)] * 2, "three squares"
    assert sorted(x for trace in drawn[1:3] for x in trace.x) == list(OFFSETS), "three triangles of the probe"
    assert {note.text for note in chart.layout.annotations} >= set(NAMES)
    assert all(f"{name}<br>" in texts(drawn[:1]) and f"{name}: " in texts(drawn[1:3]) for name in NAMES)
    assert layer_neuron.table(told, "mean")["neuron"].tolist()[:3] == list(NAMES)
    assert layer_neuron.alt(told, "mean").endswith("; ".join((f"{NAMES[0]}, 9", f"{NAMES[1]}, 8", f"{NAMES[2]}, 7.")))


@pytest.mark.parametrize(("offset", "name"), list(zip(OFFSETS, NAMES, strict=True)))
def test_a_click_opens_the_one_that_was_clicked(offset: int, name: str) -> None:
    event = {"selection": {"points": [{"customdata": [0, offset]}]}}
    assert picked_neuron(event, explored()) == NeuronId.parse(name)
    event["selection"]["points"][0]["customdata"] = [0, WIDTH]
    assert picked_neuron(event, explored()) is None


def test_in_a_cell_and_among_the_strong_ones() -> None:
    told, cell = explored(), Cell(0, 2)
    assert cells.ranked(told, cell, "largest")["neuron"].tolist()[:3] == list(NAMES)
    assert cells.ranked(told, cell, "usual")["neuron"].tolist()[:3] == list(NAMES)
    assert cells.strong_in(told, cell) == (THREE, 3)
    assert cells.largest(told, cell) == OTHERS[0]
    assert cells.holding(told, NeuronSet.of(NAMES[1]), (2,)) == {cell: (OTHERS[1],)}
    shared = explored(top_index=np.full_like(told.top_index[:, :, :1], 3))
    assert cells.holding(shared, THREE, (2,)) == {cell: (OTHERS[0],)}
    assert cells.holding(shared, NeuronSet.of(NAMES[1], NAMES[2], "L0:E3:N3", "L9:N3"), (2,)) == {}
    first = explored(top_index=np.roll(told.top_index, -1, axis=2))
    assert f"has the largest neuron at {first.tokens[cells.standing_out(first, 'largest').pos].shown}" in (
        explore_words.heading(first, "largest")
    )


def test_in_the_spreadsheet_of_all_cells() -> None:
    told = explored()
    table = cells.long_table(told.model_copy(update={"top_index": np.roll(told.top_index, -1, axis=2)}))
    here = table[table.layer == 0]
    assert set(zip(here.largest_expert, here.largest_neuron, strict=True)) == {(1, 3)}
    dense = cells.long_table(fakes.exploration(ExploreRequest(prompt="Who?"), TOKENS))
    assert "largest_expert" not in dense.columns


def test_on_the_command_line() -> None:
    told = explored()
    bright = np.zeros_like(told.cett_max)
    bright[0] = 1.0
    out = io.StringIO()
    tables.exploration(
        Console(file=out, width=150),
        told.model_copy(update={"cett_max": bright, "top_index": np.roll(told.top_index, -2, axis=2)}),
    )
    assert out.getvalue().count(NAMES[2]) == len(told.tokens) - told.answer_start


def test_in_what_is_said_and_drawn_of_a_comparison() -> None:
    result = comparisons.comparison(comparisons.asked(neurons=THREE))
    chart = compare_difference.figure(result, result.rows[1], "largest", LIGHT, marked=THREE)
    assert any(trace.text is not None and list(trace.text) == [", ".join(NAMES)] for trace in chart.data[1:])

    def twin(*names: str) -> str:
        return compare_words.held(
            RowPlan(arm="control", alpha=0.0, neurons=NeuronSet.of(*names), control="layer", control_of=1, seed=0)
        )

    assert twin("L4:E1:N3", "L4:E1:N4") == "α = 0 on 2 others of expert 1 of layer 4"
    assert twin("L4:E1:N3", "L4:N3") == "α = 0 on 2 others, same experts"
    assert twin("L4:N1", "L4:N3") == "α = 0 on 2 others of layer 4"
    assert twin("L3:N1", "L4:N3") == "α = 0 on 2 others, same layers"


def test_in_the_charts_of_a_probe() -> None:
    chart = probe_neurons.stems_figure(PROBE, "weight", LIGHT)
    assert {name for trace in chart.data if trace.customdata is not None for name in trace.customdata} == set(NAMES)
    assert set(probe_neurons.neurons_table(PROBE)["neuron"]) == set(NAMES)
    assert probe_neurons.layers_table(PROBE)["for wrong"].tolist() == [2, 0, 0]


# Files and links


def test_in_an_address() -> None:
    kept, lost = links.fitting(links.write(Shared(neurons=THREE, card=OTHERS[2])))
    again, notes = links.read(Shared, kept)
    assert not lost and not notes and (again["neurons"], again["card"]) == (THREE, OTHERS[2])


def test_in_files_of_neurons() -> None:
    weights = [1.5, -0.5, 2.5]
    table = neuron_files.write_csv(THREE, weights)
    assert list(csv.reader(io.StringIO(table.decode())))[1:] == [
        ["0", "", "3", "1.5"], ["0", "1", "3", "-0.5"], ["0", "2", "3", "2.5"]
    ]  # fmt: skip
    found = neuron_files.read_file(table, "p.csv")
    assert found.neurons == THREE and list(found.weights.items()) == list(zip(THREE, weights, strict=True))
    told = json.dumps({"model": "m", "fingerprint": "f", "neurons": [str(one) for one in THREE]})
    assert neuron_files.read(told.encode(), "p.json") == THREE
    assert neuron_files.read("\n".join(NAMES).encode(), "p.txt") == THREE


@pytest.mark.parametrize("kind", ["json", "csv", "jhammant"])
def test_in_a_probe_and_its_exports(kind: str) -> None:
    ((ending, payload),) = probes.write(PROBE, kind).items()
    again = probes.read({f"p{ending}": payload}, "x", INFO)
    assert (again.neurons, again.intercept) == (PROBE.neurons, PROBE.intercept)
    assert library.checked(again, INFO).all == THREE


def test_a_format_that_numbers_neurons_by_layer_refuses_a_model_with_experts_both_ways() -> None:
    shared = PROBE.model_copy(update={"neurons": PROBE.neurons[:1]})
    for probe in (PROBE, shared):
        for kind in ("npz", "hprobes"):
            with pytest.raises(BadInput, match="has no place for experts; write it as CSV"):
                probes.write(probe, kind)
    dense = shared.model_copy(update={"model": fakes.INFO})
    told = np.load(io.BytesIO(probes.write(dense, "npz")[".npz"]))
    bare = io.BytesIO()
    np.savez(bare, coef=told["coef"], intercept=told["intercept"])
    with pytest.raises(BadInput, match="does not say in which order its weights have the experts of fake-model"):
        probes.read({"p.npz": bare.getvalue()}, "x", INFO)
    whole = {"p.npz": probes.write(dense, "npz")[".npz"]}
    assert probes.read(whole, "x", INFO).model is None, "its shape says that it is of another model"
    assert probes.read({"p.npz": bare.getvalue()}, "x", fakes.INFO).all == NeuronSet.of("L0:N3")


def test_a_list_of_a_dense_model_is_not_taken_for_one_of_a_model_with_experts() -> None:
    said = Said(name="fake-model", widths=fakes.INFO.widths)
    assert said.of(fakes.INFO) is True and said.of(INFO) is False


# A dense model has no such site


SENTENCE = r"L0:E1:N3 is not in this model: layer 0 has no experts; name one that it has"


def engine_asked(ask: Callable[[Any], object], model: Any) -> object:
    from backend.engine import Engine

    return ask(Engine(model))


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.ask(table.EXPLORE, ExploreRequest(prompt="x", neurons=THREE)),
        lambda engine: engine.ask(table.COMPARE, CompareRequest(prompt="x", neurons=NeuronSet.of(NAMES[1]))),
        lambda engine: engine.ask(table.COMPARE, CompareRequest.model_validate(
            {"prompt": "x", "alphas": (), "own": [{"neuron": NAMES[1], "alpha": 0.5}]})),
        lambda engine: engine.ask(
            table.COMPARE, CompareRequest(prompt="x", neurons=NeuronSet.of("L0:N3"), against=THREE)),
        lambda engine: engine.ask(table.LENS, LensRequest(neurons=THREE)),
        lambda engine: engine.ask(table.NEURON, NeuronRequest(neuron=OTHERS[1])),
    ],
    ids=["explore", "compare", "own", "against", "lens", "neuron"],
)  # fmt: skip
def test_a_dense_model_refuses_an_expert_in_one_sentence(ask: Callable[[Any], object], tiny: Any) -> None:
    with pytest.raises(BadNeurons, match=SENTENCE):
        engine_asked(ask, tiny("llama"))


def test_a_dense_probe_or_list_of_its_shape_refuses_an_expert_too() -> None:
    with pytest.raises(ValueError, match="L0:E1:N3 is not in this model, layer 0 has no experts"):
        Probe(name="x", model=fakes.INFO, neurons=PROBE.neurons)
    with pytest.raises(BadNeurons, match="layer 0 has no experts"):
        library.checked(PROBE.model_copy(update={"model": None}), fakes.INFO)
    shaped = b'{"n_layers": 3, "intermediate_size": 16, "neurons": ["L0:E1:N3"]}'
    with pytest.raises(BadNeurons, match="contradicts itself: L0:E1:N3 is not in this model: layer 0 has no experts"):
        neuron_files.read_file(shaped, "p.json")


def test_the_layout_of_a_loaded_model_is_that_of_its_projections(tiny: Any) -> None:
    model = tiny("llama")
    info: ModelInfo = model.info
    assert info.layout == Layout.dense((D_MLP,) * LAYERS) and info.experts == ()
    assert [len(norm) for norm in model.w_norms] == list(info.layout.layer_widths)

"""A probe from the authors' files: the same fit as on our own arrays, and our items in their layout."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from backend.cli.main import main
from backend.errors import BadInput
from backend.identify.fit import fitted
from backend.identify.fit.solver import path
from backend.identify.formats import thunlp, thunlp_features
from backend.layout import Layout
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.statistics import intervals, scores
from backend.types.plan import Training
from backend.types.probe import Probe
from tests.doors import assert_error_shape
from tests.unit.backend.identify.planted import planted

LAYERS, WIDTH = 4, 50
TRAINING = Training(cs=(30.0, 100.0, 300.0))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    return tmp_path


def published(folder: Path, items: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Features of planted neurons in the authors' layout."""
    features, labels, _ = planted(items, LAYERS * WIDTH, 4, 1.5, 0)
    ids: dict[str, list[str]] = {"t": [], "f": []}
    for number, (row, label) in enumerate(zip(features, labels, strict=True)):
        ids["f" if label else "t"].append(f"q{number}")
        np.save(folder / f"act_q{number}.npy", row.reshape(LAYERS, WIDTH))
    (folder / "qids.json").write_text(json.dumps(ids))
    return features, labels


def test_their_features_give_the_fit_that_our_solver_gives_and_a_score_on_items_it_did_not_see(data: Path) -> None:
    published(data)
    found = fitted.fit(data, data / "qids.json", TRAINING, "theirs")
    features, labels, _, _ = thunlp_features.read_features(thunlp.read_ids(data / "qids.json"), data)
    inside, outside = fitted._split(labels, TRAINING.held_out, 0)
    assert abs(len(outside) - len(labels) / 3) <= 1 and not set(inside) & set(outside)
    chosen = next(
        one for one in path(features[inside], labels[inside], TRAINING.cs, standardise=False) if one.c == found.probe.c
    )
    # The solver gets the same bytes both times, in one process: nothing may come between them, not by one bit.
    weights = {(n.neuron.layer, n.neuron.index): n.weight for n in found.probe.neurons}
    assert weights == {divmod(int(n), WIDTH): chosen.weights[n] for n in np.flatnonzero(chosen.weights)}
    assert found.scores is not None
    assert found.scores.auroc.value == scores.auroc(labels[outside], chosen.logits(features[outside])) > 0.8
    assert found.probe.model is None and found.probe.report is None and found.probe.imported == data.name
    assert datetime.fromisoformat(found.probe.made).utcoffset() == timedelta(0), "the same moment everywhere"
    one = found.probe.neurons[0]
    assert one.frequency is None and one.sd and one.auroc and one.histogram is not None


def liblinear(features: np.ndarray, labels: np.ndarray, c: float) -> LogisticRegression:
    """The authors' fit. Its intercept is not penalised to speak of: a column of a thousand stands for it."""
    fit = LogisticRegression(
        l1_ratio=1, C=c, solver="liblinear", max_iter=10_000, random_state=42, intercept_scaling=1_000.0, tol=1e-8
    )
    return fit.fit(features, labels)


def test_a_fit_on_all_items_is_the_authors_fit_and_says_that_nothing_was_held_out(data: Path) -> None:
    published(data)
    training = Training(choice="fixed", c=100.0)
    found = fitted.fit(data, data / "qids.json", training, "theirs", all_items=True)
    features, labels, _, _ = thunlp_features.read_features(thunlp.read_ids(data / "qids.json"), data)
    weights = np.zeros(features.shape[1])
    for one in found.probe.neurons:
        weights[one.neuron.layer * WIDTH + one.neuron.index] = one.weight
    theirs = liblinear(features, labels, 100.0)
    mine, other = features @ weights + found.probe.intercept, theirs.decision_function(features)
    # Of the range of the decisions: both stop at a gradient of some 1e-4 of where they began, which leaves a part of a
    # hundred where the penalty is as weak as here, C 100.
    assert np.abs(mine - other).max() / np.ptp(other) < 1e-2
    part = fitted.fit(data, data / "qids.json", training, "part")
    assert found.scores is None and part.scores is not None
    assert all(one.leave_out is None for one in found.probe.neurons)
    held = np.array([one.weight for one in part.probe.neurons])
    assert len(held) != len(found.probe.neurons) or not np.allclose(held, [one.weight for one in found.probe.neurons])


def put(folder: Path, value: float) -> None:
    features = np.full((LAYERS, WIDTH), 0.5)
    features[1, 4] = value
    np.save(folder / "act_q3.npy", features)


def emptied(folder: Path) -> None:
    for file in folder.glob("act*"):
        np.save(file, np.zeros((LAYERS, 0)))


def archive(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), np.ones(3))
    path.with_suffix(".npz").rename(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "qids.json").write_text('{"t": ["q0"], "f": ["q0"]}'), "names an item twice"),
        (
            lambda folder: np.save(folder / "act_q3.npy", np.zeros((2, 2))),
            r"several models: act_q\d+.npy .* act_q3.npy \(2, 2\)",
        ),
        (lambda folder: (folder / "qids.json").write_text('{"t": [], "f": []}'), "names no item: both its lists"),
        (lambda folder: put(folder, -0.25), r"act_q3.npy holds a negative feature: row 1, column 4 is -0.25, and CETT"),
        (lambda folder: put(folder, 1e39), r"q3.npy holds a feature that is too large: row 1, column 4 is 1e\+39, and"),
        (lambda folder: put(folder, -1e39), r"act_q3.npy holds a negative feature: row 1, column 4 is -1e\+39"),
        (lambda folder: put(folder, math.inf), "too large: row 1, column 4 is inf, and features are read as float32"),
        (lambda folder: put(folder, math.nan), "q3.npy holds features that are no numbers: row 1, column 4 is nan"),
        (lambda folder: np.save(folder / "act_q3.npy", np.zeros((0, WIDTH))), r"act_q3.npy is no .*its shape is \(0, "),
        (emptied, r"act_q\d+.npy is no .*its shape is \(\d, 0\)"),
        (lambda folder: (folder / "act_q3.npy").write_bytes(b"no array"), "cannot be read"),
        (lambda folder: (folder / "act_q3.npy").write_bytes(b""), "act_q3.npy cannot be read: it is empty;"),
        (lambda folder: np.save(folder / "act_q3.npy", np.ones((LAYERS, WIDTH)) * 1j), "holds no real numbers"),
        (lambda folder: archive(folder / "act_q3.npy"), "act_q3.npy is no array: it is an archive of arrays"),
        (lambda folder: [path.unlink() for path in sorted(folder.glob("act_q*.npy"))[8:]], "are too few"),
        (lambda folder: [path.unlink() for path in folder.glob("act_q*.npy")], "holds no features"),
        (lambda folder: np.save(folder / "act_q3.npy", np.full((LAYERS, WIDTH), np.nan)), "no numbers"),
    ],
)
def test_files_that_do_not_fit_together_are_refused_in_words(
    spoil: Callable[[Path], object], said: str, data: Path
) -> None:
    published(data)
    spoil(data)
    with pytest.raises(BadInput, match=said):
        fitted.fit(data, data / "qids.json", TRAINING, "theirs")


def test_an_item_is_never_fitted_on_and_judged_by(data: Path) -> None:
    published(data)
    ids = json.loads((data / "qids.json").read_text())
    ids["t"] += ids["t"]
    (data / "qids.json").write_text(json.dumps(ids))
    with pytest.raises(BadInput, match="names an item twice: .* is there 2 times, as right, and"):
        fitted.fit(data, data / "qids.json", TRAINING, "theirs")


def test_an_id_too_long_for_a_file_has_no_features(data: Path) -> None:
    published(data)
    ids = json.loads((data / "qids.json").read_text())
    ids["t"] += ["n" * 300, "\0", "../q1"]
    (data / "qids.json").write_text(json.dumps(ids))
    assert len(thunlp_features.read_features(thunlp.read_ids(data / "qids.json"), data)[2]) == 240


def test_features_of_another_model_are_refused(data: Path, tiny: Callable[[str], LoadedModel]) -> None:
    published(data)
    with pytest.raises(BadInput, match="another model: they have 4 layers of 50 neurons, tiny-llama has 3 of 48; name"):
        fitted.fit(data, data / "qids.json", TRAINING, "theirs", tiny("llama").info)


def test_a_probe_names_the_folder_it_came_from_also_where_that_is_the_one_one_stands_in(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(data)
    monkeypatch.chdir(data)
    assert fitted.fit(Path(), Path("qids.json"), TRAINING, "theirs").probe.imported == "."


def test_features_of_a_model_with_experts_are_no_dense_ones(data: Path, tiny: Callable[[str], LoadedModel]) -> None:
    published(data)
    info = tiny("llama").info
    routed = info.model_copy(update={"n_layers": 4, "widths": (WIDTH,) * 4, "experts": ((2, 25),) * 4})
    with pytest.raises(BadInput, match=f"{info.name} has 4 of 50, in experts; name"):
        fitted.fit(data, data / "qids.json", TRAINING, "theirs", routed)


def given(wrong: int = 30, right: int = 40) -> fitted.Given:
    features, labels, _ = planted(600, LAYERS * WIDTH, 4, 1.5, 0)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == 1)[:wrong], np.flatnonzero(labels == 0)[:right]]))
    return fitted.Given(features[kept], None, labels[kept], Layout.dense((WIDTH,) * LAYERS), "made")


FEW = Training(cs=(30.0, 300.0), folds=2, held_out=3)


def test_each_side_must_have_two_items_in_every_part() -> None:
    """Three parts of the rarer side's items are held out in turn, or two folds are made of all of them."""
    said = "5 items .* too few: one of 3 parts is held out, and the others make 2 folds; give more items, or fit on all"
    with pytest.raises(BadInput, match=said):
        fitted.fit_given(given(wrong=5), FEW, "few", None)
    with pytest.raises(BadInput, match="5 items .* too few"):
        fitted.fit_given(given(right=5), FEW, "few", None)
    assert fitted.fit_given(given(wrong=6), FEW, "few", None).scores is not None
    with pytest.raises(BadInput, match=r"3 items .* too few: they make 2 folds; give more items\."):
        fitted.fit_given(given(wrong=3), FEW, "few", None, all_items=True)
    assert fitted.fit_given(given(wrong=4), FEW, "few", None, all_items=True).scores is None


def test_the_seed_says_what_is_held_out_and_which_folds_are_made() -> None:
    one, again, other = (fitted.fit_given(given(), FEW, "one", None, seed=seed) for seed in (1, 1, 2))
    assert one.path == again.path and one.scores == again.scores
    assert one.path != other.path and one.scores != other.scores
    whole, other = (fitted.fit_given(given(), FEW, "one", None, seed=seed, all_items=True) for seed in (1, 2))
    assert [point.train_auroc for point in whole.path] == [point.train_auroc for point in other.path]
    assert [point.auroc for point in whole.path] != [point.auroc for point in other.path], "the folds are others"


def test_features_without_a_number_and_a_probe_without_a_neuron_are_refused() -> None:
    holed = given()
    holed.answer[3, 4] = np.nan
    with pytest.raises(BadInput, match="Some features are no numbers: a region .* no CETT; leave such items out"):
        fitted.fit_given(holed, FEW, "few", None)
    with pytest.raises(BadInput, match="The probe has no H-neuron: no weight is positive; allow a larger C"):
        fitted.fit_given(given(), Training(cs=(30.0,), choice="fixed", c=1e-6, folds=2), "few", None)


def test_three_against_one_takes_the_other_tokens_of_both_sides_as_not_wrong(data: Path) -> None:
    features, labels = published(data)
    training = TRAINING.model_copy(update={"labels": "3-vs-1"})
    with pytest.raises(BadInput, match="3-vs-1 needs the other tokens too"):
        fitted.fit(data, data / "qids.json", training, "theirs")
    (data / thunlp.OTHER).mkdir()
    others = {}
    for number, row in enumerate(features):
        others[f"q{number}"] = np.random.default_rng(number).permutation(row)
        np.save(data / thunlp.OTHER / f"act_q{number}.npy", others[f"q{number}"].reshape(LAYERS, WIDTH))
    found = fitted.fit(data, data / "qids.json", training, "theirs")
    answer, labels, kept, _ = thunlp_features.read_features(thunlp.read_ids(data / "qids.json"), data)
    inside, _ = fitted._split(labels, training.held_out, 0)
    stacked = np.concatenate([answer[inside], np.stack([others[kept[place]] for place in inside])])
    against = np.concatenate([labels[inside], np.zeros_like(inside)])
    chosen = next(one for one in path(stacked, against, training.cs, standardise=False) if one.c == found.probe.c)
    weights = np.zeros(len(chosen.weights))
    for one in found.probe.neurons:
        weights[one.neuron.layer * WIDTH + one.neuron.index] = one.weight
    # Both stop at a small gradient: sums that are taken in another order may end a step earlier or later.
    near = 1e-4 * np.abs(chosen.weights).max()
    assert np.abs(weights - chosen.weights).max() <= near


def test_the_command_fits_and_keeps_the_probe(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    published(data)
    words = ["identify", "fit", "theirs", "--features", str(data), "--ids", str(data / "qids.json"), "--c", "100"]
    assert main(words) == 0
    assert "held out: AUROC" in capfd.readouterr().out
    assert library.read("theirs").c == 100
    assert main(words) == 2, "nothing is overwritten"
    capfd.readouterr()
    assert main([*words[:2], "again", *words[3:], "--json"]) == 0
    assert Probe.model_validate_json(capfd.readouterr().out).name == "again"


def test_the_command_fits_on_all_items_where_it_is_told_to(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    published(data)
    words = ["identify", "fit", "theirs", "--features", str(data), "--ids", str(data / "qids.json"), "--c", "100"]
    assert main([*words, "--all-items"]) == 0
    told = capfd.readouterr().out
    assert "no item was held out" in told and "held out: AUROC" not in told


@pytest.mark.parametrize(
    ("spoil", "words", "said"),
    [
        (lambda folder: (folder / "act_q3.npy").write_bytes(b""), [], "act_q3.npy cannot be read"),
        (lambda folder: (folder / "qids.json").write_text("[" * 100_000), [], "qids.json cannot be read as JSON"),
        (lambda folder: None, ["--seed", "-1"], "The seed (seed = -1) is not accepted"),
        (lambda folder: None, ["--seed", str(2**31)], "The seed (seed = 2147483648) is not accepted"),
        (lambda folder: None, ["--features", "n" * 300], "holds no features"),
    ],
)
def test_what_cannot_be_fitted_ends_with_status_2_and_the_failure_as_json(
    spoil: Callable[[Path], object], words: list[str], said: str, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    published(data)
    spoil(data)
    features = [] if "--features" in words else ["--features", str(data)]
    command = ["identify", "fit", "theirs", *features, "--ids", str(data / "qids.json"), *words]
    assert main([*command, "--json"]) == 2
    told = capfd.readouterr()
    assert_error_shape(json.loads(told.out))
    assert said in told.err and told.err.count("\n") == 1
    assert not library.holds_foreign(library.folder_of("theirs"))

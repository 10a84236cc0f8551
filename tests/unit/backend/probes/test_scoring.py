"""A probe's score of an answer: its arithmetic token by token, over the words that answer, and whose it may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import BadInput, Unknown
from backend.probes import library
from backend.probes.scoring import Scorer, scorer
from backend.types import Asked, ModelInfo
from backend.types.identify import RegionRule
from backend.types.names import ProbeRef
from backend.types.probe import Probe
from tests import fakes_probe
from tests.fakes_app import INFO, token
from tests.fakes_probe import score

PROBE = fakes_probe.probe("mine", INFO)
WHO = Asked(prompt="Who is the CEO of Nortel?")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    return tmp_path


def kept(probe: Probe = PROBE, name: str = "mine") -> ProbeRef:
    library.folder_of(name).mkdir(parents=True, exist_ok=True)
    library.write(library.folder_of(name), probe, {})
    return named(name)


def named(name: str, **fields: Any) -> ProbeRef:
    digest = next(one.digest for one in library.listed() if one.name == name)
    return ProbeRef(name=name, digest=digest, **fields)


def of(probe: Probe = PROBE, info: ModelInfo = INFO) -> Scorer:
    return scorer(kept(probe), info)


def cett(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 0.02, (count, len(PROBE.all))).astype(np.float32)


def answer(*texts: str) -> Any:
    rng = np.random.default_rng(0)
    return tuple(token(text, "answer", rng) for text in texts)


@pytest.mark.parametrize("pieces", [[1, 1, 1, 1, 1, 1], [6], [2, 3, 1], [0, 6]])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_score_so_far_is_the_weighted_pooled_cett_in_whichever_pieces_it_comes(
    pooling: str, pieces: list[int]
) -> None:
    rule = RegionRule.model_validate({"pooling": pooling})
    along, read, at = of(PROBE.model_copy(update={"rule": rule})).running(), cett(6), 0
    for count in pieces:
        along.read(read[at : at + count])
        at += count
    assert len(along.along) == 6
    columns = dict(zip(PROBE.all, read.T.astype(np.float64), strict=True))
    for count, found in enumerate(along.along, 1):
        over = [(one.weight, columns[one.neuron][:count]) for one in PROBE.neurons]
        expected = PROBE.intercept + sum(
            weight * (part.mean() if pooling == "mean" else part.max()) for weight, part in over
        )
        # float64 throughout: sums of six terms of one size.
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("position", "ahead"), [("answer", 0), ("predicting", 1), ("both", 1), ("whole", 1)])
def test_it_reads_each_token_or_the_one_before_it(position: str, ahead: int) -> None:
    assert of(PROBE.model_copy(update={"rule": RegionRule.model_validate({"position": position})})).ahead == ahead


def test_the_words_that_answer_are_scored_by_their_own_tokens_alone() -> None:
    words = answer("The", " CEO", " of", " Nortel", " is", " Elon", " Musk", ".")
    found = of().score(WHO, "The CEO of Nortel is Elon Musk.", words, cett(8))
    assert found is not None and found.words is not None
    assert "The CEO of Nortel is Elon Musk."[slice(*found.words)] == "Elon Musk"
    over = of().running()
    over.read(cett(8)[5:7])
    assert found.log_odds == over.along[-1] != found.along[-1]
    assert found.along[:3] == tuple(part.along[-1] for part in (_up_to(1), _up_to(2), _up_to(3)))
    assert found.chances[0] == pytest.approx(1 / (1 + np.exp(-found.along[0])))
    assert found.chance is None and "is not known" in found.sentences[0] and found.probe == named("mine")


@pytest.mark.parametrize(("position", "rows"), [("both", slice(5, 8)), ("whole", slice(0, 9))])
def test_the_words_that_answer_are_scored_in_the_window_of_the_probe(position: str, rows: slice) -> None:
    """One row of CETT more than tokens: the first is that of the position that predicts the first token."""
    by = of(PROBE.model_copy(update={"rule": RegionRule.model_validate({"position": position})}))
    words = answer("The", " CEO", " of", " Nortel", " is", " Elon", " Musk", ".")
    found = by.score(WHO, "The CEO of Nortel is Elon Musk.", words, cett(9))
    over = by.running()
    over.read(cett(9)[rows])
    assert found is not None and len(found.along) == 8 and found.log_odds == over.along[-1]


def _up_to(count: int) -> Any:
    running = of().running()
    running.read(cett(8)[:count])
    return running


def test_a_character_of_several_tokens_is_read_whole() -> None:
    words = answer("It", " is", " ", "\ufffd", "\ufffd", "東")
    found = of().score(WHO, "It is 東", words, cett(6))
    over = of().running()
    over.read(cett(6)[3:])
    assert found is not None and found.words == (6, 7) and found.log_odds == over.along[-1]


@pytest.mark.parametrize("given", ["It is Jose\u0301, and so on.", "IT IS JOS\u00c9, AND SO ON."])
def test_a_given_answer_that_its_tokenizer_changes_is_scored_as_its_tokens_have_it(given: str) -> None:
    """Letters in another case or composition than the answer was written in: the same tokens are read."""
    words = answer("It", " is", " Jos\u00e9", ",", " and", " so", " on", ".")
    plain = of().score(WHO, "It is Jos\u00e9, and so on.", words, cett(8))
    found = of().score(WHO, given, words, cett(8))
    assert plain is not None and found is not None and found.words == plain.words
    over = of().running()
    over.read(cett(8)[2:3])
    assert found.log_odds == plain.log_odds == over.along[-1]


def test_a_probe_that_was_once_put_on_another_model_is_its_own_models_still() -> None:
    found = of(PROBE.model_copy(update={"forced": "another"})).score(WHO, "Elon Musk", answer("Elon", " Musk"), cett(2))
    assert found is not None and not found.forced


def test_an_answer_without_a_token_has_no_score_and_one_without_words_that_answer_says_so() -> None:
    assert of().score(WHO, "", (), cett(0)) is None
    found = of().score(WHO, "Nortel?", answer("Nortel", "?"), cett(2))
    assert found is not None and found.log_odds is None and "No words that answer" in found.sentences[0]
    assert len(found.along) == 2


def test_a_probe_of_another_model_scores_nothing_unless_it_is_forced_which_its_score_says() -> None:
    other = INFO.model_copy(update={"fingerprint": "0" * 64})
    ref = kept()
    with pytest.raises(BadInput, match="scores no answer of Fake-135M-Instruct: it was made for another model"):
        scorer(ref, other)
    words = answer(" Elon", " Musk")
    for who in (
        scorer(named("mine", force=True), other),
        scorer(kept(PROBE.model_copy(update={"forced": other.name}), "theirs"), other),
    ):
        found = who.score(WHO, "Elon Musk", words, cett(2))
        assert found is not None and found.forced and "its score means nothing here" in found.sentences[0]
        assert "made for another model" in found.brief
    mine = scorer(ref, INFO).score(WHO, "Elon Musk", words, cett(2))
    assert mine is not None and not mine.forced


def test_a_probe_that_is_another_one_by_now_or_is_not_there_is_refused() -> None:
    ref = kept()
    kept(PROBE.model_copy(update={"intercept": 2.5}))
    with pytest.raises(BadInput, match="mine has changed: it was made again"):
        scorer(ref, INFO)
    with pytest.raises(Unknown, match="There is no probe 'yours'"):
        scorer(ref.model_copy(update={"name": "yours"}), INFO)
    with pytest.raises(BadInput, match="it has no neurons"):
        scorer(kept(PROBE.model_copy(update={"neurons": ()})), INFO)


def test_a_probe_that_ships_is_found_behind_an_own_one_of_its_name() -> None:
    ref = next(one for one in library.listed() if one.ships)
    shipped = library.read(ref.name)
    assert shipped.model is not None
    library.folder_of(ref.name).mkdir(parents=True)
    library.write(library.folder_of(ref.name), shipped.model_copy(update={"intercept": 9.0}), {})
    found = scorer(ProbeRef(name=ref.name, digest=ref.digest), shipped.model)
    assert found.probe.intercept == shipped.intercept and found.folder == library.SHIPPED / ref.name


def test_a_share_is_told_with_its_interval_and_what_it_is_a_share_of() -> None:
    told = score()
    assert "like the wrong answers" in told.brief and "(80 % of such were wrong, n = 310)" in told.brief
    assert told.chance is not None
    right = told.chance.model_copy(update={"wrong": told.chance.wrong.model_copy(update={"low": 0.1, "high": 0.3})})
    assert "like the right answers" in told.model_copy(update={"chance": right}).sentences[0]
    either = told.chance.model_copy(update={"wrong": told.chance.wrong.model_copy(update={"low": 0.3})})
    assert "between the right and the wrong" in told.model_copy(update={"chance": either}).sentences[0]

"""What a score of a person's own question can be held to: the share of held-out answers that were wrong, distance."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backend.parquet import reading
from backend.probes import library
from backend.probes.standing import standing
from backend.statistics.scores import calibrated
from backend.types import Asked, ExploreRequest
from backend.types.identify import Question
from backend.types.standing import Standing, score_of
from tests import fakes_probe
from tests.fakes import probe
from tests.fakes_app import INFO, exploration, token

SHIPPED = "smollm2-135m-instruct"
ENTITIES = [f"Land{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(300)]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path))
    return tmp_path


def made(wrong: int = 60, right: int = 60, name: str = "mine") -> Path:
    """A probe with its items: a third held out, wrong ones two log-odds above right ones."""
    rng = np.random.default_rng(0)
    rows, asked = [], []
    for place, entity in enumerate(ENTITIES[: wrong + right]):
        side = "wrong" if place < wrong else "right"
        text = f"What is the capital of {entity}?"
        asked.append(Question(id=f"capital:{entity}", text=text, answers=("A",), relation="capital", entity=entity))
        response = f"The capital of {entity} is Town{place}."
        start = response.index("Town")
        rows.append(
            {
                "question": asked[-1].id, "relation": "capital", "side": side, "response": response, "start": start,
                "end": len(response) - 1, "tokens": 2, "held_out": place % 3 == 0,
                "log_odds": rng.normal(1.0 if side == "wrong" else -1.0, 1.0),
            }
        )  # fmt: skip
    folder = library.folder_of(name)
    folder.mkdir(parents=True)
    library.write(folder, probe(name), {"items": pd.DataFrame(rows)})
    (folder / "questions.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in asked))
    return folder


def ask(question: str, answer: str, name: str = "mine", **how: Any) -> Standing:
    return standing(name, Asked.model_validate({"prompt": question, **how}), answer)


def test_a_question_of_the_same_kind_has_a_chance_with_its_interval_and_its_number() -> None:
    made()
    found = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")
    assert not found.outside and found.words is not None and found.calibration is not None
    assert "The capital of Egypt is Cairo."[slice(*found.words)] == "Cairo"
    assert (found.calibration.n, found.calibration.wrong) == (40, 20)
    told = " ".join(found.told(3.0))
    assert "like the wrong answers that the probe was trained on" in told and "n = 40" in told
    assert "balanced by design (50 % wrong)" in told and "What is the capital of Land" in told
    assert "like the right answers" in found.told(-3.0)[0] and "between the right and the wrong" in found.told(0.0)[0]


def test_the_chance_rises_with_the_score_lies_in_its_interval_and_is_held_at_the_ends() -> None:
    made()
    curve = ask("What is the capital of Egypt?", "It is Cairo.").calibration
    assert curve is not None
    found = [curve.at(score) for score in np.linspace(-9, 9, 50)]
    assert all(one.low <= one.value <= one.high for one in found)
    assert all(one.value <= other.value for one, other in zip(found, found[1:], strict=False))
    assert curve.at(1e9).value == curve.at(curve.log_odds[-1]).value < 1


def test_the_calibration_is_near_the_truth_that_made_the_scores() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 2, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-0.5 * scores - 0.3))).astype(np.int64)
    points, (value, low, high) = calibrated(labels, scores, np.arange(4000))
    truth = 1 / (1 + np.exp(-0.5 * points - 0.3))
    # A 95 % interval holds the truth at most points; the curve is off by its own standard error at most thrice.
    assert np.mean((low <= truth) & (truth <= high)) > 0.8
    assert np.all(np.abs(value - truth) <= 1.5 * (high - low))


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("blorp grunkle fritz?", "The capital of blorp is Glorb.", "nearest"),
        ("How do I bake sourdough bread at home?", "The capital of it is bread.", "words"),
        ("Quelle est la capitale de la France ?", "The capital of France is Paris.", "words"),
        ("What is the capital of Egypt?", " ".join(["The capital of Egypt is Cairo"] * 12), "answer_words"),
        ("What is the capital of " + "the capital of " * 30 + "Egypt?", "The capital is Cairo.", "question_words"),
        ("What is the capital of Egypt?", "It is one two three four five.", "read_words"),
    ],
)
def test_a_question_that_lies_outside_gets_no_chance_and_is_told_so(question: str, answer: str, why: str) -> None:
    made()
    found = ask(question, answer)
    assert why in {one.kind for one in found.outside}
    (told,) = found.told(2.0)
    assert "outside what the probe was made from" in told and "means nothing here" in told
    assert "were wrong" not in told and "means nothing" in found.brief(2.0)


@pytest.mark.parametrize("how", [{"system": "Be brief."}, {"chat": False}])
def test_a_question_put_otherwise_than_the_probe_s_gets_no_chance(how: dict[str, Any]) -> None:
    made()
    (told,) = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.", **how).told(2.0)
    assert "and they were not" in told and "were wrong" not in told


def test_an_answer_without_words_that_answer_gets_no_chance() -> None:
    made()
    found = ask("What is the capital of Egypt?", "What is the capital of Egypt?")
    assert found.words is None and "No words that answer" in found.told(None)[0]


def test_a_probe_from_a_file_has_no_calibration_and_says_so() -> None:
    folder = library.folder_of("theirs")
    folder.mkdir(parents=True)
    library.write(folder, probe("theirs").model_copy(update={"imported": "theirs.csv"}), {})
    found = ask("What is the capital of Egypt?", "It is Cairo.", "theirs")
    assert found.calibration is None and not found.distances and "came from a file" in found.told(2.0)[0]


@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        "no parquet",
        "breaks its reader",
        "other columns",
        "other values",
        "no questions",
        "cut questions",
        "empty",
        "no numbers",
    ],
)
def test_items_that_cannot_be_read_cost_the_chance_and_nothing_else(
    damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made()
    items = pd.read_parquet(folder / "items.parquet")
    if damage == "missing":
        (folder / "items.parquet").unlink()
    elif damage == "no parquet":
        (folder / "items.parquet").write_bytes(b"PAR1 and no more")
    elif damage == "breaks its reader":
        monkeypatch.setattr(reading, "COMMAND", (sys.executable, "-c", "import os; os.abort()"))
    elif damage == "other columns":
        items[["question"]].to_parquet(folder / "items.parquet")
    elif damage == "other values":
        items.assign(start="a").to_parquet(folder / "items.parquet")
    elif damage == "no questions":
        (folder / "questions.jsonl").unlink()
    elif damage == "cut questions":
        lines = gzip.compress((folder / "questions.jsonl").read_bytes())
        (folder / "questions.jsonl.gz").write_bytes(lines[: len(lines) // 2])
        (folder / "questions.jsonl").unlink()
    else:
        items = items[:0] if damage == "empty" else items.assign(log_odds=np.nan)
        items.to_parquet(folder / "items.parquet")
    found = ask("What is the capital of Egypt?", "It is Cairo.")
    assert found.calibration is None and found.note and "is not known" in found.told(2.0)[0]


def test_too_few_held_out_answers_give_no_chance() -> None:
    made(wrong=15, right=90)
    found = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")
    assert found.calibration is None and "Fewer than 10" in found.told(2.0)[0]


def test_items_made_anew_are_read_anew() -> None:
    folder = made()
    before = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.").calibration
    items = pd.read_parquet(folder / "items.parquet")
    items.assign(log_odds=items["log_odds"] * 3).to_parquet(folder / "items.parquet")
    after = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.").calibration
    assert before is not None and after is not None and before != after


def test_the_shipped_probe_needs_no_new_make_and_few_of_its_own_held_out_questions_lie_outside() -> None:
    folder = library.SHIPPED / SHIPPED
    items = pd.read_parquet(folder / "items.parquet")
    lines = gzip.decompress((folder / "questions.jsonl.gz").read_bytes()).splitlines()
    asked = {one.id: one for one in map(Question.model_validate_json, lines)}
    held = items[items["held_out"]]
    suffix = " Respond with the answer only, without any explanation."
    found = [ask(asked[row.question].text + suffix, str(row.response), SHIPPED) for row in held.itertuples(index=False)]
    assert found[0].calibration is not None and found[0].calibration.n == len(held)
    # Five measures, each with at most 2 % beyond its ends.
    assert sum(bool(one.outside) for one in found) <= 0.1 * len(held)
    for nonsense in ("asdf qwer zxcv", "Write a poem about the sea.", "日本の首都はどこですか。", "???"):
        assert ask(nonsense, "It is so.", SHIPPED).outside


def test_the_score_is_read_over_the_tokens_of_the_words_that_answer_alone() -> None:
    shipped = fakes_probe.probe("shipped", INFO)
    told = exploration(ExploreRequest(prompt="Who is the CEO of Nortel?", neurons=shipped.all))
    start = told.answer.index("Elon Musk")
    cett = shipped.followed(told)
    assert cett is not None
    places = [n for n, one in enumerate(told.tokens[told.answer_start :]) if one.text.strip() in ("Elon", "Musk")]
    assert len(places) == 2
    score = score_of(shipped, told, (start, start + len("Elon Musk")))
    assert score is not None and score == shipped.log_odds(cett[places])[-1] != shipped.log_odds(cett)[-1]


def test_a_character_of_several_tokens_is_read_whole() -> None:
    shipped = fakes_probe.probe("shipped", INFO)
    told = exploration(ExploreRequest(prompt="Who?", neurons=shipped.all, answer="It is a b c d"))
    rng = np.random.default_rng(0)
    texts = ["It", " is", " ", "\ufffd", "\ufffd", "東"]
    answer = tuple(token(text, "answer", rng) for text in texts)
    tokens = (*told.tokens[: told.answer_start], *answer)
    cett = np.random.default_rng(1).gamma(2, 0.02, (len(tokens), len(shipped.all))).astype(np.float32)
    told = told.model_copy(update={"tokens": tokens, "answer": "It is 京東", "set_cett": cett})
    found = score_of(shipped, told, (6, 8))
    assert found == shipped.log_odds(cett[told.answer_start + 3 :])[-1]

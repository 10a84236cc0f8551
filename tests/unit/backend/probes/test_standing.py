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
from backend.probes.scoring import assemble_score
from backend.probes.standing import Calibration, standing
from backend.statistics.scores import calibration_curve
from backend.types import Asked
from backend.types.identify import Question
from backend.types.names import ProbeRef
from backend.types.score import Score, Standing
from tests.fakes import probe

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


def ask(question: str, answer: str, name: str = "mine", **how: Any) -> tuple[Standing, Calibration | None]:
    folder = library.SHIPPED / name if name == SHIPPED else library.folder_of(name)
    return standing(library.read(name), folder, Asked.model_validate({"prompt": question, **how}), answer)


def told(found: Standing, curve: Calibration | None, log_odds: float | None) -> Score:
    return assemble_score(ProbeRef(name="mine", digest="0" * 64), (0.0,), log_odds, found, curve)


def outside(found: Standing) -> set[str]:
    return {one.kind for one in found.distances if one.outside}


def test_a_question_of_the_same_kind_has_a_chance_with_its_interval_and_its_number() -> None:
    made()
    found, curve = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")
    assert not outside(found) and found.words is not None and curve is not None
    assert "The capital of Egypt is Cairo."[slice(*found.words)] == "Cairo"
    assert (curve.n, curve.wrong) == (40, 20)
    said = " ".join(told(found, curve, 3.0).sentences)
    assert "like the wrong answers that the probe was trained on" in said and "n = 40" in said
    assert "balanced by design (50 % wrong)" in said and "What is the capital of Land" in said
    assert (
        "like the right answers" in told(found, curve, -3.0).sentences[0]
        and "between the right and the wrong" in told(found, curve, 0.0).sentences[0]
    )


def test_the_chance_rises_with_the_score_lies_in_its_interval_and_is_held_at_the_ends() -> None:
    made()
    curve = ask("What is the capital of Egypt?", "It is Cairo.")[1]
    assert curve is not None
    found = [curve.at(score) for score in np.linspace(-9, 9, 50)]
    assert all(one.wrong.low <= one.wrong.value <= one.wrong.high for one in found)
    assert all(one.wrong.value <= other.wrong.value for one, other in zip(found, found[1:], strict=False))
    assert curve.at(1e9).wrong.value == curve.at(curve.log_odds[-1]).wrong.value < 1


def test_the_calibration_is_near_the_truth_that_made_the_scores() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 2, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-0.5 * scores - 0.3))).astype(np.int64)
    points, (value, low, high) = calibration_curve(labels, scores, np.arange(4000))
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
    found, curve = ask(question, answer)
    assert why in outside(found)
    (said,) = told(found, curve, 2.0).sentences
    assert "outside what the probe was made from" in said and "means nothing here" in said
    assert "were wrong" not in said and "means nothing" in told(found, curve, 2.0).brief


@pytest.mark.parametrize("how", [{"system": "Be brief."}, {"chat": False}])
def test_a_question_put_otherwise_than_the_probe_s_gets_no_chance(how: dict[str, Any]) -> None:
    made()
    (said,) = told(*ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.", **how), 2.0).sentences
    assert "and they were not" in said and "were wrong" not in said


def test_an_answer_without_words_that_answer_gets_no_chance() -> None:
    made()
    found, curve = ask("What is the capital of Egypt?", "What is the capital of Egypt?")
    assert found.words is None and "No words that answer" in told(found, curve, None).sentences[0]


def test_a_probe_from_a_file_has_no_calibration_and_says_so() -> None:
    folder = library.folder_of("theirs")
    folder.mkdir(parents=True)
    library.write(folder, probe("theirs").model_copy(update={"imported": "theirs.csv"}), {})
    found, curve = ask("What is the capital of Egypt?", "It is Cairo.", "theirs")
    assert curve is None and not found.distances and "came from a file" in told(found, curve, 2.0).sentences[0]


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
        "no answers",
        "no words",
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
    elif damage == "no words":
        written = (folder / "questions.jsonl").read_text().splitlines()
        asked = [Question.model_validate_json(line).model_copy(update={"text": "?!", "entity": ""}) for line in written]
        (folder / "questions.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in asked))
    elif damage == "no questions":
        (folder / "questions.jsonl").unlink()
    elif damage == "cut questions":
        lines = gzip.compress((folder / "questions.jsonl").read_bytes())
        (folder / "questions.jsonl.gz").write_bytes(lines[: len(lines) // 2])
        (folder / "questions.jsonl").unlink()
    else:
        changed: dict[str, dict[str, Any]] = {"no numbers": {"log_odds": np.nan}, "no answers": {"response": None}}
        items = items[:0] if damage == "empty" else items.assign(**changed[damage])
        items.to_parquet(folder / "items.parquet")
    found, curve = ask("What is the capital of Egypt?", "It is Cairo.")
    assert curve is None and found.note and "is not known" in told(found, curve, 2.0).sentences[0]


def test_questions_that_are_nothing_but_a_name_are_compared_by_it() -> None:
    folder = made()
    lines = (folder / "questions.jsonl").read_text().splitlines()
    asked = [Question.model_validate_json(line) for line in lines]
    asked = [one.model_copy(update={"entity": one.text}) for one in asked]
    (folder / "questions.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in asked))
    found, curve = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")
    assert curve is not None and found.relation == "capital"


def test_too_few_held_out_answers_give_no_chance() -> None:
    made(wrong=15, right=90)
    found, curve = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")
    assert curve is None and "Fewer than 10" in told(found, curve, 2.0).sentences[0]


def test_items_made_anew_are_read_anew() -> None:
    folder = made()
    before = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")[1]
    items = pd.read_parquet(folder / "items.parquet")
    items.assign(log_odds=items["log_odds"] * 3).to_parquet(folder / "items.parquet")
    after = ask("What is the capital of Egypt?", "The capital of Egypt is Cairo.")[1]
    assert before is not None and after is not None and before != after


def test_the_shipped_probe_needs_no_new_make_and_few_of_its_own_held_out_questions_lie_outside() -> None:
    folder = library.SHIPPED / SHIPPED
    items = pd.read_parquet(folder / "items.parquet")
    lines = gzip.decompress((folder / "questions.jsonl.gz").read_bytes()).splitlines()
    asked = {one.id: one for one in map(Question.model_validate_json, lines)}
    held = items[items["held_out"]]
    suffix = " Respond with the answer only, without any explanation."
    found = [ask(asked[row.question].text + suffix, str(row.response), SHIPPED) for row in held.itertuples(index=False)]
    curve = found[0][1]
    assert curve is not None and curve.n == len(held)
    # Five measures, each with at most 2 % beyond its ends.
    assert sum(bool(outside(one)) for one, _ in found) <= 0.1 * len(held)
    for nonsense in ("asdf qwer zxcv", "Write a poem about the sea.", "日本の首都はどこですか。", "???"):
        assert outside(ask(nonsense, "It is so.", SHIPPED)[0])

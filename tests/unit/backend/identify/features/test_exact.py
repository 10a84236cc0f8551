"""The authors' answers with their tokens become a probe: CETT over exactly these tokens, and every loss is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.cli.main import main
from backend.errors import BadInput
from backend.forward.prompting import decode
from backend.identify.features import exact
from backend.identify.formats import thunlp, thunlp_features
from backend.models.loaded import LoadedModel
from backend.probes import library
from backend.statistics import intervals
from tests.plain import FLOAT32, Plain, largest_gap

RIGHT = ("Cairo", "Rome", "Oslo")
WRONG = ("not known", "the book", "a neuron")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    return tmp_path


def published(model: LoadedModel, folder: Path, items: int = 48) -> tuple[Path, Path]:
    """(answers, ids): half of them wrong, tokens as the tokenizer's vocabulary writes them."""
    lines, ids = [], {"t": list[str](), "f": list[str]()}
    for number in range(items):
        side, words = ("f", WRONG) if number % 2 else ("t", RIGHT)
        response, word = f"It is {words[number % 3]} now.", f" {words[number % 3]}"
        whole, before, inside = (
            model.tokenizer.convert_ids_to_tokens(model.tokenizer(text)["input_ids"])
            for text in (response, "It is", word)
        )
        assert whole[len(before) : len(before) + len(inside)] == inside
        text = {"question": f"Item {number}?", "response": response}
        lines.append(json.dumps({f"q{number}": {**text, "tokenized_response": whole, "answer_tokens": inside}}))
        ids[side].append(f"q{number}")
    (folder / "answer_tokens.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "qids.json").write_text(json.dumps(ids), "utf-8")
    return folder / "answer_tokens.jsonl", folder / "qids.json"


def spoil(answers: Path, ids: Path) -> None:
    """One answer without tokens, one with tokens that have a gap, one empty, one too long, and an id without any."""
    rows = [json.loads(line) for line in answers.read_text("utf-8").split("\n") if line]
    rows[0]["q0"]["answer_tokens"] = []
    rows[1]["q1"]["answer_tokens"] = ["It", "."]
    rows[2]["q2"]["response"] = ""
    rows[3]["q3"]["question"] = "so long " * 200
    answers.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    held = json.loads(ids.read_text("utf-8"))
    held["f"].append("nowhere")
    ids.write_text(json.dumps(held), "utf-8")


def test_cett_is_read_over_the_named_tokens_and_over_all_others_of_the_answered_turn(
    tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain], tmp_path: Path
) -> None:
    model, plain = tiny("llama"), untouched("llama")
    answers, ids = published(model, tmp_path, 6)
    given, tally = exact.read_located(model, answers, ids, "3-vs-1")
    assert tally.sentence == "6 of 6 answers read" and given.labels.tolist() == [1, 1, 1, 0, 0, 0]
    texts, sides, _ = exact.locate_all(model, thunlp.read_answers(answers), thunlp.read_ids(ids))
    assert sides == ["wrong"] * 3 + ["right"] * 3 and given.other is not None
    words = (WRONG[1], WRONG[0], WRONG[2], RIGHT[0], RIGHT[2], RIGHT[1])
    for place, (text, word) in enumerate(zip(texts, words, strict=True)):
        inside, outside = (list(region) for region in text.regions)
        assert decode(model, [text.ids[place] for place in inside]) == f" {word}"
        assert sorted(inside + outside) == list(range(len(text.ids)))
        # The tokens that close the turn are other tokens too, as in the authors' code.
        assert str(model.tokenizer.decode(list(text.ids))).endswith("now.<|im_end|>\n")
        whole = plain.cett(list(text.ids))
        for read, region in ((given.answer, inside), (given.other, outside)):
            expected = whole[:, region].mean(1).reshape(-1)
            assert largest_gap(read[place], expected) / expected.max() <= FLOAT32


def test_every_answer_that_is_not_read_is_counted_by_its_reason(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    model = tiny("llama")
    answers, ids = published(model, tmp_path)
    spoil(answers, ids)
    given, tally = exact.read_located(model, answers, ids)
    assert tally == exact.Tally(asked=49, unanswered=1, unlisted=1, elsewhere=1, unread=2)
    assert len(given.labels) == tally.read == 44 and given.other is None
    assert tally.sentence == (
        "44 of 49 answers read; left out: 1 are not in the file, 1 have no list of tokens, "
        "1 have tokens that are not consecutive in their response, 2 are empty, too long or cannot be read"
    )


def test_a_file_of_another_tokenizer_is_refused_with_the_count(
    tiny: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    answers, ids = published(tiny("llama"), tmp_path, 6)
    answers.write_text(answers.read_text("utf-8").replace('"answer_tokens": ["', '"answer_tokens": ["Zz", "'), "utf-8")
    with pytest.raises(BadInput, match="0 of 6 answers read; left out: 6 have tokens that are not consecutive"):
        exact.read_located(tiny("llama"), answers, ids)


@pytest.mark.parametrize("labels", ["1-vs-1", "3-vs-1"])
def test_the_command_reads_the_answers_fits_and_keeps_the_probe(
    labels: str,
    tiny: Callable[[str], LoadedModel],
    tiny_folder: Callable[[str], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answers, ids = published(tiny("llama"), tmp_path)
    spoil(answers, ids)
    words = ["--answers", str(answers), "--ids", str(ids), "--model", str(tiny_folder("llama")), "--c", "300"]
    assert main(["identify", "fit", "theirs", *words, "--labels", labels]) == 0
    told = capfd.readouterr()
    assert "44 of 49 answers read" in told.err and "held out: AUROC" in told.out
    probe = library.read("theirs")
    assert probe.h_neurons and probe.imported == "answer_tokens.jsonl"
    assert probe.model is not None and probe.model.widths == tiny("llama").info.widths


def test_features_and_answers_together_or_neither_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["identify", "fit", "theirs", "--ids", str(tmp_path / "qids.json")]
    assert main(words) == 2
    assert "one of --features and --answers is needed" in capfd.readouterr().err
    assert main([*words, "--features", str(tmp_path), "--answers", str(tmp_path / "a.jsonl")]) == 2


def test_marks_for_a_space_are_read_as_the_space_that_they_stand_for() -> None:
    assert thunlp.decoded_tokens(("Top", "\u0120Gear", "\u2581one")) == ("Top", " Gear", " one")


def test_the_other_tokens_are_found_where_the_authors_put_them(tmp_path: Path) -> None:
    ids = thunlp.read_ids(written(tmp_path / "flat", ""))
    beside = written(tmp_path / "two", thunlp.ANSWER).parent
    for folder in (tmp_path / "flat", beside, beside / thunlp.ANSWER):
        answer, other, labels, shape = thunlp_features.read_both(ids, folder)
        assert shape == (2, 3) and labels.tolist() == [1, 0]
        assert answer[:, 0].tolist() == [1.0, 0.0] and other[:, 0].tolist() == [11.0, 10.0]


def written(folder: Path, inner: str) -> Path:
    """Features of q0 (right), q1 (wrong) and q2 (right, its other tokens not read)."""
    answers, others = folder / inner, folder / thunlp.OTHER
    for place in (answers, others):
        place.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        np.save(answers / f"act_q{number}.npy", np.full((2, 3), number, np.float32))
    for number in range(2):
        np.save(others / f"act_q{number}.npy", np.full((2, 3), 10 + number, np.float32))
    (folder / "qids.json").write_text(json.dumps({"t": ["q0", "q2"], "f": ["q1"]}), "utf-8")
    return folder / "qids.json"

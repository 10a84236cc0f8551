"""Files of others: questions in every usual form, probes that score the same, and the authors' own data."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors
from sklearn.linear_model import LogisticRegression

from backend.errors import BadInput, BadNeurons
from backend.identify.formats import probes, questions, thunlp, thunlp_features
from backend.neurons import NeuronId
from backend.types.plan import QuestionSource
from backend.types.probe import Probe, ProbeNeuron
from tests.fakes import INFO
from tests.places import SHARED, needs_shared

ROW = {"question": "Who wrote Emma?", "answers": ["Jane Austen", "Austen"], "relation": "author", "entity": "Emma"}
OFFICIAL = {key: value for key, value in ROW.items() if key != "answers"} | {
    "responses": ["Jane"], "judges": ["true"], "ground_truth": ROW["answers"],
}  # fmt: skip
HUNDRED = QuestionSource(per_relation=None, limit=100)
OURS = b'{"schema": "hneurons/probe/1", "name": "a", '
LISTED = json.dumps(ROW["answers"])


def csv(text: str) -> bytes:
    return text.encode()


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (csv("question,answers,relation,entity\nWho wrote Emma?,Jane Austen|Austen,author,Emma\n"), "q.csv"),
        (csv("\ufeffQuestion;Answers;Relation;Entity\r\nWho wrote Emma?;Jane Austen|Austen;author;Emma\r\n"), "q.csv"),
        (csv(f"subj\tquestion\tpossible_answers\tprop\nEmma\tWho wrote Emma?\t{LISTED}\tauthor\n"), "popqa.tsv"),
        (json.dumps([ROW]).encode(), "q.json"),
        ((json.dumps(ROW) + "\r\n\r\n").encode(), "q.jsonl"),
        (("\ufeff" + json.dumps(ROW)).encode(), "q.jsonl"),
        (json.dumps({"q1": OFFICIAL}).encode(), "r.json"),
    ],
    ids=["csv", "bom-crlf-semicolons", "popqa", "json", "jsonl-crlf", "jsonl-bom", "official"],
)  # fmt: skip
def test_a_question_file_is_read(payload: bytes, name: str) -> None:
    found = questions.read(payload, name).questions
    assert len(found) == 1
    assert (found[0].text, found[0].answers) == ("Who wrote Emma?", ("Jane Austen", "Austen"))
    assert (found[0].relation, found[0].entity) == ("author", "Emma")


def test_triviaqa_parquet() -> None:
    answer = {
        "aliases": ["Park Grove (1895)", "York"], "normalized_aliases": ["york"], "value": "York",
        "normalized_value": "york", "type": "WikipediaEntity",
    }  # fmt: skip
    table = pa.Table.from_pylist(
        [{"question": "Where?", "question_id": "tc_3", "answer": answer, "entity_pages": {"title": []}}]
    )
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    found = questions.read(out.getvalue().to_pybytes(), "train.parquet").questions
    assert found[0].id == "tc_3" and found[0].answers == ("York", "Park Grove (1895)", "york")


def test_lines_end_at_newline_alone() -> None:
    """U+2028 and U+0085 stand within answers of real files."""
    rows = [{"question": f"Q{mark}{n}?", "answer": ["a\u2028b"]} for n, mark in enumerate("\u2028\u0085\x1c")]
    payload = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    assert len(questions.read(payload, "q.jsonl").questions) == 3


def test_the_same_question_twice_is_one_with_all_answers() -> None:
    payload = csv("question,answer\nWho?,A\n who? ,B\nWhat?,C\n")
    told = questions.read(payload, "q.csv")
    found = told.questions
    assert [q.answers for q in found] == [("A", "B"), ("C",)]
    assert len({q.id for q in found}) == 2
    assert told.left_out == "Left out of 3 rows: 1 that ask what another one asks (their answers count there)."


def test_every_row_that_is_no_question_is_counted_by_its_reason() -> None:
    rows: list[object] = [
        {"question": "Who?", "answers": ["B"]},
        {"question": "Whom?", "answers": []},
        {"question": "What?", "answers": "?", "id": "tc_7"},
        {"question": ["Where?"], "answers": "C"},
        {"title": "none of them"},
        {"question": "W" * 2_001, "answers": "B"},
        {"question": "Half a \ud800?", "answers": "B"},
        "no row",
    ]
    told = questions.read(json.dumps(rows).encode(), "q.json")
    assert [one.text for one in told.questions] == ["Who?"]
    assert (told.rows, told.incomplete, told.unusable, told.long, told.broken, told.repeated) == (8, 3, 1, 1, 2, 0)
    assert told.left_out == (
        "Left out of 8 rows: 3 without a question or an answer (row 2; row 4; row 5), "
        "1 whose answers have no letter or digit beside an article (row 3, id tc_7), "
        "1 with a question of more than 2,000 characters, or with longer answers than are read (row 6), "
        "2 that are no text (row 7; row 8)."
    )
    assert questions.read(csv("question,answer\nWho?,B\n\nWhat?,B\n"), "q.csv", QuestionSource(limit=1)).left_out == ""


def test_a_row_with_more_cells_than_columns_is_refused_with_its_line() -> None:
    table = 'question,answers\n"Who,\n or what?",A\nIn Emma, who marries?,Emma\n'
    with pytest.raises(BadInput, match="q.csv, line 4 has more cells than the table has columns: the heading has 2"):
        questions.read(csv(table), "q.csv")
    assert len(questions.read(csv("question,answers\nWho?,B,, \n"), "q.csv").questions) == 1


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"value": "Paris", "aliases": "Lutetia"}, ("Paris", "Lutetia")),
        ({"value": "Paris", "aliases": '["Lutetia", "Parigi"]'}, ("Paris", "Lutetia", "Parigi")),
        ({"value": "Paris", "aliases": 5, "normalized_aliases": None}, ("Paris", "5")),
        ('["Lutetia", "Parigi"]', ("Lutetia", "Parigi")),
        ("Lutetia", ("Lutetia",)),
        (["Lutetia", ["nested"], None, float("nan")], ("Lutetia", "nested")),
        (1895, ("1895",)),
    ],
)
def test_spellings_are_whole_words_however_they_are_listed(answers: object, expected: tuple[str, ...]) -> None:
    row = {"question": "Where?", "answers": answers}
    assert questions.read(json.dumps(row).encode(), "q.jsonl").questions[0].answers == expected


@pytest.mark.parametrize(
    ("payload", "name", "words"),
    [
        (csv("frage,antwort\nWer?,Ich\n"), "q.csv", "no column of questions"),
        (csv("question,reply\nWho?,Me\n"), "q.csv", "no column of answers"),
        (csv("question,answers\n,\n"), "q.csv", "holds no question with an answer"),
        (
            csv("question,answers\n" + "W" * 2_001 + ",B\n,\n"),
            "q.csv",
            "1 with a question of more than 2,000 characters, .* .line 2.",
        ),
        (csv(""), "q.csv", "holds no question"),
        (b"\xff\xfeq\0", "q.csv", "not UTF-8"),
        (b"question,answer\nWho?,\0\n", "q.csv", "no text"),
        (b'{"question": "Who?"', "q.jsonl", "line 1 is broken JSON"),
        (b"[" * 100_000, "q.json", "nested too deeply"),
        (b'{"question": "Who?", "answer": ' + b"[" * 900 + b"]" * 900 + b"}", "q.jsonl", "nested too deeply"),
        (b"PAR1 and nothing", "q.parquet", "cannot be read"),
        (b"", "q.pkl", "q.pkl cannot be read: its name ends in .pkl"),
        (b"PK\x03\x04 and more", "q.csv", "Excel workbook"),
        (b"\x1f\x8b and more", "q.jsonl", "packed with gzip"),
        (csv('{"question": "Who?", "answers": "A", "answers": "B"}'), "q.jsonl", "'answers' twice in one object"),
        (csv("question,answers,answer\nWho?,A,B\n"), "q.csv", "line 2 has other answers in the column 'answers' than"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else None,
)
def test_a_file_that_cannot_be_read_says_why(payload: bytes, name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        questions.read(payload, name)
    assert caught.value.instead


def test_of_a_large_file_the_kinds_that_a_plan_asks_are_read() -> None:
    rows = "".join(f"Who is number {n}?,A{n},{'ab'[n % 2]}\n" for n in range(120_000))
    payload = csv("question,answer,relation\n" + rows)
    some = questions.read(payload, "q.csv", QuestionSource(relations=("a",), per_relation=70)).questions
    assert len(some) == 70 and {question.relation for question in some} == {"a"}
    assert len(questions.read(payload, "q.csv", QuestionSource(per_relation=70)).questions) == 140


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('question,answer\nWho?,A\n"What?,B\nWhich?,C\n', "line 3 opens a quotation mark that is never closed"),
        ('"question,answer\nWho?,A\n', "line 1 opens a quotation mark that is never closed"),
        ("question,answer,Answer\nWho?,A,B\n", "two columns 'answer'"),
        ('\nquestion,answer\nWho?,A\n"Who is \\"B\\"?",B\n', "line 4 has a quotation mark within a cell"),
        ("\nquestion,answer\nWho?,A,B\n", "line 3 has more cells"),
    ],
)
def test_a_table_that_would_lose_answers_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        questions.read(csv(text), "q.csv")


def test_a_table_says_by_which_mark_its_cells_are_apart() -> None:
    for text in ("sep=;\r\nquestion;answers\r\nWho?;Ann\r\n", 'question;answers;"a,b,c"\nWho?;Ann;x\n'):
        assert questions.read(csv(text), "q.csv").questions[0].answers == ("Ann",)


def test_nothing_as_r_writes_it_is_no_answer_and_namibias_sign_is_one() -> None:
    text = '"","question","answers"\n"1","Nobody?",NA\n"2","Of Namibia, NA?","NA"\n'
    found = questions.read(csv(text), "q.csv")
    assert [(one.text, one.answers) for one in found.questions] == [("Of Namibia, NA?", ("NA",))]
    assert found.incomplete == 1 and found.where["incomplete"] == ("line 2",)
    assert questions.read(csv("question,answers\nNamibia?,NA\n"), "q.csv").questions[0].answers == ("NA",)


def test_spellings_in_a_column_of_their_own_are_added_to_the_answer() -> None:
    row = {"question": "Who?", "answer": "Ann", "answer_aliases": ["Anna", "Ann"]}
    assert questions.read(json.dumps(row).encode(), "q.json").questions[0].answers == ("Ann", "Anna")


def test_the_number_of_a_choice_is_no_answer() -> None:
    rows = [{"question": "Who?", "choices": ["Ann", "Bo"], "answer": one} for one in (1, "B", "Ann")]
    found = questions.read(json.dumps(rows).encode(), "q.json")
    assert [one.answers for one in found.questions] == [("Ann",)] and found.unclear == 2


def test_a_list_as_python_writes_it_is_a_list() -> None:
    found = questions.read(csv("question,answers\nWho?,\"['A', 'B, C']\"\nWhat?,['Ann\n"), "q.csv").questions
    assert [question.answers for question in found] == [("A", "B, C")]


def test_questions_of_no_kind_are_not_thinned_as_if_they_were_of_one() -> None:
    payload = csv("question,answer\n" + "".join(f"Who is number {n}?,A{n}\n" for n in range(600)))
    assert len(questions.read(payload, "q.csv", QuestionSource()).questions) == 600


@pytest.mark.parametrize("field", ["id", "relation", "entity", "question"])
def test_half_a_character_makes_no_question(field: str) -> None:
    told = questions.read(json.dumps([ROW, {**ROW, "question": "Who?", field: "\ud800"}]).encode(), "q.json")
    assert len(told.questions) == told.broken == 1 and told.model_dump_json()


def test_many_rows_need_a_limit_and_are_drawn_by_it() -> None:
    payload = csv("question,answer\n" + "".join(f"Who is number {n}?,A{n}\n" for n in range(50_001)))
    with pytest.raises(BadInput, match="50,001 questions are too many"):
        questions.read(payload, "q.csv")
    found = questions.read(payload, "q.csv", HUNDRED)
    assert len(found.questions) == 100 == len({q.id for q in found.questions})
    assert found == questions.read(payload, "q.csv", HUNDRED) != questions.read(payload, "q.csv", HUNDRED, seed=1)


# Probes

LAYERS, WIDTH = INFO.n_layers, INFO.widths[0]
RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.gamma(2.0, 0.1, (80, LAYERS * WIDTH))
Y = (FEATURES[:, 5] + FEATURES[:, 20] - FEATURES[:, 40] + RANDOM.normal(0, 0.05, 80) > 0.2).astype(int)
FITTED = LogisticRegression(l1_ratio=1, C=5.0, solver="liblinear", random_state=42).fit(FEATURES, Y)


CHOSEN = np.flatnonzero(FITTED.coef_[0])
TABLE = b"layer,neuron,weight\n0,1,2.5\n"
LIST = b'{"neurons": [{"layer": 0, "neuron": 1, "weight": 2.5}], '
TWICE = b'{"neuron": "L0:N1", "weight": 1}, {"neuron": "L0:N1", "weight": 2}'


def logits(probe: Probe) -> np.ndarray:
    """Of every item by the probe's own weights."""
    columns = [one.neuron.layer * WIDTH + one.neuron.index for one in probe.neurons]
    return FEATURES[:, columns] @ np.array([one.weight for one in probe.neurons]) + probe.intercept


def as_npz(**given: np.ndarray) -> dict[str, bytes]:
    """`given` stands in place of what the classifier has."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **{"coef": FITTED.coef_, "intercept": FITTED.intercept_, **given})
    return {"detector.npz": packed.getvalue()}


def as_hprobes(**given: np.ndarray) -> dict[str, bytes]:
    """As that library saves: chosen features, standardised, layers that it looked at. `given` stands in place."""
    mean, scale = FEATURES[:, CHOSEN].mean(0), FEATURES[:, CHOSEN].std(0)
    tensors = {
        "clf_coef": (FITTED.coef_[:, CHOSEN] * scale),
        "clf_intercept": FITTED.intercept_ + FITTED.coef_[:, CHOSEN] @ mean,
        "top_k_idx": CHOSEN.astype(np.int64),
        "col_mean": mean,
        "col_std": scale,
        **given,
    }
    config = {"layers": list(range(LAYERS)), "intermediate_dim": WIDTH, "h_neurons": []}
    return {"p.json": json.dumps({"config": config}).encode(), "p.safetensors": save_safetensors(tensors)}


def as_npy() -> bytes:
    packed = io.BytesIO()
    np.save(packed, FITTED.coef_)
    return packed.getvalue()


def as_jhammant() -> dict[str, bytes]:
    weights = FITTED.coef_[0]
    rows = [
        {"global_idx": int(n), "layer": int(n // WIDTH), "position": int(n % WIDTH), "weight": float(weights[n])}
        for n in np.flatnonzero(weights)
    ]
    return {"h_neurons.json": json.dumps({"neurons": rows, "intercept": float(FITTED.intercept_[0])}).encode()}


def as_csv() -> dict[str, bytes]:
    weights = FITTED.coef_[0]
    rows = [f"{n // WIDTH},{n % WIDTH},{weights[n]!r}" for n in np.flatnonzero(weights)]
    text = "layer,neuron,weight\n" + "\n".join(rows) + f"\nintercept,,{FITTED.intercept_[0]!r}\n"
    return {"p.csv": text.replace("np.float64(", "").replace(")", "").encode()}


def as_spelled() -> dict[str, bytes]:
    """One column of spellings, the intercept first and a byte order mark before all."""
    weights = FITTED.coef_[0]
    rows = [f"L{n // WIDTH}/N{n % WIDTH},{float(weights[n])!r}" for n in np.flatnonzero(weights)]
    text = f"\ufeffintercept,{float(FITTED.intercept_[0])!r}\nneuron,weight\n" + "\n".join(rows)
    return {"p.csv": text.encode()}


@pytest.mark.parametrize("made", [as_npz, as_hprobes, as_jhammant, as_csv, as_spelled])
def test_a_foreign_probe_scores_the_same_items_the_same(made: Callable[[], dict[str, bytes]]) -> None:
    probe = probes.read(made(), "x", INFO)
    expected = FITTED.decision_function(FEATURES)
    assert np.allclose(logits(probe), expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    assert probe.imported and probe.report is None
    assert set(probe.h_neurons) == {
        NeuronId(int(n // WIDTH), int(n % WIDTH)) for n in np.flatnonzero(FITTED.coef_[0] > 0)
    }


@pytest.mark.parametrize(
    "table",
    [
        b"layer,neuron,weight,sd\n0,1,2.5,9\nintercept,,0.5,0.1\n",
        b"layer,weight,neuron\n0,2.5,1\nintercept,0.5,7\n",
        b"weight,layer,neuron\n2.5,0,1\nintercept,,0.5\n",
        b"intercept,0.5\nlayer,neuron,weight\n0,1,2.5\n",
    ],
)
def test_the_intercept_is_read_from_the_column_of_weights(table: bytes) -> None:
    probe = probes.read({"p.csv": table}, "x", INFO)
    assert (probe.intercept, [one.weight for one in probe.neurons]) == (0.5, [2.5])


def test_our_own_file_that_contradicts_itself_is_damaged() -> None:
    whole = probes.read(as_npz(), "x", INFO)
    for damaged, said in (
        (whole.model_copy(update={"model": INFO.model_copy(update={"widths": (1,) * LAYERS})}), "is not in this model"),
        (whole.model_copy(update={"neurons": ()}), "holds no neuron with a weight"),
    ):
        with pytest.raises(BadInput, match=said):
            probes.read({"x.json": damaged.model_dump_json().encode()}, "x", None)


def test_of_several_files_none_is_left_out_in_silence() -> None:
    with pytest.raises(BadInput, match="2 were given"):
        probes.read({**as_npz(), "p.csv": b"layer,neuron,weight\n0,1,2\n"}, "x", INFO)


def test_of_an_archive_only_what_a_classifier_has_is_opened() -> None:
    assert probes.read(as_npz(names=np.array(["a", "b"], object)), "x", INFO).neurons
    with pytest.raises(BadInput, match="p.npz cannot be read: it is not a NumPy file; write it again"):
        probes.read({"p.npz": b"coef,intercept"}, "x", INFO)


def test_hprobes_that_looked_at_every_second_layer() -> None:
    files = as_hprobes()
    config = json.loads(files["p.json"])
    config["config"]["layers"] = [0, 2, 4]
    probe = probes.read({**files, "p.json": json.dumps(config).encode()}, "x", None)
    plain = probes.read(files, "x", None)
    assert [2 * one.neuron.layer for one in plain.neurons] == [one.neuron.layer for one in probe.neurons]
    assert [one.neuron.index for one in plain.neurons] == [one.neuron.index for one in probe.neurons]


@pytest.mark.parametrize("kind", probes.FORMATS)
def test_what_is_written_is_read_back(kind: str) -> None:
    probe = probes.read(as_npz(), "x", INFO)
    files = {f"p{ending}": payload for ending, payload in probes.write(probe, kind).items()}
    again = probes.read(files, "x", INFO)
    assert again.h_neurons == probe.h_neurons and again.against == probe.against
    assert np.allclose(logits(again), logits(probe), rtol=0, atol=1e-12 * np.abs(logits(probe)).max())


def test_for_hprobes_weights_are_per_sd_where_each_is_known() -> None:
    plain = probes.read(as_npz(), "x", INFO)
    known = plain.model_copy(
        update={"neurons": tuple(one.model_copy(update={"sd": 0.5, "mean": 0.2}) for one in plain.neurons)}
    )
    written = probes.write(known, "hprobes")
    held = load_safetensors(written[".safetensors"])
    assert np.allclose(held["clf_coef"][0], [one.weight * 0.5 for one in known.neurons])
    again = probes.read({"p.json": written[".json"], "p.safetensors": written[".safetensors"]}, "x", None)
    assert np.allclose(logits(again), logits(plain), rtol=0, atol=1e-12 * np.abs(logits(plain)).max())
    ragged = known.model_copy(update={"model": INFO.model_copy(update={"widths": (3, 4)})})
    with pytest.raises(BadInput, match="its layers must have one width"):
        probes.write(ragged, "hprobes")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"detector.pkl": b"\x80\x04."}, "is a pickle"),
        ({"p.safetensors": b"x"}, "A part of the probe is missing"),
        ({"p.json": b'{"config": {}}', "p.safetensors": b"x"}, "not a probe of hprobes"),
        ({"p.npz": b"PK nothing"}, "cannot be read"),
        ({"p.npz": b""}, "p.npz cannot be read"),
        ({"p.npz": next(iter(as_npz().values()))[:-40]}, "p.npz cannot be read"),
        ({"p.npz": as_npy()}, "p.npz is no archive of arrays"),
        (as_npz(coef=FITTED.coef_ * (1 + 1j)), "coef of detector.npz holds no real numbers: they are complex128"),
        (as_npz(coef=FITTED.coef_ * np.nan), "coef of detector.npz has a number that is not finite"),
        (as_npz(coef=np.array(["1"])), "no real numbers"),
        (as_npz(intercept=np.array([])), "has no proper intercept: it holds 0 of them"),
        (as_npz(intercept=np.array([0.1, 0.2])), "has no proper intercept: it holds 2 of them"),
        (as_npz(intercept=np.array([np.inf])), "intercept of detector.npz has a number that is not finite"),
        (as_npz(widths=np.array(5)), "does not fit"),
        (as_npz(widths=np.array([-8, 8 + LAYERS * WIDTH])), "widths of detector.npz has a number that is not a count"),
        (as_npz(widths=np.array([0.5])), "widths of detector.npz has a number that is not a count"),
        (as_hprobes(top_k_idx=CHOSEN - CHOSEN.max() - 1), "top_k_idx of p.safetensors has a number that is not"),
        (as_hprobes(top_k_idx=np.full_like(CHOSEN, 7)), "L0:N7 stands in the probe twice"),
        (as_hprobes(top_k_idx=CHOSEN + LAYERS * WIDTH), "does not fit together: a feature is not among the"),
        (as_hprobes(col_mean=np.zeros(1)), "does not fit together: col_mean has 1 figures for"),
        (as_hprobes(col_std=np.full(len(CHOSEN), np.nan)), "col_std of p.safetensors has a number that is not finite"),
        (as_hprobes(clf_intercept=np.array([])), "has no proper intercept"),
        (as_hprobes(clf_intercept=np.array([np.inf])), "intercept of p.safetensors has a number that is not finite"),
        ({"p.json": b"[" * 10_000, "p.safetensors": b"x"}, "nested too deeply"),
        ({"p.json": b"[" * 10_000}, "nested too deeply"),
        ({"p.csv": TABLE + b"intercept,,0.1\nintercept,,0.2\n"}, "has no proper intercept"),
        ({"p.csv": TABLE + b"intercept,,nan\n"}, "p.csv is a damaged probe: intercept: "),
        ({"p.csv": TABLE + b"intercept,,-inf\n"}, "p.csv is a damaged probe: intercept: "),
        ({"p.csv": TABLE + b"intercept,," + b"9" * 400 + b"\n"}, "p.csv is a damaged probe: intercept: "),
        ({"p.json": LIST + b'"intercept": 1e999}'}, "p.json is a damaged probe: intercept: "),
        ({"p.json": LIST + b'"intercept": ' + b"9" * 400 + b"}"}, "p.json is a damaged probe: intercept: "),
        ({"p.json": LIST + b'"intercept": "0.5"}'}, "p.json has no proper intercept: '0.5' is no number"),
        ({"p.json": LIST + b'"intercept": true}'}, "p.json has no proper intercept: 'True' is no number"),
        ({"p.json": OURS + b'"intercept": true}'}, "p.json is a damaged probe: intercept: "),
        ({"p.json": OURS + b'"neurons": [{"neuron": "L0:N1", "weight": "2.5"}]}'}, "damaged probe"),
        ({"p.json": b'[{"layer": "0", "neuron": 1}]'}, "'0' is no whole number"),
        ({"p.json": b'[{"layer": 0.0, "neuron": 1}]'}, "0.0 is no whole number"),
        ({"p.json": b'[{"layer": true, "neuron": 1}]'}, "True is no whole number"),
        ({"p.json": b'[{"layer": 1e2, "neuron": 1}]'}, "100.0 is no whole number"),
        ({"p.json": b'[{"layer": 0, "neuron": 1, "weight": "2"}]'}, "'2' is no number"),
        ({"p.json": OURS + b'"intercept": 1e999}'}, "p.json is a damaged probe: intercept: "),
        ({"p.json": OURS + b'"neurons": [' + TWICE + b"]}"}, "L0:N1 stands in the probe twice"),
        ({"p.json": b'{"neurons": ["L0:N1", "L0:N2"], "weights": [2, -1]}'}, "each of 'weights' belongs to"),
        ({"p.csv": b"layer,neuron,weight\n1,2,nan\n"}, "not finite"),
        ({"p.csv": b"layer,neuron,weight\n1,2,0\n"}, "no neuron with a weight"),
        ({"p.json": OURS + b'"neurons": [{"neuron": "L0:N1", "weight": null}]}'}, "damaged probe"),
        ({"p.json": OURS + b'"neurons": [{"neuron": "L0:N1", "weight": NaN}]}'}, "damaged probe"),
        ({"p.json": OURS.replace(b"probe/1", b"probe/9") + b'"neurons": []}'}, "damaged probe"),
        ({"a.csv": b"", "b.csv": b""}, "These files are no probe"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_probe_that_cannot_be_read_says_why(files: dict[str, bytes], words: str) -> None:
    with pytest.raises((BadInput, BadNeurons), match=words):
        probes.read(files, "x", INFO)


@pytest.mark.parametrize("name", ["a b", "", "../a", "n" * 300, "a/b"])
def test_no_format_gives_a_probe_a_name_that_no_folder_has(name: str) -> None:
    ours = probes.write(probes.read(as_npz(), "x", INFO), "json")[".json"]
    for files in ({"p.json": ours}, {"p.csv": TABLE}, as_jhammant(), as_npz(), as_hprobes()):
        with pytest.raises(BadInput, match="cannot name a run or a probe: its folder is called so; use at most 64"):
            probes.read(files, name, INFO)
    assert probes.read({"p.json": ours}, "y", None).name == "y"


def test_an_expert_stays_in_every_format_that_can_hold_one_and_others_refuse() -> None:
    neurons = (
        ProbeNeuron(neuron=NeuronId(0, 3, 2), weight=1.5),
        ProbeNeuron(neuron=NeuronId(1, 3), weight=-0.1),
    )
    probe = Probe(name="x", intercept=0.25, neurons=neurons)
    for kind in ("json", "csv", "jhammant"):
        ((ending, payload),) = probes.write(probe, kind).items()
        again = probes.read({f"p{ending}": payload}, "x", None)
        assert (again.neurons, again.intercept) == (neurons, 0.25), kind
    for kind in ("npz", "hprobes"):
        with pytest.raises(BadInput, match="has no place for experts; write it as CSV"):
            probes.write(probe.model_copy(update={"model": INFO}), kind)


def test_a_classifier_of_one_layer_may_say_its_width_alone() -> None:
    assert len(probes.read(as_npz(widths=np.array(LAYERS * WIDTH)), "x", None).neurons) == len(CHOSEN)


def test_weights_that_fit_no_model() -> None:
    with pytest.raises(BadInput, match="no model was named"):
        probes.read(as_npz(), "x", None)
    with pytest.raises(BadInput, match="the model has 32 neurons"):
        probes.read(as_npz(), "x", INFO.model_copy(update={"widths": (16, 16)}))


# The authors' own data


@needs_shared
@pytest.mark.parametrize(
    ("part", "rows", "found", "whole", "untold", "quoted"),
    [("train", 2736, 2673, 2487, 57, 53), ("test", 2710, 2646, 2419, 62, 57)],
)
def test_official_spans_in_the_published_answers(
    part: str, rows: int, found: int, whole: int, untold: int, quoted: int
) -> None:
    """How many answers' tokens stand in the response as one run, and why the others do not.

    Most of those have no list of tokens at all: a quotation mark in the answer breaks the way in which the authors'
    code reads it. The rest lists tokens with gaps, as of an enumeration.
    """
    answers = thunlp.read_answers(SHARED / f"llama33_70b_triviaqa_answer_tokens_{part}.jsonl")
    spans = [thunlp.official_span(one.tokens, one.answer) for one in answers]
    assert len(answers) == rows and sum(span is not None for span in spans) == found
    assert sum(span == (0, len(one.tokens)) for one, span in zip(answers, spans, strict=True)) == whole
    missing = [one for one, span in zip(answers, spans, strict=True) if span is None]
    empty = [one for one in missing if not one.answer]
    assert len(empty) == untold and sum("'" in one.response or '"' in one.response for one in empty) == quoted
    assert all(set(one.answer) <= set(one.tokens) for one in missing)


@needs_shared
def test_other_readers_of_lines_break_the_published_answers() -> None:
    text = (SHARED / "llama33_70b_triviaqa_answer_tokens_train.jsonl").read_text("utf-8")
    assert len(text.splitlines()) == 2740 and len(text.rstrip("\n").split("\n")) == 2736


@needs_shared
def test_the_published_ids_are_all_answered_and_on_one_side() -> None:
    for part in ("train", "test"):
        ids = thunlp.read_ids(SHARED / f"llama33_70b_triviaqa_{part}_qids.json")
        answers = {one.id for one in thunlp.read_answers(SHARED / f"llama33_70b_triviaqa_answer_tokens_{part}.jsonl")}
        assert {side: len(set(held) & answers) for side, held in ids.items()} == {"right": 1000, "wrong": 1000}


def exported(ids: list[str], start: int = 0) -> list[thunlp.Exported]:
    """Items in the authors' layout, every second one wrong; features are of `FEATURES` from `start` on."""
    return [
        thunlp.Exported(
            thunlp.Tokenised(id, "Where?", "It\u2028is Cairo", ("It", "\u2028", "is", " Cairo"), (" Cairo",)),
            "wrong" if number % 2 else "right",
            FEATURES[start + number].reshape(LAYERS, WIDTH),
            FEATURES[start + 20 + number].reshape(LAYERS, WIDTH),
        )
        for number, id in enumerate(ids)
    ]


def test_features_in_the_authors_layout_are_read_back(tmp_path: Path) -> None:
    thunlp.write(tmp_path, {"train": exported([f"q{n}" for n in range(6)]), "test": exported(["r0", "r1"], 6)})
    ids = thunlp.read_ids(tmp_path / "train_qids.json")
    assert ids == {"right": ("q0", "q2", "q4"), "wrong": ("q1", "q3", "q5")}
    assert thunlp.read_ids(tmp_path / "test_qids.json") == {"right": ("r0",), "wrong": ("r1",)}
    answer, other, labels, shape = thunlp_features.read_both(ids, tmp_path)
    assert shape == (LAYERS, WIDTH) and labels.tolist() == [1, 1, 1, 0, 0, 0]
    order = np.array([1, 3, 5, 0, 2, 4])
    assert np.array_equal(answer, FEATURES[order].astype(np.float32))
    assert np.array_equal(other, FEATURES[20 + order].astype(np.float32))
    answers = thunlp.read_answers(tmp_path / "answer_tokens_train.jsonl")
    assert len(answers) == 6 and thunlp.official_span(answers[0].tokens, answers[0].answer) == (3, 4)
    assert [one.id for one in thunlp.read_answers(tmp_path / "answer_tokens_test.jsonl")] == ["r0", "r1"]


def test_an_id_stays_the_questions_own_where_a_file_can_have_it() -> None:
    given = ["tc_3", "author:Emma (1815)", "a/b", "a\\b", "../x", "Q", "q", "q", "n" * 300, "Ōe", "a\nb"]
    found = thunlp.file_ids(given)
    assert found[:2] == given[:2] and found[5:8] == ["Q", "q (2)", "q (3)"] and found[9] == "Ōe"
    assert len({one.casefold() for one in found}) == len(found)
    assert not any(mark in one for one in found for mark in "/\\\n") and max(map(len, found)) <= 220


@pytest.mark.parametrize(
    ("tokens", "answer", "span"),
    [
        (("a", "b", "a", "b"), ("a", "b"), (0, 2)),
        (("a", "b"), ("b", "a"), None),
        (("a",), (), None),
        ((), ("a",), None),
    ],
)
def test_the_official_span_is_the_first_run(
    tokens: tuple[str, ...], answer: tuple[str, ...], span: tuple[int, int] | None
) -> None:
    assert thunlp.official_span(tokens, answer) == span


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ('{"t": ["a"], "f": ["a"]}', "names an item twice: a is there 2 times, as right and wrong; leave each"),
        ('{"t": ["b", 5, "5"], "f": ["a"]}', "names an item twice: 5 is there 2 times, as right; leave each"),
        ('{"t": ["b"], "f": ["a", "a", "c", "c"]}', "a is there 2 times, as wrong, and so are 1 more"),
        ('{"t": "abc", "f": []}', "ids.json holds no ids: .*not a list of texts"),
        ('{"t": [["a"]], "f": []}', "ids.json holds no ids"),
        ('{"t": ["a"]}', "ids.json holds no ids"),
        ('{"t": ["a"]', "ids.json is broken JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_ids_that_would_leak_or_are_none_are_refused(ids: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "ids.json").write_text(ids)
    with pytest.raises(BadInput, match=words):
        thunlp.read_ids(tmp_path / "ids.json")


def test_an_answer_that_is_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    row = {"question": "Who?", "response": "A", "tokenized_response": ["A"], "answer_tokens": ["A"]}
    file.write_text("\n".join(json.dumps({key: row}) for key in ("a", "b")))
    assert [one.id for one in thunlp.read_answers(file)] == ["a", "b"]
    file.write_text("\n".join(json.dumps({key: row}) for key in ("a", "b", "a")))
    with pytest.raises(BadInput, match="answers.jsonl, line 3 answers a again"):
        thunlp.read_answers(file)
    file.write_text(json.dumps({"a": {**row, "answer_tokens": "A"}}))
    with pytest.raises(BadInput, match="answers.jsonl, line 1 is not an answer"):
        thunlp.read_answers(file)


def written(folder: Path) -> None:
    """Two items in the authors' layout."""
    with thunlp.created_folders(folder):
        thunlp.write(folder, {"train": exported(["a", "b"])})


def unready(folder: Path) -> None:
    with thunlp.created_folders(folder):
        pass


def test_a_place_that_cannot_be_written_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file, file / "inside", tmp_path / ("n" * 300)):
        for attempt in (written, unready):
            with pytest.raises(BadInput, match="cannot be written: .*; choose another place"):
                attempt(place)
    assert file.read_text() == "mine"
    written(tmp_path / "out")
    ids = thunlp.read_ids(tmp_path / "out" / "train_qids.json")
    assert thunlp_features.read_both(ids, tmp_path / "out")[2].tolist() == [1, 0]
    full_after = iter(range(3))
    save = np.save

    def full(*given: Any) -> None:
        if next(full_after) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*given)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(BadInput, match="new cannot be written: No space left on device"):
        written(tmp_path / "deep" / "new")
    assert not (tmp_path / "deep").exists(), "nothing is left of an export that failed"
    with pytest.raises(StopIteration):
        written(tmp_path / "out")
    assert not (tmp_path / "out" / "train_qids.json").exists(), "nothing is fitted on a mixture of two exports"

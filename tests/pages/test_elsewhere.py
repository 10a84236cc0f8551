"""A probe is tested on a person's own questions: chosen, asked, shown the worst first, and told on the card."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.charts import probe_neurons
from app.charts.probe_worth import scored
from app.identify import words as identify_words
from backend.errors import BadInput
from backend.types.identify import Question
from backend.types.names import ProbeRef
from backend.types.scoring import ScoreRequest, Scoring
from tests import fakes_probe
from tests.fakes_app import INFO, FakeClient
from tests.pages.test_identify import opened, words

ROWS = b"question,answer\n" + 119 * b"Who wrote it?,Ann\n"
PROBE = fakes_probe.probe("shipped", INFO)


def chosen(client: FakeClient, payload: bytes = ROWS) -> AppTest:
    app = opened(client, room="elsewhere")
    return app.file_uploader(key="elsewhere.file").set_value(("other.csv", payload, "text/csv")).run()


def asked(count: int = 90) -> ScoreRequest:
    questions = tuple(Question(id=f"q{n}", text=f"Who wrote {n}?", answers=("Ann",)) for n in range(count))
    return ScoreRequest(probe=ProbeRef(name="shipped", digest="0" * 64), questions=questions, source="quiz.csv")


def scoring(count: int = 90, **parts: float) -> Scoring:
    made = fakes_probe.scoring(asked(count), PROBE, INFO)
    changed = {name: fakes_probe.estimate(value, n=count) for name, value in parts.items()}
    return made.model_copy(update={"auroc": made.auroc.model_copy(update=changed)})


def test_a_probe_that_was_tested_nowhere_else_is_said_to_be_so() -> None:
    assert "Not tested elsewhere." in words(opened())
    app = opened(room="elsewhere")
    assert any(one.value == "Not tested elsewhere" for one in app.subheader)


def test_a_file_is_scored_and_the_figures_stand_there_and_on_the_card() -> None:
    client = FakeClient()
    app = chosen(client)
    assert "120 questions" in words(app)
    app.number_input(key="elsewhere.limit").set_value(90).run()
    app.button(key="elsewhere.start").click().run()
    (verb, request, _) = client.submitted[-1]
    assert verb == "score" and isinstance(request, ScoreRequest)
    assert (len(request.questions), request.limit, request.source, request.go_on) == (120, 90, "other.csv", False)
    assert request.probe.name == "shipped" and not request.probe.force
    app.run()
    assert not app.exception
    told = words(app)
    assert "as a set they point the wrong way" in told and "90 questions asked: 30 right, 60 wrong" in told
    assert app.button(key="elsewhere.start"), "more can be asked"
    card = opened(client)
    assert card.header[0].value == "4 neurons by themselves point the wrong way on other questions"
    assert "On other.csv (elsewhere, 90 answers) the H-neurons alone have AUROC 0.33 [0.28, 0.38]." in words(card)


def test_of_several_the_worst_comes_first_and_each_can_be_chosen() -> None:
    client = FakeClient(scorings=[scoring(positive=0.3), scoring(120, positive=0.7)])
    app = opened(client, room="elsewhere")
    box = next(one for one in app.selectbox if one.label == "Tested on (the worst first)")
    assert "0.300" in words(app)
    box.set_value(1).run()
    assert "0.700" in words(app)


@pytest.mark.parametrize(
    ("made", "heading"),
    [
        (scoring(positive=0.33), "point the wrong way on other questions"),
        (scoring(positive=0.52), "do not tell wrong answers from right ones on other questions"),
        (scoring(positive=0.8), "know something about when the model invents"),
        (scoring(30, positive=0.33), "know something about when the model invents"),
        (scoring(positive=0.33).model_copy(update={"forced": "other"}), "know something about when the model invents"),
    ],
)
def test_the_headline_is_the_worst_that_is_known_of_enough_answers(made: Scoring, heading: str) -> None:
    """Of ten right answers nothing is to be read, and of another model's nothing either."""
    assert identify_words.heading(PROBE, (made,)).endswith(heading)


def test_a_weaker_test_softens_no_headline_and_small_or_forced_ones_are_told_nowhere() -> None:
    wide = scoring().model_copy(
        update={"auroc": scoring().auroc.model_copy(update={"positive": fakes_probe.estimate(0.3, 0.25, n=90)})}
    )
    strong = scoring(positive=0.33)
    assert identify_words.heading(PROBE, (wide, strong)).endswith("point the wrong way on other questions")
    small, forced = scoring(6, positive=0.1), scoring(positive=0.2).model_copy(update={"forced": "Other-7B"})
    told = identify_words.worth(PROBE, (small, forced, strong))
    assert "0.33" in told and "0.10" not in told and "0.20" not in told
    assert "quiz.csv" not in identify_words.directions(PROBE, (small, forced))
    assert identify_words.worth(PROBE, (small,)).endswith("Tested elsewhere on too few answers only.")


@pytest.mark.parametrize(
    ("here", "said"), [(0.5, "0 of 4 H-neurons"), (0.4, "All 4 H-neurons point the wrong way"), (0.6, "4 of 4")]
)
def test_a_neuron_that_tells_nothing_is_not_said_to_point_the_wrong_way(here: float, said: str) -> None:
    made = scoring()
    same = made.model_copy(update={"neurons": tuple(one.model_copy(update={"here": here}) for one in made.neurons)})
    assert any(sentence.startswith(said) for sentence in same.sentences)


def test_an_imported_probe_without_h_neurons_tells_the_whole_probes_figure() -> None:
    made = scoring(probe=0.41)
    bare = made.model_copy(update={"auroc": made.auroc.model_copy(update={"positive": None})})
    assert "the probe has AUROC 0.41" in identify_words.worth(PROBE.model_copy(update={"report": None}), (bare,))


@pytest.mark.parametrize(
    ("payload", "said"), [(b"", "No file was read"), (b"words,answer\nWho?,A\n", "no column of questions")]
)
def test_a_file_without_a_question_that_can_be_judged_is_refused(payload: bytes, said: str) -> None:
    client = FakeClient()
    app = chosen(client, payload) if payload else opened(client, room="elsewhere")
    app.button(key="elsewhere.start").click().run()
    assert any(said in str(one.value) for one in app.error) and client.submitted == []


def test_a_refusal_of_the_engine_stands_under_the_form_and_nothing_is_lost() -> None:
    client = FakeClient()
    client.break_with = BadInput("None of the first 100 answers is right", "hard questions", "go on")
    app = chosen(client)
    app.button(key="elsewhere.start").click().run().run()
    assert any("None of the first 100 answers is right" in str(one.value) for one in app.error)
    client.break_with = None
    app.checkbox(key="elsewhere.go_on").check().run()
    app.button(key="elsewhere.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, ScoreRequest) and request.go_on and len(request.questions) == 120


def test_without_figures_the_counts_and_why_are_told() -> None:
    app = opened(FakeClient(scorings=[scoring(2)]), room="elsewhere")
    assert not app.exception and "nothing can be told apart" in words(app)


def test_without_a_probe_there_is_a_way_on() -> None:
    app = opened(FakeClient(shelf={}), room="elsewhere")
    assert "make or import one first" in words(app)


def test_the_card_counts_the_h_neurons_whose_direction_holds_where_it_was_tested() -> None:
    trained = sum((one.auroc or 0) > 0.5 for one in PROBE.of_sign(1))
    there = sum(one.here > 0.5 for one in scoring().of_sign(1))
    assert identify_words.directions(PROBE) == (
        f"Of 4 H-neurons, each taken alone, so many have a larger CETT in wrong answers: {trained} in the training "
        "answers."
    )
    judged = PROBE.model_copy(
        update={"neurons": tuple(one.model_copy(update={"held_out": 0.4}) for one in PROBE.neurons)}
    )
    told = identify_words.directions(judged, (scoring(), scoring(6)))
    assert told.endswith(f"{trained} in the training answers, 0 in those held out, {there} in quiz.csv (elsewhere).")
    assert f"{there} in quiz.csv (elsewhere)" in words(opened(FakeClient(scorings=[scoring()])))


def test_the_table_of_neurons_has_each_ones_auroc_where_it_is_known() -> None:
    assert "AUROC alone, elsewhere" not in probe_neurons.neurons_table(PROBE)
    table = probe_neurons.neurons_table(PROBE, (scoring(),)).set_index("neuron")
    for one in scoring().neurons:
        assert table["AUROC alone, elsewhere"][str(one.neuron)] == one.here


def test_the_headline_takes_the_weights_as_they_are_where_they_do_worse() -> None:
    card = PROBE.report
    assert card is not None
    worse = card.model_copy(update={"positive_as_is": fakes_probe.estimate(0.5)})
    assert identify_words.heading(PROBE.model_copy(update={"report": worse})).startswith(
        "4 neurons by themselves do not"
    )
    shown = {row.name: row.auroc for row in scored(PROBE.model_copy(update={"report": worse}))}
    assert shown["its 4 H-neurons, weights as they are"].value == 0.5 and "its 4 H-neurons, refitted" in shown

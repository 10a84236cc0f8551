"""Identify as a person meets it: the card, its rooms, a run begun, stopped and resumed, verdicts, probes from files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import unescape
from typing import Any
from unittest import mock

import pytest
import streamlit as st
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from app import session, shelf
from app.identify import form, runs, train
from app.identify.view import IdentifyView
from backend.errors import BackendUnavailable, BadInput, StoreError
from backend.identify.answers.items import MIN_SIDE
from backend.identify.questions.questions import shipped
from backend.types import IdentifyRequest, JobView, StageEvent
from backend.types.identify import Consistency, RegionRule, Sampling, Verdict
from backend.types.plan import Checks, LlmJudge, Plan, QuestionSource, RunView, Screening, Training
from backend.types.report import Baseline
from tests import fakes_probe, pages_run
from tests.fakes_app import INFO, FakeClient, FakeRuns
from tests.pages_run import change


def opened(client: FakeClient | None = None, /, **params: str) -> AppTest:
    """The page, run without an exception."""
    app = pages_run.opened("identify", client or FakeClient(), **params)
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All that stands on the page as text, as it is read."""
    return unescape(written(app))


def written(app: AppTest) -> str:
    """The same as it is written in Markdown."""
    kinds = (app.header, app.subheader, app.markdown, app.error, app.info, app.warning)
    return "\n".join(str(one.value) for kind in kinds for one in kind)


def test_the_card_says_what_was_found_and_what_it_is_worth() -> None:
    app = opened()
    assert app.header[0].value == "4 neurons by themselves know something about when the model invents"
    told = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert told["H-neurons in the probe"] == ("4", "of 46,080; 2 negative weights")
    assert told["Density of H-neurons"][0] == "0.09 ‰"
    assert told["AUROC, the whole probe"] == ("0.74", "95 % 0.69 to 0.79, n = 310")
    assert told["AUROC, H-neurons minus random"] == ("+0.08", "95 % 0.03 to 0.13, 2 draws")
    assert "Neuron L17:N412: an H-neuron" in words(app)
    assert "As good as the probe or better, without choosing neurons: all neurons, L2" in words(app)
    assert "it pushes the next token **towards** these (bars to the right)" in written(app), "what its bars show"


def test_the_card_is_that_of_the_probe_which_is_there_now_though_an_older_one_of_its_name_was_read() -> None:
    """Made anew within the same second, by this program or another."""
    client = FakeClient()
    app = opened(client)
    old = client.shelf["shipped"]
    assert old.report is not None
    better = old.report.scores.model_copy(update={"auroc": fakes_probe.estimate(0.91)})
    client.shelf["shipped"] = old.model_copy(
        update={"report": old.report.model_copy(update={"scores": better}), "intercept": 3.5}
    )
    with mock.patch.object(shelf, "SECONDS", -1.0):
        app.run()
    assert {metric.label: metric.value for metric in app.metric}["AUROC, the whole probe"] == "0.91"


@pytest.mark.parametrize(
    "part", ["Confounds", "C path", "Other decisions", "ROC, calibration", "Layers", "All neurons", "How it was made"]
)
def test_every_part_of_the_card_opens(part: str) -> None:
    app = opened()
    switch = next(one for one in app.button_group if one.key == "more-of-card")
    switch.set_value(part).run()
    assert not app.exception


def test_how_it_was_made_stands_in_the_page_s_own_text_colour_which_is_read_in_both_themes() -> None:
    app = opened()
    next(one for one in app.button_group if one.key == "more-of-card").set_value("How it was made").run()
    assert len(app.code) == 2 and {one.language for one in app.code} == {"plaintext"}
    assert not app.get("json"), "the colours of Streamlit's JSON reach 3.2:1 on white"


def test_a_probe_that_tells_nothing_is_called_so() -> None:
    client = FakeClient()
    probe = fakes_probe.probe("shipped", INFO)
    assert probe.report is not None
    card = probe.report.model_copy(update={"positive_only": fakes_probe.estimate(0.52)})
    client.shelf = {"shipped": probe.model_copy(update={"report": card})}
    assert opened(client).header[0].value == "4 neurons by themselves do not tell wrong answers from right ones"


@pytest.mark.parametrize(
    ("rival", "told"),
    [("these four together", "length and probability together do"), ("answer length", "answer length does")],
)
def test_a_probe_that_is_no_better_than_a_simple_score_is_called_so(rival: str, told: str) -> None:
    client = FakeClient()
    probe = fakes_probe.probe("shipped", INFO)
    assert probe.report is not None
    better = Baseline(name=rival, auroc=fakes_probe.estimate(0.9))
    client.shelf["shipped"] = probe.model_copy(
        update={"report": probe.report.model_copy(update={"baselines": (*probe.report.baselines, better)})}
    )
    heading = unescape(opened(client).header[0].value)
    assert heading == f"4 neurons by themselves tell wrong answers from right ones no better than {told}"


def test_a_link_names_probe_room_and_neuron() -> None:
    client = FakeClient()
    client.shelf["mine"] = fakes_probe.probe("mine", INFO)
    app = opened(client, probe="mine", card="L11:N940")
    assert "Neuron L11:N940: speaks for a right answer" in words(app)
    assert next(one for one in app.selectbox if one.label == "Probe").value == "mine"
    assert "Two probes side by side" in words(opened(client, room="probes"))


def test_text_of_questions_and_answers_is_no_markup() -> None:
    app = opened()
    assert "<b>Emma</b>" in next(one for one in app.selectbox if one.label == "Answer").options[0]
    assert "<b>Emma</b>" not in written(app)


def test_without_a_probe_the_page_says_what_to_do() -> None:
    client = FakeClient()
    client.shelf = {}
    app = opened(client)
    assert app.header[0].value == "No probe for this model yet"
    assert "**Train** makes one" in words(app)


def test_the_mark_of_a_forced_probe_stays() -> None:
    client = FakeClient()
    client.shelf = {"shipped": fakes_probe.probe("shipped", INFO).model_copy(update={"forced": "other-model"})}
    assert "Made for another model, but used on other" in words(opened(client))


def started(client: FakeClient, name: str = "mine") -> AppTest:
    app = opened(client, room="train")
    app.text_input(key="train.name").set_value(name)
    app.button(key="train.start").click().run()
    assert not app.exception
    return app


def test_a_run_is_started_watched_stopped_and_resumed() -> None:
    client = FakeClient(pace=1000.0)
    app = started(client)
    verb, request, _ = client.submitted[-1]
    assert verb == "identify" and isinstance(request, IdentifyRequest) and request.name == "mine"
    assert request.plan.screening is not None and request.plan.screening.at_most == 300
    app.button(key="stop-mine").click().run()
    assert client.stopped == ["job-1"]
    app.run()
    app.button(key="resume-mine").click().run()
    again = client.submitted[-1][1]
    assert isinstance(again, IdentifyRequest) and len(client.submitted) == 2
    assert (again.name, again.plan) == (request.name, request.plan)


def test_a_finished_run_opens_its_card() -> None:
    client = FakeClient()
    app = started(client)
    client.shelf["mine"] = fakes_probe.probe("mine", INFO)
    app.run()
    app.button(key="open-mine").click().run()
    assert app.header[0].value.startswith("4 neurons by themselves know")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "nul"])
def test_a_run_without_a_proper_name_is_refused(name: str) -> None:
    client = FakeClient()
    app = started(client, name)
    assert not client.submitted
    assert (f"'{name}' cannot name a run" if name else "The run has no name") in words(app)
    assert app.text_input(key="train.name").value == name


def test_a_run_is_not_begun_under_the_name_of_a_probe() -> None:
    client = FakeClient()
    app = started(client, "shipped")
    assert "There is already a probe shipped" in words(app) and not client.submitted


def test_of_an_own_file_at_most_so_many_questions_are_asked_and_the_page_says_how_many() -> None:
    client = FakeClient()
    app = opened(client, room="train")
    app.text_input(key="train.name").set_value("mine")
    app.button_group(key="train.source").set_value("My file").run()
    assert "Every question of the file is answered greedily, at most 300 of them also by sampling" in words(app)
    app.file_uploader(key="train.file").set_value(("q.csv", b"question,answer\n" + 499 * b"Who?,A\n", "text/csv")).run()
    assert "All 500 questions that were read are answered greedily" in words(app) and "half an hour" not in words(app)
    assert "Left out" not in words(app)
    app.number_input(key="train.limit").set_value(20).run()
    assert "All 20 questions that were read are answered greedily" in words(app)
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and len(request.questions) == 20
    assert request.plan.source == QuestionSource(file="q.csv", per_relation=None, limit=20)


def test_rows_of_an_own_file_that_are_no_questions_are_told() -> None:
    app = opened(FakeClient(), room="train")
    app.button_group(key="train.source").set_value("My file").run()
    payload = b"question,answer\n" + 9 * b"Who?,A\n" + 2 * b",\n"
    app.file_uploader(key="train.file").set_value(("q.csv", payload, "text/csv")).run()
    assert "Left out of 12 rows: 2 without a question or an answer." in words(app)


def test_a_filter_that_cannot_be_met_is_refused() -> None:
    client = FakeClient()
    app = opened(client, room="train")
    app.text_input(key="train.name").set_value("mine")
    app.number_input(key="train.samples").set_value(4)
    app.button(key="train.start").click().run()
    assert "Only 4 samples are drawn" in words(app) and not client.submitted


def test_verdicts_are_shown_and_a_run_made_again() -> None:
    client = FakeClient()
    started(client)
    app = opened(client, room="answers")
    assert "What the model answered, and how it was judged" in words(app)
    assert "3 answers shown, 0 of them decided by a person." in words(app)
    app.number_input(key="answers.page").set_value(2).run()
    assert "No answer in this part has such a verdict." in words(app), "the next part begins where this one ends"
    app.button(key="answers.again").click().run()
    assert len(client.submitted) == 2


def edit(app: AppTest, **cells: str | None) -> AppTest:
    """Type into the first row of the table, as the browser tells it: the editor's state, and a run."""
    table = app.data_editor[0]
    states = app._tree.get_widget_states()
    state = states.widgets.add()
    state.id = table.proto.id
    typed = {name.replace("_", " "): value for name, value in cells.items()}
    state.string_value = json.dumps({"edited_rows": {"0": typed}, "added_rows": [], "deleted_rows": []})
    app._run(states)
    assert not app.exception
    assert app.data_editor[0].proto.id != table.proto.id, "the browser forgets an edit that was taken"
    return app


class Marking(FakeClient):
    """Counts what is kept; words that are emptied, or stand there in other letters, are found by the rules again."""

    told = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runs = MarkingRuns(self)


@dataclass
class MarkingRuns(FakeRuns):
    fake: Marking

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        self.fake.told += 1
        if words and words.casefold() in response.casefold():
            self.fake.words[question] = words.casefold()
        elif words:
            super().mark_words(name, question, response, words)

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        self.fake.told += 1
        super().overrule(name, question, response, verdict)


@pytest.mark.parametrize(
    ("typed", "shown"), [(None, "*0*"), ("", "*0*"), ("IT IS", "it is"), ("*0*", "*0*"), ("elsewhere", "elsewhere")]
)
def test_what_is_typed_into_the_table_is_kept_once_and_the_page_comes_to_rest(typed: str | None, shown: str) -> None:
    client = Marking()
    started(client)
    app = edit(opened(client, room="answers"), words_that_answer=typed)
    assert client.told == 1 and app.data_editor[0].value["words that answer"][0] == shown
    app.run()
    assert client.told == 1
    edit(app, verdict="right")
    assert client.told == 2 and client.verdicts == {"q0": "right"}


def test_words_that_do_not_stand_in_the_answer_stay_as_typed_with_the_reason_until_they_are_mended() -> None:
    client = Marking()
    started(client)
    app = edit(opened(client, room="answers"), words_that_answer="elsewhere", verdict="uncertain")
    assert "'elsewhere' is not in the answer" in words(app)
    assert client.verdicts == {"q0": "uncertain"}, "what stands beside it is kept"
    edit(app, words_that_answer="It is")
    assert app.data_editor[0].value["words that answer"][0] == "it is"
    assert "is not in the answer" not in words(app) and "3 answers shown, 1 of them decided" in words(app)


def test_a_judge_is_named_in_the_plan_and_its_agreement_stands_in_the_card() -> None:
    client = FakeClient()
    app = opened(client, room="train")
    app.text_input(key="train.name").set_value("mine")
    app.text_input(key="train.judge").set_value(" some-llm ")
    app.button_group(key="train.judging").set_value("compares").run()
    app.button(key="train.start").click().run()
    plan = next(request.plan for _, request, _ in client.submitted if isinstance(request, IdentifyRequest))
    assert plan.judge == LlmJudge(model="some-llm", decides=False, words=False)
    app = opened(FakeClient())
    app.button_group(key="more-of-card").set_value("How it was made").run()
    assert "The rules and some-llm gave 93 % of 2,000 answers the same verdict" in words(app)


def test_the_words_that_answer_are_an_llm_s_only_where_it_is_asked_for_them() -> None:
    client = FakeClient()
    app = opened(client, room="train")
    app.text_input(key="train.name").set_value("mine")
    app.text_input(key="train.judge").set_value("some-llm")
    app.toggle(key="train.judge_words").set_value(True)
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and request.plan.judge == LlmJudge(model="some-llm", words=True)


def test_the_longest_answer_and_a_fixed_c_are_settings() -> None:
    client = FakeClient()
    app = opened(client, room="train")
    app.text_input(key="train.name").set_value("mine")
    app.number_input(key="train.max_new_tokens").set_value(50)
    app.button_group(key="train.choice").set_value("fixed").run()
    app.number_input(key="train.c").set_value(2.5)
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest)
    assert request.plan.sampling.max_new_tokens == 50
    assert (request.plan.training.choice, request.plan.training.c) == ("fixed", 2.5)


def test_two_probes_are_compared() -> None:
    client = FakeClient()
    other = fakes_probe.probe("mine", INFO)
    client.shelf["mine"] = other.model_copy(update={"neurons": other.neurons[2:]})
    app = opened(client, room="probes")
    assert "Of 4 H-neurons in either probe, 3 are in both" in words(app)


def test_a_probe_that_was_judged_stands_before_one_that_was_not() -> None:
    client = FakeClient()
    own = fakes_probe.probe("unjudged", INFO).model_copy(update={"report": None, "imported": "theirs.csv"})
    client.shelf = {"unjudged": own, **client.shelf}
    assert next(one for one in opened(client).selectbox if one.label == "Probe").value == "shipped"
    assert next(one for one in opened(client, probe="unjudged").selectbox if one.label == "Probe").value == "unjudged"


def test_a_file_gives_a_probe_its_name() -> None:
    app = opened(FakeClient(), room="probes")
    app.file_uploader(key="import.files").set_value(("my own (2).csv", b"layer,neuron,weight", "text/csv")).run()
    assert not app.exception and app.text_input(key="import.name").value == "my-own-2"


def test_a_list_of_a_model_that_is_not_loaded_is_taken_where_that_model_is_named() -> None:
    client = FakeClient()
    app = opened(client, room="probes")
    app.file_uploader(key="import.files").set_value(("theirs.csv", b"layer,neuron,weight", "text/csv")).run()
    app.text_input(key="import.model").set_value(" SmolLM2-360M-Instruct ").run()
    app.button(key="import.go").click().run()
    assert client.meant == "SmolLM2-360M-Instruct" and "theirs" in client.shelf


def test_the_page_watches_a_model_that_loads_and_shows_the_tokens_when_it_is_there() -> None:
    client = FakeClient(state="loading")
    assert "is loading" in words(opened(client))
    assert "is loading" in words(opened(client, room="train"))
    client.state = "ready"
    assert "To see its tokens" not in words(opened(client))


@pytest.mark.parametrize("size", form.SIZES.values(), ids=form.SIZES)
def test_a_size_says_how_many_questions_it_asks(size: form.Size) -> None:
    asked = len(shipped(per_relation=size.per_relation))
    assert f"About {size.asked:,} questions" in size.words and size.asked == pytest.approx(asked, rel=0.01)


def test_the_form_keeps_what_was_typed_while_the_report_card_is_looked_at() -> None:
    app = opened(FakeClient(), room="train")
    app.text_input(key="train.name").set_value("mine")
    app.number_input(key="train.samples").set_value(7).run()
    app.button_group(key="room-train").set_value("report").run()
    assert "Train on this model" not in words(app)
    app.button(key="go-train").click().run()
    assert not app.exception
    assert app.text_input(key="train.name").value == "mine" and app.number_input(key="train.samples").value == 7


def test_what_a_run_needs_and_how_long_it_takes_stand_before_start() -> None:
    assert train.LEAST == MIN_SIDE
    app = opened(FakeClient(), room="train")
    assert "**Needed:** 10 right and 10 wrong answers" in words(app)
    assert (
        "right if at least 5 of 10 samples are right, and as wrong if at least 9 of 10 are wrong. Its greedy answer "
        "must agree."
    ) in words(app)
    assert "no run has measured this model here" in words(app)
    client = Standing(speed=(0.2, 2.0))
    started(client)
    assert "**Time:** 5 min to 15 min for the answers to 1,500 questions" in words(opened(client, room="train"))


class Standing(FakeClient):
    """Whose runs stand as they are told to."""

    def __init__(self, **fields: object) -> None:
        super().__init__(pace=1000.0)
        self.runs = StandingRuns(self, fields)


@dataclass
class StandingRuns(FakeRuns):
    fields: dict[str, object]

    def list(self) -> tuple[RunView, ...]:
        found = {run.name: run.model_copy(update=self.fields) for run in super().list()}
        return tuple(found.values())

    def stop(self, name: str) -> bool:
        self.fields["waits"] = False
        return True


def test_a_run_that_was_started_is_seen_under_the_button_at_once() -> None:
    app = started(FakeClient(pace=1000.0))
    assert "**mine** " in written(app) and "is under way" in words(app)
    assert app.button(key="stop-startedmine").label == "Stop"


def test_a_run_that_was_stopped_is_not_said_to_be_under_way() -> None:
    client = FakeClient(pace=1000.0)
    app = started(client)
    app.button(key="stop-startedmine").click().run()
    app.run()
    assert "**mine** " in written(app) and "is no longer running" in words(app)
    assert "is under way" not in words(app)


def test_a_failed_run_keeps_its_reason_over_a_reload_and_is_changed_with_its_own_settings() -> None:
    error = BadInput("6 right and 6 wrong answers are too few", "10 are needed", "widen the run").to_json()
    client = Standing(job=None, done=False, error=error)
    first = opened(client, room="train")
    first.text_input(key="train.name").set_value("mine")
    first.number_input(key="train.temperature").set_value(0.5)
    first.button(key="train.start").click().run()
    app = opened(client, room="train")
    assert "6 right and 6 wrong answers are too few" in words(app), "in a session that did not begin it"
    app.button(key="change-mine").click().run()
    assert "Changing **mine**: its 9,000 questions" in words(app)
    assert app.number_input(key="train.temperature").value == 0.5
    app.number_input(key="train.samples").set_value(20).run()
    app.button(key="train.start").click().run()
    assert not app.exception
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and request.name == "mine" and request.answers_of is None
    assert (request.plan.sampling.samples, request.plan.sampling.temperature) == (20, 0.5)
    assert request.plan.source == QuestionSource(per_relation=form.SIZES["A look"].per_relation), "its own questions"
    app.text_input(key="train.name").set_value("other")
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and (request.name, request.answers_of) == ("other", "mine")


def test_the_run_that_is_changed_stands_in_the_address_so_that_a_reload_keeps_it_and_back_leaves_it() -> None:
    client = Standing(job=None, done=False)
    first = opened(client, room="train")
    first.text_input(key="train.name").set_value("mine")
    first.number_input(key="train.temperature").set_value(0.5)
    first.button(key="train.start").click().run()
    app = opened(client, room="train", form='{"name":"next"}')
    app.button(key="change-mine").click().run()
    assert address(app) == {"room": "train", "changing": "mine"}
    again = opened(client, **address(app))
    assert "Changing **mine**" in words(again) and again.number_input(key="train.temperature").value == 0.5
    again.number_input(key="train.samples").set_value(20).run()
    edited = opened(client, **address(again))
    assert "Changing **mine**" in words(edited) and edited.number_input(key="train.samples").value == 20
    assert edited.number_input(key="train.temperature").value == 0.5
    assert edited.text_input(key="train.name").value == "mine"
    edited.number_input(key="train.top_p").set_value(0.0).run()
    edited.number_input(key="train.top_k").set_value(7).run()
    wrong = opened(client, **address(edited))
    assert wrong.number_input(key="train.top_k").value == 7, "though another field holds what no plan may"
    assert wrong.number_input(key="train.top_p").value == 0.9
    edited.button(key="train.leave").click().run()
    assert address(edited) == {"room": "train"} and edited.number_input(key="train.samples").value == 10
    del app.query_params["changing"]
    app.query_params["form"] = '{"name":"next"}'
    with mock.patch.object(session, "went_back", lambda: True):
        app.run()
    assert "Changing" not in words(app) and app.text_input(key="train.name").value == "next"
    assert app.number_input(key="train.temperature").value == 1.0
    app.button(key="change-mine").click().run()
    app.button(key="delete-mine").click().run()
    app.button(key="delete-yes").click().run()
    assert "Changing" not in words(app) and "changing" not in address(app), "nothing is left to be changed"
    gone = opened(client, room="train", changing="other")
    assert not gone.exception and "There is no run other here" in words(gone) and "changing" not in gone.query_params


def changing(client: Standing) -> AppTest:
    """The form with a run that was begun at another temperature than a fresh form's."""
    first = opened(client, room="train")
    first.text_input(key="train.name").set_value("mine")
    first.number_input(key="train.temperature").set_value(0.5)
    first.button(key="train.start").click().run()
    app = opened(client, room="train")
    app.button(key="change-mine").click().run()
    assert "Changing **mine**" in words(app) and app.number_input(key="train.temperature").value == 0.5
    return app


def test_the_fields_of_a_run_to_be_changed_are_filled_though_another_run_of_the_page_ends_the_first_early() -> None:
    app = changing(Standing(job=None, done=False))
    app.button(key="train.leave").click().run()
    is_drawn, ended = form._is_drawn, []

    def ends_while_it_fills(name: str) -> bool:
        if form._PUT in st.session_state:
            ended.append(name)
            raise StopException
        return is_drawn(name)

    with mock.patch.object(form, "_is_drawn", ends_while_it_fills):
        app.button(key="change-mine").click().run()
    assert ended
    app.run()
    assert "Changing **mine**" in words(app) and app.number_input(key="train.temperature").value == 0.5


def test_deleting_is_asked_about_though_another_run_of_the_page_ends_the_first_early() -> None:
    app = changing(Standing(job=None, done=False))
    with mock.patch.object(runs, "ask_delete", side_effect=StopException):
        app.button(key="delete-mine").click().run()
    assert "delete-yes" not in {button.key for button in app.button}
    app.run()
    assert "delete-yes" in {button.key for button in app.button}
    app.run()
    assert "delete-yes" not in {button.key for button in app.button}, "and is asked once"


def test_a_changed_run_whose_form_became_a_fresh_one_is_not_again_as_it_was_begun_after_a_reload() -> None:
    client = Standing(job=None, done=False)
    app = changing(client)
    app.text_input(key="train.name").set_value("")
    app.button_group(key="train.source").set_value("Those that ship")
    app.button_group(key="train.size").set_value("A look")
    app.number_input(key="train.temperature").set_value(1.0).run()
    again = opened(client, **address(app))
    assert "Changing **mine**" in words(again) and address(again) == address(app)
    assert again.number_input(key="train.temperature").value == 1.0 and again.text_input(key="train.name").value == ""
    assert again.button_group(key="train.source").value == "Those that ship"
    again.number_input(key="train.temperature").set_value(0.5)
    again.text_input(key="train.name").set_value("mine")
    for name in ("source", "size"):
        again.button_group(key=f"train.{name}").set_value("As begun")
    again.run()
    assert address(again) == {"room": "train", "changing": "mine"}, "as it was begun"


def test_a_run_that_is_being_changed_and_is_to_be_changed_once_more_says_so_and_keeps_what_was_typed() -> None:
    app = changing(Standing(job=None, done=False))
    app.number_input(key="train.samples").set_value(20).run()
    app.button(key="change-mine").click().run()
    assert app.number_input(key="train.samples").value == 20 and app.number_input(key="train.temperature").value == 0.5
    assert "mine is being changed already" in words(app)
    app.run()
    assert "is being changed already" not in words(app)


@pytest.mark.parametrize("press", [False, True])
def test_a_run_that_was_deleted_elsewhere_while_it_was_changed_leaves_what_was_typed(press: bool) -> None:
    client = Standing(job=None, done=False)
    app = changing(client)
    app.number_input(key="train.samples").set_value(20).run()
    client.runs.delete("mine")
    app.number_input(key="train.top_k").set_value(7)
    before = len(client.submitted)
    if press:
        app.button(key="train.start").click()
    app.run()
    told = words(app)
    assert not app.exception and "Changing" not in told and "changing" not in address(app)
    assert "The run mine was deleted while it was being changed. What you typed stays in the form." in told
    shown = {name: app.number_input(key=f"train.{name}").value for name in ("samples", "top_k", "temperature")}
    assert shown == {"samples": 20, "top_k": 7, "temperature": 0.5}
    assert app.text_input(key="train.name").value == "mine"
    assert app.button_group(key="train.source").value == "Those that ship"
    assert ("There is no run mine any more" in told) == press and len(client.submitted) == before, "not another run"
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and (request.name, request.plan.sampling.top_k) == ("mine", 7)


def test_an_untouched_form_of_a_run_that_was_deleted_is_a_fresh_one() -> None:
    client = Standing(job=None, done=False)
    app = changing(client)
    app.button(key="delete-mine").click().run()
    app.button(key="delete-yes").click().run()
    assert "The run mine was deleted while it was being changed." in words(app) and "you typed" not in words(app)
    assert app.number_input(key="train.temperature").value == 1.0 and address(app) == {"room": "train"}


def test_a_run_that_is_gone_when_the_list_of_runs_is_drawn_again_is_told_of_without_a_press(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Standing(job=None, done=False)
    app = changing(client)
    said = form.time_words

    def meanwhile(*asked: Any) -> str:
        client.runs.delete("mine")
        return said(*asked)

    monkeypatch.setattr(form, "time_words", meanwhile)
    app.run()
    assert not app.exception and "The run mine was deleted while it was being changed." in words(app)
    assert "Changing" not in words(app)


def test_a_run_that_cannot_be_asked_for_at_the_moment_is_changed_once_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Standing(job=None, done=False)
    started(client)
    link = {"room": "train", "changing": "mine", "form": '{"name":"mine","source":"As begun","size":"As begun"}'}
    listed = client.runs.list
    away = BackendUnavailable("The service does not answer", "it is being started", "wait a moment")
    monkeypatch.setattr(client.runs, "list", mock.Mock(side_effect=away))
    app = opened(client, **link)
    assert "The service does not answer" in words(app) and address(app) == link
    monkeypatch.setattr(client.runs, "list", listed)
    app.run()
    assert "Changing **mine**" in words(app) and address(app)["changing"] == "mine"
    assert "does not answer" not in words(app)


def test_a_job_that_has_ended_is_not_asked_for_again() -> None:
    client = FakeClient(pace=1000.0)
    app = started(client)
    app.button(key="stop-startedmine").click().run()
    app.run()
    with mock.patch.object(client.jobs, "view", wraps=client.jobs.view) as asked:
        app.run()
        app.run()
    assert "is no longer running" in words(app) and not asked.called


def test_of_a_run_that_is_changed_all_stays_that_the_form_does_not_show() -> None:
    begun = Plan(
        source=QuestionSource(per_relation=7, limit=2**60),
        sampling=Sampling(temperature=0.01, top_p=0.001, seed=3),
        screening=Screening(at_most=None),
        filter=Consistency(right=4, wrong=8, uncertain=1),
        rule=RegionRule(other="response"),
        training=Training(standardise=True, choice="fixed", c=1e-6, folds=4, held_out=6, cs=(0.1, 1.0)),
        checks=Checks(refits=3, permutations=10),
        judge=LlmJudge(model=" other ", at_once=2),
        seed=5,
    )
    client = Standing(job=None, done=False, plan=begun)
    started(client)
    app = opened(client, room="train", changing="mine")
    app.button(key="train.start").click().run()
    assert not app.exception and not app.error
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and request.plan == begun
    app.number_input(key="train.samples").set_value(11).run()
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest)
    assert dict(request.plan) == {**dict(begun), "sampling": Sampling(**{**dict(begun.sampling), "samples": 11})}


def test_a_field_that_is_not_drawn_keeps_what_was_typed_or_begun_with() -> None:
    app = opened(FakeClient(), room="train")
    app.selectbox(key="train.filter").set_value("my own numbers").run()
    app.number_input(key="train.right").set_value(8).run()
    app.selectbox(key="train.filter").set_value("greedy alone").run()
    assert '"right":8' in address(app)["form"]
    app.selectbox(key="train.filter").set_value("my own numbers").run()
    assert app.number_input(key="train.right").value == 8
    begun = Plan(
        sampling=Sampling(samples=11), filter=Consistency(right=11, wrong=1), training=Training(choice="fixed", c=0.25)
    )
    client = Standing(job=None, done=False, plan=begun)
    started(client)
    app = opened(client, room="train")
    app.button(key="change-mine").click().run()
    for room in ("report", "train"):
        change(app, IdentifyView, room=room)
        app.run()
    app.button(key="train.start").click().run()
    request = client.submitted[-1][1]
    assert isinstance(request, IdentifyRequest) and request.plan == begun


def test_a_run_that_was_broken_off_and_one_with_too_little_to_expect_say_so() -> None:
    client = Standing(job=None, done=False, waits=True)
    started(client)
    assert "It continues by itself when Fake-135M-Instruct is loaded" in words(opened(client, room="train"))
    client = Standing(outlook="Of the first 60 answers 2 were right: about 6 right.", short=True)
    started(client)
    assert "Of the first 60 answers 2 were right" in "".join(
        str(one.value) for one in opened(client, room="train").warning
    )


def test_a_run_that_waits_without_a_job_has_a_stop_and_is_then_stopped() -> None:
    client = Standing(job=None, done=False, waits=True)
    started(client)
    app = opened(client, room="train")
    assert app.button(key="stop-mine").label == "Stop"
    app.button(key="stop-mine").click().run()
    assert not app.exception and "It continues by itself" not in words(app)
    assert "stop-mine" not in {button.key for button in app.button}
    assert app.button(key="resume-mine").label == "Resume"


def test_why_a_run_that_waits_cannot_be_stopped_is_told() -> None:
    client = Standing(job=None, done=False, waits=True)
    started(client)
    app = opened(client, room="train")

    def refuse(name: str) -> None:
        raise StoreError(f"The run {name} is being worked on", "another program has its folder open", "stop it there")

    with mock.patch.object(client.runs, "stop", refuse):
        app.button(key="stop-mine").click().run()
    assert "The run mine is being worked on" in "".join(str(one.value) for one in app.error)


def test_a_run_whose_model_was_taken_away_says_so_and_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(pace=1000.0)
    started(client)
    look = client.jobs.view

    def interrupted(job: str, after: int = 0, wait: float = 0.0) -> JobView:
        stages = (StageEvent(stage="drawing answers: 30 of 60", fraction=0.5), StageEvent(stage="waiting until"))
        return look(job).model_copy(
            update={"state": "queued", "position": 0, "events": stages, "waits_for": "Fake-135M-Instruct"}
        )

    monkeypatch.setattr(client.jobs, "view", interrupted)
    app = opened(client, room="train")
    (bar, *_) = app.get("progress")
    assert "Interrupted: another model was loaded" in unescape(bar.proto.text)
    assert "continues by itself when Fake-135M-Instruct is loaded again" in unescape(bar.proto.text)
    begun = started(client, "other")
    assert "waits for its model" in words(begun) and "is under way" not in words(begun)
    assert bar.proto.value == 50, "how far it was stays"


def test_a_run_is_deleted_only_when_it_was_asked_for_twice() -> None:
    client = Standing(job=None, done=False)
    started(client)
    app = opened(client, room="train")
    app.button(key="delete-mine").click().run()
    assert client.runs.list() and "This cannot be undone" in words(app)
    app.button(key="delete-yes").click().run()
    assert not app.exception and not client.runs.list()


def test_a_link_to_a_probe_or_neuron_that_is_not_there_says_what_stands_instead() -> None:
    told = words(opened(probe="gone", card="L1:N1"))
    assert "There is no probe gone here: shipped is used instead" in told
    assert "L1:N1 is not a neuron of shipped. L17:N412, which changes its score most, is shown instead." in told
    assert "not a neuron of" not in words(opened()) and "There is no probe" not in words(opened())


def address(app: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}


def test_what_stands_in_the_form_of_a_run_outlives_a_reload_and_back_takes_a_step_of_it_back() -> None:
    app = opened(room="train")
    assert address(app) == {"room": "train"}, "an untouched form says nothing"
    app.text_input(key="train.name").set_value("mine").run()
    first = address(app)
    app.selectbox(key="train.filter").set_value("my own numbers").run()
    app.number_input(key="train.right").set_value(7).run()
    again = opened(**address(app))
    assert again.text_input(key="train.name").value == "mine" and again.number_input(key="train.right").value == 7
    app.query_params.clear()
    for key, value in first.items():
        app.query_params[key] = value
    with mock.patch.object(session, "went_back", lambda: True):
        app.run()
    assert app.text_input(key="train.name").value == "mine"
    assert app.selectbox(key="train.filter").value != "my own numbers"


@pytest.mark.parametrize(
    "form",
    [
        r'{"name": "\ud800"}',
        r'{"\ud800": 1}',
        "{",
        "[]",
        "7",
        '{"samples": 0}',
        '{"filter": "x"}',
        '{"top_p": 1e999}',
        '{"c": -1}',
        '{"nosuch": 1}',
    ],
)
def test_a_form_that_a_link_cannot_say_is_left_out_and_told_of(form: str) -> None:
    app = opened(room="train", form=form)
    assert "It was left out" in words(app) and app.text_input(key="train.name").value == ""

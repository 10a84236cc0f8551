"""Compare as a person meets it: the example, a run, Stop, an error, hostile text, links and switches."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import unescape
from unittest import mock

import pytest
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from app import rooms, session
from app.compare import rows
from app.compare.view import SETTINGS, CompareView
from backend.errors import BadNeurons, ZeroOutput
from backend.neurons import NeuronId
from backend.types import (
    CompareRequest,
    Comparison,
    Decoding,
    DiffPart,
    ExploreRequest,
    JobView,
    OwnAlpha,
    result_key,
)
from backend.types.names import ProbeRef
from tests import comparisons, fakes_app, fakes_probe, pages_run
from tests.fakes_app import INFO, FakeClient, FakeJobs

EXAMPLE = "With 3 neurons off, the answer changes at ·Elon; the random twin's does not"
PROBE = fakes_probe.probe("shipped", INFO)
HOSTILE = "<script>alert(1)</script> **bold** [x](javascript:alert(1)) $x^2$ :red[y] \u202e\x07"


class Answering(FakeClient):
    """A client whose comparisons are made by `answer`."""

    def __init__(self, answer: Callable[[CompareRequest], Comparison], pace: float = 0.0) -> None:
        super().__init__(pace=pace)
        self.jobs = AnsweringJobs(self, answer)


@dataclass
class AnsweringJobs(FakeJobs):
    answer: Callable[[CompareRequest], Comparison]

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        held = self.fake.begun.get(job)
        if held is not None and isinstance(held.request, CompareRequest):
            self.fake.kept.setdefault(result_key(held.request, INFO.fingerprint), self.answer(held.request))
        return super().view(job, after, wait)


opened = partial(pages_run.opened, "compare")


def heading(app: AppTest) -> str:
    """The page's heading as a reader sees it."""
    import html

    return html.unescape(app.header[0].value)


def asked(client: FakeClient) -> list[CompareRequest]:
    """The comparisons that were submitted."""
    return [request for _, request, _ in client.submitted if isinstance(request, CompareRequest)]


def htmls(app: AppTest) -> list[str]:
    """Every piece of HTML that the page wrote."""
    return [element.proto.body for element in app.get("html")]


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def test_the_first_visit_shows_a_finished_example_and_asks_nothing() -> None:
    client = FakeClient()
    app = opened(client)
    assert not app.exception
    assert heading(app) == EXAMPLE
    assert app.text_input(key="compare.prompt").value == "Who is the CEO of Nortel?"
    assert not asked(client)
    assert any("A single example is an anecdote" in one.value for one in app.markdown)


def test_settings_of_a_link_that_asks_nothing_give_way_to_the_examples_with_a_word() -> None:
    said = "neither a question nor neurons"
    given = (
        ("controls", "20"),
        ("alphas", "0,2"),
        ("max_new_tokens", "7"),
        ("system", "Be."),
        ("chat", "0"),
        ("against", "1"),
    )
    for link in ({key: text} for key, text in given):
        app = opened(FakeClient(), **link)
        assert heading(app) == EXAMPLE and any(said in one.value for one in app.info)
    assert not any(said in one.value for one in opened(FakeClient()).info)


def test_alphas_of_their_own_choose_the_neurons_of_a_link_or_are_told_of() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who?", own="L1:N1=0.5,L2:N3=2.0")
    assert not app.exception and asked(client)[-1].own == (
        OwnAlpha(neuron=NeuronId(1, 1), alpha=0.5), OwnAlpha(neuron=NeuronId(2, 3), alpha=2.0),
    )  # fmt: skip
    app = opened(FakeClient(), prompt="Who?", own="L1:N1=0.5,L2:N3=2.0", neurons="L2:N3")
    assert any("an alpha for L1:N1, but does not choose it" in unescape(one.value) for one in app.info)


def test_a_neuron_that_a_link_gives_two_alphas_has_none_of_them_and_is_told_of() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who?", own="L1:N1=0.5,L2:N3=2.0,L2:N3=0.5,L1:N1=0.5")
    assert not app.exception and asked(client)[-1].own == (
        OwnAlpha(neuron=NeuronId(1, 1), alpha=0.5), OwnAlpha(neuron=NeuronId(2, 3), alpha=0.0),
    )  # fmt: skip
    (note,) = (unescape(one.value) for one in app.info if "two alphas" in one.value)
    assert "The link gives L2:N3 two alphas" in note and "set to Suppress" in note
    client = FakeClient()
    app = opened(client, prompt="Who?", own="L1:N1=0.5,L1:N1=2.0", alphas="2.0")
    assert asked(client)[-1].alphas == (0.0, 2.0) and asked(client)[-1].neurons.ids == (NeuronId(1, 1),)


def test_another_question_than_the_examples_gets_an_answer_of_the_usual_length() -> None:
    client = FakeClient()
    app = opened(client)
    app.text_input(key="compare.prompt").set_value("What is the capital of Egypt?")
    press(app, "compare.run")
    assert asked(client)[-1].prompt == "What is the capital of Egypt?"
    assert asked(client)[-1].decoding == Decoding()


def test_without_an_example_the_page_says_what_is_missing_and_still_works() -> None:
    app = opened(FakeClient(no_example=True))
    assert not app.exception and len(app.error) == 1
    assert "not installed" in app.error[0].value


def test_a_flip_runs_the_request_that_the_switches_stand_for() -> None:
    client = FakeClient()
    app = opened(client)
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert not app.exception
    (request,) = asked(client)
    assert {own.neuron: own.alpha for own in request.own} == {
        NeuronId(17, 98): 2.0, NeuronId(17, 412): 0.0, NeuronId(17, 1033): 0.0,
    }  # fmt: skip
    assert "at their own α" in heading(app)
    app.button_group(key="switch.L17:N98").set_value("Normal").run()
    assert [str(n) for n in asked(client)[-1].neurons] == ["L17:N412", "L17:N1033"] and not asked(client)[-1].own


def test_where_flips_do_not_run_the_old_answer_is_named_as_old_until_run_is_pressed() -> None:
    client = FakeClient()
    app = opened(client)
    app.toggle(key="compare.flip").set_value(False).run()
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert not asked(client) and any("other settings of the switches" in one.value for one in app.info)
    press(app, "compare.run")
    assert len(asked(client)) == 1 and not any("other settings of the switches" in one.value for one in app.info)


def test_a_press_of_run_is_not_lost_where_another_run_of_the_page_ends_its_own_early() -> None:
    """As Streamlit ends one: by a `StopException` at the next thing that the page draws or looks up."""
    client = FakeClient()
    app = opened(client)
    with mock.patch.object(rows, "unscored", side_effect=StopException):
        press(app, "compare.run")
    assert not asked(client)
    app.run()
    assert len(asked(client)) == 1
    app.run()
    assert len(asked(client)) == 1, "and is asked once"


def test_own_alpha_has_a_field_and_only_then() -> None:
    client = FakeClient()
    app = opened(client)
    field = "switch.alpha.L17:N98"
    assert field not in {one.key for one in app.number_input}
    app.button_group(key="switch.L17:N98").set_value("Own α").run()
    app.number_input(key=field).set_value(1.5).run()
    assert {own.alpha for own in asked(client)[-1].own} == {0.0, 1.5}


def test_run_asks_what_is_typed_and_the_known_answer_marks_every_column() -> None:
    client = FakeClient()
    app = opened(client)
    app.text_input(key="compare.prompt").set_value("Who leads Nortel?").run()
    assert not asked(client)
    app.text_input(key="compare.known").set_value("elon musk | Zafirovski").run()
    press(app, "compare.run")
    assert asked(client)[-1].prompt == "Who leads Nortel?"
    badges = [one.value for one in app.markdown if "-badge[" in one.value]
    assert sum("Right" in badge for badge in badges) == 2
    assert sum("Uncertain" in badge for badge in badges) == 1, "it is not known to me"


def test_without_a_known_answer_nothing_is_marked_and_a_person_may_mark() -> None:
    app = opened(FakeClient())
    assert not [one for one in app.markdown if "-badge[" in one.value]
    mark = next(one for one in app.button_group if one.key and one.key.startswith("mark-1-"))
    mark.set_value("Right").run()
    assert [one.value for one in app.markdown if "-badge[" in one.value and "Right" in one.value]
    again = next(one for one in app.button_group if one.key and one.key.startswith("mark-1-"))
    again.set_value("By the rule").run()
    assert not [one for one in app.markdown if "-badge[" in one.value]


def address(app: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}


def test_a_question_of_one_s_own_is_not_cut_as_the_example_is_also_after_a_flip() -> None:
    client = FakeClient()
    app = opened(client)
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    short = asked(client)[-1].decoding.max_new_tokens
    app.text_input(key="compare.prompt").set_value("Who leads Nortel?").run()
    press(app, "compare.run")
    assert asked(client)[-1].decoding.max_new_tokens == Decoding().max_new_tokens != short


def test_a_question_of_one_s_own_is_not_cut_after_the_examples_link_was_opened_again() -> None:
    """A reload opens the example by its link, which names its few tokens."""
    client = FakeClient()
    example = client.results.example("compare")
    assert isinstance(example, Comparison)
    asks = example.request
    link = {
        "prompt": asks.prompt,
        "neurons": ",".join(map(str, asks.neurons)),
        "max_new_tokens": str(asks.decoding.max_new_tokens),
    }
    again = opened(client, **link)
    again.text_input(key="compare.prompt").set_value("Who leads Nortel?").run()
    press(again, "compare.run")
    assert asked(client)[-1].prompt == "Who leads Nortel?"
    assert asked(client)[-1].decoding.max_new_tokens == Decoding().max_new_tokens
    chosen = opened(client, **{**link, "prompt": "Who else?"})
    chosen.text_input(key="compare.prompt").set_value("Who leads Nokia?").run()
    press(chosen, "compare.run")
    assert asked(client)[-1].decoding.max_new_tokens == int(link["max_new_tokens"]), "a length that was chosen stays"


def badges(app: AppTest) -> list[str]:
    return [str(one.value) for one in app.markdown if "-badge[" in one.value]


def test_the_known_answer_of_another_question_marks_nothing_until_it_is_said_to_hold() -> None:
    app = opened(FakeClient())
    app.text_input(key="compare.known").set_value("elon musk").run()
    assert len(badges(app)) == 3
    app.text_input(key="compare.prompt").set_value("Who wrote Hamlet?").run()
    press(app, "compare.run")
    assert not badges(app), "no answer is wrong for want of another question's answer"
    assert any("written for “Who is the CEO of Nortel?”" in html.unescape(one.value) for one in app.markdown)
    assert app.text_input(key="compare.known").value == "elon musk", "nothing typed is lost"
    assert address(app)["known_of"] == "Who is the CEO of Nortel?", "nor does a reload forget whose it is"
    press(app, "compare.known-too")
    assert len(badges(app)) == 3 and "known_of" not in app.query_params


def test_a_known_answer_typed_for_the_question_in_the_box_does_not_judge_the_answers_to_another() -> None:
    app = opened(FakeClient())
    app.text_input(key="compare.prompt").set_value("Who wrote Hamlet?").run()
    app.text_input(key="compare.known").set_value("elon musk").run()
    assert not badges(app)
    press(app, "compare.run")
    assert len(badges(app)) == 3


def test_a_question_put_on_another_page_is_not_judged_by_the_known_answer_of_the_one_before() -> None:
    params = {
        "prompt": "Who wrote Hamlet?",
        "neurons": "L17:N98",
        "known": "elon musk",
        "known_of": "Who leads Nortel?",
    }
    assert not badges(opened(FakeClient(), **params))
    assert len(badges(opened(FakeClient(), **{**params, "known_of": ""}))) == 3


def test_a_question_of_a_known_answer_that_the_link_does_not_have_is_told_of() -> None:
    asks = {"prompt": "Who wrote Hamlet?", "neurons": "L17:N98", "known_of": "Who leads Nortel?"}
    app = opened(FakeClient(), **asks)
    said = "names “Who leads Nortel?” as the question of a known answer, but has no known answer"
    assert any(said in unescape(one.value) for one in app.info) and "known_of" not in address(app)
    app = opened(FakeClient(), **asks, known="elon musk")
    assert not any("known answer, but" in one.value for one in app.info)


def test_marks_of_a_link_that_belong_to_another_comparison_are_told_of() -> None:
    asks = {"prompt": "Who leads Nortel?", "neurons": "L17:N98"}
    client = FakeClient()
    app = opened(client, **asks)
    next(one for one in app.button_group if one.key and one.key.startswith("mark-1-")).set_value("Wrong").run()
    said = "marks were made on another comparison"
    assert not any(said in one.value for one in opened(client, **address(app)).info)
    app = opened(client, **asks, marks="1f0c9a7be2d4:1=wrong")
    assert not badges(app) and any(said in one.value for one in app.info)


def test_marks_made_by_hand_outlive_a_reload_and_belong_to_their_comparison_alone() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who leads Nortel?", neurons="L17:N98")
    mark = next(one for one in app.button_group if one.key and one.key.startswith("mark-1-"))
    mark.set_value("Wrong").run()
    assert address(app)["marks"].endswith(":1=wrong")
    again = opened(client, **address(app))
    assert [one for one in badges(again) if "Wrong" in one] == badges(again) != []
    other = opened(client, **{**address(app), "neurons": "L17:N412"})
    assert not badges(other) and "marks" not in other.query_params


def test_a_flip_after_a_mark_is_one_step_of_the_address() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who leads Nortel?", neurons="L17:N98,L17:N412")
    mark = next(one for one in app.button_group if one.key and one.key.startswith("mark-1-"))
    mark.set_value("Wrong").run()
    marked = len(app.session_state["address_written"])
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    app.run()
    assert len(app.session_state["address_written"]) - marked <= 1 and "marks" not in address(app)
    app.button_group(key="switch.L17:N98").set_value("Suppress").run()
    assert address(app)["marks"].endswith(":1=wrong"), "the marks of each comparison are kept"


@pytest.mark.parametrize(
    "spelled", ["x", "0123456789ab:1=great", "0123456789ab:", "0123456789ab:1", "0123456789ab:-1=right"]
)
def test_marks_that_cannot_be_read_are_told_of_and_left_out(spelled: str) -> None:
    app = opened(FakeClient(), marks=spelled)
    assert any("marks" in one.value and "left out" in one.value for one in app.info)


def test_stop_ends_the_run_and_keeps_everything_that_was_set() -> None:
    client = FakeClient(pace=1000.0)
    app = opened(client)
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert heading(app) != EXAMPLE, "the figures of an older request must not stand beside a running one"
    press(app, "stop:compare")
    assert client.stopped == ["job-" + str([v for v, _, _ in client.submitted].index("compare") + 1)]
    assert any("stopped" in one.value for one in app.info)
    assert app.button_group(key="switch.L17:N98").value == "Amplify"
    assert len(asked(client)) == 1, "a stopped run must not start again by itself"


def test_the_answers_before_stay_pale_while_a_flip_is_answered_and_the_heading_does_not_speak_of_them() -> None:
    client = FakeClient()
    app = opened(client)
    press(app, "compare.run")
    before = [one for one in htmls(app) if "CEO" in one]
    client.pace = 1000.0
    app.button_group(key="switch.L17:N412").set_value("Amplify").run()
    assert asked(client)[-1].own and "Stop" in {one.label for one in app.button}
    assert heading(app) == "What changes when neurons are switched?"
    assert "Earlier answers, to “Who is the CEO of Nortel?”" in html.unescape(
        " ".join(one.value for one in app.markdown)
    )
    assert before and set(before) <= set(htmls(app)), "the old columns with their answers"
    pale = [one for one in htmls(app) if "opacity: 0.45" in one and "pointer-events: none" in one]
    assert {key for key in ("answers", "cost", "figures") if any(f"before-{key}" in one for one in pale)} == {
        "answers", "cost", "figures",
    }  # fmt: skip
    assert not any(one.key and one.key.startswith("mark-") for one in app.button_group), "nothing in them can be set"


def test_a_row_without_a_twin_says_so_on_the_page() -> None:
    # A batch has no room for so many twins of both rows: the switches' own row has them.
    asks = {"prompt": "Who?", "neurons": "L17:N412", "alphas": "0.0,0.5", "controls": "20", "kinds": "layer,free"}
    app = opened(Answering(comparisons.comparison), **asks)
    said = " ".join(one.value for one in app.markdown)
    assert not app.exception and said.count("No random twin was run at this α.") == 1 and "random twins differ" in said


def test_old_columns_are_not_squeezed_into_the_places_of_new_containers() -> None:
    app = opened(FakeClient(pace=1000.0))
    before = pages_run.columns_by_place(app)
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    during = pages_run.columns_by_place(app)
    assert any(before.values()) and any(one.key == "stop:compare" for one in app.button)
    assert {place: before[place] for place in before.keys() & during.keys() if before[place] != during[place]} == {}


def test_columns_stream_all_at_once_while_the_run_goes_on() -> None:
    client = Answering(comparisons.comparison, pace=0.02)
    app = opened(client)
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    for _ in range(200):
        if sum("The" in one for one in htmls(app)) >= 3 and client.begun:
            break
        app.run()
    assert sum('class="answer"' in one for one in htmls(app)) == 3


def test_an_error_keeps_the_question_and_the_switches_and_says_the_remedy() -> None:
    client = FakeClient()
    app = opened(client)
    client.break_with = ZeroOutput("CETT is undefined", "the layer wrote nothing", "ask another question")
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert "Ask another question" in app.error[0].value
    assert app.text_input(key="compare.prompt").value == "Who is the CEO of Nortel?"
    assert app.button_group(key="switch.L17:N98").value == "Amplify"
    assert len(asked(client)) == 1, "a failed run must not be tried again by itself"
    client.break_with = None
    press(app, "compare.run")
    assert not app.error and "at their own α" in heading(app)


def test_a_refused_submit_is_shown_and_the_next_run_works() -> None:
    client = FakeClient()
    app = opened(client)
    client.refuse = BadNeurons("L99:N1 is not in this model", "it has layers 0 to 29", "choose another")
    press(app, "compare.run")
    assert "layers 0 to 29" in app.error[0].value.replace("&#46;", ".")
    client.refuse = None
    press(app, "compare.run")
    assert not app.error


def test_all_switches_at_normal_are_refused_in_words_and_nothing_runs() -> None:
    client = FakeClient()
    app = opened(client)
    app.toggle(key="compare.flip").set_value(False).run()
    for neuron in ("L17:N98", "L17:N412", "L17:N1033"):
        app.button_group(key=f"switch.{neuron}").set_value("Normal").run()
    assert not asked(client) and any("set to Normal" in one.value for one in app.error)
    press(app, "compare.off")
    assert not app.error
    assert app.button_group(key="switch.L17:N98").value == "Suppress"


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 19_999, "🦊 שלום \u202e", HOSTILE])
def test_any_prompt_is_answered_or_refused_and_stays_as_typed(prompt: str) -> None:
    client = FakeClient()
    app = opened(client)
    app.text_input(key="compare.prompt").set_value(prompt).run()
    press(app, "compare.run")
    assert not app.exception
    assert app.text_input(key="compare.prompt").value == prompt
    assert bool(app.error) == (not prompt.strip())


def hostile(request: CompareRequest) -> Comparison:
    """A comparison whose answers and tokens are all markup."""
    result = comparisons.comparison(request)
    rows = tuple(
        row.model_copy(update={"text": HOSTILE, "diff": (DiffPart(text=HOSTILE, same=row.arm == "baseline"),)})
        for row in result.rows
    )
    return result.model_copy(update={"rows": rows})


def test_what_a_model_wrote_is_data_and_never_markup() -> None:
    app = opened(Answering(hostile))
    press(app, "compare.run")
    assert not app.exception
    answers = [one for one in htmls(app) if 'class="answer"' in one]
    assert len(answers) == 3
    for body in answers:
        assert "<script" not in body and "&lt;script&gt;" in body and "\u202e" not in body and "\x07" not in body
    assert not [one for one in app.markdown if "<script" in one.value or "](javascript" in one.value]


def test_half_and_double_are_further_columns_and_the_twin_stays() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.button_group(key="compare.beside").set_value(["Half", "Random twin"]).run()
    assert asked(client)[-1].alphas == (0.0, 0.5) and asked(client)[-1].controls == 1
    assert sum('class="answer"' in one for one in htmls(app)) == 4
    count = len(asked(client))
    app.button_group(key="compare.beside").set_value([]).run()
    assert any("no random twin was run" in one.value for one in app.markdown)
    assert len(asked(client)) == count, "columns taken away are not computed anew"


def written(app: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}


def test_the_column_double_survives_a_reload_while_the_switches_stand_at_amplify() -> None:
    app = opened(Answering(comparisons.comparison))
    for neuron in ("L17:N98", "L17:N412", "L17:N1033"):
        app.button_group(key=f"switch.{neuron}").set_value("Amplify").run()
    app.button_group(key="compare.beside").set_value(["Double", "Random twin"]).run()
    again = opened(Answering(comparisons.comparison), **written(app))
    assert again.button_group(key="compare.beside").value == ["Double", "Random twin"]
    assert again.button_group(key="switch.L17:N98").value == "Amplify"


BESIDE = ("Half", "Double", "Triple", "Negative weights", "Random twin")


@pytest.mark.parametrize("choice", ["Suppress", "Normal", "Amplify", "Own α"])
@pytest.mark.parametrize("beside", [(), *((name,) for name in BESIDE), ("Half", "Double", "Triple"), BESIDE])
def test_switches_and_columns_come_back_from_the_address(choice: str, beside: tuple[str, ...]) -> None:
    app = opened(Answering(comparisons.comparison))
    app.toggle(key="compare.flip").set_value(False).run()
    app.button_group(key="compare.beside").set_value(list(beside)).run()
    for neuron in ("L17:N98", "L17:N412"):
        app.button_group(key=f"switch.{neuron}").set_value(choice).run()
    again = opened(Answering(comparisons.comparison), **written(app))
    assert set(again.button_group(key="compare.beside").value or ()) == set(beside)
    alphas = {own.neuron: own.alpha for own in pages_run.view(again, CompareView).draft.own}
    assert alphas == {own.neuron: own.alpha for own in pages_run.view(app, CompareView).draft.own}
    assert again.toggle(key="compare.flip").value is False
    assert written(again) == written(app)


def test_what_the_figures_show_is_in_the_address() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.button_group(key="compare.beside").set_value(["Half", "Random twin"]).run()
    app.button_group(key="compare.split_row").set_value("Half").run()
    app.button_group(key="compare.moved_row").set_value("Random twin").run()
    app.button_group(key="compare.score").set_value("sum").run()
    app.toggle(key="compare.template").set_value(True).run()
    again = opened(client, **written(app)).run()
    assert again.button_group(key="compare.split_row").value == "Half"
    assert again.button_group(key="compare.moved_row").value == "Random twin"
    assert again.button_group(key="compare.score").value == "sum" and again.toggle(key="compare.template").value


def test_the_heading_is_about_the_switches_that_were_flipped_and_not_about_a_column_beside_them() -> None:
    app = opened(Answering(comparisons.comparison))
    app.button_group(key="compare.beside").set_value(["Half", "Random twin"]).run()
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert "3 neurons at their own α" in heading(app) and "no random twin" not in heading(app)
    words = html.unescape(" ".join(one.value for one in app.markdown))
    assert "α = 0: L17:N412, L17:N1033; α = 2: L17:N98" in words
    assert "Its random twin gives the baseline’s answer." in words, "of the column Half"


def test_a_flip_asks_what_the_box_says_and_an_emptied_box_says_what_is_asked() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.text_input(key="compare.prompt").set_value("Who leads Nortel?").run()
    assert "The box holds another question" in app.info[0].value
    app.button_group(key="switch.L17:N98").set_value("Amplify").run()
    assert asked(client)[-1].prompt == app.text_input(key="compare.prompt").value == "Who leads Nortel?"
    app.text_input(key="compare.prompt").set_value(" ").run()
    app.button_group(key="switch.L17:N98").set_value("Normal").run()
    assert asked(client)[-1].prompt == app.text_input(key="compare.prompt").value == "Who leads Nortel?"


def test_a_question_typed_on_explore_and_not_run_does_not_stand_in_compares_box() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client, prompt="Who leads Nortel?", neurons="L3:N5", draft="Half a quest")
    assert asked(client)[-1].prompt == app.text_input(key="compare.prompt").value == "Who leads Nortel?"


@pytest.mark.parametrize(("answer", "longest"), [(None, 9), ("Me.", 7)])
def test_neurons_chosen_on_explore_are_asked_what_was_asked_there_and_a_given_answer_says_not_how_to_decode(
    answer: str | None, longest: int
) -> None:
    decoding = Decoding(max_new_tokens=9) if answer is None else Decoding()
    explored = fakes_app.exploration(ExploreRequest(prompt="Who leads Nortel?", answer=answer, decoding=decoding))
    client = Answering(comparisons.comparison)
    app = AppTest.from_file(str(rooms.file("compare")), default_timeout=pages_run.PATIENCE)
    app.session_state["client"], app.session_state["result:explore"] = client, ("0" * 64, explored)
    app.query_params["neurons"], app.query_params["max_new_tokens"] = "L3:N5", "7"
    app.run()
    assert not app.exception
    assert (asked(client)[-1].prompt, asked(client)[-1].decoding.max_new_tokens) == ("Who leads Nortel?", longest)


def test_a_flip_asks_for_the_new_rows_alone_and_keeps_the_others() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.text_input(key="compare.prompt").set_value("Who leads Nortel?").run()
    press(app, "compare.run")
    app.button_group(key="compare.beside").set_value(["Half", "Random twin"]).run()
    assert asked(client)[-1].alphas == (0.5,) and asked(client)[-1].control_arms == (0,)
    assert sum('class="answer"' in one for one in htmls(app)) == 4
    assert any("batches with the same baseline" in one.value for one in app.markdown)
    assert any("Computed in an earlier batch" in one.value for one in app.markdown)


def test_a_preset_chooses_the_h_neurons_sets_their_switches_and_puts_a_twin_beside() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.button_group(key="compare.beside").set_value([]).run()
    press(app, "preset-half")
    last = asked(client)[-1]
    assert last.neurons == PROBE.h_neurons and last.alphas == (0.5,) and last.controls == 1
    press(app, "preset-triple")
    assert asked(client)[-1].alphas == (3.0,) and not app.exception
    assert heading(app).startswith("With 4 neurons tripled")


def test_the_foremost_of_the_probe_are_chosen_by_a_ranking() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.button_group(key="preset.set").set_value("foremost").run()
    app.number_input(key="preset.count").set_value(2).run()
    app.selectbox(key="preset.by").set_value("weight").run()
    press(app, "preset-off")
    assert asked(client)[-1].neurons == PROBE.top(2, "weight") and asked(client)[-1].alphas == (0.0,)
    app.button_group(key="preset.set").set_value("negative").run()
    press(app, "preset-double")
    assert asked(client)[-1].neurons == PROBE.against and asked(client)[-1].alphas == (2.0,)


def test_negative_weights_stand_beside_as_a_further_arm_and_go_into_the_link() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client)
    app.button_group(key="compare.beside").set_value(["Negative weights", "Random twin"]).run()
    assert asked(client)[-1].against == PROBE.against and asked(client)[-1].control_arms == (0, 1)
    link = {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}
    assert link["against"] == "1"
    again = Answering(comparisons.comparison)
    opened(again, **link).run()
    assert asked(again)[-1].against == PROBE.against


def test_each_answer_has_the_score_that_came_with_it_and_nothing_is_asked_for() -> None:
    client = FakeClient()
    app = opened(client)
    assert {verb for verb, _, _ in client.submitted} <= {"lens"}, "the example brings its scores"
    told = html.unescape(" ".join(one.value for one in app.markdown))
    assert "were wrong, n = 310" in client.score.brief
    assert told.count(f"Score of the probe “shipped”: {client.score.brief}.") == 3
    press(app, "preset-off")
    named = asked(client)[-1].probe
    assert named is not None and named.name == "shipped" and named.digest == client.probes.list()[0].digest
    told = html.unescape(" ".join(one.value for one in app.markdown))
    assert told.count(f"Score of the probe “shipped”: {client.score.brief}.") >= 2
    assert all(not isinstance(one, ExploreRequest) for _, one, _ in client.submitted)


def test_a_probe_made_anew_asks_for_no_other_answers_and_the_next_run_is_scored_by_it() -> None:
    client = FakeClient()
    app = opened(client)
    press(app, "preset-off")
    count = len(client.submitted)
    client.shelf["shipped"] = PROBE.model_copy(update={"intercept": 0.25})
    app.session_state["probes"] = None
    app.run()
    assert len(client.submitted) == count and "other settings of the switches" not in " ".join(
        one.value for one in app.info
    )
    press(app, "compare.run")
    assert len(client.submitted) == count + 1
    assert asked(client)[-1].probe == ProbeRef(name="shipped", digest=client.probes.list()[0].digest)


def test_a_neuron_s_name_opens_its_card_with_what_the_probe_knows() -> None:
    app = opened(FakeClient())
    press(app, "open.L17:N412")
    told = html.unescape(" ".join(one.value for one in (*app.markdown, *app.subheader)))
    assert not app.exception and "In the probe “shipped”: an H-neuron" in told
    assert any(one.key == "card-whole-L17:N412" for one in app.button)
    press(app, "open.L17:N98")
    told = html.unescape(" ".join(one.value for one in app.markdown))
    assert "It has no weight in the probe in use." in told
    assert not any(one.key == "card-whole-L17:N98" for one in app.button)


def test_without_a_probe_there_are_no_presets_and_no_further_arm() -> None:
    client = Answering(comparisons.comparison)
    client.shelf = {}
    app = opened(client)
    assert not any(one.key == "preset-off" for one in app.button)
    assert "Negative weights" not in app.button_group(key="compare.beside").options
    app = opened(client, prompt="Who?", neurons="L3:N5", against="1").run()
    assert not app.exception and not asked(client)[-1].against


def test_identical_answers_are_said_to_be_identical() -> None:
    app = opened(Answering(lambda request: comparisons.comparison(request, picked=comparisons.BASE)))
    press(app, "compare.run")
    assert heading(app) == "With 3 neurons off, the answer stays the same; so does the random twin's"
    assert sum("Identical to the baseline" in one.value for one in app.markdown) == 2
    assert any("there is no split" in one.value for one in app.markdown)


def test_a_copied_link_opens_the_same_view_and_asks_for_it_once() -> None:
    first = opened(FakeClient())
    first.button_group(key="switch.L17:N98").set_value("Normal").run()
    first.button_group(key="compare.beside").set_value(["Double", "Random twin"]).run()
    address = {key: one if isinstance(one, str) else one[0] for key, one in first.query_params.items()}
    client = FakeClient()
    app = opened(client, **address)
    assert not app.exception
    assert app.button_group(key="switch.L17:N98").value == "Normal"
    assert app.button_group(key="switch.L17:N412").value == "Suppress"
    assert set(app.button_group(key="compare.beside").value or ()) == {"Double", "Random twin"}
    assert len(asked(client)) == 1
    assert [str(n) for n in asked(client)[0].neurons] == ["L17:N412", "L17:N1033"]
    assert asked(client)[0].alphas == (0.0, 2.0)


def test_many_neurons_have_one_switch_for_the_set() -> None:
    client = FakeClient()
    app = opened(client, prompt="Q?", neurons=",".join(f"L1:N{i}" for i in range(20)))
    switches = {one.key for one in app.button_group if one.key and one.key.startswith("switch.")}
    assert switches == {"switch.set"}
    app.button_group(key="switch.set").set_value("Amplify").run()
    assert len(asked(client)[-1].neurons) == 20 and asked(client)[-1].alphas == (2.0,)


def test_many_neurons_each_keep_their_own_alpha_until_the_one_switch_moves_them_all() -> None:
    client = FakeClient()
    names = [f"L1:N{i}" for i in range(20)]
    own = ",".join(f"{name}={0.5 if place % 2 else 2.0}" for place, name in enumerate(names))
    app = opened(client, prompt="Q?", neurons=",".join(names), own=own, alphas="")
    assert app.button_group(key="switch.set").value is None
    assert [one.alpha for one in asked(client)[-1].own] == [2.0, 0.5] * 10
    app.button_group(key="switch.set").set_value("Suppress").run()
    assert asked(client)[-1].own == () and asked(client)[-1].alphas == (0.0,)
    app.button_group(key="switch.set").set_value("Own α").run()
    app.number_input(key="switch.alpha.set").set_value(0.5).run()
    assert asked(client)[-1].alphas == (0.5,) and len(asked(client)[-1].neurons) == 20


def test_every_alpha_of_a_link_is_a_column_and_stays_in_the_address() -> None:
    client = FakeClient()
    app = opened(client, prompt="Q?", neurons="L1:N1", alphas="0,0.3,2,1.25")
    assert sorted(asked(client)[-1].alphas) == [0.0, 0.3, 1.25, 2.0]
    assert sorted(map(float, address(app)["alphas"].split(","))) == [0.0, 0.3, 1.25, 2.0]
    beside = app.button_group(key="compare.beside")
    chosen = list(beside.value or ())
    assert "+ α = 0.3" in beside.options and "α = 1.25" in chosen
    beside.set_value([name for name in chosen if name != "α = 0.3"]).run()
    assert sorted(asked(client)[-1].alphas) == [0.0, 1.25, 2.0]


def test_a_column_at_alpha_1_is_told_to_be_the_baseline() -> None:
    client = FakeClient()
    app = opened(client, prompt="Q?", neurons="L1:N1", alphas="0,1")
    assert asked(client)[-1].alphas == (0.0,)
    assert any("that column would be the baseline" in html.unescape(one.value) for one in app.info)


def test_a_link_whose_switches_all_stand_at_normal_says_why_nothing_is_asked() -> None:
    app = opened(FakeClient(), prompt="Q?", neurons="L1:N1", alphas="1.0")
    assert any("Every switch is set to Normal" in one.value for one in app.error)


def test_a_link_that_cannot_be_read_is_told_and_the_page_still_stands() -> None:
    app = opened(FakeClient(), prompt="Q?", neurons="L1:N1", alphas="nan", controls="-4")
    assert not app.exception
    assert any("alphas" in one.value and "controls" in one.value for one in app.info)


def test_a_probe_that_is_not_there_is_told_of() -> None:
    app = opened(FakeClient(), probe="gone")
    assert any("There is no probe gone here" in html.unescape(one.value) for one in app.info)


def test_a_probe_of_another_model_is_told_of_before_and_with_the_answers() -> None:
    other = PROBE.model_copy(update={"model": INFO.model_copy(update={"fingerprint": "0" * 64}), "name": "theirs"})
    for pace, than in ((1000.0, f"{INFO.name}, which is loaded"), (0.0, "the model of this answer")):
        app = opened(
            FakeClient(pace=pace, shelf={"theirs": other}), probe="theirs", prompt="Who?", neurons="L17:N98"
        ).run()
        told = [html.unescape(one.value) for one in app.info]
        assert any(f"The probe theirs was made for another model, not for {than}" in one for one in told), told
    forced = FakeClient(shelf={"theirs": other.model_copy(update={"forced": INFO.name})})
    assert not any("theirs" in one.value for one in opened(forced, probe="theirs", prompt="Who?").info)


CONTROLS: dict[str, tuple[str, object, object]] = {
    "control_kinds": ("button_group", ["free"], ("free",)),
    "control_seed": ("number_input", 5, 5),
    "positions": ("button_group", "answer", "answer"),
}
"""Setting of the draft -> its control, what that is set to, and what the request then has."""


def test_every_setting_of_the_draft_is_among_those_with_a_control() -> None:
    assert {*CONTROLS, "alphas", "own", "controls"} == set(SETTINGS), (
        "the others are the switches and the columns beside them"
    )


@pytest.mark.parametrize("name", CONTROLS)
def test_a_setting_s_control_reaches_request_and_address_and_a_link_and_back_reach_the_control(name: str) -> None:
    kind, chosen, value = CONTROLS[name]
    client = Answering(comparisons.comparison)
    app = opened(client, prompt="Who leads Nortel?", neurons="L17:N98")
    before, bare = getattr(app, kind)(key=f"compare.{name}").value, written(app)
    getattr(app, kind)(key=f"compare.{name}").set_value(chosen).run()
    assert getattr(asked(client)[-1], name) == value
    again = Answering(comparisons.comparison)
    link = written(app)
    reloaded = opened(again, **link)
    assert getattr(asked(again)[-1], name) == value and written(reloaded) == link
    assert getattr(reloaded, kind)(key=f"compare.{name}").value == chosen
    with mock.patch.object(session, "went_back", lambda: True):
        app.query_params.clear()
        for key, text in bare.items():
            app.query_params[key] = text
        app.run()
    assert getattr(app, kind)(key=f"compare.{name}").value == before and written(app) == bare


def test_a_choice_of_several_that_is_emptied_says_what_it_said() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client, prompt="Who leads Nortel?", neurons="L17:N98", kinds="free")
    app.button_group(key="compare.control_kinds").set_value([]).run()
    assert asked(client)[-1].control_kinds == ("free",) and written(app)["kinds"] == "free"


def test_a_link_that_asks_for_twins_of_no_kind_is_told_of_and_a_kind_can_be_chosen() -> None:
    client = Answering(comparisons.comparison)
    app = opened(client, prompt="Who leads Nortel?", neurons="L17:N98", kinds="")
    assert not app.exception and not asked(client)
    assert any("Random twins are asked for" in one.value for one in app.error)
    app.button_group(key="compare.control_kinds").set_value(["layer"]).run()
    assert asked(client)[-1].control_kinds == ("layer",) and asked(client)[-1].controls == 1
    without = Answering(comparisons.comparison)
    app = opened(without, prompt="Who leads Nortel?", neurons="L17:N98", kinds="", controls="0")
    assert not app.exception and asked(without)[-1].control_rows == 0

"""Explore as a person meets it: the example, a run, an error, hostile text, links, the chosen set."""

from __future__ import annotations

import html
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from app import shelf
from app.cell import Cell
from app.charts import cells
from app.explore.view import ExploreView
from app.shared import token_strip
from app.shared.view import Shared
from backend.errors import BackendUnavailable, BadPrompt, ModelUnreadable, ZeroOutput
from backend.neurons import NeuronSet
from backend.types import Comparison, Decoding, ExploreRequest, ModelStatus, NeuronRequest, Threshold
from backend.types.names import ProbeRef
from backend.types.probe import ProbeSummary
from tests import fakes_probe, pages_run
from tests.fakes_app import INFO, FakeClient, FakeModels, exploration
from tests.pages_run import change, view

MODEL = {"model": INFO.name}
EXAMPLE = "Layer 17 has the largest neuron at ·Elon: L17:N412, CETT 0.36"
PROBE = fakes_probe.probe("shipped", INFO)
NAMED = ProbeRef(name="shipped", digest=FakeClient().probes.list()[0].digest)
HOSTILE = "<script>alert(1)</script> **bold** <|im_end|> [x](javascript:alert(1)) $x$ :red[y]"


opened = partial(pages_run.opened, "explore")


def heading(app: AppTest) -> str:
    return html.unescape(app.header[0].value)


def prompt(app: AppTest) -> str:
    return str(next(one for one in (*app.text_input, *app.text_area) if one.label == "Your question").value)


def type_prompt(app: AppTest, words: str) -> AppTest:
    next(one for one in app.text_input if one.label == "Your question").set_value(words)
    return app


def run(app: AppTest, words: str) -> AppTest:
    type_prompt(app, words)
    return app.button(key="ask-run").click().run().run()


def asked(client: FakeClient) -> list[ExploreRequest]:
    return [request for _, request, _ in client.submitted if isinstance(request, ExploreRequest)]


def address(app: AppTest) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()}


def everything(app: AppTest) -> str:
    """All words that the page wrote as Markdown, as a reader sees them."""
    return html.unescape("\n".join(str(one.value) for one in (*app.markdown, *app.info, *app.error, *app.warning)))


def test_the_first_visit_shows_a_finished_example_and_asks_nothing() -> None:
    client = FakeClient()
    app = opened(client)
    assert not app.exception and heading(app) == EXAMPLE
    assert prompt(app) == "Who is the CEO of Nortel?"
    assert not asked(client) and address(app) == {}
    assert "does not say whether the answer is true" in everything(app)


def test_the_heading_explains_its_words_where_they_first_stand() -> None:
    told = opened(FakeClient()).header[0].help
    assert "Cumulative Errors of Tail Truncation" in told and "H-neuron" in told


def test_the_example_stands_while_the_model_still_loads_and_its_loading_is_told() -> None:
    app = opened(FakeClient(state="loading"))
    assert not app.exception and heading(app) == EXAMPLE
    assert "is loading: converting weights, 40 %" in everything(app)


def test_without_an_example_the_page_says_so_and_still_answers() -> None:
    client = FakeClient(no_example=True)
    app = opened(client)
    assert not app.exception and "not installed" in everything(app)
    assert heading(app) == "Ask, and see which neurons write most"
    assert heading(run(app, "What is the capital of Egypt?")) == EXAMPLE


def test_run_asks_what_was_typed_and_puts_it_into_the_address() -> None:
    client = FakeClient()
    app = run(opened(client), "What is the capital of Egypt?")
    assert not app.exception and heading(app) == EXAMPLE
    assert [request.prompt for request in asked(client)] == ["What is the capital of Egypt?"]
    assert address(app) == {"prompt": "What is the capital of Egypt?", "model": INFO.name}
    assert asked(client)[0].decoding == Decoding(), "the example's short answer is not a setting"


def test_settings_go_into_the_request_and_the_address() -> None:
    client = FakeClient()
    app = opened(client)
    next(one for one in app.number_input if one.label == "Temperature").set_value(0.7).run()
    next(one for one in app.number_input if one.label == "Seed").set_value(5)
    next(one for one in app.number_input if one.label == "Longest answer, in tokens").set_value(7)
    app = run(app, "Who?")
    assert (asked(client)[-1].decoding.temperature, asked(client)[-1].decoding.seed) == (0.7, 5)
    assert address(app) == {"prompt": "Who?", "temperature": "0.7", "seed": "5", "max_new_tokens": "7", **MODEL}


def test_a_run_in_progress_streams_and_can_be_stopped() -> None:
    client = FakeClient(pace=1000)
    app = opened(client)
    type_prompt(app, "Tell me a story.")
    app.button(key="ask-run").click().run()
    assert any(one.key == "stop:explore" for one in app.button)
    app.button(key="stop:explore").click().run()
    job = 1 + [verb for verb, _, _ in client.submitted].index("explore")
    assert client.stopped == [f"job-{job}"]
    assert not any(one.key == "stop:explore" for one in app.button)
    assert "The run was stopped" in everything(app) and prompt(app) == "Tell me a story."


def test_old_figures_are_not_squeezed_into_the_places_of_new_containers() -> None:
    app = opened(FakeClient(pace=1000))
    before = pages_run.columns_by_place(app)
    type_prompt(app, "Tell me a story.")
    app.button(key="ask-run").click().run()
    during = pages_run.columns_by_place(app)
    assert any(before.values()) and any(one.key == "stop:explore" for one in app.button)
    assert {place: before[place] for place in before.keys() & during.keys() if before[place] != during[place]} == {}


def test_an_empty_prompt_is_refused_in_words_and_asks_nothing() -> None:
    client = FakeClient()
    app = run(opened(client), "   ")
    assert not asked(client)
    assert "The prompt is empty" in app.error[0].value and heading(app) == EXAMPLE


@pytest.mark.parametrize("where", ["refuse", "break_with"])
def test_an_error_stands_in_place_and_what_was_typed_is_kept(where: str) -> None:
    client = FakeClient()
    app = opened(client)
    setattr(client, where, ZeroOutput("CETT is undefined", "layer 3 wrote nothing", "try another prompt"))
    app = run(app, "Who dares?")
    assert not app.exception and prompt(app) == "Who dares?"
    assert len(app.error) >= 1
    assert "**CETT is undefined.** Layer 3 wrote nothing. Try another prompt." in html.unescape(app.error[0].value)
    setattr(client, where, None)
    app = run(app, "And now?")
    assert not app.error and heading(app) == EXAMPLE


def test_an_error_of_an_unexpected_kind_is_still_an_error_of_ours() -> None:
    client = FakeClient()
    app = opened(client)
    client.break_with = ModelUnreadable("a <b>", "because of [x](y)", "do z")
    app = run(app, "Who?")
    assert "<b>" not in app.error[0].value and "[x](y)" not in app.error[0].value


def test_a_hostile_prompt_is_data_everywhere_it_is_shown() -> None:
    client = FakeClient()
    app = run(opened(client), HOSTILE)
    assert not app.exception and asked(client)[-1].prompt == HOSTILE and prompt(app) == HOSTILE
    written = [str(one.value) for one in (*app.markdown, *app.header, *app.subheader, *app.info)]
    for piece in ("<script", "**bold**", "<|im_end|>", "[x](", "$x$", ":red[y]"):
        assert not any(piece in words for words in written), piece


def test_a_token_of_the_strip_reaches_the_browser_as_text() -> None:
    result = exploration(ExploreRequest(prompt=HOSTILE))
    texts = [token_strip.described(token, place) for place, token in enumerate(result.tokens)]
    assert all("probability" in words for words in texts)
    # The strip writes `textContent` alone: the script that draws it knows no way to write markup.
    assert "textContent" in token_strip._JS
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write")
    assert not any(way in token_strip._JS for way in ways)


def test_a_link_reopens_its_view() -> None:
    client = FakeClient()
    link = {"prompt": "Who is the CEO of Nortel?", "cell": "3.5", "score": "usual", "neurons": "L3:N5,L4:N7"}
    app = opened(client, **link).run()
    assert not app.exception and address(app) == {**link, **MODEL}
    assert asked(client) == [ExploreRequest(prompt="Who is the CEO of Nortel?", neurons=PROBE.all, probe=NAMED)]
    assert view(app, ExploreView).cell == Cell(3, 5) and view(app, Shared).neurons == NeuronSet.of("L3:N5", "L4:N7")
    assert any(one.value.startswith("Layer 3 at ") for one in app.subheader)
    assert any("Switch these 2 on Compare" in one.label for one in app.button)


def test_bad_values_in_a_link_are_told_and_the_rest_is_opened() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who?", cell="top left", colour="red", temperature="-4").run()
    assert not app.exception and asked(client) == [ExploreRequest(prompt="Who?", neurons=PROBE.all, probe=NAMED)]
    for word in ("cell", "colour", "temperature"):
        assert word in everything(app)
    assert address(app) == {"prompt": "Who?", **MODEL}


def test_a_link_made_with_another_model_says_so() -> None:
    app = opened(FakeClient(), prompt="Who?", model="Other-7B").run()
    assert "made with Other-7B" in everything(app)
    assert "made with" not in everything(opened(FakeClient(), prompt="Who?", model=INFO.name).run())


def test_figures_of_a_model_that_is_no_longer_loaded_say_so_and_ask_for_no_card() -> None:
    client = FakeClient()
    app = opened(client)
    before = len(client.submitted)
    client.info = INFO.model_copy(update={"name": "Other-7B", "fingerprint": "0" * 64})
    app.run()
    assert not app.exception and "Other-7B is loaded" in everything(app)
    later = [request for _, request, _ in client.submitted[before:] if isinstance(request, NeuronRequest)]
    assert all(request.text is None for request in later)


def test_a_cell_that_the_answer_does_not_have_falls_back_to_the_one_that_stands_out() -> None:
    app = opened(FakeClient(), prompt="Who?", cell="99.9999").run()
    assert not app.exception
    assert any(html.unescape(one.value) == "Layer 17 at ·Elon" for one in app.subheader)


def test_a_prompt_typed_and_not_run_is_in_the_address_and_comes_back() -> None:
    app = type_prompt(opened(FakeClient()), "Half a quest").run()
    assert address(app) == {"draft": "Half a quest"}
    again = opened(FakeClient(), draft="Half a quest")
    assert prompt(again) == "Half a quest" and heading(again) == EXAMPLE


def test_an_example_question_is_run_and_stands_in_the_box() -> None:
    client = FakeClient()
    app = opened(client)
    app.pills(key="ask-example").set_value("What is the capital of Egypt?").run()
    assert [one.prompt for one in asked(client)] == ["What is the capital of Egypt?"]
    assert prompt(app) == "What is the capital of Egypt?"
    assert address(app)["prompt"] == "What is the capital of Egypt?" and "draft" not in address(app)


def test_an_example_question_drops_the_answer_that_was_given_to_another_question() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who?", answer="Me.")
    app.pills(key="ask-example").set_value("What is the capital of Egypt?").run()
    assert asked(client)[-1].answer is None and "answer" not in address(app)


def test_where_the_box_holds_another_question_than_the_figures_the_page_says_whose_they_are() -> None:
    app = run(opened(FakeClient()), "Who leads Nortel?")
    assert "Below is the answer" not in everything(app)
    type_prompt(app, "Who leads Egypt?").run()
    assert "Below is the answer to “Who leads Nortel?”. The box holds another question" in everything(app)
    again = opened(FakeClient(), **address(app)).run()
    assert prompt(again) == "Who leads Egypt?" and "Below is the answer to “Who leads Nortel?”" in everything(again)


def test_settings_changed_and_not_run_survive_a_reload_and_are_told() -> None:
    app = run(opened(FakeClient()), "Who?")
    next(one for one in app.number_input if one.label == "Longest answer, in tokens").set_value(7).run()
    assert "Settings were changed since" in everything(app)
    again = opened(FakeClient(), **address(app)).run()
    assert next(one for one in again.number_input if one.label == "Longest answer, in tokens").value == 7
    assert view(again, Shared).decoding.max_new_tokens == Decoding().max_new_tokens


def test_a_setting_that_no_request_may_have_stays_as_typed_and_run_says_what_is_wrong() -> None:
    client = FakeClient()
    app = run(opened(client), "Who?")
    count, long = len(asked(client)), "x" * 20_001
    next(one for one in app.text_area if one.label == "System prompt").set_value(long).run()
    assert not app.exception and "system" not in address(app).get("unrun", "")
    app.button(key="ask-run").click().run()
    assert not app.exception and len(asked(client)) == count and "system prompt" in app.error[0].value
    assert next(one for one in app.text_area if one.label == "System prompt").value == long


def test_a_question_that_another_page_asked_stands_in_the_box_when_its_answer_does() -> None:
    app = run(opened(FakeClient()), "Who leads Nortel?")
    change(app, Shared, prompt="Who leads Egypt?")
    app.run()
    assert prompt(app) == "Who leads Egypt?" and "Below is the answer" not in everything(app)


def test_the_answer_before_stays_pale_while_the_next_is_written_and_the_heading_does_not_speak_of_it() -> None:
    client = FakeClient()
    app = run(opened(client), "Who leads Nortel?")
    client.pace = 1000.0
    type_prompt(app, "Who leads Egypt?")
    app.button(key="ask-run").click().run()
    assert heading(app) == "Asking “Who leads Egypt?”"
    assert "Earlier answer, to “Who leads Nortel?”" in everything(app)
    asked_before = len(client.submitted)
    app.run()
    assert len(client.submitted) == asked_before, "a pale answer asks for nothing"


def test_typed_neurons_are_chosen_and_bad_ones_are_refused_with_what_was_typed_kept() -> None:
    app = opened(FakeClient())
    field = next(one for one in app.text_area if one.label == "Type or paste neurons")
    field.set_value("L3:N5 banana")
    next(one for one in app.button if one.label == "Add").click().run()
    assert "banana" in html.unescape(app.error[0].value) and not view(app, Shared).neurons
    field = next(one for one in app.text_area if one.label == "Type or paste neurons")
    assert field.value == "L3:N5 banana"
    field.set_value("L3:N5, L29:N1536")
    next(one for one in app.button if one.label == "Add").click().run()
    assert "neurons 0 to 1535" in html.unescape(app.error[0].value)
    next(one for one in app.text_area if one.label == "Type or paste neurons").set_value("L3:N5;L4:N7")
    next(one for one in app.button if one.label == "Add").click().run()
    assert not app.error and view(app, Shared).neurons == NeuronSet.of("L3:N5", "L4:N7")
    assert address(app) == {"neurons": "L3:N5,L4:N7"}


def test_strong_neurons_of_the_cell_are_chosen_by_their_button() -> None:
    app = opened(FakeClient())
    app.button(key="strong-token").click().run()
    assert not app.exception and len(view(app, Shared).neurons) > 5
    app.button(key="explore-none").click().run()
    assert not view(app, Shared).neurons


def test_without_a_probe_nothing_is_called_by_the_name_it_has_not_earned() -> None:
    app = opened(FakeClient(shelf={}), neurons="L3:N5")
    told = everything(app) + " ".join(one.label for one in app.button)
    assert not app.exception and "H-neuron" not in told and "H-Neurons" not in told
    assert len(asked(run(app, "Who?").session_state["client"])[-1].neurons) == 0


def test_the_probe_is_marked_in_both_maps_and_its_score_runs_along_the_answer() -> None:
    client = FakeClient()
    app = run(opened(client), "Who?")
    told = everything(app)
    assert asked(client)[-1].neurons == PROBE.all
    assert "of the 4 H-neurons of shipped is among the cell’s ten largest" in told
    assert "▲ 4 H-neurons of shipped, ▼ 2 negative weights" in told
    assert asked(client)[-1].probe == NAMED
    assert all(sentence in told for sentence in client.score.sentences)
    assert "that the probe was trained on: of held-out answers with such a score" in told
    assert "balanced by design" in told and "n = 310" in told and client.score.brief in told
    assert "in 74 of 100 pairs (95 % interval 69 to 79; 310 held-out answers" in told


def test_a_score_stands_with_what_was_judged_of_its_own_probe_alone() -> None:
    other = PROBE.model_copy(update={"name": "theirs"})
    app = opened(FakeClient(shelf={"shipped": PROBE, "theirs": other}), probe="theirs")
    told = everything(app)
    assert "Score of the probe “shipped”" in told and "4 H-neurons of theirs" in told
    assert "a right and a wrong answer the probe “theirs”" not in told


def test_an_engine_that_fails_to_list_its_probes_for_a_moment_is_not_asked_the_same_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> tuple[ProbeSummary, ...]:
        raise BackendUnavailable("The service does not answer", "it is at work", "try again")

    monkeypatch.setattr(shelf, "SECONDS", -1.0)
    client = FakeClient()
    app = run(opened(client), "Who?")
    before = len(asked(client))
    monkeypatch.setattr(client.probes, "list", refuse)
    app.run()
    assert len(asked(client)) == before and "The service does not answer" in everything(app)


def test_a_question_unlike_the_probe_s_own_is_told_that_its_score_means_nothing() -> None:
    client = FakeClient(score=fakes_probe.score(likeness=0.1))
    told = everything(run(opened(client), "Who?"))
    assert "means nothing here" in told and "99 % of its held-out questions reach 0.30" in told
    assert "were wrong" not in told and "n = 310" not in told


def test_a_probe_without_judged_answers_shows_no_chance() -> None:
    note = "It came from a file that holds no judged answers."
    client = FakeClient(score=fakes_probe.score().model_copy(update={"chance": None, "distances": (), "note": note}))
    told = everything(run(opened(client), "Who?"))
    assert note in told and "what it is worth is not known" in told and "were wrong" not in told


def test_the_ranked_neurons_of_a_cell_show_which_are_the_probe_s() -> None:
    app = opened(FakeClient())
    ranked = next(one.value for one in app.dataframe if "Pushes towards" in one.value)
    assert list(ranked["Neuron"])[0] == "▲ L17:N412" and list(ranked["Neuron"])[1].startswith("L17:N")


def test_the_card_of_an_h_neuron_says_what_the_probe_knows_of_it() -> None:
    app = opened(FakeClient(), card="L17:N1033")
    assert any("L17:N1033 in the probe" in html.unescape(one.value) for one in app.subheader)
    assert any("speaks for a right" in one.value for one in opened(FakeClient(), card="L11:N940").subheader)
    assert not any("in the probe" in one.value for one in opened(FakeClient(), card="L3:N5").subheader)


def test_a_probe_of_another_model_marks_nothing_and_says_so_unless_it_is_forced() -> None:
    other = PROBE.model_copy(update={"model": INFO.model_copy(update={"fingerprint": "0" * 64}), "name": "theirs"})
    client = FakeClient(shelf={"theirs": other})
    app = opened(client, probe="theirs", prompt="Who?").run()
    assert "theirs was made for another model" in everything(app) and "H-neurons of theirs" not in everything(app)
    assert len(asked(client)[-1].neurons) == 0
    client = FakeClient(shelf={"theirs": other.model_copy(update={"forced": INFO.name})})
    app = opened(client, probe="theirs", prompt="Who?").run()
    assert "4 H-neurons of theirs" in everything(app)
    assert "was made for another model: its score means nothing here" in everything(app)


def test_a_probe_that_is_not_there_is_told_of() -> None:
    assert "There is no probe nobody here: shipped is used instead." in everything(opened(FakeClient(), probe="nobody"))


def test_a_prompt_of_fifty_thousand_characters_is_refused_and_kept() -> None:
    client = FakeClient()
    app = run(opened(client), "x" * 50_000)
    assert not asked(client) and "50,000 characters" in html.unescape(app.error[0].value)
    assert len(prompt(app)) == 50_000


class Gone(FakeModels):
    """A service that does not answer."""

    def status(self) -> ModelStatus:
        raise BackendUnavailable("The service does not answer", "the connection was refused", "start hneurons serve")


def test_an_engine_that_went_away_is_told_in_words_and_what_was_typed_is_kept() -> None:
    client = FakeClient()
    client.models = Gone(client)
    app = opened(client)
    assert not app.exception and "start hneurons serve" in html.unescape(everything(app).casefold())
    type_prompt(app, "Half a quest").run()
    assert not app.exception and prompt(app) == "Half a quest"


def test_neurons_of_a_link_that_the_model_does_not_have_are_told() -> None:
    app = opened(FakeClient(), neurons="L99:N1")
    assert not app.exception and "layers 0 to 29" in html.unescape(everything(app))


def test_a_refusal_of_the_engine_for_one_prompt_leaves_the_next_alone() -> None:
    client = FakeClient()
    app = opened(client)
    client.refuse = BadPrompt("The prompt is too long by 3 tokens", "it has 9", "shorten it")
    run(app, "Long?")
    client.refuse = None
    assert heading(run(app, "Short?")) == EXAMPLE


def test_the_part_of_a_long_text_stands_in_the_address_and_gives_way_to_a_chosen_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cells, "MAX_COLUMNS", 4)
    app = opened(FakeClient())
    parts = next(one for one in app.button_group if one.key == "part")
    parts.set_value(0).run()
    assert not app.exception and address(app)["part"] == "0"
    again = opened(FakeClient(), part="0")
    assert again.session_state["part"] == 0
    beyond = opened(FakeClient(), part="77")
    assert beyond.session_state["part"] == len(parts.options) - 1
    assert f"This text has no part 78: it has {len(parts.options)} parts, and the last is shown" in everything(beyond)
    assert "no part" not in everything(again)
    asked_anew = run(app, "Who wrote Hamlet?")
    assert "part" not in address(asked_anew), "another question's text has other parts"


def test_a_card_that_the_model_does_not_have_is_told_of() -> None:
    assert "L99:N1 is not in this model" in everything(opened(FakeClient(), card="L99:N1"))


def test_why_an_empty_box_cannot_be_asked_is_told_until_something_is_typed() -> None:
    app = run(opened(FakeClient()), "")
    assert "The prompt is empty" in everything(app) and "The box is empty" in everything(app)
    type_prompt(app, "Why?").run()
    assert "is empty" not in everything(app)


def stop_texts(app: AppTest) -> list[str]:
    return next(one for one in app.multiselect if one.label == "Texts that end the answer").value


def test_the_stop_texts_of_a_link_are_asked_again_shown_and_can_be_taken_away() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who leads Nortel?", stop='["\\n", "He"]')
    assert stop_texts(app) == ["\n", "He"] and "stops at “\\n”, “He”" in everything(app)
    app.button(key="ask-run").click().run()
    assert [one.decoding.stop for one in asked(client)] == [("\n", "He"), ("\n", "He")]
    next(one for one in app.multiselect if one.label == "Texts that end the answer").set_value(["He"]).run()
    assert address(app)["unrun"] == '{"stop":["He"]}' and "Settings were changed since" in everything(app)
    again = opened(FakeClient(), **address(app))
    assert stop_texts(again) == ["He"]
    app.button(key="ask-run").click().run()
    assert asked(client)[-1].decoding.stop == ("He",) and address(app)["stop"] == '["He"]'


def test_a_system_text_without_the_template_that_would_put_it_anywhere_is_told_and_kept() -> None:
    client = FakeClient()
    app = opened(client, prompt="Who?", chat="0", system="Be brief.")
    assert not app.exception and not asked(client)
    assert "the model would never read it" in everything(app)
    app.button(key="ask-run").click().run().run()
    assert not app.exception and not asked(client) and "the model would never read it" in everything(app)
    kept = address(app)
    assert "Be brief." in str(kept) and "Who?" in str(kept)


SETTINGS = {
    "chat": "0", "answer": "Cairo.", "max_new_tokens": "7", "temperature": "0.5",
    "top_k": "3", "top_p": "0.001", "seed": "5", "stop": '["He"]', "k": "2", "population": "model",
}  # fmt: skip


def test_the_settings_of_a_link_without_a_question_stand_in_the_form_and_run_asks_with_them() -> None:
    client = FakeClient()
    app = opened(client, **SETTINGS)
    assert not app.exception and not asked(client) and heading(app) == EXAMPLE
    assert "Settings were changed since. Press Run to use them" in everything(app), "the example's answer is another's"
    again = opened(FakeClient(), **address(app))
    assert address(again) == address(app), "a reload keeps them"
    app.button(key="ask-run").click().run().run()
    wanted = ExploreRequest(
        prompt="Who is the CEO of Nortel?", chat=False, answer="Cairo.", neurons=PROBE.all,
        threshold=Threshold(k=2, population="model"), probe=NAMED,
    )  # fmt: skip
    assert asked(client) == [wanted], "a given answer is not decoded"
    assert "The settings above for writing an answer are not used" in everything(app)
    assert set(SETTINGS) < set(address(app)) and "unrun" not in address(app)
    app.text_area[1].set_value("")
    app.button(key="ask-run").click().run().run()
    decoding = Decoding(max_new_tokens=7, temperature=0.5, top_k=3, top_p=0.001, seed=5, stop=("He",))
    assert asked(client)[-1] == wanted.model_copy(update={"answer": None, "decoding": decoding}), "they were kept"


def test_a_setting_of_a_link_without_a_question_can_be_set_back_and_stays_so() -> None:
    app = opened(FakeClient(), max_new_tokens="7", system="Be brief.")
    next(one for one in app.number_input if one.label == "Longest answer, in tokens").set_value(40).run()
    assert address(app) == {"unrun": '{"system":"Be brief."}'}
    again = opened(FakeClient(), **address(app))
    assert next(one for one in again.number_input if one.label == "Longest answer, in tokens").value == 40


@pytest.mark.parametrize("unrun", [r'{"system":"\ud800"}', r'{"stop":["\ud800"]}', r'{"\ud800":1}'])
def test_half_a_character_in_a_link_is_told_and_left_out(unrun: str) -> None:
    app = opened(FakeClient(), unrun=unrun)
    assert not app.exception and "It was left out" in everything(app) and address(app) == {}


def test_a_stop_text_too_long_for_the_form_is_told_of_and_the_rest_stays() -> None:
    app = opened(FakeClient(), stop=f'["{"x" * 20_001}"]', seed="5")
    assert not app.exception and "characters" in everything(app) and address(app) == {"unrun": '{"seed":5}'}


def test_a_draft_stays_where_the_question_of_its_link_cannot_be_asked() -> None:
    app = opened(FakeClient(), prompt="", draft="b", temperature="2")
    assert prompt(app) == "b" and address(app) == {"draft": "b", "unrun": '{"temperature":2.0}'}


def test_an_emptied_box_stays_empty_over_a_reload() -> None:
    app = opened(FakeClient(), prompt="Who leads Nortel?")
    type_prompt(app, "").run()
    assert address(app)["draft"] == ""
    again = opened(FakeClient(), **address(app))
    assert prompt(again) == "" and address(again)["draft"] == "" and "The box is empty" in everything(again)


def test_a_question_of_a_link_that_cannot_be_asked_stays_in_the_form_with_its_settings() -> None:
    link = {"prompt": " ", "seed": "5", "temperature": "1", "answer": "Cairo."}
    client = FakeClient()
    app = opened(client, **link)
    assert not app.exception and not asked(client) and "is empty" in everything(app)
    assert prompt(app) == link["prompt"]
    assert all(name in address(app)["unrun"] for name in link if name != "prompt")


def test_the_short_answer_of_compares_example_is_not_taken_along_to_another_question_here() -> None:
    client = FakeClient()
    example = client.results.example("compare")
    assert isinstance(example, Comparison) and example.request.decoding != Decoding()
    request = example.request
    link = {"prompt": request.prompt, "max_new_tokens": str(request.decoding.max_new_tokens)}
    app = run(opened(client, **link), "Who leads Egypt?")
    assert asked(client)[-1].decoding == Decoding() and address(app)["prompt"] == "Who leads Egypt?"
    by_hand = opened(client, **link)
    for tokens in (30, request.decoding.max_new_tokens):
        next(one for one in by_hand.number_input if one.label == "Longest answer, in tokens").set_value(tokens).run()
    run(by_hand, "Who leads Egypt?")
    assert asked(client)[-1].decoding == request.decoding, "what a person sets stays, be it the example's"
    assert "max_new_tokens" not in address(app) and prompt(app) == "Who leads Egypt?"

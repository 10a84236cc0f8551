"""The figures of an exploration, as they stand on the page: strip, map, ranked neurons, all neurons, card.

Owns their arrangement and the switches between them. Refuses to ask the engine for anything but a
neuron's card: the result is handed in.
"""

from __future__ import annotations

import streamlit as st

from app import session, shelf
from app.cell import Cell, Score
from app.charts import cells, layer_token, scores
from app.charts.layer_neuron import Measure
from app.charts.scores import SCORES, values
from app.explore import words as explore_words
from app.explore.view import ExploreView
from app.shared import address, answer_score, frame, heatmap, joins, model_status, token_strip
from app.shared.frame import muted
from app.shared.jobs import Progress, shown_error
from app.shared.neuron import card, ranked, sets
from app.shared.neuron import probe as probe_neuron
from app.shared.view import Shared
from backend.errors import BadNeurons
from backend.neurons import NeuronId, NeuronSet
from backend.types import Exploration
from backend.types.numbers import counted
from backend.types.probe import Probe

SWITCH: tuple[Score, ...] = ("largest", "top10", "usual")
"""Scores on the switch itself; the others are one click behind it."""
SPLIT = [5, 3]
_MEASURES: dict[Measure, str] = {"mean": "Mean CETT", "usual": "× reference mean"}


def streaming(progress: Progress) -> None:
    """The prompt's tokens and the answer's, as they come."""
    prompt = [token for token in progress.prompt if session.view(Shared).template or token.role != "template"]
    tokens = (*prompt, *progress.tokens.get(0, ()))
    if tokens:
        token_strip.streaming(tokens, "strip-streaming", "The answer as it is written", session.palette())


def draw_figures(result: Exploration) -> None:
    """All figures of `result`, with the view's score, cell and switches."""
    view = session.view(ExploreView)
    cell = view.cell if view.cell is not None and cells.valid(result, view.cell) else None
    if view.cell is not None and cell is None:
        gone = f"This answer has no layer {view.cell.layer} at token {view.cell.pos}"
        st.markdown(muted(f"{gone}: the cell that stands out most is shown instead."))
    cell = cell or cells.standing_out(result, view.score)
    probe = shelf.of(result.model)
    left, right = st.columns(SPLIT, gap="medium")
    with left:
        tint = _strip(result, cell)
        _map(result, cell, probe)
        st.markdown(muted(tint))
        fold = st.container()
    with right:
        # In a place of its own: what comes and goes there must not close a popover below it.
        with st.container():
            _worth(result)
        line = st.container()
        _ranked(result, cell, probe)
    left, right = st.columns(SPLIT, gap="medium")
    with left:
        _all_neurons(result, probe)
        if probe is not None:
            probe_neuron.section(probe, card.shown_neuron(result, cell))
    with right:
        card.draw_card(result, cell, probe)
    if probe is not None:
        with line:
            answer_score.line(result, probe)
        with fold:
            answer_score.draw_score(result, probe)


def before(result: Exploration) -> None:
    """The answer and the map of an earlier request: nothing can be picked in them, and nothing is asked for them."""
    view, palette = session.view(ExploreView), session.palette()
    places = cells.shown_columns(result, template=session.view(Shared).template)
    tints = scores.tints(result, view.score, places)
    tokens = [token_strip.StripToken(i, result.tokens[i], tints.shares[i]) for i in places]
    token_strip.strip(
        tokens, palette, key="strip-before", label="The earlier answer, token by token", selected=None,
        on_pick=lambda pos: None,
    )  # fmt: skip
    chart = layer_token.figure(
        result, view.score, palette, places=cells.pages(places)[0], cell=None, by_layer=view.per_layer
    )
    with st.container(key="figure-before", gap=None):
        st.plotly_chart(
            chart, theme=None, key="map-before", config=frame.QUIET, alt=layer_token.alt(result, view.score, places)
        )


def _strip(result: Exploration, cell: Cell) -> str:
    """The tokens; what their tint says."""
    score = session.view(ExploreView).score
    places = cells.shown_columns(result, template=session.view(Shared).template)
    tints = scores.tints(result, score, places)
    tokens = [token_strip.StripToken(i, result.tokens[i], tints.shares[i]) for i in places]
    layers = values(result, score)
    token_strip.strip(
        tokens, session.palette(), key=f"strip-{result.request.hash[:12]}", label="Question and answer, token by token",
        selected=cell.pos, on_pick=lambda pos: _look_at(result, cells.at_token(layers, pos)),
    )  # fmt: skip
    return explore_words.tint(score, tints)


def _look_at(result: Exploration, cell: Cell) -> None:
    if session.stands(result):
        session.change(ExploreView, cell=cell, part=None)
        session.change(Shared, card=None)


def _worth(result: Exploration) -> None:
    # Here it moves no figure while the model loads behind the example.
    if session.status().state == "loading":
        model_status.waiting()
    known = explore_words.truth(result)
    st.markdown(f"{known}  \n{explore_words.CAUTION}" if known else explore_words.CAUTION)
    st.markdown(muted(f"{explore_words.certainty(result) or ''} {explore_words.ending(result)}.".strip()))
    loaded = session.status().info
    if loaded is not None and loaded.fingerprint != result.model.fingerprint:
        st.markdown(muted(explore_words.other_model(result, loaded)))


def _map(result: Exploration, cell: Cell, probe: Probe | None) -> None:
    view = session.view(ExploreView)
    row = frame.heading("Where in the model", explore_words.HOW_CETT, label=None)
    with row:
        _score_switch()
        _map_settings()
    places = cells.shown_columns(result, template=session.view(Shared).template)
    parts = cells.pages(places)
    page = cells.page_of(places, cell) if view.part is None else min(view.part, len(parts) - 1)
    if view.part is not None and view.part != page:
        gone = f"This text has no part {view.part + 1}: it has {counted(len(parts), 'part')}"
        st.markdown(muted(f"{gone}, and the last is shown." if page else f"{gone}."))
    if len(parts) > 1:
        st.segmented_control(
            "Tokens", range(len(parts)), required=True, format_func=lambda n: f"tokens {parts[n][0]} to {parts[n][-1]}",
            **joins.follow(ExploreView, "part", "part", showing=page),
        )  # fmt: skip
    heatmap.layer_token_map(
        result, view.score, places=parts[page], cell=cell, by_layer=view.per_layer,
        on_pick=lambda picked: _look_at(result, picked), probe=probe,
    )  # fmt: skip


def _score_switch() -> None:
    score = session.view(ExploreView).score
    options = [*SWITCH, *([score] if score not in SWITCH else [])]
    st.segmented_control(
        "Score", options, required=True, label_visibility="collapsed", format_func=_label,
        **joins.follow(ExploreView, "score", "score"),
    )  # fmt: skip


def _label(score: Score) -> str:
    return SCORES[score].label


def _map_settings() -> None:
    scores: list[Score] = list(SCORES)
    with st.popover("More", type="tertiary", key="map-settings"):
        st.radio(
            "Score", scores, format_func=_label, captions=[SCORES[score].help for score in scores],
            **joins.follow(ExploreView, "score", "all-scores"),
        )  # fmt: skip
        st.toggle(
            "Scale each layer by its own largest value", **joins.follow(ExploreView, "per_layer", "per-layer"),
            help="Shows the pattern in layers with small values. Colours of two layers then cannot be compared.",
        )  # fmt: skip
        st.toggle("Show the chat template’s tokens", **joins.follow(Shared, "template", "template"))


def _ranked(result: Exploration, cell: Cell, probe: Probe | None) -> None:
    frame.heading(explore_words.place(result, cell), explore_words.HOW_RANKED)
    with st.container():
        ranked.table(result, cell, session.view(ExploreView).score, probe)
    count = len(session.chosen())
    try:
        result.model.layout.check(session.chosen())
    except BadNeurons as error:
        shown_error(error)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if not count:
            st.markdown(muted("Tick neurons to choose them."), width="content")
        sets.pills("explore")
        sets.adder("explore", result.model.layout, more=lambda: _strong(result, cell))
    if count and st.button(
        f"Switch {'these ' + format(count, ',') if count > 1 else 'this one'} on Compare", type="primary",
        width="stretch", icon=":material/compare_arrows:", key="compare-with",
    ):  # fmt: skip
        address.go("compare")


def _strong(result: Exploration, cell: Cell) -> None:
    """Strong neurons as a set, as far as the result keeps them."""
    st.markdown(muted(explore_words.strong_count(result, cell)))
    here, count = cells.strong_in(result, cell)
    token = cells.strong_at_token(result, cell.pos)
    for words, neurons, key in (
        (f"Add {len(here)} of the {count} strong neurons of this cell", here, "cell"),
        (f"Add {counted(len(token), 'strong neuron')} at this token, all layers", token, "token"),
    ):
        if neurons:
            st.button(words, key=f"strong-{key}", on_click=_add, args=(neurons, result))


def _add(neurons: NeuronSet, result: Exploration) -> None:
    try:
        sets.add(neurons, result.model.layout)
    except BadNeurons as error:
        session.fail("explore", error)


def _all_neurons(result: Exploration, probe: Probe | None) -> None:
    row = frame.heading(
        f"All {result.model.n_neurons:,} neurons in the answer",
        "Every feed-forward neuron of the model, by its CETT averaged over the answer's tokens. Squares are the "
        "neurons you chose. *× reference mean* divides by the neuron's reference mean: its mean CETT on ordinary text.",
        label=None,
    )
    measure = session.view(ExploreView).measure
    row.segmented_control(
        "Measure", list(_MEASURES), required=True, format_func=lambda name: _MEASURES[name],
        label_visibility="collapsed", **joins.follow(ExploreView, "measure", "measure"),
    )  # fmt: skip
    if result.answer_start == len(result.tokens):
        st.markdown(muted("There is no answer to average over."))
        return
    heatmap.layer_neuron_map(result, measure, on_pick=_open_card, probe=probe)


def _open_card(neuron: NeuronId) -> None:
    session.change(Shared, card=neuron)

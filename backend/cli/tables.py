"""Results as tables for a person at a terminal.

Owns what is left out: a table shows the largest figures, `--json` shows everything. Text of a person or a model is
shown literally, never as markup. Computes nothing beyond selecting and averaging the values of a result.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backend.cli.output import plain
from backend.types import Comparison, Exploration, Lens, Logit, ModelChoice, ModelInfo, NeuronCard, Result, Row
from backend.types.numbers import byte_size, counted, fixed, percent, short, signed

SHOWN_POSITIONS = 8
SHOWN_TOKENS = 5
WIDE = 150
PROSE = ("answer", "token", "note", "licence", "raises", "lowers", "changed decision", "switched", "made on")
"""Columns that may wrap."""


def exploration(console: Console, result: Exploration) -> None:
    """The answer, its tokens with their strongest neurons, and the layers."""
    console.print(plain(result.answer))
    console.print(_model(result.model), style="dim")
    start = result.answer_start
    tokens = plain_table("token", "probability", "largest CETT", "neuron")
    for pos, token in enumerate(result.tokens[start:], start):
        layer = int(result.cett_max[:, pos].argmax())
        probability = "" if token.log_prob is None else percent(float(np.exp(token.log_prob)), 1)
        largest = str(result.model.layout.at(layer, result.top_index[layer, pos, :1])[0])
        tokens.add_row(plain(token.shown), probability, fixed(float(result.cett_max[layer, pos]), 3), largest)
    console.print(tokens)
    layers = plain_table("layer", "CETT sum", "largest CETT", "ten largest / sum", "strong neurons per token")
    columns = (result.cett_sum, result.cett_max, result.concentration, result.over)
    for layer in range(result.model.n_layers) if start < len(result.tokens) else ():
        layers.add_row(str(layer), *(fixed(float(column[layer, start:].mean()), 3) for column in columns))
    if layers.row_count:
        console.print(f"Means over the answer's {counted(len(result.tokens) - start, 'token')}:")
        console.print(layers)


def comparison(console: Console, result: Comparison) -> None:
    """One line per row: how many of its tokens changed, and its mean KL divergence from the baseline per token."""
    rows = plain_table("row", "alpha", "neurons", "answer", "tokens changed", "KL, nats/token")
    for row in result.rows:
        kl = "" if row.arm == "baseline" else fixed(row.kl_mean, 4)
        alpha = "own" if row.alpha is None else short(row.alpha, 6)
        changed = f"{row.tokens_changed} of {len(row.tokens)}"
        rows.add_row(_arm(row), alpha, str(len(row.plan.neurons)), plain(row.text), changed, kl)
    console.print(rows)
    for row in result.rows:
        if row.score is not None:
            console.print(plain(f"Score of {row.score.probe.name}, {_arm(row)}: {row.score.brief}."))
    for note in result.notes:
        console.print(plain(note))
    console.print(_model(result.model), style="dim")


def card(console: Console, result: NeuronCard) -> None:
    """The tokens that the neuron raises and lowers, its reference mean, and where its CETT is largest in the text."""
    usual = f"reference mean CETT {fixed(result.usual_mean, 4)}, largest {fixed(result.usual_max, 4)}"
    usual += f" (over {counted(result.usual_tokens, 'token')} of ordinary text)"
    console.print(f"{result.neuron}: output norm {fixed(result.out_norm, 3)}, {usual}")
    tokens = plain_table("raises", "logit", "lowers", "logit")
    for up, down in zip(result.promotes, result.suppresses, strict=False):
        tokens.add_row(*_logit(up), *_logit(down))
    console.print(tokens)
    if result.cett is not None and result.act is not None:
        along = plain_table("position", "token", "CETT", "activation")
        for pos in np.argsort(-result.cett)[:SHOWN_POSITIONS]:
            shown = plain(result.tokens[pos].shown)
            along.add_row(str(pos), shown, fixed(float(result.cett[pos]), 4), fixed(float(result.act[pos]), 3))
        console.print(along)
    console.print(_model(result.model), style="dim")


def lens(console: Console, result: Lens) -> None:
    """One line per neuron: the tokens it raises and lowers most."""
    rows = plain_table("neuron", "raises", "lowers")
    for push in result.pushed:
        sides = (" ".join(entry.shown for entry in side[:SHOWN_TOKENS]) for side in (push.promotes, push.suppresses))
        rows.add_row(str(push.neuron), *map(plain, sides))
    console.print(rows)
    console.print(_model(result.model), style="dim")


def any_result(console: Console, result: Result) -> None:
    """One line per field, for a result that has no table of its own."""
    rows = plain_table("field", "value")
    for name in type(result).model_fields:
        if name not in ("request", "model"):
            rows.add_row(name, plain(str(getattr(result, name))))
    console.print(rows)


def choices(console: Console, rows: Iterable[ModelChoice]) -> None:
    """The registry."""
    table = plain_table("model", "layers x neurons", "parameters", "needs", "fits", "here", "licence", "note")
    for row in rows:
        size = f"{row.layers} x {row.neurons:,}"
        needs = byte_size(row.needs)
        marks = ("yes" if row.fits else "no", "yes" if row.here else "no")
        table.add_row(row.name, size, f"{row.parameters / 1e6:,.0f} M", needs, *marks, row.licence, row.note)
    # Names are copied from this table: in a narrow window the notes wrap, and nothing is cut off.
    window, console.width = console.width, max(console.width, WIDE)
    console.print(table)
    console.width = window


def loaded(console: Console, model: ModelInfo) -> None:
    """The model that a service has loaded, and the notes on it."""
    console.print(plain(f"loaded at the service: {_model(model)}"))
    for note in model.notes:
        console.print(plain(f"  {note}"))


def plain_table(*columns: str) -> Table:
    """A table without lines; only columns of `PROSE` may wrap."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in PROSE)
    return table


def _model(model: ModelInfo) -> str:
    return f"{model.name}, {counted(model.n_neurons, 'neuron')}, {model.dtype} on {model.device}"


def _arm(row: Row) -> str:
    return row.arm if row.plan.control is None else f"{row.arm} ({row.plan.control})"


def _logit(entry: Logit) -> tuple[Text, str]:
    return plain(entry.shown), signed(entry.logit, 3)

"""`hneurons probe`: what an existing probe is worth on questions that it was not made from.

Owns the options and the table of a scoring. It is computed like every request, here or at a service.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from backend.cli import options
from backend.cli.commands import Common, finish
from backend.cli.gathered import gathered
from backend.cli.output import plain, stderr_console
from backend.cli.probe_tables import estimate_text
from backend.cli.running import Teller
from backend.cli.strict import Commands
from backend.cli.tables import plain_table
from backend.cli.verbs import NamedProbe
from backend.errors import BadSettings
from backend.serve.client import Client
from backend.types import Request
from backend.types.estimate import Estimate
from backend.types.identify import MAX_QUESTIONS
from backend.types.numbers import fixed
from backend.types.scoring import ScoreRequest, Scoring
from backend.untrusted import shown_name
from backend.verbs.table import SCORE

app = Commands(help="Use a probe on questions that it was not made from.", rich_markup_mode=None)
SHOWN = 12
"""H-neurons that are listed, those of the largest weights."""


@app.callback()
def group() -> None:
    """With one command alone, typer would leave out its name."""


@app.command("score")
@gathered
def score(
    probe: options.ProbeName,
    file: Annotated[Path, options.file_named(help="questions: CSV, TSV, JSON, JSON lines or Parquet")],
    limit: Annotated[int | None, typer.Option(min=1, help="ask at most this many, drawn at random")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="seed of the draw")] = 0,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="go on although none of the first 100 answers is right, or none is wrong")
    ] = False,
    force: options.Force = False,
    *,
    common: Common,
) -> None:
    """Score a probe on the questions of a file, without fitting it again. Called again, it goes on where it stopped."""
    from backend.identify.formats import questions

    named = NamedProbe(probe, force)
    named.read_ahead(common.backend)
    # The same questions for each limit, so that a larger one goes on; a file may hold more than are ever asked.
    read = questions.read_path(file, questions.ALL.model_copy(update={"limit": MAX_QUESTIONS}))
    if read.left_out:
        Teller(stderr_console()).say(read.left_out)

    def asked(client: Client) -> Request:
        named.read(client)
        ref = named.ref(client)
        if ref is None:
            raise BadSettings(f"{probe} cannot be scored", "it is not in the list of probes", "name one of the list")
        return options.request_of(
            ScoreRequest,
            probe=ref,
            questions=read.questions,
            source=shown_name(file.name),
            limit=limit,
            seed=seed,
            go_on=go_on,
        )

    finish(SCORE.name, asked, common, show)


def show(console: Console, scoring: Scoring) -> None:
    """The counts, the AUROCs, each H-neuron's direction, and what they mean."""
    for sentence in scoring.sentences:
        console.print(plain(sentence))
    n = scoring.n
    counts = plain_table("questions", "in training", "too long", "asked", "right", "wrong", "uncertain", "no words")
    counts.add_row(*(f"{count:,}" for count in (
        n.given, n.in_training, n.unaskable, n.asked, n.right, n.wrong, n.uncertain, n.without_words
    )))  # fmt: skip
    console.print(counts)
    table = plain_table("score", "AUROC")
    for name, estimate in rows(scoring):
        table.add_row(plain(name), estimate_text(estimate))
    console.print(table)
    neurons = plain_table("H-neuron", "weight", "AUROC where it was made", "AUROC here", "holds")
    for one in sorted(scoring.of_sign(1), key=lambda one: -one.weight)[:SHOWN]:
        made = "-" if one.trained is None else fixed(one.trained, 3)
        holds = "yes" if one.holds else "no"
        neurons.add_row(plain(str(one.neuron)), fixed(one.weight), made, fixed(one.here, 3), holds)
    console.print(neurons)


def rows(scoring: Scoring) -> list[tuple[str, Estimate | None]]:
    """(name, AUROC) of everything that was compared."""
    auroc = scoring.auroc
    return [
        ("the probe", auroc.probe),
        ("its H-neurons alone, weights as they are", auroc.positive),
        ("its negative weights alone, as they are", auroc.negative),
        (f"random neurons in place of its H-neurons, {scoring.random_sets} sets", auroc.random),
        ("H-neurons minus random neurons", auroc.better),
        ("answer length", auroc.length),
        ("mean log-probability", auroc.log_probability),
        ("first token's probability", auroc.first_token),
        ("entropy", auroc.entropy),
        ("these four together, fitted here", auroc.together),
        ("balanced accuracy at the probe's own threshold", scoring.accuracy),
    ]

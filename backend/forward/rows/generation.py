"""Decoding to the end: a loop over a batch.

Owns `finish`, which runs rows of an open batch until they are done, as many at once as memory allows, and `decode`,
which answers prompts in a batch of their own. Refuses the batch itself (`backend.forward.rows.batch`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backend.forward.capture import Capture
from backend.forward.row import UNTOUCHED, Row, Running, Told, nobody
from backend.forward.rows.batch import Batch
from backend.forward.rows.budget import Budget
from backend.models.loaded import LoadedModel
from backend.types import Decoding, Positions, RowPlan
from backend.watch import SILENT, Watch, check


def finish(
    batch: Batch,
    rows: Sequence[Row],
    watch: Watch = SILENT,
    told: Told = nobody,
    begun: Callable[[list[Running]], None] = lambda runnings: None,
    budget: Budget | None = None,
) -> list[Running]:
    """Answer `rows` to their ends; rows wait where memory has no room for all at once.

    Args:
        told: called with a row after each of its tokens. begun: with rows whose prompts have been read.
    Raises Stopped between two tokens; NotFinite where a row's next token cannot be chosen; as `Batch.add` does.
    """
    budget = budget or Budget(batch.model)
    waiting = list(rows)
    answered: list[Running] = []
    running: list[Running] = []
    while waiting or running:
        check(watch)
        admitted = budget.admit(running, waiting)
        if admitted:
            added = batch.add(waiting[:admitted], told)
            del waiting[:admitted]
            answered += added
            running += added
        else:
            batch.step()
        for row in running:
            if row.error is not None:
                raise row.error
        if admitted:
            begun(added)
        running = [row for row in running if not row.left]
    return answered


def decode(
    model: LoadedModel,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    plans: Sequence[RowPlan] | None = None,
    positions: Positions = "all",
    capture: Capture | None = None,
    watch: Watch = SILENT,
    told: Told = nobody,
    copies: int = 1,
    seeds: Sequence[int] | None = None,
    lean: bool = False,
    prompt_scores: bool = False,
    keep: bool = False,
    ignore_ends: bool = False,
) -> list[Running]:
    """Answer every prompt, all rows in one batch as far as the model can be trusted with it.

    Args:
        plans: what is scaled in each row.
        copies: answers to each prompt; its rows stand one behind another.
        seeds: of each row's draws; by default `decoding.seed` for all.
        lean: no log-probabilities and entropies, and each text only at its end.
        The others are as in `Row`, for every row.
    Raises as `finish` does.
    """
    every = [tuple(prompt) for prompt in prompts for _ in range(copies)]
    rows = [
        Row(
            ids,
            decoding,
            place,
            seed=None if seeds is None else seeds[place],
            plan=UNTOUCHED if plans is None else plans[place],
            positions=positions,
            capture=capture,
            scores=not lean,
            prompt_scores=prompt_scores,
            keep=keep,
            ignore_ends=ignore_ends,
        )
        for place, ids in enumerate(every)
    ]
    with Batch(model) as batch:
        return finish(batch, rows, watch, told)

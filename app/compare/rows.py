"""What of a shown comparison still answers the switches, what has to be asked, and the two put together.

A row depends on its question, its settings and its own neurons with their alphas, and is measured against the
baseline. So a flip asks only for the rows that are new, in a batch with a baseline of its own, and the rows that are
there are kept where that baseline is theirs, token for token. Refuses anything less: then all is asked anew. Pure.
"""

from __future__ import annotations

from app.compare.words import JOINED
from app.roles import labels
from backend.neurons import NeuronSet
from backend.types import CompareRequest, Comparison, Row, RowPlan

Arm = tuple[str, float | None, NeuronSet, tuple[float, ...]]
"""What makes a picked row: arm, its one alpha or None, neurons, their own alphas."""
Twin = tuple[Arm, str | None, int | None]
"""What makes a twin: whose it is, how it was drawn, its seed."""
_WHICH = frozenset(
    ("neurons", "alphas", "own", "against", "against_alpha", "controls", "control_kinds", "control_arms",
     "control_seed")
)  # fmt: skip
"""What of a request says which rows it has. Every other setting, a new one too, is that of all its rows."""


def unscored(request: CompareRequest) -> CompareRequest:
    """The request whoever scores its answers: the answers are the same."""
    return request.model_copy(update={"probe": None})


def arms(request: CompareRequest) -> tuple[Arm, ...]:
    """The picked rows of a request, in the order of the batch."""
    every: list[Arm] = [("chosen", alpha, request.neurons, ()) for alpha in request.alphas if request.neurons]
    if request.own:
        own = {pair.neuron: pair.alpha for pair in request.own}
        neurons = NeuronSet(tuple(own))
        every.append(("own", None, neurons, tuple(own[neuron] for neuron in neurons)))
    if request.against:
        every.append(("against", request.against_alpha, request.against, ()))
    return tuple(every)


def twins(request: CompareRequest, arm: int) -> tuple[Twin, ...]:
    """The twins of one picked row of a request."""
    if arm not in request.control_arms:
        return ()
    of = arms(request)[arm]
    return tuple((of, kind, seed) for kind in request.control_kinds for seed in request.twin_seeds)


def _arm(plan: RowPlan) -> Arm:
    return plan.arm, plan.alpha, plan.neurons, plan.alphas


def _held(shown: Comparison) -> dict[Arm | Twin, Row]:
    """The rows that are there, by what makes them."""
    plans = [row.plan for row in shown.rows]
    by_arm: dict[Arm | Twin, Row] = {}
    for row in shown.rows:
        of = row.plan.control_of
        if of is not None and of < len(plans):
            by_arm[(_arm(plans[of]), row.plan.control, row.plan.seed)] = row
        elif row.plan.arm not in ("baseline", "control"):
            by_arm[_arm(row.plan)] = row
    return by_arm


def missing(wanted: CompareRequest, shown: Comparison | None, fingerprint: str | None) -> CompareRequest | None:
    """The request for those rows of `wanted` that `shown` does not have; None where it has all of them.

    It is `wanted` itself where nothing of `shown` can stay: another question, other settings, another model than the
    one loaded, which has this `fingerprint`.
    """
    if shown is None or shown.model.fingerprint != fingerprint:
        return wanted
    if any(getattr(shown.request, name) != getattr(wanted, name) for name in type(wanted).model_fields.keys() - _WHICH):
        return wanted
    answered, asked = _held(shown), arms(wanted)
    new = [
        place for place, arm in enumerate(asked) if not {arm, *twins(wanted, place)} <= answered.keys()
    ]  # fmt: skip
    if len(new) == len(asked):
        return wanted
    return _only(wanted, asked, new) if new else None


def _only(wanted: CompareRequest, asked: tuple[Arm, ...], new: list[int]) -> CompareRequest:
    """`wanted` with these picked rows and their twins alone."""
    kinds = [asked[place][0] for place in new]
    alphas = tuple(alpha for kind, alpha, _, _ in (asked[place] for place in new) if kind == "chosen")
    return CompareRequest.model_validate(
        wanted.model_dump()
        | {
            "alphas": alphas,
            "neurons": wanted.neurons if alphas else NeuronSet(),
            "own": wanted.own if "own" in kinds else (),
            "against": wanted.against if "against" in kinds else NeuronSet(),
            "control_arms": tuple(new.index(arm) for arm in wanted.control_arms if arm in new),
        }
    )


def join(wanted: CompareRequest, shown: Comparison, new: Comparison | None) -> Comparison | None:
    """`wanted` answered by the rows of `new` and, where it has none, those of `shown`; None where they do not fit.

    They fit where the baseline of both says the same, token for token, after the same prompt of the same model.
    """
    fresh = new or shown
    if not _same_baseline(shown, fresh):
        return None
    answered, now = _held(shown), _held(fresh)
    asked, rows, old = arms(wanted), [fresh.rows[0]], [False]
    drawn = [
        (place, key)
        for kind in wanted.control_kinds
        for seed in wanted.twin_seeds
        for place in (wanted.control_arms if asked else ())
        for key in [(asked[place], kind, seed)]
    ]
    wanted_rows: list[tuple[int | None, Arm | Twin]] = [*((None, arm) for arm in asked), *drawn]
    for of, key in wanted_rows:
        row = now.get(key) or answered.get(key)
        if row is None:
            return None
        rows.append(row if of is None else _of(row, of + 1))
        old.append(new is not None and key not in now)
    names = labels([row.plan for row in rows])
    kept = [name for name, before in zip(names, old, strict=True) if before]
    own_notes = tuple(note for note in fresh.notes if not note.startswith(JOINED))
    return Comparison(
        request=wanted, model=fresh.model, prompt_tokens=fresh.prompt_tokens, rows=tuple(rows),
        notes=(*own_notes, *((f"{JOINED}: {', '.join(kept)}.",) if kept else ())),
    )  # fmt: skip


def _same_baseline(first: Comparison, other: Comparison) -> bool:
    base, theirs = first.rows[0], other.rows[0]
    return (
        first.model.fingerprint == other.model.fingerprint
        and [token.id for token in first.prompt_tokens] == [token.id for token in other.prompt_tokens]
        and (base.token_ids, base.finish) == (theirs.token_ids, theirs.finish)
    )


def _of(row: Row, place: int) -> Row:
    """A twin's row, whose own row now stands at `place`."""
    return row.model_copy(update={"plan": row.plan.model_copy(update={"control_of": place})})

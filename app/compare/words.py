"""What is said about a comparison: names of rows, the heading, the split, the cost.

Owns sentences computed from a `Comparison`, each true of that result alone. Refuses to draw and to
judge causes: one question is an anecdote, and the sentences say so. No Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from app import roles
from backend.neurons import NO_EXPERT
from backend.text import verdict as judging
from backend.types import Comparison, Row, RowPlan
from backend.types.numbers import counted, short

Verdict = Literal["right", "wrong", "uncertain", "unmarked"]

MAX_COLUMNS = 4
ANECDOTE = "A single example is an anecdote; the random twin beside it is the control."
NO_CONTROL = "A single example is an anecdote, and no random twin was run to show what other neurons would do."


def held(plan: RowPlan) -> str:
    """What was done to the row: 'untouched', 'α = 0 on 3 neurons', 'α = 0 on 3 others of layer 17'."""
    if plan.arm == "baseline":
        return "untouched"
    at = "own α" if plan.alpha is None else f"α = {roles.alpha_text(plan.alpha)}"
    if plan.arm != "control":
        return f"{at} on {counted(len(plan.neurons), 'neuron')}"
    others = counted(len(plan.neurons), "other")
    return f"{at} on {others}{_whence(plan)}"


def _whence(plan: RowPlan) -> str:
    sites = sorted({neuron.site for neuron in plan.neurons})
    if plan.control == "free":
        return ", any layer"
    if len(sites) == 1:
        return f" of {sites[0].words}"
    return ", same layers" if all(site.expert == NO_EXPERT for site in sites) else ", same experts"


def columns(plans: Sequence[RowPlan]) -> tuple[int, ...]:
    """Which rows stand side by side: the baseline, what the switches make, its first twin, then all else picked.

    `MAX_COLUMNS` of them stand in a line. Other twins are told of beside their own row, and stand in the table.
    """
    first = roles.main(plans)
    if first is None:
        return (0,)
    of = {place: plan.control_of for place, plan in enumerate(plans) if roles.kind(plan) == "control"}
    twin = next((place for place, whose in of.items() if whose == first), next(iter(of), None))
    picked = [place for place, plan in enumerate(plans) if roles.kind(plan) == "chosen" and place != first]
    return (0, first, *([] if twin is None else [twin]), *picked)


def first_picked(result: Comparison) -> Row | None:
    """The row that the switches made, None where there is only the baseline."""
    place = roles.main([row.plan for row in result.rows])
    return None if place is None else result.rows[place]


def own_alphas(plan: RowPlan, most: int = 4) -> str:
    """'α = 0: L17:N412, L17:N1033; α = 2: L17:N98' where a row's neurons have each their own; else nothing."""
    if plan.alpha is not None or not plan.alphas:
        return ""
    by_alpha: dict[float, list[str]] = {}
    for neuron, alpha in zip(plan.neurons, plan.alphas, strict=True):
        by_alpha.setdefault(alpha, []).append(str(neuron))
    sentences = [
        f"α = {roles.alpha_text(alpha)}: {', '.join(names[:most])}"
        + (f" and {len(names) - most:,} more" if len(names) > most else "")
        for alpha, names in sorted(by_alpha.items())
    ]
    return "; ".join(sentences[:6]) + (f"; and {len(sentences) - 6} more values" if len(sentences) > 6 else "")


def twin_told(result: Comparison, place: int) -> str:
    """What the twins of a picked row did where none of them stands beside it; that it has none, where it has none."""
    row = result.rows[place]
    if roles.kind(row.plan) != "chosen":
        return ""
    twins = [other for other in result.rows if other.plan.control_of == place]
    if not twins:
        return "No random twin was run at this α."
    shown = {
        number
        for number in columns([number.plan for number in result.rows])
        if result.rows[number].plan.control_of == place
    }
    moved = sum(twin.split is not None for twin in twins)
    if len(twins) > 1:
        return f"{moved} of its {len(twins)} random twins {'differs' if moved == 1 else 'differ'} from the baseline."
    if shown:
        return ""
    return "Its random twin differs from the baseline too." if moved else "Its random twin gives the baseline’s answer."


def split_token(result: Comparison, row: Row) -> str:
    """How the baseline goes on where `row` leaves it: its token there, quoted where it has no letter, or 'its end'."""
    if row.split is None:
        return ""
    tokens = result.rows[0].tokens
    if row.split.position >= len(tokens):
        return "its end"
    shown = tokens[row.split.position].shown
    return shown if any(map(str.isalnum, shown)) else f"“{shown}”"


def _done(plan: RowPlan) -> str:
    number = counted(len(plan.neurons), "neuron")
    if plan.alpha is None:
        return f"{number} at their own α" if len(plan.neurons) > 1 else f"{number} at its own α"
    words = {0.0: "off", 0.5: "at half", 2.0: "doubled", 3.0: "tripled"}
    return f"{number} {words.get(plan.alpha, f'at α = {roles.alpha_text(plan.alpha)}')}"


def heading(result: Comparison) -> str:
    """The finding of the first picked row and its twins in one sentence, computed, never supposed."""
    row = first_picked(result)
    if row is None:
        return "The answer with every neuron left alone"
    if row.split is None:
        return f"With {_done(row.plan)}, the answer stays the same; {_twins(result, row, changed=False)}"
    where = split_token(result, row)
    return f"With {_done(row.plan)}, the answer changes at {where}; {_twins(result, row, changed=True)}"


def _twins(result: Comparison, row: Row, *, changed: bool) -> str:
    place = result.rows.index(row)
    twins = [other for other in result.rows if other.plan.control_of == place]
    moved = [twin for twin in twins if twin.split is not None]
    if not twins:
        return "no random twin was run"
    if len(twins) > 1:
        share = f"{len(moved)} of {len(twins)}" if moved else f"none of {len(twins)}"
        return f"{share} random twins {'change' if len(moved) > 1 else 'changes'} it"
    if moved:
        return f"the random twin's changes{' too, ' if changed else ' '}at {split_token(result, moved[0])}"
    return "the random twin's does not" if changed else "so does the random twin's"


def worth(result: Comparison) -> str:
    """What the finding is worth: one question, how it was decoded, where the control stands."""
    decoding = result.request.decoding
    how = "greedy decoding" if decoding.temperature == 0 else f"sampled at temperature {short(decoding.temperature)}"
    has_control = any(roles.kind(row.plan) == "control" for row in result.rows)
    sampled = "" if decoding.temperature == 0 else " Sampled answers also differ by chance."
    batch = "batches with the same baseline" if joined(result) else "one batch"
    return f"one question, {how}, {batch}.{sampled} {ANECDOTE if has_control else NO_CONTROL}"


JOINED = "Computed in an earlier batch, beside the same baseline"


def joined(result: Comparison) -> bool:
    """Whether some rows come from the batch before."""
    return any(note.startswith(JOINED) for note in result.notes)


def verdict(text: str, known: Sequence[str], overruled: Verdict | None = None) -> Verdict:
    """By the rule that Identify uses, against the known answer's spellings; a person's own mark stands above it."""
    if overruled is not None:
        return overruled
    if not known:
        return "unmarked"
    return judging.verdict(text, known)


def length(row: Row) -> str:
    """Token count, and why the answer ended where that was not of itself."""
    cut = {"length": ", cut at the limit", "stopped": ", stopped", "stop_text": ", ended by a stop text"}
    return counted(len(row.token_ids), "token") + cut.get(row.finish, "")


def proof(row: Row) -> str:
    """What the hooks really did, as they counted it: '3 neurons × 42 tokens set to α = 0'."""
    if not row.touched.neurons:
        return ""
    at = "their own α" if row.plan.alpha is None else f"α = {roles.alpha_text(row.plan.alpha)}"
    neurons, tokens = counted(row.touched.neurons, "neuron"), counted(row.touched.tokens, "token")
    return f"{neurons} × {tokens} set to {at}"


def sameness(result: Comparison, row: Row) -> str:
    """How the row's answer relates to the baseline's, in words that need no colour."""
    if roles.kind(row.plan) == "baseline":
        return ""
    if row.split is None:
        return "Identical to the baseline, token for token."
    if row.text == result.rows[0].text:
        return "Same text as the baseline, from different tokens."
    return f"First differs from the baseline at answer token {row.split.position + 1}."

"""What is said about an exploration: the heading, what it is worth, how the answer ended.

Owns sentences computed from an `Exploration`, each true of that result alone. Refuses verdicts: CETT
says what writes, not whether the answer is true. No Streamlit; text comes out as Markdown, escaped.
"""

from __future__ import annotations

from math import exp

from app.cell import Cell, Score
from app.charts import cells
from app.charts.scores import SCORES, Tints, values
from app.text import markdown
from backend.types import Exploration, ModelInfo
from backend.types.numbers import counted, percent, short

CAUTION = "CETT says which neurons write most here. It does not say whether the answer is true."

HOW_CETT = """
A layer's feed-forward part adds the sum of its neurons' contributions to what the model passes on.
A neuron's **CETT** is the length of its own contribution, divided by the length of the whole sum.

- near 0: the neuron hardly writes here; 0.3 or more: it writes much, compared with what the layer adds
- contributions can cancel, so the CETT of all neurons together is never below 1
- **× reference mean** divides by the neuron's reference mean, its mean CETT on ordinary text: some neurons are
  always large

Rows are layers, the first at the bottom; columns are tokens as the model sees them. Click a cell to rank its
neurons. Source: Gao et al. 2025.
"""

HOW_RANKED = """
The neurons that write most at this layer and token. Tick some to choose them for Compare.

- **CETT**: the length of what the neuron adds here, divided by the length of what its layer adds
- **Pushes towards**: the output tokens whose score (logit) the neuron's output direction raises most
- **× mean**: CETT here, divided by the neuron's reference mean (its mean CETT on ordinary text)
- a neuron is *strong* if its CETT is above the mean + k standard deviations; this happens on true answers too
"""


def place(result: Exploration, cell: Cell) -> str:
    """'Layer 17 at ·Elon', as Markdown."""
    return f"Layer {cell.layer} at {markdown(result.tokens[cell.pos].shown)}"


def heading(result: Exploration, score: Score) -> str:
    """Where the score is largest among the answer's words that carry content, in a sentence; of an answer whose truth
    is known, that too."""
    finding = _finding(result, score)
    if result.truth is None:
        return finding
    lead = {"right": "A right answer", "wrong": "A wrong answer", "uncertain": "An uncertain answer"}
    return (
        f"{lead[result.truth.verdict]}: {finding.replace('Layer', 'layer', 1) if finding[:5] == 'Layer' else finding}"
    )


def _finding(result: Exploration, score: Score) -> str:
    cell = cells.standing_out(result, score)
    token = markdown(result.tokens[cell.pos].shown)
    value = SCORES[score].told(values(result, score)[cell.layer, cell.pos])
    where = f"Layer {cell.layer}"
    if score == "largest":
        neuron = cells.largest(result, cell)
        return f"{where} has the largest neuron at {token}: {neuron}, CETT {value}"
    if score == "usual":
        (neuron,) = result.model.layout.at(cell.layer, result.usual_index[cell.layer, cell.pos, :1])
        return f"{neuron} stands out most at {token}: {value} times its reference mean"
    if score == "top10":
        return f"{where} has the ten largest neurons at {token}: CETT {value} together"
    if score == "sum":
        return f"{where} has the largest sum of CETT at {token}: {value}"
    if score == "concentration":
        return f"{where} is the most concentrated at {token}: ten neurons make up {value} of the sum"
    return f"{where} has the most strong neurons at {token}: {value}"


def truth(result: Exploration) -> str | None:
    """What is known of the answer, with its verdict as a badge; None where nobody said what is right."""
    known = result.truth
    if known is None:
        return None
    badge = {"right": ":blue-badge[right]", "wrong": ":orange-badge[wrong]", "uncertain": ":gray-badge[uncertain]"}
    return f"{badge[known.verdict]} {markdown(known.note)}"


def ending(result: Exploration) -> str:
    """How long the answer is, how it was chosen and how it ended."""
    tokens = [token for token in result.tokens if token.role == "answer"]
    count = counted(len(tokens), "token")
    decoding = result.request.decoding
    how = "always the likeliest token" if decoding.temperature == 0 else (
        f"drawn at temperature {short(decoding.temperature)}, seed {decoding.seed}"
    )  # fmt: skip
    ends = {
        "end": "ended by the model",
        "length": f"cut at {counted(decoding.max_new_tokens, 'token')}",
        "stop_text": "ended by a stop text",
        "given": "given, not generated",
        "stopped": "stopped",
    }
    stops = ", ".join(f"“{markdown(visible(words))}”" for words in decoding.stop)
    until = f"; stops at {stops}" if stops else ""
    return f"{count}, {ends[result.finish]}" + ("" if result.finish == "given" else f"; {how}{until}")


def visible(words: str) -> str:
    """A text with its line breaks as they are written in code: a stop text is often one alone."""
    return words.replace("\n", "\\n")


def certainty(result: Exploration) -> str | None:
    """The answer's least likely token and its probability; None where none is known."""
    known = [
        (token.log_prob, token.shown)
        for token in result.tokens
        if token.role == "answer" and token.log_prob is not None
    ]
    if not known:
        return None
    log_prob, shown = min(known)
    return f"The model was least sure of {markdown(shown)}: it gave it a probability of {percent(exp(log_prob))}."


def tint(score: Score, tints: Tints) -> str:
    """What the strip's tint says, with the figures at its ends."""
    low, high = (SCORES[score].told(value) for value in (tints.low, tints.high))
    return f"The deeper the tint, the larger the {SCORES[score].axis}: {low} to {high}. Dots are spaces."


def other_model(result: Exploration, loaded: ModelInfo) -> str:
    """That the figures belong to another model than the one loaded now."""
    asked, now = markdown(result.model.name), markdown(loaded.name)
    return f"These figures are of {asked}. Now {now} is loaded; Run asks that model."


def strong_count(result: Exploration, cell: Cell) -> str:
    """How many strong neurons a cell has, by which rule."""
    _, count = cells.strong_in(result, cell)
    over = {"layer": "this layer at this token", "token": "all layers at this token", "model": "all layers and tokens"}
    threshold = result.request.threshold
    rule = f"CETT above mean + {short(threshold.k)} standard deviations of {over[threshold.population]}"
    return f"{counted(count, 'strong neuron')} here: {rule}."

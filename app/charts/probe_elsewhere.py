"""A probe on questions that it was not made from: each score's AUROC, and each H-neuron's direction.

Owns the rows of the chart and the table of the neurons. Pure: no Streamlit.
"""

from __future__ import annotations

import pandas as pd

from app.charts.probe_worth import Kind, Scored
from backend.types.estimate import Estimate
from backend.types.numbers import counted
from backend.types.scoring import Scoring


def scored(scoring: Scoring) -> list[Scored]:
    """What was compared, in the order of the chart; those that could not be computed are left out."""
    auroc, count = scoring.auroc, len(scoring.of_sign(1))
    rows: list[tuple[str, Kind, Estimate | None]] = [
        (f"its {counted(count, 'H-neuron')}, weights as they are", "chosen", auroc.positive),
        (f"{counted(count, 'random neuron')}, same layers", "twin", auroc.random),
        ("its negative weights, as they are", "against", auroc.negative),
        ("the probe, all its neurons", "chosen", auroc.probe),
        ("answer length", "baseline", auroc.length),
        ("mean log-probability", "baseline", auroc.log_probability),
        ("first token's probability", "baseline", auroc.first_token),
        ("entropy", "baseline", auroc.entropy),
        ("these four together, fitted here", "baseline", auroc.together),
    ]
    return [Scored(name, kind, estimate) for name, kind, estimate in rows if estimate is not None]


def neurons_table(scoring: Scoring) -> pd.DataFrame:
    """Each neuron of the probe: its AUROC alone where the probe was made and here, and whether its direction holds."""
    ordered = sorted(scoring.neurons, key=lambda one: -one.weight)
    return pd.DataFrame(
        {
            "neuron": [str(one.neuron) for one in ordered],
            "weight": [one.weight for one in ordered],
            "AUROC alone, training": [one.trained for one in ordered],
            "AUROC alone, here": [one.here for one in ordered],
            "its direction holds here": ["yes" if one.holds else "no" for one in ordered],
        }
    )

"""Tables are read as figures are elsewhere, at their ends too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import frame
from tests import pages_run
from tests.fakes_app import FakeClient


def page() -> None:
    import pandas as pd

    from app.shared import frame

    table = pd.DataFrame(
        {
            "name": ["a", "b", "c"], "q": [6.4e-15, 0.5, None], "share": [0.0, 0.25, 1.0], "count": [1, 2, 1_000_000],
            "none": [float("nan")] * 3,
        }
    )  # fmt: skip
    frame.figures(table, key="t", alt="Figures")


def test_a_tiny_figure_is_written_with_its_power_and_other_columns_stay_numbers() -> None:
    app = AppTest.from_function(page).run()
    shown = app.dataframe[0].value
    assert not app.exception and list(shown["q"]) == ["6.4 × 10⁻¹⁵", "0.5", ""]
    assert list(shown["share"]) == [0.0, 0.25, 1.0] and list(shown["count"]) == [1, 2, 1_000_000]


@pytest.mark.parametrize(
    ("figures", "format"),
    [([0.5], "%.4f"), ([5.0], "%.3f"), ([5.0, 4e-4], "%.4f"), ([400.0], "%.1f"), ([400.0, 0.02], "%.2f"), ([], "%.4f")],
)
def test_a_column_has_as_many_digits_as_its_smallest_figure_needs(figures: list[float], format: str) -> None:
    assert frame.number_format(pd.Series(figures, dtype=float)) == format


def elements(block: Any) -> Iterator[Any]:
    """All that stands on a page, top to bottom."""
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from elements(child)
        else:
            yield child


@pytest.mark.parametrize(("page", "least"), [("explore", 3), ("compare", 3), ("identify", 4)])
def test_every_chart_stands_under_words_that_name_it(page: str, least: int) -> None:
    app = pages_run.opened(page, FakeClient())
    if page == "identify":
        parts = next(one for one in app.button_group if one.key == "more-of-card")
        parts.set_value(list(parts.options)[:1]).run()
    charts, unnamed, above = 0, [], ""
    for one in elements(app.main):
        if one.type in ("header", "subheader") or (one.type == "markdown" and "**" in one.value):
            above = one.value
        elif one.type == "plotly_chart":
            charts += 1
            unnamed += [] if above else [f"chart {charts}"]
            above = ""
    assert charts >= least and not unnamed

"""Tables are read as figures are elsewhere, at their ends too."""

from __future__ import annotations

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import frame


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
    assert frame._digits(pd.Series(figures, dtype=float)) == format

"""The frame around every figure: heading, explanation, text for those who hear it, table, downloads.

Owns how figures, notes and headings stand on a page. Refuses to draw figures: `app.charts` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session, text
from app.shared import picture
from backend import spreadsheet
from backend.types import numbers
from backend.types.base import Frozen

SMALLEST_PLAIN = 1e-4
"""A figure closer to 0 would be zeros alone, or lose its head in a narrow column."""
MANY_COLUMNS = 7
"""A table of so many has a popover that is wider than those of others (`app.style`)."""
QUIET = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "showTips": False}
"""Plotly's settings for every chart: no mode bar; pictures are saved from under the figure."""


def muted(words: str) -> str:
    """Markdown in the small muted text of captions, 6:1 or better on the page in both themes."""
    return f":small[:gray[{words}]]"


def heading(words: str, help: str | None = None, *, label: str | None = "How to read it") -> DeltaGenerator:
    """A figure's heading with its explanation; the row, for more controls on its right.

    The explanation is a popover called `label`, or with None a question mark beside the heading.
    """
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    row.subheader(words, anchor=False, width="content", help=help if label is None else None)
    if help is not None and label is not None:
        with row.popover(label, type="tertiary"):
            st.markdown(help)
    return row


def figure(
    chart: go.Figure,
    *,
    key: str,
    alt: str,
    title: str,
    table: pd.DataFrame | Callable[[], None],
    name: str,
    csv: pd.DataFrame | None = None,
    result: Frozen | None = None,
    on_select: Callable[[], None] | None = None,
    chart_key: str | None = None,
    note: str | None = None,
) -> None:
    """A chart with what belongs to it: text alternative, caption, table twin and downloads.

    Args:
        chart: the figure, styled by its palette.
        key: unique on the page; letters, digits, '-' and '_'.
        alt: the figure in words, read to those who do not see it.
        title: the figure's name in a few words.
        table: the same figures as a table, or a function that draws it.
        name: file name of the downloads, without ending.
        csv: what the CSV holds; by default `table`.
        result: the whole result for JSON; without it the JSON holds the table.
        on_select: called when points are picked in the chart.
        chart_key: key of the chart itself, where a caller reads its selection.
        note: a caption under the chart.
    """
    with st.container(key=f"figure-{key}", gap=None):
        extra: dict[str, Any] = {} if on_select is None else {"on_select": on_select, "selection_mode": ("points",)}
        st.plotly_chart(chart, theme=None, key=chart_key or f"chart-{key}", config=QUIET, alt=alt, **extra)
    downloads(key=key, title=title, table=table, name=name, csv=csv, result=result, note=note)


def downloads(
    *,
    key: str,
    title: str,
    table: pd.DataFrame | Callable[[], None],
    name: str,
    csv: pd.DataFrame | None = None,
    result: Frozen | None = None,
    pictures: bool = True,
    note: str | None = None,
) -> None:
    """The caption under a figure, and folded away beside it table twin and downloads. Arguments as for `figure`."""
    line = st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small", wrap=False
    )
    if note:
        line.markdown(muted(note), width="stretch")
    with line.popover("Table, downloads", icon=":material/table:", type="tertiary", key=f"more-{key}"):
        if callable(table):
            table()
        else:
            figures(table, key=f"table-{key}", alt=f"{title}, as a table")
        data = csv if csv is not None else (table if isinstance(table, pd.DataFrame) else pd.DataFrame())
        row = st.container(horizontal=True, vertical_alignment="center")
        file = _file_name(name)
        row.download_button(
            "CSV", lambda: spreadsheet.csv(data), f"{file}.csv", "text/csv", key=f"csv-{key}",
            on_click="ignore", help="These figures, for a spreadsheet",
        )  # fmt: skip
        row.download_button(
            "JSON", lambda: _json(data, result), f"{file}.json", "application/json", key=f"json-{key}",
            on_click="ignore", help="The whole result with its request and model" if result else "These figures",
        )  # fmt: skip
        if pictures:
            with row:
                picture.buttons(f"figure-{key}", file, title, session.palette().page, key=f"picture-{key}")


def figures(table: pd.DataFrame, *, key: str, alt: str, **extra: Any) -> None:
    """A table whose figures are read as elsewhere (`readable`); one of many columns has a popover as wide as it."""
    shown, columns = readable(table)
    with st.container(key=f"wide-{key}") if len(table.columns) >= MANY_COLUMNS else nullcontext():
        st.dataframe(shown, hide_index=True, key=key, alt=alt, column_config=columns or None, **extra)


def readable(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[Any, Any]]:
    """A table as it is shown: few digits, figures near 0 with a power of ten, none cut at its head.

    A column stays one of numbers, which a click sorts, unless it holds a figure that needs a power of ten.

    Returns:
        The table with such columns as text, and how each of the others is written (`column_config`).
    """
    floats = [place for place, kind in enumerate(table.dtypes) if pd.api.types.is_float_dtype(kind)]
    # Of all columns at once: a map has a hundred, and its table is drawn in every run of its page.
    sizes = table.iloc[:, floats].to_numpy(dtype=float, na_value=np.nan)
    sizes = np.where(sizes == 0, np.nan, np.abs(sizes))
    smallest, largest = np.fmin.reduce(sizes, initial=np.nan), np.fmax.reduce(sizes, initial=np.nan)
    shown, columns = table.copy(), {}
    for place, low, high in zip(floats, smallest, largest, strict=True):
        name, format = table.columns[place], _format(low, high)
        if format is not None:
            columns[name] = st.column_config.NumberColumn(format=format)
        else:
            shown[name] = ["" if pd.isna(value) else numbers.short(float(value)) for value in table[name]]
    return shown, columns


def number_format(figures: pd.Series[float], places: int | None = None) -> str | None:
    """How a column of numbers is written, so that its smallest is seen; None where that takes a power of ten.

    Args:
        figures: the column; what is missing or 0 counts for nothing.
        places: digits behind the point where the smallest figure needs no more: by default 4 below 1, fewer above.
    """
    sizes = figures.dropna().abs()
    sizes = sizes[sizes > 0]
    return _format(float(sizes.min()), float(sizes.max()), places)


def _format(smallest: float, largest: float, places: int | None = None) -> str | None:
    """The same of the smallest and the largest figure, which are NaN where there is none but 0."""
    if smallest < SMALLEST_PLAIN:
        return None
    if places is None:
        places = 3 if 1 <= largest < 100 else 1 if largest >= 100 else 4
    while places < 4 and smallest < 10**-places:
        places += 1
    return f"%.{places}f"


def _json(data: pd.DataFrame, result: Frozen | None) -> bytes:
    if result is not None:
        return json.dumps(result.model_dump(mode="json"), ensure_ascii=False).encode()
    return data.to_json(orient="records", force_ascii=False).encode()


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "figure"


def notes(*sentences: str | None) -> None:
    """What could not be read from a link, or does not fit into one or here: seen, and in nobody's way."""
    sentences_shown = [text.markdown(sentence) for sentence in sentences if sentence is not None]
    if sentences_shown:
        st.info("  \n".join(sentences_shown), icon=":material/link:")

"""A figure of a report card, and what is clicked in one."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.shared import frame
from backend.types.probe import Probe


def picked(key: str) -> Any:
    """What the point clicked in the chart of `key` carries; None where none is."""
    points = st.session_state[key]["selection"]["points"]
    data = points[0].get("customdata") if points else None
    return data[0] if isinstance(data, list) else data


def figure(key: str, chart: go.Figure, probe: Probe, title: str, alt: str, table: pd.DataFrame, **extra: Any) -> None:
    frame.figure(chart, key=key, title=title, alt=alt, table=table, name=f"{probe.name}-{key}", **extra)

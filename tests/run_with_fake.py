"""The whole app over a client with canned results: `streamlit run tests/run_with_fake.py`, to look at pages.

HNEURONS_TRY_PACE sets the seconds between streamed events.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from app import session  # noqa: E402  the path comes first
from tests.fakes_app import FakeClient  # noqa: E402  the path comes first


@st.cache_resource
def _shared() -> FakeClient:
    return FakeClient(pace=float(os.environ.get("HNEURONS_TRY_PACE", "0.15")))


session.use(_shared())
runpy.run_path(str(ROOT / "app" / "main.py"), run_name="__main__")

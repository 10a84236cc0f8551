"""The whole app over a client with canned results: `streamlit run tests/run_with_fake.py`, to look at pages.

HNEURONS_TRY_PACE sets the seconds between streamed events.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

if (ROOT := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, ROOT)

import streamlit as st

from app import session
from tests.fakes_app import FakeClient


@st.cache_resource
def _shared() -> FakeClient:
    return FakeClient(pace=float(os.environ.get("HNEURONS_TRY_PACE", "0.15")))


session.use(_shared())
runpy.run_path(str(Path(ROOT) / "app" / "main.py"), run_name="__main__")

"""One page of the app, run as AppTest runs it."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.fakes_app import FakeClient

PAGES = Path(__file__).resolve().parents[1] / "app" / "pages"
PATIENCE = 60


def opened(page: str, client: FakeClient, **params: str) -> AppTest:
    """The page's file, run once with this engine and this address."""
    app = AppTest.from_file(str(PAGES / page), default_timeout=PATIENCE)
    app.session_state["client"] = client
    for key, value in params.items():
        app.query_params[key] = value
    return app.run()

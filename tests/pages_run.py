"""One page of the app, run as AppTest runs it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from app import rooms
from tests.fakes_app import FakeClient

PATIENCE = 60


def opened(page: str, client: FakeClient, **params: str) -> AppTest:
    """The page's file, run once with this engine and this address."""
    app = AppTest.from_file(str(rooms.file(page)), default_timeout=PATIENCE)
    app.session_state["client"] = client
    for key, value in params.items():
        app.query_params[key] = value
    return app.run()

"""The frame of the app: its name, its pages, its logo. Run it with `streamlit run app/main.py`.

Owns what stands on every page, and who may ask for it. Refuses content: that is the
pages', which `app.rooms` lists.

Streamlit reads this file twice: as a module, for the server named `app`, and as the script that it runs for each
visitor. At the top it imports nothing heavy, so that the first visitor of a server sees the frame while charts, tables
and engine are imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

# Streamlit puts this folder on the path; the packages lie one above it.
if (ROOT := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, ROOT)

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from app import head, rooms, style
from backend.serve.hosts import TrustedHosts, trusted
from backend.serve.http.wire import Patience

READY = "app.explore.figures"
"""Imports charts, tables and the client of the engine."""
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Draw the frame and run the chosen page."""
    st.set_page_config("H-Neuron Explorer", str(HERE / "assets" / "icon.svg"), layout="wide")
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.logo(str(HERE / "assets" / f"logo-{theme}.svg"), size="large")
    st.html(style.css(style.of(theme)))
    chosen = st.navigation(rooms.pages(), position="top")
    _import()
    chosen.run()


def bound() -> str:
    """Where the server listens; at every address of the machine unless it is told otherwise."""
    return str(st.get_option("server.address") or "")


def _import() -> None:
    """What every page needs, which takes seconds in a new server: meanwhile the page says what it will show."""
    # There in every run: were it in the first alone, the second would draw all below it anew and close popovers.
    first = st.empty()
    if READY in sys.modules:
        return
    with first.container():
        st.header("Which neurons write the model’s answer?", anchor=False)
        st.markdown(
            ":small[:gray[The page is loading. It starts with an example while the model loads in the background.]]"
        )
    import_module(READY)
    first.empty()


def _opened_bare(request: Request) -> RedirectResponse:
    """The first page has a name as the others have, and Streamlit shows it under the bare address alone."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")


if __name__ == "__main__":
    main()
else:
    app = st.App(
        __file__,
        routes=[Route(f"/{rooms.FIRST}", _opened_bare)],
        middleware=[Middleware(Patience), Middleware(TrustedHosts, hosts=trusted(bound())), Middleware(head.Style)],
    )

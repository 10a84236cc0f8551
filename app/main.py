"""The frame of the app: its name, its pages, its logo. Run it with `streamlit run app/main.py`.

Owns what stands on every page, and who may ask for it. Refuses content: each page is a module of `app.pages`.

Streamlit reads this file twice: as a module, for the server named `app`, and as the script that it runs for each
visitor.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this folder on the path; the packages lie one above it.
if (ROOT := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, ROOT)

import streamlit as st
from starlette.middleware import Middleware

from app import pages, session
from backend.serve.hosts import TrustedHosts, trusted

HERE = Path(__file__).resolve().parent
PAGES = (
    ("pages/explore.py", "Explore"),
    ("pages/compare.py", "Compare"),
    ("pages/identify.py", "Identify"),
    ("pages/models.py", "Models"),
)


def main() -> None:
    """Draw the frame and run the chosen page."""
    st.set_page_config("H-Neuron Explorer", str(HERE / "assets" / "icon.svg"), layout="wide")
    theme = session.palette().theme
    st.logo(str(HERE / "assets" / f"logo-{theme}.svg"), size="large")
    listed = [st.Page(HERE / path, title=title, default=place == 0) for place, (path, title) in enumerate(PAGES)]
    chosen = st.navigation(listed, position="top")
    pages.framed()
    chosen.run()


def bound() -> str:
    """Where the server listens; at every address of the machine unless it is told otherwise."""
    return str(st.get_option("server.address") or "")


if __name__ == "__main__":
    main()
else:
    app = st.App(__file__, middleware=[Middleware(TrustedHosts, hosts=trusted(bound()))])

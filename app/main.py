"""The frame of the app: its name, its pages, its logo. Run it with `streamlit run app/main.py`.

Owns what stands on every page. Refuses content: each page is a module of `app.pages`.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this folder on the path; the packages lie one above it.
if (ROOT := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, ROOT)

import streamlit as st

from app import pages, session

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


if __name__ == "__main__":
    main()

"""A server that has drawn nothing yet: the page says what it will show before what takes seconds is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.places import REPOSITORY

DRAWN = """
import importlib, sys

import streamlit as st
from streamlit.testing.v1 import AppTest

before, real = set(sys.modules), importlib.import_module
heavy = ("pandas", "torch", "plotly.graph_objs._figure", "pydantic", "backend.types", "app.session")


def watched(name, *rest):
    if name == "app.explore.figures":
        print([one for one in heavy if one in sys.modules and one not in before])
        st.stop()
    return real(name, *rest)


importlib.import_module = watched
page = AppTest.from_file("app/main.py", default_timeout=60).run()
print([one.value for one in (*page.header, *page.markdown)])
"""
"""The first run of a page, ended where it begins to import. Streamlit's testing has pandas before."""


@pytest.mark.timeout(180)
def test_the_first_page_says_what_it_will_show_before_the_import_begins() -> None:
    ran = subprocess.run([sys.executable, "-c", DRAWN], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    imported, shown = ran.stdout.strip().splitlines()
    assert imported == "[]"
    assert "Which neurons write the model’s answer?" in shown and "The page is loading" in shown

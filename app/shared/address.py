"""The address of a page, written at the end of a run.

Owns the one piece of script that puts a view in the place of a page's bare address, where a step of its own would make
Back show the same twice. Refuses to say what stands in an address: `app.views` does.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app import rooms, session
from app.views import Page

_JS = """
export default function (component) {
  const { search } = component.data;
  if (location.search === "") history.replaceState(history.state, "", location.pathname + search);
}
"""


def close(page: Page) -> None:
    """Write the page's part of the view into the address: the last thing that a page does."""
    place = session.close_view(page)
    if place:
        mount = st.components.v2.component("bare_address", html="<span></span>", js=_JS)
        mount(key="bare-address", data={"search": "?" + urlencode(place, errors="replace")})


def go(page: Page, **fields: Any) -> None:
    """Show another page, as a link in the navigation does, with these fields of its view; Back brings this one as it
    is."""
    session.change_page(page, **fields)
    session.leave()
    rooms.go(page)

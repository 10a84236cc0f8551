"""The first that a browser shows: something at once from a cold server, and nothing in colours that are not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import looks
from tests.browser.conftest import serving, settled, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),
]
HEADINGS = """
window.headings = [];
new MutationObserver(() => {
  const heading = document.querySelector("[data-testid=stHeading]");
  const words = heading ? heading.textContent.trim() : "";
  if (words && words !== window.headings.at(-1)) window.headings.push(words);
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
"""Notes every heading that the page has shown first of all, in order."""


def test_a_cold_server_says_what_the_page_will_show_before_it_can_show_it(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, tmp_path / "server.log") as address:
        tab = browser.new_page()
        try:
            tab.add_init_script(HEADINGS)
            tab.goto(address)
            until(tab, lambda: len(tab.evaluate("window.headings")) > 1, "the finding in the place of the first words")
            first, second = tab.evaluate("window.headings")[:2]
            assert first == "Which neurons write the model’s answer?" != second
            settled(tab)
            assert tab.get_by_text("The page is loading").count() == 0
        finally:
            tab.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_buttons_have_our_colours_before_the_script_that_draws_styles_has_come(
    page: Page, browser: Browser, address: str, theme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=theme)
    held: list[Route] = []
    try:
        tab = context.new_page()
        # Streamlit fetches what draws `st.html` by itself: here it comes last.
        tab.route("**/Html.*.js", lambda route: held.append(route))
        tab.goto(address)
        expect(tab.locator("button kbd")).to_be_visible()
        expect(tab.get_by_role("radio", checked=True).first).to_be_visible()
        assert held and looks.steady(tab, looks.FAINT) == []
        for route in held:
            route.continue_()
        until(tab, lambda: tab.evaluate("document.body.textContent.includes('button kbd')"), "the page's own style")
        assert looks.steady(tab, looks.FAINT) == []
    finally:
        context.close()

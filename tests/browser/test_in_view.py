"""What a person asked for is in the window, and not only somewhere on the page: the cell of a link, the run begun."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import settled, until
from tests.browser.steps import ask, click_cell, go, the_map

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),
]
MOMENT = 30_000
"""Milliseconds for what is scrolled to on a page that stands there."""


@pytest.mark.parametrize("size", [(1280, 560), (390, 700)])
def test_a_link_to_a_cell_opens_with_the_cell_in_the_window(
    page: Page, browser: Browser, size: tuple[int, int]
) -> None:
    ask(page, "What is the capital of Egypt?")
    click_cell(page, layer=7)
    heading = page.get_by_role("heading", name="Layer 7 at", exact=False)
    expect(heading).to_be_visible()
    until(page, lambda: "cell=" in page.url, "the cell in the address")
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    try:
        tab = context.new_page()
        tab.goto(page.url)
        settled(tab)
        expect(tab.get_by_role("heading", name="Layer 7 at", exact=False)).to_be_attached()
        # Its row of the map, in which it is marked: layer 7 of 30 is in the lowest third.
        expect(tab.locator(".st-key-figure-map")).to_be_in_viewport(ratio=0.9, timeout=MOMENT)
        if size[0] > 1000:
            expect(tab.get_by_role("heading", name="Layer 7 at", exact=False)).to_be_in_viewport(timeout=MOMENT)
        tab.mouse.move(size[0] / 2, 300)
        tab.mouse.wheel(0, -2000)
        # A later run of the page does not bring it back.
        tab.get_by_role("radio", name="Top 10").evaluate("one => one.click()")
        until(tab, lambda: "score=top10" in tab.url, "the other score")
        settled(tab)
        assert tab.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0, "a person scrolls"
        expect(the_map(tab)).to_have_count(1)
    finally:
        context.close()


@pytest.mark.parametrize("size", [(1280, 700), (390, 700)])
def test_start_has_the_run_that_it_began_in_the_window(page: Page, size: tuple[int, int]) -> None:
    name = f"seen-{size[0]}"
    go(page, "Identify")
    page.get_by_role("button", name="Train on my questions").click()
    settled(page)
    page.get_by_label("Name of the run").fill(name)
    page.get_by_label("Name of the run").press("Enter")
    settled(page)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    start = page.get_by_role("button", name="Start", exact=False)
    # As low in the window as it can stand and be pressed.
    start.evaluate("button => button.scrollIntoView({ block: 'end' })")
    start.click()
    begun = page.locator(".st-key-just-started")
    expect(begun).to_be_in_viewport(ratio=0.9, timeout=MOMENT)
    expect(begun.get_by_text(name)).to_be_in_viewport(timeout=MOMENT)
    begun.get_by_role("button", name="Stop").click()
    expect(begun.get_by_text("is no longer running", exact=False)).to_be_visible()

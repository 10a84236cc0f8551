"""What a person does in the browser, for tests: asking, going to a page, clicking a cell, opening a popover.

Owns the steps that several tests take. Refuses to judge: a step that does not come to its end fails by itself.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, TimeoutError

from tests.browser.conftest import settled, until

LAYERS = 30


def prompt_box(page: Page) -> Locator:
    return page.get_by_role("textbox").first


def run_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Run", exact=False).first


def ask(page: Page, prompt: str) -> None:
    """Type a question and run it, and wait for its figures."""
    prompt_box(page).fill(prompt)
    run_button(page).click()
    until(page, lambda: page.get_by_role("button", name="Stop").count() == 0 and shown(page, prompt), "the answer")
    settled(page)


def shown(page: Page, prompt: str) -> bool:
    """Whether the figures on the page are those of `prompt`: its first word stands in the token strip."""
    return the_map(page).count() > 0 and "prompt=" in page.url and prompt_box(page).input_value() == prompt


def the_map(page: Page) -> Locator:
    """The layer by token map: question left, answer right."""
    return page.locator(".st-key-figure-map .nsewdrag")


def click_cell(page: Page, layer: int, across: float = 0.8) -> None:
    """Click the map in the row of `layer`, in the answer's part."""
    panel = the_map(page)
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + across * box["width"], box["y"] + (1 - (layer + 0.5) / LAYERS) * box["height"])


def answers(page: Page) -> Locator:
    """The finished columns of Compare."""
    return page.locator("[class*='st-key-answer-']")


def open_popover(page: Page, name: str, held: Locator) -> None:
    """Open a popover that holds `held`. A click while the page is drawn anew may go astray: then once more."""
    button = page.get_by_role("button", name=name).first
    for _ in range(3):
        settled(page)
        button.click()
        try:
            held.wait_for(state="attached", timeout=10_000)
            return
        except TimeoutError:
            continue
    pytest.fail(f"the popover {name} does not open")


def go(page: Page, name: str) -> None:
    """To another page by the navigation, in the same session."""
    page.get_by_role("link", name=name, exact=True).click()
    settled(page)

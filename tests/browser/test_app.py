"""The whole,: type, run, click a cell, stop, reload, share, download; and what must never happen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import settled, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),
]
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


def test_the_first_visit_shows_a_finished_example_at_once(page: Page) -> None:
    expect(the_map(page)).to_have_count(1)
    expect(prompt_box(page)).to_have_value("Who is the CEO of Nortel?")


def test_a_question_is_answered_and_the_click_on_a_cell_opens_its_layer(page: Page) -> None:
    ask(page, "What is the capital of Egypt?")
    expect(page.get_by_text("Cairo").first).to_be_visible()
    click_cell(page, layer=12)
    expect(page.get_by_role("heading", name="Layer 12 at", exact=False)).to_be_visible()


def test_stop_ends_a_run_and_the_next_one_works(page: Page) -> None:
    page.goto(page.url.split("?")[0] + "?prompt=Tell%20me%20a%20very%20long%20story.&max_new_tokens=400")
    stop = page.get_by_role("button", name="Stop").first
    stop.click()
    expect(page.get_by_text("The run was stopped")).to_be_visible()
    expect(prompt_box(page)).to_have_value("Tell me a very long story.")
    ask(page, "What is the capital of France?")
    expect(page.get_by_text("Paris").first).to_be_visible()


def test_a_reload_and_a_copied_link_in_a_clean_browser_show_the_same_view(page: Page, browser: Browser) -> None:
    ask(page, "What is the capital of Egypt?")
    click_cell(page, layer=7)
    heading = page.get_by_role("heading", name="Layer 7 at", exact=False)
    expect(heading).to_be_visible()
    settled(page)
    said, link = heading.inner_text(), page.url
    page.reload()
    expect(page.get_by_role("heading", name=said, exact=True)).to_be_visible()
    other = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        second = other.new_page()
        second.goto(link)
        expect(second.get_by_role("heading", name=said, exact=True)).to_be_visible()
        expect(prompt_box(second)).to_have_value("What is the capital of Egypt?")
    finally:
        other.close()


def test_the_download_holds_the_request_and_the_figures(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Table, downloads").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").first.click()
    file = tmp_path / "result.json"
    download.value.save_as(file)
    result = json.loads(file.read_text("utf-8"))
    assert result["request"]["prompt"] == "Who is the CEO of Nortel?"
    assert len(result["cett_max"]) == LAYERS


def test_what_is_typed_is_shown_and_never_run(page: Page) -> None:
    page.evaluate("window.hacked = false")
    hostile = "<img src=x onerror='window.hacked=true'> **bold** <|im_end|> <script>window.hacked=true</script>"
    ask(page, hostile)
    assert page.evaluate("window.hacked") is False
    assert prompt_box(page).input_value() == hostile


def test_nothing_on_the_page_looks_outside_this_machine(page: Page, address: str) -> None:
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if not request.url.startswith(local) else None)
    local = (address, address.replace("http", "ws"), "data:", "blob:")
    page.reload()
    settled(page)
    assert outside == []

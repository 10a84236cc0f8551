"""On a phone: a page moves up and down alone, switches stand in lines of their own, pills wrap, labels stand apart."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import looks
from tests.browser.conftest import settled
from tests.browser.steps import answers

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),
]
WIDTH, HEIGHT = 390, 844
NEURONS = "L21:N477,L21:N894,L21:N1248"
MANY_ROWS = f"compare?prompt=Who+is+the+CEO+of+Nortel%3F&neurons={NEURONS}&alphas=0.0,0.5,2.0,3.0&max_new_tokens=12"


@pytest.fixture
def phone(page: Page) -> Page:
    """The tab as wide as a phone."""
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    return page


def opened(phone: Page, address: str, path: str) -> None:
    """Open a page and let it come to rest."""
    phone.goto(f"{address}/{path}")
    settled(phone)


def assert_fits(phone: Page) -> None:
    """Nothing moves sideways but a figure that says so, and nothing in the page is cut or stands on another."""
    for box in ("document.querySelector('[data-testid=stMain]')", "document.documentElement"):
        assert phone.evaluate(f"{box}.scrollWidth") <= WIDTH
    for measure in (looks.SQUEEZED, looks.TOUCHING):
        assert looks.steady(phone, measure) == []


def test_compare_with_many_rows_has_its_switches_stacked_and_its_labels_apart(phone: Page, address: str) -> None:
    opened(phone, address, MANY_ROWS)
    expect(answers(phone)).to_have_count(6)
    settled(phone)
    rows = phone.locator("[class*=st-key-switchrow-]")
    expect(rows).to_have_count(3)
    for row in rows.all():
        name, switch = row.get_by_role("button").first.bounding_box(), row.get_by_role("radiogroup").bounding_box()
        assert name is not None and switch is not None
        assert switch["y"] >= name["y"] + name["height"], "the switch stands under its neuron's name"
    expect(phone.locator(".st-key-compare-beside button").last).to_be_visible()
    assert_fits(phone)
    rows.first.get_by_role("radio", name="Own α").click()
    expect(rows.first.get_by_role("spinbutton")).to_be_visible()
    settled(phone)
    assert_fits(phone)


def test_a_set_of_h_neurons_fits_with_its_menu_and_its_one_switch(phone: Page, address: str) -> None:
    opened(phone, address, "compare")
    menu = phone.get_by_role("button", name="H-neurons").first
    menu.click()
    off = phone.get_by_test_id("stPopoverBody").get_by_role("button", name="All off", exact=True)
    expect(off).to_be_visible()
    assert_fits(phone)
    off.click()
    expect(phone.get_by_text("one for all", exact=True)).to_be_visible()
    settled(phone)
    assert_fits(phone)


def test_every_part_of_the_report_card_fits(phone: Page, address: str) -> None:
    opened(phone, address, "identify")
    for part in phone.locator(".st-key-more-of-card").get_by_role("radio").all():
        part.click()
        settled(phone)
        assert_fits(phone)


@pytest.mark.parametrize("path", ["", "identify?room=train", "identify?room=answers", "identify?room=probes", "models"])
def test_the_other_pages_and_rooms_fit(phone: Page, address: str, path: str) -> None:
    opened(phone, address, path)
    if path.endswith("train"):
        phone.get_by_text("Settings", exact=True).click()
        expect(phone.get_by_label("Temperature")).to_be_visible()
        settled(phone)
    assert_fits(phone)

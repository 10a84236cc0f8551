"""Tables in a window of 1280: no column out of sight; and no download of one holds a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend import spreadsheet
from tests.browser import looks
from tests.browser.conftest import at_rest, settled
from tests.browser.steps import answers, ask

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),
]
MANY_ROWS = (
    "compare?prompt=Who+is+the+CEO+of+Nortel%3F&neurons=L21:N477,L21:N894,L21:N1248&alphas=0.0,0.5,2.0,3.0"
    "&max_new_tokens=12"
)
FORMULA = "=cmd|' /C calc'!A0 +1 @SUM is"
OWN_DOWNLOAD = "[data-testid=stElementToolbar] button[aria-label*='Download']"
"""Streamlit's own button at every table, which writes such a text as it is."""


def assert_all_in_sight(page: Page) -> None:
    """Every table that stands on the page, and each under its figure, has all its columns in sight."""
    settled(page)
    assert looks.steady(page, looks.CLIPPED) == []
    assert_only_our_downloads(page)
    for folded in page.get_by_role("button", name="Table, downloads").all():
        folded.scroll_into_view_if_needed()
        folded.click()
        table = page.get_by_test_id("stPopoverBody").get_by_test_id("stDataFrame")
        expect(table.locator("canvas").first).to_be_visible()
        assert looks.steady(page, looks.CLIPPED) == []
        assert_only_our_downloads(page)
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)


def assert_only_our_downloads(page: Page) -> None:
    """Streamlit's download of a table is there and takes no place (it is only pale where nobody points at a table)."""
    for table in page.get_by_test_id("stDataFrame").all():
        if table.is_visible():
            own = table.locator("xpath=ancestor-or-self::*[@data-testid='stElementContainer'][1]").locator(OWN_DOWNLOAD)
            assert own.count() == 1 and not own.is_visible()


@pytest.mark.parametrize("path", ["", MANY_ROWS, "identify?room=answers", "identify?room=probes", "models"])
def test_no_table_of_a_page_has_a_column_out_of_sight(page: Page, address: str, path: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{address}/{path}")
    settled(page)
    if path == MANY_ROWS:
        expect(answers(page)).to_have_count(6)
        page.get_by_text("All 9 answers", exact=True).click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    assert_all_in_sight(page)


def test_all_answers_stay_open_while_the_scores_of_some_come(page: Page, address: str) -> None:
    page.goto(f"{address}/{MANY_ROWS.replace('Nortel', 'Enron')}")
    expect(answers(page)).to_have_count(6)
    page.get_by_text("All 9 answers", exact=True).click()
    expect(answers(page).get_by_text("Score of the probe", exact=False)).to_have_count(6)
    settled(page)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=20_000)


def test_no_table_of_the_report_card_has_a_column_out_of_sight(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{address}/identify")
    settled(page)
    assert_all_in_sight(page)
    parts = page.locator(".st-key-more-of-card")
    for part in parts.get_by_role("radio").all():
        part.click()
        settled(page)
        assert looks.steady(page, looks.CLIPPED) == []
        assert_only_our_downloads(page)


def downloaded(page: Page, key: str, folder: Path) -> list[list[str]]:
    """The CSV under the figure of `key`, cell by cell, as a spreadsheet reads it."""
    # Streamlit lets go of a file that was asked for when the page is drawn anew before it is fetched.
    at_rest(page)
    page.locator(f".st-key-more-{key}").get_by_role("button", name="Table, downloads").click()
    at_rest(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert download.value.failure() is None
    file = folder / f"{key}.csv"
    download.value.save_as(file)
    page.keyboard.press("Escape")
    return list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_a_token_that_begins_like_a_formula_is_none_in_any_csv_that_a_page_gives(
    page: Page, address: str, tmp_path: Path
) -> None:
    ask(page, FORMULA)
    given = {"map": downloaded(page, "map", tmp_path)}
    page.goto(f"{address}/compare?prompt=%3Dcmd%7C%27+%2FC+calc%27%21A0&neurons=L21:N477&max_new_tokens=12")
    settled(page)
    expect(answers(page)).to_have_count(3)
    given |= {key: downloaded(page, key, tmp_path) for key in ("cost", "moved")}
    for key, rows in given.items():
        cells = [cell for row in rows for cell in row if cell]
        formulas = [cell for cell in cells if cell[0] in "=+-@\t\r" and not is_number(cell)]
        assert len(rows) > 1 and not formulas, key
    for key in ("map", "moved"):
        place = given[key][0].index("token")
        tokens = {row[place] for row in given[key][1:]}
        assert any(token.startswith("'=") for token in tokens), tokens
        assert any(spreadsheet.text(token).startswith("=") for token in tokens)

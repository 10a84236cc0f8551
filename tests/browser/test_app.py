"""The whole: type, run, click, choose, compare, stop, reload, share, download, by mouse and by keys; and what must
never happen."""

from __future__ import annotations

import json
import re
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from backend.neurons import NeuronId
from backend.probes import library
from backend.runs.folder import probes_in
from tests.browser import looks
from tests.browser.conftest import serving, settled, until
from tests.browser.steps import (
    LAYERS,
    answers,
    ask,
    click_cell,
    go,
    open_popover,
    prompt_box,
    run_button,
    shown,
    the_map,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser"),
]
HEADER, ROW_HEIGHT = 35, 34
"""Pixels of a table's first row and of the others."""


def test_the_first_visit_shows_a_finished_example_at_once(page: Page) -> None:
    expect(the_map(page)).to_have_count(1)
    expect(prompt_box(page)).to_have_value("Who is the CEO of Nortel?")


def test_a_question_is_answered_and_the_click_on_a_cell_opens_its_layer(page: Page) -> None:
    ask(page, "What is the capital of Egypt?")
    expect(page.get_by_text("Cairo").first).to_be_visible()
    click_cell(page, layer=12)
    expect(page.get_by_role("heading", name="Layer 12 at", exact=False)).to_be_visible()


def test_one_press_of_back_leaves_a_page_that_the_navigation_opened(page: Page) -> None:
    page.get_by_role("link", name="Compare").click()
    until(page, lambda: "/compare?" in page.url, "the view in the place of the bare address")
    settled(page)
    page.go_back()
    until(page, lambda: "compare" not in page.url, "the page before")
    expect(the_map(page)).to_have_count(1)


def tick(page: Page, row: int) -> None:
    """Tick a row of the ranked neurons."""
    box = page.locator("[data-testid='stDataFrame']").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + HEADER + ROW_HEIGHT * (row + 0.5))


def chosen_in_address(page: Page, count: int) -> bool:
    """Whether the address names so many chosen neurons."""
    named = parse_qs(urlsplit(page.url).query).get("neurons", [""])[0]
    return len([name for name in named.split(",") if name]) == count


def test_neurons_ticked_in_a_cell_are_switched_off_beside_the_baseline_and_a_random_twin(page: Page) -> None:
    ask(page, "What is the opposite of hot?")
    click_cell(page, layer=20)
    expect(page.get_by_role("heading", name="Layer 20 at", exact=False)).to_be_visible()
    settled(page)
    for row in (0, 1):
        tick(page, row)
        until(page, partial(chosen_in_address, page, row + 1), "a tick")
        settled(page)
    page.get_by_role("button", name="Switch these 2 on Compare").click()
    expect(answers(page)).to_have_count(3)
    expect(page.get_by_text("2 neurons ×", exact=False).first).to_be_visible()
    expect(page.get_by_text("Random twin").first).to_be_visible()
    assert "prompt=What+is+the+opposite+of+hot%3F" in page.url and "compare" in page.url


def tab_to(page: Page, target: Locator, most: int = 120) -> None:
    """Press Tab until `target` has the focus."""
    for _ in range(most):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{target} cannot be reached by Tab")


def test_everything_on_the_way_to_a_comparison_can_be_done_by_keys(page: Page) -> None:
    tab_to(page, prompt_box(page))
    page.keyboard.press("Control+A")
    page.keyboard.type("What is the capital of Egypt?", delay=20)
    page.keyboard.press("Control+Enter")
    until(page, lambda: shown(page, "What is the capital of Egypt?"), "the answer")
    settled(page)
    tab_to(page, page.get_by_role("button", name="Add neurons").first)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Type or paste neurons"))
    page.keyboard.type("L21:N477, L21:N894", delay=20)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, lambda: "neurons=L21" in page.url, "the typed neurons")
    page.keyboard.press("Escape")
    settled(page)
    tab_to(page, page.get_by_role("button", name="Switch these 2 on Compare"))
    page.keyboard.press("Enter")
    expect(answers(page)).to_have_count(3)


def test_a_neuron_file_is_taken_and_a_broken_one_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    good, broken = tmp_path / "set.json", tmp_path / "broken.json"
    good.write_text('["L3:N5", "L29:N1535"]', "utf-8")
    broken.write_text('["L3:N5", ', "utf-8")
    open_popover(page, "Add neurons", page.locator("input[type=file]").first)
    page.locator("input[type=file]").first.set_input_files(broken)
    expect(page.get_by_text("broken.json").first).to_be_visible()
    expect(page.get_by_test_id("stAlert").first).to_be_visible()
    page.locator("input[type=file]").first.set_input_files(good)
    until(page, lambda: "neurons=L3%3AN5%2CL29%3AN1535" in page.url, "the set of the file")


def test_a_probe_from_a_file_is_marked_scores_the_answer_and_is_switched_off_as_a_whole(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("layer,neuron,weight\n17,98,4\n21,256,2.5\n12,7,-3\n")
    ask(page, "What is the capital of Kenya?")
    go(page, "Identify")
    page.get_by_text("Compare probes", exact=True).click()
    settled(page)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_label("Name of the probe")).to_have_value("theirs")
    settled(page)
    page.get_by_role("button", name=re.compile("Import$")).click()
    expect(page.get_by_role("heading", name="2 neurons in a probe from theirs.csv", exact=False)).to_be_visible()
    settled(page)
    go(page, "Explore")
    expect(page.get_by_text("▲ 2 H-neurons of theirs, ▼ 1 negative weight", exact=False)).to_be_visible()
    expect(page.get_by_text("what it is worth is not known", exact=False)).to_be_visible()
    page.get_by_text("The probe’s score of this answer", exact=True).click()
    expect(page.get_by_text("It came from a file that holds no judged answers", exact=False)).to_be_visible()
    expect(page.locator(".st-key-figure-score .nsewdrag")).to_have_count(1)
    go(page, "Compare")
    off = page.get_by_role("button", name="All off", exact=True)
    open_popover(page, "H-neurons", off)
    off.click()
    expect(page.get_by_text("2 neurons ×", exact=False).first).to_be_visible()
    expect(page.get_by_text("Score of the probe", exact=False).first).to_be_visible()


def test_the_probe_that_ships_opens_its_report_and_a_clicked_neuron_is_tried_in_compare(page: Page) -> None:
    (file,) = probes_in(library.SHIPPED)
    probe = library.read_file(file)
    assert probe.report is not None
    go(page, "Identify")
    for part in (
        f"{probe.report.funnel.asked:,} questions to {probe.report.test_items} held-out answers",
        "What switching the H-neurons does",
    ):
        expect(page.get_by_role("heading", name=part, exact=False)).to_be_visible()
    settled(page)
    points = page.locator("[class*=st-key-chart-stems] .scatterlayer .point")
    points.first.scroll_into_view_if_needed()
    boxes = [box for box in (point.bounding_box() for point in points.all()) if box is not None]
    lowest = max(boxes, key=lambda box: box["y"])
    page.mouse.click(lowest["x"] + lowest["width"] / 2, lowest["y"] + lowest["height"] / 2)
    until(page, lambda: "card=" in page.url, "the neuron that was clicked")
    clicked = NeuronId.parse(parse_qs(urlsplit(page.url).query)["card"][0])
    found = probe.find(clicked)
    assert found is not None
    assert found.weight < 0, "below the line stand the negative weights"
    expect(page.get_by_role("heading", name=f"Neuron {clicked}", exact=False)).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Try it on Compare").click()
    until(page, lambda: f"neurons={clicked}".replace(":", "%3A") in page.url, "the neuron on Compare")
    settled(page)
    run_button(page).click()
    expect(page.get_by_text("Random twin", exact=False).first).to_be_visible()


def test_a_run_is_started_watched_stopped_and_can_be_resumed(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    rows = [f"What is {one} plus {other}?,{one + other}" for one in range(1, 21) for other in range(1, 11)]
    file.write_text("\n".join(["question,answers", *rows]), "utf-8")
    go(page, "Identify")
    page.get_by_role("button", name="Train on my questions").click()
    settled(page)
    page.get_by_label("Name of the run").fill("sums")
    page.get_by_label("Name of the run").press("Enter")
    page.get_by_text("My file", exact=True).click()
    settled(page)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("200 questions of", exact=False)).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Start", exact=False).click()
    card = page.locator(".st-key-run-sums")
    expect(card.get_by_text("left", exact=False)).to_be_visible()
    card.get_by_role("button", name="Stop").click()
    expect(card.get_by_role("button", name="Resume")).to_be_visible()
    expect(card.get_by_text("not finished", exact=False)).to_be_visible()
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_role("button", name="Stop")).to_be_visible()
    card.get_by_role("button", name="Stop").click()
    expect(card.get_by_role("button", name="Resume")).to_be_visible()


def test_a_cold_server_whose_first_requests_name_pages_has_the_frame_for_all(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, tmp_path / "server.log") as address:
        tabs = [browser.new_page() for _ in range(4)]
        try:
            for tab in tabs:
                # Without waiting: all are first requests.
                tab.goto(f"{address}/models", wait_until="commit")
            for tab in tabs:
                settled(tab)
                for name in ("Explore", "Compare", "Models"):
                    expect(tab.get_by_role("link", name=name, exact=True).first).to_be_visible()
        finally:
            for tab in tabs:
                tab.close()


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
    page.locator(".st-key-more-map").get_by_role("button", name="Table, downloads").click()
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
    local = (address, address.replace("http", "ws"), "data:", "blob:")

    def note(request: Request) -> None:
        if not request.url.startswith(local):
            outside.append(request.url)

    page.on("request", note)
    page.reload()
    settled(page)
    assert outside == []


def test_the_page_answers_under_no_foreign_name_and_opens_its_websocket_to_no_foreign_page(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "A" * 22 + "==",
    }
    asked = (
        ("/", {"Host": "rebound.example"}, 403),
        ("/_stcore/health", {"Host": f"rebound.example:{port}"}, 403),
        ("/", {"Host": f"localhost:{port}"}, 200),
        ("/_stcore/stream", {"Host": "rebound.example", **upgrade}, 403),
        ("/_stcore/stream", {"Host": f"localhost:{port}", "Origin": "http://rebound.example", **upgrade}, 403),
        ("/_stcore/stream", {"Host": f"localhost:{port}", "Origin": "http://localhost:1", **upgrade}, 403),
        ("/_stcore/stream", {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}", **upgrade}, 101),
    )
    for path, headers, status in asked:
        line = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            line.request("GET", path, headers=headers)
            answer = line.getresponse()
            assert answer.status == status, (path, headers)
            if status == 403 and "Upgrade" not in headers:
                assert "HNEURONS_HOSTS" in answer.read().decode()
        finally:
            line.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1280, 720)])
def test_a_first_look_has_the_whole_map_above_the_fold(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    drawn = page.locator(".st-key-figure-map .js-plotly-plot")
    expect(drawn).to_have_count(1)
    settled(page)
    box = drawn.bounding_box()
    assert box is not None and box["y"] + box["height"] <= height
    expect(page.get_by_role("heading", name="A wrong answer", exact=False)).to_be_visible()


@pytest.mark.parametrize("path", ["", "identify"])
def test_a_phone_moves_a_page_up_and_down_alone(page: Page, address: str, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/{path}")
    settled(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scrolled = """() => [...document.querySelectorAll('[class*="st-key-figure-"]')].filter(
        box => box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "auto").length"""
    assert page.evaluate(scrolled) == 0, "a figure wider than the phone scrolls within its own box"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_on_every_page_is_read_on_its_ground(
    page: Page, browser: Browser, address: str, theme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=theme)
    try:
        tab = context.new_page()
        for path in ("", "compare", "identify", "identify?room=train", "identify?room=probes", "models"):
            tab.goto(f"{address}/{path}")
            settled(tab)
            assert looks.steady(tab, looks.FAINT) == [], path
    finally:
        context.close()


def test_the_keyboard_goes_past_the_tokens_and_its_focus_is_seen(page: Page) -> None:
    style = "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth })()"
    page.get_by_role("link", name="Compare").focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(style) == "solid2px"
    skip = page.get_by_role("button", name="Skip the tokens").first
    skip.focus()
    page.keyboard.press("Enter")
    focused = "document.activeElement.shadowRoot === null && document.activeElement !== document.body"
    assert page.evaluate(focused), "the focus is behind the strip, in no token"


def test_leaving_a_run_that_was_to_be_changed_empties_the_form(page: Page, address: str) -> None:
    name = page.get_by_role("textbox", name="Name of the run")
    page.goto(f"{address}/identify?room=train&changing=smollm2-135m-instruct")
    expect(name).to_have_value("smollm2-135m-instruct")
    settled(page)
    page.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_text("Changing smollm2")).to_have_count(0)
    settled(page)
    expect(name).to_have_value("")

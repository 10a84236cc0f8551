"""The app in a real browser: one server with its own data, one Chromium, a picture and the log of every failure.

Owns start and end of both, and how a test waits: for the page's own "not running", never for a time.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cache.paths import models_dir
from tests.places import REPOSITORY

FAILURES = Path(__file__).parent / "failures"
PATIENCE = 180_000
"""Milliseconds until a page that does not come is a failure: a loaded machine is slow, not wrong."""
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty data folder, with the models that were converted before."""
    folder = tmp_path_factory.mktemp("home")
    models_dir().mkdir(parents=True, exist_ok=True)
    (folder / "models").symlink_to(models_dir())
    return folder


@pytest.fixture(scope="session")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server writes: a file, since a pipe that nobody reads fills up."""
    return tmp_path_factory.mktemp("log") / "server.log"


@pytest.fixture(scope="session")
def address(home: Path, log_file: Path) -> Iterator[str]:
    """The address of the running app."""
    with serving(home, log_file) as found:
        yield found


@contextmanager
def serving(home: Path, log_file: Path) -> Iterator[str]:
    """The address of a new server with its data in `home`, which writes to `log_file`."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app/main.py",
        "--server.headless=true",
        f"--server.port={port}",
    ]
    environment = {**os.environ, "HNEURONS_HOME": str(home), "HNEURONS_BACKEND": ""}
    with log_file.open("wb") as log:
        server = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_up(server, f"http://127.0.0.1:{port}/_stcore/health", log_file)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_up(server: subprocess.Popen[bytes], url: str, log_file: Path) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.fail(f"the server ended with {server.returncode}:\n{log_file.read_text('utf-8', 'replace')}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not answer:\n{log_file.read_text('utf-8', 'replace')}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium where it is, else Playwright's own."""
    path = shutil.which("chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A clean browser: no cookies, no storage."""
    made = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Let fixtures see whether the test failed."""
    outcome: Any = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture
def page(context: BrowserContext, address: str, request: pytest.FixtureRequest, log_file: Path) -> Iterator[Page]:
    """A tab on the app's first page. A failing test keeps what the tab shows and what the server wrote."""
    tab = context.new_page()
    tab.goto(address)
    settled(tab)
    yield tab
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed:
        FAILURES.mkdir(exist_ok=True)
        name = re.sub(r"\W+", "-", request.node.name)
        tab.screenshot(path=FAILURES / f"{name}.png", full_page=True)
        shutil.copyfile(log_file, FAILURES / f"{name}.log")


def settled(tab: Page) -> None:
    """Wait until the page has run to its end."""
    tab.wait_for_selector("[data-testid='stHeading']")
    app = tab.locator("[data-testid='stApp']")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")


def at_rest(tab: Page) -> None:
    """Wait until nothing is looked up behind the page any more: for two seconds no part of it has run."""
    app = tab.locator("[data-testid='stApp']")
    quiet: list[bool] = []

    def still() -> bool:
        quiet.append(app.get_attribute("data-test-script-state") == "notRunning")
        return len(quiet) >= 20 and all(quiet[-20:])

    until(tab, still, "a page at rest")


def until(tab: Page, truth: Callable[[], bool], what: str) -> None:
    """Wait until `truth` holds; fails saying what was waited for."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        if truth():
            return
        tab.wait_for_timeout(100)
    pytest.fail(f"waited in vain: {what}")

"""Our style in the head of the HTML that Streamlit serves: whole, once, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from app import head, style

HTML = "<!doctype html><html><head><title>x</title></head><body><div id=root></div><p></head></p></body></html>"
BROWSER = {"Accept": "text/html,application/xhtml+xml", "Accept-Encoding": "gzip"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "index.html").write_text(HTML, "utf-8")
    (tmp_path / "a.js").write_text("'</head>'", "utf-8")
    routes = [
        Route("/health", lambda request: JSONResponse({"html": "</head>"})),
        Mount("/", StaticFiles(directory=tmp_path, html=True)),
    ]
    # As Streamlit has it: what is pressed is pressed behind our middleware.
    return TestClient(
        Starlette(routes=routes, middleware=[Middleware(head.Style), Middleware(GZipMiddleware, minimum_size=1)])
    )


def test_the_page_has_the_style_of_both_themes_in_its_head_alone(client: TestClient) -> None:
    page = client.get("/", headers=BROWSER)
    top, rest = page.text.split("</head>", 1)
    assert top.startswith("<!doctype html><html><head><title>x</title><style>") and top.endswith("</style>")
    assert rest == HTML.split("</head>", 1)[1]
    assert style.rules(style.LIGHT) in top
    dark = top[top.index("@media (prefers-color-scheme: dark)") :]
    assert style.rules(style.DARK) in dark and top.count("{") == top.count("}")
    assert int(page.headers["content-length"]) == len(page.content)


def test_an_older_page_is_never_taken_for_this_one(client: TestClient) -> None:
    page = client.get("/", headers=BROWSER)
    assert "etag" not in page.headers and "last-modified" not in page.headers
    plain = client.get("/").headers
    again = client.get("/", headers={**BROWSER, "If-None-Match": plain["etag"], "Range": "bytes=0-3"})
    assert again.status_code == 200 and again.content == page.content


@pytest.mark.parametrize("path", ["/a.js", "/health", "/absent"])
def test_what_is_no_page_passes_as_it_is(client: TestClient, path: str) -> None:
    asked = client.get(path, headers=BROWSER)
    assert "style" not in asked.text and asked.text == client.get(path, headers={"Accept": "*/*"}).text


def test_a_question_about_the_page_alone_is_answered_as_before(client: TestClient) -> None:
    assert client.head("/", headers=BROWSER).headers["content-length"] == str(len(HTML))

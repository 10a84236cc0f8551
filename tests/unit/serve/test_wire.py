"""Connections that keep the service waiting are given up, and never keep others waiting."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from backend.serve.http import app as http
from backend.serve.http import bodies, wire
from backend.serve.http.app import create_app
from backend.serve.local.client import LocalClient
from tests.doors import PATIENCE, assert_error_shape, local, served
from tests.fakes import FakeEngine

SOON = 0.3
HEAD = "POST /v1/explore HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local(FakeEngine()) as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.PatientProtocol, "head_seconds", SOON)
    monkeypatch.setattr(wire.PatientProtocol, "rest_seconds", SOON)
    monkeypatch.setattr(bodies.Bodies.__init__, "__defaults__", (SOON, bodies.MAX_TOGETHER))
    monkeypatch.setattr(wire.Patience.__init__, "__defaults__", (SOON,))


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def heard(line: socket.socket) -> bytes:
    """All that comes until the other side closes; a reset counts as that."""
    got = b""
    try:
        while piece := line.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def drip(line: socket.socket, pieces: Callable[[int], bytes]) -> None:
    """Send a little again and again, until nobody takes it."""
    for number in range(int(PATIENCE / (SOON / 6))):
        try:
            line.sendall(pieces(number))
        except OSError:
            return
        time.sleep(SOON / 6)


@pytest.mark.parametrize("sent", ["", "GET /v1/status HTTP/1.1\r\nHost: local", HEAD])
def test_a_head_that_does_not_come_ends_the_connection(impatient: None, client: LocalClient, sent: str) -> None:
    with served(client) as address, connected(address) as line:
        line.sendall(sent.encode())
        begun = time.monotonic()
        assert heard(line) == b""
        assert SOON / 2 < time.monotonic() - begun < PATIENCE


def test_a_head_that_drips_in_ends_the_connection_too(impatient: None, client: LocalClient) -> None:
    with served(client) as address, connected(address) as line:
        line.sendall(HEAD.encode())
        dripping = threading.Thread(target=drip, args=(line, lambda number: f"X-{number}: y\r\n".encode()), daemon=True)
        dripping.start()
        assert heard(line) == b""


@pytest.mark.parametrize("drips", [False, True], ids=["pauses", "drips"])
def test_a_body_that_does_not_come_is_refused_in_words(impatient: None, client: LocalClient, drips: bool) -> None:
    with served(client) as address, connected(address) as line:
        line.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode())
        if drips:
            threading.Thread(target=drip, args=(line, lambda number: b" "), daemon=True).start()
        head, _, body = heard(line).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408")
        assert_error_shape(json.loads(body))


def test_a_connection_that_is_used_again_and_a_slow_answer_are_left_alone(impatient: None, client: LocalClient) -> None:
    with served(client) as address, httpx.Client(trust_env=False, timeout=PATIENCE) as one:
        job = one.post(f"{address}/v1/jobs", json={"verb": "explore", "request": {"prompt": "x"}, "session": "a"})
        assert job.status_code == 202
        view = one.get(f"{address}/v1/jobs/{job.json()['id']}", params={"after": 10_000, "wait": 4 * SOON})
        assert view.status_code == 200


def test_the_rest_of_a_body_that_was_refused_is_not_read_for_ever(impatient: None, client: LocalClient) -> None:
    with served(client) as address, connected(address) as line:
        line.sendall(f"{HEAD}Content-Length: {10 * bodies.MAX_BODY}\r\n\r\n".encode())
        threading.Thread(target=drip, args=(line, lambda number: b" "), daemon=True).start()
        head, _, body = heard(line).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        assert_error_shape(json.loads(body))


def test_who_waits_for_news_does_not_hold_up_those_who_ask(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WAITING", 4)
    gate = threading.Event()

    def hold(index: int) -> None:
        assert gate.wait(PATIENCE)

    engine = FakeEngine(on_token=hold)
    with local(engine) as held, served(held) as address, httpx.Client(trust_env=False, timeout=PATIENCE) as one:
        job = one.post(
            f"{address}/v1/jobs", json={"verb": "explore", "request": {"prompt": "x"}, "session": "a"}
        ).json()
        waiting = [
            threading.Thread(
                target=httpx.get,
                args=(f"{address}/v1/jobs/{job['id']}",),
                kwargs={"params": {"after": 10_000, "wait": 2}, "trust_env": False, "timeout": PATIENCE},
            )
            for _ in range(12)
        ]
        for thread in waiting:
            thread.start()
        time.sleep(SOON)
        begun = time.monotonic()
        assert one.get(f"{address}/v1/status").status_code == 200
        assert time.monotonic() - begun < 2, "twelve wait in four places, and this one is answered at once"
        gate.set()
        for thread in waiting:
            thread.join(PATIENCE)


def test_many_long_bodies_at_once_are_refused_before_they_fill_the_memory(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies.Bodies.__init__, "__defaults__", (wire.IDLE_SECONDS, 1000))
    with TestClient(create_app(client), "http://localhost") as one:
        refused = one.post("/v1/explore", json={"prompt": "x" * 2000})
        assert refused.status_code == 503
        assert_error_shape(refused.json())
        assert one.post("/v1/explore", json={"prompt": "x"}).status_code == 200


async def reading(request: Request) -> Response:
    """A foreign application that reads the whole body and then answers."""
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def page(impatient: None) -> Iterator[str]:
    """An application behind `Patience` in a server that is configured by somebody else, as the page's."""
    app = Starlette(
        routes=[Route("/", reading, methods=["GET", "POST"]), WebSocketRoute("/ws", opened_socket)],
        middleware=[Middleware(wire.Patience)],
    )
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(PATIENCE)


async def opened_socket(line: WebSocket) -> None:
    await line.accept()
    await asyncio.sleep(3 * SOON)
    await line.send_text("still here")
    await line.close()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("", b""),
        ("GET / HTTP/1.1\r\nHost: local", b""),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc", b"408"),
    ],
)
def test_the_page_s_server_gives_up_on_what_does_not_come(page: str, sent: str, answer: bytes) -> None:
    with connected(page) as line:
        line.sendall(sent.encode())
        begun = time.monotonic()
        told = heard(line)
        assert (answer in told) if answer else told == b""
        assert SOON / 2 < time.monotonic() - begun < PATIENCE


def test_a_body_that_comes_reaches_the_page_s_server_whole(page: str) -> None:
    assert httpx.post(page, content=iter([b"a" * 1000] * 50), timeout=PATIENCE).text == "50000"


def test_a_websocket_of_the_page_stays_open_while_nothing_is_said(page: str) -> None:
    with connect(page.replace("http", "ws") + "/ws") as line:
        assert line.recv(timeout=PATIENCE) == "still here"


def test_a_packed_body_is_refused_as_packed(client: LocalClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with TestClient(create_app(client), base_url="http://localhost") as service:
        told = service.post("/v1/explore", content=gzip.compress(b'{"prompt": "a"}'), headers=headers)
    assert told.status_code == 415 and told.json()["error"]["what"] == "The body is packed"

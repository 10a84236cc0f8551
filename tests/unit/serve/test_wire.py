"""Connections that keep the service waiting are given up, and never keep others waiting."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi.testclient import TestClient

from backend.serve import bodies, http, wire
from backend.serve.http import create_app
from backend.serve.local import LocalClient
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
    monkeypatch.setattr(bodies.Bodies.__init__, "__defaults__", (bodies.IDLE_SECONDS, 1000))
    with TestClient(create_app(client), "http://localhost") as one:
        refused = one.post("/v1/explore", json={"prompt": "x" * 2000})
        assert refused.status_code == 503
        assert_error_shape(refused.json())
        assert one.post("/v1/explore", json={"prompt": "x"}).status_code == 200

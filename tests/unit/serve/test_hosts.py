"""Who may ask: under which names, and from which web pages; the same rule for HTTP and websockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from backend.errors import BadSettings
from backend.serve.hosts import Hosts, TrustedHosts, host_name, trusted
from backend.serve.http.app import create_app
from backend.serve.local.client import LocalClient
from tests.doors import assert_error_shape, local, served
from tests.fakes import FakeEngine

LOOPBACK_ALONE = Hosts()
FOREIGN = ["evil.example", "evil.example:8600", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5"]
FOREIGN += ["127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "[::2]", "[::ffff:1.2.3.4]", "localhost@evil.example"]
MALFORMED = ["", "a b", "localhost:port", "localhost:99999", "local host", "[::1", "localhost/..", "löcalhost"]
OURS = [
    "localhost",
    "LOCALHOST:8600",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:1",
    "[::1]",
    "[::1]:8600",
    "[0:0:0:0:0:0:0:1]",
]


async def _let_in(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "let in"})


def answered(kind: str, headers: list[tuple[str, str]], hosts: Hosts = LOOPBACK_ALONE, **scope: Any) -> int:
    """Status of a request with these headers: 200 where it is let in; a websocket that is closed counts as 403."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    asked = {
        "type": kind, "path": "/", "method": "GET", "server": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode("utf-8")) for name, value in headers], **scope,
    }  # fmt: skip
    # In a thread of its own: a browser test in the same process may keep a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(TrustedHosts(_let_in, hosts)(asked, receive, send))).result()
    first = sent[0]
    return {"let in": 200, "websocket.close": 403}.get(first["type"]) or int(first["status"])


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_refused_whatever_it_resembles(kind: str, host: str) -> None:
    assert answered(kind, [("host", host)]) in (400, 403)


@pytest.mark.parametrize("host", MALFORMED)
def test_what_is_no_host_is_refused(host: str) -> None:
    assert answered("http", [("host", host)]) == 400


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", OURS)
def test_loopback_names_are_trusted_with_any_port(kind: str, host: str) -> None:
    assert answered(kind, [("host", host)]) == 200


def test_no_host_two_hosts_and_the_absolute_form_are_refused_and_forwarded_ones_ignored() -> None:
    assert answered("http", []) == 400
    assert answered("http", [("host", "localhost"), ("host", "evil.example")]) == 400
    assert answered("http", [("host", "localhost")], path="http://evil.example/v1/status") == 400
    for name in ("x-forwarded-host", "forwarded", "x-host", "x-original-host"):
        assert answered("http", [("host", "evil.example"), (name, "localhost")]) == 403
        assert answered("http", [("host", "localhost"), (name, "evil.example")]) == 200


def test_hosts_are_added_by_the_setting_and_by_where_the_server_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNEURONS_HOSTS", " Teacher-PC , *.school.edu,[fe80::1], fd00::2,")
    hosts = trusted("192.168.1.20")
    for name in ("teacher-pc", "a.b.school.edu", "fe80::1", "fd00::2", "192.168.1.20", "localhost"):
        assert hosts.trusts(name), name
    for name in ("school.edu", "xschool.edu", "evil.example", "192.168.1.21"):
        assert not hosts.trusts(name), name
    monkeypatch.setenv("HNEURONS_HOSTS", "*")
    assert trusted().trusts("anything")


@pytest.mark.parametrize("written", ["http://teacher-pc", "teacher pc", "a/b", "teacher-pc:port"])
def test_a_setting_that_names_no_host_is_refused(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("HNEURONS_HOSTS", written)
    with pytest.raises(BadSettings, match="HNEURONS_HOSTS"):
        trusted()


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", ""])
def test_listening_everywhere_trusts_the_addresses_of_this_machine_but_no_foreign_name(bound: str) -> None:
    hosts = trusted(bound)
    arrived = {"server": ("192.168.1.20", 8501)}
    assert answered("http", [("host", "192.168.1.20:8501")], hosts, **arrived) == 200
    assert answered("http", [("host", f"{socket.gethostname()}:8501")], hosts, **arrived) == 200
    assert answered("http", [("host", "192.168.1.20")], hosts, server=("::ffff:192.168.1.20", 8501)) == 200
    assert answered("http", [("host", "192.168.1.21:8501")], hosts, **arrived) == 403
    assert answered("http", [("host", "evil.example")], hosts, server=("evil.example", 80)) == 403
    assert answered("http", [("host", "192.168.1.20:8501")], trusted("127.0.0.1"), **arrived) == 403


PAGE = [("host", "localhost:8501")]
ELSEWHERE = [
    "http://evil.example",
    "null",
    "http://localhost:3000",
    "http://localhost",
    "file://",
    "",
    "http://[",
]


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_web_page_of_another_origin_starts_nothing(origin: str) -> None:
    from_there = [*PAGE, ("origin", origin)]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert answered("http", from_there, method=method) == 403
    assert answered("websocket", from_there) == 403


def test_our_own_page_and_programs_may() -> None:
    for method in ("POST", "DELETE"):
        assert answered("http", [*PAGE, ("origin", "http://localhost:8501")], method=method) == 200
        assert answered("http", PAGE, method=method) == 200
        assert answered("http", [("host", "localhost"), ("origin", "http://localhost")], method=method) == 200
    assert answered("websocket", [*PAGE, ("origin", "http://LOCALHOST:8501")]) == 200
    behind = Hosts(chosen=frozenset({"class.school.edu"}))
    assert answered("websocket", [*PAGE, ("origin", "https://class.school.edu")], behind) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_foreign_page_embeds_is_refused_and_a_link_from_there_is_followed(site: str) -> None:
    assert answered("http", [*PAGE, ("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")]) == 403
    assert answered("http", [*PAGE, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate")]) == 200
    posted = [*PAGE, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate")]
    assert answered("http", posted, method="POST") == 403, "a form of another page"
    for frame in ("iframe", "frame", "embed", "object"):
        framed = [*PAGE, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", frame)]
        assert answered("http", framed) == 403, "there buttons can be pressed unseen"
    alone = [*PAGE, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    assert answered("http", alone) == 200


def test_two_origins_are_none_of_ours() -> None:
    ours = dict(PAGE)["host"]
    twice = [*PAGE, ("origin", f"http://{ours}"), ("origin", "http://evil.example")]
    assert answered("http", [*PAGE, ("origin", f"http://{ours}")], method="POST") == 200
    assert answered("http", twice, method="POST") == 403


@pytest.mark.parametrize(
    ("header", "name"),
    [("LocalHost.:80", "localhost"), ("localhost:", "localhost"), ("[::0001]", "::1"), ("a_b-c.d", "a_b-c.d")],
)
def test_a_host_header_is_read_in_one_spelling(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local(FakeEngine()) as opened:
        yield opened


def test_the_service_refuses_in_its_one_shape_and_names_the_setting(client: LocalClient) -> None:
    with TestClient(create_app(client), base_url="http://localhost") as http:
        refused = http.get("/v1/status", headers={"Host": "rebound.example"})
        assert refused.status_code == 403 and "HNEURONS_HOSTS=rebound.example" in refused.json()["error"]["instead"]
        assert_error_shape(refused.json(), "not_allowed")
        posted = http.post("/v1/explore", json={"prompt": "x"}, headers={"Origin": "http://evil.example"})
        assert posted.status_code == 403
        assert_error_shape(posted.json(), "not_allowed")
        assert http.get("/v1/status").status_code == 200


def raw(address: str, head: str) -> str:
    """The answer to these very lines."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return line.recv(65536).decode("utf-8", "replace")


def test_over_the_wire_no_form_of_naming_a_foreign_host_gets_through(client: LocalClient) -> None:
    with served(client) as address:
        assert raw(address, "GET /v1/status HTTP/1.1\nHost: localhost").startswith("HTTP/1.1 200")
        for head in (
            "GET /v1/status HTTP/1.1\nHost: evil.example",
            "GET /v1/status HTTP/1.1",
            "GET /v1/status HTTP/1.0",
            "GET http://evil.example/v1/status HTTP/1.1\nHost: localhost",
            "GET http://localhost/v1/status HTTP/1.1\nHost: evil.example",
            "GET /v1/status HTTP/1.1\nHost: localhost\nHost: evil.example",
            "GET / HTTP/1.1\nHost: evil.example\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ):
            assert raw(address, head).split(" ")[1][0] == "4", head

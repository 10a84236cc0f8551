"""Which browser sessions are gone, by the connections that Streamlit still has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit import runtime

from app import presence


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The connections that are open; the last of `drawing` is that of the run."""
    found: set[str] = set()
    monkeypatch.setattr(presence, "_DRAWN", {})
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(is_active_session=found.__contains__))
    return found


def draw(monkeypatch: pytest.MonkeyPatch, session: str, over: str) -> None:
    monkeypatch.setattr(presence, "get_script_run_ctx", lambda **_: SimpleNamespace(session_id=over))
    presence.drawn(session)


def test_a_session_is_gone_with_its_connection_and_back_with_it(
    connected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected |= {"one", "two"}
    draw(monkeypatch, "ann", "one")
    draw(monkeypatch, "bob", "two")
    assert presence.gone() == ()
    connected.remove("one")
    assert presence.gone() == ("ann",)
    connected.add("one")
    assert presence.gone() == ()
    connected.discard("two")
    draw(monkeypatch, "bob", "one")
    assert presence.gone() == (), "it goes by the connection that it was last drawn over"


def test_only_so_many_sessions_are_remembered(connected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(presence.MAX_KNOWN + 5):
        draw(monkeypatch, f"s{number}", f"c{number}")
    assert len(presence.gone()) == presence.MAX_KNOWN and "s4" not in presence.gone() and "s5" in presence.gone()


def test_without_a_server_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "exists", lambda: False)
    assert presence.gone() == ()
    monkeypatch.setattr(presence, "_DRAWN", {})
    monkeypatch.setattr(presence, "get_script_run_ctx", lambda **_: None)
    presence.drawn("ann")
    assert presence._DRAWN == {}

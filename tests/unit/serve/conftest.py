"""A client that is ready, in the process and over HTTP: what holds for one holds for the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.serve.client import Client
from backend.serve.remote.client import HttpClient
from tests.doors import local, served
from tests.fakes import FakeEngine


@pytest.fixture(params=["here", "over HTTP"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Modules that need another engine make a client of their own."""
    with local(FakeEngine()) as opened:
        while opened.models.status().state != "ready":
            pass
        if request.param == "here":
            yield opened
        else:
            with served(opened) as address:
                far = HttpClient(address)
                yield far
                far.close()

"""Links too long for an address: kept once, given back whole through every door, bounded, and led nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import BadInput, HNeuronsError, NotAllowed
from backend.serve import long_links
from backend.serve.remote.client import HttpClient
from cache.store import Store
from tests import doors
from tests.fakes import FakeEngine

PARAMS = {"neurons": ",".join(f"L{layer}:N{index}" for layer in range(30) for index in range(200)), "prompt": "Qué?"}


def test_the_same_link_has_the_same_key_through_every_door_and_comes_back_whole(tmp_path: Path) -> None:
    with doors.local(FakeEngine(), Store(tmp_path / "results")) as client, doors.served(client) as address:
        there = HttpClient(address)
        key = there.links.keep(PARAMS)
        assert key == client.links.keep(dict(reversed(PARAMS.items())))
        assert there.links.kept(key) == client.links.kept(key) == PARAMS
        assert there.links.kept("0" * 64) is None and client.links.kept("0" * 64) is None
        there.close()
    assert (tmp_path / "links").is_dir(), "beside the results"


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 64, "0" * 63, "..%2f" * 10])
def test_what_is_no_key_is_refused_or_leads_nowhere(key: str, tmp_path: Path) -> None:
    with doors.local(FakeEngine(), Store(tmp_path / "results")) as client, doors.served(client) as address:
        for one in (client, HttpClient(address)):
            try:
                assert one.links.kept(key) is None
            except HNeuronsError as error:
                assert error.what and error.why and error.instead


def test_a_link_of_more_than_a_megabyte_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at most 1,000,000 are kept"):
        long_links.keep(Store(tmp_path), {"neurons": "L1:N1," * 200_000})


def test_links_take_a_bounded_room_and_the_newest_stay(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=100_000)
    keys = [long_links.keep(store, {"prompt": f"{n} " + "x" * 20_000}) for n in range(10)]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.entry")) <= 100_000
    assert long_links.read(store, keys[-1]) is not None and long_links.read(store, keys[0]) is None


def test_where_nothing_is_written_to_disk_no_link_is_kept_and_that_is_said() -> None:
    with doors.local(FakeEngine(), None) as client:
        with pytest.raises(NotAllowed, match="cannot be kept"):
            client.links.keep(PARAMS)
        assert client.links.kept("0" * 64) is None

"""A cut, edited or misplaced entry is a miss, never garbage; a refusing disk leaves the store usable."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cache import Store, StoreFull, StoreProblem, StoreUnreadable, StoreUnwritable, record
from tests.places import REPOSITORY

Key = Callable[[object], str]
PAYLOAD = b"\x00the answer\n\xff" * 3


def file_of(store: Store, key: str) -> Path:
    return store.root / key[:2] / f"{key}.entry"


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.fixture
def whole(store: Store, key: Key) -> bytes:
    """The bytes on disk of a whole entry under `key(1)`."""
    store.put(key(1), PAYLOAD, "kind", {"prompt": "Kairo?", "n": 3})
    return file_of(store, key(1)).read_bytes()


def test_a_cut_at_any_byte_is_a_miss(store: Store, key: Key, whole: bytes) -> None:
    for length in range(len(whole)):
        file_of(store, key(1)).write_bytes(whole[:length])
        assert store.get(key(1)) is None, f"cut to {length} bytes"
        assert not file_of(store, key(1)).exists()
    assert store.damaged == len(whole)
    file_of(store, key(1)).write_bytes(whole)
    assert store.get(key(1)) == PAYLOAD


@pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
def test_a_changed_byte_anywhere_is_a_miss(store: Store, key: Key, whole: bytes, mask: int) -> None:
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= mask
        file_of(store, key(1)).write_bytes(changed)
        assert store.get(key(1)) is None, f"byte {place} changed"
    assert store.damaged == len(whole)


def test_bytes_added_at_the_end_are_damage(store: Store, key: Key, whole: bytes) -> None:
    file_of(store, key(1)).write_bytes(whole + b"\n")
    assert store.get(key(1)) is None
    assert store.damaged == 1


def test_an_entry_moved_to_another_key_is_damage(store: Store, key: Key, whole: bytes) -> None:
    elsewhere = file_of(store, key(2))
    elsewhere.parent.mkdir(exist_ok=True)
    elsewhere.write_bytes(whole)
    assert store.get(key(2)) is None
    assert store.damaged == 1
    assert store.get(key(1)) == PAYLOAD


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {"created": "2026-01-01T00:00:00+00:00", "kind": "k", "meta": 7, "sha256": "", "size": 0},
        {"created": "yesterday", "kind": "k", "meta": {}, "sha256": "", "size": 0},
        {"created": "2026-01-01T00:00:00+00:00", "kind": "k", "meta": {}, "sha256": "", "size": float("inf")},
    ],
    ids=["a list", "empty", "meta a number", "no time", "infinite size"],
)
def test_a_rewritten_description_with_a_matching_checksum_is_still_judged(store: Store, key: Key, fields: Any) -> None:
    if isinstance(fields, dict) and fields:
        fields = {**fields, "key": key(1)}
    line = json.dumps(fields).encode() + b"\n"
    file_of(store, key(1)).parent.mkdir(parents=True)
    file_of(store, key(1)).write_bytes(record.MAGIC + sha256(line).hexdigest().encode() + b"\n" + line)
    assert store.get(key(1)) is None
    assert store.damaged == 1


def test_damage_is_logged_once_and_the_entry_can_be_put_again(
    store: Store, key: Key, whole: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file_of(store, key(1)).write_bytes(whole[:-1])
    with caplog.at_level(logging.WARNING):
        assert store.get(key(1)) is None
        assert store.get(key(1)) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert key(1) in caplog.text
    store.put(key(1), PAYLOAD, "kind", {})
    assert store.get(key(1)) == PAYLOAD


@pytest.mark.parametrize("missing", [1, len(PAYLOAD), len(PAYLOAD) + 40])
def test_a_listing_leaves_out_the_cut_and_keeps_the_rest(store: Store, key: Key, whole: bytes, missing: int) -> None:
    store.put(key(2), b"two", "kind", {})
    file_of(store, key(1)).write_bytes(whole[:-missing])
    assert [entry.key for entry in store.entries()] == [key(2)]
    assert store.damaged == 1


def test_a_whole_entry_put_meanwhile_survives_the_deletion_of_the_damaged_one(
    store: Store, key: Key, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(store, key(1)).write_bytes(whole[:-1])
    judge = record.read_head

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(record, "read_head", judge)
        Store(store.root).put(key(1), PAYLOAD, "kind", {})
        return judge(*arguments)

    monkeypatch.setattr(record, "read_head", slow)
    assert store.get(key(1)) is None
    assert store.get(key(1)) == PAYLOAD


def refuse(number: int) -> Callable[..., Any]:
    def act(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return act


@pytest.mark.parametrize("step", ["open", "write", "fsync", "utime", "replace"])
@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EACCES, StoreUnwritable)])
def test_a_disk_that_refuses_at_any_step_leaves_the_store_as_it_was(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch, step: str, number: int, kind: type[StoreProblem]
) -> None:
    store.put(key(1), b"old", "k", {"n": 1})
    before = {path: path.read_bytes() for path in files_below(store.root)}
    with monkeypatch.context() as patch:
        if step == "write":
            opened = Path.open
            patch.setattr(
                Path, "open", lambda path, mode: _RefusingFile(path, number) if mode == "wb" else opened(path, mode)
            )
        else:
            patch.setattr(os, step, refuse(number))
        for target in (key(1), key(2)):
            with pytest.raises(kind) as refusal:
                store.put(target, b"new", "k", {"n": 2})
            assert refusal.value.instead and os.strerror(number) in refusal.value.why
    assert {path: path.read_bytes() for path in files_below(store.root)} == before
    store.put(key(1), b"new", "k", {"n": 2})
    assert store.get(key(1)) == b"new"


class _RefusingFile:
    """A file that takes the first write (the head) and refuses the second (the payload)."""

    def __init__(self, path: Path, number: int) -> None:
        self.handle, self.number, self.writes = os.open(path, os.O_WRONLY), number, 0

    def __enter__(self) -> _RefusingFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def write(self, data: bytes) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(self.number, os.strerror(self.number))
        return os.write(self.handle, data)


def test_an_interrupt_while_writing_leaves_no_file(store: Store, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.put(key(1), b"x", "k", {})
    assert files_below(store.root) == []


def test_a_file_where_the_folder_should_be_is_told_as_unwritable(tmp_path: Path, key: Key) -> None:
    (tmp_path / "root").write_text("in the way")
    store = Store(tmp_path / "root")
    assert store.get(key(1)) is None
    with pytest.raises(StoreUnwritable):
        store.put(key(1), b"x", "k", {})


def test_a_refused_reading_is_an_error_and_not_a_miss(
    store: Store, key: Key, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse(errno.EACCES))
        with pytest.raises(StoreUnreadable, match="opened"):
            store.get(key(1))
    assert store.damaged == 0
    assert store.get(key(1)) == PAYLOAD


def test_a_read_only_store_can_be_read(store: Store, key: Key, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "utime", refuse(errno.EROFS))
    monkeypatch.setattr(Path, "unlink", refuse(errno.EROFS))
    assert store.get(key(1)) == PAYLOAD
    file_of(store, key(1)).write_bytes(whole[:-1])
    assert store.get(key(1)) is None
    with pytest.raises(StoreUnwritable):
        store.delete(key(1))


def test_opening_sweeps_what_a_killed_process_left_and_spares_what_is_being_written(store: Store, key: Key) -> None:
    store.put(key(1), b"x", "k", {})
    folder = file_of(store, key(1)).parent
    old, fresh, foreign = folder / "a.unfinished", folder / "b.unfinished", store.root / "c.unfinished"
    for path in (old, fresh, foreign):
        path.write_bytes(b"half")
    hour_ago = time.time() - 3700
    for path in (old, foreign, file_of(store, key(1))):
        os.utime(path, (hour_ago, hour_ago))
    again = Store(store.root)
    assert not old.exists()
    assert fresh.exists() and foreign.exists()
    assert again.get(key(1)) == b"x"
    assert [entry.key for entry in again.entries()] == [key(1)]


def test_a_file_that_vanishes_while_listing_is_left_out(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        store.put(key(number), b"x", "k", {})
    listing = store._entry_files

    def vanishing() -> Any:
        for path, stat in list(listing()):
            if path == file_of(store, key(2)):
                path.unlink()
            yield path, stat

    monkeypatch.setattr(store, "_entry_files", vanishing)
    assert {entry.key for entry in store.entries()} == {key(0), key(1), key(3)}
    store.max_bytes = 1
    assert sorted(store.evict()) == sorted([key(0), key(1), key(3)])
    assert store.damaged == 0


_WRITER = """
import sys
from pathlib import Path
from cache import Store
store, key, letter = Store(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
for turn in range(40):
    store.put(key, letter.encode() * 50_000, "k", {"by": letter, "turn": turn})
    seen = store.get(key)
    assert seen is not None and len(seen) == 50_000 and len(set(seen)) == 1, "torn"
assert store.damaged == 0
"""


def test_two_processes_that_write_one_key_never_show_a_mixture(store: Store, key: Key) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(store.root), key(1), letter],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        payload = store.get(key(1))
        if payload is not None:
            assert payload in (b"a" * 50_000, b"b" * 50_000)
            seen.add(payload)
        time.sleep(0.005)
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    assert seen and store.damaged == 0
    assert len(files_below(store.root)) == 1


def test_threads_that_put_get_list_and_delete_at_once_never_see_damage(tmp_path: Path, key: Key) -> None:
    store = Store(tmp_path, max_bytes=40_000)
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for turn in range(15):
                name = key((thread + turn) % 5)
                store.put(name, bytes([turn]) * 9000, "k", {"turn": turn})
                seen = store.get(name)
                assert seen is None or len(set(seen)) == 1
                store.entries()
                if turn % 4 == 0:
                    store.delete(name)
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.damaged == 0
    assert not [path for path in files_below(tmp_path) if path.suffix != ".entry"]
    store.evict()
    assert sum(path.stat().st_size for path in files_below(tmp_path)) <= 40_000

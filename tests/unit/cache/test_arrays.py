"""An array on disk has its room before it is written, or is not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from cache.arrays import is_whole, new_array


def test_a_new_array_is_zero_and_numpy_reads_what_was_put_in(tmp_path: Path) -> None:
    array = new_array(tmp_path / "a.npy", (3, 4, 5))
    assert not array.any()
    array[1, 2] = 7
    array.flush()
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.float32 and found.shape == (3, 4, 5) and found[1, 2].tolist() == [7] * 5


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve space")
def test_its_room_is_taken_at_once_and_a_full_disk_is_an_error_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_array(tmp_path / "a.npy", (1000, 1000))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 4_000_000

    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        new_array(tmp_path / "b.npy", (1000, 1000))
    assert not (tmp_path / "b.npy").exists()


def test_an_array_is_whole_only_as_it_was_made_to_its_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert not is_whole(path, (3, 4))
    new_array(path, (3, 4))
    made = path.read_bytes()
    assert is_whole(path, (3, 4)) and not is_whole(path, (4, 3)) and not is_whole(path, (3, 4, 1))
    for spoilt in (b"", made[:-1], made + b"\0", made[: len(made) // 2], b"\0" * len(made), b"PK\3\4" + made[4:]):
        path.write_bytes(spoilt)
        assert not is_whole(path, (3, 4))
    np.save(path, np.zeros((3, 4)))
    assert not is_whole(path, (3, 4)), "of another number type"


def test_an_array_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, **_: object) -> None:
        path.write_bytes(b"half a header")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    with pytest.raises(OSError, match="No space"):
        new_array(tmp_path / "a.npy", (3, 4))
    assert not list(tmp_path.iterdir())

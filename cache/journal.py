"""A file of records, one JSON line each, that only grows: what a long computation has done so far.

Owns appending so that a record is whole on disk or not there, whatever ends the program, and the lock that keeps
a second writer out. Refuses meaning: records are dictionaries.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from cache import atomic
from cache.errors import JournalDamaged, StoreProblem, StoreUnreadable, cause, not_written
from cache.files import FILE, Taken, content, own_folder, turn


class Journal:
    """The records in `path`. Reading needs no lock; `writing` takes it.

    Raises StoreProblem where the system refuses the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The file in its folder, as it is told to people."""
        return f"{self.path.parent.name}/{self.path.name}"

    def read(self) -> list[dict[str, Any]]:
        """All whole records, oldest first. A torn last line, as a kill leaves, is no record.

        Raises JournalDamaged where another line is none.
        """
        return [record for _, record in self.numbered()]

    def numbered(self) -> list[tuple[int, dict[str, Any]]]:
        """`read`, each record with the number of its line, from 1."""
        try:
            payload = content(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreUnreadable(f"{self.name} cannot be read", cause(error), "look at its rights") from error
        return list(_records(payload[: _whole(payload)], self.name))

    @contextmanager
    def writing(self, wait: float = 0.0) -> Iterator[None]:
        """Be the only writer while the block runs, and begin behind the last whole record.

        Args:
            wait: seconds to wait for another writer to end: for records that are added in an instant. A stage that
                writes for hours waits for none.
        Raises StoreProblem where another program writes here, or the system refuses the folder.
        """
        with ExitStack() as held:
            try:
                own_folder(self.path.parent)
                held.enter_context(turn(self.path.with_name(f"{self.path.name}.lock"), wait))
            except Taken as error:
                raise StoreProblem(
                    f"{self.path.parent.name} is being worked on",
                    "another program writes there now",
                    "try again in a minute" if wait else "wait for it, or give this run another name",
                ) from error
            except OSError as error:
                raise not_written(error, self.path) from error
            self._cut()
            yield

    def append(self, records: Iterable[dict[str, Any]]) -> None:
        """Add records and see them to the disk; all of them or none is there afterwards."""
        lines = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records)
        try:
            is_new = not self.path.exists()
            before = 0 if is_new else self.path.stat().st_size
            try:
                self.path.touch(FILE)
                with self.path.open("ab") as file:
                    file.write(lines.encode())
                    file.flush()
                    os.fsync(file.fileno())
                if is_new:
                    atomic.sync_folder(self.path.parent)
            except OSError:
                # Behind the closing, which may write once more what is left in memory. There may be no file yet.
                with suppress(OSError):
                    os.truncate(self.path, before)
                raise
        except OSError as error:
            raise not_written(error, self.path) from error

    def _cut(self) -> None:
        """Drop a torn tail."""
        try:
            payload = content(self.path) if self.path.exists() else b""
            if _whole(payload) < len(payload):
                with self.path.open("r+b") as file:
                    file.truncate(_whole(payload))
        except OSError as error:
            raise not_written(error, self.path) from error


def _whole(payload: bytes) -> int:
    """Bytes up to the end of the last whole line."""
    return payload.rfind(b"\n") + 1


def _records(payload: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(payload.split(b"\n"), 1):
        if not line:
            continue
        try:
            record = json.loads(line)
            if b"\\ud" in line.lower():
                # Half a character, which nobody can pass on.
                json.dumps(record, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise JournalDamaged(
                f"{name} is damaged", f"line {number} is not JSON", "remove the line, or start the run anew"
            ) from error
        if not isinstance(record, dict):
            raise JournalDamaged(
                f"{name} is damaged", f"line {number} is no record", "remove the line, or start the run anew"
            )
        yield number, record

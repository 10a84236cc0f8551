"""An append-only file of records, one JSON line each: the progress of a long computation.

Owns atomic appending, whatever ends the program, and the lock against a second writer. What the records mean is the
caller's: here they are dictionaries.
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

    Raises StoreProblem if the operating system refuses access to the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """Folder and file name, as messages show it."""
        return f"{self.path.parent.name}/{self.path.name}"

    def read(self) -> list[dict[str, Any]]:
        """All complete records, oldest first. A torn last line, as a kill leaves it, is ignored.

        Raises JournalDamaged if any other line is not a record.
        """
        return [record for _, record in self.numbered()]

    def numbered(self) -> list[tuple[int, dict[str, Any]]]:
        """As `read`, each record with its line number, from 1."""
        try:
            payload = content(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreUnreadable(f"{self.name} cannot be read", cause(error), "look at its rights") from error
        return list(_parsed_records(payload[: _whole_length(payload)], self.name))

    @contextmanager
    def writing(self, wait: float = 0.0) -> Iterator[None]:
        """Be the only writer while the block runs, and start after the last complete record.

        Args:
            wait: seconds to wait for another writer to finish, where records are added in an instant; 0 for a stage
                that writes for hours.
        Raises StoreProblem if another program writes here, or the operating system refuses access to the folder.
        """
        with ExitStack() as stack:
            try:
                own_folder(self.path.parent)
                stack.enter_context(turn(self.path.with_name(f"{self.path.name}.lock"), wait))
            except Taken as error:
                raise StoreProblem(
                    f"{self.path.parent.name} is being worked on",
                    "another program writes there now",
                    "try again in a minute" if wait else "wait for it, or give this run another name",
                ) from error
            except OSError as error:
                raise not_written(error, self.path) from error
            self._drop_torn_tail()
            yield

    def append(self, records: Iterable[dict[str, Any]]) -> None:
        """Append records and flush them to the disk; afterwards either all of them are there or none."""
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
                # After the file is closed, because closing may write buffered bytes again. There may be no file yet.
                with suppress(OSError):
                    os.truncate(self.path, before)
                raise
        except OSError as error:
            raise not_written(error, self.path) from error

    def _drop_torn_tail(self) -> None:
        """Remove an incomplete last line."""
        try:
            payload = content(self.path) if self.path.exists() else b""
            if _whole_length(payload) < len(payload):
                with self.path.open("r+b") as file:
                    file.truncate(_whole_length(payload))
        except OSError as error:
            raise not_written(error, self.path) from error


def _whole_length(payload: bytes) -> int:
    """Number of bytes up to the end of the last complete line."""
    return payload.rfind(b"\n") + 1


def _parsed_records(payload: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(payload.split(b"\n"), 1):
        if not line:
            continue
        try:
            record = json.loads(line)
            if b"\\ud" in line.lower():
                # An unpaired surrogate cannot be encoded as UTF-8, so no caller could pass it on.
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

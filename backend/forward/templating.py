"""A chat template rendered in a process of its own, with little memory and little time.

A template is a program that comes with a model. One expression can ask for ten gigabytes or for a power that is worked
out for hours, and nothing inside a process ends what runs in C there; so another process runs it, and is ended.

Owns that process on both sides, and the moment that templates take for now. It imports nothing of this project and
nothing heavy, since the other side runs this very file. Refuses what is rendered (`backend.forward.chat`).
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

SECONDS_TO_START = 120.0
"""The process imports Transformers, which takes one second of a free processor."""
MEMORY = 256 * 1024**2
"""Bytes that a template may take besides what the process has when it begins; where the system can bound it (Linux)."""

_MOMENT: ContextVar[datetime | None] = ContextVar("moment", default=None)


class OutOfBounds(Exception):
    """A template took more time or memory than it is given; the text says which."""


class _Ended(OutOfBounds):
    """The process ended in the middle: by the template, or by somebody who needed its memory."""


class Failed(Exception):
    """A template ran into an error: `kind` is the name of its class."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind


@dataclass(frozen=True)
class Written:
    """What a template wrote, and what it read off the clock meanwhile."""

    text: str
    clock: tuple[str, ...]


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Within the block templates take `moment` for now."""
    token = _MOMENT.set(moment)
    try:
        yield
    finally:
        _MOMENT.reset(token)


@contextmanager
def one_moment() -> Iterator[None]:
    """Within the block it is the same moment for every template: that of a block around it, else the present one."""
    with at(now()):
        yield


def now() -> datetime:
    """The moment that templates take for now."""
    return _MOMENT.get() or datetime.now()


class _Process:
    """The other side. One request at a time: whoever comes meanwhile waits."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._ready = False

    def warm(self) -> None:
        """Let it begin, without waiting for it."""
        with self._turn:
            self._begun()

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Its reply; where it ended meanwhile, that of another one, once. Raises OutOfBounds."""
        with self._turn:
            try:
                return self._ask_process(request, seconds)
            except _Ended:
                return self._ask_process(request, seconds)

    def _ask_process(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        running = self._begun()
        if not self._ready:
            self._exchange(running, b"", SECONDS_TO_START)
            self._ready = True
        return self._exchange(running, json.dumps(request).encode() + b"\n", seconds)

    def end(self) -> None:
        """End it; the next request begins another."""
        running, self._running, self._ready = self._running, None, False
        if running is not None:
            running.kill()
            running.communicate()

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._running is None or self._running.poll() is not None:
            self._ready = False
            # -P: this file's folder has modules that are called like the library's.
            command = [sys.executable, "-P", str(Path(__file__).resolve())]
            pipe = subprocess.PIPE
            self._running = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        return self._running

    def _exchange(self, running: subprocess.Popen[bytes], line: bytes, seconds: float) -> dict[str, Any]:
        """One line out, one line back. A thread of its own waits, since a pipe is not waited for with a limit."""
        got: list[bytes] = []

        def talk() -> None:
            assert running.stdin is not None
            assert running.stdout is not None
            try:
                running.stdin.write(line)
                running.stdin.flush()
                got.append(running.stdout.readline())
            except (OSError, ValueError):  # it ended meanwhile
                got.append(b"")

        thread = threading.Thread(target=talk, name="chat-template", daemon=True)
        thread.start()
        thread.join(seconds)
        if not got:
            running.kill()
            thread.join(SECONDS_TO_START)
            self.end()
            raise OutOfBounds(f"it was not done after {seconds:g} s")
        if not got[0]:
            self.end()
            raise _Ended("the process that ran it ended in the middle")
        reply: dict[str, Any] = json.loads(got[0])
        if reply.get("error") == MemoryError.__name__:
            self.end()
            raise OutOfBounds(f"it asked for more than {MEMORY / 1024**2:.0f} MB of memory")
        return reply


_PROCESS = _Process()
atexit.register(_PROCESS.end)


def warm() -> None:
    """Let the other process begin, so that it is there when the first template is rendered."""
    _PROCESS.warm()


def rendered(
    template: str,
    messages: list[dict[str, Any]],
    variables: Mapping[str, Any],
    seconds: float,
    most: int,
    answering: bool = True,
) -> Written:
    """The template around these messages, as Transformers renders it.

    Args:
        answering: whether the head of an answer's turn stands at the end.
        variables: what else it can name, such as the special tokens. seconds: time that it has. most: characters.
    Raises Failed, OutOfBounds.
    """
    request = {
        "template": template,
        "messages": messages,
        "variables": variables,
        "now": now().isoformat(),
        "most": most,
        "answering": answering,
    }
    reply = _PROCESS.ask(request, seconds)
    if "error" in reply:
        raise Failed(str(reply["error"]), str(reply["said"]))
    if "characters" in reply:
        raise OutOfBounds(f"it makes {reply['characters']:,} characters of it, and {most:,} are read at most")
    return Written(reply["text"], tuple(reply["clock"]))


def _bounded() -> None:
    """Take no more memory than `MEMORY` from here on. Without `resource` or /proc (no Linux) time alone is bounded."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    except (ImportError, OSError, ValueError):
        return


def _answered(request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to one request. Draws in a template are the same each time: what it writes hangs on its input alone."""
    import random

    from transformers.utils import chat_template_utils

    moment, clock = datetime.fromisoformat(request["now"]), []

    def strftime_now(format: str) -> str:
        clock.append(moment.strftime(format))
        return clock[-1]

    try:
        random.seed(0)
        compiled = chat_template_utils._compile_jinja_template(request["template"])
        compiled.environment.globals["strftime_now"] = strftime_now
        # Its texts, and where the answers in them are.
        rendered: Any = chat_template_utils.render_jinja_template(
            conversations=[request["messages"]],
            chat_template=request["template"],
            add_generation_prompt=request["answering"],
            **request["variables"],
        )
        text = str(rendered[0][0])
    except Exception as error:  # a program of others: it may raise anything
        return {"error": type(error).__name__, "said": str(error)[:2000]}
    return {"characters": len(text)} if len(text) > request["most"] else {"text": text, "clock": clock}


def main() -> None:
    """Answer requests, a line of JSON each, until there are no more."""
    from transformers.utils import chat_template_utils

    chat_template_utils._compile_jinja_template("")
    _bounded()
    answer = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever else is printed is no reply
    answer.write(b"{}\n")
    answer.flush()
    for line in sys.stdin.buffer:
        try:
            reply = json.dumps(_answered(json.loads(line)))
        except MemoryError:
            reply = json.dumps({"error": MemoryError.__name__, "said": ""})
        answer.write(reply.encode() + b"\n")
        answer.flush()


if __name__ == "__main__":
    main()

"""The fate of a mutant: put into a fork of this process, where the tests run on it.

Owns exchanging a function's code, and the difference between a failing test and any other failure. Which mutants and
tests there are is decided in `tools.mutants`. Needs no mutmut, so that it can be tested without it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path.cwd()
STRICT = r",?\s*strict=\w+"
DEVICE = r",?\s*device=[\w.\[\]]+|\.to\((?:None|[\w.\[\]]*device)\)"
BROKEN = 3
OUTCOMES = {0: "survived", 1: "killed", -signal.SIGALRM: "timed out"}


@dataclass(frozen=True)
class Mutant:
    """One change of one function.

    lines: of the changed statement; of the whole function if a default value is changed.
    diff: the old and the new lines.
    """

    path: str
    number: int
    function: str
    lines: range
    source: str
    diff: tuple[str, ...]
    default: bool

    @property
    def pointless(self) -> bool:
        """Whether no test should notice the change."""
        if len(self.diff) != 2:
            return False
        old, new = (line[1:].strip() for line in self.diff)
        for part in (STRICT, DEVICE):
            bare = {re.sub(r",\s*\)", ")", re.sub(part, "", line)) for line in (old, new)}
            if re.search(part, old + new) and len(bare) == 1:
                return True
        return old.startswith("assert ") and old.split(', "')[0] == new.split(', "')[0]


def outcome_of(change: Callable[[], None], passes: Callable[[], bool]) -> str:
    """What the tests say about a change, in a fork: "survived", "killed" (a test fails), "timed out" (at its alarm).

    "broken" if they say nothing: the change cannot be made, running the tests raises, or the fork dies of another
    signal, as when memory runs out. The reason is written to standard error.
    """
    stderr = os.dup(2)
    child = os.fork()
    if not child:
        status = BROKEN
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            change()
            status = 0 if passes() else 1
        except BaseException:
            os.write(stderr, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(stderr)
    return OUTCOMES.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "broken")


def code_of(code: types.CodeType, name: str) -> types.CodeType | None:
    """The code of a function, by its qualified name, inside the code of its module."""
    if code.co_qualname == name:
        return code
    inner = (code_of(const, name) for const in code.co_consts if isinstance(const, types.CodeType))
    return next((match for match in inner if match is not None), None)


def put_in(mutant: Mutant, live: Sequence[types.FunctionType]) -> None:
    """Exchange the code of the changed function and, for a change in its signature, its defaults."""
    file = str(ROOT / mutant.path)
    compiled = compile(mutant.source, file, "exec")
    code = code_of(compiled, mutant.function)
    assert code is not None, "a change leaves every function there"
    defaults: Any = None
    if mutant.default:
        name = mutant.path.removesuffix(".py").replace("/", ".")
        before, module = sys.modules[name], types.ModuleType(name)
        sys.modules[name] = module
        exec(compiled, vars(module))  # the repository's own module, changed in one place
        sys.modules[name] = before
        defaults = module
        for part in mutant.function.split("."):
            defaults = vars(defaults)[part]
        defaults = getattr(defaults, "__wrapped__", getattr(defaults, "__func__", defaults))
    is_live = False
    for function in live:
        if (function.__code__.co_filename, function.__code__.co_qualname) == (file, mutant.function):
            # Without "super()" the new code does not refer to the class, but the function still has that free variable.
            function.__code__ = code if code.co_freevars else code.replace(co_freevars=function.__code__.co_freevars)
            is_live = True
            if defaults is not None:
                function.__defaults__, function.__kwdefaults__ = defaults.__defaults__, defaults.__kwdefaults__
    if not is_live:
        raise LookupError(f"no function is called {mutant.function}")

"""What becomes of a mutant: only a test that fails kills it; what goes wrong elsewhere says nothing of the tests."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import forks
from tools.forks import Mutant, outcome_of, put_in


def nothing() -> None:
    """Change nothing."""


def fails() -> bool:
    raise RuntimeError("the tool itself")


def dies_of(number: int) -> Callable[[], bool]:
    def run() -> bool:
        os.kill(os.getpid(), number)
        time.sleep(10)
        return True

    return run


@pytest.mark.parametrize(
    ("change", "passes", "expected"),
    [
        (nothing, lambda: True, "survived"),
        (nothing, lambda: False, "killed"),
        (nothing, dies_of(signal.SIGALRM), "timed out"),
        (nothing, dies_of(signal.SIGKILL), "broken"),
        (nothing, dies_of(signal.SIGTERM), "broken"),
        (nothing, fails, "broken"),
        (fails, lambda: True, "broken"),
        (lambda: sys.exit(1), lambda: True, "broken"),
    ],
)
def test_only_a_test_that_fails_or_does_not_end_kills(
    change: Callable[[], None], passes: Callable[[], bool], expected: str
) -> None:
    assert outcome_of(change, passes) == expected


SOURCE = """
class Base:
    def told(self):
        return 1

class Kind(Base):
    def told(self):
        return super().told() + 1
"""


def mutant(source: str, function: str) -> Mutant:
    return Mutant("module.py", 0, function, range(8, 9), source, (), default=False)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.setattr(forks, "ROOT", tmp_path)
    made = types.ModuleType("module")
    exec(compile(SOURCE, str(tmp_path / "module.py"), "exec"), vars(made))
    return made


def test_a_method_that_loses_its_super_is_changed_like_any_other(module: types.ModuleType) -> None:
    put_in(mutant(SOURCE.replace("super().told() + 1", "None"), "Kind.told"), [module.Kind.told])
    assert module.Kind().told() is None
    put_in(mutant(SOURCE.replace("told() + 1", "told() + 2"), "Kind.told"), [module.Kind.told])
    assert module.Kind().told() == 3


def test_a_change_that_reaches_no_function_is_an_error_and_no_survivor(module: types.ModuleType) -> None:
    with pytest.raises(LookupError):
        put_in(mutant(SOURCE.replace("+ 1", "+ 2"), "Kind.told"), [module.Base.told])

"""Mutation testing: `python -m tools.mutants backend/forward/row.py --tests tests/unit/backend/forward`.

Owns a run over the mutants of some modules, started by hand: it is not part of `make test`. The mutants are mutmut's,
including those of decorated functions, which mutmut leaves out. The tests are collected and run on the unchanged code,
and the lines that each test runs are noted. Each mutant is then put into a fork of this process, where its function's
code is exchanged, and the tests that run its lines are run, the fastest files first, until one fails. Needs mutmut
(docs/architecture.md says how), and Linux.

Shares are of the mutants that the tests were run on: "broken" ones are not counted.

Left out, since no test should fail for them: the words of refusals and assertions, the `strict` of a `zip`, and the
device of a tensor.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import gc
import os
import random
import re
import signal
import sys
import threading
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation import file_mutation
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from tools.forks import ROOT, Mutant, outcome_of, put_in

REFUSALS = re.compile(r"(?:^|\.)(?:[A-Z]\w*|not_finite)$")


class Visitor(file_mutation.MutationVisitor):
    """mutmut's visitor, except that decorated functions are mutated and the words of refusals are not."""

    METADATA_DEPENDENCIES = (*file_mutation.MutationVisitor.METADATA_DEPENDENCIES, ParentNodeProvider)

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and node.decorators:
            return "abstractmethod" in "".join(cst.Module([]).code_for_node(decorator) for decorator in node.decorators)
        return bool(super()._skip_node_and_children(node)) or (
            isinstance(node, cst.SimpleString) and self._is_of_refusal(node)
        )

    def _is_of_refusal(self, node: cst.CSTNode | None) -> bool:
        """Whether a string is part of the words of a refusal."""
        while node is not None and not isinstance(node, cst.BaseStatement):
            if isinstance(node, cst.Raise):
                return True
            if isinstance(node, cst.Call) and REFUSALS.search(name := cst.Module([]).code_for_node(node.func)):
                return name[0].islower() or name.startswith(("Bad", "Not", "Zero", "Intervention"))
            node = self.get_metadata(ParentNodeProvider, node, None)
        return False


def mutants(path: str) -> tuple[int, Iterator[Mutant]]:
    """The number of changes of a module's functions, and the changes in an order drawn by the module's name."""
    source = (ROOT / path).read_text(encoding="utf-8")
    nothing = IgnoredCode(**{name: set() for name in IgnoredCode.__dataclass_fields__})
    visitor = Visitor(mutation_operators, nothing)
    wrapper = MetadataWrapper(cst.parse_module(source))
    module = wrapper.visit(visitor)
    positions = wrapper.resolve(PositionProvider)
    names = dict(functions(module))
    numbered = enumerate(visitor.mutations)
    mutations = [
        (number, mutation) for number, mutation in numbered if mutation.contained_by_top_level_function in names
    ]
    random.Random(path).shuffle(mutations)

    def in_order() -> Iterator[Mutant]:
        for number, mutation in mutations:
            code = module.deep_replace(mutation.original_node, mutation.mutated_node).code
            diff = difflib.unified_diff(source.splitlines(), code.splitlines(), lineterm="", n=0)
            shown = tuple(line for line in diff if line[:3] not in ("---", "+++") and line[0] in "+-")
            near = positions.get(mutation.original_node)
            first = near.start.line if near else source.splitlines().index(shown[0][1:]) + 1
            lines, default = statement(source, first, near.end.line if near else first)
            yield Mutant(path, number, names[mutation.contained_by_top_level_function], lines, code, shown, default)

    return len(mutations), in_order()


def functions(module: cst.Module) -> Iterator[tuple[cst.CSTNode, str]]:
    """Functions of a module and methods of its classes, each with its name."""
    for child in module.body:
        if isinstance(child, cst.FunctionDef):
            yield child, child.name.value
        elif isinstance(child, cst.ClassDef):
            yield from (
                (method, f"{child.name.value}.{method.name.value}")
                for method in child.body.body
                if isinstance(method, cst.FunctionDef)
            )


def statement(source: str, first: int, last: int) -> tuple[range, bool]:
    """Lines of the smallest statement (or its head) around a change, and whether it is the head of a function.

    For the head of a function, these are the lines of its body.
    """
    best = (range(first, last + 1), False)
    size = 10**9
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or isinstance(node, ast.ClassDef):
            continue
        body = getattr(node, "body", None)
        end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
        if node.lineno <= first <= end and end - node.lineno < size:
            size, default = end - node.lineno, isinstance(node, ast.FunctionDef)
            best = (range(body[0].lineno if body and default else node.lineno, (node.end_lineno or end) + 1), default)
            if body and not default:
                best = (range(node.lineno, max(end, last) + 1), False)
    return best


class Run:
    """The pytest plugin that runs the tests and then the mutants, instead of pytest's own loop."""

    def __init__(self, paths: Sequence[str], sample: int, seconds: float, say: Callable[[str], None]) -> None:
        self.paths, self.sample, self.seconds, self.say = paths, sample, seconds, say
        self.took: dict[str, float] = {}
        self.lines: dict[str, set[tuple[str, int]]] = {}
        self.live: list[types.FunctionType] = []
        self.cached: list[functools._lru_cache_wrapper[Any]] = []
        self.failed = self.bounded = False

    def pytest_collection(self) -> None:
        """Use no examples of earlier runs and do not shrink examples: any failure is enough."""
        from hypothesis import Phase, settings

        profile = settings.get_profile("tests")
        settings.register_profile("mutants", profile, database=None, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure of any part of a test."""
        self.failed |= report.failed

    def pass_all(self, items: Sequence[pytest.Item], behind: pytest.Item) -> bool:
        """Whether all these tests pass. `behind` is named as the next test, so that session fixtures are kept."""
        self.failed = False
        for item, following in zip(items, [*items[1:], behind], strict=True):
            if self.bounded:
                signal.setitimer(signal.ITIMER_REAL, 4 + 8 * self.took[item.nodeid])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return False
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the unchanged code twice, for its times and for its lines, then every module's mutants."""
        items, files = session.items, {str(ROOT / path): path for path in self.paths}
        for trace in (False, True):
            if trace:
                # Once: a program with torch has millions of objects.
                wrapped = (thing for thing in gc.get_objects() if type(thing) is functools._lru_cache_wrapper)
                self.cached = [thing for thing in wrapped if thing.__module__.split(".")[0] in ("backend", "cache")]
            for place, item in enumerate(items):
                if trace:
                    self.forget()
                began, lines = time.perf_counter(), self.lines.setdefault(item.nodeid, set())
                self._trace(files, lines if trace else None)
                sound = self.pass_all([item], items[(place + 1) % len(items)])
                self._trace(files, None)
                assert sound, f"{item.nodeid} fails as the code is"
                self.took.setdefault(item.nodeid, time.perf_counter() - began)
        gc.collect()
        alive = (function for function in gc.get_objects() if type(function) is types.FunctionType)
        self.live = [function for function in alive if function.__code__.co_filename in files]
        for path in self.paths:
            self._try_module(path, items)
        return True

    def forget(self) -> None:
        """Empty the caches of functions: a call that a cache answers does not run the lines that are asked about."""
        for cached in self.cached:
            cached.cache_clear()

    def _trace(self, files: dict[str, str], lines: set[tuple[str, int]] | None) -> None:
        def local(frame: types.FrameType, event: str, _: object) -> Any:
            if lines is not None:
                lines.add((files[frame.f_code.co_filename], frame.f_lineno))
            return local

        def entered(frame: types.FrameType, event: str, value: object) -> Any:
            return local(frame, event, value) if frame.f_code.co_filename in files else None

        threading.settrace(entered if lines is not None else None)
        sys.settrace(entered if lines is not None else None)

    def _try_module(self, path: str, items: Sequence[pytest.Item]) -> None:
        count, candidates = mutants(path)
        tally: Counter[str] = Counter()
        same = ast.dump(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        for mutant in candidates:
            if sum(tally.values()) == self.sample:
                break
            if mutant.pointless or ast.dump(ast.parse(mutant.source)) == same:
                continue
            tests = self._tests(mutant, items)
            outcome = self._outcome_with(mutant, tests, items[0]) if tests else "survived"
            tally[outcome] += 1
            if outcome != "killed":
                where = f"{path} #{mutant.number} {mutant.function}, line {mutant.lines[0]}"
                self.say("\n    ".join([f"{outcome}: {where}, {len(tests)} tests", *mutant.diff]))
        dead = tally["killed"] + tally["timed out"]
        met = dead + tally["survived"]
        low, high = wilson(dead, met)
        share = f"{dead / max(met, 1):.0%} ({low:.0%} to {high:.0%})"
        self.say(f"{path}: {sum(tally.values())} of {count} tried, {dict(tally)}: {share}")

    def _tests(self, mutant: Mutant, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        """Tests that run the mutant's lines: fast files first, within them fast tests, up to `seconds` in all."""
        wanted = {(mutant.path, line) for line in mutant.lines}
        files: dict[Path, list[pytest.Item]] = defaultdict(list)
        for item in items:
            if wanted & self.lines[item.nodeid]:
                files[item.path].append(item)
        chosen, total = list[pytest.Item](), 0.0
        for file in sorted(files.values(), key=lambda tests: sum(self.took[test.nodeid] for test in tests)):
            for item in sorted(file, key=lambda test: self.took[test.nodeid]):
                # A long test that is left out must not keep out the short ones of the files behind.
                if not chosen or total + self.took[item.nodeid] <= self.seconds:
                    total += self.took[item.nodeid]
                    chosen.append(item)
        return chosen

    def _outcome_with(self, mutant: Mutant, tests: Sequence[pytest.Item], behind: pytest.Item) -> str:
        def passes() -> bool:
            self.bounded = True
            self.forget()
            return self.pass_all(tests, behind)

        return outcome_of(lambda: put_in(mutant, self.live), passes)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share = hits / count
    middle, half = share + z * z / (2 * count), z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def main() -> int:
    """Run, and return pytest's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description="Ask the tests about some modules.")
    parser.add_argument("modules", nargs="+", help="paths of modules, from the root of the repository")
    parser.add_argument("--tests", nargs="+", required=True, help="files or folders of tests")
    parser.add_argument("--sample", type=int, default=60, help="mutants of each module that are tried")
    parser.add_argument("--seconds", type=float, default=20.0, help="of tests that one mutant meets at most")
    asked = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(text: str) -> None:
        out.write(text + "\n")
        out.flush()

    words = ["-q", "-s", "-m", "not model and not browser", "-o", "addopts=--import-mode=importlib"]
    for name in ("cacheprovider", "xdist", "timeout"):
        words += ["-p", f"no:{name}"]
    return int(pytest.main([*words, *asked.tests], plugins=[Run(asked.modules, asked.sample, asked.seconds, say)]))


if __name__ == "__main__":
    sys.exit(main())

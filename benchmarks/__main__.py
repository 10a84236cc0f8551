"""Runs every measurement and writes docs/performance.md: `make bench`.

Each ratio is the median over rounds in which our code and the peer's run one after the other, so that a busy moment
affects both. The table and its source, benchmarks/results.json, are written together.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.engine import Engine
from backend.forward import prompting
from backend.forward.pooling import region_means
from backend.identify.fit.solver import path
from backend.models.loading import load
from backend.models.registry import DEFAULT
from backend.types import Asked
from benchmarks import identify, rows, work
from benchmarks.peers import official_means, transformers_generate
from benchmarks.report import render
from cache import atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DOCUMENT = HERE.parent / "docs" / "performance.md"


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(ours: Callable[[], object], peer: Callable[[], object], rounds: int, warm: bool = True) -> dict[str, Any]:
    """Times of both, one after the other, `rounds` times; with `warm`, after one round that is not counted."""
    if warm:
        ours(), peer()
    pairs = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
    return {
        "ours_s": statistics.median(pair[0] for pair in pairs),
        "peer_s": statistics.median(pair[1] for pair in pairs),
        "ratios": [pair[0] / pair[1] for pair in pairs],
    }


def say(text: str) -> None:
    """Write progress to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def machine() -> dict[str, Any]:
    """The machine, versions and model of a measurement."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "model": DEFAULT,
        "dtype": "float32",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().split("\n") if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def measure(rounds: int) -> dict[str, Any]:
    """All figures."""
    model = load(DEFAULT)
    usual = Engine(model).usual()
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "ratios": []}
    for row in work.table(model, usual):
        say(f"{row.name} against {row.against}")
        timing = ratio(row.ours, row.peer, rounds)
        results["ratios"].append(
            {"name": row.name, "against": row.against, "aim": row.aim, "faster": row.faster, **timing}
        )
    say("the whole verb compare; generate with as many rows")
    results["extra"] = _other_ratios(model, rounds)
    texts = work.question_texts(model)
    ours, official = region_means(model, texts), official_means(model, texts)
    results["difference"] = {
        "of_largest": float(np.abs(ours - official).max() / np.abs(official).max()),
        "of_norm": float(np.linalg.norm(ours - official) / np.linalg.norm(official)),
        "of_each": float((np.abs(ours - official) / np.abs(official)).max()),
    }
    repeat, folder = work.repeated_request(model)
    results["again_ms"] = 1000 * statistics.median(seconds(repeat) for _ in range(9))
    folder.cleanup()
    say("peak memory of 512 tokens, in a process of its own")
    results["peak_gb"] = work.peak_memory()
    return results


def measure_identify(rounds: int) -> dict[str, Any]:
    """The figures of identification. Its pieces take minutes, so only compiled code is warmed up."""
    model = load(DEFAULT)
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "ratios": []}
    features, labels = identify.synthetic_study()
    path(features[:100, :200], labels[:100], identify.CS[:2], standardise=False)
    for row in identify.table(model):
        say(f"{row.name} against {row.against}")
        timing = ratio(row.ours, row.peer, rounds, warm=False)
        results["ratios"].append(
            {"name": row.name, "against": row.against, "aim": row.aim, "faster": row.faster, **timing}
        )
    say("objective, permutations, memory")
    results["worse"] = identify.worst_excess()
    results["permutations_s"] = statistics.median(seconds(identify.permutations()) for _ in range(3))
    results["path_gb"] = identify.path_memory()
    return results


def measure_rows(rounds: int, people: int) -> dict[str, Any]:
    """The figures of rows that run together."""
    model = load(DEFAULT)
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "ratios": []}
    for row in rows.table(model, Engine(model).usual()):
        say(f"{row.name} against {row.against}")
        timing = ratio(row.ours, row.peer, rounds)
        results["ratios"].append(
            {"name": row.name, "against": row.against, "aim": row.aim, "faster": row.faster, **timing}
        )
    say(f"{people} people at once, and one job after another")
    results["people"] = rows.people(model, people)
    return results


def _other_ratios(model: Any, rounds: int) -> dict[str, float]:
    """Ratios to `generate` with one row: of the whole verb, and of `generate` itself with more rows."""
    ids = prompting.encode(model, Asked(prompt=work.PROMPT)).ids

    def generate(rows: int) -> Callable[[], object]:
        return lambda: transformers_generate(model, ids, rows, work.TOKENS)

    measured = {"compare": work.whole_compare(model), "generate 4": generate(4), "generate 13": generate(13)}
    return {name: statistics.median(ratio(ours, generate(1), rounds)["ratios"]) for name, ours in measured.items()}


def _before(old: dict[str, Any], only: str | None) -> dict[str, Any]:
    """The figures of the run before, part by part: what now stands anew was measured last by the run in `old`."""
    own = {part: old[part] for part in ("rows", "identify") if only in (None, part) and part in old}
    explored = {key: old[key] for key in ("machine", "ratios")} if only in (None, "explore") else {}
    return {**old.get("before", {}), **explored, **own}


def main() -> None:
    """Measure, or only render earlier measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--render", action="store_true", help="write the document from results.json only")
    parser.add_argument("--only", choices=["explore", "identify", "rows"], help="measure one part, keep the others")
    parser.add_argument("--people", type=int, default=30, help="how many ask at once")
    chosen = parser.parse_args()
    if not chosen.render:
        old = json.loads(RESULTS.read_text("utf-8"))
        results = dict(old) if chosen.only else {}
        if chosen.only in (None, "explore"):
            results = {
                **measure(chosen.rounds),
                **{part: results[part] for part in ("identify", "rows") if part in results},
            }
        if chosen.only in (None, "identify"):
            results["identify"] = measure_identify(max(1, chosen.rounds // 2))
        if chosen.only in (None, "rows"):
            results["rows"] = measure_rows(chosen.rounds, chosen.people)
        results["before"] = _before(old, chosen.only)
        atomic.export(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
    atomic.export(DOCUMENT, render(json.loads(RESULTS.read_text("utf-8"))).encode())


if __name__ == "__main__":
    main()

"""The document made from the measurements. Pure: results in, Markdown out; a test checks that the two agree.

Beside each ratio stands that of the run before, where there is one: how far a ratio depends on the machine, and on what
else runs there, is seen only over two runs.
"""

from __future__ import annotations

import statistics
from typing import Any

_HEADING = ("| work | against | aim | measured | ours, s | peer, s | before |", "|---|---|---|---|---|---|---|")


def render(results: dict[str, Any]) -> str:
    """docs/performance.md for these results."""
    place, before = results["machine"], results.get("before", {})
    difference = results["difference"]
    lines = [
        "# Performance",
        "",
        f"Measured {place['date']} on {place['processor']}, {place['threads']} threads, with {place['model']} in "
        f"{place['dtype']}, torch {place['torch']}, Python {place['python']}.",
        f"Ratios are medians of {results['rounds']} rounds in one run, ours and the peer's one after the other; "
        "in brackets the smallest and the largest. `make bench` makes this page from `benchmarks/`. How far a ratio "
        "depends on the machine is seen in the last column: that of the run before.",
        "",
        *_HEADING,
        *_table(results, before),
        f"| the same request again | - | at most 50 ms | {results['again_ms']:.0f} ms | | | |",
        "| peak memory of exploring 512 tokens | the model's own | at most 1.2 GB more "
        f"| {results['peak_gb']:.2f} GB more | | | |",
        "",
        "Regional means differ from the official way's by "
        f"{difference['of_norm']:.1e} of their norm, {difference['of_largest']:.1e} of the largest value and at most "
        f"{difference['of_each']:.1e} of a value itself (float32; the largest are values near 0).",
        "",
        "For orientation, against `generate` with one row: "
        f"`generate` itself with 4 rows {results['extra']['generate 4']:.2f}, with 13 rows "
        f"{results['extra']['generate 13']:.2f}; the whole verb compare (baseline, off, double, twin; the second pass, "
        f"divergences and differences included) {results['extra']['compare']:.2f}.",
        "",
    ]
    parts = [
        _rows(results["rows"], before.get("rows", {})) if "rows" in results else [],
        _identify(results["identify"], before.get("identify", {})) if "identify" in results else [],
    ]
    return "\n".join(lines + [line for part in parts for line in part])


def _rows(results: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Rows that run together."""
    place, people = results["machine"], results["people"]
    faster = people["one_by_one_s"] / people["together_s"]
    past = before.get("people")
    earlier = f"{past['one_by_one_s'] / past['together_s']:.2f}" if past else "-"
    return [
        "## Rows that run together",
        "",
        f"Measured {place['date']} on {place['processor']}, {place['threads']} threads; {results['rounds']} "
        f"round{'' if results['rounds'] == 1 else 's'}, ours and the peer's one after the other.",
        "",
        *_HEADING,
        *_table(results, before),
        f"| {people['people']} people, each an exploration and a comparison of 4 rows, {people['tokens']} tokens, "
        f"within 10 s | one job after another | at least 4 x faster | {faster:.2f} | {people['together_s']:.1f} | "
        f"{people['one_by_one_s']:.1f} | {earlier} |",
        f"| the first token of the first ten | - | at most 2 s at the median | {people['first_token_s']:.1f} s | | | |",
        "",
    ]


def _identify(results: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """The pieces of a run from questions to a probe."""
    place = results["machine"]
    worse = f"{abs(results['worse']):.1e} {'above' if results['worse'] > 0 else 'below'}"
    return [
        "## Identification",
        "",
        f"Measured {place['date']} on {place['processor']}, {place['threads']} threads; {results['rounds']} "
        f"round{'' if results['rounds'] == 1 else 's'}, ours and the peer's one after the other.",
        "",
        *_HEADING,
        *_table(results, before),
        f"| the path's objective | liblinear's | at most 1e-3 above | {worse} at the worst C | | | |",
        f"| the path's peak memory | its data | at most 1 GB more | {results['path_gb']:.2f} GB more | | | |",
        "| 1,000 permutations of the summary statistics | - | under a minute "
        f"| {results['permutations_s']:.2f} s | | | |",
        "",
    ]


def _table(results: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """The rows that compare two times, each with its ratio in the run before."""
    earlier = {(row["name"], row["against"]): row for row in before.get("ratios", [])}
    return [_row(row, earlier.get((row["name"], row["against"]))) for row in results["ratios"]]


def _row(row: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    ratios = _ratios(row)
    aim = f"at least {row['aim']:g} x faster" if row["faster"] else f"at most {row['aim']:g} x its time"
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    past = f"{statistics.median(_ratios(earlier)):.2f}" if earlier else "-"
    times = f"{row['ours_s']:.2f} | {row['peer_s']:.2f}"
    return f"| {row['name']} | {row['against']} | {aim} | {spread} | {times} | {past} |"


def _ratios(row: dict[str, Any]) -> list[float]:
    return [1 / value for value in row["ratios"]] if row["faster"] else list(row["ratios"])

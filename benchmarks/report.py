"""The document that the measurements become. Pure: results in, Markdown out; a test holds the two together."""

from __future__ import annotations

import statistics
from typing import Any


def render(told: dict[str, Any]) -> str:
    """docs/performance.md for these results."""
    place = told["machine"]
    difference = told["difference"]
    lines = [
        "# Performance",
        "",
        f"Measured {place['date']} on {place['processor']}, {place['threads']} threads, with {place['model']} in "
        f"{place['dtype']}, torch {place['torch']}, Python {place['python']}.",
        f"Ratios are medians of {told['rounds']} rounds in one run, ours and the peer's one after the other; "
        "in brackets the smallest and the largest. `make bench` makes this page from `benchmarks/`.",
        "",
        "| work | against | aim | measured | ours, s | peer, s |",
        "|---|---|---|---|---|---|",
        *map(_row, told["ratios"]),
        f"| the same request again | - | at most 50 ms | {told['again_ms']:.0f} ms | | |",
        f"| peak memory of exploring 512 tokens | the model's own | at most 1.2 GB more | {told['peak_gb']:.2f} GB more"
        " | | |",
        "",
        "Regional means differ from the official way's by "
        f"{difference['of_norm']:.1e} of their norm, {difference['of_largest']:.1e} of the largest value and at most "
        f"{difference['of_each']:.1e} of a value itself (float32; the largest are values near 0).",
        "",
        "For orientation, against `generate` with one row: "
        f"`generate` itself with 4 rows {told['extra']['generate 4']:.2f}, with 13 rows "
        f"{told['extra']['generate 13']:.2f}; the whole verb compare (baseline, off, double, twin; the second pass, "
        f"divergences and differences included) {told['extra']['compare']:.2f}.",
        "",
    ]
    parts = [_rows(told["rows"]) if "rows" in told else [], _identify(told["identify"]) if "identify" in told else []]
    return "\n".join(lines + [line for part in parts for line in part])


def _rows(told: dict[str, Any]) -> list[str]:
    """Rows that run together."""
    place, people = told["machine"], told["people"]
    faster = people["one_by_one_s"] / people["together_s"]
    return [
        "## Rows that run together",
        "",
        f"Measured {place['date']} on {place['processor']}, {place['threads']} threads; {told['rounds']} "
        f"round{'' if told['rounds'] == 1 else 's'}, ours and the peer's one after the other.",
        "",
        "| work | against | aim | measured | ours, s | peer, s |",
        "|---|---|---|---|---|---|",
        *map(_row, told["ratios"]),
        f"| {people['people']} people, each an exploration and a comparison of 4 rows, {people['tokens']} tokens, "
        f"within 10 s | one job after another | at least 4 x faster | {faster:.2f} | {people['together_s']:.1f} | "
        f"{people['one_by_one_s']:.1f} |",
        f"| the first token of the first ten | - | at most 2 s at the median | {people['first_token_s']:.1f} s | | |",
        "",
    ]


def _identify(told: dict[str, Any]) -> list[str]:
    """The pieces of a run from questions to a probe."""
    place = told["machine"]
    worse = f"{abs(told['worse']):.1e} {'above' if told['worse'] > 0 else 'below'}"
    return [
        "## Identification",
        "",
        f"Measured {place['date']} on {place['processor']}, {place['threads']} threads; {told['rounds']} "
        f"round{'' if told['rounds'] == 1 else 's'}, ours and the peer's one after the other.",
        "",
        "| work | against | aim | measured | ours, s | peer, s |",
        "|---|---|---|---|---|---|",
        *map(_row, told["ratios"]),
        f"| the path's objective | liblinear's | at most 1e-3 above | {worse} at the worst C | | |",
        f"| the path's peak memory | its data | at most 1 GB more | {told['path_gb']:.2f} GB more | | |",
        f"| 1,000 permutations of the summary statistics | - | under a minute | {told['permutations_s']:.2f} s | | |",
        "",
    ]


def _row(row: dict[str, Any]) -> str:
    ratios = [1 / value for value in row["ratios"]] if row["faster"] else row["ratios"]
    aim = f"at least {row['aim']:g} x faster" if row["faster"] else f"at most {row['aim']:g} x its time"
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {row['name']} | {row['against']} | {aim} | {spread} | {row['ours_s']:.2f} | {row['peer_s']:.2f} |"

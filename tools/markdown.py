"""Tables and figures of the pages that are rendered from results."""

from __future__ import annotations

from collections.abc import Iterable

from backend.types.estimate import Estimate


def table(columns: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """The lines of a Markdown table."""
    heads = [str(column) for column in columns]
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def interval(estimate: Estimate | None) -> str:
    """A figure with its interval; '' without one."""
    return "" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def per_cent(estimate: Estimate | None) -> str:
    """A share in per cent with its interval; '' without one."""
    return (
        "" if estimate is None else f"{100 * estimate.value:.0f} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"
    )

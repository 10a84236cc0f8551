"""Numbers as a person reads them, at their ends."""

from __future__ import annotations

import pytest

from backend.types.numbers import byte_size, counted, fixed, per_cent, percent, short, signed

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0 %"), (1e-17, "under 1 %"), (0.004, "under 1 %"), (0.07, "7 %"), (0.994, "99 %"),
        (1 - 1e-9, "over 99 %"), (1.0, "100 %"), (NAN, "undefined"), (None, "undefined"), (INFINITE, "undefined"),
    ],
)  # fmt: skip
def test_a_share_is_0_or_100_per_cent_only_where_it_is_exactly_that(value: float | None, told: str) -> None:
    assert percent(value) == told


def test_a_share_with_decimals_keeps_its_ends_too() -> None:
    assert percent(1e-17, 1) == "under 0.1 %" and percent(1 - 1e-9, 1) == "over 99.9 %"
    assert per_cent(0.125, 1) == "12.5" and percent(-1e-9) == "0 %"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0"), (1e-17, "10⁻¹⁷"), (1.3e-17, "10⁻¹⁷"), (1.7e-17, "2 × 10⁻¹⁷"), (0.0004, "0.0004"),
        (0.72, "0.72"), (-0.3, "−0.30"), (1 - 1e-9, "1.00"), (1.0, "1.00"), (999.999, "1,000"), (1e6, "1,000,000"),
        (NAN, "undefined"), (None, "undefined"), (-INFINITE, "undefined"),
    ],
)  # fmt: skip
def test_a_figure_that_is_not_0_is_never_written_as_0_nor_as_a_machine_writes_it(
    value: float | None, told: str
) -> None:
    assert fixed(value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.3e-7, "1.3 × 10⁻⁷"), (1e-5, "10⁻⁵"), (0.003, "0.003"), (0.0125, "0.013"), (8.75, "8.8"), (1e6, "1,000,000"),
        (0.0, "0"), (NAN, "undefined"), (-2e-15, "−2 × 10⁻¹⁵"), (-1e-9, "−10⁻⁹"), (9.99e-5, "0.0001"),
    ],
)  # fmt: skip
def test_few_digits_are_kept_at_the_head_whatever_the_size(value: float, told: str) -> None:
    assert short(value, 2) == told


def test_a_difference_has_its_sign_and_0_has_none() -> None:
    assert [signed(value) for value in (0.05, -0.3, 0.0, 0.0004, NAN)] == [
        "+0.05",
        "−0.30",
        "0",
        "+0.0004",
        "undefined",
    ]


def test_one_of_a_thing_is_singular_and_thousands_are_parted() -> None:
    assert [counted(n, "neuron") for n in (0, 1, 2, 1_000_000)] == [
        "0 neurons", "1 neuron", "2 neurons", "1,000,000 neurons",
    ]  # fmt: skip
    assert counted(2, "entity", "entities") == "2 entities" and counted(1, "entity", "entities") == "1 entity"


@pytest.mark.parametrize(
    ("count", "told"), [(538_000_000, "538 MB"), (13_500_000_000, "13.5 GB"), (12_000, "12 kB"), (10**9, "1.0 GB")]
)
def test_bytes_are_written_as_a_reader_reads_them(count: int, told: str) -> None:
    assert byte_size(count) == told

"""Numbers and counted nouns as text, for pages and the terminal.

Owns rounding: a number other than 0 is never shown as 0, a share below 1 never as 100 %, and no number is shown in
machine notation ("1e-05", "nan"). The minus sign is the typographic one. Pure functions; nothing is computed.
"""

from __future__ import annotations

import math

UNDEFINED = "undefined"
"""Shown for a number that does not exist: not computed, or a division by 0."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST_PLAIN = 1e-4
"""Smaller numbers are written with a power of ten."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """'1 token', '3 tokens', '1,536 neurons'; `plural` if it is not `noun` with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def fixed(value: float | None, places: int = 2) -> str:
    """A number with `places` decimals: '0.72', '−0.30', '1,234'. One that would be rounded to 0 keeps a digit."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if value == 0:
        return "0"
    if abs(round(value, places)) >= 1000:
        return _minus(f"{value:,.0f}") if abs(value) < 1e9 else power(value, 2)
    text = f"{value:.{places}f}"
    return _minus(text) if float(text) else short(value, 1)


def short(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits: '8.75', '0.0004', '1.3 × 10⁻⁷', '1,000,000'."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    if not _SMALLEST_PLAIN <= abs(rounded) < 1e9:
        return power(value, digits)
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:,.{places}f}"
    return _minus(text.rstrip("0").rstrip(".") if "." in text else text)


def byte_size(count: int) -> str:
    """Bytes in decimal units: '540 MB', '13.5 GB'."""
    if count >= 10**9:
        return f"{count / 10**9:.1f} GB"
    return f"{count / 10**6:.0f} MB" if count >= 10**6 else f"{count / 10**3:.0f} kB"


def power(value: float, digits: int = 2) -> str:
    """'1.3 × 10⁻⁷', '10⁻⁵'."""
    head, exponent = f"{value:.{digits - 1}e}".split("e")
    head = head.rstrip("0").rstrip(".") if "." in head else head
    ten = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return _minus(head.replace("1", ten)) if head in ("1", "-1") else _minus(f"{head} × {ten}")


def signed(value: float | None, places: int = 2) -> str:
    """As `fixed`, with its sign: '+0.05', '−0.30', '0'."""
    text = fixed(value, places)
    return f"+{text}" if value is not None and math.isfinite(value) and value > 0 else text


def percent(share: float | None, places: int = 0) -> str:
    """A share in per cent: '7 %', 'under 1 %', 'over 99 %'; '0 %' and '100 %' only if it is exactly that."""
    number = per_cent(share, places)
    return number if number == UNDEFINED else f"{number} %"


def per_cent(share: float | None, places: int = 0) -> str:
    """`percent` without its sign."""
    if share is None or not math.isfinite(share):
        return UNDEFINED
    value, unit = 100 * share, 10.0**-places
    text = f"{value:,.{places}f}"
    if value > 0 and float(text.replace(",", "")) == 0:
        return f"under {unit:.{places}f}"
    if value < 100 and text == f"{100:.{places}f}":
        return f"over {100 - unit:.{places}f}"
    return _minus(text.removeprefix("-") if float(text.replace(",", "")) == 0 else text)


def _minus(text: str) -> str:
    return text.replace("-", "−")

"""Numbers as FCS files write them. Python's own readers take more: underscores, words, digits of other scripts."""

from __future__ import annotations

import math
import re

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def whole_number(text: str) -> int | None:
    """Read a whole number of at most 20 digits; None for anything else."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else None


def decimal(text: str) -> float | None:
    """Read a decimal number; None for anything else, and for what is too large for a double."""
    number = text.strip()
    value = float(number) if len(number) <= 400 and _DECIMAL.fullmatch(number) else math.nan
    return value if math.isfinite(value) else None


def positive(text: str | None) -> float | None:
    """Read a positive decimal number; None for anything else."""
    value = decimal(text or "")
    return value if value is not None and value > 0 else None

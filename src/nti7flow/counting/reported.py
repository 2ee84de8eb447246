"""Concentrations as they are told: three digits, and no number below the limit of quantification."""

from __future__ import annotations

import math

from nti7flow.counting.concentration import Concentration


def lloq(found: Concentration) -> float | None:
    """Lower limit of quantification, cells/µL; None where nothing in these tubes is quantified."""
    if found.limits is None or math.isinf(found.limits.quantification):
        return None
    return found.in_cells_per_ul(found.limits.quantification)


def reported(found: Concentration) -> str:
    """Return a concentration as it is to be shown: three digits, and no number below the limit of quantification."""
    if found.cells_per_ul is None:
        return ""
    if not found.below_lloq:
        return short(found.cells_per_ul)
    limit = lloq(found)
    return "<LLOQ" if limit is None else f"<LLOQ ({short(limit)})"


def short(value: float) -> str:
    """Return a number with three digits, and all of those before the point."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2e}")  # 99.97 is 100, not 100.0
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{value:.{min(decimals, 6)}f}"


def compact(text: str) -> str:
    """Return what `reported` gives, where room is scarce: ``<15.9`` for ``<LLOQ (15.9)``."""
    return text.replace("<LLOQ (", "<").removesuffix(")")

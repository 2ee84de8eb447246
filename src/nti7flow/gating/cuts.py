"""Bounds of gates on the scale of values: most events need no transform to be on the one or the other side of a bound.

Transforms never fall, but for their rounding. So a bound in display units is a value on the scale, up to a margin far
beyond any rounding; what lies within it is transformed and compared as everywhere else.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Transform

Floats = NDArray[np.float64]
#: Display units, relative to one more than the bound: a million times what transforms are off by.
MARGIN = 1e-9


@dataclass(frozen=True, slots=True)
class Cut:
    """A bound in display units, on the scale of values.

    Attributes
    ----------
    start : float
        Least scale value that has a display value (a logarithm has none of negative ones), else -inf.
    below : float
        The display values of scale values less than this are surely less than the bound.
    above : float
        The display values of scale values from this one on are surely not; NaN where that is sure of none.
    """

    start: float
    below: float
    above: float


def find_cuts(transform: Transform, bounds: Sequence[float]) -> list[Cut]:
    """Find bounds in display units on the scale of values.

    The inverse need not be accurate: where it leads is transformed again, and only believed when that is beyond half
    of the margin.
    """
    y = np.asarray(bounds, np.float64)
    margin = MARGIN * (1.0 + np.abs(y))
    start, lowest, highest = ends(transform)
    with np.errstate(all="ignore"):
        x = transform.inverse(np.concatenate([y - margin, y + margin]))
        below, above = np.split(np.asarray(x, np.float64), 2)
        under, over = np.split(np.asarray(transform.apply(x), np.float64), 2)
        below = np.where(np.isfinite(below) & (under <= y - margin / 2), below, -np.inf)
        above = np.where(np.isfinite(above) & (over >= y + margin / 2), above, np.nan)
        # A scale that ends (FlowJo's do) has no value beyond: then nothing or everything is above the bound.
        below = np.where(highest <= y - margin, np.inf, below)
        above = np.where(lowest >= y + margin, start, above)
    if np.isnan(highest):
        below, above = np.full_like(y, -np.inf), np.full_like(y, np.nan)
    return [Cut(start, *pair) for pair in zip(below.tolist(), above.tolist(), strict=True)]


def ends(transform: Transform) -> tuple[float, float, float]:
    """Return the least scale value that has a display value, and the display values of it and of infinity."""
    assert isinstance(transform, Hashable)
    return _ends(transform)


@lru_cache(maxsize=256)
def _ends(transform: Any) -> tuple[float, float, float]:
    lowest, highest = _display(transform, -np.inf), _display(transform, np.inf)
    if not np.isnan(lowest) or np.isnan(highest):
        return -np.inf, lowest, highest
    # Bisection over the doubles, in their order as integers.
    without, with_ = (int(_ordered(np.float64(x))) for x in (-np.inf, np.inf))
    while with_ - without > 1:
        middle = (without + with_) // 2
        if np.isnan(_display(transform, _double(middle))):
            without = middle
        else:
            with_ = middle
    start = _double(with_)
    return start, _display(transform, start), highest


def _display(transform: Transform, x: float) -> float:
    with np.errstate(all="ignore"):
        return float(transform.apply(np.array([x]))[0])


def _ordered(x: np.float64) -> int:
    """Rank of a double among all, 0 for 0."""
    bits = int(x.view(np.int64))
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _double(rank: int) -> float:
    size = float(np.int64(abs(rank)).view(np.float64))
    return size if rank >= 0 else -size

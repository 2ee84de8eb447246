"""What every display transform offers, and the check they share."""

from __future__ import annotations

from math import isfinite, log
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LN10 = log(10.0)
#: Above this many decades double precision no longer resolves the linear region; no instrument has half of them.
MOST_DECADES = 20.0
#: `Transform.rounding` of scales that are solved for by iteration: each program ends at other last bits.
ITERATED = 2e-15


class Transform(Protocol):
    """What every transform offers."""

    kind: ClassVar[str]
    #: Display units by which implementations of the scale differ: 0 where all do the same arithmetic.
    rounding: ClassVar[float]

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        ...

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        ...


def check_finite(*numbers: float) -> None:
    """Raise ValueError where a parameter is NaN or infinite."""
    if not all(isfinite(number) for number in numbers):
        raise ValueError(f"transform parameters must be finite numbers, found {numbers}")

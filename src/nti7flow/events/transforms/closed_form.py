"""The transforms of Gating-ML 2.0 that are a formula: linear, logarithm and inverse hyperbolic sine.

Log and arcsinh are computed operation by operation as flowutils does, so that an event that lies exactly on an edge
falls on the same side as in FlowKit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sinh
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nti7flow.events.transforms.base import LN10, MOST_DECADES, Floats, check_finite


@dataclass(frozen=True, slots=True)
class Linear:
    """``y = (x + a) / (t + a)``.

    Parameters
    ----------
    t : float
        Top of scale, scale units, ``t > 0``.
    a : float
        Amount of negative scale shown, scale units, ``t + a > 0``. Gating-ML asks for ``0 <= a <= t``; FlowJo's
        workspaces hold other values as well.
    """

    kind: ClassVar[str] = "linear"
    rounding: ClassVar[float] = 0.0
    t: float = 262144.0
    a: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self.t, self.a, self.t + self.a)
        if not (self.t > 0 and self.t + self.a > 0):
            raise ValueError(f"linear transform needs t > 0 and t + a > 0, found t={self.t}, a={self.a}")

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        return (np.asarray(values, np.float64) + self.a) / (self.t + self.a)

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        return np.asarray(display, np.float64) * (self.t + self.a) - self.a


#: No transform: display units are scale values.
IDENTITY = Linear(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Log:
    """``y = log10(x / t) / m + 1``; zero maps to -inf and negative values to NaN.

    Parameters
    ----------
    t : float
        Top of scale, scale units.
    m : float
        Number of decades shown.
    """

    kind: ClassVar[str] = "log"
    rounding: ClassVar[float] = 0.0
    t: float = 262144.0
    m: float = 4.5

    def __post_init__(self) -> None:
        check_finite(self.t, self.m)
        if not (self.t > 0 and self.m > 0):
            raise ValueError(f"log transform needs t > 0 and m > 0, found t={self.t}, m={self.m}")

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (1.0 / self.m) * np.log10(np.asarray(values, np.float64) / self.t) + 1.0

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        with np.errstate(over="ignore"):
            return self.t * 10.0 ** (self.m * (np.asarray(display, np.float64) - 1.0))


@dataclass(frozen=True, slots=True)
class Arcsinh:
    """Gating-ML ``fasinh``: linear near zero, logarithmic above.

    Parameters
    ----------
    t : float
        Top of scale, scale units.
    m : float
        Number of decades above the linear region.
    a : float
        Additional negative decades shown.
    """

    kind: ClassVar[str] = "arcsinh"
    rounding: ClassVar[float] = 0.0
    t: float = 262144.0
    m: float = 4.5
    a: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self.t, self.m, self.a)
        if not (self.t > 0 and 0 < self.m <= MOST_DECADES and 0 <= self.a <= self.m):
            raise ValueError(
                f"arcsinh transform needs t > 0, 0 < m <= {MOST_DECADES:g} and 0 <= a <= m, "
                f"found t={self.t}, m={self.m}, a={self.a}"
            )

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        # NumPy's sinh, not math's: the last bit of the two may differ.
        scaled = np.asarray(values, np.float64) * (np.sinh(self.m * LN10) / self.t)
        return np.asarray((np.arcsinh(scaled) + self.a * LN10) / ((self.m + self.a) * LN10))

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        y = np.asarray(display, np.float64) * ((self.m + self.a) * LN10) - self.a * LN10
        with np.errstate(over="ignore"):
            return np.sinh(y) * (self.t / sinh(self.m * LN10))

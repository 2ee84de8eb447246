"""The hyperlog scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nti7flow.events.transforms.base import ITERATED, LN10, MOST_DECADES, Floats, check_finite
from nti7flow.events.transforms.reflected import ReflectedCurve


@dataclass(frozen=True, slots=True)
class Hyperlog:
    """Hyperlog of Bagwell (2005), with the parameters of Gating-ML 2.0.

    The inverse is an exponential plus a straight line, ``x = a e^(by) + cy - f``, reflected below zero. `apply` solves
    it for ``y`` as `Logicle` does: a table of the inverse followed by one Halley step.

    Parameters
    ----------
    t : float
        Top of scale, scale units.
    w : float
        Number of decades in the linear region, ``0 < w <= m / 2``.
    m : float
        Number of decades the whole scale would have if it were logarithmic.
    a : float
        Additional negative decades, ``-w <= a <= m - 2 w``.

    References
    ----------
    Bagwell CB. Hyperlog - a flexible log-like transform for negative, zero, and positive valued data.
    Cytometry A 2005; 64A: 34-42.
    """

    kind: ClassVar[str] = "hyperlog"
    rounding: ClassVar[float] = ITERATED
    t: float = 262144.0
    w: float = 0.5
    m: float = 4.5
    a: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self.t, self.w, self.m, self.a)
        fits = 0 < self.w <= self.m / 2 and -self.w <= self.a <= self.m - 2 * self.w
        if not (self.t > 0 and self.m > 0 and fits and self.m + max(self.a, 0.0) <= MOST_DECADES):
            raise ValueError(
                f"hyperlog transform needs t > 0, m > 0, 0 < w <= m/2, -w <= a <= m - 2w, m + a <= {MOST_DECADES:g}, "
                f"found t={self.t}, w={self.w}, m={self.m}, a={self.a}"
            )

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        x = np.asarray(values, np.float64)
        return _curve(self).solve(x.ravel()).reshape(x.shape)

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        with np.errstate(over="ignore", invalid="ignore"):
            return _curve(self).value(np.asarray(display, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class _ExponentialAndLine(ReflectedCurve):
    """``p (e^(bu) - 1) + c u`` with ``u = y - x1 >= 0``, reflected below."""

    p: float
    b: float
    c: float

    def upper(self, y: Floats) -> Floats:
        u = y - self.x1
        return np.asarray(self.p * np.expm1(self.b * u) + self.c * u)

    def halley(self, y: Floats, x: Floats) -> Floats:
        u = y - self.x1
        up = self.p * np.exp(self.b * u)
        error = (up - self.p) + (self.c * u - x)
        up *= self.b
        slope = up + self.c
        error /= slope
        return np.asarray(y - error / (1.0 - 0.5 * error * (self.b * up) / slope))

    def guess(self, x: Floats) -> Floats:
        # Neither term alone may exceed x, so the smaller of both answers is at most twice too far up the curve.
        return np.asarray(self.x1 + np.minimum((np.log(x + self.p) - np.log(self.p)) / self.b, x / self.c))


@lru_cache(maxsize=64)
def _curve(transform: Hyperlog) -> _ExponentialAndLine:
    """Coefficients and start table of one hyperlog scale.

    Gating-ML 2.0 defines ``b = (m + a) ln 10``, ``c = a e^(b x0) / w`` and ``f = a e^(b x1) + c x1`` with ``w``, ``x1``
    and ``x0 = x1 + w`` as fractions of the scale. With ``p = a e^(b x1)`` this is ``p = c w e^(-bw)``, which stays
    finite however narrow the linear region is; ``c`` follows from ``t`` at the top.
    """
    total = transform.m + transform.a
    w = transform.w / total
    x1 = transform.a / total + w
    b = total * LN10
    share = w * exp(-b * w)
    c = transform.t / (share * expm1(b * (1.0 - x1)) + (1.0 - x1))
    p = share * c
    # A hyperbolic sine of this unit has the same slope at zero.
    return _ExponentialAndLine(x1, p + c / b, 0.0, np.empty(0), p, b, c).tabulated()

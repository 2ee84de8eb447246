"""The logicle scale, and the width that suits a channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, log10
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nti7flow.events.transforms.base import ITERATED, LN10, MOST_DECADES, Floats, check_finite
from nti7flow.events.transforms.reflected import ReflectedCurve


@dataclass(frozen=True, slots=True)
class Logicle:
    """Logicle of Parks, Roederer & Moore (2006), in the form of Moore & Parks (2012).

    The inverse is the biexponential ``x = p e^(by) - c e^(-dy) + f``, reflected below zero. `apply` solves it
    for ``y`` from a table of the inverse followed by one Halley step, vectorised; it agrees with the
    reference implementation to rounding error.

    Parameters
    ----------
    t : float
        Top of scale, scale units.
    w : float
        Number of decades in the linear region, ``0 <= w <= m / 2``.
    m : float
        Number of decades the whole scale would have if it were logarithmic.
    a : float
        Additional negative decades, ``-w <= a <= m - 2 w``.

    References
    ----------
    Moore WA, Parks DR. Update for the logicle data scale including operational code implementations.
    Cytometry A 2012; 81A: 273-277.
    """

    kind: ClassVar[str] = "logicle"
    rounding: ClassVar[float] = ITERATED
    t: float = 262144.0
    w: float = 0.5
    m: float = 4.5
    a: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self.t, self.w, self.m, self.a)
        fits = 0 <= self.w <= self.m / 2 and -self.w <= self.a <= self.m - 2 * self.w
        if not (self.t > 0 and self.m > 0 and fits and self.m + max(self.a, 0.0) <= MOST_DECADES):
            raise ValueError(
                f"logicle transform needs t > 0, m > 0, 0 <= w <= m/2, -w <= a <= m - 2w, m + a <= {MOST_DECADES:g}, "
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
class _Biexponential(ReflectedCurve):
    """``p e^(by) - c e^(-dy) + f`` for ``y >= x1``, reflected below."""

    p: float
    b: float
    c: float
    d: float
    f: float

    def upper(self, y: Floats) -> Floats:
        return np.asarray(self.p * np.exp(self.b * y) - self.c * np.exp(-self.d * y) + self.f)

    def halley(self, y: Floats, x: Floats) -> Floats:
        up = self.p * np.exp(self.b * y)
        down = self.c * np.exp(-self.d * y)
        error = (up - down) + (self.f - x)
        up *= self.b
        down *= self.d
        slope = up + down
        error /= slope
        return np.asarray(y - error / (1.0 - 0.5 * error * (self.b * up - self.d * down) / slope))

    def guess(self, x: Floats) -> Floats:
        # Off the table the curve is nearly a pure exponential.
        return np.asarray((np.log(x - self.f) - log(self.p)) / self.b)


def decay(b: float, w: float) -> float:
    """Solve ``2 (ln d - ln b) + w (b + d) = 0`` for ``0 < d <= b`` by bisection.

    With this ``d`` a biexponential has no curvature at zero (Moore & Parks 2012).
    """
    if w <= 0:
        return b
    low, high = 0.0, b
    while (middle := (low + high) / 2) not in (low, high):
        if 2 * log(middle / b) + w * (b + middle) > 0:
            high = middle
        else:
            low = middle
    return middle


@lru_cache(maxsize=64)
def _curve(transform: Logicle) -> _Biexponential:
    """Coefficients and start table of one logicle scale (Moore & Parks 2012, appendix)."""
    total = transform.m + transform.a
    w = transform.w / total
    x2 = transform.a / total
    x1 = x2 + w
    x0 = x2 + 2 * w
    b = total * LN10
    d = decay(b, w)
    ca = exp(x0 * (b + d))
    fa = exp(b * x1) - ca * exp(-d * x1)
    p = transform.t / (exp(b) - fa - ca * exp(-d))
    unit = transform.t * 10.0 ** (-transform.m + transform.w)
    return _Biexponential(x1, unit, 0.0, np.empty(0), p, b, c=ca * p, d=d, f=-fa * p).tabulated()


#: Negative values this far into the tail set the width of a logicle's linear region.
NEGATIVE_PERCENTILE = 5.0
#: Widths are rounded up to this step so that tubes of one study mostly share a scale.
WIDTH_STEP = 0.25


def logicle_width(negatives: Floats, t: float, m: float) -> float:
    """Choose the logicle width ``w`` from the negative values of a channel.

    ``w = (m - log10(t / |r|)) / 2`` with ``r`` the 5th percentile of the negative values (Parks et al. 2006),
    rounded up to a multiple of 0.25 and held within 0.5 and ``m / 2 - 0.25``.

    Parameters
    ----------
    negatives : ndarray of float64, shape (n,)
        The values below zero, scale units. Fewer than 20 leave the width at 0.5.
    t, m : float
        Top of scale and decades of the logicle.
    """
    high = max(m / 2 - WIDTH_STEP, 0.0)
    low = min(0.5, high)
    if negatives.size < 20:
        return low
    reference = abs(float(np.percentile(negatives, NEGATIVE_PERCENTILE)))
    if reference == 0.0:
        return low
    raw = (m - log10(t / reference)) / 2
    return float(min(max(np.ceil(raw / WIDTH_STEP) * WIDTH_STEP, low), high))

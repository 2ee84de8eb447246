"""Display transforms: scale values to display units and back.

The definitions are those of Gating-ML 2.0 (ISAC, 2015): every transform maps the top of scale ``t`` to 1.
All of them are strictly increasing, take arrays of any shape, return float64, and keep NaN and
infinities as they are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from math import exp, isfinite, log, log10, sinh
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LN10 = log(10.0)
#: Above this many decades double precision no longer resolves the linear region; no instrument has half of them.
MOST_DECADES = 20.0


class Transform(Protocol):
    """What every transform offers."""

    kind: ClassVar[str]

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        ...

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        ...


def _check(*numbers: float) -> None:
    if not all(isfinite(number) for number in numbers):
        raise ValueError(f"transform parameters must be finite numbers, found {numbers}")


@dataclass(frozen=True, slots=True)
class Linear:
    """``y = (x + a) / (t + a)``.

    Parameters
    ----------
    t : float
        Top of scale, scale units.
    a : float
        Amount of negative scale shown, scale units, ``0 <= a <= t``.
    """

    kind: ClassVar[str] = "linear"
    t: float = 262144.0
    a: float = 0.0

    def __post_init__(self) -> None:
        _check(self.t, self.a)
        if not (self.t > 0 and 0 <= self.a <= self.t):
            raise ValueError(f"linear transform needs t > 0 and 0 <= a <= t, found t={self.t}, a={self.a}")

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        return (np.asarray(values, np.float64) + self.a) / (self.t + self.a)

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        return np.asarray(display, np.float64) * (self.t + self.a) - self.a


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
    t: float = 262144.0
    m: float = 4.5

    def __post_init__(self) -> None:
        _check(self.t, self.m)
        if not (self.t > 0 and self.m > 0):
            raise ValueError(f"log transform needs t > 0 and m > 0, found t={self.t}, m={self.m}")

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(np.asarray(values, np.float64) / self.t) / self.m + 1.0

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
    t: float = 262144.0
    m: float = 4.5
    a: float = 0.0

    def __post_init__(self) -> None:
        _check(self.t, self.m, self.a)
        if not (self.t > 0 and 0 < self.m <= MOST_DECADES and 0 <= self.a <= self.m):
            raise ValueError(
                f"arcsinh transform needs t > 0, 0 < m <= {MOST_DECADES:g} and 0 <= a <= m, "
                f"found t={self.t}, m={self.m}, a={self.a}"
            )

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        scaled = np.asarray(values, np.float64) * (sinh(self.m * LN10) / self.t)
        return (np.arcsinh(scaled) + self.a * LN10) / ((self.m + self.a) * LN10)

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        y = np.asarray(display, np.float64) * ((self.m + self.a) * LN10) - self.a * LN10
        with np.errstate(over="ignore"):
            return np.sinh(y) * (self.t / sinh(self.m * LN10))


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
    t: float = 262144.0
    w: float = 0.5
    m: float = 4.5
    a: float = 0.0

    def __post_init__(self) -> None:
        _check(self.t, self.w, self.m, self.a)
        fits = 0 <= self.w <= self.m / 2 and -self.w <= self.a <= self.m - 2 * self.w
        if not (self.t > 0 and self.m > 0 and fits and self.m + max(self.a, 0.0) <= MOST_DECADES):
            raise ValueError(
                f"logicle transform needs t > 0, m > 0, 0 <= w <= m/2, -w <= a <= m - 2w, m + a <= {MOST_DECADES:g}, "
                f"found t={self.t}, w={self.w}, m={self.m}, a={self.a}"
            )

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units."""
        x = np.asarray(values, np.float64)
        curve = _biexponential(self)
        return curve.solve(x.ravel()).reshape(x.shape)

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values."""
        with np.errstate(over="ignore", invalid="ignore"):
            return _biexponential(self).value(np.asarray(display, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class _Biexponential:
    """The upper branch ``p e^(by) - c e^(-dy) + f`` for ``y >= x1``; the lower branch is its reflection in ``x1``.

    ``start`` holds positions ``y`` at equal steps of ``arcsinh(x / unit)``, a scale on which the curve is nearly
    straight: the table is entered by arithmetic, without a search.
    """

    p: float
    b: float
    c: float
    d: float
    f: float
    x1: float
    unit: float
    step: float
    start: Floats

    def value(self, y: Floats) -> Floats:
        """Scale value at display position ``y``."""
        upper = self.x1 + np.abs(y - self.x1)
        x = self.p * np.exp(self.b * upper) - self.c * np.exp(-self.d * upper) + self.f
        return np.asarray(np.copysign(x, y - self.x1))

    def solve(self, x: Floats) -> Floats:
        """Display position ``y`` with ``value(y) == x``."""
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.abs(x)
            position = np.arcsinh(size / self.unit) / self.step
            inside = position < len(self.start) - 1  # False for NaN
            cell = np.where(inside, position, 0.0).astype(np.intp)
            y = self.start[cell]
            y += (position - cell) * (self.start[cell + 1] - y)
            y = self.halley(y, size)
            if not inside.all():
                far = ~inside
                y[far] = self.beyond(size[far])
            y -= self.x1
            np.copysign(y, x, out=y)
            y += self.x1
        return y

    def beyond(self, x: Floats) -> Floats:
        """Display position off the table, where the curve is nearly a pure exponential; NaN and infinity stay."""
        y = np.asarray((np.log(x - self.f) - log(self.p)) / self.b)
        for _ in range(6):
            nearer = self.halley(y, x)
            y = np.where(np.isfinite(nearer), nearer, y)
        return y

    def halley(self, y: Floats, x: Floats) -> Floats:
        """One step of Halley's method for ``value(y) == x`` on the upper branch; the error becomes its cube."""
        up = self.p * np.exp(self.b * y)
        down = self.c * np.exp(-self.d * y)
        error = (up - down) + (self.f - x)
        up *= self.b
        down *= self.d
        slope = up + down
        error /= slope
        return np.asarray(y - error / (1.0 - 0.5 * error * (self.b * up - self.d * down) / slope))


def _decay(b: float, w: float) -> float:
    """Solve ``2 (ln d - ln b) + w (b + d) = 0`` for ``0 < d < b`` (no curvature at x1) by bisection."""
    low, high = 0.0, b
    while (middle := (low + high) / 2) not in (low, high):
        if 2 * log(middle / b) + w * (b + middle) > 0:
            high = middle
        else:
            low = middle
    return middle


@lru_cache(maxsize=64)
def _biexponential(transform: Logicle) -> _Biexponential:
    """Coefficients and start table of one logicle scale (Moore & Parks 2012, appendix)."""
    total = transform.m + transform.a
    w = transform.w / total
    x2 = transform.a / total
    x1 = x2 + w
    x0 = x2 + 2 * w
    b = total * LN10
    d = b
    if w > 0:
        d = _decay(b, w)
    ca = exp(x0 * (b + d))
    fa = exp(b * x1) - ca * exp(-d * x1)
    p = transform.t / (exp(b) - fa - ca * exp(-d))
    c, f = ca * p, -fa * p
    unit = transform.t * 10.0 ** (-transform.m + transform.w)  # about where the scale turns from linear to logarithmic
    curve = _Biexponential(p, b, c, d, f, x1, unit, 0.0, np.empty(0))
    # The table reaches 0.3 above the visible scale: all a cytometer writes. Its rows are found by Halley from a coarse
    # start.
    fine = np.linspace(x1, 1.3, 4096)
    top = float(np.arcsinh(curve.value(fine[-1:]) / unit)[0])
    step = top / 4096
    x = unit * np.sinh(np.arange(4097) * step)
    start = np.interp(x, curve.value(fine), fine)
    for _ in range(3):
        start = curve.halley(start, x)
    start.flags.writeable = False
    return replace(curve, step=step, start=start)


_KINDS: dict[str, type[Linear] | type[Log] | type[Arcsinh] | type[Logicle]] = {
    cls.kind: cls for cls in (Linear, Log, Arcsinh, Logicle)
}


def transform_to_dict(transform: Transform) -> dict[str, Any]:
    """Return the transform as plain numbers, ready for JSON."""
    return {"kind": transform.kind, **asdict(transform)}  # type: ignore[call-overload]


def transform_from_dict(data: dict[str, Any]) -> Transform:
    """Rebuild a transform from `transform_to_dict`."""
    parameters = dict(data)
    kind = parameters.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"unknown transform '{kind}', known: {', '.join(sorted(_KINDS))}")
    try:
        return _KINDS[kind](**parameters)
    except TypeError as error:
        raise ValueError(f"{kind} transform: {error}") from None


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

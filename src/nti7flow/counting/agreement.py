"""How well two methods agree on the same specimens: Bland-Altman, and Passing-Bablok regression.

``x`` is the method compared with, ``y`` the one that is judged; a difference is y less x, and a line is y over x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import ConfigError

Floats = NDArray[np.float64]
#: What a difference is: y - x; that in percent of the average of both; or the natural logarithm of y / x.
Scale = Literal["absolute", "percent", "log"]
SCALES: tuple[Scale, ...] = ("absolute", "percent", "log")
#: Pairs below which there is no answer.
FEWEST_DIFFERENCES, FEWEST_FOR_A_LINE = 3, 8
#: Share of the differences between the limits of agreement.
WITHIN_LIMITS = 0.95
#: Part of the largest number below which a distance from the line is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the ends of its confidence interval."""

    value: float
    lower: float
    upper: float

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value, its ends included."""
        return self.lower <= value <= self.upper


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Differences between two methods.

    Attributes
    ----------
    n : int
        Pairs.
    scale : str
        Unit of everything below: that of the values, percent of the average, or natural logarithm of the ratio.
    level : float
        Of the intervals.
    bias : Estimate
        Mean difference.
    sd : float
        Standard deviation of the differences.
    lower_limit, upper_limit : Estimate
        Limits of agreement, between which 95 % of the differences lie if they are normal.
    slope : Estimate
        Change of the difference with the average of both methods (of both logarithms, on that scale): other than 0
        where the difference is proportional to what is measured.
    slope_p : float
        Of the test that it is 0.
    """

    n: int
    scale: Scale
    level: float
    bias: Estimate
    sd: float
    lower_limit: Estimate
    upper_limit: Estimate
    slope: Estimate
    slope_p: float


@dataclass(frozen=True, slots=True)
class PassingBablok:
    """The line y = intercept + slope x.

    Attributes
    ----------
    n, n_slopes : int
        Pairs, and slopes between two of them that were used.
    shift : int
        K of the paper: how many slopes are below -1.
    level : float
        Of the intervals.
    slope, intercept : Estimate
        Other than 1: a proportional difference. Other than 0: a constant one.
    cusum : float
        Largest cumulative sum of the signs of the residuals along the line, over root(L + 1); see `passing_bablok`.
    linear_p : float
        Of the test that the relation is linear; where it is small, the line says nothing.
    """

    n: int
    n_slopes: int
    shift: int
    level: float
    slope: Estimate
    intercept: Estimate
    cusum: float
    linear_p: float


def bland_altman(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats, *, level: float = 0.95, scale: Scale = "absolute"
) -> BlandAltman:
    """Describe the differences between two methods (Bland & Altman, Lancet 1986; Stat Methods Med Res 1999).

    The limits are bias ± 1.96 sd. Their intervals are exact for normal differences, not the approximations of those
    papers: root(n) (mean - limit) / sd has a noncentral t distribution with n - 1 degrees of freedom and
    noncentrality ± 1.96 root(n) (Carkeet, Optom Vis Sci 2015). The interval of the bias is that of Student's t.

    Parameters
    ----------
    x, y : (n,) of float
        The method compared with, and the one judged, in the same unit.
    level : float
        Of the intervals.
    scale : {"absolute", "percent", "log"}
        Of the differences. Where these grow with what is measured, as counts of cells do, a relative one.

    Returns
    -------
    BlandAltman

    Raises
    ------
    ConfigError
        Fewer than 3 pairs, values that are missing, or all the same in one method, or that have no ratio (not above 0).
    """
    first, second = _pairs(x, y, fewest=FEWEST_DIFFERENCES, level=level)
    d = differences(first, second, scale=scale)
    centre = averages(first, second, scale=scale)
    from scipy.stats import nct, norm, t

    n = len(d)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    mean, sd = float(np.mean(d)), float(np.std(d, ddof=1))
    unit = sd / sqrt(n)
    z = float(norm.ppf((1 + WITHIN_LIMITS) / 2))
    low, high = unit * nct.ppf(tails, n - 1, z * sqrt(n))
    slope, slope_p = _trend(centre, d, tails)
    half = unit * float(t.ppf(tails[1], n - 1))
    return BlandAltman(
        n=n,
        scale=scale,
        level=level,
        bias=Estimate(mean, mean - half, mean + half),
        sd=sd,
        lower_limit=Estimate(mean - z * sd, mean - float(high), mean - float(low)),
        upper_limit=Estimate(mean + z * sd, mean + float(low), mean + float(high)),
        slope=slope,
        slope_p=slope_p,
    )


def differences(x: Floats, y: Floats, *, scale: Scale) -> Floats:
    """Return the differences on a scale, as `BlandAltman` explains it; raises `ConfigError` where there is no ratio."""
    if scale not in SCALES:
        raise ConfigError(f"scale: found {scale!r}; expected {', '.join(SCALES)}.")
    without = int(np.sum(~has_ratio(x, y, scale=scale)))
    if without:
        why = "not above 0 in one method or both" if scale == "log" else "negative, or 0 in both methods"
        raise ConfigError(f"{without} of {len(x)} pairs are {why}: they have no {scale} difference; leave them out.")
    if scale == "log":
        return np.log(y) - np.log(x)
    return y - x if scale == "absolute" else 200.0 * (y - x) / (x + y)


def has_ratio(x: Floats, y: Floats, *, scale: Scale) -> NDArray[np.bool_]:
    """Whether each pair has a difference on a scale: (n,) of bool."""
    if scale == "log":
        return np.asarray((x > 0) & (y > 0))
    if scale == "percent":
        return np.asarray((x >= 0) & (y >= 0) & (x + y > 0))
    return np.ones(len(x), np.bool_)


def averages(x: Floats, y: Floats, *, scale: Scale) -> Floats:
    """Return what differences are drawn over: the average of both, or of their logarithms."""
    return (np.log(x) + np.log(y)) / 2 if scale == "log" else (x + y) / 2


def _trend(centre: Floats, d: Floats, tails: Floats) -> tuple[Estimate, float]:
    """Slope of the least squares line through differences over averages, and the p that it is 0.

    As a test this is Pitman's of equal variances. It is exact where both methods are as noisy.
    """
    from scipy.stats import t

    away = centre - np.mean(centre)
    n, square = len(d), float(np.sum(away**2))
    if square <= (_ROUNDING * float(np.max(np.abs(centre)))) ** 2:
        raise ConfigError(f"all {n} pairs have the same average; compare specimens that differ.")
    slope = float(np.sum(away * d)) / square
    residuals = d - np.mean(d) - slope * away
    error = sqrt(float(np.sum(residuals**2)) / (n - 2) / square)
    half = error * float(t.ppf(tails[1], n - 2))
    if error <= _ROUNDING * abs(slope) or error == 0:
        return Estimate(slope, slope, slope), 0.0 if slope else 1.0
    return Estimate(slope, slope - half, slope + half), float(2 * t.sf(abs(slope) / error, n - 2))


def passing_bablok(
    x: Sequence[float] | Floats,
    y: Sequence[float] | Floats,
    *,
    level: float = 0.95,
    fewest: int = FEWEST_FOR_A_LINE,
) -> PassingBablok:
    """Fit a line to two methods that are both uncertain (Passing & Bablok, J Clin Chem Clin Biochem 1983;21:709).

    The slope is the median of the slopes between all pairs of points, shifted by the number of those below -1, so
    that the answer is the same whichever method is called x. Two points that coincide have no slope, and one of
    exactly -1 is left out; points above each other have an infinite one. The paper supposes that both methods rise
    together and that their imprecisions are as the slope.

    Linearity is tested by the cumulative sum of the residuals' signs along the line: where the relation is bent,
    points above the line lie together. Its largest value over root(L + 1), with L points on either side, is held
    against Kolmogorov's distribution. As the line was fitted to the same points the test is not exact: measured at a
    level of 5 %, it rejects 2 % of straight relations with 20 to 40 pairs, and 8 % with 100.

    The paper's interval of the slope supposes the same error everywhere. Where errors grow with the value, as those
    of counts do, it is somewhat short: measured at a CV of 8 %, it holds the truth 91 times in 100 and not 95.

    Parameters
    ----------
    x, y : (n,) of float
        The method compared with, and the one judged.
    level : float
        Of the intervals.
    fewest : int
        Pairs below which no line is fitted.

    Returns
    -------
    PassingBablok

    Raises
    ------
    ConfigError
        Too few pairs, values that are missing or all the same in one method, or pairs that do not rise together
        firmly enough to bound the slope.
    """
    first, second = _pairs(x, y, fewest=fewest, level=level)
    from scipy.stats import norm

    n = len(first)
    slopes, shift = _slopes(first, second)
    n_slopes = len(slopes)
    width = float(norm.ppf((1 + level) / 2)) * sqrt(n * (n - 1) * (2 * n + 5) / 18)
    rank = round((n_slopes - width) / 2)  # of the lower end, from 1; the upper end has the same from above
    ends = (rank - 1 + shift, n_slopes - rank + shift)
    if rank < 1 or ends[1] >= n_slopes or not 0 < slopes[ends[0]] <= slopes[ends[1]] < np.inf:
        raise ConfigError(
            f"the {n} pairs do not rise together firmly enough for a line: its slope may be 0, negative or infinite; "
            "compare specimens over a wider range, or more of them."
        )
    middle = [(n_slopes - 1) // 2 + shift, n_slopes // 2 + shift]
    slope = Estimate(float(np.mean(slopes[middle])), *(float(slopes[end]) for end in ends))
    intercept = Estimate(*(float(np.median(second - b * first)) for b in (slope.value, slope.upper, slope.lower)))
    cusum, linear_p = _linearity(first, second, slope.value, intercept.value)
    return PassingBablok(n, n_slopes, shift, level, slope, intercept, cusum, linear_p)


def _slopes(x: Floats, y: Floats) -> tuple[Floats, int]:
    """Slopes between all pairs of points that have one, sorted, and how many are below -1."""
    i, j = np.triu_indices(len(x), 1)
    dx, dy = x[j] - x[i], y[j] - y[i]
    apart = ((dx != 0) | (dy != 0)) & (dx != -dy)
    dx, dy = dx[apart], dy[apart]
    # Plus or minus infinity gives the same line: one that is below -1 takes a rank and gives it back as shift.
    slopes = np.full(len(dx), np.inf)
    np.divide(dy, dx, out=slopes, where=dx != 0)
    slopes.sort()
    return slopes, int(np.searchsorted(slopes, -1.0))


def _linearity(x: Floats, y: Floats, slope: float, intercept: float) -> tuple[float, float]:
    """Cusum of the residuals' signs in the order along the line, and the p that the relation is linear."""
    from scipy.special import kolmogorov

    residuals = y - intercept - slope * x
    least = _ROUNDING * float(np.max(np.abs(y)) + abs(slope) * np.max(np.abs(x)))
    above, below = residuals > least, residuals < -least
    n_above, n_below = int(above.sum()), int(below.sum())
    if not (n_above and n_below):  # all on the line, or as good as
        return 0.0, 1.0
    along = x + slope * y  # rises with the distance along the line
    # Steps of root(n_below / n_above) up and of its inverse down sum to the difference of both distributions, times
    # root(n_above n_below). Points at one place are one step, whichever comes first.
    shares = (np.searchsorted(np.sort(along[side]), along, side="right") / side.sum() for side in (above, below))
    apart = float(np.max(np.abs(np.subtract(*shares))))
    # The paper has L points on either side of its line; where many lie on it, sides differ.
    cusum = sqrt(n_above * n_below) * apart / sqrt((n_above + n_below) / 2 + 1)
    return cusum, float(kolmogorov(cusum))


def _pairs(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats, *, fewest: int, level: float
) -> tuple[Floats, Floats]:
    """Both methods as arrays, or what is wrong with them."""
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ConfigError(
            f"found {first.shape} values beside {second.shape}; expected one value of each method a pair."
        )
    if not 0 < level < 1:
        raise ConfigError(f"level: found {level!r}; expected a number between 0 and 1, like 0.95.")
    missing = int(np.sum(~(np.isfinite(first) & np.isfinite(second))))
    if missing:
        raise ConfigError(f"{missing} of {len(first)} pairs have a value that is missing or infinite; leave them out.")
    if len(first) < fewest:
        raise ConfigError(f"found {len(first)} pairs; expected at least {fewest}; compare more specimens.")
    for values, name in ((first, "x"), (second, "y")):
        if np.all(values == values[0]):
            raise ConfigError(f"all {len(values)} values of {name} are {values[0]:g}; compare specimens that differ.")
    return first, second

"""Exact intervals of a count against a reference, with every other error of the measurement in them.

A count is a random draw. How it scatters depends on what it is compared with, and each case has an exact interval:

- ``beads``: of cells and beads together, a binomial share are cells (Przyborowski & Wilenski, Biometrika 1940);
- ``volume``: cells in a volume are Poisson (Garwood, Biometrika 1936);
- ``share``: of a number of lymphocytes, those of a population are binomial (Clopper & Pearson, Biometrika 1934).

What else may be wrong (bead lot, pipette, gates, haematology) multiplies the result, and is taken as log-normal. It is
averaged over within the two tail probabilities that define the exact interval. So one method serves any count: for
large ones it becomes the usual interval on the log scale, for small ones the exact one, and nothing jumps in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Kind = Literal["beads", "volume", "share"]
#: Of an interval. Beyond it the log-normal of errors that nobody has measured so far out would decide.
MOST_LEVEL = 0.9999
#: The log-normal is cut off so many standard deviations from its middle.
_REACH = 5.5
#: Rows worked on together: those that need as many points of the log-normal.
_ROWS = 256
#: Step of the sum over the log-normal, in its standard deviations and in those of the count: exact to 1e-9.
_STEP = 0.5


def central_interval(
    n_events: ArrayLike,
    reference: ArrayLike,
    sd: ArrayLike = 0.0,
    *,
    kind: Kind,
    level: float = 0.95,
    background: ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
    """Return the limits of events per unit of reference.

    Parameters
    ----------
    n_events : array_like of int, shape (n,)
        Events of the population.
    reference : array_like, shape (n,)
        Bead events, volume (any unit), or events of which these are a share.
    sd : array_like of float, shape (n,)
        Standard deviation of all multiplicative errors together, natural log units.
    kind : {"beads", "volume", "share"}
        What the reference is.
    level : float
        Of the interval; each tail beyond it has half of the rest.
    background : array_like of float, shape (n,)
        Events among ``n_events`` that may be of something else. The lower limit allows for them; the upper does not
        count on them.

    Returns
    -------
    lower, upper : ndarray of float64, shape (n,)
        Per unit of reference. The lower limit is 0 where so many events may come by chance from nothing, or from the
        background.

    Examples
    --------
    Ten cells in 1 µL without any other error: the exact Poisson interval.

    >>> lower, upper = central_interval([10], [1.0], kind="volume")
    >>> round(float(lower[0]), 2), round(float(upper[0]), 2)
    (4.8, 18.39)
    """
    if not 0 < level <= MOST_LEVEL:
        raise ValueError(f"level is {level}; expected above 0 and at most {MOST_LEVEL}, such as 0.95")
    n, per, s, beta = (np.atleast_1d(np.asarray(x, np.float64)) for x in (n_events, reference, sd, background))
    n, per, s, beta = np.broadcast_arrays(n, per, s, beta)
    _check(n, per, s, beta, kind)
    lower, upper = np.empty(len(n)), np.empty(len(n))
    order = np.argsort(_steepness(n, per, s, kind), kind="stable")
    for start in range(0, len(n), _ROWS):
        rows = order[start : start + _ROWS]
        limits = _limits(n[rows], per[rows], s[rows], beta[rows], kind=kind, tail=(1 - level) / 2)
        lower[rows], upper[rows] = limits
    return lower, upper


def _check(n: Floats, per: Floats, s: Floats, beta: Floats, kind: Kind) -> None:
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    finite = all(np.isfinite(x).all() for x in (n, per, s, beta))
    if not finite or (n < 0).any() or (per <= 0).any() or (s < 0).any() or (beta < 0).any():
        raise ValueError("an interval needs finite events >= 0, reference > 0, sd >= 0 and background >= 0")
    if kind == "beads" and (per < 1).any():
        raise ValueError("an interval against beads needs at least one bead event")
    if kind == "share" and (n > per).any():
        raise ValueError("more events than those of which they are a share")


def _limits(n: Floats, per: Floats, s: Floats, beta: Floats, *, kind: Kind, tail: float) -> tuple[Floats, Floats]:
    z, weights = _normal(float(_steepness(n, per, s, kind).max(initial=0.0)))

    def at_least(u: Floats, n: Floats, per: Floats, s: Floats, beta: Floats) -> Floats:
        rates = np.exp(u)[:, None] * np.exp(s[:, None] * z) + (beta / per)[:, None]
        return _tails(kind, n[:, None], per[:, None], rates)[0] @ weights

    def at_most(u: Floats, n: Floats, per: Floats, s: Floats) -> Floats:
        rates = np.exp(u)[:, None] * np.exp(s[:, None] * z)
        return _tails(kind, n[:, None], per[:, None], rates)[1] @ weights

    lower, upper = np.zeros(len(n)), np.empty(len(n))
    # Beads are a draw as well: where they are few, their scatter reaches further than that of the cells.
    fewest, most = (_least(per), _most(per)) if kind == "beads" else (per, per)
    lowest = np.log(np.maximum(_least(n) - beta, 1e-9) / most) - 8 * s
    middle = np.log(np.maximum(n, 1e-3) / per)
    highest = np.log(_most(n) / fewest) + 8 * s + 1
    # Where even hardly any cell of its own would be enough to explain the events, there may be none.
    some = n > 0
    some[some] = at_least(lowest[some], n[some], per[some], s[some], beta[some]) < tail
    args = tuple(x[some] for x in (n, per, s, beta))
    lower[some] = np.exp(_root(at_least, lowest[some], highest[some], args, tail))
    upper[:] = np.exp(_root(at_most, middle - 2 * s, highest, (n, per, s), tail))
    return lower, upper


def _least(count: Floats) -> Floats:
    """Below any expected count that goes with a count at `MOST_LEVEL`."""
    return np.asarray(np.maximum(count - 8 * np.sqrt(count), 1e-5))


def _most(count: Floats) -> Floats:
    """Above any such expected count."""
    return np.asarray(count + 15 + 10 * np.sqrt(count + 1))


def _root(
    probability: Callable[..., Floats], low: Floats, high: Floats, args: tuple[Floats, ...], tail: float
) -> Floats:
    """Where a tail probability takes a value; found on the probit scale, on which it is nearly straight."""
    from scipy.optimize import elementwise
    from scipy.special import ndtri

    if not len(low):
        return low

    def off(u: Floats, *args: Floats) -> Floats:
        p = np.clip(probability(u, *args), 1e-300, 1 - 1e-16)
        return np.asarray(ndtri(p) - ndtri(tail))

    found = elementwise.find_root(off, (low, high), args=args, tolerances={"xatol": 1e-10, "xrtol": 0, "fatol": 1e-10})
    return np.asarray(found.x)


def _tails(kind: Kind, n: Floats, per: Floats, rate: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """Probability of at least, and of at most, so many events at a rate of events per unit of reference."""
    from scipy.special import betainc, betaincc, gammainc, gammaincc

    least: NDArray[Any]
    most: NDArray[Any]
    some = np.maximum(n, 1e-9)
    if kind == "volume":
        least, most = gammainc(some, rate * per), gammaincc(n + 1, rate * per)
    elif kind == "beads":
        odds = rate / (1 + rate)
        least, most = betainc(some, per + 1, odds), betaincc(n + 1, per, odds)
    else:
        share = np.minimum(rate, 1.0)
        least, most = betainc(some, per - n + 1, share), betaincc(n + 1, np.maximum(per - n, 1e-9), share)
        most = np.where(n < per, most, 1.0)
        # A share above 1 cannot be: such a value of the other errors does not go with this concentration.
        most = np.where(rate > 1, 0.0, most)
    return np.where(n > 0, least, 1.0), most


def _steepness(n: Floats, per: Floats, s: Floats, kind: Kind) -> Floats:
    """How steeply the probabilities of a count rise over the other errors: inverse of the width in their spreads."""
    steep = s * np.sqrt(n + 1)
    # Near the whole, the bound at 1 cuts through the other errors.
    return np.where(n > 0.5 * per, np.maximum(steep, 60.0), steep) if kind == "share" else steep


def _normal(steepness: float) -> tuple[Floats, Floats]:
    """Points and weights of the standard normal, close enough for a function that rises over 1/steepness.

    Equal steps: for so smooth a function the sum over them converges faster than any formula with a fixed number of
    points.
    """
    step = _STEP * min(1.0, 1.5 / max(steepness, 1e-9))
    half = np.arange(0.0, _REACH + step, step)
    z = np.concatenate([-half[:0:-1], half])
    weights = np.exp(-0.5 * z * z)
    return z, weights / weights.sum()


def log_likelihood(n_events: float, reference: float, sd: float, rate: ArrayLike, *, kind: Kind) -> Floats:
    """Return the log likelihood of rates (events per unit of reference), averaged over the other errors.

    Parameters
    ----------
    n_events, reference, sd, kind
        As in `central_interval`, of one count.
    rate : array_like of float, shape (n,)
        Rates, above 0.
    """
    from scipy.special import gammaln, logsumexp, xlog1py, xlogy

    n, per = float(n_events), float(reference)
    z, weights = _normal(float(_steepness(np.array(n), np.array(per), np.array(sd), kind)))
    rates = np.atleast_1d(np.asarray(rate, np.float64))[:, None] * np.exp(sd * z)
    if kind == "volume":
        terms = xlogy(n, rates * per) - rates * per - gammaln(n + 1)
    elif kind == "beads":
        ways = gammaln(n + per + 1) - gammaln(n + 1) - gammaln(per + 1)
        terms = ways + xlogy(n, rates) - (n + per) * np.log1p(rates)
    else:
        ways = gammaln(per + 1) - gammaln(n + 1) - gammaln(per - n + 1)
        share = np.minimum(rates, 1.0)
        terms = np.where(rates > 1, -np.inf, ways + xlogy(n, share) + xlog1py(per - n, -share))
    return np.asarray(logsumexp(terms, axis=1, b=weights))

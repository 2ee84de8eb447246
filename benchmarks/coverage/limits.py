"""Limits of our interval and of its peers, for every count of cells and of beads.

Limits are smooth in both counts. `central_interval` is called at Chebyshev points of the logarithms (counts up to 40:
at each), and a polynomial goes through them; `measure.py` calls it again where the answer could turn on a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.polynomial import chebyshev
from scipy import stats
from scipy.optimize import elementwise
from scipy.special import betainc

from benchmarks.coverage.design import Floats, Ints
from nti7flow.counting.intervals import central_interval

#: Takes a count of cells; gives both limits, cells per bead, at every bead count.
Row = Callable[[int], tuple[Floats, Floats]]
#: Takes counts of cells and of beads; gives both limits, cells per bead.
Limits = Callable[[Floats, Floats], tuple[Floats, Floats]]

OURS = "nti7flow"
WALD, DELTA, POISSON, MID_P = "N ± 1.96 √N", "log, all components", "exact Poisson alone", "mid-P"
PEERS = (WALD, DELTA, POISSON, MID_P)
_TAIL = 0.025
_DIRECT = 40
_POINTS_N, _POINTS_B = 24, 12
Z = float(stats.norm.isf(_TAIL))


def rows(n: Ints, beads: Ints, sd: float) -> dict[str, Row]:
    """Return the limits of every method, by count."""
    return {
        OURS: _interpolated(n, beads, partial(_ours, sd=sd)),
        WALD: lambda k: _wald(k, beads),
        DELTA: lambda k: _delta(k, beads, sd),
        POISSON: lambda k: _poisson(k, beads),
        MID_P: _interpolated(n, beads, partial(mid_p, sd=sd)),
    }


def _interpolated(n: Ints, beads: Ints, limits: Limits) -> Row:
    points_b, through_b = _chebyshev(np.log(beads), _POINTS_B)
    few = n[n <= _DIRECT]
    points_n, through_n = few.astype(np.float64), np.eye(len(few))
    if len(many := n[n > _DIRECT]):
        points, through = _chebyshev(np.log(many), _POINTS_N)
        points_n = np.concatenate([points_n, np.exp(points)])
        through_n = np.block(
            [
                [through_n, np.zeros((len(few), len(points)))],
                [np.zeros((len(many), len(few))), through],
            ]
        )
    k, b = (x.ravel() for x in np.meshgrid(points_n, np.exp(points_b), indexing="ij"))
    lower, upper = limits(k, b)
    # What is left, limits over the plain ratio, is nearly constant.
    shape = (len(points_n), len(points_b))
    low = through_n @ np.log(np.where(k > 0, lower * b / np.maximum(k, 0.5), 1.0)).reshape(shape)
    high = through_n @ np.log(upper * b / (k + 1)).reshape(shape)

    def row(count: int) -> tuple[Floats, Floats]:
        return count / beads * np.exp(low[count] @ through_b.T), (count + 1) / beads * np.exp(high[count] @ through_b.T)

    return row


def _chebyshev(x: Floats, points: int) -> tuple[Floats, Floats]:
    """Return points within a range, and the matrix that takes values at them to values at x."""
    middle, half = (x[0] + x[-1]) / 2, max((x[-1] - x[0]) / 2, 1e-9)
    nodes = chebyshev.chebpts1(points)
    matrix = chebyshev.chebvander((x - middle) / half, points - 1) @ np.linalg.inv(
        chebyshev.chebvander(nodes, points - 1)
    )
    return middle + half * nodes, matrix


def _ours(n: Floats, beads: Floats, *, sd: float) -> tuple[Floats, Floats]:
    return central_interval(n, beads, sd, kind="beads")


def _wald(n: int, beads: Ints) -> tuple[Floats, Floats]:
    """As if there were nothing but the normal scatter of the cells; none for no cells."""
    half = Z * np.sqrt(n)
    return max(n - half, 0.0) / beads, (n + half) / beads


def _delta(n: int, beads: Ints, sd: float) -> tuple[Floats, Floats]:
    """The usual interval with every component on the log scale; none for no cells."""
    if n == 0:
        return np.zeros(len(beads)), np.zeros(len(beads))
    factor = np.exp(Z * np.sqrt(1 / n + 1 / beads + sd**2))
    return n / beads / factor, n / beads * factor


def _poisson(n: int, beads: Ints) -> tuple[Floats, Floats]:
    """Garwood's, as if beads, lot, pipette and gates could not err."""
    lower = stats.chi2.ppf(_TAIL, 2 * n) / 2 if n else 0.0
    return lower / beads, stats.chi2.isf(_TAIL, 2 * n + 2) / 2 / beads


def mid_p(n: Floats, beads: Floats, *, sd: float) -> tuple[Floats, Floats]:
    """Return the limits of ours, with half the probability of the count itself left out of either tail."""
    z = np.arange(-6.0, 6.01, 0.2) if sd else np.zeros(1)
    weights = np.exp(-0.5 * z * z) / np.exp(-0.5 * z * z).sum()

    def above(u: Floats, n: Floats, beads: Floats, wanted: Floats) -> Floats:
        rate = np.exp(u)[..., None] * np.exp(sd * z)
        share, n, beads = rate / (1 + rate), n[..., None], beads[..., None]
        at_least = np.where(n > 0, betainc(np.maximum(n, 1e-9), beads + 1, share), 1.0)
        return np.asarray((at_least + betainc(n + 1, beads, share)) / 2 @ weights - wanted)

    def solve(n: Floats, beads: Floats, wanted: float) -> Floats:
        low = np.log(np.maximum(n - 9 * np.sqrt(n), 1e-4) / (beads + 9 * np.sqrt(beads)))
        high = np.log((n + 15 + 9 * np.sqrt(n)) / np.maximum(beads - 6 * np.sqrt(beads), 0.1))
        bracket = low - 8 * sd, high + 8 * sd
        return np.asarray(np.exp(elementwise.find_root(above, bracket, args=(n, beads, np.full(len(n), wanted))).x))

    lower = np.zeros(len(n))
    lower[n > 0] = solve(n[n > 0], beads[n > 0], _TAIL)
    return lower, solve(n, beads, 1 - _TAIL)

"""Change points of many channels at once: where the level of binned signals changes, by exact least squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: A change must explain this many times more than the best of all chance ones would.
CAUTION = 1.5
#: Upper decile of a standard normal variable.
DECILE = 1.2816


def whitened(series: Floats, sizes: NDArray[np.intp], error: Floats) -> Floats:
    """Series in units of their own noise, uncorrelated between channels.

    The noise is that between neighbouring bins, which steps and drifts hardly touch. Channels move together when a bin
    happens to hold more debris or more beads: that is in the covariance, and so counts as one piece of evidence and
    not as one per channel.

    Parameters
    ----------
    series : ndarray of float64, shape (n_bins, n_channels)
        Mean of each bin.
    sizes : ndarray of int, shape (n_bins,)
        Events of each.
    error : ndarray of float64, shape (n_channels,)
        Least standard error of a bin of mean size; channels where it is 0 are left out.

    Returns
    -------
    ndarray of float64, shape (n_bins, n_used)
    """
    used = error > 0
    values, floor = series[:, used], error[used]
    weights = np.sqrt(sizes / sizes.mean())
    steps = np.diff(values, axis=0) / np.sqrt(1 / weights[1:] ** 2 + 1 / weights[:-1] ** 2)[:, None]
    spread = np.maximum(1.4826 * np.median(np.abs(steps), axis=0), floor)
    tame = np.clip(steps / spread, -3.0, 3.0)
    covariance = tame.T @ tame / max(len(tame), 1)
    # Few bins tell little of how many channels go together: then they are taken to go by themselves.
    share = min(1.0, covariance.shape[0] / max(len(tame), 1))
    own = np.maximum(covariance.diagonal(), 0.8)
    covariance = (1 - share) * covariance
    np.fill_diagonal(covariance, own)
    factor = np.linalg.cholesky(covariance)
    white = np.asarray(np.linalg.solve(factor, (values / spread).T).T, np.float64)
    # What correlation is left, as between the many detectors of a spectral cytometer, widens the squared distances
    # between neighbouring bins; their upper decile is brought to that of independent levels.
    k = white.shape[1]
    squares = (np.linalg.solve(factor, (steps / spread).T) ** 2).sum(axis=0)
    excess = float(np.quantile(squares, 0.9)) / (k + DECILE * np.sqrt(2 * k)) if len(squares) else 1.0
    return np.asarray(white / np.sqrt(max(excess, 1.0)), np.float64)


def change_points(series: Floats, weights: Floats, penalty: float) -> list[int]:
    """Cut a series into stretches of one level each: least squares plus a penalty per cut, the exact optimum.

    Optimal partitioning (Jackson et al. 2005, IEEE Signal Processing Letters 12:105).

    Parameters
    ----------
    series : ndarray of float64, shape (n, k)
        In units of the noise of weight 1.
    weights : ndarray of float64, shape (n,)
        Of each row.
    penalty : float
        What a cut must gain, in squared units of noise.

    Returns
    -------
    list of int
        Beginnings of the stretches, the first is 0.
    """
    n, k = series.shape
    sums = np.zeros((n + 1, k))
    np.cumsum(series * weights[:, None], axis=0, out=sums[1:])
    mass = np.concatenate([[0.0], np.cumsum(weights)])
    best = np.zeros(n + 1)  # least cost, less the sum of squares that no cut changes, of the first rows
    last = np.zeros(n + 1, np.intp)
    for end in range(1, n + 1):
        explained = ((sums[end] - sums[:end]) ** 2).sum(axis=1) / (mass[end] - mass[:end])
        costs = best[:end] - explained + penalty
        last[end] = np.argmin(costs)
        best[end] = costs[last[end]]
    begins = [int(last[n])]
    while begins[-1] > 0:
        begins.append(int(last[begins[-1]]))
    return begins[::-1]


def chance(n: int, k: int) -> float:
    """Gain of the best of ``n`` cuts through ``k`` channels of pure noise (Laurent and Massart 2000), with caution."""
    tries = np.log(max(n, 2))
    return float(CAUTION * (k + 2 * np.sqrt(k * tries) + 2 * tries))

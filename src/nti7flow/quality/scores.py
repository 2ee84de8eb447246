"""What one pass over a channel's values gives: each event's rank, and how its place would tell of a change of gain.

Two questions are asked of a stretch of time. *Do its events outrank the others?* Ranks answer it on every scale and for
every kind of change: other cells, air, a large step of gain. *Is there less light?* Ranks are slow to answer that in
blood, where a clog that takes a sixth of the light moves every population by its own width and hardly changes the order
of events from different populations. The efficient score answers it: the slope of the log density at each event. Where
all values grow by the same factor, every population slides over the density of the whole tube, and the mean slope
tells by how much; where only the shares of populations change, the slopes within each still cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Numbers of different keys, and the first that stands for a positive number.
_KEYS, _POSITIVE = 1 << 16, 1 << 15
#: Steps of the grid of densities per octave, width of their smoothing in steps, and octaves the grid spans. Smoothed by
#: a seventh of the light: slopes then tell of changes up to a halving, where those of sharper densities (beads!) would
#: lose sight of a population that moved by more than its own width.
_PER_OCTAVE, _SMOOTHING, _OCTAVES = 32, 7.0, 24
#: Events that every place of the density is thought to hold beside those seen: where there are few, slopes are noise.
_PRIOR_EVENTS = 10.0
#: Shares of the events at either end whose place tells nothing of gain: the threshold of the trigger, the end of scale.
_ENDS = 0.01
#: Channels in which this share of events has one value are not looked at.
DEAD = 0.9


@dataclass(frozen=True, eq=False)
class Scores:
    """One channel's events, scored.

    Attributes
    ----------
    ranks : ndarray of int64, shape (n_events,)
        Twice the mean rank.
    slopes : ndarray of int64, shape (n_events,)
        Score for a change of gain, in thousandths.
    rank_spread : float
        Standard deviation of rank / n_events; 0 where the channel tells nothing.
    slope_spread : float
        Standard deviation of the slopes, thousandths.
    response : float
        Change of the mean slope per change of the logarithm of gain; 0 where the channel tells nothing.
    """

    ranks: NDArray[np.int64]
    slopes: NDArray[np.int64]
    rank_spread: float
    slope_spread: float
    response: float


def score(values: Floats) -> Scores:
    """Score the events of one channel.

    Values that agree in the first 16 bits of their 32-bit form (sign, exponent, 7 bits: within 0.8 %) are taken to be
    equal: to sort them further would tell nothing of a shift and cost ten times as much. Scores are whole numbers, so
    that sums of them are exact in whatever order events come.
    """
    keys = _keys_of(values)
    counts = np.bincount(keys, minlength=_KEYS)
    n = len(values)
    if counts.max() > DEAD * n:
        nothing = np.zeros(n, np.int64)
        return Scores(nothing, nothing, 0.0, 0.0, 0.0)
    doubled = 2 * np.cumsum(counts) - counts
    present = np.flatnonzero(counts)
    share = counts[present] / n
    rank_spread = float(np.sqrt((share * (doubled[present] / (2 * n) - 0.5) ** 2).sum()))
    slopes, response = _slopes(present, counts[present], doubled[present] / (2 * n))
    mean = float((share * slopes[present]).sum())
    spread = float(np.sqrt((share * (slopes[present] - mean) ** 2).sum()))
    return Scores(doubled[keys], slopes[keys], rank_spread, spread, response)


def _keys_of(values: Floats) -> NDArray[np.int32]:
    """Whole numbers from 0 in the order of the values; NaN is at an end."""
    with np.errstate(over="ignore", invalid="ignore"):
        keys = values.astype(np.float32).view(np.int32)
    # Bits of negative numbers run backwards; turned round, order as whole numbers is order as numbers.
    keys ^= (keys >> 31) & 0x7FFFFFFF
    keys >>= 16
    keys += _POSITIVE
    return keys


@cache
def _places() -> NDArray[np.intp]:
    """Place of every positive key on a logarithmic grid that covers 24 octaves, from 1/16 upwards."""
    bits = (np.arange(_POSITIVE, dtype=np.uint32) << 16) | 0x8000
    with np.errstate(all="ignore"):
        octaves = np.log2(bits.view(np.float32).astype(np.float64)) + 4.0
    places = np.nan_to_num(octaves * _PER_OCTAVE, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(places, 0, _OCTAVES * _PER_OCTAVE - 1).astype(np.intp)


@cache
def _kernel() -> Floats:
    reach = int(4 * _SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTHING) ** 2)
    return np.asarray(kernel / kernel.sum(), np.float64)


def _slopes(keys: NDArray[np.intp], counts: NDArray[np.intp], quantiles: Floats) -> tuple[NDArray[np.int64], float]:
    """Slope of the log density at every key, thousandths, zero where there is no event, and its response to gain.

    Keys are those of which there are events, with their counts and quantiles.
    """
    slopes = np.zeros(_KEYS, np.int64)
    total, positive = int(counts.sum()), keys >= _POSITIVE
    keys, counts, quantiles = keys[positive], counts[positive], quantiles[positive]
    places = _places()[keys - _POSITIVE]
    density = np.bincount(places, weights=counts, minlength=_OCTAVES * _PER_OCTAVE)
    smooth = np.convolve(density, _kernel(), mode="same")
    steepness = np.gradient(smooth) * _PER_OCTAVE / np.log(2.0)
    slope = steepness / (smooth + _PRIOR_EVENTS / (2.5 * _SMOOTHING))
    inside = (quantiles > _ENDS) & (quantiles < 1 - _ENDS)
    slopes[keys] = np.where(inside, np.rint(1000 * slope[places]), 0)
    # Were all values larger by a factor, the density would be shifted: its change is minus its steepness.
    seen = np.zeros(len(density), np.bool_)
    seen[places[inside]] = True
    response = -float((steepness[seen] * slope[seen]).sum()) * 1000 / max(total, 1)
    return slopes, response

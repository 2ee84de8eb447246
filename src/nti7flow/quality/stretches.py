"""Stretches of a tube whose signals differ clearly from its steady part.

The course of all channels is cut at its change points. Lasting pieces that are alike, or that follow each other in
small steps, are one state; the state with the most events is the steady part. Another piece is left out if it differs
from the steady pieces next to it by more than a limit, which is lower where the flow rate or the place at the beginning
of the tube speaks against it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nti7flow.quality.bins import Bins, Floats
from nti7flow.quality.changes import chance, change_points, whitened
from nti7flow.quality.findings import Interval
from nti7flow.quality.flow import runs
from nti7flow.quality.limits import QualityLimits

Bools = NDArray[np.bool_]
#: Pieces of at least this share of the events can be a state of the tube; shorter ones are interruptions, or the way
#: from one state to the next.
LASTING = 0.05
#: Minus logarithm of one in a million.
RARE = 13.8


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bins that differ from the steady part.

    Attributes
    ----------
    first, last : int
        Bins, closed-open.
    check : str
        ``clog``, ``surge``, ``carry_over`` or ``signal_shift``.
    change, limit : float
        The largest change, relative to its limit, and that limit.
    level : int
        Which of the bins' levels that is.
    """

    first: int
    last: int
    check: str
    change: float
    limit: float
    level: int


def find_stretches(
    bins: Bins, slow: Sequence[Interval], fast: Sequence[Interval], limits: QualityLimits
) -> tuple[Stretch, ...]:
    """Find the stretches that differ.

    Parameters
    ----------
    bins : Bins
        Levels over time.
    slow, fast : sequence of (float, float)
        Seconds between which the flow fell or surged.
    limits : QualityLimits
        How much is clear.
    """
    if len(bins) < 3 or not (bins.error > 0).any():
        return ()
    low, high = _touched(bins, slow), _touched(bins, fast)
    early = bins.edges[1:] <= max(limits.beginning * bins.edges[-1], bins.edges[1])
    pieces = Pieces(bins, limits)
    main = pieces.steady()
    differs = np.zeros(len(bins), np.bool_)
    for i, (first, last) in enumerate(pieces.places):
        suspect = (low | high | early)[first:last].mean() > 0.5
        if i not in main and pieces.differ(i, main, pieces.lower if suspect else pieces.limit):
            differs[first:last] = True
    # When the flow fell or surged is known: there no change point is needed.
    steady = pieces.bins_of(main)
    for first, last in runs((low | high) & ~differs):
        reference = mean_level(bins, nearest(steady, first, last, len(bins)))
        change = mean_level(bins, slice(first, last)) - reference
        if (np.abs(change) > pieces.least(pieces.lower, last - first)).any():
            differs[first:last] = True
        else:  # all of it is steady but perhaps a bin, as where a bubble passes
            differs[first:last] = (np.abs(bins.levels[first:last] - reference) > pieces.least(pieces.lower, 1)).any(
                axis=1
            )
    differs[: _beginning(pieces, steady, limits)] = True
    return tuple(_stretches(bins, differs, steady, pieces, (low, high, early)))


def _beginning(pieces: Pieces, steady: NDArray[np.intp], limits: QualityLimits) -> int:
    """Bins at the beginning that hold what is left of the tube before.

    What is carried over is washed out by degrees, so there is no change point; the share of strange cells shifts all
    channels a little. All of them are asked together: the squared distance from the steady part in units of noise,
    against what chance gives once in a million tubes.
    """
    bins, white = pieces.bins, pieces.white
    most = int(np.searchsorted(bins.edges, limits.beginning * bins.edges[-1], side="right")) - 1
    beside = nearest(steady, 0, most, len(bins))
    levels, expected = mean_level(bins, beside), white[beside].mean(axis=0)
    n_channels, k = bins.n_channels, white.shape[1]
    bound = k + 2 * np.sqrt(k * RARE) + 2 * RARE
    best, length = bound, 0
    n_bins = 1
    while n_bins <= most:
        evidence = n_bins * float(((white[:n_bins].mean(axis=0) - expected) ** 2).sum())
        change = np.abs(mean_level(bins, slice(0, n_bins)) - levels)[:n_channels]
        if evidence > best and change.max() > limits.shift_at_beginning:
            best, length = evidence, n_bins
        n_bins *= 2
    return length


def _stretches(
    bins: Bins, differs: Bools, steady: NDArray[np.intp], pieces: Pieces, causes: tuple[Bools, Bools, Bools]
) -> Iterator[Stretch]:
    """Join bins that differ, with one more on either side: the change lies somewhere in the bin beside."""
    low, high, early = causes
    wider = differs.copy()
    wider[1:] |= differs[:-1]
    wider[:-1] |= differs[1:]
    for first, last in runs(wider):
        here = np.flatnonzero(differs[first:last]) + first
        reference = mean_level(bins, nearest(steady, first, last, len(bins)))
        parts = [mean_level(bins, slice(first + a, first + b)) for a, b in runs(differs[first:last])]
        changes = np.array(parts) - reference
        by_limit = np.abs(changes) / pieces.limit * (bins.error > 0)
        if by_limit.max() < 0.5:  # bins that differ each in its own way
            changes = bins.levels[here] - reference
            by_limit = np.abs(changes) / pieces.limit * (bins.error > 0)
        part, level = divmod(int(by_limit.argmax()), by_limit.shape[1])
        check, limit = "signal_shift", pieces.limit
        for name, cause in (("carry_over", early & (first == 0)), ("clog", low), ("surge", high)):
            if cause[here].mean() > 0.5:
                check, limit = name, pieces.early if name == "carry_over" else pieces.lower
                break
        yield Stretch(first, last, check, float(changes[part, level]), float(limit[level]), level)


class Pieces:
    """What lies between change points, and how far pieces may differ.

    Attributes
    ----------
    places : list of (int, int)
        Bins of each piece, closed-open.
    limit, lower, early : ndarray of float64, shape (n_levels,)
        The limits for each level: without another cause, with one, and at the beginning.
    white : ndarray of float64, shape (n_bins, n_used)
        Levels in units of their noise.
    """

    def __init__(self, bins: Bins, limits: QualityLimits) -> None:
        self.bins, self.significance = bins, limits.significance
        n = bins.n_channels
        self.limit = np.repeat([limits.shift, limits.gain], n)
        self.lower = np.repeat([limits.shift_with_cause, limits.gain_with_cause], n)
        self.early = np.repeat([limits.shift_at_beginning, limits.gain_with_cause], n)
        self.white = white = whitened(bins.levels, bins.sizes, bins.error)
        begins = [*change_points(white, bins.sizes / bins.sizes.mean(), chance(*white.shape)), len(bins)]
        self.places = list(pairwise(begins))
        self.events = np.array([bins.sizes[a:b].sum() for a, b in self.places])
        self.levels = np.array([mean_level(bins, slice(a, b)) for a, b in self.places])
        self.noise = bin_noise(bins)

    def least(self, limit: Floats, n_bins: float) -> Floats:
        """Least change that counts, of ``n_bins`` bins: the limit, or what could be chance."""
        return np.asarray(np.maximum(limit, self.significance * self.noise / np.sqrt(n_bins)), np.float64)

    def steady(self) -> list[int]:
        """Pieces of the steady part: the state with the most events.

        Lasting pieces are one state if they are alike, or linked by others that are: that is drift.
        """
        lasting = [i for i, n in enumerate(self.events) if n >= LASTING * self.events.sum()]
        lasting = lasting or [int(self.events.argmax())]
        state = {i: i for i in lasting}
        for i in lasting:
            for j in lasting:
                if state[i] != state[j] and not self.apart(i, j, self.limit):
                    state = {k: state[i] if s == state[j] else s for k, s in state.items()}
        states = [[i for i in lasting if state[i] == s] for s in dict.fromkeys(state.values())]
        return max(states, key=lambda members: int(self.events[members].sum()))

    def differ(self, i: int, main: list[int], limit: Floats) -> bool:
        """Whether a piece differs from the nearest steady ones, before it and after it."""
        beside = [j for j in main if j < i][-1:] + [j for j in main if j > i][:1]
        return all(self.apart(i, j, limit) for j in beside)

    def apart(self, i: int, j: int, limit: Floats) -> bool:
        """Whether two pieces differ in any level by more than the limit and than chance."""
        n_i, n_j = (last - first for first, last in (self.places[i], self.places[j]))
        least = self.least(limit, 1 / (1 / n_i + 1 / n_j))
        return bool((np.abs(self.levels[i] - self.levels[j]) > least).any())

    def bins_of(self, chosen: Sequence[int]) -> NDArray[np.intp]:
        """Bins of some pieces."""
        return np.concatenate([np.arange(*self.places[i]) for i in chosen])


def nearest(steady: NDArray[np.intp], first: int, last: int, n_bins: int) -> NDArray[np.intp]:
    """Steady bins nearest to some others, a fifth of the tube at most: what is far away may have drifted."""
    outside = steady[(steady < first) | (steady >= last)]
    if not len(outside):
        return steady
    distance = np.where(outside < first, first - outside, outside - last + 1)
    return np.sort(outside[np.argsort(distance, kind="stable")[: max(n_bins // 5, 1)]])


def bin_noise(bins: Bins) -> Floats:
    """Return the standard error of the levels of a bin, from neighbouring bins but never less than chance gives."""
    steps = np.abs(np.diff(bins.levels, axis=0))
    return np.asarray(np.maximum(1.4826 * np.median(steps, axis=0) / np.sqrt(2), bins.error), np.float64)


def mean_level(bins: Bins, chosen: slice | NDArray[np.intp]) -> Floats:
    """Mean levels of some bins, each by its events, shape (n_levels,)."""
    return np.asarray(np.average(bins.levels[chosen], axis=0, weights=bins.sizes[chosen]), np.float64)


def _touched(bins: Bins, stretches: Sequence[Interval]) -> Bools:
    """Bins that have time in common with any of some stretches."""
    flags = np.zeros(len(bins), np.bool_)
    for start, end in stretches:
        flags |= (bins.begins[:-1] < end) & (bins.begins[1:] > start)
    return flags

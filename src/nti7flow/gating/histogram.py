"""Bounded integer histograms in display units: what fits see, what pictures are drawn from, what merges exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """Equal bins from ``low`` to ``high`` display units; values beyond fall into the end bins."""

    name: str
    low: float
    high: float
    n_bins: int

    @property
    def width(self) -> float:
        """Width of a bin, display units."""
        return (self.high - self.low) / self.n_bins

    @property
    def centres(self) -> NDArray[np.float64]:
        """Bin centres, display units, shape (n_bins,)."""
        return np.asarray(self.low + (np.arange(self.n_bins) + 0.5) * self.width, np.float64)

    def index(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Bin of each value; NaN goes to the lowest bin, infinities to the ends."""
        position = np.clip(np.nan_to_num((values - self.low) / self.width, nan=0.0), 0, self.n_bins - 1)
        return position.astype(np.intp)


def fit_axis(name: str, n_dimensions: int) -> Axis:
    """Return the axis fits are made on: fine in one dimension, 256 bins in two."""
    return Axis(name, -0.5, 1.5, 1024) if n_dimensions == 1 else Axis(name, -0.25, 1.25, 256)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of events on one or two axes.

    Attributes
    ----------
    axes : tuple of Axis
        One or two.
    counts : ndarray of int64
        Shape (n_bins,) or (n_bins_x, n_bins_y).
    """

    axes: tuple[Axis, ...]
    counts: Counts

    @classmethod
    def of(cls, values: NDArray[np.float64], axes: Sequence[Axis]) -> Histogram:
        """Count display values of shape (n_events, n_axes)."""
        if len(axes) == 1:
            return cls(tuple(axes), np.bincount(axes[0].index(values[:, 0]), minlength=axes[0].n_bins))
        x, y = axes
        cell = x.index(values[:, 0]) * y.n_bins + y.index(values[:, 1])
        counts = np.bincount(cell, minlength=x.n_bins * y.n_bins).reshape(x.n_bins, y.n_bins)
        return cls((x, y), counts)

    @property
    def n_events(self) -> int:
        """Number of events counted."""
        return int(self.counts.sum())

    def merged(self, other: Histogram) -> Histogram:
        """Sum with a histogram on the same axes; exact, and in any order."""
        if self.axes != other.axes:
            raise ValueError("only histograms on the same axes can be merged")
        return Histogram(self.axes, self.counts + other.counts)

    def coarser(self, factor: int) -> Histogram:
        """Return the same counts in bins that are wider by a whole factor, which divides the number of bins."""
        axes = tuple(Axis(a.name, a.low, a.high, a.n_bins // factor) for a in self.axes)
        shape = tuple(n for axis in axes for n in (axis.n_bins, factor))
        return Histogram(axes, self.counts.reshape(shape).sum(axis=tuple(range(1, len(shape), 2))))

    def resampled(self, rng: np.random.Generator) -> Histogram:
        """Return a bootstrap replicate: every bin drawn from a Poisson distribution around its count."""
        return self.replicates(rng, 1)[0]

    def replicates(self, rng: np.random.Generator, n: int) -> tuple[Histogram, ...]:
        """Return as many bootstrap replicates, one drawn after the other."""
        filled = self._filled()  # empty bins stay empty, and draw no random numbers
        drawn = rng.poisson(self.counts.ravel()[filled], (n, len(filled)))
        counts = np.zeros((n, self.counts.size), np.int64)
        counts[:, filled] = drawn
        return tuple(Histogram(self.axes, replicate.reshape(self.counts.shape)) for replicate in counts)

    def cells(self) -> tuple[NDArray[np.float64], Counts]:
        """Centres (n, n_axes) and counts (n,) of the bins that hold events."""
        filled = self._filled()
        where = np.unravel_index(filled, self.counts.shape)
        centres = np.stack([axis.centres[i] for axis, i in zip(self.axes, where, strict=True)], axis=1)
        return centres, self.counts.ravel()[filled]

    def _filled(self) -> NDArray[np.intp]:
        """Flat index of the bins that hold events."""
        return np.flatnonzero(self.counts > 0)

"""Bins of equal numbers of events in the order of time, and where the events of each lie in every channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.panel import Channel, Panel
from nti7flow.quality.scores import score

Floats = NDArray[np.float64]
#: Events of a bin at least, and bins at most: enough of both to see a clog of a hundredth of the tube.
EVENTS_PER_BIN, MOST_BINS = 150, 200


@dataclass(frozen=True, eq=False)
class Bins:
    """Levels of every channel over time, relative to the whole tube.

    Attributes
    ----------
    edges : ndarray of int, shape (n_bins + 1,)
        Where bins begin in the order of time. Events of one moment are never in two bins.
    begins : ndarray of float64, shape (n_bins + 1,)
        When they begin, seconds; the last is just beyond the last event.
    levels : ndarray of float64, shape (n_bins, 2 * n_channels)
        First for every channel the *rank*: how often events of the bin outrank those of the tube, less one half. Then
        for every channel the *gain*: natural logarithm of the factor by which the light seems to have changed.
    error : ndarray of float64, shape (2 * n_channels,)
        Standard error of the levels of a bin of mean size, if events came at random; 0 where nothing can be told.
    """

    edges: NDArray[np.intp]
    begins: Floats
    levels: Floats
    error: Floats

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.levels.shape[1]) // 2

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Events per bin."""
        return np.diff(self.edges)

    def __len__(self) -> int:
        return len(self.edges) - 1


def signals(panel: Panel) -> tuple[Channel, ...]:
    """Channels whose course is looked at: one of each scatter and fluorescence detector.

    Raw before compensated, the one with a marker before others, area before height before width.
    """
    best: dict[str, Channel] = {}
    measured = [channel for channel in panel.channels if channel.role in ("scatter", "fluorescence")]
    order = ("A", "", "H", "W")
    for channel in sorted(measured, key=lambda c: (c.precompensated, not c.marker, order.index(c.measure), c.index)):
        best.setdefault(channel.base.casefold(), channel)
    return tuple(sorted(best.values(), key=lambda channel: channel.index))


def bin_events(times: Floats, columns: Sequence[Floats]) -> Bins:
    """Cut events into bins by time and find the levels of every channel in each.

    Parameters
    ----------
    times : ndarray of float64, shape (n_events,)
        Ascending, seconds.
    columns : sequence of ndarray, each of shape (n_events,)
        Values of each channel, in the order of time, on any scale.
    """
    edges = _edges(times)
    # Beyond the last event by more than the rounding of any scale that time is put on.
    begins = np.append(times[edges[:-1]], times[-1] + 1e-6 * (times[-1] - times[0]))
    n, sizes = len(columns), np.diff(edges)
    levels, error = np.zeros((len(sizes), 2 * n), order="F"), np.zeros(2 * n)
    for i, column in enumerate(columns):
        scores = score(column)
        # Sums of whole numbers: exact, in whatever order the events of a moment come.
        if scores.rank_spread:
            levels[:, i] = np.add.reduceat(scores.ranks, edges[:-1]) / sizes / (2 * len(times)) - 0.5
            error[i] = scores.rank_spread / np.sqrt(sizes.mean())
        if scores.response:
            means = np.add.reduceat(scores.slopes, edges[:-1]) / sizes
            levels[:, n + i] = (means - scores.slopes.mean()) / scores.response
            error[n + i] = scores.slope_spread / abs(scores.response) / np.sqrt(sizes.mean())
    return Bins(edges, begins, levels, error)


def _edges(times: Floats) -> NDArray[np.intp]:
    """Where bins of about equal numbers begin; a bin begins with the first event of a moment."""
    n_bins = int(np.clip(len(times) // EVENTS_PER_BIN, 1, MOST_BINS))
    even = np.linspace(0, len(times), n_bins + 1).astype(np.intp)[1:-1]
    inner = np.searchsorted(times, times[even], side="left")
    return np.unique(np.concatenate([[0], inner, [len(times)]])).astype(np.intp)

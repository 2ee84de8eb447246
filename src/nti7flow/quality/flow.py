"""The flow rate: events in equal stretches of time, and where it falls or surges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.quality.findings import Interval

Floats = NDArray[np.float64]
#: Expected events of a stretch at least, and stretches at most.
EVENTS_PER_STRETCH, MOST_STRETCHES = 50, 300
#: Standard deviations of a Poisson count by which a stretch must differ from the usual.
SIGNIFICANCE = 5.0


@dataclass(frozen=True, eq=False)
class Rate:
    """Events per second over time.

    Attributes
    ----------
    edges : ndarray of float64, shape (n + 1,)
        Seconds, at equal distances.
    counts : ndarray of int, shape (n,)
        Events of each stretch.
    usual : float
        Median count, each stretch by its events: how fast it was when most of the events came.
    """

    edges: Floats
    counts: NDArray[np.intp]
    usual: float

    @property
    def per_second(self) -> Floats:
        """Events per second, shape (n,)."""
        return np.asarray(self.counts / np.diff(self.edges), np.float64)

    def beyond(self, *, slow: float, fast: float) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
        """Stretches in which the flow is below ``slow`` or above ``fast`` times the usual, beyond chance."""
        noise = SIGNIFICANCE * np.sqrt(max(self.usual, 1.0))
        low = (self.counts < slow * self.usual) & (self.counts < self.usual - noise)
        high = (self.counts > fast * self.usual) & (self.counts > self.usual + noise)
        return self._joined(low), self._joined(high)

    def _joined(self, flags: NDArray[np.bool_]) -> tuple[Interval, ...]:
        return tuple((float(self.edges[a]), float(self.edges[b])) for a, b in runs(flags))


def flow_rate(times: Floats) -> Rate:
    """Count events in equal stretches of time.

    Parameters
    ----------
    times : ndarray of float64, shape (n_events,)
        Ascending, seconds; not all equal.
    """
    n = int(np.clip(len(times) // EVENTS_PER_STRETCH, 1, MOST_STRETCHES))
    width = (times[-1] - times[0]) / n
    steps = np.diff(times)
    tick = float(steps[steps > 0].min())
    # Clocks that tick coarsely: as many ticks in each stretch, or the counts would beat against them.
    if width < 50 * tick:
        width = max(np.ceil(width / tick), 1.0) * tick
    n = max(int((times[-1] - times[0]) / width), 1)
    edges = times[0] + width * np.arange(n + 1)
    if width < 50 * tick:
        edges = edges - tick / 2
    counts = np.diff(np.searchsorted(times, edges, side="left"))
    ordered = np.sort(counts)
    usual = ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]
    return Rate(edges, counts, float(usual))


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Find the runs of True, as closed-open pairs of positions."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))

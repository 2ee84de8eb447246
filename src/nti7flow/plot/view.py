"""Which part of a panel's axes is shown, and its events as an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Arcsinh, Linear, Log, Logicle, Transform
from nti7flow.gating.histogram import Axis
from nti7flow.gating.picture import Panel2D
from nti7flow.plot.style import density_colours

#: An axis begins where all but this fraction of the events lie above; the upper end shows all but one in a thousand.
LOW_TAIL = 0.005
#: A logarithmic axis shows at least this many decades, however narrow the population is.
LEAST_DECADES = 2.0
#: Thresholds keep this distance from the ends of the axis, as a fraction of it.
MARGIN = 0.12


@dataclass(frozen=True, slots=True)
class View:
    """Limits of both axes, display units."""

    x: tuple[float, float]
    y: tuple[float, float]


def axis_limits(
    axis: Axis, marginal: NDArray[np.int64], transform: Transform, marks: Iterable[float]
) -> tuple[float, float]:
    """Limits that show the events and the gates' bounds (``marks``, display units) and leave out empty space."""
    cumulative = np.cumsum(marginal)
    n_events = int(cumulative[-1])
    first = int(np.searchsorted(cumulative, LOW_TAIL * n_events, side="right")) if n_events else 0
    low, high = axis.low + first * axis.width, axis.high
    low -= 0.04 * (high - low)
    for mark in marks:
        span = max(high, mark) - min(low, mark)
        low, high = min(low, mark - MARGIN * span), max(high, mark + MARGIN * span)
    if isinstance(transform, Linear):
        return min(low, float(transform.apply(0.0))), high
    missing = LEAST_DECADES * _decade(transform) - (high - low)
    if missing > 0:
        above = min(missing / 2, max(1.05 - high, 0.0))
        low, high = low - (missing - above), high + above
    return low, high


def _decade(transform: Transform) -> float:
    """Width of a decade, display units, where the scale is logarithmic."""
    if isinstance(transform, Log):
        return 1 / transform.m
    if isinstance(transform, Arcsinh | Logicle):
        return 1 / (transform.m + transform.a)
    return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """Events of a panel as levels from 0 (few) to 1 (most).

    Attributes
    ----------
    levels : ndarray of float64, shape (n_bins_y, n_bins_x)
        Logarithm of the smoothed counts, scaled to 0..1.
    opacity : ndarray of float64, shape (n_bins_y, n_bins_x)
        0 where there are no events, 1 where there are.
    """

    levels: NDArray[np.float64]
    opacity: NDArray[np.float64]

    @classmethod
    def of(cls, panel: Panel2D) -> Density:
        """Smooth the histogram lightly, for the eye only: the fewer the events, the wider."""
        from scipy.ndimage import gaussian_filter

        counts = panel.dense().T.astype(np.float64)
        n_events = counts.sum()
        sigma = float(np.clip(6.0 * max(n_events, 1.0) ** -0.16, 0.9, 2.2))
        smooth = gaussian_filter(counts, sigma, mode="constant", truncate=3.0)
        one = 1 / (2 * np.pi * sigma**2)  # what a single event leaves at its own place
        opacity = np.clip((smooth / one - 0.25) / 0.35, 0.0, 1.0)
        top = max(float(smooth.max()), 4 * one)
        levels = np.log(np.maximum(smooth, one) / one) / np.log(top / one)
        return cls(levels, opacity)

    def image(self) -> NDArray[np.float64]:
        """Colours and opacity, shape (n_bins_y, n_bins_x, 4)."""
        colours = np.asarray(density_colours()(self.levels))
        colours[..., 3] = self.opacity
        return colours

"""Events of a panel as an image: every event a dot, coloured by the density around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.picture import Panel2D
from nti7flow.plot.style import density_colours
from nti7flow.plot.view import View

Floats = NDArray[np.float64]
#: Radius of a dot, pixels.
DOT = 1.1
#: Radius around a dot in which density is taken: so many pixels times a power of the number of events, within limits.
REACH, REACH_POWER, REACH_LIMITS = 24.0, -0.16, (3.0, 9.0)
#: The brightest colour stands for at least so many times the density of a lone event: a thin panel does not glow.
LEAST_CONTRAST = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """Events of a panel, pixel by pixel.

    Attributes
    ----------
    levels : ndarray of float64, shape (height, width)
        Logarithm of the density, from 0 (a lone event) to 1 (most); row 0 is the lowest.
    opacity : ndarray of float64, shape (height, width)
        0 where there are no events, 1 where there are.
    """

    levels: Floats
    opacity: Floats

    @classmethod
    def of(cls, panel: Panel2D, view: View, size: tuple[int, int]) -> Density:
        """Draw a panel's histogram as it is seen in a frame of ``size`` (width, height) pixels.

        Smoothing is for the eye only. The end bins of the histogram are left out: they hold the few events beyond its
        axes, whose place is not known.
        """
        counts = _on_pixels(panel, view, size)
        n_events = max(float(counts.sum()), 1.0)
        reach = float(np.clip(REACH * n_events**REACH_POWER, *REACH_LIMITS))
        around = _smooth(counts, reach) / _lone(reach)
        brightest = max(float(around.max()), LEAST_CONTRAST)
        opacity = np.clip((_smooth(counts, DOT) / _lone(DOT) - 0.2) / 0.5, 0.0, 1.0)
        return cls(np.log(np.maximum(around, 1.0)) / np.log(brightest), opacity)

    def image(self) -> Floats:
        """Colours and opacity, shape (height, width, 4)."""
        colours = np.asarray(density_colours()(self.levels))
        colours[..., 3] = self.opacity
        return colours


def _on_pixels(panel: Panel2D, view: View, size: tuple[int, int]) -> Floats:
    """Put the counts of the histogram's cells at pixels inside them, shape (height, width).

    Not at their centres: bins a few pixels wide would show as a grid. The seed is fixed, so that the same histogram
    always gives the same picture.
    """
    places = []
    scatter = np.random.default_rng(0).random((2, panel.x_axis.n_bins * panel.y_axis.n_bins))[:, panel.cells]
    inside = np.ones(len(panel.cells), np.bool_)
    bins = np.divmod(panel.cells, panel.y_axis.n_bins)
    sides = zip(bins, (panel.x_axis, panel.y_axis), (view.x, view.y), size, scatter, strict=True)
    for index, axis, limits, length, within in sides:
        values = axis.low + (index + within) * axis.width
        pixel = np.floor((values - limits[0]) / (limits[1] - limits[0]) * length).astype(np.intp)
        inside &= (index > 0) & (index < axis.n_bins - 1) & (pixel >= 0) & (pixel < length)
        places.append(pixel)
    x, y = (pixel[inside] for pixel in places)
    grid = np.bincount(y * size[0] + x, panel.counts[inside], minlength=size[0] * size[1])
    return np.asarray(grid, np.float64).reshape(size[1], size[0])


def _smooth(counts: Floats, radius: float) -> Floats:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(counts, radius, mode="constant", truncate=3.0))


def _lone(radius: float) -> float:
    """Return what one event leaves at its own pixel."""
    return 1 / (2 * np.pi * radius**2)

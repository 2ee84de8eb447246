"""``landmark`` and ``landmark_2d``: a reference gate, moved onto this sample's density.

A gate drawn once, on a reference, belongs to a mode that was somewhere in that reference. Here the mode is looked for
again near where it was, and the gate moves with it: as a person drags a gate from tube to tube, and as landmark
registration of whole channels does (Hahne et al., Cytometry A 2010, 77:121; Finak et al., Cytometry A 2014, 85:277),
but only the one gate, and by a shift alone. Its shape stays the reference's, so it holds with few events; and a mode
farther off than ``max_shift`` is another population.

Numbers are display units: 0 to 1 is what the scale shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nti7flow.gating.histogram import Axis, Histogram
from nti7flow.gating.methods.cluster import merge_basins, watershed
from nti7flow.gating.methods.registry import Parameters, Placement, method
from nti7flow.gating.methods.thresholds import bandwidth, find_modes, smoothed

Floats = NDArray[np.float64]

#: Steps of the mean shift that finds the centre of a mode; it moves by less than a bin after two or three.
STEPS = 10


class _LandmarkParameters(Parameters):
    """What both methods share."""

    max_shift: float = Field(
        gt=0,
        le=0.5,
        description="How far from its reference the mode may be, display units: less than half the way to the next "
        "population.",
    )
    min_events: int = Field(20, ge=5, description="A mode with fewer events than this within max_shift is none.")
    significance: float = Field(
        3.0, gt=0, description="Poisson standard deviations a mode must stand above the valley beside it."
    )


class LandmarkParameters(_LandmarkParameters):
    """Parameters of ``landmark``."""

    landmark: float = Field(description="Where the mode is in the reference, display units.")
    bounds: tuple[float | None, float | None] = Field(
        description="Lower and upper bound of the gate in the reference, display units; null is open."
    )

    @model_validator(mode="after")
    def _in_order(self) -> LandmarkParameters:
        low, high = self.bounds
        if low is None and high is None:
            raise ValueError("bounds: at least one is needed")
        if low is not None and high is not None and low >= high:
            raise ValueError(f"bounds: lower {low:g} is not below upper {high:g}")
        return self


class Landmark2dParameters(_LandmarkParameters):
    """Parameters of ``landmark_2d``."""

    landmark: tuple[float, float] = Field(description="Where the mode is in the reference, display units.")
    vertices: tuple[tuple[float, float], ...] = Field(
        min_length=3, description="Outline of the gate in the reference, display units."
    )


@dataclass(frozen=True, slots=True)
class Mode:
    """Centre of a mode, display units, and the events around it."""

    position: tuple[float, ...]
    n_events: int


@method("landmark", 1, n_dimensions=1, parameters=LandmarkParameters)
def landmark(histogram: Histogram, parameters: LandmarkParameters) -> Placement:
    """Bounds of a reference, moved with the mode they belong to."""
    offset, outcome = _offset(histogram, (parameters.landmark,), parameters)
    if offset is None:
        return outcome
    low, high = (None if bound is None else bound + float(offset[0]) for bound in parameters.bounds)
    return Placement(lower=low, upper=high, diagnostics=outcome.diagnostics)


@method("landmark_2d", 1, n_dimensions=2, parameters=Landmark2dParameters)
def landmark_2d(histogram: Histogram, parameters: Landmark2dParameters) -> Placement:
    """Outline of a reference, moved with the mode it belongs to."""
    offset, outcome = _offset(histogram, parameters.landmark, parameters)
    if offset is None:
        return outcome
    moved = np.array(parameters.vertices) + offset
    return Placement(vertices=tuple((float(x), float(y)) for x, y in moved), diagnostics=outcome.diagnostics)


def _offset(
    histogram: Histogram, reference: Sequence[float], parameters: _LandmarkParameters
) -> tuple[Floats | None, Placement]:
    """How far the mode has moved, with diagnostics; or None, with the reason."""
    n_near = int(histogram.counts[np.ix_(*_near(histogram, reference, parameters.max_shift))].sum())
    if n_near < parameters.min_events:
        return None, Placement(reason=f"only {n_near} events near the landmark, {parameters.min_events} are needed")
    modes = find_landmarks(histogram, tuple(reference), parameters.max_shift, parameters.significance)
    modes = tuple(mode for mode in modes if mode.n_events >= parameters.min_events)
    diagnostics: dict[str, Any] = {"n_near_landmark": n_near, "n_modes": len(modes)}
    if not modes:
        return None, Placement(reason="no mode near the landmark", diagnostics=diagnostics)
    # Of several modes so near, the population is the one with most events: the others are parts of it, or debris.
    chosen = max(modes, key=lambda mode: mode.n_events)
    offset = np.array(chosen.position) - np.array(reference)
    diagnostics |= {
        "mode": [round(value, 4) for value in chosen.position],
        "shift": [round(float(value), 4) for value in offset],
        "n_around_mode": chosen.n_events,
    }
    return offset, Placement(diagnostics=diagnostics)


def _near(histogram: Histogram, centre: Sequence[float], reach: float) -> list[NDArray[np.intp]]:
    """Bins within reach of a point, by axis."""
    return [np.flatnonzero(np.abs(a.centres - c) <= reach) for a, c in zip(histogram.axes, centre, strict=True)]


@lru_cache(maxsize=2 * 21)  # gates that follow the same landmark ask for the same histogram and its replicates
def find_landmarks(
    histogram: Histogram, reference: tuple[float, ...], max_shift: float, significance: float
) -> tuple[Mode, ...]:
    """Significant modes of a histogram within ``max_shift`` of a point.

    The density is smoothed for the number of events that are there, not in the tube: a rare population keeps its mode
    beside an abundant one. The centre of a mode is then found by mean shift on the counts themselves, and so is finer
    than a bin.

    Parameters
    ----------
    histogram : Histogram
        Of one or two axes.
    reference : tuple of float
        The point, display units, one value per axis.
    max_shift : float
        Display units.
    significance : float
        Poisson standard deviations a mode must stand above the saddle to a higher one.
    """
    n_near = int(histogram.counts[np.ix_(*_near(histogram, reference, max_shift))].sum())
    sigma = bandwidth(n_near)
    if len(histogram.axes) == 1:
        peaks = _peaks_1d(histogram, sigma, significance)
    else:
        peaks = _peaks_2d(
            histogram,
            [_window(a, c, max_shift + 4.0 * sigma) for a, c in zip(histogram.axes, reference, strict=True)],
            sigma,
            significance,
        )
    centres = (_climb(histogram, peak, sigma) for peak in peaks)
    modes = [_mode(histogram, centre, 2.0 * sigma) for centre in centres]
    return tuple(m for m in modes if np.hypot.reduce(np.array(m.position) - np.array(reference)) <= max_shift)


def _peaks_1d(histogram: Histogram, sigma: float, significance: float) -> list[Floats]:
    axis = histogram.axes[0]
    effective = 2.0 * np.sqrt(np.pi) * sigma / axis.width
    modes = find_modes(smoothed(histogram, sigma), effective, significance)
    return [axis.centres[[mode]] for mode in modes]


def _peaks_2d(histogram: Histogram, windows: list[slice], sigma: float, significance: float) -> list[Floats]:
    """Peaks in a part of a two-dimensional histogram; those on its edge may be slopes of what is outside."""
    from scipy.ndimage import gaussian_filter

    x, y = histogram.axes
    spread = (sigma / x.width, sigma / y.width)
    counts = histogram.counts[tuple(windows)].astype(np.float64)
    density = np.asarray(gaussian_filter(counts, spread, mode="constant", truncate=4.0))
    _, tops = merge_basins(density, watershed(density), 4.0 * np.pi * spread[0] * spread[1], significance)
    where = (np.unravel_index(top, density.shape) for top in tops)
    return [np.array([x.centres[windows[0]][i], y.centres[windows[1]][j]]) for i, j in where]


def _window(axis: Axis, centre: float, reach: float) -> slice:
    first, last = axis.index(np.array([centre - reach, centre + reach]))
    return slice(int(first), int(last) + 1)


def _climb(histogram: Histogram, start: Floats, sigma: float) -> Floats:
    """Centre of the mode at a peak: mean shift with a Gaussian of width sigma."""
    position = start
    for _ in range(STEPS):
        windows = [_window(a, float(p), 4.0 * sigma) for a, p in zip(histogram.axes, position, strict=True)]
        centres = [a.centres[w] for a, w in zip(histogram.axes, windows, strict=True)]
        weights = histogram.counts[tuple(windows)].astype(np.float64)
        for i, (values, p) in enumerate(zip(centres, position, strict=True)):
            shape = [-1 if j == i else 1 for j in range(len(centres))]
            weights = weights * np.exp(-0.5 * ((values - p) / sigma) ** 2).reshape(shape)
        total = weights.sum()
        if total <= 0:
            break
        others = [tuple(j for j in range(len(centres)) if j != i) for i in range(len(centres))]
        position = np.array([float(weights.sum(axis=o) @ v / total) for v, o in zip(centres, others, strict=True)])
    return position


def _mode(histogram: Histogram, centre: Floats, reach: float) -> Mode:
    """Describe the mode at a centre: events within reach of it along each axis."""
    windows = tuple(_window(a, float(c), reach) for a, c in zip(histogram.axes, centre, strict=True))
    return Mode(tuple(float(c) for c in centre), int(histogram.counts[windows].sum()))

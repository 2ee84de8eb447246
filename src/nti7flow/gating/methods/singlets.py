"""Singlets: events whose area fits their height (or whose width is that of one cell)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method

#: Half-width of the slices of area on which the band is found; how far from the line, relative, single cells may be.
SLICE, NEAR = 0.04, 0.25


class SingletParameters(Parameters):
    """Parameters of ``singlets``."""

    distance: float = Field(4.0, gt=0, description="Half-width of the band in robust standard deviations.")
    min_events: int = Field(200, ge=20, description="Fewer events than this are not fitted.")


@method("singlets", 1, n_dimensions=2, parameters=SingletParameters)
def singlets(histogram: Histogram, parameters: SingletParameters) -> Placement:
    """Band around the line on which single cells lie in area (x) against height or width (y), all linear.

    Two cells passing together have twice the area at about the same height, so they fall below the line. The line is
    fitted to the median height in slices of area; the band follows it from slice to slice, as real lines bend where
    pulses come near the top of the scale. Its width is a number of robust standard deviations, relative to the height:
    the spread of a pulse grows with the pulse.

    Against width (an axis named ``…-W``) single cells lie on a level line and doublets above it: only what is too wide
    is left out.
    """
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cells, counts = histogram.cells()
    keep = (cells[:, 0] > 0.0) & (cells[:, 1] > 0.0) & (cells < 0.98).all(axis=1)
    cells, counts = cells[keep], counts[keep]
    wide = histogram.axes[1].name.upper().endswith("-W")
    slope, intercept = _level(cells, counts) if wide else _line(cells, counts)
    if slope <= 0 and not wide:
        return Placement(reason="height does not grow with area")
    expected = intercept + slope * cells[:, 0]
    usable = expected > 0.02
    if counts[usable].sum() < parameters.min_events:
        return Placement(reason="too few events along the line of single cells")
    areas, counts = cells[usable, 0], counts[usable]
    away = -1.0 if wide else 1.0  # the direction in which there are no doublets
    relative = away * (cells[usable, 1] - expected[usable]) / expected[usable]
    near = np.abs(relative) <= NEAR
    if counts[near].sum() < parameters.min_events:
        return Placement(reason="too few events along the line of single cells")
    middle, spread = _band(relative[near], counts[near])
    knots = np.arange(SLICE / 2, 1.0 + SLICE, SLICE)
    local = np.array([_local_band(areas[near], relative[near], counts[near], knot, (middle, spread)) for knot in knots])
    centre, half = local[:, 0], parameters.distance * local[:, 1]
    heights = np.maximum(intercept + slope * knots, 0.0)
    floor = 0.01  # events at the very origin are single debris, not doublets
    below = np.full(len(knots), -0.25) if wide else heights * (1 + centre - half) - floor
    above = heights * (1 + away * centre + half) + floor
    corners = [(-0.25, -0.25), (float(knots[0]), float(below[0]))]
    outline = [
        *corners,
        *zip(knots[1:].tolist(), below[1:].tolist(), strict=True),
        *zip(knots[::-1].tolist(), above[::-1].tolist(), strict=True),
        (-0.25, float(above[0])),
    ]
    diagnostics = {"slope": round(slope, 4), "intercept": round(intercept, 4), "relative_spread": round(spread, 4)}
    return Placement(vertices=tuple(outline), diagnostics=diagnostics)


def _band(relative: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Middle and spread of relative deviations; the spread is that of the upper half, away from the doublets."""
    middle = weighted_median(relative, counts)
    upper = relative >= middle
    return middle, max(1.4826 * weighted_median(relative[upper] - middle, counts[upper]), 0.01)


def _local_band(
    areas: np.ndarray, relative: np.ndarray, counts: np.ndarray, knot: float, otherwise: tuple[float, float]
) -> tuple[float, float]:
    """Middle and spread around one area, where there are events enough to tell; else those of the whole line."""
    here = np.abs(areas - knot) <= SLICE
    return _band(relative[here], counts[here]) if counts[here].sum() >= 100 else otherwise


def _level(cells: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Slope 0 and the median height."""
    return 0.0, weighted_median(cells[:, 1], counts) if counts.size else 0.0


def _line(cells: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Slope and intercept through the median heights of slices of area (Theil-Sen, weighted by events)."""
    slices = np.floor(cells[:, 0] / 0.02).astype(int)
    areas, heights, weights = [], [], []
    for value in np.unique(slices):
        inside = slices == value
        if counts[inside].sum() >= 10:
            areas.append(weighted_median(cells[inside, 0], counts[inside]))
            heights.append(weighted_median(cells[inside, 1], counts[inside]))
            weights.append(counts[inside].sum())
    if len(areas) < 3:
        return 0.0, 0.0
    x, y, w = np.array(areas), np.array(heights), np.sqrt(np.array(weights, float))
    i, j = np.triu_indices(len(x), 1)
    slope = weighted_median((y[j] - y[i]) / (x[j] - x[i]), w[i] * w[j] * (x[j] - x[i]))
    return slope, weighted_median(y - slope * x, w)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Value at which half of the weight lies below."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])

"""Singlets: events whose area fits their height (or whose width is that of one cell)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method


class SingletParameters(Parameters):
    """Parameters of ``singlets``."""

    distance: float = Field(4.0, gt=0, description="Half-width of the band in robust standard deviations.")
    min_events: int = Field(200, ge=20, description="Fewer events than this are not fitted.")


@method("singlets", 1, n_dimensions=2, parameters=SingletParameters)
def singlets(histogram: Histogram, parameters: SingletParameters) -> Placement:
    """Band around the line on which single cells lie in area (x) against height (y), both linear.

    Two cells passing together have twice the area at about the same height, so they fall below the line. The line is
    fitted to the median height in slices of area, and the band to the deviations around it (median absolute deviation),
    relative to the height: the spread of a pulse grows with the pulse.
    """
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cells, counts = histogram.cells()
    keep = (cells[:, 0] > 0.0) & (cells[:, 1] > 0.0) & (cells < 0.98).all(axis=1)
    cells, counts = cells[keep], counts[keep]
    slope, intercept = _line(cells, counts)
    if slope <= 0:
        return Placement(reason="height does not grow with area")
    expected = intercept + slope * cells[:, 0]
    usable = expected > 0.02
    if counts[usable].sum() < parameters.min_events:
        return Placement(reason="too few events along the line of single cells")
    relative = (cells[usable, 1] - expected[usable]) / expected[usable]
    middle = weighted_median(relative, counts[usable])
    spread = 1.4826 * weighted_median(np.abs(relative - middle), counts[usable])
    half = parameters.distance * max(spread, 0.01)
    ends = np.array([max(0.0, -intercept / slope), 1.25])
    heights = intercept + slope * ends
    floor = 0.01  # events at the very origin are single debris, not doublets
    below = heights * (1 + middle - half) - floor
    above = heights * (1 + middle + half) + floor
    vertices = (
        (-0.25, -0.25),
        (float(ends[0]), float(below[0])),
        (float(ends[1]), float(below[1])),
        (float(ends[1]), float(above[1])),
        (float(ends[0]), float(above[0])),
        (-0.25, float(above[0])),
    )
    diagnostics = {"slope": round(slope, 4), "intercept": round(intercept, 4), "relative_spread": round(spread, 4)}
    return Placement(vertices=vertices, diagnostics=diagnostics)


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

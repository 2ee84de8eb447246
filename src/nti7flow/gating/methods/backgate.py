"""Backgating: a population that one marker sets apart shows where its kind lies in another plot.

On CD45 against side scatter rare lymphocytes are a shoulder of monocytes or of debris, and no mode of their own. T
cells are one on CD3 against side scatter in any blood: nothing else is that bright and that low. Where T cells lie,
there the lymphocytes are. `bright_cluster_2d` finds them, `backgate_2d` draws the contour they fill on other axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.cluster import Core, contour, find_cores
from nti7flow.gating.methods.registry import Parameters, Placement, method
from nti7flow.quality.doublets import weighted_median

Floats = NDArray[np.float64]

#: A bright mode lies in this upper part of the range between the dimmest and the brightest mode.
UPPER = 1 / 3
#: A mode with a smaller share of the events is no landmark for how high side scatter goes.
LANDMARK = 0.05
#: Bins of the histogram that are taken together: what is looked for is wide, or far from all else.
COARSER = 2
#: Degrees of freedom of the t distribution whose likelihood locates the seeds: heavy tails, as stray events make them.
FREEDOM = 4.0
#: Median of the squared distance from the centre of a two-dimensional Gaussian, in squared standard deviations.
MEDIAN_DISTANCE = float(2 * np.log(2))
N_STEPS = 15


class BrightClusterParameters(Parameters):
    """Parameters of ``bright_cluster_2d``."""

    distance: float = Field(
        0.2, gt=0, description="How far the mode lies above the dimmest on the first axis at least, display units."
    )
    drop: float = Field(
        0.1,
        ge=0,
        description="Where modes differ by more than this on the second axis, how far it lies below the highest.",
    )
    radius: float = Field(3.5, gt=0, description="Farthest extent of the contour, in standard deviations of the core.")
    significance: float = Field(
        2.5, gt=0, description="Poisson standard deviations a mode must stand above its saddle."
    )
    min_events: int = Field(25, ge=10, description="Fewer events around the mode than this are not fitted.")


@method("bright_cluster_2d", 1, n_dimensions=2, parameters=BrightClusterParameters, coarser=COARSER)
def bright_cluster_2d(histogram: Histogram, parameters: BrightClusterParameters) -> Placement:
    """Contour around the population that is bright on the first axis and not the highest on the second.

    T cells on CD3 against side scatter: granulocytes glow in every channel, but they are the highest. Of several bright
    modes it is that with most events.
    """
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cores = find_cores(histogram, parameters.significance, parameters.min_events)
    if len(cores) < 2:
        return Placement(reason="no mode beside the main one" if cores else "no mode stands out")
    bright = np.array([core.peak[0] for core in cores])
    height = np.array([core.peak[1] for core in cores])
    large = np.array([core.n_events >= LANDMARK * n_events for core in cores])
    differ = np.ptp(height[large]) > parameters.drop if large.any() else False
    low = height <= height[large].max() - parameters.drop if differ else np.ones(len(cores), bool)
    top, bottom = bright[low].max(initial=-np.inf), bright.min()
    diagnostics: dict[str, Any] = {"n_modes": len(cores)}
    if top - bottom < parameters.distance:
        return Placement(reason="no mode is bright enough", diagnostics=diagnostics)
    found = next(i for i in range(len(cores)) if low[i] and bright[i] >= top - UPPER * (top - bottom))
    core = cores[found]
    others = [other for i, other in enumerate(cores) if i != found]
    diagnostics |= {
        "mode": [round(float(v), 4) for v in core.peak],
        "n_around_mode": core.n_events,
        "distance_from_next": round(float((bright[found] - bright[bright < bright[found]]).min(initial=np.inf)), 4),
    }
    return Placement(vertices=contour(core, others, radius=parameters.radius), diagnostics=diagnostics)


class BackgateParameters(Parameters):
    """Parameters of ``backgate_2d``."""

    radius: float = Field(4.0, gt=0, description="Extent of the contour, in robust standard deviations.")
    min_events: int = Field(25, ge=10, description="Fewer events than this are not fitted.")


@method("backgate_2d", 1, n_dimensions=2, parameters=BackgateParameters, coarser=COARSER)
def backgate_2d(histogram: Histogram, parameters: BackgateParameters) -> Placement:
    """Ellipse around the events of one population, wherever they lie on these axes.

    Centre and shape are those of a two-dimensional t distribution fitted by maximum likelihood (Lange, Little and
    Taylor, J Am Stat Assoc 1989), scaled so that half of the events lie where half of a Gaussian would: stray events at
    any distance hardly move it.
    """
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cells, counts = histogram.cells()
    floor = np.array([axis.width for axis in histogram.axes])
    mean, covariance = locate(cells, counts.astype(np.float64), floor)
    core = Core(mean, mean, covariance, n_events)
    spread = np.sqrt(np.diag(covariance))
    return Placement(
        vertices=contour(core, (), radius=parameters.radius),
        diagnostics={"centre": [round(float(v), 4) for v in mean], "spread": [round(float(v), 4) for v in spread]},
    )


def locate(points: Floats, weights: Floats, floor: Floats) -> tuple[Floats, Floats]:
    """Robust centre and covariance of weighted points.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        Display units.
    weights : ndarray of float64, shape (n,)
        Events at each.
    floor : ndarray of float64, shape (2,)
        Least standard deviation along each axis, display units.

    Returns
    -------
    mean : ndarray of float64, shape (2,)
    covariance : ndarray of float64, shape (2, 2)
        Of the Gaussian with as many events within the median distance.
    """
    centre = np.array([weighted_median(values, weights) for values in points.T])
    x, y = (points - centre).T
    xx, yy = (max(1.4826 * weighted_median(np.abs(v), weights), f) ** 2 for v, f in zip((x, y), floor, strict=True))
    total, weighted = float(weights.sum()), weights * (FREEDOM + 2)
    # Squared distances are sums of these terms, and so are the moments: no step makes them again.
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    mx, my, xy = 0.0, 0.0, 0.0
    for _ in range(N_STEPS):
        trust = weighted / (FREEDOM + _distance((mx, my), (xx, xy, yy)) @ terms)
        n, sx, sy, sxx, sxy, syy = (terms @ trust).tolist()
        mx, my = sx / n, sy / n
        xx, xy, yy = ((s - m) / total for s, m in ((sxx, sx * mx), (sxy, sx * my), (syy, sy * my)))
        xx, yy = xx + floor[0] ** 2 / 12, yy + floor[1] ** 2 / 12
    scale = weighted_median(_distance((mx, my), (xx, xy, yy)) @ terms, weights) / MEDIAN_DISTANCE
    return centre + np.array([mx, my]), np.array([[xx, xy], [xy, yy]]) * max(scale, 1e-3)


def _distance(mean: tuple[float, float], covariance: tuple[float, float, float]) -> Floats:
    """Coefficients of 1, x, y, x², xy and y² in the squared Mahalanobis distance from a mean."""
    (mx, my), (xx, xy, yy) = mean, covariance
    determinant = xx * yy - xy * xy
    a, b, c = yy / determinant, -xy / determinant, xx / determinant
    constant = a * mx * mx + 2 * b * mx * my + c * my * my
    return np.array([constant, -2 * (a * mx + b * my), -2 * (b * mx + c * my), a, 2 * b, c])

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
    cores = [c for c in find_cores(histogram, parameters.significance) if c.n_events >= parameters.min_events]
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
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    mean = np.array([_median(x, weights), _median(y, weights)])
    spread = [1.4826 * _median(np.abs(v - m), weights) for v, m in zip((x, y), mean, strict=True)]
    covariance = np.diag(np.maximum(spread, floor) ** 2)
    total = weights.sum()
    for _ in range(N_STEPS):
        trust = weights * (FREEDOM + 2) / (FREEDOM + _squared(x - mean[0], y - mean[1], covariance))
        mean = np.array([trust @ x, trust @ y]) / trust.sum()
        dx, dy = x - mean[0], y - mean[1]
        xy = trust @ (dx * dy)
        covariance = np.array([[trust @ dx**2, xy], [xy, trust @ dy**2]]) / total + np.diag(floor**2 / 12)
    scale = _median(_squared(x - mean[0], y - mean[1], covariance), weights) / MEDIAN_DISTANCE
    return mean, covariance * max(scale, 1e-3)


def _squared(dx: Floats, dy: Floats, covariance: Floats) -> Floats:
    (a, b), (_, c) = np.linalg.inv(covariance)
    return np.asarray(a * dx**2 + 2 * b * dx * dy + c * dy**2)


def _median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])

"""``cloud_2d``: the ellipse around a population that is known to be (nearly) all there is.

Where earlier gates have left one lineage with some debris and doublets, no mode has to be found among others: the gate
is an ellipse around the bulk. Subsets a little apart (CD4 and CD8 T cells in CD45) do not part it, as they may part a
density into modes. Mean and covariance are those of the events within 99 % of the ellipse itself, corrected for what is
cut off, found by iteration from medians and quartiles: a trimmed estimate (Campbell, Appl Stat 1980, 29:231; Rousseeuw
and Van Driessen, Technometrics 1999, 41:212, reweight so), which outliers on all sides of the bulk do not widen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method

Floats = NDArray[np.float64]

#: Squared distance within which 99 % of a two-dimensional normal distribution lies, and what is left of its covariance.
TRIM = float(-2.0 * np.log(0.01))
KEPT = 1.0 - (TRIM / 2.0) * 0.01 / 0.99
#: From an interquartile range to the standard deviation of a normal distribution.
IQR = 1.349
#: Rounds of trimming; it settles within ten.
ROUNDS = 20
#: Directions in which the outline is drawn.
N_DIRECTIONS = 72


class CloudParameters(Parameters):
    """Parameters of ``cloud_2d``."""

    radius: float = Field(
        3.5,
        gt=0,
        description="Extent of the ellipse in standard deviations; beyond 3.5 lie 0.2 % of a normal distribution.",
    )
    max_outside: float = Field(
        0.25, gt=0, le=1, description="Share of events outside the ellipse above which a person should look."
    )
    min_events: int = Field(10, ge=5, description="Fewer events than this are not fitted.")


@method("cloud_2d", 1, n_dimensions=2, parameters=CloudParameters)
def cloud_2d(histogram: Histogram, parameters: CloudParameters) -> Placement:
    """Ellipse around the bulk of the events."""
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cells, counts = histogram.cells()
    weights = counts.astype(np.float64)
    least = min(axis.width for axis in histogram.axes) ** 2
    mean, covariance = _start(histogram)
    for _ in range(ROUNDS):
        kept = _distance(cells, mean, covariance) <= TRIM
        if weights[kept].sum() < parameters.min_events / 2:
            return Placement(reason="no bulk: the events lie apart")
        before = mean
        mean, covariance = _moments(cells[kept], weights[kept], least)
        if np.allclose(before, mean, atol=1e-6):
            break
    outside = float(weights[_distance(cells, mean, covariance) > parameters.radius**2].sum() / n_events)
    angles = np.arange(N_DIRECTIONS) * (2 * np.pi / N_DIRECTIONS)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline = mean + parameters.radius * circle @ np.linalg.cholesky(covariance).T
    return Placement(
        vertices=tuple((float(x), float(y)) for x, y in outline),
        flags=("impure_gate",) if outside > parameters.max_outside else (),
        diagnostics={
            "centre": [round(float(value), 4) for value in mean],
            "spread": [round(float(value), 4) for value in np.sqrt(np.diag(covariance))],
            "share_outside": round(outside, 4),
        },
    )


def _start(histogram: Histogram) -> tuple[Floats, Floats]:
    """Medians, and interquartile ranges as an upright ellipse."""
    middle, spread = [], []
    for i, axis in enumerate(histogram.axes):
        cumulative = np.concatenate([[0], np.cumsum(histogram.counts.sum(axis=1 - i))])
        edges = axis.low + np.arange(axis.n_bins + 1) * axis.width
        low, centre, high = np.interp(np.array([0.25, 0.5, 0.75]) * cumulative[-1], cumulative, edges)
        middle.append(centre)
        spread.append(max((high - low) / IQR, axis.width))
    return np.array(middle), np.diag(np.square(spread))


def _moments(points: Floats, weights: Floats, least: float) -> tuple[Floats, Floats]:
    """Mean, and covariance as it was before trimming; no direction is narrower than a bin."""
    total = weights.sum()
    mean = weights @ points / total
    offset = points - mean
    values, vectors = np.linalg.eigh((offset * weights[:, None]).T @ offset / total / KEPT)
    return mean, (vectors * np.maximum(values, least)) @ vectors.T


def _distance(points: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Squared Mahalanobis distance of points (n, 2), shape (n,)."""
    offset = points - mean
    return np.asarray(np.einsum("ij,jk,ik->i", offset, np.linalg.inv(covariance), offset))

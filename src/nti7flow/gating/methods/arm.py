"""``arm_2d``: cells positive for one of two markers that seldom meet on a cell, up to where the other's begin.

CD4 against CD8 is an L: helper cells stand upright at one level of CD4, with any CD8 from none to dim; cytotoxic cells
lie at one level of CD8, with any CD4 from none to dim. A cross of two thresholds cuts the dim ones off. Here each
threshold only says which cells are negative for a marker. Those positive for both belong to the arm whose level they
are nearer to, in units of that arm's own width: CD4+CD8dim cells have the CD4 of helper cells and not the CD8 of
cytotoxic ones, and the other way round. The method looks at no more than the level and the width of an arm, so it does
not matter how many cells are dim, nor whether they make up a mode of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nti7flow.gating.histogram import Axis, Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method
from nti7flow.gating.methods.thresholds import ValleyParameters, density_valley

#: Display units beyond which a gate goes on for ever.
FAR = 10.0
#: Interquartile range of a normal distribution of width 1.
IQR = 1.349


class ArmParameters(Parameters):
    """Parameters of ``arm_2d``."""

    min_events: int = Field(20, ge=5, description="An arm with fewer events than this has no level.")
    significance: float = Field(
        3.0, gt=0, description="Poisson standard deviations a mode must stand above the valley beside it."
    )
    max_shared: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Share of the arm's events that stand in both arms (within two widths) above which a person "
        "should look.",
    )


@dataclass(frozen=True, slots=True)
class Arm:
    """Events positive for one marker only: where they begin, their level, and their width, display units."""

    threshold: float
    level: float
    width: float
    n_events: int


@method("arm_2d", 1, n_dimensions=2, parameters=ArmParameters)
def arm_2d(histogram: Histogram, parameters: ArmParameters) -> Placement:
    """Outline of the cells positive for the first marker, but for those nearer to the level of the second one."""
    found = [_valley(histogram, i, parameters) for i in (0, 1)]
    for axis, threshold in zip(histogram.axes, found, strict=True):
        if isinstance(threshold, str):
            return Placement(reason=f"{axis.name}: {threshold}")
    thresholds = [float(threshold) for threshold in found]
    negative = [slice(0, _bin(axis, t)) for axis, t in zip(histogram.axes, thresholds, strict=True)]
    x, y = (_arm(histogram, i, thresholds[i], negative[1 - i]) for i in (0, 1))
    for arm, axis in ((x, histogram.axes[0]), (y, histogram.axes[1])):
        if arm.n_events < parameters.min_events:
            return Placement(reason=f"only {arm.n_events} events positive for {axis.name} alone")
    share = _in_both(histogram, x, y) / x.n_events
    return Placement(
        vertices=_outline(x, y),
        flags=("arms_meet",) if share > parameters.max_shared else (),
        diagnostics={
            "threshold": round(x.threshold, 4),
            "level": round(x.level, 4),
            "width": round(x.width, 4),
            "other_threshold": round(y.threshold, 4),
            "other_level": round(y.level, 4),
            "other_width": round(y.width, 4),
            "share_in_both": round(share, 4),
        },
    )


def _margin(histogram: Histogram, i: int, others: slice) -> Histogram:
    """Histogram of one marker, of the events in some bins of the other."""
    counts = histogram.counts[:, others].sum(axis=1) if i == 0 else histogram.counts[others].sum(axis=0)
    return Histogram((histogram.axes[i],), counts)


def _bin(axis: Axis, value: float) -> int:
    return int(axis.index(np.array([value]))[0])


def _valley(histogram: Histogram, i: int, parameters: ArmParameters) -> float | str:
    """Valley of one marker among all events, or why there is none."""
    valley = ValleyParameters(min_events=parameters.min_events, significance=parameters.significance)
    placed = density_valley(_margin(histogram, i, slice(None)), valley)
    return placed.reason if placed.lower is None else placed.lower


def _arm(histogram: Histogram, i: int, threshold: float, others: slice) -> Arm:
    """Level and width of what is positive for marker ``i`` alone."""
    axis = histogram.axes[i]
    start = _bin(axis, threshold)
    cumulative = np.concatenate([[0], np.cumsum(_margin(histogram, i, others).counts[start:])])
    n_events = int(cumulative[-1])
    if not n_events:
        return Arm(threshold, threshold, axis.width, 0)
    edges = axis.low + (start + np.arange(len(cumulative))) * axis.width
    low, level, high = np.interp(np.array([0.25, 0.5, 0.75]) * n_events, cumulative, edges)
    return Arm(threshold, float(level), max(float(high - low) / IQR, axis.width), n_events)


def _in_both(histogram: Histogram, x: Arm, y: Arm) -> int:
    """Events that stand in both arms: which of them they belong to cannot be told."""
    near = [np.abs(a.centres - arm.level) <= 2 * arm.width for a, arm in zip(histogram.axes, (x, y), strict=True)]
    return int(histogram.counts[np.ix_(*near)].sum())


def _outline(x: Arm, y: Arm) -> tuple[tuple[float, float], ...]:
    """Outline of arm x: all that is positive for it and negative for y, and of the rest what is nearer to its level.

    Where both are positive the border ``|dx| / width_x = |dy| / width_y`` is a cross through the point at which the
    levels meet. Arm x has its quarters below and above that point, arm y those to the left and to the right.
    """
    slope, before = y.width / x.width, x.level - x.threshold
    down = min((y.level - y.threshold) / slope, before)  # how far the border runs to the left before it ends
    centre = (x.level, y.level)
    left = ((x.threshold, y.level - down * slope), (x.level - down, y.level - down * slope))
    above = ((x.threshold, y.level + before * slope), (x.threshold, FAR), (x.level + (FAR - y.level) / slope, FAR))
    right = ((x.level + (y.level - y.threshold) / slope, y.threshold), (FAR, y.threshold))
    return ((x.threshold, -FAR), *left, centre, *above, centre, *right, (FAR, -FAR))

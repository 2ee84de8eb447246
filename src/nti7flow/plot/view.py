"""Which part of a panel's axes is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Arcsinh, FlowJoBiex, FlowJoLog, Hyperlog, Linear, Log, Logicle, Transform
from nti7flow.events.transforms.flowjo import TOP_CHANNEL
from nti7flow.gating.histogram import Axis

#: An axis begins where all but this fraction of the events lie above; the upper end shows all but one in a thousand.
LOW_TAIL = 0.005
#: A logarithmic axis shows at least this many decades, however narrow the population is.
LEAST_DECADES = 2.0
#: Thresholds keep this distance from the ends of the axis, as a fraction of it.
MARGIN = 0.24
#: Top of FlowJo's biex scale; the others end at 1.
CHANNELS = float(TOP_CHANNEL)
#: White space around the events, as a fraction of their range.
PADDING = 0.07


@dataclass(frozen=True, slots=True)
class View:
    """Limits of both axes, display units."""

    x: tuple[float, float]
    y: tuple[float, float]


def axis_limits(
    axis: Axis,
    marginal: NDArray[np.int64],
    transform: Transform,
    *,
    bounds: Iterable[float],
    ends: Iterable[float],
    padding: tuple[float, float],
) -> tuple[float, float]:
    """Limits that show the events and the gates, and leave out empty space.

    ``padding`` is white space below and above the events, as fractions of their range. Thresholds (``bounds``) keep
    their distance from the ends of the axis, so that a label has room; polygons need only be seen whole (``ends``).
    """
    first, last = _occupied(marginal)
    low, high = axis.low + first * axis.width, axis.low + last * axis.width
    low, high = low - padding[0] * (high - low), high + padding[1] * (high - low)
    for marks, margin in ((ends, 0.04), (bounds, MARGIN)):
        for mark in marks:
            span = max(high, mark) - min(low, mark)
            low, high = min(low, mark - margin * span), max(high, mark + margin * span)
    if isinstance(transform, Linear):  # from 0, unless there are events below
        zero = float(transform.apply(0.0))
        return (zero if axis.low + first * axis.width >= zero else low), high
    missing = LEAST_DECADES * _decade(transform) - (high - low)
    if missing > 0:
        top = CHANNELS if isinstance(transform, FlowJoBiex) else 1.0
        above = min(missing / 2, max(1.05 * top - high, 0.0))
        low, high = low - (missing - above), high + above
    return low, high


def _occupied(marginal: NDArray[np.int64]) -> tuple[int, int]:
    """Bins between which the events lie, but for some in the lower tail; the end bins hold what lies beyond."""
    inner = np.cumsum(marginal[1:-1])
    n_events = int(inner[-1])
    if not n_events:
        return 0, len(marginal)
    first, last = np.searchsorted(inner, (LOW_TAIL * n_events, n_events), side="left")
    return int(first) + 1, int(last) + 2


def _decade(transform: Transform) -> float:
    """Width of a decade, display units, where the scale is logarithmic."""
    if isinstance(transform, Log):
        return 1 / transform.m
    if isinstance(transform, Arcsinh | Logicle | Hyperlog):
        return 1 / (transform.m + transform.a)
    if isinstance(transform, FlowJoLog):
        return 1 / transform.decades
    if isinstance(transform, FlowJoBiex):
        return CHANNELS / (max(transform.negative, 0.0) + transform.positive)
    return 0.0

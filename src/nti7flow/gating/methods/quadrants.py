"""Quadrants: two markers part a population into four, by lines that need not cross in one point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nti7flow.gating.histogram import Axis, Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method
from nti7flow.gating.methods.thresholds import (
    DEBRIS,
    DEEP,
    TailParameters,
    bandwidth,
    find_modes,
    smoothed,
    tail,
    valley_floor,
)
from nti7flow.gating.polygon import points_inside

Ints = NDArray[np.int64]
Part = Literal["++", "+-", "-+", "--"]
Point = tuple[float, float]

PARTS: tuple[Part, ...] = ("++", "+-", "-+", "--")
#: Where a quadrant ends that has no end, display units: no scale shows ten times its top.
FAR = 10.0
#: How often each line is sought anew beside the lines of the other axis; they move little after the second time.
PASSES = 4


class QuadrantParameters(Parameters):
    """Parameters of ``quadrants``."""

    part: Part = Field(description="Which part is kept: the sign of the first marker, then that of the second.")
    min_events: int = Field(50, ge=10, description="Fewer events than this are not fitted.")
    significance: float = Field(
        2.5, gt=0, description="How many Poisson standard deviations a mode must stand above the valley beside it."
    )
    otherwise: Literal["fail", "edge"] = Field(
        "fail",
        description="Where an axis has no valley: fail; or edge, where its one population is known to be negative.",
    )
    distance: float = Field(4.0, gt=0, description="Distance of that edge from the mode in robust standard deviations.")


@dataclass(frozen=True, slots=True)
class Line:
    """A dividing line across one axis, among the events on one side of the other axis.

    Attributes
    ----------
    value : float
        Where it is, display units.
    below, above : float
        Modes on its two sides, display units.
    depth : float
        Density on the line over that of the lower of the highest modes on its two sides; 1 where there is no valley.
    own : bool
        Whether a valley among these events places it; if not, it comes from the other side.
    """

    value: float
    below: float
    above: float
    depth: float
    own: bool = True


Pair = tuple[Line, Line]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines across x among the events low and high in y, and across y among those low and high in x."""

    x: Pair
    y: Pair


@method("quadrants", 1, n_dimensions=2, parameters=QuadrantParameters)
def quadrants(histogram: Histogram, parameters: QuadrantParameters) -> Placement:
    """One of the four parts into which two markers divide a population; their lines are placed jointly.

    A line runs where events are fewest between two modes, and is sought on each side of the other axis by itself: a
    spread that grows with the other marker bends it. A side without a valley takes the line of the other side, moved
    towards the population that is the rarer there. The four parts share their lines and tile the plane.
    """
    found = _fit(histogram, parameters.model_copy(update={"part": "++"}))
    if isinstance(found, str):
        return Placement(reason=found)
    lines, diagnostics = found
    return Placement(vertices=outline(lines, parameters.part), diagnostics=diagnostics)


@lru_cache(maxsize=2 * 21)  # the four parts ask for the lines of the same histogram and its replicates
def _fit(histogram: Histogram, parameters: QuadrantParameters) -> tuple[Lines, dict[str, Any]] | str:
    """Lines of all parts with their diagnostics, or why there are none."""
    lines = find_lines(histogram, parameters)
    return lines if isinstance(lines, str) else (lines, _diagnostics(histogram, lines))


def find_lines(histogram: Histogram, parameters: QuadrantParameters) -> Lines | str:
    """Find the dividing lines of a histogram in two dimensions, or say why there are none."""
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return f"only {n_events} events, {parameters.min_events} are needed"
    x_axis, y_axis = histogram.axes
    along_x, along_y = (_cumulative(counts) for counts in (histogram.counts, histogram.counts.T))
    x = _pair(x_axis, [along_x[:, -1]], None, parameters)
    y = _pair(y_axis, [along_y[:, -1]], None, parameters)
    for _ in range(PASSES):
        before = x, y
        x, y = (
            _pair(x_axis, _sides(along_x, histogram.axes, x, y), x, parameters),
            _pair(y_axis, _sides(along_y, (y_axis, x_axis), y, x), y, parameters),
        )
        if (x, y) == before:
            break
    if parameters.otherwise == "edge" and (x or y):  # one population on both axes may well be positive on one
        x, y = x or _edge(x_axis, along_x[:, -1], parameters), y or _edge(y_axis, along_y[:, -1], parameters)
    if x is None or y is None:
        return f"no valley on {' or '.join(a.name for a, pair in zip(histogram.axes, (x, y), strict=True) if not pair)}"
    return Lines(x, y)


def _cumulative(counts: Ints) -> Ints:
    """Events of each row in the columns before each border, shape (n_rows, n_columns + 1)."""
    return np.concatenate([np.zeros((len(counts), 1), np.int64), counts.cumsum(axis=1)], axis=1)


def _border(axis: Axis, value: float) -> int:
    """Border between bins that is nearest to a value."""
    return min(max(round((value - axis.low) / axis.width), 0), axis.n_bins)


def _sides(cumulative: Ints, axes: Sequence[Axis], own: Pair | None, other: Pair | None) -> list[Ints]:
    """Events along the first axis below and above the lines across the second; of all where there are none."""
    total = cumulative[:, -1]
    if other is None:
        return [total]
    along, across = axes
    # The line across the second axis has a value on the low and one on the high side of the first.
    middle = (own[0].value + own[1].value) / 2 if own else _median(along, total)
    border = np.where(along.centres < middle, *(_border(across, line.value) for line in other))
    below = cumulative[np.arange(along.n_bins), border]
    return [below, total - below]


def _median(axis: Axis, counts: Ints) -> float:
    cumulative = np.cumsum(counts)
    return float(axis.centres[np.searchsorted(cumulative, cumulative[-1] / 2)])


def _pair(axis: Axis, sides: Sequence[Ints], before: Pair | None, parameters: QuadrantParameters) -> Pair | None:
    """Lines across an axis on both sides of the other one; those there were before where neither side has a valley."""
    low, high = (_valley(axis, counts, before, parameters) for counts in (sides[0], sides[-1]))
    if low is None and high is None:
        return before
    # One of them is known by now, which makes the other one sure.
    low, high = low or _lent(axis, sides[0], high, sides[-1]), high or _lent(axis, sides[-1], low, sides[0])
    return low, high


def _valley(axis: Axis, counts: Ints, before: Pair | None, parameters: QuadrantParameters) -> Line | None:
    """Return the valley that parts the events of one side.

    Beyond the modes that were parted before it counts only where nothing can be meant but two populations.
    """
    n_events = int(counts.sum())
    if n_events < parameters.min_events / 2:
        return None
    sigma = bandwidth(n_events)
    density = smoothed(Histogram((axis,), counts), sigma)
    modes = find_modes(density, 2.0 * np.sqrt(np.pi) * sigma / axis.width, parameters.significance)
    cumulative = np.cumsum(counts)
    found = list[tuple[Line, int]]()  # with the events on the smaller side
    for i, (below, above) in enumerate(pairwise(modes)):
        lower_mode = min(density[modes[: i + 1]].max(), density[modes[i + 1 :]].max())
        middle, bottom = valley_floor(density, below, above, lower_mode)
        value, first, second = (float(axis.low + at * axis.width) for at in (middle, below + 0.5, above + 0.5))
        line = Line(value, first, second, float(density[bottom] / lower_mode))
        found.append((line, int(min(cumulative[bottom], n_events - cumulative[bottom]))))
    if before is not None:
        low, high = min(line.below for line in before), max(line.above for line in before)
        between = [item for item in found if low < item[0].value < high]
        found = between or [item for item in found if item[0].depth <= DEEP and item[1] >= DEBRIS * n_events]
    return _choose(found, n_events)


def _choose(found: Sequence[tuple[Line, int]], n_events: int) -> Line | None:
    """Choose among valleys, each with the events on its smaller side, as ``density_valley`` does.

    A few stray events at an end do not draw the line while anything else does. Of the valleys that are deep it is the
    one with most events on its smaller side; where none is, the deepest.
    """
    parting = [item for item in found if item[1] >= DEBRIS * n_events] or found
    deep = [item for item in parting if item[0].depth <= DEEP]
    if deep:
        return max(deep, key=lambda item: item[1])[0]
    return min((line for line, _ in parting), key=lambda line: line.depth, default=None)


def _lent(axis: Axis, counts: Ints, line: Line | None, theirs: Ints) -> Line:
    """Return the line of the other side, moved by how much more one population outnumbers the other here than there.

    Between two normal populations of standard deviation s at a distance d, the place beyond which as many events of one
    are lost as there are events of the other let in moves by 1 / (d / s² + 4 / d) for each unit of the logarithm of the
    ratio of their sizes, near the middle. Beyond a quarter of the way from either mode that is not relied on.
    """
    assert line is not None
    ratio = _log_ratio(axis, counts, line.value) - _log_ratio(axis, theirs, line.value)
    d = line.above - line.below
    value = line.value + ratio / (d / _spread(axis, counts, line.value) ** 2 + 4.0 / d)
    value = min(max(value, line.below + d / 4), line.above - d / 4)
    return replace(line, value=value, own=False)


def _log_ratio(axis: Axis, counts: Ints, value: float) -> float:
    """Logarithm of how many times more events lie below a value than above it."""
    below = int(counts[: _border(axis, value)].sum())
    return float(np.log((below + 1) / (int(counts.sum()) - below + 1)))


def _spread(axis: Axis, counts: Ints, value: float) -> float:
    """Robust standard deviation of the larger population beside a line, of its half that faces the line."""
    border = _border(axis, value)
    below, above = counts[:border][::-1], counts[border:]  # both from the line outwards
    cumulative = np.cumsum(below if below.sum() >= above.sum() else above)
    near, median = np.searchsorted(cumulative, np.array([0.1587, 0.5]) * cumulative[-1])
    return float(max(median - near, 1) * axis.width)


def _edge(axis: Axis, counts: Ints, parameters: QuadrantParameters) -> Pair | None:
    """Upper edge of the one population on an axis."""
    placed = tail(Histogram((axis,), counts), TailParameters(distance=parameters.distance))
    if placed.lower is None:
        return None
    line = Line(placed.lower, float(placed.diagnostics["mode"]), placed.lower, 1.0)
    return line, line


def outline(lines: Lines, part: Part) -> tuple[Point, ...]:
    """Outline of a part, five vertices.

    The lines across y end, from the left and from the right, in two corners joined by a segment, and those across x end
    in one or the other of them. The segment is an edge of the two parts that touch in it. Both go along it in the same
    direction, so that rounding cannot put an event into both or into neither; the other parts have their corner twice,
    so that the outlines of replicates can be compared point by point.
    """
    (bottom, top), (left, right) = ((low.value, high.value) for low, high in (lines.x, lines.y))
    rising = (bottom, left) <= (top, right)  # then -+ touches +-, else -- touches ++
    start, end = ((bottom, left), (top, right)) if rising else ((top, left), (bottom, right))
    upper = part[1] == "+"
    across, far = (top, FAR) if upper else (bottom, -FAR)
    corner = end if upper == rising else start
    if part[0] == "-":
        return ((-FAR, left), start, corner, (across, far), (-FAR, far))
    return (corner, end, (FAR, right), (FAR, far), (across, far))


def _diagnostics(histogram: Histogram, lines: Lines) -> dict[str, Any]:
    """Say what a person can judge the lines by; across x those of low and high y, across y those of low and high x."""
    cells, counts = histogram.cells()
    inside = {part: points_inside(np.array(outline(lines, part)), *np.ascontiguousarray(cells.T)) for part in PARTS}
    found: dict[str, Any] = {f"n_events_{part}": int(counts[inside[part]].sum()) for part in PARTS}
    for name, pair in (("x", lines.x), ("y", lines.y)):
        found[f"{name}_lines"] = [round(line.value, 4) for line in pair]
        found[f"{name}_valley_to_lower_mode"] = [round(line.depth, 4) for line in pair]
        found[f"{name}_separation"] = [round(line.above - line.below, 4) for line in pair]
        found[f"{name}_placed_by_own_events"] = [line.own for line in pair]
    return found

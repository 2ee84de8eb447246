"""Gates as they appear on one panel: boxes and closed lines in the panel's own display units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.dimensions import AnyDimension
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, Gate, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import Population

Bound = float | None
Points = NDArray[np.float64]
#: Points of the outline of an ellipse.
ELLIPSE_POINTS = 96


@dataclass(frozen=True, slots=True)
class Box:
    """The part of a panel between bounds; None is open. A threshold is a box with one bound."""

    x: tuple[Bound, Bound] = (None, None)
    y: tuple[Bound, Bound] = (None, None)

    def within(self, other: Box) -> Box:
        """Return what two boxes share."""
        return Box(_overlap(self.x, other.x), _overlap(self.y, other.y))


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One population on a panel.

    Attributes
    ----------
    population : Population
        Whose gate it is.
    shape : Box or ndarray of float64, shape (n, 2)
        Box, or the vertices of a polygon; an ellipse is one of many.
    drawn : bool
        False for a boolean population: its bounds are drawn by the gates it combines.
    labelled : bool
        False for a gate whose share is told by boolean populations on the same panel.
    outside : bool
        True for a gate that holds the events outside the shape.
    """

    population: Population
    shape: Box | Points
    drawn: bool = True
    labelled: bool = True
    outside: bool = False


def find_outlines(panel: Panel2D, by_id: Mapping[str, Population]) -> tuple[list[Outline], list[Population]]:
    """Outlines of a panel's populations, and those populations that cannot be shown on its axes."""
    found: dict[str, Outline] = {}
    for name in panel.populations:
        if (outline := _outline(by_id[name], panel)) is not None:
            found[name] = outline
    combined = [by_id[name] for name in panel.populations if isinstance(by_id[name].gate, BooleanGate)]
    covered: set[str] = set()
    for population in combined:
        assert isinstance(population.gate, BooleanGate)
        if (corner := _corner(population.gate, found)) is not None:
            found[population.id] = Outline(population, corner, drawn=False)
            covered |= {operand.population for operand in population.gate.operands}
    outlines = [replace(o, labelled=o.population.id not in covered) for o in found.values()]
    return outlines, [by_id[name] for name in panel.populations if name not in found and by_id[name].gate is not None]


def _outline(population: Population, panel: Panel2D) -> Outline | None:
    """Return the outline of a geometric gate; None where it is not on the panel's axes."""
    gate = population.gate
    shape = _shape(gate, panel)
    if shape is None:
        return None
    if not (isinstance(gate, RectangleGate | PolygonGate) and gate.complement):
        return Outline(population, shape)
    other_side = _complement(shape) if isinstance(shape, Box) else None
    return Outline(population, shape, outside=True) if other_side is None else Outline(population, other_side)


def _shape(gate: Gate | None, panel: Panel2D) -> Box | Points | None:
    if isinstance(gate, RectangleGate | QuadrantGate):
        return _box(gate, panel)
    if isinstance(gate, PolygonGate):
        return _closed_line(np.asarray(gate.vertices), gate.dimensions, panel)
    if isinstance(gate, EllipsoidGate) and gate.is_ellipsoid:
        return _ellipse(gate, panel)
    return None


def _corner(gate: BooleanGate, found: Mapping[str, Outline]) -> Box | None:
    """Box that a boolean population fills, or None where it is not a box or its operands are not on the panel."""
    if gate.operator == "or" and len(gate.operands) > 1:
        return None
    corner = Box()
    for operand in gate.operands:
        outline = found.get(operand.population)
        if outline is None or outline.outside or not isinstance(outline.shape, Box):
            return None
        side = _complement(outline.shape) if operand.negated else outline.shape
        if side is None:
            return None
        corner = corner.within(side)
    return corner


def _complement(box: Box) -> Box | None:
    """Return the other side of a threshold; None for a box with any other number of bounds."""
    bounds = [(axis, end) for axis in ("x", "y") for end in (0, 1) if getattr(box, axis)[end] is not None]
    if len(bounds) != 1:
        return None
    axis, end = bounds[0]
    value = getattr(box, axis)[end]
    other = (None, value) if end == 0 else (value, None)
    return Box(x=other) if axis == "x" else Box(y=other)


def _box(gate: RectangleGate | QuadrantGate, panel: Panel2D) -> Box | None:
    box = None
    for dimension, low, high in zip(gate.dimensions, gate.lower, gate.upper, strict=True):
        for axis, shown in (("x", panel.x), ("y", panel.y)):
            if _same_channel(dimension, shown):
                pair = (_on_axis(low, dimension, shown), _on_axis(high, dimension, shown))
                box = (box or Box()).within(Box(x=pair) if axis == "x" else Box(y=pair))
    return box


def _ellipse(gate: EllipsoidGate, panel: Panel2D) -> Points | None:
    """Outline of an ellipse; of an ellipsoid that of its shadow on the panel.

    The projection of ``(y - mean)' S^-1 (y - mean) <= d`` on some of its axes is the ellipsoid of their means and of
    their rows and columns of S, with the same d.
    """
    places = _places(gate.dimensions, panel)
    if places is None:
        return None
    covariance = np.asarray(gate.covariance)[np.ix_(places, places)]
    angles = np.linspace(0.0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    circle = np.sqrt(gate.distance_square) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.asarray(gate.mean)[places] + circle @ np.linalg.cholesky((covariance + covariance.T) / 2).T
    return _closed_line(points, tuple(gate.dimensions[i] for i in places), panel)


def _closed_line(points: Points, dimensions: Sequence[AnyDimension], panel: Panel2D) -> Points | None:
    """Points in display units of a gate's dimensions, shape (n, 2), as points of the panel.

    Those that the panel's scale cannot show, such as 0 on a logarithmic one, are left out.
    """
    places = _places(dimensions, panel)
    if places is None:
        return None
    axes = zip(places, (panel.x, panel.y), strict=True)
    moved = np.stack([_rescaled(points[:, i], dimensions[i], shown) for i, shown in axes], axis=1)
    visible = moved[np.isfinite(moved).all(axis=1)]
    return visible if len(visible) > 2 else None


def _places(dimensions: Sequence[AnyDimension], panel: Panel2D) -> list[int] | None:
    """Which of a gate's dimensions are the axes of a panel; None where one is not."""
    places = []
    for shown in (panel.x, panel.y):
        matches = [i for i, dimension in enumerate(dimensions) if _same_channel(dimension, shown)]
        if not matches:
            return None
        places.append(matches[0])
    return places


def _same_channel(a: AnyDimension, b: AnyDimension) -> bool:
    return a.axis == b.axis


def _on_axis(bound: Bound, dimension: AnyDimension, shown: AnyDimension) -> Bound:
    """Return a bound in the axis's display units; None for one at infinity, or below where the axis begins."""
    if bound is None:
        return None
    value = float(_rescaled(np.asarray(bound), dimension, shown))
    return value if isfinite(value) else None


def _rescaled(values: Points, dimension: AnyDimension, shown: AnyDimension) -> Points:
    """Display units of a gate in those of the axis it is drawn on: they differ where a scale was agreed on later."""
    if dimension.transform == shown.transform:
        return values
    return shown.transform.apply(dimension.transform.inverse(values))


def _overlap(a: tuple[Bound, Bound], b: tuple[Bound, Bound]) -> tuple[Bound, Bound]:
    lows = [pair[0] for pair in (a, b) if pair[0] is not None]
    highs = [pair[1] for pair in (a, b) if pair[1] is not None]
    return max(lows, default=None), min(highs, default=None)

"""Gates as they appear on one panel: boxes and polygons in the panel's own display units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.gates import BooleanGate, Dimension, PolygonGate, RectangleGate
from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import Population

Bound = float | None
Points = NDArray[np.float64]


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
        Box, or the vertices of a polygon.
    drawn : bool
        False for a boolean population: its bounds are drawn by the gates it combines.
    labelled : bool
        False for a gate whose share is told by boolean populations on the same panel.
    """

    population: Population
    shape: Box | Points
    drawn: bool = True
    labelled: bool = True


def find_outlines(panel: Panel2D, by_id: Mapping[str, Population]) -> tuple[list[Outline], list[Population]]:
    """Outlines of a panel's populations, and those populations that cannot be shown on its axes."""
    found: dict[str, Outline] = {}
    for name in panel.populations:
        gate = by_id[name].gate
        if isinstance(gate, RectangleGate) and (box := _box(gate, panel)) is not None:
            found[name] = Outline(by_id[name], box)
        elif isinstance(gate, PolygonGate) and (vertices := _polygon(gate, panel)) is not None:
            found[name] = Outline(by_id[name], vertices)
    combined = [by_id[name] for name in panel.populations if isinstance(by_id[name].gate, BooleanGate)]
    covered: set[str] = set()
    for population in combined:
        assert isinstance(population.gate, BooleanGate)
        if (corner := _corner(population.gate, found)) is not None:
            found[population.id] = Outline(population, corner, drawn=False)
            covered |= {operand.population for operand in population.gate.operands}
    outlines = [replace(o, labelled=o.population.id not in covered) for o in found.values()]
    return outlines, [by_id[name] for name in panel.populations if name not in found and by_id[name].gate is not None]


def _corner(gate: BooleanGate, found: Mapping[str, Outline]) -> Box | None:
    """Box that a boolean population fills, or None where it is not a box or its operands are not on the panel."""
    if gate.operator == "or" and len(gate.operands) > 1:
        return None
    corner = Box()
    for operand in gate.operands:
        outline = found.get(operand.population)
        if outline is None or not isinstance(outline.shape, Box):
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


def _box(gate: RectangleGate, panel: Panel2D) -> Box | None:
    box = None
    for dimension, low, high in zip(gate.dimensions, gate.lower, gate.upper, strict=True):
        for axis, shown in (("x", panel.x), ("y", panel.y)):
            if _same_channel(dimension, shown):
                pair = (_on_axis(low, dimension, shown), _on_axis(high, dimension, shown))
                box = (box or Box()).within(Box(x=pair) if axis == "x" else Box(y=pair))
    return box


def _polygon(gate: PolygonGate, panel: Panel2D) -> Points | None:
    vertices = np.asarray(gate.vertices)
    columns = []
    for shown in (panel.x, panel.y):
        matches = [i for i, dimension in enumerate(gate.dimensions) if _same_channel(dimension, shown)]
        if not matches:
            return None
        columns.append(_rescaled(vertices[:, matches[0]], gate.dimensions[matches[0]], shown))
    return np.stack(columns, axis=1)


def _same_channel(a: Dimension, b: Dimension) -> bool:
    return (a.detector, a.compensated) == (b.detector, b.compensated)


def _on_axis(bound: Bound, dimension: Dimension, shown: Dimension) -> Bound:
    """Return a bound in the axis's display units; None for one at infinity, or below where the axis begins."""
    if bound is None:
        return None
    value = float(_rescaled(np.asarray(bound), dimension, shown))
    return value if isfinite(value) else None


def _rescaled(values: Points, dimension: Dimension, shown: Dimension) -> Points:
    """Display units of a gate in those of the axis it is drawn on: they differ where a scale was agreed on later."""
    if dimension.transform == shown.transform:
        return values
    return shown.transform.apply(dimension.transform.inverse(values))


def _overlap(a: tuple[Bound, Bound], b: tuple[Bound, Bound]) -> tuple[Bound, Bound]:
    lows = [pair[0] for pair in (a, b) if pair[0] is not None]
    highs = [pair[1] for pair in (a, b) if pair[1] is not None]
    return max(lows, default=None), min(highs, default=None)

"""Gates: plain geometry, and which events lie inside. Gating-ML 2.0 semantics.

Bounds and vertices are in display units, that is, after compensation and transform. Lower bounds are inclusive,
upper bounds exclusive; an event with NaN in any dimension is outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Transform, transform_from_dict, transform_to_dict

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of a gate: a channel, whether it is compensated, and its display transform.

    Belongs to the gate and not to the sample, so that raw and compensated gates live in one strategy.
    """

    detector: str
    marker: str
    compensated: bool
    transform: Transform

    @property
    def title(self) -> str:
        """Name for axes and tables."""
        return self.marker or self.detector

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "detector": self.detector,
            "marker": self.marker,
            "compensated": self.compensated,
            "transform": transform_to_dict(self.transform),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Dimension:
        """Rebuild from `to_dict`."""
        return cls(data["detector"], data["marker"], data["compensated"], transform_from_dict(data["transform"]))


@dataclass(frozen=True, slots=True)
class RectangleGate:
    """``lower <= y < upper`` in every dimension; None is no bound. With one dimension it is a range gate."""

    dimensions: tuple[Dimension, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if not len(self.dimensions) == len(self.lower) == len(self.upper) > 0:
            raise ValueError("a rectangle gate needs one lower and one upper bound per dimension")
        for dimension, low, high in zip(self.dimensions, self.lower, self.upper, strict=True):
            if any(bound is not None and np.isnan(bound) for bound in (low, high)):
                raise ValueError(f"gate on {dimension.title}: a bound is not a number")
            if low is not None and high is not None and low >= high:
                raise ValueError(f"gate on {dimension.title}: lower bound {low:g} is not below upper bound {high:g}")

    def contains(self, y: Floats) -> Bools:
        """Say which of the display values ``y`` (n, n_dimensions) are inside, shape (n,)."""
        inside = np.ones(len(y), np.bool_)
        for i, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)):
            column = y[:, i]
            if low is None and high is None:
                inside &= ~np.isnan(column)
            if low is not None:
                inside &= column >= low
            if high is not None:
                inside &= column < high
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": "rectangle",
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "lower": list(self.lower),
            "upper": list(self.upper),
        }


@dataclass(frozen=True, slots=True)
class PolygonGate:
    """Inside a polygon in two dimensions, by the even-odd rule; it closes itself."""

    dimensions: tuple[Dimension, Dimension]
    vertices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.dimensions) != 2:
            raise ValueError("a polygon gate needs two dimensions")
        if len(self.vertices) < 3 or not np.isfinite(self.vertices).all():
            raise ValueError("a polygon gate needs at least three finite vertices")

    def contains(self, y: Floats) -> Bools:
        """Say which of the display values ``y`` (n, 2) are inside, shape (n,)."""
        vertices = np.asarray(self.vertices)
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        inside: Bools = ((y >= low) & (y <= high)).all(axis=1)
        candidates = np.flatnonzero(inside)
        inside[candidates] = _inside(vertices, y[candidates, 0], y[candidates, 1])
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": "polygon",
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "vertices": [list(vertex) for vertex in self.vertices],
        }


#: Cells per side of the grid that spares most points the walk round the outline, and from how many points it pays.
GRID, WORTH_A_GRID = 64, 20_000


def _inside(vertices: Floats, px: Floats, py: Floats) -> Bools:
    """Points inside a polygon, exactly as `_even_odd`, but quickly for many points.

    The bounding box is divided into cells. All points of a cell that no edge comes near are on the same side as its
    centre; only the others are tested one by one.
    """
    if len(px) < WORTH_A_GRID:
        return _even_odd(vertices, px, py)
    low, size = vertices.min(axis=0), np.ptp(vertices, axis=0)
    scale = GRID / np.where(size > 0, size, 1.0)
    crossed = np.zeros((GRID, GRID), np.bool_)
    corners = np.floor((vertices - low) * scale).astype(np.intp)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        # One cell more on every side: rounding may put a point into the cell next to its own.
        columns = slice(max(min(x1, x2) - 1, 0), max(x1, x2) + 2)
        crossed[columns, max(min(y1, y2) - 1, 0) : max(y1, y2) + 2] = True
    centres = np.meshgrid(*(low[i] + (np.arange(GRID) + 0.5) / scale[i] for i in (0, 1)), indexing="ij")
    sides = _even_odd(vertices, centres[0].ravel(), centres[1].ravel())
    cell = np.minimum((px - low[0]) * scale[0], GRID - 1).astype(np.intp) * GRID
    cell += np.minimum((py - low[1]) * scale[1], GRID - 1).astype(np.intp)
    inside: Bools = sides[cell]
    near = np.flatnonzero(crossed.ravel()[cell])
    inside[near] = _even_odd(vertices, px[near], py[near])
    return inside


def _even_odd(vertices: Floats, px: Floats, py: Floats) -> Bools:
    """Count, edge by edge, how often a ray from each point to +x crosses the outline; points on it are inside.

    Points are taken in the order of y, so that an edge meets only those at its own height.
    """
    order = np.argsort(py, kind="stable")
    xs, ys = px[order], py[order]
    crossings = np.zeros(len(px), np.bool_)
    on_edge = np.zeros(len(px), np.bool_)
    for (x1, y1), (x2, y2) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        level = slice(*np.searchsorted(ys, (min(y1, y2), np.nextafter(max(y1, y2), np.inf))))
        x, y = xs[level], ys[level]
        # Sign of the cross product: which side of the edge the point is on.
        side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
        spans = (y1 > y) != (y2 > y)
        crossings[level] ^= spans & ((side > 0) == (y2 > y1))
        on_edge[level] |= (side == 0) & (x >= min(x1, x2)) & (x <= max(x1, x2))
    inside = np.empty(len(px), np.bool_)
    inside[order] = crossings | on_edge
    return inside


@dataclass(frozen=True, slots=True)
class Operand:
    """A population that enters a boolean gate, possibly negated."""

    population: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class BooleanGate:
    """All of, or any of, other populations; a single negated operand is "not"."""

    operator: Literal["and", "or"]
    operands: tuple[Operand, ...]

    def __post_init__(self) -> None:
        if not self.operands:
            raise ValueError("a boolean gate needs at least one population")

    def combine(self, members: Mapping[str, Bools]) -> Bools:
        """Combine the memberships of the operands, each of shape (n,)."""
        sides = [~members[o.population] if o.negated else members[o.population] for o in self.operands]
        combined = sides[0].copy()
        for side in sides[1:]:
            combined = combined & side if self.operator == "and" else combined | side
        return combined

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        operands = [{"population": o.population, "negated": o.negated} for o in self.operands]
        return {"kind": "boolean", "operator": self.operator, "operands": operands}


GeometricGate = RectangleGate | PolygonGate
Gate = RectangleGate | PolygonGate | BooleanGate


def gate_from_dict(data: Mapping[str, Any]) -> Gate:
    """Rebuild a gate from its ``to_dict``."""
    kind = data["kind"]
    if kind == "boolean":
        operands = tuple(Operand(o["population"], o["negated"]) for o in data["operands"])
        return BooleanGate(data["operator"], operands)
    dimensions = tuple(Dimension.from_dict(d) for d in data["dimensions"])
    if kind == "rectangle":
        return RectangleGate(dimensions, tuple(data["lower"]), tuple(data["upper"]))
    if kind == "polygon":
        return PolygonGate((dimensions[0], dimensions[1]), tuple((v[0], v[1]) for v in data["vertices"]))
    raise ValueError(f"unknown gate kind '{kind}'")

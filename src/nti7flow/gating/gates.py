"""Gates: plain geometry, and which events lie inside. Gating-ML 2.0 semantics.

Bounds and vertices are in display units, that is, after compensation and transform. Lower bounds are inclusive,
upper bounds exclusive; an event with NaN in a bounded dimension is outside, and inside the complement of the gate.
Wherever FlowKit has the same gate, the same events are in it, those exactly on an edge too; within
`Transform.rounding` of a bound a value lies on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.dimensions import AnyDimension, dimension_from_dict
from nti7flow.gating.polygon import points_inside

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RectangleGate:
    """``lower <= y < upper`` in every dimension; None is no bound. With one dimension it is a range gate.

    With ``complement`` it holds the events outside, as gates of FlowJo may.
    """

    dimensions: tuple[AnyDimension, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]
    complement: bool = False

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
        inside = _within(y, self)
        return ~inside if self.complement else inside

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain = {
            "kind": "rectangle",
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "lower": list(self.lower),
            "upper": list(self.upper),
        }
        return plain | {"complement": True} if self.complement else plain


def _within(y: Floats, gate: RectangleGate | QuadrantGate) -> Bools:
    """Say which values lie within bounds.

    A bound that another program reckoned for an event is not the same number in its last bits. A value that close to it
    lies on it: inside a lower one, outside an upper one.
    """
    inside = np.ones(len(y), np.bool_)
    for i, (dimension, low, high) in enumerate(zip(gate.dimensions, gate.lower, gate.upper, strict=True)):
        rounding = dimension.transform.rounding
        if low is not None:
            inside &= y[:, i] >= low - rounding
        if high is not None:
            inside &= y[:, i] < high - rounding
    return inside


@dataclass(frozen=True, slots=True)
class PolygonGate:
    """Inside a polygon in two dimensions, by the even-odd rule; it closes itself.

    Left and lower edges are inside, right and upper ones are not. With ``complement`` it holds the events outside.
    """

    dimensions: tuple[AnyDimension, AnyDimension]
    vertices: tuple[tuple[float, float], ...]
    complement: bool = False

    def __post_init__(self) -> None:
        if len(self.dimensions) != 2:
            raise ValueError("a polygon gate needs two dimensions")
        if len(self.vertices) < 3 or not np.isfinite(self.vertices).all():
            raise ValueError("a polygon gate needs at least three finite vertices")

    def contains(self, y: Floats) -> Bools:
        """Say which of the display values ``y`` (n, 2) are inside, shape (n,)."""
        vertices = np.asarray(self.vertices)
        (left, low), (right, high) = vertices.min(axis=0), vertices.max(axis=0)
        px, py = y[:, 0], y[:, 1]
        inside: Bools = (px >= left) & (px <= right) & (py >= low) & (py <= high)
        candidates = np.flatnonzero(inside)
        inside[candidates] = points_inside(vertices, px[candidates], py[candidates])
        return ~inside if self.complement else inside

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain = {
            "kind": "polygon",
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "vertices": [list(vertex) for vertex in self.vertices],
        }
        return plain | {"complement": True} if self.complement else plain


@dataclass(frozen=True, slots=True)
class EllipsoidGate:
    """Points whose squared Mahalanobis distance from ``mean`` is at most ``distance_square``; the edge is inside.

    Attributes
    ----------
    mean : tuple of float
        Centre, display units, one per dimension.
    covariance : tuple of tuple of float
        Shape (n_dimensions, n_dimensions). Symmetric ones must be positive definite. One that is not symmetric is no
        covariance, but Gating-ML's own conformance set has one and says which events it holds: the same formula is
        applied, and `is_ellipsoid` tells.
    distance_square : float
        Above 0.
    """

    dimensions: tuple[AnyDimension, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    distance_square: float

    def __post_init__(self) -> None:
        n = len(self.dimensions)
        if n < 2 or len(self.mean) != n or [len(row) for row in self.covariance] != [n] * n:
            raise ValueError("an ellipsoid gate needs two or more dimensions, a mean and a row of covariance for each")
        matrix = np.asarray(self.covariance)
        if not (np.isfinite(matrix).all() and np.isfinite(self.mean).all()):
            raise ValueError("the mean and the covariance matrix of an ellipsoid gate must be finite numbers")
        # Programs write covariances with a few digits, and each triangle may be rounded for itself.
        symmetric = np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0)
        if symmetric and not self.is_ellipsoid:
            raise ValueError("the covariance matrix of an ellipsoid gate is not positive definite")
        with np.errstate(all="ignore"):  # in units of each axis: whatever those are, a matrix is singular or not
            scale = np.sqrt(np.abs(matrix.diagonal()))
            condition = np.linalg.cond(np.nan_to_num(matrix / np.outer(scale, scale), nan=0.0, posinf=0.0))
        if not condition < 1 / np.finfo(float).eps:
            raise ValueError("the covariance matrix of an ellipsoid gate is singular")
        if not (np.isfinite(self.distance_square) and self.distance_square > 0):
            raise ValueError(f"the distance square of an ellipsoid gate must be above 0, found {self.distance_square}")

    @property
    def is_ellipsoid(self) -> bool:
        """Whether the covariance is positive definite; if not, the gate holds an unbounded region."""
        matrix = np.asarray(self.covariance)
        return bool(np.linalg.eigvalsh((matrix + matrix.T) / 2).min() > 0)

    def contains(self, y: Floats) -> Bools:
        """Say which of the display values ``y`` (n, n_dimensions) are inside, shape (n,)."""
        inverse = np.linalg.inv(np.asarray(self.covariance))
        offsets = [y[:, i] - centre for i, centre in enumerate(self.mean)]
        distance = np.zeros(len(y))
        # Sums in a fixed order, not matrix products: a distance never depends on how many events there are.
        with np.errstate(invalid="ignore", over="ignore"):
            for j, offset in enumerate(offsets):
                turned = np.zeros(len(y))
                for i, other in enumerate(offsets):
                    turned += other * inverse[i, j]
                distance += turned * offset
        inside: Bools = distance <= self.distance_square
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": "ellipsoid",
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "mean": list(self.mean),
            "covariance": [list(row) for row in self.covariance],
            "distance_square": self.distance_square,
        }


@dataclass(frozen=True, slots=True)
class QuadrantGate:
    """One quadrant of a set: dividers cut each dimension into intervals, and a quadrant is a choice of intervals.

    Quadrants of one set share ``name``, ``dimensions`` and ``dividers``, so that they move together; each is the gate
    of a population of its own. Gating-ML allows any number of dimensions and of dividers on each.

    Attributes
    ----------
    name : str
        Name of the set.
    dividers : tuple of tuple of float
        For each dimension its dividing values, ascending, display units.
    interval : tuple of (int or None)
        For each dimension which interval, from 0 below the first divider; None is any.
    """

    name: str
    dimensions: tuple[AnyDimension, ...]
    dividers: tuple[tuple[float, ...], ...]
    interval: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if not len(self.dimensions) == len(self.dividers) == len(self.interval) > 0:
            raise ValueError("a quadrant needs one set of dividers and one interval per dimension")
        for dimension, values, i in zip(self.dimensions, self.dividers, self.interval, strict=True):
            if not (values and np.isfinite(values).all() and all(a < b for a, b in pairwise(values))):
                raise ValueError(f"quadrants on {dimension.title}: dividers must be finite numbers in ascending order")
            if i is not None and not 0 <= i <= len(values):
                raise ValueError(f"quadrants on {dimension.title}: {len(values)} dividers make no interval {i}")

    @property
    def lower(self) -> tuple[float | None, ...]:
        """Lower bounds, inclusive, one per dimension."""
        return tuple(v[i - 1] if i else None for v, i in zip(self.dividers, self.interval, strict=True))

    @property
    def upper(self) -> tuple[float | None, ...]:
        """Upper bounds, exclusive, one per dimension."""
        pairs = zip(self.dividers, self.interval, strict=True)
        return tuple(v[i] if i is not None and i < len(v) else None for v, i in pairs)

    def contains(self, y: Floats) -> Bools:
        """Say which of the display values ``y`` (n, n_dimensions) are inside, shape (n,)."""
        return _within(y, self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": "quadrant",
            "name": self.name,
            "dimensions": [dimension.to_dict() for dimension in self.dimensions],
            "dividers": [list(values) for values in self.dividers],
            "interval": list(self.interval),
        }


@dataclass(frozen=True, slots=True)
class Operand:
    """A population that enters a boolean gate, possibly negated."""

    population: str
    negated: bool = False

    def __post_init__(self) -> None:
        if not all(isinstance(v, kind) for v, kind in ((self.population, str), (self.negated, bool))):
            raise ValueError("an operand needs a population, and whether it is negated")


@dataclass(frozen=True, slots=True)
class BooleanGate:
    """All of, or any of, other populations; a single negated operand is "not"."""

    operator: Literal["and", "or"]
    operands: tuple[Operand, ...]

    def __post_init__(self) -> None:
        if not self.operands:
            raise ValueError("a boolean gate needs at least one population")
        if self.operator not in ("and", "or"):
            raise ValueError(f"a boolean gate is 'and' or 'or', found {self.operator!r}")

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


#: What a method can place; the other kinds come in with a strategy made elsewhere.
PlacedGate = RectangleGate | PolygonGate
GeometricGate = RectangleGate | PolygonGate | EllipsoidGate | QuadrantGate
Gate = GeometricGate | BooleanGate


def with_dimensions(gate: GeometricGate, dimensions: Sequence[AnyDimension]) -> GeometricGate:
    """Return the same geometry on other dimensions, as many as there were."""
    if isinstance(gate, PolygonGate):
        return replace(gate, dimensions=(dimensions[0], dimensions[1]))
    return replace(gate, dimensions=tuple(dimensions))


def gate_from_dict(data: Mapping[str, Any]) -> Gate:
    """Rebuild a gate from its ``to_dict``."""
    kind = data["kind"]
    if kind == "boolean":
        operands = tuple(Operand(o["population"], o["negated"]) for o in data["operands"])
        return BooleanGate(data["operator"], operands)
    dimensions = tuple(dimension_from_dict(d) for d in data.get("dimensions", ()))
    if kind == "rectangle":
        return RectangleGate(dimensions, tuple(data["lower"]), tuple(data["upper"]), data.get("complement", False))
    if kind == "polygon":
        vertices = tuple((v[0], v[1]) for v in data["vertices"])
        return PolygonGate((dimensions[0], dimensions[1]), vertices, data.get("complement", False))
    if kind == "ellipsoid":
        covariance = tuple(tuple(row) for row in data["covariance"])
        return EllipsoidGate(dimensions, tuple(data["mean"]), covariance, data["distance_square"])
    if kind == "quadrant":
        dividers = tuple(tuple(values) for values in data["dividers"])
        return QuadrantGate(data["name"], dimensions, dividers, tuple(data["interval"]))
    raise ValueError(f"unknown gate kind '{kind}'")

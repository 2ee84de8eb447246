"""Gates of a FlowJo workspace: checked, and written as FlowKit reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nti7flow.interop.flowjo.scales import Scale
from nti7flow.interop.flowjo.xml import attribute, children, element, kind_of, number
from nti7flow.interop.flowkit.package import name_of

Point = tuple[float, ...]
KINDS = ("RectangleGate", "PolygonGate", "EllipsoidGate")


@dataclass(frozen=True, slots=True)
class Axis:
    """Dimension of a gate.

    Attributes
    ----------
    channel : str
        The channel ($PnN).
    key : str
        What FlowKit's document calls it.
    compensated : bool
        Whether the matrix of the sample is applied.
    scale : Scale
        Its display.
    factor : float
        Scale units of ours per unit of FlowJo, other than 1 where FlowJo stretches time.
    """

    channel: str
    key: str
    compensated: bool
    scale: Scale
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class FlowJoGate:
    """A gate as FlowJo stores it: bounds and vertices in scale units, foci and edge of an ellipse in its display."""

    kind: str
    axes: tuple[Axis, ...]
    inside: bool
    bounds: tuple[tuple[float | None, float | None], ...] = ()
    vertices: tuple[Point, ...] = ()
    foci: tuple[Point, ...] = ()

    def write(self, parent: Any) -> None:
        """Append it to FlowKit's document."""
        made = element(parent, "gating", self.kind, eventsInside="1" if self.inside else "0")
        bounds = self.bounds or ((None, None),) * len(self.axes)
        for axis, (low, high) in zip(self.axes, bounds, strict=True):
            dimension = element(made, "gating", "dimension", gating__min=low, gating__max=high)
            element(dimension, "data-type", "fcs-dimension", data_type__name=axis.key)
        if self.foci:
            _write_points(element(made, "gating", "foci"), self.foci)
            made = element(made, "gating", "edge")
        _write_points(made, self.vertices)


def _write_points(parent: Any, points: tuple[Point, ...]) -> None:
    for point in points:
        vertex = element(parent, "gating", "vertex")
        for value in point:
            element(vertex, "gating", "coordinate", data_type__value=value)


def read_gate(node: Any, axis_of: Callable[[str], Axis]) -> FlowJoGate:
    """Read a gate element.

    Parameters
    ----------
    node : lxml.etree._Element
        What stands in the ``Gate`` of a population.
    axis_of : callable
        Gives the axis that a channel name of FlowJo means.

    Raises
    ------
    ValueError
        A gate that FlowKit does not know, drops parts of, guesses, or could not apply.
    """
    kind = kind_of(node)
    if kind not in KINDS:
        raise ValueError(f"gates of kind {name_of(kind)} are not known to FlowKit; redraw it as a polygon or rectangle")
    text = attribute(node, "eventsInside")
    if text not in (None, "0", "1"):
        raise ValueError(f"eventsInside is {name_of(text)}; 0 or 1 was expected")
    names = _channels(node)
    axes = tuple(axis_of(name) for name in names)
    if kind == "RectangleGate":
        bounds = tuple(_bounds(d, axis) for d, axis in zip(children(node, "dimension"), axes, strict=True))
        return FlowJoGate(kind, axes, text != "0", bounds=bounds)
    if len(axes) != 2:
        raise ValueError(f"it has {len(axes)} dimensions; 2 were expected")
    if kind == "PolygonGate":
        x, y = (axis.factor for axis in axes)
        vertices = tuple((p[0] * x, p[1] * y) for p in _points(node))
        if len(vertices) < 3:
            raise ValueError(f"a polygon needs three vertices, found {len(vertices)}")
        return FlowJoGate(kind, axes, text != "0", vertices=vertices)
    return _ellipse(node, axes, inside=text != "0")


def _channels(node: Any) -> list[str]:
    names = []
    for dimension in children(node, "dimension"):
        found = [name for child in children(dimension, "fcs-dimension") if (name := attribute(child, "name"))]
        if len(found) != 1:
            raise ValueError("a dimension names no channel of the file, or several")
        for reference in ("transformation-ref", "compensation-ref"):
            if attribute(dimension, reference) is not None:
                raise ValueError(f"a dimension has a {reference}, which FlowKit drops from workspaces")
        names += found
    if not names:
        raise ValueError("it has no dimensions")
    if len(set(names)) != len(names):
        raise ValueError(f"two dimensions are {name_of(next(n for n in names if names.count(n) > 1))}")
    return names


def _bounds(dimension: Any, axis: Axis) -> tuple[float | None, float | None]:
    low, high = (
        None if attribute(dimension, name) is None else number(dimension, name) * axis.factor for name in ("min", "max")
    )
    if low is not None and high is not None:
        on = f"on {name_of(axis.channel)}: "
        if low >= high:
            raise ValueError(f"{on}lower bound {low:g} is not below upper bound {high:g}")
        if axis.scale.transform is not None:
            display = axis.scale.transform.apply([low, high])
            if not display[0] < display[1]:
                raise ValueError(f"{on}the scale has no room between {low:g} and {high:g}: they lie beyond its end")
    return low, high


def _points(node: Any) -> tuple[Point, ...]:
    points = []
    for vertex in children(node, "vertex"):
        point = tuple(number(coordinate, "value") for coordinate in children(vertex, "coordinate"))
        if len(point) != 2:
            raise ValueError(f"a vertex has {len(point)} coordinates; 2 were expected")
        points.append(point)
    return tuple(points)


def _ellipse(node: Any, axes: tuple[Axis, ...], *, inside: bool) -> FlowJoGate:
    """Read an ellipse; refuses what FlowKit's polygon of it would not follow.

    FlowKit takes the first edge point to be an end of the long axis, which lies along the foci, and the third one to be
    an end of the short axis, of whose length it takes no notice.
    """
    for axis in axes:
        if not axis.scale.foci:
            raise ValueError(
                f"an ellipse on {name_of(axis.channel)}, whose linear scale does not begin at 0 or has a gain, lies "
                "elsewhere for FlowKit; redraw it as a polygon"
            )
    foci, edge = (tuple(p for child in children(node, name) for p in _points(child)) for name in ("foci", "edge"))
    if len(foci) != 2 or len(edge) != 4:
        raise ValueError(f"an ellipse needs 2 foci and 4 edge points, found {len(foci)} and {len(edge)}")
    first, second = (np.array(focus) / 256.0 for focus in foci)
    half = float(np.hypot(*(second - first))) / 2
    if half == 0:
        raise ValueError("its foci are the same point, and FlowKit takes no circles; redraw it as a polygon")
    along = (second - first) / (2 * half)
    centre = (first + second) / 2
    long, short = (np.array(edge[i]) / 256.0 - centre for i in (0, 2))
    (a, off), (slip, b) = ((abs(float(v @ along)), abs(float(v @ (-along[1], along[0])))) for v in (long, short))
    if not (a > off and b > slip and max(a, b) > half):
        raise ValueError("its edge points are not the ends of its axes; redraw it as a polygon")
    return FlowJoGate("EllipsoidGate", axes, inside, vertices=edge, foci=foci)

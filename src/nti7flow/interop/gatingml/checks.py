"""What is wrong with the gates of a Gating-ML document: all that FlowKit would drop, guess, or could not apply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import EllipsoidGate
from nti7flow.interop.flowkit.package import IN_FILE, UNCOMPENSATED, never_compensated
from nti7flow.interop.gatingml.definitions import (
    NO,
    NUMBER,
    YES,
    Definitions,
    check_channels,
    number,
    numbers,
)
from nti7flow.interop.gatingml.grammar import Problems, called, full, local, shown


@dataclass(frozen=True)
class Axis:
    """What a dimension or divider refers to."""

    node: Any
    channel: str | None
    ratio: str | None
    compensation: str
    transform: str | None


class GateChecks:
    """Checks gates against what the document defines."""

    def __init__(self, known: Definitions, problems: Problems) -> None:
        self.known = known
        self.problems = problems

    def check(self, node: Any) -> None:
        """Find what is wrong with a gate, but for its parent and operands."""
        axes = [self._axis(a, called(node)) for a in node.iterchildren(full("g:dimension"), full("g:divider"))]
        self._check_axes(node, axes)
        kinds = {
            "RectangleGate": self._rectangle,
            "PolygonGate": self._polygon,
            "EllipsoidGate": self._ellipsoid,
            "QuadrantGate": self._quadrants,
            "BooleanGate": self._boolean,
        }
        kinds[local(node.tag)](node, called(node), len(axes))

    def _add(self, node: Any, what: str) -> None:
        self.problems.add(node, what)

    def _unknown(self, node: Any, what: str, name: str, names: Iterable[str]) -> None:
        self._add(node, f"{what} {shown(name)} is not defined{self.problems.hint(name, names)}")

    def _axis(self, node: Any, who: str) -> Axis:
        """Check the references of one dimension or divider."""
        known = self.known
        channel = next((c.get(full("d:name")) for c in node.iterchildren(full("d:fcs-dimension"))), None)
        ratio = next((c.get(full("d:transformation-ref")) for c in node.iterchildren(full("d:new-dimension"))), None)
        matrix, transform = node.get(full("g:compensation-ref"), ""), node.get(full("g:transformation-ref"))
        check_channels(node, who, self.problems)
        if ratio in known.scales:
            self._add(node, f"{who}: transform {shown(ratio)} is no ratio, and makes no new dimension")
        elif ratio is not None and ratio not in known.ratios:
            self._unknown(node, f"{who}: ratio", ratio, known.ratios)
        if transform in known.ratios:
            self._add(node, f"{who}: transform {shown(transform)} is a ratio, and scales no channel")
        elif transform is not None and transform not in known.scales:
            self._unknown(node, f"{who}: transform", transform, known.scales)
        if not matrix:
            if full("g:compensation-ref") in node.attrib:
                self._add(node, f"{who}: compensation-ref is empty; say {UNCOMPENSATED}, {IN_FILE} or a matrix")
        elif matrix not in (UNCOMPENSATED, IN_FILE) and matrix not in known.matrices:
            self._unknown(node, f"{who}: matrix", matrix, [*known.matrices, UNCOMPENSATED, IN_FILE])
        if ratio is not None and matrix not in ("", UNCOMPENSATED):
            self._add(node, f"{who}: FlowKit takes ratios of raw values; set compensation-ref to {UNCOMPENSATED}")
        if ratio is not None and node.tag == full("g:divider"):
            self._add(node, f"{who}: FlowKit has no dividers on a ratio; use rectangle gates")
        return Axis(node, channel, ratio, matrix, transform)

    def _check_axes(self, gate: Any, axes: Sequence[Axis]) -> None:
        """Find axes that FlowKit would not keep apart, or would compensate otherwise."""
        who = called(gate)
        channels = [axis for axis in axes if axis.channel is not None]
        used = sorted({a.compensation for a in channels} - {"", UNCOMPENSATED})
        if len(used) > 1:
            names = " and ".join(map(shown, used))
            self._add(gate, f"{who}: is compensated by {names}; FlowKit takes one matrix for a gate: split it")
        seen: dict[str, Axis] = {}
        for axis in axes:
            name = axis.ratio if axis.ratio is not None else self._detector(axis, who)
            if name is None:
                continue
            if name in seen:
                self._add(axis.node, f"{who}: {shown(name)} is on two axes, and FlowKit would scale it twice")
            seen.setdefault(name, axis)
        if len(used) == 1:
            for axis in channels:
                if axis.compensation == UNCOMPENSATED and self._covers(used[0], axis.channel or ""):
                    self._add(
                        axis.node,
                        f"{who}: {shown(axis.channel)} is {UNCOMPENSATED}, but another dimension is not, and FlowKit "
                        "would compensate both; split the gate",
                    )

    def _detector(self, axis: Axis, who: str) -> str | None:
        """Return the channel of an axis: of one that is named by its dye, the detector of that."""
        matrix = self.known.matrices.get(axis.compensation)
        if axis.channel is None or matrix is None or axis.channel not in matrix.dyes:
            return axis.channel
        i = matrix.dyes.index(axis.channel)
        detector = matrix.detectors[i] if i < len(matrix.detectors) else axis.channel
        if axis.channel in matrix.detectors and detector != axis.channel:
            self._add(
                axis.node,
                f"{who}: {shown(axis.channel)} could be a dye or a detector of matrix {shown(axis.compensation)}: "
                "rename the dye",
            )
        return detector

    def _covers(self, matrix: str, channel: str) -> bool:
        """Whether a matrix changes a channel; that in the file could change any but scatter and time."""
        if matrix in self.known.matrices:
            known = self.known.matrices[matrix]
            return channel in known.detectors or channel in known.dyes
        return matrix == IN_FILE and not never_compensated(channel)

    def _rectangle(self, node: Any, who: str, n_axes: int) -> None:
        if not n_axes:
            self._add(node, f"{who}: has no dimension")
        for dimension in node.iterchildren(full("g:dimension")):
            low, high = (number(dimension, f"g:{side}", who, self.problems) for side in ("min", "max"))
            if low is not None and high is not None and low >= high:
                self._add(dimension, f"{who}: min {low:g} is not below max {high:g}")

    def _polygon(self, node: Any, who: str, n_axes: int) -> None:
        self._no_bounds(node, who)
        if n_axes != 2:
            self._add(node, f"{who}: a polygon needs two dimensions, found {n_axes}")
        vertices = list(node.iterchildren(full("g:vertex")))
        if len(vertices) < 3:
            self._add(node, f"{who}: a polygon needs three vertices or more, found {len(vertices)}")
        for vertex in vertices:
            point = numbers(vertex.iterchildren(full("g:coordinate")), "d:value", who, self.problems)
            if point is not None and len(point) != 2:
                self._add(vertex, f"{who}: a vertex needs two coordinates, found {len(point)}")

    def _no_bounds(self, node: Any, who: str) -> None:
        for dimension in node.iterchildren(full("g:dimension")):
            if full("g:min") in dimension.attrib or full("g:max") in dimension.attrib:
                self._add(dimension, f"{who}: only rectangles have min and max; they would be dropped")

    def _ellipsoid(self, node: Any, who: str, n_axes: int) -> None:
        self._no_bounds(node, who)
        mean = numbers(node.iterfind(f"{full('g:mean')}/{full('g:coordinate')}"), "d:value", who, self.problems)
        rows = [
            numbers(row.iterchildren(full("g:entry")), "d:value", who, self.problems)
            for row in node.iterfind(f"{full('g:covarianceMatrix')}/{full('g:row')}")
        ]
        square = numbers(node.iterchildren(full("g:distanceSquare")), "d:value", who, self.problems)
        if mean is None or None in rows or not square:
            return
        axes = tuple(Dimension(str(i), "", False, Linear(1.0)) for i in range(n_axes))
        try:
            with np.errstate(all="ignore"):
                EllipsoidGate(axes, tuple(mean), tuple(tuple(row) for row in rows if row is not None), square[0])
        except ValueError as error:
            self._add(node, f"{who}: {error}")

    def _quadrants(self, node: Any, who: str, n_axes: int) -> None:
        if not n_axes:
            self._add(node, f"{who}: has no divider")
        if node.find(full("g:Quadrant")) is None:
            self._add(node, f"{who}: has no quadrant")
        dividers = set()
        for divider in node.iterchildren(full("g:divider")):
            dividers.add(divider.get(full("g:id")))
            self._divider(divider, f"{who}: {called(divider)}")
        for quadrant in node.iterchildren(full("g:Quadrant")):
            self._quadrant(quadrant, f"{who}: {called(quadrant)}", dividers)

    def _divider(self, node: Any, who: str) -> None:
        texts = [value.text or "" for value in node.iterchildren(full("g:value"))]
        if not texts:
            self._add(node, f"{who}: has no value")
        if not all(NUMBER.fullmatch(text) and isfinite(float(text)) for text in texts):
            self._add(node, f"{who}: a value is no finite number")
        elif len(set(map(float, texts))) < len(texts):
            self._add(node, f"{who}: has a value twice")

    def _quadrant(self, node: Any, who: str, dividers: set[str | None]) -> None:
        positions = list(node.iterchildren(full("g:position")))
        if not positions:
            self._add(node, f"{who}: has no position")
        seen = set()
        for position in positions:
            name = position.get(full("g:divider_ref"))
            number(position, "g:location", who, self.problems)
            if name is not None and name not in dividers:
                self._add(position, f"{who}: the gate has no divider {shown(name)}")
            elif name in seen:
                self._add(position, f"{who}: has two positions on divider {shown(name)}")
            seen.add(name)

    def _boolean(self, node: Any, who: str, _: int) -> None:
        for operation in node.iterchildren(*map(full, ("g:and", "g:or", "g:not"))):
            kind, references = local(operation.tag), list(operation.iterchildren(full("g:gateReference")))
            if kind == "not" and len(references) != 1:
                self._add(operation, f"{who}: 'not' takes one population, found {len(references)}")
            elif kind != "not" and len(references) < 2:
                self._add(operation, f"{who}: '{kind}' takes two populations or more, found {len(references)}")
            for reference in references:
                text = reference.get(full("g:use-as-complement"))
                if text is not None and text.strip() not in YES + NO:
                    self._add(reference, f"{who}: use-as-complement is neither true nor false")

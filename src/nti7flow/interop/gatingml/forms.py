"""How a gate is said in Gating-ML: as it is, or by others that together hold the same events.

Gating-ML 2.0 has no complement of a rectangle and none of FlowJo's scales, and FlowKit takes one matrix, one ratio and
each channel once in a gate, both bounds of a ratio, and no population that is both parent and operand of a boolean
gate. What cannot be said in any way is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.spectrum import Matrix
from nti7flow.events.transforms import Transform
from nti7flow.gating.dimensions import AnyDimension, Dimension, RatioDimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Gate,
    GeometricGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowkit.package import IDENTITY, NEVER_COMPENSATED, never_compensated
from nti7flow.interop.gatingml.grammar import shown
from nti7flow.interop.gatingml.thresholds import raw_bounds

Floats = NDArray[np.float64]
#: Elements of Gating-ML by our kinds of transform; their attributes are our fields in capitals.
ELEMENTS = {"linear": "flin", "log": "flog", "arcsinh": "fasinh", "logicle": "logicle", "hyperlog": "hyperlog"}
_SCALES = {"flowjo_biex": "FlowJo's biex scale", "flowjo_log": "FlowJo's log scale"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def has_element(transform: Transform) -> bool:
    """Whether Gating-ML has a transform."""
    return transform.kind in ELEMENTS


@dataclass(frozen=True, slots=True, eq=False)
class WrittenMatrix:
    """A matrix as it stands in the document: square, row i what the dye read in detector i gives in every detector."""

    id: str
    detectors: tuple[str, ...]
    rows: Floats
    outputs: tuple[str, ...]


def square_matrix(matrix: Matrix) -> tuple[tuple[str, ...], Floats] | None:
    """Return detectors and numbers (d, d) that compensate as a matrix does, None where nothing is compensated.

    Gating-ML and FlowKit solve square matrices. Spectra of fewer dyes than detectors are completed by rows that are
    orthogonal to them: solving that is least squares, and the detectors without a dye hold what is left over.

    Raises
    ------
    ValueError
        There is no such matrix.
    """
    detectors = list(matrix.detectors)
    if not set(matrix.outputs) <= set(detectors):
        raise ValueError("its dyes are named after channels that are not among its detectors")
    rows = np.zeros((len(detectors), len(detectors)))
    dyes = [detectors.index(name) for name in matrix.outputs]
    rows[dyes] = matrix.matrix
    others = [i for i in range(len(detectors)) if i not in dyes]
    if others:
        rows[others] = np.linalg.svd(np.asarray(matrix.matrix))[2][len(dyes) :]
    unit = np.eye(len(detectors))
    alone = [(rows[i] == unit[i]).all() and (rows[:, i] == unit[i]).all() for i in range(len(detectors))]
    keep = [i for i, name in enumerate(detectors) if not (alone[i] and name.lower()[:4] in NEVER_COMPENSATED)]
    bad = [detectors[i] for i in keep if detectors[i].lower()[:4] in NEVER_COMPENSATED]
    if bad:
        raise ValueError(f"it compensates {shown(bad[0])}, which FlowKit takes for scatter or time")
    if all(alone[i] for i in keep) and len(keep) < 2:
        return None
    if len(keep) < 2:
        raise ValueError("Gating-ML has no matrix of a single detector")
    return tuple(detectors[i] for i in keep), rows[np.ix_(keep, keep)]


@dataclass(frozen=True, slots=True)
class Form:
    """How one population is said: its gate, helper populations that stand before it, and whether that is another way.

    All names are those of the document, and no dimension has a marker: exactly what a reader finds there.
    """

    gate: Gate
    helpers: tuple[Population, ...]
    said_otherwise: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where helpers go: their parent in the document, and their ids."""

    parent: str | None
    helper_id: Callable[[int], str]

    def helper(self, number: int, gate: Gate) -> Population:
        """Return the helper of a number, from 0."""
        name = self.helper_id(number)
        return Population(name, name, self.parent, gate, "ok")


@dataclass(frozen=True, slots=True)
class _Side:
    """A condition on one axis: ``low <= y < high``."""

    axis: AnyDimension
    low: float | None
    high: float | None


class Forms:
    """Finds the forms of the gates of one strategy.

    Parameters
    ----------
    strategy : GatingStrategy
        For its matrices, and whether it is bound to a tube.
    matrix_ids : mapping of str to str
        Id in the document by name of the matrix; the tube's own is called "".
    population_ids : mapping of str to str
        Id in the document by id of the population.
    """

    def __init__(
        self, strategy: GatingStrategy, matrix_ids: Mapping[str, str], population_ids: Mapping[str, str]
    ) -> None:
        self.bound = bool(strategy.sha256)
        self.population_ids = population_ids
        self.matrices: dict[str, WrittenMatrix] = {}
        self._impossible: dict[str, str] = {}
        for name, matrix in {"": strategy.spillover, **strategy.matrices}.items():
            try:
                square = square_matrix(matrix)
            except ValueError as error:
                self._impossible[name] = str(error)
                continue
            if square is not None and name in matrix_ids:
                self.matrices[name] = WrittenMatrix(matrix_ids[name], *square, matrix.outputs)
        self._detectors = {written.id: written.detectors for written in self.matrices.values()}

    def of(self, population: Population, helper_id: Callable[[int], str]) -> Form:
        """Return the form of a population that has a gate.

        Parameters
        ----------
        population : Population
            The population, with its own names.
        helper_id : callable
            Gives the id of its first, second … helper.

        Raises
        ------
        ValueError
            The gate has no form.
        """
        gate = population.gate
        place = _Place(None if population.parent is None else self.population_ids[population.parent], helper_id)
        if isinstance(gate, BooleanGate):
            return self._boolean(gate, place)
        if isinstance(gate, RectangleGate):
            return self._rectangle(gate, place, complement=gate.complement)
        if isinstance(gate, QuadrantGate):
            return self._quadrant(gate, place)
        assert gate is not None
        return self._outline(gate, place)

    def axis(self, dimension: AnyDimension) -> AnyDimension:
        """Return an axis as it stands in the document; raises ValueError where it cannot."""
        for name in dimension.detectors:
            if not name or _NO_XML.search(name):
                raise ValueError(f"channel '{shown(name)}' cannot be written in XML; rename it")
        if isinstance(dimension, RatioDimension):
            if not np.isfinite((dimension.a, dimension.b, dimension.c)).all():
                raise ValueError(f"the parameters of {shown(dimension.title)} are not finite numbers")
            return dimension
        matrix = self._compensation(dimension)
        return replace(dimension, marker="", compensated=matrix is not None, matrix=matrix or "")

    def _compensation(self, dimension: Dimension) -> str | None:
        """Id of the matrix that changes an axis; empty is the one in the FCS file, None is no matrix."""
        if not dimension.compensated:
            return None
        if not dimension.matrix and not self.bound:
            return ""
        if dimension.matrix in self._impossible:
            raise ValueError(f"matrix {shown(dimension.matrix) or 'of the tube'}: {self._impossible[dimension.matrix]}")
        written = self.matrices.get(dimension.matrix)
        if written is not None and not self.bound and dimension.detector not in written.detectors:
            return written.id  # it may be called so by its marker or its dye
        changed = written is not None and dimension.detector in {*written.outputs} & {*written.detectors}
        return written.id if written is not None and changed else None

    def _conflict(self, axes: Sequence[AnyDimension]) -> str:
        """Say why FlowKit would not have these axes in one gate; empty where it would."""
        channels = [axis.detector for axis in axes if isinstance(axis, Dimension)]
        twice = next((name for name in channels if channels.count(name) > 1), None)
        if twice is not None:
            return f"{shown(twice)} is on two of its axes, and FlowKit takes a channel once in a gate"
        if len(axes) - len(channels) > 1:
            return "two of its axes are ratios, and FlowKit takes one in a gate"
        plain = [axis for axis in axes if isinstance(axis, Dimension)]
        used = {axis.matrix for axis in plain if axis.compensated}
        if len(used) > 1:
            return "its dimensions have different matrices, and FlowKit takes one in a gate"
        for matrix in used:
            for axis in plain:
                if not axis.compensated and self._covers(matrix, axis.detector):
                    return (
                        f"{shown(axis.detector)} is not compensated, but another dimension is, and FlowKit would "
                        "compensate both"
                    )
        return ""

    def _covers(self, matrix: str, detector: str) -> bool:
        if matrix:
            return detector in self._detectors[matrix]
        # The one in the file, whatever it will be: of scatter and time it holds nothing.
        return not never_compensated(detector)

    def _outline(self, gate: PolygonGate | EllipsoidGate, place: _Place) -> Form:
        """Form of a polygon or an ellipsoid."""
        kind = "a polygon" if isinstance(gate, PolygonGate) else "an ellipsoid"
        for dimension in gate.dimensions:
            if not has_element(dimension.transform):
                scale = _SCALES.get(dimension.transform.kind, f"this {dimension.transform.kind} scale")
                raise ValueError(f"{kind} on {scale} has no Gating-ML form")
        axes = tuple(self.axis(dimension) for dimension in gate.dimensions)
        if why := self._conflict(axes):
            raise ValueError(f"{why}; {kind} cannot be split")
        if isinstance(gate, EllipsoidGate):
            return Form(replace(gate, dimensions=axes), (), said_otherwise=False)
        plain = replace(gate, dimensions=(axes[0], axes[1]), complement=False)
        return _combined([plain], place, complement=True) if gate.complement else Form(plain, (), said_otherwise=False)

    def _quadrant(self, gate: QuadrantGate, place: _Place) -> Form:
        axes = tuple(self.axis(dimension) for dimension in gate.dimensions)
        directly = all(isinstance(axis, Dimension) and has_element(axis.transform) for axis in axes)
        if directly and any(i is not None for i in gate.interval) and not self._conflict(axes):
            return Form(replace(gate, dimensions=axes), (), said_otherwise=False)
        return replace(self._rectangle(gate, place, complement=False), said_otherwise=True)

    def _rectangle(self, gate: RectangleGate | QuadrantGate, place: _Place, *, complement: bool) -> Form:
        axes = tuple(self.axis(dimension) for dimension in gate.dimensions)
        sides: list[_Side] = []
        for axis, low, high in zip(axes, gate.lower, gate.upper, strict=True):
            if (side := _side(axis, low, high)) is None:
                return _nothing(axis, place, complement=complement)
            sides.append(side)
        # FlowKit knows no ratio without bounds. Where one stands alone, a channel without bounds holds the same: all.
        said = [side for side in sides if not (isinstance(side.axis, RatioDimension) and side.low is side.high is None)]
        said = said or [_Side(Dimension(axes[0].detectors[0], "", False, IDENTITY), None, None)]
        rectangles = [
            RectangleGate(tuple(s.axis for s in group), tuple(s.low for s in group), tuple(s.high for s in group))
            for group in self._groups(said)
        ]
        if len(rectangles) == 1 and not complement:
            return Form(rectangles[0], (), rectangles[0] != RectangleGate(axes, gate.lower, gate.upper))
        return _combined(rectangles, place, complement=complement)

    def _groups(self, sides: Iterable[_Side]) -> list[list[_Side]]:
        """Conditions in as few gates as FlowKit can have them in."""
        groups: list[list[_Side]] = []
        for side in sides:
            fits = (group for group in groups if not self._conflict([*(s.axis for s in group), side.axis]))
            group = next(fits, None)
            if group is None:
                groups.append([side])
            else:
                group.append(side)
        return groups

    def _boolean(self, gate: BooleanGate, place: _Place) -> Form:
        ids = [self.population_ids[operand.population] for operand in gate.operands]
        helpers: tuple[Population, ...] = ()
        if place.parent in ids:
            # FlowKit loses a gate whose parent it also combines: one of the same events takes the parent's place.
            again = BooleanGate("and", (Operand(place.parent), Operand(place.parent)))
            helpers = (_Place(None, place.helper_id).helper(0, again),)
            ids = [helpers[0].id if name == place.parent else name for name in ids]
        operands = tuple(Operand(name, o.negated) for name, o in zip(ids, gate.operands, strict=True))
        if len(operands) == 1:  # "not" takes one population, "and" at least two
            alone = BooleanGate("and", operands if operands[0].negated else operands * 2)
            direct = operands[0].negated and gate.operator == "and" and not helpers
            return Form(alone, helpers, said_otherwise=not direct)
        return Form(BooleanGate(gate.operator, operands), helpers, said_otherwise=bool(helpers))


def _combined(gates: Sequence[GeometricGate], place: _Place, *, complement: bool) -> Form:
    """All of some gates, or with ``complement`` what is not in all of them."""
    helpers = [place.helper(i, gate) for i, gate in enumerate(gates)]
    operands = tuple(Operand(helper.id, complement) for helper in helpers)
    gate = BooleanGate("or" if complement and len(operands) > 1 else "and", operands)
    return Form(gate, tuple(helpers), said_otherwise=True)


def _nothing(axis: AnyDimension, place: _Place, *, complement: bool) -> Form:
    """No events at all, or with ``complement`` all: a gate and its complement."""
    channel = Dimension(axis.detectors[0], "", False, IDENTITY)
    helper = place.helper(0, RectangleGate((channel,), (0.0,), (None,)))
    operands = (Operand(helper.id), Operand(helper.id, negated=True))
    return Form(BooleanGate("or" if complement else "and", operands), (helper,), said_otherwise=True)


def _side(axis: AnyDimension, low: float | None, high: float | None) -> _Side | None:
    """Return a condition as FlowKit applies it, None where nothing can meet it."""
    low, high = (None if bound is None else float(bound) for bound in (low, high))
    # A ratio may be infinite or no number, which FlowKit shows at -1 on logicle and hyperlog scales.
    ratio = isinstance(axis, RatioDimension)
    on_curve = ratio and axis.transform.kind in ("logicle", "hyperlog")
    lone = ratio and low is not None and high is None and axis.transform != IDENTITY
    if not has_element(axis.transform) or on_curve or lone:
        # Within its rounding of a bound a value is on it, which the raw scale must say too.
        bounds = raw_bounds(axis.transform, *(None if b is None else b - axis.transform.rounding for b in (low, high)))
        if bounds is None:
            return None
        (low, high), axis = bounds, replace(axis, transform=IDENTITY)
    if low == inf or high == -inf:
        raise ValueError(f"on {shown(axis.title)} only infinite values are within its bounds")
    if isinstance(axis, RatioDimension) and (low is None) != (high is None):
        if low is None:
            return _Side(axis, -inf, high)
        if low == -inf:
            raise ValueError(f"that {shown(axis.title)} is a number has no form that FlowKit takes")
        # A ratio may be infinite, so no upper bound does nothing. Its negative is exact, and below what was at least.
        return _Side(replace(axis, a=-axis.a), -inf, nextafter(-low, inf))
    return _Side(axis, low, high)

"""Our strategies as FlowKit's, gate by gate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nti7flow.errors import StrategyError
from nti7flow.events.spectrum import Matrix
from nti7flow.events.transforms import (
    Arcsinh,
    FlowJoBiex,
    FlowJoLog,
    Hyperlog,
    Linear,
    Log,
    Logicle,
    Transform,
)
from nti7flow.gating.dimensions import AnyDimension, Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, GeometricGate, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import OWN, GatingStrategy, Population
from nti7flow.interop.flowkit.package import (
    IDENTITY,
    IN_FILE,
    ROOT,
    UNCOMPENSATED,
    Path_,
    load,
    name_of,
    never_compensated,
)

#: Names that FlowKit's tree cannot hold.
_IMPOSSIBLE = ("", ".", "..", ROOT)


def strategy_to_flowkit(strategy: GatingStrategy) -> Any:
    """Return a strategy as FlowKit has it; see `nti7flow.to_flowkit`."""
    return _Writer(strategy).write()


def compensation_of(strategy: GatingStrategy, dimension: AnyDimension) -> str | None:
    """Key of the matrix that changes a dimension's values: empty is the tube's own, None is no matrix at all.

    A channel that a matrix does not cover is not changed by it, whatever the gate says.
    """
    if not isinstance(dimension, Dimension) or not dimension.compensated:
        return None
    if not strategy.sha256:
        return dimension.matrix  # which channel of a tube it is, and what the tube's matrix covers, is not known yet
    return dimension.matrix if dimension.detector in strategy.matrix_of(dimension).outputs else None


def check_compensation(strategy: GatingStrategy, gate: GeometricGate) -> None:
    """Raise ValueError for a gate that FlowKit would compensate otherwise: it takes one matrix for a whole gate."""
    used = {key: d for d in gate.dimensions if (key := compensation_of(strategy, d)) is not None}
    if len(used) > 1:
        raise ValueError("its dimensions have different matrices, which FlowKit cannot do; split the gate")
    for key in used:
        outputs = strategy.matrices[key].outputs if key else strategy.spillover.outputs
        for dimension in gate.dimensions:
            if not isinstance(dimension, Dimension) or compensation_of(strategy, dimension) is not None:
                continue
            unknown = not (key or strategy.sha256 or never_compensated(dimension.detector))
            if unknown or dimension.detector in outputs:
                raise ValueError(
                    f"{name_of(dimension.title)} is not compensated, but another dimension is, and FlowKit would "
                    "compensate both; split the gate"
                )


def check_axes(gate: GeometricGate) -> None:
    """Raise ValueError for dimensions that FlowKit cannot apply together."""
    names = [d.detector for d in gate.dimensions if isinstance(d, Dimension)]
    if len(set(names)) < len(names):
        raise ValueError("two of its dimensions are one channel, which FlowKit would scale twice; split the gate")
    if sum(isinstance(d, RatioDimension) for d in gate.dimensions) > 1:
        raise ValueError("FlowKit applies one ratio in a gate; split the gate")
    if isinstance(gate, QuadrantGate) and all(interval is None for interval in gate.interval):
        raise ValueError("FlowKit has no quadrant that no divider bounds")
    if not isinstance(gate, RectangleGate):
        return
    for dimension, high in zip(gate.dimensions, gate.upper, strict=True):
        if isinstance(dimension, RatioDimension) and high is None:
            raise ValueError(f"FlowKit needs an upper bound on the ratio {name_of(dimension.title)}")


@dataclass
class _Writer:
    strategy: GatingStrategy
    problems: list[str] = field(default_factory=list)
    names: dict[object, str] = field(default_factory=dict)
    paths: dict[str | None, Path_] = field(default_factory=lambda: {None: (ROOT,)})
    sets: dict[Path_, Population] = field(default_factory=dict)

    def write(self) -> Any:
        fk = load()
        self.peer = fk.GatingStrategy()
        for key, matrix in self._matrices():
            self.peer.add_comp_matrix(key, _matrix(matrix))
        populations = self.strategy.counted
        for population in populations:
            if not self.paths.keys() >= set(population.needs):
                continue  # of a gate that could not be added: that one is listed
            try:
                self.paths[population.id] = self._add(population, populations)
            except (ValueError, fk.exceptions.FlowKitException) as error:
                why = str(error) if isinstance(error, ValueError) else "FlowKit does not take it"
                self.problems.append(f"gate {name_of(population.id)}: {why}")
        if self.problems:
            raise StrategyError(self.strategy.sample or self.strategy.template, self.problems)
        return self.peer

    def _matrices(self) -> Iterator[tuple[str, Matrix]]:
        """Matrices with their names in FlowKit, which has a meaning of its own for two names."""
        self.keys: dict[str, str] = {}
        given = dict(self.strategy.matrices)
        if self.strategy.spillover.detectors:
            given[""] = self.strategy.spillover
        for key, matrix in given.items():
            name = key or OWN
            while name in (IN_FILE, UNCOMPENSATED) or name in self.keys.values() or (name != key and name in given):
                name += "_"
            self.keys[key] = name
            yield name, matrix

    def _add(self, population: Population, populations: Sequence[Population]) -> Path_:
        """Add a gate, and return its path."""
        fk, gate = load(), population.gate
        assert gate is not None
        name, parent = population.id.rpartition("/")[2], self.paths[population.parent]
        if name in _IMPOSSIBLE:
            raise ValueError(f"FlowKit has no gate of the name '{name_of(name)}'; rename the population")
        if isinstance(gate, BooleanGate):
            references = [
                {"ref": self.paths[o.population][-1], "path": self.paths[o.population][:-1], "complement": o.negated}
                for o in gate.operands
            ]
            self.peer.add_gate(fk.gates.BooleanGate(name, gate.operator, references), parent)
            return (*parent, name)
        check_compensation(self.strategy, gate)
        check_axes(gate)
        if isinstance(gate, QuadrantGate):
            self._add_quadrant(population, gate, (*parent, gate.name), populations)
            return (*parent, gate.name, name)
        dimensions = [self._dimension(d, *bounds) for d, bounds in zip(gate.dimensions, _bounds(gate), strict=True)]
        if isinstance(gate, RectangleGate):
            made = fk.gates.RectangleGate(name, dimensions, use_complement=gate.complement)
        elif isinstance(gate, PolygonGate):
            vertices = [list(vertex) for vertex in gate.vertices]
            made = fk.gates.PolygonGate(name, dimensions, vertices, use_complement=gate.complement)
        else:
            covariance = np.asarray(gate.covariance)
            made = fk.gates.EllipsoidGate(name, dimensions, list(gate.mean), covariance, gate.distance_square)
        self.peer.add_gate(made, parent)
        return (*parent, name)

    def _add_quadrant(
        self, population: Population, gate: QuadrantGate, place: Path_, populations: Sequence[Population]
    ) -> None:
        """Add a quadrant: FlowKit has all of a set in one gate, which is added with the first of them."""
        name = population.id.rpartition("/")[2]
        if gate.name in _IMPOSSIBLE or "/" in gate.name:
            raise ValueError(f"FlowKit has no quadrants of the name '{name_of(gate.name)}'; rename the set")
        alike = [p for p in populations if p.parent == population.parent and _same_set(p.gate, gate)]
        names = [p.id.rpartition("/")[2] for p in alike]
        if names.count(name) > 1:
            raise ValueError(f"another quadrant of {name_of(gate.name)} is called {name_of(name)} too; rename one")
        if self.sets.setdefault(place, population) is population:
            self.peer.add_gate(self._quadrants(gate, alike), place[:-1])
        elif not _same_set(self.sets[place].gate, gate):
            raise ValueError(f"other quadrants are called {name_of(gate.name)} too; rename one set")

    def _quadrants(self, gate: QuadrantGate, populations: Sequence[Population]) -> Any:
        fk = load()
        ids = [f"{gate.name}_{i}" for i in range(len(gate.dimensions))]
        dividers = []
        for key, dimension, values in zip(ids, gate.dimensions, gate.dividers, strict=True):
            if not isinstance(dimension, Dimension):
                raise ValueError("FlowKit has no quadrants on a ratio; use rectangle gates")
            peer = self._dimension(dimension, None, None)
            dividers.append(
                fk.QuadrantDivider(key, peer.id, peer.compensation_ref, list(values), peer.transformation_ref)
            )
        quadrants = []
        for population in populations:
            assert isinstance(population.gate, QuadrantGate)
            sides = zip(ids, population.gate.interval, population.gate.lower, population.gate.upper, strict=True)
            bounds = {key: (low, high) for key, interval, low, high in sides if interval is not None}
            name = population.id.rpartition("/")[2]
            quadrants.append(fk.gates.Quadrant(name, list(bounds), list(bounds.values())))
        return fk.gates.QuadrantGate(gate.name, dividers, quadrants)

    def _dimension(self, dimension: AnyDimension, low: float | None, high: float | None) -> Any:
        fk = load()
        transform = self._named(dimension.transform) if dimension.transform != IDENTITY else None
        if isinstance(dimension, RatioDimension):
            key = ("ratio", dimension.detectors, dimension.a, dimension.b, dimension.c)
            if key not in self.names:
                self.names[key] = f"ratio{len(self.names)}"
                ratio = fk.transforms.RatioTransform(list(dimension.detectors), dimension.a, dimension.b, dimension.c)
                self.peer.add_transform(self.names[key], ratio)
            # FlowKit cannot do without bounds; that there is none below is said by one that all values are above.
            low = -math.inf if low is None else low
            return fk.RatioDimension(self.names[key], UNCOMPENSATED, transform, range_min=low, range_max=high)
        compensation = compensation_of(self.strategy, dimension)
        matrix = UNCOMPENSATED if compensation is None else self.keys.get(compensation, IN_FILE)
        return fk.Dimension(dimension.detector, matrix, transform, range_min=low, range_max=high)

    def _named(self, transform: Transform) -> str:
        if transform not in self.names:
            self.names[transform] = f"t{len(self.names)}"
            self.peer.add_transform(self.names[transform], transform_to_flowkit(transform))
        return self.names[transform]


def _same_set(gate: object, other: QuadrantGate) -> bool:
    if not isinstance(gate, QuadrantGate):
        return False
    return (gate.name, gate.dimensions, gate.dividers) == (other.name, other.dimensions, other.dividers)


def _bounds(gate: GeometricGate) -> list[tuple[float | None, float | None]]:
    if isinstance(gate, RectangleGate):
        return list(zip(gate.lower, gate.upper, strict=True))
    return [(None, None)] * len(gate.dimensions)


def _matrix(matrix: Matrix) -> Any:
    fk = load()
    if matrix.outputs == matrix.detectors:
        return fk.Matrix(np.array(matrix.matrix), list(matrix.detectors), list(matrix.detectors))
    if not set(matrix.outputs) <= set(matrix.detectors):
        raise StrategyError(matrix.source, ["spectra whose dyes are named after no detector; FlowKit has none such"])
    order = [*matrix.outputs, *(name for name in matrix.detectors if name not in matrix.outputs)]
    columns = [matrix.detectors.index(name) for name in order]
    return fk.SpectralMatrix(np.array(matrix.matrix[:, columns]), order, list(matrix.outputs))


def transform_to_flowkit(transform: Transform) -> Any:
    """Return a transform as FlowKit has it."""
    kinds = load().transforms
    if isinstance(transform, Linear):
        return kinds.LinearTransform(transform.t, transform.a)
    if isinstance(transform, Log):
        return kinds.LogTransform(transform.t, transform.m)
    if isinstance(transform, Arcsinh):
        return kinds.AsinhTransform(transform.t, transform.m, transform.a)
    if isinstance(transform, Logicle):
        return kinds.LogicleTransform(transform.t, transform.w, transform.m, transform.a)
    if isinstance(transform, Hyperlog):
        return kinds.HyperlogTransform(transform.t, transform.w, transform.m, transform.a)
    if isinstance(transform, FlowJoBiex):
        return kinds.WSPBiexTransform(transform.negative, transform.width, transform.positive, transform.max_value)
    if isinstance(transform, FlowJoLog):
        return kinds.WSPLogTransform(transform.offset, transform.decades)
    raise ValueError(f"FlowKit has no transform {transform.kind}")

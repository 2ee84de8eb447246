"""FlowKit's strategies as ours: what it would drop, guess or could not apply is refused by name."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

import numpy as np

from nti7flow.errors import Nti7flowError, StrategyError
from nti7flow.events.spectrum import Matrix, make_matrix
from nti7flow.events.spillover import Spillover
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
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Gate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import NOT_AN_ELLIPSOID, GatingStrategy, Population
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


def strategy_from_flowkit(
    peer: Any,
    *,
    origin: str,
    sample_id: str | None = None,
    id_of: Callable[[Path_], str] | None = None,
) -> GatingStrategy:
    """Return a FlowKit strategy as one of ours, for any tube.

    Parameters
    ----------
    peer : flowkit.GatingStrategy
        The strategy.
    origin : str
        What the gates are from; becomes ``template``.
    sample_id : str, optional
        Take the gates that were made for this sample, where there are any.
    id_of : callable, optional
        Gives the id of a population by its path of names, the last its own. By default its name where that is unique,
        else the path with slashes.

    Raises
    ------
    StrategyError
        A gate that FlowKit would drop, guess or could not apply; lists all of them by name.
    """
    return _Reader(peer, origin, sample_id).read(id_of)


@dataclass
class _Reader:
    peer: Any
    origin: str
    sample_id: str | None
    problems: list[str] = field(default_factory=list)

    def read(self, id_of: Callable[[Path_], str] | None) -> GatingStrategy:
        gates = dict(self._gates())
        self.id_of = id_of or _unique_names(gates)
        needed = {path: self._needed(path, gate, gates) for path, (gate, _) in gates.items()}
        matrices = {name: matrix for name in self.peer.comp_matrices if (matrix := self._matrix(name)) is not None}
        populations = []
        for path in self._in_order(needed):
            gate = self._gate(path, *gates[path])
            if gate is not None:
                parent = _parent(path, gates)
                flags = (NOT_AN_ELLIPSOID,) if isinstance(gate, EllipsoidGate) and not gate.is_ellipsoid else ()
                above = None if parent is None else self.id_of(parent)
                populations.append(Population(self.id_of(path), path[-1], above, gate, "ok", flags))
        if self.problems:
            raise StrategyError(self.origin, self.problems)
        return GatingStrategy(
            template=self.origin,
            sample="",
            sha256="",
            data_set=0,
            spillover=Spillover.none(),
            populations=tuple(populations),
            matrices=matrices,
        )

    def _gates(self) -> Iterator[tuple[Path_, tuple[Any, str | None]]]:
        """Each population's path, without the root, with its gate; of a quadrant the gate of the set and its name."""
        fk = load()
        sets: dict[Path_, Any] = {}
        for name, ancestors in self.peer.get_gate_ids():
            path = (*ancestors[1:], name)
            if name == ROOT:  # FlowKit applies what is below it to all events
                self._refuse(path, "FlowKit calls all events so; give it another name")
            if path[:-1] in sets:
                yield path, (sets[path[:-1]], name)
                continue
            gate = self.peer.get_gate(name, tuple(ancestors), sample_id=self.sample_id)
            if isinstance(gate, fk.gates.QuadrantGate):
                sets[path] = gate
            else:
                yield path, (gate, None)

    def _needed(self, path: Path_, gate: Any, known: Mapping[Path_, object]) -> list[Path_]:
        """Paths of the populations that a boolean gate combines."""
        paths = [(*ref["path"][1:], ref["ref"]) for ref in getattr(gate, "gate_refs", ())]
        for missing in (operand for operand in paths if operand not in known):
            self._refuse(path, f"combines {name_of('/'.join(missing))}, and there is no such population")
        return [operand for operand in paths if operand in known]

    def _in_order(self, needed: Mapping[Path_, Sequence[Path_]]) -> Iterator[Path_]:
        """Yield populations in the order of the document, but after their parents and what they combine."""
        place = {path: i for i, path in enumerate(needed)}
        before = {path: [p for p in (_parent(path, needed), *operands) if p] for path, operands in needed.items()}
        sorter = TopologicalSorter(before)
        try:
            sorter.prepare()
        except CycleError as error:
            round_ = " > ".join(name_of("/".join(path)) for path in error.args[1])
            raise StrategyError(self.origin, [f"populations rest on each other in a circle: {round_}"]) from None
        ready: list[tuple[int, Path_]] = []
        while sorter.is_active():
            for path in sorter.get_ready():
                heapq.heappush(ready, (place[path], path))
            _, path = heapq.heappop(ready)
            yield path
            sorter.done(path)

    def _refuse(self, path: Path_, why: str) -> None:
        self.problems.append(f"gate {name_of('/'.join(path))}: {why}")

    def _gate(self, path: Path_, gate: Any, quadrant: str | None) -> Gate | None:
        fk = load()
        try:
            if isinstance(gate, fk.gates.BooleanGate):
                return self._boolean(gate)
            if isinstance(gate, fk.gates.QuadrantGate):
                return self._quadrant(gate, str(quadrant))
            dimensions = tuple(self._dimension(dimension) for dimension in gate.dimensions)
            self._check_compensation(dimensions)
            if isinstance(gate, fk.gates.RectangleGate):
                lower = tuple(_bound(d, "min") for d in gate.dimensions)
                upper = tuple(_bound(d, "max") for d in gate.dimensions)
                return RectangleGate(dimensions, lower, upper, bool(gate.use_complement))
            if isinstance(gate, fk.gates.PolygonGate):
                if len(dimensions) != 2:
                    raise ValueError(f"a polygon gate needs two dimensions, found {len(dimensions)}")
                vertices = tuple((float(x), float(y)) for x, y in gate.vertices)
                return PolygonGate((dimensions[0], dimensions[1]), vertices, bool(gate.use_complement))
            if isinstance(gate, fk.gates.EllipsoidGate):
                covariance = tuple(tuple(float(v) for v in row) for row in gate.covariance_matrix)
                mean = tuple(float(v) for v in gate.coordinates)
                return EllipsoidGate(dimensions, mean, covariance, float(gate.distance_square))
            raise ValueError(f"gates of kind {name_of(type(gate).__name__)} are not known")
        except ValueError as error:
            self._refuse(path, str(error))
            return None

    def _boolean(self, gate: Any) -> BooleanGate:
        turned = gate.type == "not"
        if turned and len(gate.gate_refs) != 1:
            raise ValueError(f"'not' takes one population, found {len(gate.gate_refs)}")
        operands = []
        for ref in gate.gate_refs:
            operands.append(Operand(self.id_of((*ref["path"][1:], ref["ref"])), bool(ref["complement"]) != turned))
        return BooleanGate("or" if gate.type == "or" else "and", tuple(operands))

    def _quadrant(self, gate: Any, name: str) -> QuadrantGate:
        dimensions = tuple(
            self._axis(d.dimension_ref, d.compensation_ref, d.transformation_ref) for d in gate.dimensions
        )
        self._check_compensation(dimensions)
        dividers = tuple(tuple(sorted(float(v) for v in d.values)) for d in gate.dimensions)
        quadrant = gate.quadrants[name]
        intervals: list[int | None] = []
        for divider, values in zip(gate.dimensions, dividers, strict=True):
            if divider.id not in quadrant.divider_refs:
                intervals.append(None)
                continue
            bounds = quadrant.get_divider_range(divider.id)
            ends: list[float | None] = [None, *values, None]
            intervals.append(next((i for i, pair in enumerate(pairwise(ends)) if pair == tuple(bounds)), -1))
            if intervals[-1] == -1:
                raise ValueError(f"quadrant {name_of(name)} does not lie between two neighbouring dividers")
        return QuadrantGate(gate.gate_name, dimensions, dividers, tuple(intervals))

    def _dimension(self, peer: Any) -> AnyDimension:
        fk = load()
        if not isinstance(peer, fk.RatioDimension):
            return self._axis(peer.id, peer.compensation_ref, peer.transformation_ref)
        ratio = self.peer.transformations.get(peer.ratio_ref)
        if not isinstance(ratio, fk.transforms.RatioTransform):
            raise ValueError(f"no ratio is defined as {name_of(peer.ratio_ref)}")
        if peer.compensation_ref not in (None, "", UNCOMPENSATED):
            raise ValueError(
                f"the ratio {name_of(peer.ratio_ref)} is to be compensated, which FlowKit ignores; gate on raw values"
            )
        x, y = (str(name) for name in ratio.dimensions)
        a, b, c = (float(v) for v in (ratio.param_a, ratio.param_b, ratio.param_c))
        if not np.isfinite((a, b, c)).all():
            raise ValueError(f"the ratio {name_of(peer.ratio_ref)} has parameters that are not finite numbers")
        return RatioDimension(x, y, a, b, c, self._transform(peer.transformation_ref))

    def _axis(self, channel: Any, compensation: str | None, transform: str | None) -> Dimension:
        if not channel:
            raise ValueError("a dimension names no channel")
        display = self._transform(transform)
        if compensation in (None, "", UNCOMPENSATED):
            return Dimension(str(channel), "", False, display)
        if compensation == IN_FILE:
            return Dimension(str(channel), "", True, display)
        if compensation not in self.peer.comp_matrices:
            raise ValueError(f"matrix {name_of(compensation)} is not defined")
        matrix = self.peer.comp_matrices[compensation]
        dyes = list(getattr(matrix, "fluorochromes", None) or ())
        if channel not in matrix.detectors and channel in dyes:
            # A dimension may be named by its dye, kept as its marker: a tube with a channel of that name is refused.
            return Dimension(str(matrix.detectors[dyes.index(channel)]), str(channel), True, display, str(compensation))
        return Dimension(str(channel), "", True, display, str(compensation))

    def _transform(self, name: str | None) -> Transform:
        if name is None:
            return IDENTITY
        if name not in self.peer.transformations:
            raise ValueError(f"transform {name_of(name)} is not defined")
        try:
            return transform_from_flowkit(self.peer.transformations[name])
        except ValueError as error:
            raise ValueError(f"transform {name_of(name)}: {error}") from None

    def _check_compensation(self, dimensions: Sequence[AnyDimension]) -> None:
        """Refuse what FlowKit would compensate otherwise: it takes one matrix for all dimensions of a gate."""
        plain = [d for d in dimensions if isinstance(d, Dimension)]
        used = {d.matrix for d in plain if d.compensated}
        if len(used) > 1:
            raise ValueError("its dimensions have different matrices, which FlowKit cannot do; split the gate")
        for dimension in plain if used else ():
            # By its name alone: what the matrix of a tube covers is not known here.
            covered = _outputs(self.peer.comp_matrices[matrix]) if (matrix := next(iter(used))) else None
            spared = never_compensated(dimension.detector) if covered is None else dimension.detector not in covered
            if not (dimension.compensated or spared):
                raise ValueError(
                    f"{name_of(dimension.detector)} is not to be compensated, but another dimension is, and FlowKit "
                    "would compensate both; split the gate"
                )
        names = [d.detector for d in plain]
        if len(set(names)) < len(names):
            raise ValueError("two of its dimensions are one channel, which FlowKit would scale twice")

    def _matrix(self, name: str) -> Matrix | None:
        matrix = self.peer.comp_matrices[name]
        try:
            return make_matrix(tuple(matrix.detectors), _outputs(matrix), np.asarray(matrix.matrix, np.float64), name)
        except (Nti7flowError, ValueError) as error:
            self.problems.append(f"matrix {name_of(name)}: {error}")
            return None


def _outputs(matrix: Any) -> Path_:
    """Channels that FlowKit fills with compensated values."""
    return tuple(getattr(matrix, "true_detectors", matrix.detectors))


def _bound(dimension: Any, side: str) -> float | None:
    """Bound of a dimension; FlowKit's ratio has no attribute for one that is open."""
    bound = getattr(dimension, side, None)
    return None if bound is None else float(bound)


def _parent(path: Path_, known: Mapping[Path_, object]) -> Path_ | None:
    """Path of a population's parent: of a gate in a quadrant the quadrant, of a quadrant what its set is gated from."""
    for n in range(len(path) - 1, 0, -1):
        if path[:n] in known:
            return path[:n]
    return None


def _unique_names(paths: Mapping[Path_, object]) -> Callable[[Path_], str]:
    times: dict[str, int] = {}
    for path in paths:
        times[path[-1]] = times.get(path[-1], 0) + 1
    return lambda path: path[-1] if times.get(path[-1], 0) <= 1 else "/".join(path)


def transform_from_flowkit(peer: Any) -> Transform:
    """Return a FlowKit transform as ours; raises ValueError for one that is not known or impossible."""
    kinds = load().transforms
    if isinstance(peer, kinds.LinearTransform):
        return Linear(float(peer.param_t), float(peer.param_a))
    if isinstance(peer, kinds.LogTransform):
        return Log(float(peer.param_t), float(peer.param_m))
    if isinstance(peer, kinds.AsinhTransform):
        return Arcsinh(float(peer.param_t), float(peer.param_m), float(peer.param_a))
    if isinstance(peer, kinds.LogicleTransform | kinds.HyperlogTransform):
        kind = Logicle if isinstance(peer, kinds.LogicleTransform) else Hyperlog
        return kind(float(peer.param_t), float(peer.param_w), float(peer.param_m), float(peer.param_a))
    if isinstance(peer, kinds.WSPBiexTransform):
        return FlowJoBiex(float(peer.negative), float(peer.width), float(peer.positive), float(peer.max_value))
    if isinstance(peer, kinds.WSPLogTransform):
        return FlowJoLog(float(peer.offset), float(peer.decades))
    raise ValueError(f"a transform of kind {name_of(type(peer).__name__)} cannot scale one channel")

"""From a strategy and a tube to the plan that `engine` runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nti7flow.events.sample import Sample
from nti7flow.events.transforms import Transform
from nti7flow.gating.cells import outline_box
from nti7flow.gating.columns import Compensated, Ratio, Source
from nti7flow.gating.cuts import Cut, find_cuts
from nti7flow.gating.dimensions import AnyDimension, RatioDimension
from nti7flow.gating.engine import Plan, Step
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, GeometricGate, PolygonGate
from nti7flow.gating.scale_tests import Binned, Bounds, Outline, Plane, Question, Side

if TYPE_CHECKING:
    from nti7flow.gating.strategy import GatingStrategy, Population

#: Outlines that are divided into cells at most: each keeps 16 KB.
MOST_OUTLINES = 500
Range = tuple[float | None, float | None]


def compile_strategy(strategy: GatingStrategy, sample: Sample) -> Plan:
    """Plan how the gates of a strategy are evaluated on a tube, of which they name the detectors."""
    return _Compiler(strategy, sample).plan()


class _Compiler:
    """What the gates of a plan share while it is made."""

    def __init__(self, strategy: GatingStrategy, sample: Sample) -> None:
        self.strategy, self.sample = strategy, sample
        self.sources: list[Source | None] = []
        self.channels: dict[int, int] = {}  # column of each
        self.columns: dict[object, int] = {}
        self.binned: dict[tuple[int, Transform], Binned] = {}
        self.planes: dict[tuple[Binned, Binned], Plane] = {}
        self.n_outlines = 0

    def plan(self) -> Plan:
        counted = self.strategy.counted
        gates = {p.id: p.gate for p in counted if not (p.gate is None or isinstance(p.gate, BooleanGate))}
        # Channels before what is made of them: they are the rows of a block's array.
        dimensions = dict.fromkeys(d for gate in gates.values() for d in gate.dimensions)
        self.channels = {index: i for i, index in enumerate(sorted({i for d in dimensions for i in self._indices(d)}))}
        self.sources = [None] * len(self.channels)
        self.keys = {dimension: self._column(dimension) for dimension in dimensions}
        ranges = {name: _ranges(gate) for name, gate in gates.items()}
        self.cuts = _cuts(gates, ranges)
        last = _last_uses(counted)
        steps = (
            Step(
                p.id,
                p.parent,
                p.gate,
                self._question(gates[p.id], ranges[p.id]) if p.id in gates else None,
                tuple((self.keys[d], d.transform) for d in gates[p.id].dimensions) if p.id in gates else (),
                tuple(last.get(p.id, ())),
            )
            for p in counted
            if p.gate is not None
        )
        names = tuple(p.id for p in self.strategy.populations)
        return Plan(self.sample, tuple(self.channels), self.sources, names, tuple(steps))

    def _terms(self, dimension: AnyDimension) -> list[tuple[int, float]] | None:
        """Channels, by position, that a dimension is a sum of, and their weights; None where it is a channel itself."""
        if isinstance(dimension, RatioDimension) or not dimension.compensated:
            return None
        matrix = self.strategy.matrix_of(dimension)
        if dimension.detector not in matrix.outputs:
            return None
        weights = matrix.compensation[:, matrix.outputs.index(dimension.detector)].tolist()
        return [(self._index(d), w) for d, w in zip(matrix.detectors, weights, strict=True) if w != 0.0]

    def _index(self, detector: str) -> int:
        return self.sample.panel.detector(detector).index

    def _indices(self, dimension: AnyDimension) -> list[int]:
        terms = self._terms(dimension)
        return [self._index(d) for d in dimension.detectors] if terms is None else [index for index, _ in terms]

    def _column(self, dimension: AnyDimension) -> int:
        """Column of a dimension; those that differ in their transforms alone share it."""
        terms = self._terms(dimension)
        if dimension.axis in self.columns:
            return self.columns[dimension.axis]
        source: Source
        if isinstance(dimension, RatioDimension):
            x, y = (self.channels[index] for index in self._indices(dimension))
            source = Ratio(x, y, dimension)
        elif terms is not None:
            source = Compensated(tuple((self.channels[index], weight) for index, weight in terms))
        else:
            return self.channels[self._index(dimension.detector)]
        self.columns[dimension.axis] = len(self.sources)
        self.sources.append(source)
        return self.columns[dimension.axis]

    def _question(self, gate: GeometricGate, ranges: list[Range]) -> Question:
        bounds = Bounds(
            tuple(
                Side(self.keys[d], *(None if bound is None else self.cuts[d.transform, bound] for bound in pair))
                for d, pair in zip(gate.dimensions, ranges, strict=True)
                if pair != (None, None)
            )
        )
        if not isinstance(gate, PolygonGate | EllipsoidGate):
            return bounds
        plane = None
        if len(gate.dimensions) == 2 and len(bounds.sides) == 2 and self.n_outlines < MOST_OUTLINES:
            self.n_outlines += 1
            x, y = (self._binned(d, pair) for d, pair in zip(gate.dimensions, ranges, strict=True))
            plane = self.planes.setdefault((x, y), Plane(x, y))
        return Outline(gate, bounds, plane)

    def _binned(self, dimension: AnyDimension, pair: Range) -> Binned:
        key = self.keys[dimension], dimension.transform
        binned = self.binned.setdefault(key, Binned(*key))
        low, high = pair
        assert low is not None and high is not None
        binned.ranges.append((low, high))
        return binned


def _ranges(gate: GeometricGate) -> list[Range]:
    """Bounds of a gate along each of its dimensions, of an outline those of the box around it."""
    if isinstance(gate, PolygonGate | EllipsoidGate):
        box = outline_box(gate)
        return [(None, None)] * len(gate.dimensions) if box is None else [*box]
    return list(zip(gate.lower, gate.upper, strict=True))


def _cuts(gates: dict[str, GeometricGate], ranges: dict[str, list[Range]]) -> dict[tuple[Transform, float], Cut]:
    """Every bound of every gate on the scale of values, those of one transform found together."""
    bounds: dict[Transform, dict[float, None]] = {}
    for name, gate in gates.items():
        for dimension, pair in zip(gate.dimensions, ranges[name], strict=True):
            bounds.setdefault(dimension.transform, {}).update({b: None for b in pair if b is not None})
    return {
        (transform, bound): cut
        for transform, found in bounds.items()
        for bound, cut in zip(found, find_cuts(transform, list(found)), strict=True)
    }


def _last_uses(populations: Sequence[Population]) -> dict[str, list[str]]:
    """Find the populations whose members are not asked for any more after each one."""
    last = {p.id: p.id for p in populations}
    for population in populations:
        last |= dict.fromkeys(population.needs, population.id)
    done: dict[str, list[str]] = {}
    for name, after in last.items():
        done.setdefault(after, []).append(name)
    return done

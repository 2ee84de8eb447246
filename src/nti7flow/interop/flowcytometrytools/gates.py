"""Gates of FlowCytometryTools from and to ours, so that both count the same events.

Both compare the same numbers, but their rules for events on an edge, or that are not a number, are not ours:

=========================  ============================  ==================================
event                      FlowCytometryTools            nti7flow
=========================  ============================  ==================================
on a threshold             above, right, top             in the range that begins there
on the end of an interval  inside                        inside at the lower end alone
on the outline of a        inside on upper edges; on     inside on left and lower edges
polygon                    others by their direction
not a number               below, left, bottom, outside  in no range; inside a complement
=========================  ============================  ==================================

Bounds are carried over to the next double, outlines by a few, where that makes the same events inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain, count
from operator import and_, or_
from typing import Any, Literal

import numpy as np

from nti7flow.errors import StrategyError, did_you_mean, printable
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear, transform_to_dict
from nti7flow.gating.dimensions import AnyDimension, Dimension, RatioDimension
from nti7flow.gating.gates import (
    BooleanGate,
    Gate,
    GeometricGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import GatingStrategy, Population

Names = Literal["detectors", "markers"]
Vertices = list[tuple[float, float]]
#: Where the gates are from, for errors and as ``template``.
ORIGIN = "FlowCytometryTools"
#: Display units are scale values.
IDENTITY = Linear(1.0, 0.0)
#: Letters of a name that are shown.
SHOWN = 80
#: FlowCytometryTools evaluates and copies a gate by recursion; a population much further down would end it.
DEEPEST = 60
#: A slanted edge is moved by this many times its rounding error, so that rounding no longer decides on events upon it.
ROOM = 16
#: What an outline may be moved by, as a part of its width.
FURTHEST = 1e-9
#: No event is nearer to 0; the next double is too small to be multiplied.
NEAREST = 1e-280


def column_name(dimension: AnyDimension, *, names: Names) -> str:
    """Column of a measurement that holds the values of a dimension: of a channel as it is, the channel's own name."""
    if isinstance(dimension, RatioDimension):
        title = f"{dimension.a} ({dimension.numerator} - {dimension.b}) / ({dimension.denominator} - {dimension.c})"
        how = []
    else:
        title = dimension.title if names == "markers" else dimension.detector
        how = [f"compensated by {dimension.matrix}" if dimension.matrix else "compensated"][: dimension.compensated]
    if dimension.transform != IDENTITY:
        parameters = transform_to_dict(dimension.transform)
        how.append(" ".join([parameters.pop("kind"), *(f"{key}={value}" for key, value in parameters.items())]))
    return f"{title} [{'; '.join(how)}]" if how else title


def name_of(text: object) -> str:
    """Return a name as a message may show it."""
    shown = printable(str(text))
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "…"


def strategy_to_peer(peer: Any, strategy: GatingStrategy, *, names: Names) -> dict[str, Any]:
    """Return a gate of theirs for each population that has one, its ancestors' gates in it, by the population's id."""
    return _Writer(peer, names).strategy(strategy)


def gate_to_peer(peer: Any, gate: GeometricGate, *, names: Names) -> Any:
    """Return one gate of ours as theirs."""
    writer = _Writer(peer, names)
    made = writer.geometric(gate, "gate")
    writer.refuse()
    return made


@dataclass
class _Writer:
    """Our gates to theirs. ``peer`` is the package."""

    peer: Any
    names: Names
    problems: list[str] = field(default_factory=list)

    def strategy(self, strategy: GatingStrategy) -> dict[str, Any]:
        made: dict[str, Any] = {}
        depth: dict[str | None, int] = {None: 0}
        for population in strategy.populations:
            gate, name = population.gate, population.id
            if gate is None or any(other not in made for other in population.needs):
                continue  # no gate, no count; nor for what rests on it
            n_operands = len(gate.operands) if isinstance(gate, BooleanGate) else 0
            depth[name] = 1 + max(depth[other] for other in (*population.needs, None)) + max(n_operands - 1, 0)
            if depth[name] > DEEPEST:
                self.problems.append(
                    f"gate {name_of(name)}: is more than {DEEPEST} gates deep; gate its ancestors first"
                )
                continue
            own = self._boolean(gate, made) if isinstance(gate, BooleanGate) else self.geometric(gate, name)
            if own is not None:
                made[name] = own if population.parent is None else made[population.parent] & own
        self.refuse()
        return made

    def refuse(self) -> None:
        if self.problems:
            raise StrategyError(ORIGIN, self.problems)

    def geometric(self, gate: GeometricGate, name: str) -> Any:
        if isinstance(gate, PolygonGate):
            return self._polygon(gate, name)
        if isinstance(gate, RectangleGate):
            return self._rectangle(gate, name)
        if isinstance(gate, QuadrantGate):
            return self._quadrant(gate, name)
        self.problems.append(f"gate {name_of(name)}: is an ellipsoid, and FlowCytometryTools has none")
        return None

    @staticmethod
    def _boolean(gate: BooleanGate, made: Mapping[str, Any]) -> Any:
        sides = [~made[o.population] if o.negated else made[o.population] for o in gate.operands]
        return reduce(and_ if gate.operator == "and" else or_, sides)

    def _polygon(self, gate: PolygonGate, name: str) -> Any:
        try:
            vertices = carry_outline(gate.vertices, to="theirs")
        except ValueError as error:
            self.problems.append(f"gate {name_of(name)}: {error}")
            return None
        channels = [column_name(dimension, names=self.names) for dimension in gate.dimensions]
        return self.peer.PolyGate(vertices, channels, "out" if gate.complement else "in", name=name)

    def _rectangle(self, gate: RectangleGate, name: str) -> Any:
        channels = [column_name(dimension, names=self.names) for dimension in gate.dimensions]
        sides = [
            self._range(channel, _edge(dimension, low), _edge(dimension, high), name)
            for channel, dimension, low, high in zip(channels, gate.dimensions, gate.lower, gate.upper, strict=True)
            if low is not None or high is not None
        ]
        if not sides:  # which every event is in, also one that is not a number
            sides = [self._number(channels[0]) | ~self._number(channels[0])]
        inside = reduce(and_, sides)
        if not gate.complement:
            return inside
        opposite = {"above": "below", "in": "out"}.get(getattr(inside, "region", ""))
        if opposite is None:
            return ~inside
        inside.region = opposite
        return inside

    def _range(self, channel: str, low: float | None, high: float | None, name: str) -> Any:
        """``low <= x < high``, at least one of which is a bound."""
        threshold = self.peer.ThresholdGate
        if high is None:
            return threshold(low, channel, "above", name=name)
        below = threshold(high, channel, "below", name=name)
        if low is None:
            return below & self._number(channel)
        last = float(np.nextafter(high, -np.inf))
        if last > low:
            return self.peer.IntervalGate((low, last), channel, "in", name=name)
        return threshold(low, channel, "above", name=name) & below  # their intervals have two ends

    def _quadrant(self, gate: QuadrantGate, name: str) -> Any:
        if [len(values) for values in gate.dividers] != [1, 1] or None in gate.interval:
            return self._rectangle(RectangleGate(gate.dimensions, gate.lower, gate.upper), name)
        channels = [column_name(dimension, names=self.names) for dimension in gate.dimensions]
        right, top = gate.interval
        region = f"{'top' if top else 'bottom'} {'right' if right else 'left'}"
        corner = (v[0] - d.transform.rounding for v, d in zip(gate.dividers, gate.dimensions, strict=True))
        made = self.peer.QuadGate(tuple(corner), channels, region, name=name)
        guards = [self._number(c) for c, above in zip(channels, gate.interval, strict=True) if not above]
        return reduce(and_, guards, made)

    def _number(self, channel: str) -> Any:
        """Every event but those that are not a number, which they count as below and left of any line."""
        return self.peer.ThresholdGate(-np.inf, channel, "above", name="a number")


@dataclass(frozen=True, slots=True)
class Column:
    """A channel of a measurement: its detector, its marker, and whether it holds numbers in single precision."""

    detector: str
    marker: str
    single: bool


def strategy_from_peer(peer: Any, gates: Mapping[str, Any], columns: Mapping[str, Column] | None) -> GatingStrategy:
    """Return gates of theirs as a strategy for any tube, each a population by its name.

    Parts of a composite gate are populations too. ``columns`` are those of the measurement that the gates are for; by
    default channels are named as in the gates, and hold numbers in double precision.
    """
    reader = _Reader(peer, columns, taken=set(gates), given={id(gate): name for name, gate in gates.items()})
    for name, gate in gates.items():
        reader.population(gate, name)
    if reader.problems:
        raise StrategyError(ORIGIN, reader.problems)
    return GatingStrategy(ORIGIN, "", "", 0, Spillover.none(), tuple(reader.populations.values()))


@dataclass
class _Reader:
    """Their gates to ours.

    ``given`` are names of gates by their identity, ``taken`` ids that no other part of a composite gate may have.
    """

    peer: Any
    columns: Mapping[str, Column] | None
    taken: set[str]
    given: dict[int, str]
    populations: dict[str, Population] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    #: Parts that were made on the way: as long as they are kept, their identity is theirs.
    kept: list[Any] = field(default_factory=list)

    def population(self, gate: Any, name: str) -> None:
        """Add a gate as a population, after the parts of it; once."""
        if name in self.populations:
            return
        kinds = self.peer.core.gates
        converters: dict[type, Callable[[Any, str], Gate]] = {
            kinds.ThresholdGate: self._threshold,
            kinds.IntervalGate: self._interval,
            kinds.QuadGate: self._quadrant,
            kinds.PolyGate: self._polygon,
            kinds.CompositeGate: self._composite,
        }
        try:
            if type(gate) not in converters:
                raise ValueError(f"is a {name_of(type(gate).__name__)}, of which is not known what is in it")
            self.populations[name] = Population(name, name, None, converters[type(gate)](gate, name), "ok")
        except (TypeError, ValueError) as error:
            self.problems.append(f"gate {name_of(name)}: {error}")

    def _composite(self, gate: Any, name: str) -> BooleanGate:
        if gate.how == "invert":
            return BooleanGate("and", (self._operand(gate),))
        if gate.how == "xor":
            one, other = gate.gates
            return self._composite((one & ~other) | (other & ~one), name)
        if gate.how not in ("and", "or"):
            raise ValueError(f"combines others by '{name_of(gate.how)}', which is no operator")
        return BooleanGate(gate.how, tuple(map(self._operand, self._parts(gate))))

    def _parts(self, gate: Any) -> list[Any]:
        """List what a gate combines: ``a & b & c`` is one combination of three."""
        inner = [[part] if getattr(part, "how", None) != gate.how else self._parts(part) for part in gate.gates]
        return [part for parts in inner for part in parts]

    def _operand(self, gate: Any) -> Operand:
        if getattr(gate, "how", None) == "invert":
            inside = self._operand(gate.gates[0])
            return Operand(inside.population, not inside.negated)
        if id(gate) not in self.given:
            said = str(gate.name) if len(str(gate.name)) <= SHOWN else f"{str(gate.name)[:SHOWN]}…"
            names = chain([said], (f"{said} ({n})" for n in count(2)))
            self.given[id(gate)] = next(name for name in names if name not in self.taken)
            self.taken.add(self.given[id(gate)])
            self.kept.append(gate)
        self.population(gate, self.given[id(gate)])
        return Operand(self.given[id(gate)])

    def _threshold(self, gate: Any, name: str) -> RectangleGate:
        dimension, (bound,) = self._dimension(gate, 0), self._bounds(gate, 0, [gate.vert])
        return RectangleGate((dimension,), (bound,), (None,), complement=gate.region == "below")

    def _interval(self, gate: Any, name: str) -> RectangleGate:
        low, high = self._bounds(gate, 0, gate.vert)
        beyond = None if high == np.inf else float(np.nextafter(high, np.inf))
        return RectangleGate((self._dimension(gate, 0),), (low,), (beyond,), complement=gate.region == "out")

    def _quadrant(self, gate: Any, name: str) -> QuadrantGate:
        dividers = tuple(tuple(self._bounds(gate, i, [gate.vert[i]])) for i in (0, 1))
        interval = (int("right" in gate.region), int("top" in gate.region))
        return QuadrantGate(name, (self._dimension(gate, 0), self._dimension(gate, 1)), dividers, interval)

    def _polygon(self, gate: Any, name: str) -> PolygonGate:
        dimensions = (self._dimension(gate, 0), self._dimension(gate, 1))
        vertices = [(float(x), float(y)) for x, y in gate.vert]
        return PolygonGate(dimensions, tuple(carry_outline(vertices, to="ours")), complement=gate.region == "out")

    def _dimension(self, gate: Any, i: int) -> Dimension:
        column = self._column(gate.channels[i])
        return Dimension(column.detector, column.marker, False, IDENTITY)

    def _bounds(self, gate: Any, i: int, values: Iterable[Any]) -> list[float]:
        """Bounds as they are compared: with single precision, NumPy rounds numbers of Python and not its own."""
        single = self._column(gate.channels[i]).single
        return [float(np.float32(v)) if single and not isinstance(v, np.generic) else float(v) for v in values]

    def _column(self, channel: Any) -> Column:
        if self.columns is None:
            return Column(str(channel).strip(), "", single=False)
        if channel not in self.columns:
            raise ValueError(
                f"channel {name_of(channel)} is not in the measurement, which has "
                f"{', '.join(map(name_of, self.columns))}.{did_you_mean(str(channel), map(str, self.columns))}"
            )
        return self.columns[channel]


def carry_outline(vertices: Sequence[tuple[float, float]], *, to: Literal["ours", "theirs"]) -> Vertices:
    """Move the outline of a polygon by rounding errors, so that the other rule puts the same events inside.

    Both rules count the edges that a ray from the event to +x crosses. Ours: an edge from ``y1`` to ``y2`` is crossed
    where ``min(y1, y2) <= y < max(y1, y2)`` and the event is left of it, not on it. Matplotlib's, which theirs is:
    where ``min(y1, y2) < y <= max(y1, y2)`` and the event is left of an edge that goes down, or left of or on one that
    goes up. So every vertex goes to the next double in y, in x upright edges that go up go to the next double, and
    slanted ones by `ROOM` times the rounding error of finding out on which side an event is. Events that are nearer to
    a slanted edge than that, but not on it, may be told apart otherwise by either rule.

    Raises
    ------
    ValueError
        It is no polygon, or a slanted edge is so flat that it would have to be moved visibly.
    """
    corners = np.asarray(vertices, np.float64)
    ends = np.roll(corners, -1, axis=0)
    if len(corners) < 3 or not np.isfinite(ends - corners).all():
        raise ValueError("needs at least three finite vertices")
    (dx, dy), (x, y) = (ends - corners).T, np.spacing(np.maximum(np.abs(corners), np.abs(ends))).T
    slanted = (dx != 0) & (dy != 0)
    with np.errstate(over="ignore"):
        room = ROOM * max((x + np.abs(dx / np.where(slanted, dy, 1.0)) * y)[slanted], default=0.0)
    if room > FURTHEST * np.ptp(corners[:, 0]):
        raise ValueError("has an edge that is all but level: draw it level, or steeper")
    side = np.inf if to == "ours" else -np.inf
    outline: Vertices = []
    for start, end in zip(corners.tolist(), ends.tolist(), strict=True):
        if start[1] == end[1]:
            continue  # no ray crosses a level edge
        goes_up = start[1] < end[1]
        for at_x, at_y in (start, end):
            if start[0] != end[0]:
                at_x += room if goes_up and to == "ours" else -room
            elif goes_up:
                at_x = float(np.nextafter(at_x, side)) if at_x else math.copysign(NEAREST, side)
            vertex = (at_x, float(np.nextafter(at_y, side)))
            if vertex not in outline[-1:]:
                outline.append(vertex)
    if len(outline) > 1 and outline[0] == outline[-1]:
        outline.pop()
    while len(outline) < 3:  # nothing is inside, and it is a polygon all the same
        outline.append(outline[-1] if outline else (corners[0, 0].item(), corners[0, 1].item()))
    return outline


def _edge(dimension: AnyDimension, bound: float | None) -> float | None:
    """Return the least value that lies on a bound, within the rounding of its scale."""
    return None if bound is None else bound - dimension.transform.rounding

"""Gates as questions about scale values: who is inside, and who must be transformed to tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Transform
from nti7flow.gating.cells import SIDE, Axis, make_axis, outline_states
from nti7flow.gating.columns import Survivors
from nti7flow.gating.cuts import Cut
from nti7flow.gating.gates import EllipsoidGate, PolygonGate
from nti7flow.gating.polygon import INSIDE, NEAR

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
#: Events a gate is asked about before its outline is divided into cells.
WORTH_CELLS = 8_192
NOBODY: Rows = np.empty(0, np.intp)


class Question(Protocol):
    """A gate, to be asked in the units of columns."""

    def look(self, events: Survivors) -> tuple[Bools, Rows]:
        """Say which of the events are surely inside, shape (n,), and at which positions that cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Side:
    """What a gate asks of one column: not to be below ``low``, and to be below ``high``; None asks nothing."""

    key: int
    low: Cut | None
    high: Cut | None

    def maybe(self, x: Floats) -> Iterator[Bools]:
        """Conditions that every event inside fulfils."""
        if self.low is not None:
            yield x >= self.low.below
        if self.high is not None and not isnan(self.high.above):
            yield x < self.high.above

    def surely(self, x: Floats) -> Iterator[Bools]:
        """Conditions that no event outside fulfils all of."""
        if self.low is not None:
            yield x >= self.low.above
        if self.high is not None:
            yield x < self.high.below
            if self.high.start > -np.inf:
                yield x >= self.high.start


def _all(conditions: Iterator[Bools], n: int) -> Bools:
    found = next(conditions, None)
    if found is None:
        return np.ones(n, np.bool_)
    for condition in conditions:
        found &= condition
    return found


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on each of some columns: a rectangle, or a quadrant."""

    sides: tuple[Side, ...]

    def look(self, events: Survivors) -> tuple[Bools, Rows]:
        """Say who is inside, and of whom that cannot be told."""
        maybe, surely = (
            _all((c for side in self.sides for c in conditions(side, events.column(side.key))), events.n)
            for conditions in (Side.maybe, Side.surely)
        )
        if np.count_nonzero(maybe) == np.count_nonzero(surely):
            return surely, NOBODY
        return surely, np.flatnonzero(maybe & ~surely)


@dataclass(eq=False)
class Binned:
    """A column with a transform, and its bins for the outlines of all gates on it."""

    key: int
    transform: Transform
    ranges: list[tuple[float, float]] = field(default_factory=list)

    @cached_property
    def axis(self) -> Axis | None:
        """The bins; None where values have none."""
        return make_axis(self.transform, self.ranges)

    def of(self, events: Survivors) -> NDArray[np.uint8]:
        """Bins of these events, shape (n,)."""
        found = events.bins.get(self)
        if found is None:
            assert self.axis is not None
            found = events.bins[self] = self.axis.bins(events.column(self.key))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Two axes, and the cells of events on them for all gates there."""

    x: Binned
    y: Binned

    @property
    def has_cells(self) -> bool:
        """Whether the values of both axes have bins."""
        return self.x.axis is not None and self.y.axis is not None

    def of(self, events: Survivors) -> NDArray[np.intp]:
        """Cells of these events, shape (n,): ``SIDE * bin of x + bin of y``."""
        found = events.cells.get(self)
        if found is None:
            cells = np.multiply(self.x.of(events), SIDE, dtype=np.uint16)
            cells += self.y.of(events)
            found = events.cells[self] = cells.astype(np.intp)
        return found


@dataclass(eq=False)
class Outline:
    """A polygon or an ellipsoid: the box around it and, once many events were asked, its cells in two dimensions."""

    gate: PolygonGate | EllipsoidGate
    box: Bounds
    plane: Plane | None
    asked: int = 0

    def look(self, events: Survivors) -> tuple[Bools, Rows]:
        """Say who is inside, and of whom that cannot be told."""
        self.asked += events.n
        if self.plane is not None and self.asked >= WORTH_CELLS and self.plane.has_cells:
            states = self.states.take(self.plane.of(events), mode="clip")
            return states == INSIDE, np.flatnonzero(states == NEAR)
        maybe = _all((c for side in self.box.sides for c in side.maybe(events.column(side.key))), events.n)
        return np.zeros(events.n, np.bool_), np.flatnonzero(maybe)

    @cached_property
    def states(self) -> NDArray[np.uint8]:
        """What is known of each cell."""
        assert self.plane is not None and self.plane.x.axis is not None and self.plane.y.axis is not None
        return outline_states(self.gate, self.plane.x.axis, self.plane.y.axis)

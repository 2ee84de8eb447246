"""Evaluation of a strategy on a tube: a plan over the columns it needs, block by block, survivors only.

Memberships are those of `apply_gate`, to the event. What differs is the work. Events are read in blocks that stay in a
core's cache, and only the columns that gates need are taken from them. A column is compensated for the events that are
left where it is first asked for, and kept for the gates that follow. Bounds are compared on the scale of values and
outlines looked up there (`scale_tests`): only events too near a bound or an outline to be told apart are transformed
and asked of the gate itself. `compiler` makes the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.sample import Sample
from nti7flow.events.transforms import Transform
from nti7flow.gating.columns import Source, Survivors
from nti7flow.gating.gates import BooleanGate, GeometricGate, PolygonGate, RectangleGate
from nti7flow.gating.scale_tests import Question

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
#: Positions in a block.
Short = np.uint16
#: Events of a block, at most 65,536. Their columns stay in a core's cache, or near it, and there are few enough calls.
ROWS = 65_536
#: Members are copied together when they are fewer than this share of the events they lie among.
CROWDED = 0.6


@dataclass(frozen=True, slots=True)
class Step:
    """A population that has members: its gate, what is asked, and who is no longer needed afterwards."""

    id: str
    parent: str | None
    gate: GeometricGate | BooleanGate
    question: Question | None
    dimensions: tuple[tuple[int, Transform], ...]
    done_with: tuple[str, ...]


class Group:
    """The members of a population in a block: all of some events, or those at some positions among them."""

    def __init__(self, events: Survivors, inside: Bools | None) -> None:
        self.events, self.inside = events, inside
        self.picked = None if inside is None else np.flatnonzero(inside)
        self.n = events.n if self.picked is None else len(self.picked)

    def crowd(self) -> None:
        """Copy the members together where they are few among the events they lie among."""
        if self.picked is not None and self.n < CROWDED * self.events.n:
            self.events, self.inside, self.picked = self.events.some(self.picked), None, None

    def rows(self) -> Rows:
        """Positions of the members in the block."""
        if self.picked is None:
            return np.arange(self.events.n) if self.events.rows is None else self.events.rows
        return self.picked if self.events.rows is None else self.events.rows.take(self.picked, mode="clip")

    def among(self, events: Survivors, n_block: int) -> Bools:
        """Which of some events are members, shape (n,)."""
        if events is self.events and self.inside is not None:
            return self.inside
        mask = np.zeros(n_block, np.bool_)
        mask[self.rows()] = True
        return mask if events.rows is None else mask.take(events.rows, mode="clip")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How the gates of a strategy are evaluated on one tube.

    Attributes
    ----------
    sample : Sample
        The tube.
    channels : tuple of int
        Channels that are taken from every event: the first columns.
    sources : list of Source or None
        Where each column comes from; None for those of ``channels``.
    populations : tuple of str
        All of them, in order.
    steps : tuple of Step
        Those that have members.
    """

    sample: Sample
    channels: tuple[int, ...]
    sources: list[Source | None]
    populations: tuple[str, ...]
    steps: tuple[Step, ...]

    def run(self) -> dict[str, Rows | None]:
        """Sorted indices of the events of each population, or None where it has no gate."""
        pieces: dict[str, list[tuple[int, NDArray[Short]]]] = {step.id: [] for step in self.steps}
        with np.errstate(all="ignore"):  # NaN and infinity are values like others
            for start, whole in self._blocks():
                for name, positions in self._walk(whole):
                    pieces[name].append((start, positions.astype(Short)))
        return {name: _joined(pieces.pop(name)) if name in pieces else None for name in self.populations}

    def _blocks(self) -> Iterator[tuple[int, Survivors]]:
        """First row and events of consecutive blocks; the next one overwrites the last."""
        size = min(ROWS, self.sample.n_events) if self.steps else 0
        if not size:
            return
        columns = np.empty((len(self.channels), size))
        start = filled = 0
        for stored in self.sample.stored.blocks():
            taken = 0
            while taken < len(stored):
                n = min(size - filled, len(stored) - taken)
                part = stored[taken : taken + n]
                for column, channel in zip(columns, self.channels, strict=True):
                    column[filled : filled + n] = part[:, channel]
                taken, filled = taken + n, filled + n
                if filled == size or start + filled == self.sample.n_events:
                    yield start, self._scaled(columns[:, :filled])
                    start, filled = start + filled, 0

    def _scaled(self, columns: Floats) -> Survivors:
        for column, channel in zip(columns, self.channels, strict=True):
            self.sample.to_scale(self.sample.panel.channels[channel], column)
        return Survivors(self.sources, columns.shape[1], dict(enumerate(columns)))

    def _walk(self, whole: Survivors) -> Iterator[tuple[str, Rows]]:
        """Gate one block: populations that have members there, and their positions."""
        groups: dict[str | None, Group] = {None: Group(whole, None)}
        for step in self.steps:
            parent = groups[step.parent]
            if not parent.n:
                groups[step.id] = parent
                continue
            parent.crowd()
            if step.question is None:
                assert isinstance(step.gate, BooleanGate)
                sides = {o.population: groups[o.population].among(parent.events, whole.n) for o in step.gate.operands}
                inside = step.gate.combine(sides)
            else:
                inside = _ask(step, step.question, parent)
            if parent.inside is not None:
                inside &= parent.inside
            group = groups[step.id] = Group(parent.events, inside)
            if group.n:
                yield step.id, group.rows()
            for name in step.done_with:
                del groups[name]


def _joined(pieces: list[tuple[int, NDArray[Short]]]) -> Rows:
    """Rows in the tube, from positions in its blocks."""
    rows = np.empty(sum(len(piece) for _, piece in pieces), np.intp)
    filled = 0
    for start, piece in pieces:
        np.add(piece, start, out=rows[filled : filled + len(piece)], dtype=np.intp)
        filled += len(piece)
    return rows


def _ask(step: Step, question: Question, parent: Group) -> Bools:
    """Say which events are inside a gate; whoever it cannot tell is transformed and asked of the gate itself."""
    events = parent.events
    inside, unsure = question.look(events)
    if isinstance(step.gate, RectangleGate | PolygonGate) and step.gate.complement:
        np.logical_not(inside, out=inside)
    if len(unsure) and parent.inside is not None:
        unsure = unsure[parent.inside[unsure]]
    if len(unsure):
        assert not isinstance(step.gate, BooleanGate)
        y = np.empty((len(unsure), len(step.dimensions)), order="F")
        for i, (key, transform) in enumerate(step.dimensions):
            y[:, i] = transform.apply(events.column(key).take(unsure, mode="clip"))
        inside[unsure] = step.gate.contains(y)
    return inside

"""Gating uncertainty: by how many events every count would change if a gate lay where its spread says it might.

A gate that moves flips a few events near its edge, and only those are gated again: what they would have been with the
other gates as they are. Gates are taken one at a time, and what each of them does to a count adds up in squares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.gates import BooleanGate, PlacedGate, PolygonGate, RectangleGate
from nti7flow.gating.strategy import Members, Population
from nti7flow.gating.values import DisplayValues

Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]


def widened(gate: PlacedGate, by: float) -> PlacedGate:
    """Return a gate whose bounds, or points, lie farther out by so many display units; narrower where negative."""
    if isinstance(gate, PolygonGate):
        points = np.array(gate.vertices)
        outward = points - points.mean(axis=0)
        outward /= np.maximum(np.hypot(*outward.T), 1e-12)[:, None]
        return PolygonGate(gate.dimensions, tuple((float(x), float(y)) for x, y in points + by * outward))
    lower = tuple(None if bound is None else bound - by for bound in gate.lower)
    upper = tuple(None if bound is None else bound + by for bound in gate.upper)
    return RectangleGate(gate.dimensions, lower, upper)


def gating_sd(
    values: DisplayValues, populations: Iterable[Population], members: Members, spreads: Mapping[str, float]
) -> dict[str, float]:
    """Return the standard deviation of every count that the spreads of the gates leave open.

    Parameters
    ----------
    values : DisplayValues
        Of the tube.
    populations : iterable of Population
        In the order they are applied.
    members : Members
        Their memberships.
    spreads : mapping of str to float
        Standard deviation of the bounds, or the points, of a population's gate, display units.

    Returns
    -------
    dict of str to float
        Events, for every population that has a count.
    """
    ordered = list(populations)
    counted = _Counted(values, ordered, members, {})
    squares = {population.id: 0.0 for population in ordered if members.rows(population.id) is not None}
    needed = {name for population in ordered for name in population.needs}
    for i, population in enumerate(ordered):
        spread = spreads.get(population.id, math.nan)
        rows = members.rows(population.parent)
        helper = population.id not in needed and population.id not in squares
        if not isinstance(population.gate, RectangleGate | PolygonGate) or rows is None or helper:
            continue
        if not (math.isfinite(spread) and spread > 0):
            continue
        after = _resting_on(population, ordered[i + 1 :])
        changes = [counted.changes(population, population.gate, after, by) for by in (-spread, spread)]
        for name in changes[0]:
            squares[name] += (sum(abs(change[name]) for change in changes) / 2) ** 2
    return {name: math.sqrt(square) for name, square in squares.items()}


def _resting_on(population: Population, others: Iterable[Population]) -> list[Population]:
    """Of some populations in their order, those that rest on one, directly or through others."""
    found = {population.id}
    resting = []
    for other in others:
        if other.gate is not None and found.intersection(other.needs):
            found.add(other.id)
            resting.append(other)
    return resting


@dataclass(frozen=True)
class _Counted:
    """A gated tube, some events of which are gated again."""

    values: DisplayValues
    populations: list[Population]
    members: Members
    masks: dict[str, Bools]

    def changes(self, moved: Population, gate: PlacedGate, after: list[Population], by: float) -> dict[str, int]:
        """Change of the count of a population, and of all that rest on it, if its gate is widened."""
        rows = self.members.rows(moved.parent)
        assert rows is not None
        inside = widened(gate, by).contains(self.values.of(gate.dimensions, rows))
        flipped = inside != self._mask(moved.id)[rows]
        near = rows[flipped]
        now: dict[str, Bools] = {moved.id: inside[flipped]}
        for population in after:
            now[population.id] = self._again(population, near, now)
        return {name: int(sides.sum()) - int(self._mask(name)[near].sum()) for name, sides in now.items()}

    def _again(self, population: Population, rows: Rows, now: Mapping[str, Bools]) -> Bools:
        """Which of some events a population would hold."""
        gate = population.gate
        sides = self._side(population.parent, rows, now)
        if isinstance(gate, BooleanGate):
            operands = {operand.population: self._side(operand.population, rows, now) for operand in gate.operands}
            return np.asarray(sides & gate.combine(operands))
        assert isinstance(gate, RectangleGate | PolygonGate)
        return np.asarray(sides & gate.contains(self.values.of(gate.dimensions, rows)))

    def _side(self, name: str | None, rows: Rows, now: Mapping[str, Bools]) -> Bools:
        if name is None:
            return np.ones(len(rows), np.bool_)
        return now[name] if name in now else self._mask(name)[rows]

    def _mask(self, name: str) -> Bools:
        if name not in self.masks:
            mask = self.members.mask(name)
            self.masks[name] = np.zeros(self.members.n_events, np.bool_) if mask is None else mask
        return self.masks[name]

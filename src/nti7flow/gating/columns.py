"""Columns of scale values, for the events of a block that are left: made where they are asked for, and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.dimensions import RatioDimension

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


class Source(Protocol):
    """Where a column of scale values comes from."""

    def of(self, events: Survivors) -> Floats:
        """Scale values of these events, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Compensated:
    """A sum of channels, each with its weight, in the order of the matrix."""

    terms: tuple[tuple[int, float], ...]

    def of(self, events: Survivors) -> Floats:
        """Scale values of these events: not a matrix product, in which a value depends on how many there are."""
        total, term = np.zeros(events.n), np.empty(events.n)
        for key, weight in self.terms:
            total += np.multiply(events.column(key), weight, out=term)
        return total


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of two columns."""

    x: int
    y: int
    dimension: RatioDimension

    def of(self, events: Survivors) -> Floats:
        """Scale values of these events."""
        return self.dimension.of(events.column(self.x), events.column(self.y))


class Survivors:
    """Some events of a block, with the columns and bins that were found for them so far.

    Parameters
    ----------
    sources : list of Source or None
        Where columns come from; None is a channel, which the block holds from the start.
    columns : dict of int to ndarray
        Columns of a whole block.
    """

    def __init__(self, sources: list[Source | None], n: int, columns: dict[int, Floats]) -> None:
        self.sources, self.n, self.columns = sources, n, columns
        self.rows: Rows | None = None  # in the block; None is all of it
        self.parent: tuple[Survivors, Rows] | None = None
        self.bins: dict[object, NDArray[np.uint8]] = {}
        self.cells: dict[object, Rows] = {}

    def some(self, picked: Rows) -> Survivors:
        """Return the events at these positions among these ones."""
        chosen = Survivors(self.sources, len(picked), {})
        chosen.rows = picked if self.rows is None else self.rows.take(picked, mode="clip")
        chosen.parent = self, picked
        return chosen

    def column(self, key: int) -> Floats:
        """Scale values of a column, shape (n,)."""
        found = self.columns.get(key)
        if found is None:
            source = self.sources[key]
            if self.parent is not None and (source is None or key in self.parent[0].columns):
                found = self.parent[0].column(key).take(self.parent[1], mode="clip")
            else:
                assert source is not None
                found = source.of(self)
            self.columns[key] = found
        return found

"""A sheet before its header is understood: rows of text, wherever they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CellTrouble:
    """A cell whose value cannot be had: what was found in it, and what to do."""

    found: str
    expected: str
    do: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of stripped text.

    Attributes
    ----------
    records : list of (int, list of str)
        Rows that hold anything, each with its number in the file, from 1.
    decimal_comma : bool
        A comma may be a decimal mark, because it does not separate cells.
    percent : frozenset of (int, int)
        Row number and index of cells, from 0, that hold a fraction and show it as a percentage.
    troubles : Mapping of (int, int) to CellTrouble
        Row number and index of cells, from 0, whose value cannot be had.
    """

    records: list[tuple[int, list[str]]]
    decimal_comma: bool = False
    percent: frozenset[tuple[int, int]] = frozenset()
    troubles: Mapping[tuple[int, int], CellTrouble] = field(default_factory=dict)

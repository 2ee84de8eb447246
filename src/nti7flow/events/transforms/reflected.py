"""Curves whose inverse has no formula, solved from a table: the machinery of logicle and hyperlog."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from nti7flow.events.transforms.base import Floats

#: Rows of the start table.
N_ROWS = 4097
#: The table reaches 0.3 above the visible scale: all a cytometer writes.
TABLE_TOP = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class ReflectedCurve(ABC):
    """A rising curve for ``y >= x1``, zero at ``x1``, and its point reflection below.

    ``start`` holds positions ``y`` at equal steps of ``arcsinh(x / unit)``, a scale on which the curve is nearly
    straight: the table is entered by arithmetic, without a search.

    Attributes
    ----------
    x1 : float
        Display position of zero.
    unit : float
        About where the scale turns from linear to logarithmic, scale units.
    step : float
        Distance of the table's rows, in ``arcsinh(x / unit)``.
    start : ndarray of float64, shape (N_ROWS,)
        Display positions.
    """

    x1: float
    unit: float
    step: float
    start: Floats

    @abstractmethod
    def upper(self, y: Floats) -> Floats:
        """Scale value at display position ``y >= x1``."""

    @abstractmethod
    def halley(self, y: Floats, x: Floats) -> Floats:
        """One step of Halley's method for ``upper(y) == x``; the error becomes its cube."""

    @abstractmethod
    def guess(self, x: Floats) -> Floats:
        """Display position off the table, near enough for Halley's method to converge from it."""

    def value(self, y: Floats) -> Floats:
        """Scale value at display position ``y``."""
        return np.asarray(np.copysign(self.upper(self.x1 + np.abs(y - self.x1)), y - self.x1))

    def solve(self, x: Floats) -> Floats:
        """Display position ``y`` with ``value(y) == x``, shape (n,)."""
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            size = np.abs(x)
            position = np.arcsinh(size / self.unit) / self.step
            inside = position < len(self.start) - 1  # False for NaN
            cell = np.where(inside, position, 0.0).astype(np.intp)
            y = self.start[cell]
            y += (position - cell) * (self.start[cell + 1] - y)
            y = self.halley(y, size)
            if not inside.all():
                far = ~inside
                y[far] = self.beyond(size[far])
            y -= self.x1
            np.copysign(y, x, out=y)
            y += self.x1
        return y

    def beyond(self, x: Floats) -> Floats:
        """Display position off the table; NaN and infinity stay."""
        y = self.guess(x)
        for _ in range(6):
            nearer = self.halley(y, x)
            y = np.where(np.isfinite(nearer), nearer, y)
        return y

    def tabulated(self) -> Self:
        """Return the curve with its start table; rows are found by Halley from a coarse start."""
        fine = np.linspace(self.x1, TABLE_TOP, N_ROWS - 1)
        top = float(np.arcsinh(self.value(fine[-1:]) / self.unit)[0])
        step = top / (N_ROWS - 1)
        x = self.unit * np.sinh(np.arange(N_ROWS) * step)
        start = np.interp(x, self.value(fine), fine)
        for _ in range(3):
            start = self.halley(start, x)
        start.flags.writeable = False
        return replace(self, step=step, start=start)

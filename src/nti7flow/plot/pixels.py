"""From display units to the pixels of a frame, and what labels should keep clear of there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.plot.dots import Density
from nti7flow.plot.outlines import Box
from nti7flow.plot.placing import CELL, Rect
from nti7flow.plot.view import View

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pixels:
    """A frame of ``width`` x ``height`` pixels that shows a view; the origin is its lower left corner."""

    view: View
    width: float
    height: float

    @property
    def frame(self) -> Rect:
        """All of it."""
        return Rect(0.0, 0.0, self.width, self.height)

    def points(self, xy: Floats) -> Floats:
        """Pixels of points in display units, shape (n, 2)."""
        low, high = np.array([self.view.x, self.view.y]).T
        return np.asarray((xy - low) / (high - low) * (self.width, self.height))

    def rect(self, box: Box) -> Rect:
        """Box in the frame; an open side, and one out of sight, is the frame's edge."""
        sides = []
        for bounds, limits in ((box.x, self.view.x), (box.y, self.view.y)):
            ends = [limit if bound is None else bound for bound, limit in zip(bounds, limits, strict=True)]
            sides.append(np.clip(ends, *limits))
        (left, bottom), (right, top) = self.points(np.array(sides).T)
        return Rect(float(left), float(bottom), float(right), float(top))

    def along(self, path: Floats) -> Floats:
        """Points of a path in display units that lie in the frame, no more than a cell apart, shape (n, 2)."""
        corners = self.points(path)
        lengths = np.hypot(*np.diff(corners, axis=0).T)
        pieces = [
            np.linspace(start, end, max(2, int(min(length, 10_000) / CELL) + 2))
            for start, end, length in zip(corners[:-1], corners[1:], lengths, strict=True)
        ]
        points = np.concatenate(pieces)
        return points[((points >= 0) & (points < (self.width, self.height))).all(axis=1)]

    def lines(self, paths: Sequence[Floats]) -> Floats:
        """Map of the cells that a line runs through, shape (n_cells_y, n_cells_x)."""
        grid = np.zeros((int(self.height // CELL) + 1, int(self.width // CELL) + 1))
        for path in paths:
            x, y = (self.along(path) // CELL).astype(np.intp).T
            grid[y, x] = 1.0
        return grid

    def ink(self, density: Density) -> Floats:
        """Map of the events: 0 for white, 1 for the densest cell, shape (n_cells_y, n_cells_x)."""
        shown = (0.3 + 0.7 * density.levels) * density.opacity
        return shown[CELL // 2 :: CELL, CELL // 2 :: CELL]

"""Names and percentages of the gates on one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.histogram import Axis
from nti7flow.gating.strategy import Population
from nti7flow.plot.lines import paths_of
from nti7flow.plot.outlines import Box, Outline
from nti7flow.plot.placing import CELL, INSET, Rect, Wish, place
from nti7flow.plot.style import ALERT, INK, SMALL, VALUE, halo
from nti7flow.plot.text import size_of, wrapped, write_on
from nti7flow.plot.view import Density, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from nti7flow.gating.picture import Panel2D

Floats = NDArray[np.float64]
#: Letters in a line of a label.
LINE = 22
#: So that a reader of the figure, or a test, finds them.
GID = "gate-label"


@dataclass(frozen=True, slots=True)
class Label:
    """What is written beside a gate: whose it is, its share, and whether a person should look."""

    name: str
    value: str
    alert: bool = False


def draw_labels(
    axes: Axes, panel: Panel2D, view: View, density: Density, outlines: Sequence[Outline], labels: Mapping[str, Label]
) -> list[Population]:
    """Write every label where there is room; returns the populations for which there was none."""
    shown = [outline for outline in outlines if outline.labelled]
    blocks = [_block(axes, labels[outline.population.id], outline, view) for outline in shown]
    frame = Rect(0.0, 0.0, float(axes.bbox.width), float(axes.bbox.height))
    to_px = _Pixels(view, frame)
    wishes = [_wish(outline, _size(block), to_px) for outline, block in zip(shown, blocks, strict=True)]
    lines = to_px.raster([path for o in outlines if o.drawn for path in paths_of(o.shape, view)])
    places = place(wishes, (frame.right, frame.top), to_px.ink(panel, density), lines)
    for block, found in zip(blocks, places, strict=True):
        _settle(axes, block, found)
    return [outline.population for outline, found in zip(shown, places, strict=True) if found is None]


def _block(axes: Axes, label: Label, outline: Outline, view: View) -> list[Text]:
    """Name and value as two texts, not yet in their place."""
    look = {"color": ALERT if label.alert else INK, "ha": _alignment(outline, view), "va": "bottom", "gid": GID}
    parts = [(label.value, VALUE, "bold"), (wrapped(label.name, LINE), SMALL, "normal")]
    return [
        write_on(axes, 0, 0, words, size, weight=weight, path_effects=halo(3.0), **look)
        for words, size, weight in parts
        if words
    ]


def _alignment(outline: Outline, view: View) -> str:
    if not isinstance(outline.shape, Box):
        return "center"
    low, high = outline.shape.x
    return "center" if (low is None) == (high is None) else "right" if low is not None else "left"


def _size(block: list[Text]) -> tuple[float, float]:
    sizes = [size_of(text) for text in block]
    return max(width for width, _ in sizes), sum(height for _, height in sizes)


def _settle(axes: Axes, block: list[Text], found: Rect | None) -> None:
    """Stack a block's texts in its place, from the bottom; a block without a place is taken away."""
    bottom = found.bottom if found is not None else 0.0
    for text in block:
        if found is None:
            text.remove()
            continue
        x = {"left": found.left, "right": found.right}.get(text.get_ha(), (found.left + found.right) / 2)
        text.set_position((x / axes.bbox.width, bottom / axes.bbox.height))
        bottom += size_of(text)[1]


def _wish(outline: Outline, size: tuple[float, float], to_px: _Pixels) -> Wish:
    if not isinstance(outline.shape, Box):
        path = to_px.dense_path(paths_of(outline.shape, to_px.view)[0])
        inside = path[(path >= 0).all(axis=1) & (path <= (to_px.frame.right, to_px.frame.top)).all(axis=1)]
        return Wish(size, to_px.frame, inside if len(inside) else path)
    home = to_px.rect(outline.shape)
    open_x, open_y = ((low is None) != (high is None) for low, high in (outline.shape.x, outline.shape.y))
    # In the corner away from all thresholds; along the upper or right edge where there is only one.
    x = home.right - INSET if outline.shape.x[0] is not None or not open_x else home.left + INSET
    y = home.bottom + INSET if open_y and outline.shape.y[0] is None else home.top - INSET
    return Wish(size, home, np.array([[x, y]]))


@dataclass(frozen=True, slots=True)
class _Pixels:
    """From display units to pixels in the frame of some axes."""

    view: View
    frame: Rect

    def points(self, xy: Floats) -> Floats:
        low = np.array([self.view.x[0], self.view.y[0]])
        high = np.array([self.view.x[1], self.view.y[1]])
        return np.asarray((xy - low) / (high - low) * (self.frame.right, self.frame.top))

    def rect(self, box: Box) -> Rect:
        """Box in the frame, open sides at its edge."""
        corners = [
            [limits[end] if bounds[end] is None else bounds[end] for bounds, limits in ((box.x, self.view.x), (box.y, self.view.y))]
            for end in (0, 1)
        ]
        (left, bottom), (right, top) = self.points(np.array(corners, np.float64))
        return Rect(float(left), float(bottom), float(right), float(top))

    def dense_path(self, path: Floats) -> Floats:
        """Points along a path in display units, no more than a cell apart, pixels."""
        corners = self.points(path)
        steps = np.hypot(*np.diff(corners, axis=0).T)
        pieces = [
            np.linspace(a, b, max(2, int(min(step, 10_000) / CELL) + 2))
            for a, b, step in zip(corners[:-1], corners[1:], steps, strict=True)
        ]
        return np.concatenate(pieces)

    def raster(self, paths: Sequence[Floats]) -> Floats:
        """Map of cells that a line runs through."""
        grid = np.zeros(self._shape)
        for path in paths:
            cells = np.floor(self.dense_path(path) / CELL).astype(int)
            inside = ((cells >= 0) & (cells < self._shape[::-1])).all(axis=1)
            grid[cells[inside, 1], cells[inside, 0]] = 1.0
        return grid

    def ink(self, panel: Panel2D, density: Density) -> Floats:
        """Map of the events: 0 for white, 1 for the densest cell."""
        ny, nx = self._shape
        ix, known_x = _bins(panel.x_axis, self.view.x, nx)
        iy, known_y = _bins(panel.y_axis, self.view.y, ny)
        shown = (0.3 + 0.7 * density.levels) * density.opacity
        return np.asarray(shown[np.ix_(iy, ix)] * np.outer(known_y, known_x))

    @property
    def _shape(self) -> tuple[int, int]:
        return int(np.ceil(self.frame.top / CELL)), int(np.ceil(self.frame.right / CELL))


def _bins(axis: Axis, limits: tuple[float, float], n_cells: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Bin of each cell's centre along one side of the frame, and whether the axis has one there."""
    centres = limits[0] + (np.arange(n_cells) + 0.5) / n_cells * (limits[1] - limits[0])
    return axis.index(centres), (centres >= axis.low) & (centres < axis.high)

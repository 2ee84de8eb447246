"""Where labels go: inside the frame, never on each other, near what they name and off the events. Pixels throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Size of a cell of the ink map, and step between candidate places, pixels.
CELL, STEP = 3, 5
#: Distance labels keep from the frame and from each other, pixels.
INSET, SPACE = 6.0, 5.0
#: What is added to a label on each side when it is asked whether it touches a line, pixels.
CLEARANCE = np.array([-4.0, -2.0, 4.0, 2.0])


@dataclass(frozen=True, slots=True)
class Rect:
    """Left, bottom, right and top, pixels from the lower left corner of the axes."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A label that wants a place.

    Attributes
    ----------
    size : tuple of float
        Width and height.
    home : Rect
        Where it belongs: the kept side of a threshold, a quadrant, or the whole frame.
    targets : ndarray of float64, shape (n, 2)
        Points it wants to be next to: an outline, an edge or a corner.
    """

    size: tuple[float, float]
    home: Rect
    targets: Floats


def place(wishes: Sequence[Wish], frame: tuple[float, float], ink: Floats, lines: Floats) -> list[Rect | None]:
    """Find a place for each label, those with the smallest home first; None where there is none left.

    Parameters
    ----------
    wishes : sequence of Wish
        The labels.
    frame : tuple of float
        Width and height of the axes.
    ink, lines : ndarray of float64, shape (n_cells_y, n_cells_x)
        What a label would cover: events (0..1), and gate lines (0 or 1), in cells of `CELL` pixels.
    """
    sums = _cumulative(ink), _cumulative(lines)
    taken: list[Rect] = []
    places: list[Rect | None] = [None] * len(wishes)
    for i in sorted(range(len(wishes)), key=lambda i: _area(wishes[i].home)):
        rivals = [w.targets for j, w in enumerate(wishes) if j != i and w.home == wishes[i].home]
        places[i] = _best(wishes[i], rivals, frame, sums, taken)
        if (found := places[i]) is not None:
            taken.append(found)
    return places


def _best(
    wish: Wish, rivals: list[Floats], frame: tuple[float, float], sums: tuple[Floats, Floats], taken: list[Rect]
) -> Rect | None:
    boxes = _candidates(wish, frame)
    for other in taken:
        boxes = boxes[_gap(boxes, other) >= SPACE]
    if not len(boxes):
        return None
    home = wish.home
    outside = np.maximum(home.left - boxes[:, 0], 0) + np.maximum(boxes[:, 2] - home.right, 0)
    outside += np.maximum(home.bottom - boxes[:, 1], 0) + np.maximum(boxes[:, 3] - home.top, 0)
    near = _distance(boxes, wish.targets)
    nearest_rival = np.min([_distance(boxes, r) for r in rivals], axis=0) if rivals else np.full(len(boxes), np.inf)
    crossed = _covered(boxes + CLEARANCE, sums[1])
    cost = (
        near / 35.0
        + 9.0 * _covered(boxes, sums[0])
        + 40.0 * crossed
        + 3.0 * (crossed > 0)
        + np.maximum(near + 10.0 - nearest_rival, 0.0) / 10.0  # nobody should wonder whose label it is
        + 2.0 * (outside > 0)
        + outside / 10.0
    )
    left, bottom, right, top = boxes[int(np.argmin(cost))]
    return Rect(float(left), float(bottom), float(right), float(top))


def _candidates(wish: Wish, frame: tuple[float, float]) -> Floats:
    """All places in the frame in steps, flush with its inset on every side, shape (n, 4)."""
    starts = []
    for size, length in zip(wish.size, frame, strict=True):
        last = length - INSET - size
        starts.append(np.append(np.arange(INSET, last, STEP), last) if last >= INSET else np.empty(0))
    x, y = (grid.ravel() for grid in np.meshgrid(*starts, indexing="ij"))
    return np.stack([x, y, x + wish.size[0], y + wish.size[1]], axis=1)


def _gap(boxes: Floats, other: Rect) -> Floats:
    """Larger of the horizontal and the vertical gap to another rectangle; negative where they overlap."""
    dx = np.maximum(other.left - boxes[:, 2], boxes[:, 0] - other.right)
    dy = np.maximum(other.bottom - boxes[:, 3], boxes[:, 1] - other.top)
    return np.maximum(dx, dy)


def _distance(boxes: Floats, targets: Floats) -> Floats:
    """Distance of each rectangle to the nearest of some points."""
    x, y = targets[None, :, 0], targets[None, :, 1]
    dx = np.maximum(np.maximum(boxes[:, None, 0] - x, x - boxes[:, None, 2]), 0)
    dy = np.maximum(np.maximum(boxes[:, None, 1] - y, y - boxes[:, None, 3]), 0)
    return np.asarray(np.sqrt((dx**2 + dy**2).min(axis=1)))


def _cumulative(grid: Floats) -> Floats:
    """Sum over everything left of and below each cell's corner, so that a rectangle's sum takes four look-ups."""
    return np.pad(grid.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _covered(boxes: Floats, sums: Floats) -> Floats:
    """Mean of a map under each rectangle."""
    n_y, n_x = (n - 1 for n in sums.shape)
    cells = np.stack([np.floor(boxes[:, :2] / CELL), np.ceil(boxes[:, 2:] / CELL)], axis=1).astype(int)
    x0, x1 = (np.clip(cells[:, end, 0], 0, n_x) for end in (0, 1))
    y0, y1 = (np.clip(cells[:, end, 1], 0, n_y) for end in (0, 1))
    total = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return np.asarray(total / np.maximum((x1 - x0) * (y1 - y0), 1))


def _area(rect: Rect) -> float:
    return (rect.right - rect.left) * (rect.top - rect.bottom)

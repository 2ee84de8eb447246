"""Points inside a polygon, by the even-odd rule, quickly for many points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
States = NDArray[np.uint8]

#: Cells per side of the grid that spares most points the walk round the outline, and from how many points it pays.
GRID, WORTH_A_GRID = 64, 20_000
#: How many pairs of points or cells with edges are too many for memory.
TOO_MANY = 1 << 21
#: What may be said of a cell: none of its points are inside, all are, or each has to be asked.
OUTSIDE, INSIDE, NEAR = 0, 1, 2
#: Distance from an outline, relative to the size of coordinates, within which points are asked: beyond all rounding.
MARGIN = 1e-9
#: Coordinates beyond this, or as far apart as its inverse, overflow or vanish when they are multiplied: then nothing is
#: said of cells.
HUGE = 1e100


def points_inside(vertices: Floats, px: Floats, py: Floats) -> Bools:
    """Points inside a polygon, exactly as `_even_odd`, but quickly for many points.

    The bounding box is divided into cells. All points of a cell that no edge comes near are on the same side; only the
    others are tested one by one.
    """
    if len(px) < WORTH_A_GRID or not np.abs(vertices).max() < HUGE:
        return _even_odd(vertices, px, py)
    (x_lines, px_cell), (y_lines, py_cell) = (_even_lines(vertices[:, i], p) for i, p in enumerate((px, py)))
    states = polygon_cells(vertices, x_lines, y_lines).ravel().take(px_cell * GRID + py_cell)
    inside: Bools = states == INSIDE
    near = np.flatnonzero(states == NEAR)
    inside[near] = _even_odd(vertices, px[near], py[near])
    return inside


def _even_lines(corners: Floats, points: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Lines at equal distances over the corners, and the cell of each point."""
    low, size = corners.min(), np.ptp(corners)
    scale = GRID / size if size > 1.0 / HUGE else 1.0
    cells = ((points - low) * scale).astype(np.intp)
    return low + np.arange(GRID + 1) / scale, np.clip(cells, 0, GRID - 1, out=cells)


def polygon_cells(vertices: Floats, x_lines: Floats, y_lines: Floats) -> States:
    """Say which cells of a grid are inside a polygon, outside, or near its outline.

    Parameters
    ----------
    vertices : ndarray of float64, shape (n_vertices, 2)
        The polygon; it closes itself.
    x_lines, y_lines : ndarray of float64, shapes (n + 1,) and (m + 1,)
        Borders of the columns and rows of cells, never falling.

    Returns
    -------
    ndarray of uint8, shape (n, m)
        `OUTSIDE`, `INSIDE` or `NEAR`.
    """
    n, m = len(x_lines) - 1, len(y_lines) - 1
    size = max(np.abs(vertices).max(), 1.0)
    ends = np.stack([vertices, np.concatenate([vertices[1:], vertices[:1]])])
    steps = np.abs(ends[1] - ends[0])
    sound = size < HUGE and ((steps == 0) | (steps > 1 / HUGE)).all()
    if not sound or n * len(vertices) > TOO_MANY:
        return np.full((n, m), NEAR, np.uint8)
    pad = MARGIN * size
    # Edges from left to right, beside the columns of cells: arrays of shape (n_edges, n).
    ends = np.take_along_axis(ends, np.argsort(ends[:, :, :1], axis=0, kind="stable"), axis=0)
    (x1, y1), (x2, y2) = (end.T[:, :, None] for end in ends)
    left, right = x_lines[:-1] - pad, x_lines[1:] + pad
    edges, columns = np.nonzero((right >= x1) & (left <= x2))
    with np.errstate(all="ignore"):
        parts = (np.stack([left, right])[:, columns] - x1[edges, 0]) / (x2 - x1)[edges, 0]
        # An upright edge is at its whole height in its column: 0 / 0 is neither end.
        parts[0], parts[1] = np.fmax(parts[0], 0.0), np.fmin(parts[1], 1.0)
    heights = y1[edges, 0] + np.clip(parts, 0.0, 1.0) * (y2 - y1)[edges, 0]
    first = np.searchsorted(y_lines, heights.min(axis=0) - pad, side="left") - 1
    last = np.searchsorted(y_lines, heights.max(axis=0) + pad, side="right")
    near = _runs(columns * m + np.clip(first, 0, m), columns * m + np.clip(last, 0, m))
    # Upwards along the middle of a column, each edge that is crossed changes sides: from odd ones to even ones inside.
    middle = (x_lines[:-1] + x_lines[1:]) / 2
    edges, columns = np.nonzero((x1 <= middle) & (middle < x2))
    heights = y1[edges, 0] + (middle[columns] - x1[edges, 0]) / (x2 - x1)[edges, 0] * (y2 - y1)[edges, 0]
    crossed = np.sort(columns * m + np.clip(np.searchsorted(y_lines, heights) - 1, 0, m)).tolist()
    states = np.full(n * m, OUTSIDE, np.uint8)
    for enter, leave in zip(crossed[::2], crossed[1::2], strict=True):
        states[enter:leave] = INSIDE
    states[near] = NEAR
    return states.reshape(n, m)


def _runs(starts: NDArray[np.intp], stops: NDArray[np.intp]) -> NDArray[np.intp]:
    """All integers of several ranges."""
    lengths = stops - starts
    return np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())


def _even_odd(vertices: Floats, px: Floats, py: Floats) -> Bools:
    """Count, edge by edge, how often a ray from each point to +x crosses the outline.

    Of the points on the outline those on a left or lower edge are inside, those on a right or upper one are not, as the
    bounds of a rectangle: polygons that share an edge share no event. FlowKit counts so too. Points are taken in the
    order of y, so that an edge meets only those at its own height: of most outlines that are two edges for each point.
    """
    ends = np.concatenate([vertices[1:], vertices[:1]])
    order = np.argsort(py, kind="stable")
    xs, ys = px[order], py[order]
    first = np.searchsorted(ys, np.minimum(vertices[:, 1], ends[:, 1]))
    last = np.searchsorted(ys, np.nextafter(np.maximum(vertices[:, 1], ends[:, 1]), np.inf))
    inside = np.empty(len(px), np.bool_)
    if (last - first).sum() < TOO_MANY:
        at, side = _runs(first, last), np.repeat(np.arange(len(vertices)), last - first)
        crossed = at[_crosses((vertices[side].T, ends[side].T), xs[at], ys[at])]
        inside[order] = np.bincount(crossed, minlength=len(px)) & 1
        return inside
    crossings = np.zeros(len(px), np.bool_)
    for edge, start, stop in zip(zip(vertices, ends, strict=True), first, last, strict=True):
        level = slice(start, stop)
        crossings[level] ^= _crosses(edge, xs[level], ys[level])
    inside[order] = crossings
    return inside


def _crosses(edge: tuple[Floats, Floats], x: Floats, y: Floats) -> Bools:
    """Whether the rays from points to +x cross an edge, one for all or one for each, from (x1, y1) to (x2, y2)."""
    (x1, y1), (x2, y2) = edge
    # Sign of the cross product: which side of the edge the point is on.
    side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
    spans = (y1 > y) != (y2 > y)
    return np.asarray(spans & np.where(y2 > y1, side > 0, side < 0))

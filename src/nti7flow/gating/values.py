"""Display values of a tube: decode, compensate and transform only the channels and rows that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.sample import Sample
from nti7flow.events.spectrum import Matrix
from nti7flow.events.spillover import Spillover
from nti7flow.gating.dimensions import AnyDimension, RatioDimension

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
#: Rows worked on at a time: a few columns of this many float64 stay in a core's cache.
BLOCK = 32_768
#: Values that are kept for later, 8 MB: all that gates ask for twice in a tube of 100,000 events.
KEPT = 1_000_000


def scale_values(sample: Sample, spillover: Matrix, detector: str, rows: Rows | slice, *, compensated: bool) -> Floats:
    """Scale values of one channel for some rows, shape (n_rows,), compensated or raw.

    Compensation is a sum over the detectors in their order, not a matrix product, so that a value never depends on
    how many rows are worked on together.
    """
    index = sample.panel.detector(detector).index
    n_rows = len(rows) if not isinstance(rows, slice) else len(range(*rows.indices(sample.n_events)))
    out = np.empty(n_rows)
    if not (compensated and detector in spillover.outputs):
        sample.column_into(index, out, rows)
        return out
    weights = spillover.compensation[:, spillover.outputs.index(detector)]
    out[:] = 0.0
    column = np.empty(n_rows)
    for other, weight in zip(spillover.detectors, weights, strict=True):
        if weight != 0.0:
            sample.column_into(sample.panel.detector(other).index, column, rows)
            with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are values like others
                column *= weight
                out += column
    return out


class DisplayValues:
    """Display values of one tube, compensated by its own matrix or those that dimensions name.

    The last answer is kept: gates that share axes and parent (the modes of one plot) ask for the same values in a row.
    So are the columns that were asked for last, as far as there is room.
    """

    def __init__(self, sample: Sample, spillover: Spillover, matrices: Mapping[str, Matrix] | None = None) -> None:
        self.sample = sample
        self.spillover = spillover
        self.matrices = matrices or {}
        self._last: tuple[Rows, tuple[AnyDimension, ...], Floats] | None = None
        # By the identity of the rows, which are kept with the column, so that no others take their place.
        self._columns: dict[tuple[int, AnyDimension], tuple[Rows, Floats]] = {}

    def of(self, dimensions: Sequence[AnyDimension], rows: Rows) -> Floats:
        """Display values for some rows, shape (n_rows, n_dimensions), column-contiguous, read-only."""
        asked = tuple(dimensions)
        if self._last is not None and self._last[0] is rows and self._last[1] == asked:
            return self._last[2]
        out = np.empty((len(rows), len(asked)), order="F")
        for i, dimension in enumerate(asked):
            kept = self._columns.pop((id(rows), dimension), None)  # put in again at the end: the last to be dropped
            if kept is not None:
                out[:, i] = kept[1]
            else:
                self._display(dimension, rows, out[:, i])
            self._keep(dimension, rows, out[:, i])
        out.flags.writeable = False
        self._last = (rows, asked, out)
        return out

    def _display(self, dimension: AnyDimension, rows: Rows, out: Floats) -> None:
        """Write display values along one axis for some rows into ``out``, shape (n_rows,)."""
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            with np.errstate(all="ignore"):  # NaN and infinity are values like others
                out[start : start + BLOCK] = dimension.transform.apply(self._scale(dimension, block))

    def _keep(self, dimension: AnyDimension, rows: Rows, column: Floats) -> None:
        """Keep a column, and drop those used longest ago where there is no room for all."""
        if len(rows) <= KEPT:
            self._columns[id(rows), dimension] = (rows, column)
            room = KEPT - sum(len(kept) for kept, _ in self._columns.values())
            for key in list(self._columns):
                if room >= 0:
                    break
                room += len(self._columns.pop(key)[0])

    def _scale(self, dimension: AnyDimension, rows: Rows) -> Floats:
        """Scale values along one axis for some rows, shape (n_rows,)."""
        if isinstance(dimension, RatioDimension):
            x, y = (
                scale_values(self.sample, self.spillover, name, rows, compensated=False) for name in dimension.detectors
            )
            return dimension.of(x, y)
        matrix = self.matrices[dimension.matrix] if dimension.matrix else self.spillover
        return scale_values(self.sample, matrix, dimension.detector, rows, compensated=dimension.compensated)

"""Display values of a tube: decode, compensate and transform only the channels and rows that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.gating.gates import Dimension

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
#: Rows worked on at a time: a few columns of this many float64 stay in a core's cache.
BLOCK = 32_768


def scale_values(
    sample: Sample, spillover: Spillover, detector: str, rows: Rows | slice, *, compensated: bool
) -> Floats:
    """Scale values of one channel for some rows, shape (n_rows,), compensated or raw.

    Compensation is a sum over the detectors in their order, not a matrix product, so that a value never depends on
    how many rows are worked on together.
    """
    index = sample.panel.detector(detector).index
    n_rows = len(rows) if not isinstance(rows, slice) else len(range(*rows.indices(sample.n_events)))
    out = np.empty(n_rows)
    if not (compensated and detector in spillover.detectors):
        sample.column_into(index, out, rows)
        return out
    weights = spillover.compensation[:, spillover.detectors.index(detector)]
    out[:] = 0.0
    column = np.empty(n_rows)
    for other, weight in zip(spillover.detectors, weights, strict=True):
        if weight != 0.0:
            sample.column_into(sample.panel.detector(other).index, column, rows)
            column *= weight
            out += column
    return out


class DisplayValues:
    """Display values of one tube, compensated by one matrix.

    The last answer is kept: gates that share axes and parent (the modes of one plot) ask for the same values in a row.
    """

    def __init__(self, sample: Sample, spillover: Spillover) -> None:
        self.sample = sample
        self.spillover = spillover
        self._last: tuple[Rows, tuple[Dimension, ...], Floats] | None = None

    def of(self, dimensions: Sequence[Dimension], rows: Rows) -> Floats:
        """Display values for some rows, shape (n_rows, n_dimensions), column-contiguous, read-only."""
        asked = tuple(dimensions)
        if self._last is not None and self._last[0] is rows and self._last[1] == asked:
            return self._last[2]
        out = np.empty((len(rows), len(asked)), order="F")
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            for i, d in enumerate(asked):
                values = scale_values(self.sample, self.spillover, d.detector, block, compensated=d.compensated)
                out[start : start + BLOCK, i] = d.transform.apply(values)
        out.flags.writeable = False
        self._last = (rows, asked, out)
        return out

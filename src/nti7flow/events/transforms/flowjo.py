"""FlowJo's own display transforms, as its workspaces store them.

They are not part of Gating-ML. Values agree with FlowKit's transforms of the same kinds, and the biexponential with the
tables that FlowJo writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nti7flow.events.transforms.base import Floats, check_finite
from nti7flow.events.transforms.logicle import decay

#: Channels of FlowJo's biexponential display: its top, display units.
TOP_CHANNEL = 4096
#: Cells by which the table is entered: some per row, so that the row is at most a step or two away.
N_CELLS = 8192


@dataclass(frozen=True, slots=True)
class FlowJoLog:
    """``y = (log10(x) - log10(offset)) / decades``; values below ``offset`` map to 0.

    Parameters
    ----------
    offset : float
        Bottom of scale, scale units.
    decades : float
        Number of decades shown.
    """

    kind: ClassVar[str] = "flowjo_log"
    rounding: ClassVar[float] = 0.0
    offset: float = 1.0
    decades: float = 4.5

    def __post_init__(self) -> None:
        check_finite(self.offset, self.decades)
        if not (self.offset > 0 and self.decades > 0):
            raise ValueError(
                f"flowjo_log transform needs offset > 0 and decades > 0, "
                f"found offset={self.offset}, decades={self.decades}"
            )

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units, 0 and above."""
        # In FlowKit's order of operations: an event on an edge falls on the same side.
        x = np.maximum(np.asarray(values, np.float64), self.offset)
        return np.asarray(1.0 / self.decades * (np.log10(x) - np.log10(self.offset)))

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values, ``offset`` and above."""
        y = np.maximum(np.asarray(display, np.float64), 0.0)
        with np.errstate(over="ignore"):
            return np.asarray(self.offset * 10.0 ** (self.decades * y))


@dataclass(frozen=True, slots=True)
class FlowJoBiex:
    """FlowJo's biexponential: a table of 4097 scale values, one per channel, straight lines between them.

    Display units are channels, 0 to 4096; values off the table map to its ends. The table is a biexponential in the
    form of Parks et al. (2006), moved so that zero lies on a whole channel, and reflected below zero.

    Parameters
    ----------
    negative : float
        Additional negative decades; less than 0 counts as 0.
    width : float
        ``-10 ** decades`` of the linear region, -1 or less.
    positive : float
        Number of decades shown.
    max_value : float
        Top of scale, scale units.

    Raises
    ------
    ValueError
        For parameters that give no table.
    """

    kind: ClassVar[str] = "flowjo_biex"
    rounding: ClassVar[float] = 0.0
    negative: float = 0.0
    width: float = -10.0
    positive: float = 4.418540
    max_value: float = 262144.000029

    def __post_init__(self) -> None:
        check_finite(self.negative, self.width, self.positive, self.max_value)
        found = (
            f"found negative={self.negative}, width={self.width}, positive={self.positive}, max_value={self.max_value}"
        )
        if not (self.width <= -1 and self.positive > 0 and self.max_value > 0):
            raise ValueError(f"flowjo_biex transform needs width <= -1, positive > 0 and max_value > 0, {found}")
        try:
            _table(self)
        except ArithmeticError:
            raise ValueError(f"flowjo_biex transform has no table of rising finite values for these, {found}") from None

    def apply(self, values: ArrayLike) -> Floats:
        """Map scale values to display units, 0 to 4096."""
        x = np.asarray(values, np.float64)
        return _table(self).channel(x.ravel()).reshape(x.shape)

    def inverse(self, display: ArrayLike) -> Floats:
        """Map display units back to scale values; beyond 0 and 4096 those of the ends."""
        channels = np.arange(TOP_CHANNEL + 1.0)
        return np.asarray(np.interp(np.asarray(display, np.float64), channels, _table(self).values))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A rising table that is entered by arithmetic, and interpolated as ``numpy.interp`` does, to the bit.

    Attributes
    ----------
    values : ndarray of float64, shape (4097,)
        Scale value of each channel.
    slopes : ndarray of float64, shape (4097,)
        Channels per scale unit above each of them; 0 above the last.
    upper : ndarray of float64, shape (4097,)
        Next value; infinite above the last.
    first : ndarray of int, shape (N_CELLS,)
        Row at the lower edge of each of equal cells of ``arcsinh(x / unit)``, a scale on which rows are nearly evenly
        spaced.
    n_steps : int
        Most rows that begin within a cell.
    unit, low, cells_per_unit : float
        Where the cells are.
    """

    values: Floats
    slopes: Floats
    upper: Floats
    first: NDArray[np.intp]
    n_steps: int
    unit: float
    low: float
    cells_per_unit: float

    def channel(self, x: Floats) -> Floats:
        """Channel of each value, shape (n,)."""
        x = np.clip(x, self.values[0], self.values[-1])
        position = np.arcsinh(x / self.unit)
        position -= self.low
        position *= self.cells_per_unit
        # fmax takes 0 where a value is NaN; the last line makes it NaN again.
        cell = np.fmin(np.fmax(position, 0.0, out=position), N_CELLS - 1.0, out=position).astype(np.intp)
        row = self.first[cell]
        for _ in range(self.n_steps):
            row += x >= self.upper[row]
        x -= self.values[row]
        x *= self.slopes[row]
        x += row
        return x


@lru_cache(maxsize=128)
def _table(transform: FlowJoBiex) -> _Table:
    """Table of one biexponential scale; raises ArithmeticError where its values are not finite or do not rise."""
    with np.errstate(all="ignore"):
        values, unit = _values(transform)
        steps = np.diff(values)
        if not (np.isfinite(values).all() and (steps > 0).all() and np.isfinite(1.0 / steps).all() and unit > 0):
            raise ArithmeticError
    low, high = np.arcsinh(values[[0, -1]] / unit)
    cells_per_unit = N_CELLS / (high - low)
    # A thousandth of a cell more at either side: the cell a value falls into is rounded.
    cells = np.arange(N_CELLS)
    below, above = (unit * np.sinh(low + (cells + edge) / cells_per_unit) for edge in (-0.001, 1.001))
    first, last = (np.maximum(np.searchsorted(values, edge, side="right") - 1, 0) for edge in (below, above))
    arrays = (values, np.append(1.0 / steps, 0.0), np.append(values[1:], np.inf), first.astype(np.intp))
    for array in arrays:
        array.flags.writeable = False
    return _Table(*arrays, int((last - first).max()), unit, float(low), float(cells_per_unit))


def _values(transform: FlowJoBiex) -> tuple[Floats, float]:
    """Scale value of each channel, shape (4097,), and about where the scale turns from linear to logarithmic."""
    n = TOP_CHANNEL + 1
    linear = float(np.log10(-transform.width))
    decades = transform.positive - linear / 2  # above zero, as the others are below
    extra = max(transform.negative, 0.0) + linear / 2
    zero = min(int(extra * TOP_CHANNEL / (extra + decades)), TOP_CHANNEL // 2)
    if zero > 0:
        decades = extra * TOP_CHANNEL / zero
    width = linear / (2 * decades)
    b = np.log(10.0) * decades
    d = decay(float(b), width)
    y = np.arange(n) / n
    curve = np.exp(b * y) - np.exp(-d * y) * np.exp((b + d) * (width + extra / decades))
    upper = transform.max_value / np.exp(b) * (curve[zero:] - curve[zero])
    values = np.concatenate([-upper[zero:0:-1], upper])
    return values, float((values[zero + 1] - values[zero]) * n / b)

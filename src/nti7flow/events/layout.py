"""`Layout`: how the bytes of one event become numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: Whole numbers up to this are exact in double precision.
EXACT = 2**53
Kind = Literal["I", "F", "D"]


@dataclass(frozen=True, slots=True)
class Column:
    """One channel of an event: integer or floating point, stored in ``width`` bytes, masked to the bits it uses."""

    kind: Kind
    width: int
    mask: int | None = None

    @property
    def used_bits(self) -> int:
        """Bits a value of this channel can have."""
        return 8 * self.width if self.mask is None else self.mask.bit_length()


@dataclass(frozen=True)
class Layout:
    """One event: its channels in order, each in whole bytes, without gaps.

    Attributes
    ----------
    columns : tuple of Column
        The channels.
    order : tuple of int
        $BYTEORD: the significance of each stored byte, 1 for the least; ``(1, 2, 3, 4)`` is little-endian.
    """

    columns: tuple[Column, ...]
    order: tuple[int, ...]

    @cached_property
    def row_size(self) -> int:
        """Bytes of one event."""
        return sum(column.width for column in self.columns)

    @cached_property
    def file_type(self) -> np.dtype[np.generic] | None:
        """NumPy type of the stored values where all channels share one that NumPy knows; else None."""
        first = self.columns[0]
        if any((c.kind, c.width) != (first.kind, first.width) for c in self.columns) or first.width not in (1, 2, 4, 8):
            return None
        places = byte_places(self.order, first.width)
        if places is None or places not in (_rising(first.width), _rising(first.width)[::-1]):
            return None
        sign = "<" if places == _rising(first.width) else ">"
        return np.dtype(f"{sign}{'u' if first.kind == 'I' else 'f'}{first.width}")

    @cached_property
    def type(self) -> np.dtype[np.generic]:
        """Type of the decoded events: the file's for floating-point data, else the smallest that holds every value."""
        if self.file_type is not None and self.file_type.kind == "f":
            return self.file_type
        integers = [c for c in self.columns if c.kind == "I"]
        if len(integers) == len(self.columns):
            return np.dtype(f"u{container(max(c.width for c in integers))}")
        wide = any(c.kind == "D" for c in self.columns) or any(c.used_bits > 24 for c in integers)
        return np.dtype("f8" if wide else "f4")

    @cached_property
    def masks(self) -> NDArray[Any] | None:
        """Bits each channel uses, shape (n_channels,), for integer events; None where all of them are."""
        if self.type.kind != "u" or all(column.mask is None for column in self.columns):
            return None
        full = (1 << 8 * self.type.itemsize) - 1
        return np.array([full if c.mask is None else c.mask for c in self.columns], self.type)

    @np.errstate(invalid="ignore")  # a signalling NaN is a value like others
    def decode(self, raw: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn bytes into (n_events, n_channels) values of `type`, integers before they are masked.

        Floating-point data of one type are a view of ``raw``.
        """
        n_events, n_channels = len(raw) // self.row_size, len(self.columns)
        if self.file_type is not None:
            return raw.view(self.file_type).reshape(n_events, n_channels).astype(self.type, copy=False)
        table = raw.reshape(n_events, self.row_size)
        values = np.empty((n_events, n_channels), self.type)
        starts = [0, *accumulate(column.width for column in self.columns)]
        for i, (column, start) in enumerate(zip(self.columns, starts, strict=False)):
            values[:, i] = self._column(table[:, start : start + column.width], column)
        return values

    def _column(self, stored: NDArray[np.uint8], column: Column) -> NDArray[Any]:
        """Values of one channel from its bytes, shape (n_events, width)."""
        places = byte_places(self.order, column.width)
        assert places is not None
        little = np.zeros((len(stored), container(column.width)), np.uint8)
        for significance, place in enumerate(places):
            little[:, significance] = stored[:, place]
        if column.kind != "I":
            return little.view(f"<f{column.width}")[:, 0]
        values = little.view(f"<u{little.shape[1]}")[:, 0]
        # Where integers stand beside floating-point values, they are masked here; else all together, by `mask`.
        mixed = self.type.kind == "f" and column.mask is not None
        return values & values.dtype.type(column.mask) if mixed else values

    def mask(self, values: NDArray[Any]) -> None:
        """Drop, in place, the bits above each channel's range."""
        if self.masks is not None:
            np.bitwise_and(values, self.masks, out=values)


def integer_mask(top: int | None, bits: int) -> int | None:
    """Bits that carry the value when $PnR is ``top``: up to the next power of two; None when all of them."""
    if top is None or top < 1:
        return None
    used = (top - 1).bit_length()
    return (1 << used) - 1 if used < bits else None


def container(width: int) -> int:
    """Bytes of the smallest NumPy integer that holds ``width`` bytes."""
    return 1 << (width - 1).bit_length()


def byte_places(order: tuple[int, ...], width: int) -> tuple[int, ...] | None:
    """Where a value of ``width`` bytes has its bytes, least significant first; None where $BYTEORD does not say.

    An order that rises or falls throughout holds for any width. A mixed one, such as the PDP-11's 3,4,1,2, holds for
    its own width, and its two least significant bytes tell the order of 16-bit words.
    """
    n = len(order)
    if order == _rising(n, start=1):
        return _rising(width)
    if order == _rising(n, start=1)[::-1]:
        return _rising(width)[::-1]
    if width not in (1, 2, n):
        return None
    kept = [significance for significance in order if significance <= width]
    return tuple(kept.index(significance) for significance in range(1, width + 1))


def _rising(n: int, start: int = 0) -> tuple[int, ...]:
    return tuple(range(start, start + n))


def row_blocks(n_events: int, rows: int) -> Iterator[tuple[int, int]]:
    """First and behind-the-last row of consecutive blocks."""
    for start in range(0, n_events, rows):
        yield start, min(start + rows, n_events)

"""DATA that is not in whole binary bytes: integers packed bit by bit, and numbers written in ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from nti7flow.events import codes
from nti7flow.events.fcs.opening import read_span
from nti7flow.events.fcs.shapes import AsciiShape, BitShape
from nti7flow.events.layout import container
from nti7flow.events.notes import refusal

#: Bytes worked on at a time.
_BLOCK = 1 << 18
#: What may stand between numbers of delimited ASCII data.
_SPACES = bytes.maketrans(b",\t\r\n", b"    ")


def unpack_bits(stream: BinaryIO, shape: BitShape, *, begin: int, n_events: int, path: str) -> NDArray[Any]:
    """Decode integers packed without gaps, shape (n_events, n_channels), before they are masked to their ranges.

    Most significant bit first in big-endian files, least significant first in little-endian ones.
    """
    row = sum(shape.bits)
    width = container(-(-max(shape.bits) // 8))
    values = np.zeros((n_events, len(shape.bits)), f"u{width}")
    rows = max(8, 8 * (_BLOCK // row))  # of a multiple of 8 events every block begins with a whole byte
    order: Literal["big", "little"] = "big" if shape.big_endian else "little"
    for start in range(0, n_events, rows):
        n = min(rows, n_events - start)
        first = begin + start * row // 8
        raw = np.frombuffer(read_span(stream, first, first - (-n * row // 8) - 1, path=path), np.uint8)
        bits = np.unpackbits(raw, count=n * row, bitorder=order).reshape(n, row)
        for i, (size, stop) in enumerate(zip(shape.bits, accumulate(shape.bits), strict=True)):
            column = bits[:, stop - size : stop]
            for k in range(size):
                power = size - 1 - k if shape.big_endian else k
                values[start : start + n, i] |= column[:, k].astype(values.dtype) << values.dtype.type(power)
    return values


def parse_ascii(
    stream: BinaryIO, shape: AsciiShape, *, begin: int, size: int, total: int | None, limit: int, path: str
) -> NDArray[Any]:
    """Read whole numbers in ASCII, shape (n_events, n_channels), before they are masked to their ranges."""
    if not shape.widths and limit - begin - size not in (0, 8):
        _check_last_number(stream, begin + size, path)
    columns = _fixed(stream, shape, begin, size, path) if shape.widths else _delimited(stream, begin, size, path)
    n_channels = shape.n_channels
    if len(columns) % n_channels or (total is not None and len(columns) != total * n_channels):
        wanted = f"$TOT={total} events of " if total is not None else "whole events of "
        raise refusal(
            codes.WRONG_TOTAL,
            path=path,
            found=f"{len(columns):,} numbers in DATA",
            expected=f"{wanted}{n_channels}",
            byte_offset=begin,
        )
    return columns.reshape(-1, n_channels)


def _check_last_number(stream: BinaryIO, end: int, path: str) -> None:
    """Refuse delimited numbers of which the last could go on behind the segment, or have digits of the checksum."""
    around = read_span(stream, end - 1, end, path=path)
    if around.isdigit():
        raise refusal(
            codes.CONTRADICTORY_OFFSETS,
            path=path,
            found=f"DATA that ends between the digits {around!r}",
            expected="a delimiter behind the last number, or a checksum of eight characters",
            byte_offset=end,
        )


def _fixed(stream: BinaryIO, shape: AsciiShape, begin: int, size: int, path: str) -> NDArray[Any]:
    row = sum(shape.widths)
    starts = [0, *accumulate(shape.widths)]
    parts = []
    rows = max(1, _BLOCK // row)
    for start in range(0, size // row, rows):
        n = min(rows, size // row - start)
        first = begin + start * row
        raw = read_span(stream, first, first + n * row - 1, path=path)
        fields = [raw[i * row + a : i * row + b] for i in range(n) for a, b in pairwise(starts)]
        parts.append(_numbers(fields, first, path))
    return _joined(parts)


def _delimited(stream: BinaryIO, begin: int, size: int, path: str) -> NDArray[Any]:
    parts, rest, position, end = [], b"", begin, begin + size
    while position < end:
        raw = read_span(stream, position, min(position + _BLOCK, end) - 1, path=path)
        position += len(raw)
        text = rest + raw.translate(_SPACES)
        cut = len(text) if position == end else text.rfind(b" ") + 1  # a number may go on in the next block
        parts.append(_numbers(text[:cut].split(), position - len(text), path))
        rest = text[cut:]
        if len(rest) > 40:
            raise _bad(rest, position - len(rest), path)
    return _joined(parts)


def _numbers(fields: Sequence[bytes], place: int, path: str) -> NDArray[Any]:
    for field in fields:
        if not field.strip().isdigit() or len(field.strip()) > 20:
            raise _bad(field, place, path)
    values = [int(field) for field in fields]
    top = max(values, default=0)
    if top >= 2**64:
        raise _bad(str(top).encode(), place, path)
    return np.array(values, np.min_scalar_type(top))


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if not parts:
        return np.empty(0, np.uint32)
    widest = max((part.dtype for part in parts), key=lambda kind: kind.itemsize)
    return np.concatenate([part.astype(max(widest, np.dtype(np.uint32), key=lambda k: k.itemsize)) for part in parts])


def _bad(field: bytes, place: int, path: str) -> Exception:
    return refusal(
        codes.BAD_ASCII, path=path, found=f"{field[:24]!r}", expected="a whole number in digits", byte_offset=place
    )

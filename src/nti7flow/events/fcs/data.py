"""The DATA segment: bytes to numbers, as stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import FcsError
from nti7flow.events.fcs.text import whole_number


def integer_keyword(keywords: Mapping[str, str], key: str, *, path: str) -> int:
    """Return a keyword as a non-negative whole number, or raise naming it."""
    value = whole_number(keywords.get(key, ""))
    if value is None:
        raise FcsError(f"{path}: keyword {key} is {keywords.get(key, '')[:60]!r}, a whole number was expected.")
    return value


def byte_order(keywords: Mapping[str, str], *, path: str) -> str:
    """Return NumPy's ``<`` or ``>`` for $BYTEORD."""
    found = keywords["$BYTEORD"].replace(" ", "")
    orders = {"1,2,3,4": "<", "1,2": "<", "4,3,2,1": ">", "2,1": ">"}
    orders |= {"1": "<", "1,2,3,4,5,6,7,8": "<", "8,7,6,5,4,3,2,1": ">"}
    if found not in orders:
        raise FcsError(f"{path}: byte order $BYTEORD={found!r} is not supported; read are {', '.join(orders)}.")
    return orders[found]


def row_type(keywords: Mapping[str, str], *, path: str) -> np.dtype[np.void]:
    """Layout of one event: one field ``0 .. n_channels-1`` per channel, in the file's byte order."""
    kind, order = keywords["$DATATYPE"].upper(), byte_order(keywords, path=path)
    n_channels = integer_keyword(keywords, "$PAR", path=path)
    if n_channels == 0:
        raise FcsError(f"{path}: $PAR is 0: the file has no channels.")
    if kind not in ("I", "F", "D"):
        raise FcsError(f"{path}: data type $DATATYPE={kind!r} is not supported; read are I, F and D.")
    fields = []
    for n in range(1, n_channels + 1):
        bits = integer_keyword(keywords, f"$P{n}B", path=path)
        allowed = {"I": (8, 16, 32), "F": (32,), "D": (64,)}[kind]
        if bits not in allowed:
            raise FcsError(
                f"{path}: channel {n} has $P{n}B={bits} with $DATATYPE={kind}; "
                f"read are {', '.join(map(str, allowed))} bits."
            )
        fields.append((str(n - 1), f"{order}{'u' if kind == 'I' else 'f'}{bits // 8}"))
    return np.dtype(fields)


def decode(raw: bytes, row: np.dtype[np.void], ranges: Sequence[int | None]) -> NDArray[np.generic]:
    """Turn the DATA bytes into a read-only (n_events, n_channels) array of stored values.

    Floating-point data keep their type and byte order and are not copied. Integers lose the bits above the
    channel's range ($PnR), which cytometers fill with junk; mixed widths become the widest of them.
    """
    assert row.fields is not None
    types = [row[i] for i in range(len(row.fields))]
    n_events = len(raw) // row.itemsize
    if types[0].kind == "f":
        return np.frombuffer(raw, types[0]).reshape(n_events, len(types))
    widest = max(types, key=lambda t: t.itemsize).newbyteorder("=")
    values = np.empty((n_events, len(types)), widest, order="F")
    table = np.frombuffer(raw, row)
    for i, (column_type, top) in enumerate(zip(types, ranges, strict=True)):
        values[:, i] = table[str(i)]
        mask = integer_mask(top, 8 * column_type.itemsize)
        if mask is not None:
            values[:, i] &= widest.type(mask)
    values.flags.writeable = False
    return values


def integer_mask(top: int | None, bits: int) -> int | None:
    """Bits that carry the value when $PnR is ``top``: up to the next power of two; None when all of them."""
    if top is None or top < 1:
        return None
    used = (top - 1).bit_length()
    return (1 << used) - 1 if used < bits else None

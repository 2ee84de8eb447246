"""`StoredEvents`: the events of one tube, in memory or, of a large one, in its file until they are asked for."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import FcsError
from nti7flow.events import codes
from nti7flow.events.layout import EXACT, Layout, row_blocks
from nti7flow.events.notes import Note, refusal

#: Bytes of DATA up to which a tube is kept in memory. Beyond, what is asked for is read from the file, so that half of
#: the channels cost half of the memory.
IN_MEMORY = 8 << 20
#: Bytes worked on at a time: they stay in a core's cache.
BLOCK = 512 << 10

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Survey:
    """What is odd about the values of a tube: how many are not finite, had junk bits, are integers beyond 2^53."""

    not_finite: int = 0
    junk: int = 0
    large: int = 0

    def __add__(self, other: Survey) -> Survey:
        return Survey(self.not_finite + other.not_finite, self.junk + other.junk, self.large + other.large)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is to be known about the values."""
        listed = (
            (codes.NOT_FINITE, f"{self.not_finite:,} values are NaN or infinite", "kept bit for bit", self.not_finite),
            (codes.JUNK_BITS, f"bits above $PnR in {self.junk:,} values", "dropped", self.junk),
            (codes.LARGE_INTEGERS, f"{self.large:,} values beyond 2^53", "rounded to double precision", self.large),
        )
        return tuple(Note(code.code, found, assumed) for code, found, assumed, n in listed if n)


class StoredEvents(Protocol):
    """The events of one tube, as stored."""

    n_events: int
    n_channels: int

    @property
    def survey(self) -> Survey:
        """What is odd about the values."""
        ...

    @property
    def array(self) -> NDArray[Any]:
        """All events, (n_events, n_channels), read-only."""
        ...

    def columns_into(self, out: NDArray[np.float64], channels: Sequence[int]) -> None:
        """Write the stored values of some channels, by position, into the columns of ``out``, (n_events, k)."""
        ...

    @property
    def type(self) -> np.dtype[Any]:
        """Type of the stored values."""
        ...

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all events, (n, n_channels), some at a time; the next ones may overwrite the last."""
        ...


class EventsInMemory:
    """Events in an array, which becomes read-only."""

    def __init__(self, array: NDArray[Any], *, survey: Survey) -> None:
        array.flags.writeable = False
        self.array = array
        self.survey = survey
        self.n_events, self.n_channels = array.shape

    def columns_into(self, out: NDArray[np.float64], channels: Sequence[int]) -> None:
        """Write the stored values of some channels into the columns of ``out``."""
        _spread_all(self.array, out, channels)

    @property
    def type(self) -> np.dtype[Any]:
        """Type of the stored values."""
        return self.array.dtype

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all events, some at a time."""
        return _slices(self.array)


class EventsInFile:
    """Events in a file, read when they are asked for, as long as the file stays what it was.

    Parameters
    ----------
    path : Path
        The file.
    stamp : tuple of int
        Its size and time of change (ns) when it was opened.
    begin : int
        First byte of the events.
    """

    def __init__(self, path: Path, *, stamp: Stamp, begin: int, n_events: int, layout: Layout) -> None:
        self.path = path
        self.stamp = stamp
        self.begin = begin
        self.layout = layout
        self.n_events, self.n_channels = n_events, len(layout.columns)
        self._array: NDArray[Any] | None = None

    @property
    def array(self) -> NDArray[Any]:
        """All events, kept once they are read."""
        if self._array is None:
            values = np.empty((self.n_events, self.n_channels), self.layout.type)
            with self._open() as stream:
                if self.layout.file_type is not None and values.dtype == self.layout.file_type:  # None is float64 there
                    stream.seek(self.begin)
                    read_exactly(stream, values.reshape(-1).view(np.uint8), str(self.path))
                    self.layout.mask(values)
                else:
                    for start, block in self._blocks(stream, 0, self.n_events):
                        values[start : start + len(block)] = block
            values.flags.writeable = False
            self._array = values
        return self._array

    def columns_into(self, out: NDArray[np.float64], channels: Sequence[int]) -> None:
        """Write the stored values of some channels into the columns of ``out``, block by block."""
        if self._array is not None:
            _spread_all(self._array, out, channels)
            return
        half = self.n_events // 2
        parts = [(0, half), (half, self.n_events)]
        # Two at a time: NumPy lets go of the interpreter while it reads and converts. Each writes rows of its own.
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(lambda part: self._part_into(out, channels, *part), parts))

    @np.errstate(invalid="ignore", over="ignore")  # which a new thread does not take over
    def _part_into(self, out: NDArray[np.float64], channels: Sequence[int], first: int, last: int) -> None:
        with self._open() as stream:
            for start, block in self._blocks(stream, first, last):
                _spread(block, out[start : start + len(block)], channels)

    @property
    def type(self) -> np.dtype[Any]:
        """Type of the stored values."""
        return self.layout.type

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all events, some at a time; the next ones overwrite the last."""
        if self._array is not None:
            yield from _slices(self._array)
            return
        with self._open() as stream:
            yield from (block for _, block in self._blocks(stream, 0, self.n_events))

    @cached_property
    def survey(self) -> Survey:
        """What is odd about the values; looks at each of them once, when first asked for."""
        found = Survey()
        with self._open() as stream:
            for raw in _raw_blocks(stream, str(self.path), self.begin, self.n_events, self.layout):
                found += _survey(_native(self.layout.decode(raw), scratch=True), self.layout)
        return found

    def _blocks(self, stream: BinaryIO, first: int, last: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """First row and values of consecutive blocks, in the machine's byte order; the next one overwrites the last."""
        start, begin = first, self.begin + first * self.layout.row_size
        for raw in _raw_blocks(stream, str(self.path), begin, last - first, self.layout):
            block = _native(self.layout.decode(raw), scratch=True)
            self.layout.mask(block)
            yield start, block
            start += len(block)

    def _open(self) -> _Unchanged:
        return _Unchanged(self.path, self.stamp)


class _Unchanged:
    """Context: the file, opened; refuses it when it is not, or no longer, the one that was read before."""

    def __init__(self, path: Path, stamp: Stamp) -> None:
        self.path, self.stamp = path, stamp

    def __enter__(self) -> BinaryIO:
        try:
            self.stream = open_at_once(self.path)
        except OSError as error:
            raise refusal(
                codes.UNREADABLE, path=str(self.path), found=f"{error.strerror} when it was read again"
            ) from None
        self._check()
        return self.stream

    def __exit__(self, *exception: object) -> None:
        try:
            if exception[0] is None:
                self._check()
        finally:
            self.stream.close()

    def _check(self) -> None:
        found = file_stamp(os.fstat(self.stream.fileno()))
        if found != self.stamp:
            self.stream.close()
            raise changed(str(self.path), f"{found[0]:,} bytes now, {self.stamp[0]:,} when it was opened")


def changed(path: str, found: str) -> FcsError:
    """Make the error for a file that is not what it was when it was opened."""
    return refusal(codes.CHANGED, path=path, found=f"the file changed after it was opened ({found})")


def open_at_once(path: Path) -> io.FileIO:
    """Open a file for reading, unbuffered; a pipe that has taken its place does not keep us waiting."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.fdopen(os.open(path, flags), "rb", buffering=0)


def file_stamp(status: os.stat_result) -> Stamp:
    """Size and time of change (ns) of a file."""
    return status.st_size, status.st_mtime_ns


def read_exactly(stream: BinaryIO, buffer: NDArray[np.uint8], path: str) -> None:
    """Fill a buffer from a stream; refuses a file that ends before."""
    view = memoryview(buffer.data)
    while len(view):
        n = stream.readinto(view)  # type: ignore[attr-defined]
        if not n:
            raise changed(path, f"it ends {len(view):,} bytes early")
        view = view[n:]


def in_memory(values: NDArray[Any], layout: Layout) -> EventsInMemory:
    """Look at decoded values, mask integers to their ranges, and keep them."""
    found = Survey()
    for block in _slices(values):
        found += _survey(_native(block), layout)
    layout.mask(values)
    return EventsInMemory(values, survey=found)


def _survey(values: NDArray[Any], layout: Layout) -> Survey:
    """Look at decoded values, integers before they are masked; in the machine's byte order."""
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):
            total = np.add.reduce(values, axis=None)
        integers = [i for i, column in enumerate(layout.columns) if column.kind == "I" and column.used_bits > 53]
        large = sum(int(np.count_nonzero(values[:, i] >= EXACT)) for i in integers)
        if np.isfinite(total):  # no sum is finite with a NaN or an infinity in it
            return Survey(large=large)
        return Survey(not_finite=values.size - int(np.count_nonzero(np.isfinite(values))), large=large)
    junk = 0 if layout.masks is None else int(np.count_nonzero(values & ~layout.masks))
    large = 0
    if values.dtype.itemsize == 8:
        kept = values if layout.masks is None else values & layout.masks
        large = int(np.count_nonzero(kept > np.uint64(EXACT)))
    return Survey(junk=junk, large=large)


def _raw_blocks(stream: BinaryIO, path: str, begin: int, n_events: int, layout: Layout) -> Iterator[NDArray[np.uint8]]:
    """Bytes of consecutive blocks of events; the next one overwrites the last."""
    rows = max(1, BLOCK // layout.row_size)
    buffer = np.empty(min(rows, max(1, n_events)) * layout.row_size, np.uint8)
    stream.seek(begin)
    for start, stop in row_blocks(n_events, rows):
        block = buffer[: (stop - start) * layout.row_size]
        read_exactly(stream, block, path)
        yield block


def _native(values: NDArray[Any], *, scratch: bool = False) -> NDArray[Any]:
    """Values in the machine's byte order; a scratch array is swapped in place."""
    if values.dtype.isnative:
        return values
    swapped = values.byteswap(inplace=True) if scratch else values.byteswap()
    return swapped.view(values.dtype.newbyteorder())


def _slices(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, BLOCK // max(1, array.shape[1] * array.itemsize))
    return (array[start:stop] for start, stop in row_blocks(len(array), rows))


def _spread_all(array: NDArray[Any], out: NDArray[np.float64], channels: Sequence[int]) -> None:
    start = 0
    for block in _slices(array):
        _spread(_native(block), out[start : start + len(block)], channels)
        start += len(block)


def _spread(block: NDArray[Any], out: NDArray[np.float64], channels: Sequence[int]) -> None:
    """Write some columns of a block into the columns of ``out``."""
    for i, channel in enumerate(channels):
        out[:, i] = block[:, channel]

"""Writing FCS 3.1: events one has made (`write_events`) and tubes one has read (`write_fcs`).

List mode, floating point, little-endian, one data set. A file is there whole or not at all.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nti7flow.events.markers import parse_marker
from nti7flow.events.panel import Channel
from nti7flow.events.sample import Sample

_HEADER = 58
#: Largest offset for which the HEADER has room.
_LARGEST_OFFSET = 99_999_999
#: No checksum, as the standard lets one say it.
_NO_CHECKSUM = b"00000000"
#: Whole numbers up to these are exact in single and double precision.
_EXACT_SINGLE, _EXACT_DOUBLE = 2**24, 2**53
#: Values of a block, so that it stays small beside any tube.
_BLOCK = 1 << 18
#: Delimiters, the usual ones first; letters and digits are in every TEXT.
_DELIMITERS = "".join(dict.fromkeys("|\x0c\x1e\x1f/\\!~^" + "".join(sorted(map(chr, range(1, 127)), key=str.isalnum))))
#: Keywords that hold for any file written here, whatever they were in the source.
_STRUCTURE = {
    "$BEGINANALYSIS": "0",
    "$ENDANALYSIS": "0",
    "$BEGINSTEXT": "0",
    "$ENDSTEXT": "0",
    "$NEXTDATA": "0",
    "$BYTEORD": "1,2,3,4",
}
_Type = Literal["F", "D"]
_Rows = NDArray[np.intp]


def write_events(
    path: str | Path,
    events: ArrayLike,
    detectors: Sequence[str],
    *,
    markers: Sequence[str] | None = None,
    ranges: Sequence[float] | None = None,
    keywords: Mapping[str, str] | None = None,
) -> None:
    """Write events as an FCS 3.1 file (float32, little-endian, one data set).

    Same arguments, same bytes: nothing of the machine or the time is written.

    Parameters
    ----------
    path : str or Path
        File to write; an existing one is replaced.
    events : array_like, shape (n_events, n_channels)
        Scale values; stored as float32.
    detectors : sequence of str
        $PnN, one per channel, all different.
    markers : sequence of str, optional
        $PnS; empty strings are left out.
    ranges : sequence of float, optional
        $PnR, 262144 by default.
    keywords : mapping, optional
        More TEXT keywords, such as ``$SPILLOVER`` or ``$DATE``; not those that describe the DATA segment.
    """
    values = np.ascontiguousarray(events, dtype="<f4")
    n_channels = len(detectors)
    if values.ndim != 2 or values.shape[1] != n_channels:
        raise ValueError(f"events of shape {values.shape} do not fit {n_channels} detectors")
    if len(set(detectors)) != n_channels:
        raise ValueError("detectors must be all different")
    pairs = _structure("F", n_channels, values.shape[0])
    for n, detector in enumerate(detectors, 1):
        top = 262144 if ranges is None else ranges[n - 1]
        pairs |= {f"$P{n}N": detector, f"$P{n}B": "32", f"$P{n}E": "0,0", f"$P{n}R": f"{top:.0f}"}
        if markers is not None and markers[n - 1]:
            pairs[f"$P{n}S"] = markers[n - 1]
    more = {key.strip().upper(): value for key, value in (keywords or {}).items()}
    if clash := sorted((pairs.keys() | {"$BEGINDATA", "$ENDDATA"}) & more.keys()):
        raise ValueError(f"keywords {', '.join(clash)} follow from the events; leave them out")
    pairs |= more
    if not all(key and value.strip() for key, value in pairs.items()):
        raise ValueError("FCS forbids empty keywords and empty values")
    _write(Path(path), pairs, [values], n_bytes=values.nbytes)


def write_fcs(sample: Sample, path: str | Path, *, rows: ArrayLike | None = None) -> None:
    """Write a sample, or some of its events, as an FCS 3.1 file that reads back as the same values and keywords.

    Stored values are written, not scale values: single precision bit for bit, integers in single or, above 2^24, in
    double precision; gain ($PnG) and $TIMESTEP stay as they are. Only channels with a logarithmic amplifier, which
    floating-point data cannot have, are written as their scale values: in double precision, with $PnE 0,0 and the top
    of the linear scale as $PnR. Either way `Sample.columns` gives the same numbers before and after.

    Every keyword keeps its value exactly, but for those that say how the data are stored ($BYTEORD, $DATATYPE, $PnB,
    $PnDATATYPE, $PnE, $TOT, $MODE, $NEXTDATA, $UNICODE and the offsets), $PnS where a marker was assigned by hand
    (`Panel.with_markers`: the channel gets it, and a channel that lost a marker no longer says it), a $PnR that was
    missing or no number (262144), and empty values, which the standard forbids (one blank). Supplemental TEXT goes
    into TEXT. The ANALYSIS segment is kept with the whole tube, and left out with ``rows``, of which it says nothing.

    Parameters
    ----------
    sample : Sample
        What to write.
    path : str or Path
        File to write; an existing one is replaced when the new one is complete.
    rows : array_like, optional
        Events to write: a boolean mask of shape (n_events,), or indices, which are written in their order.

    Raises
    ------
    ValueError
        A channel holds integers that no floating-point type holds exactly, or ``rows`` are not those of the sample.
    FcsError
        The file the sample was read from has changed.
    OSError
        The file cannot be written. Nothing is left behind.

    Examples
    --------
    >>> import nti7flow as nf
    >>> tube = nf.read_fcs("tube.fcs")  # doctest: +SKIP
    >>> nf.write_fcs(tube, "first_thousand.fcs", rows=range(1000))  # doctest: +SKIP
    """
    chosen = None if rows is None else _indices(rows, sample.n_events)
    n_events = sample.n_events if chosen is None else len(chosen)
    kind = _type(sample, chosen)
    pairs = _structure(kind, len(sample.panel.channels), n_events) | _channel_keywords(sample, kind)
    dropped = {"$BEGINDATA", "$ENDDATA", "$UNICODE"} | {f"$P{c.index + 1}DATATYPE" for c in sample.panel.channels}
    dropped |= {f"$P{c.index + 1}S" for c in sample.panel.channels if c.assigned or _lost(c, sample)}
    pairs |= {key: value or " " for key, value in sample.keywords.items() if key not in pairs.keys() | dropped}
    analysis = {key: value or " " for key, value in sample.analysis.items()} if rows is None else {}
    size = n_events * len(sample.panel.channels) * (4 if kind == "F" else 8)
    _write(Path(path), pairs, _encoded(sample, chosen, kind), n_bytes=size, analysis=analysis)


def _structure(kind: _Type, n_channels: int, n_events: int) -> dict[str, str]:
    return {**_STRUCTURE, "$DATATYPE": kind, "$MODE": "L", "$PAR": str(n_channels), "$TOT": str(n_events)}


# --- a sample's channels and values ---------------------------------------------------------------


def _channel_keywords(sample: Sample, kind: _Type) -> dict[str, str]:
    """Keywords of the channels that follow from the data or from the panel."""
    pairs: dict[str, str] = {}
    for n, channel in enumerate(sample.panel.channels, 1):
        pairs |= {f"$P{n}N": channel.detector, f"$P{n}B": "32" if kind == "F" else "64", f"$P{n}E": "0,0"}
        if _linearised(channel):
            pairs[f"$P{n}R"] = str(math.ceil(channel.top))
            if channel.gain not in (None, 1.0):  # not divided out of logarithmic data, and must not be now
                pairs[f"$P{n}G"] = "1"
        elif channel.range is None:
            pairs[f"$P{n}R"] = "262144"
        label = _label(channel, sample)
        if label:
            pairs[f"$P{n}S"] = label
    return pairs


def _linearised(channel: Channel) -> bool:
    """Whether a channel is written as scale values; a time channel has no amplifier, whatever its $PnE."""
    return channel.log_amplifier is not None and channel.role != "time"


def _label(channel: Channel, sample: Sample) -> str:
    """Return the $PnS of a channel whose marker was assigned, or which lost one of several; else nothing."""
    if channel.assigned:
        return f"{channel.marker} {channel.fluorochrome}".strip()
    return "+".join(sorted(channel.targets)) if _lost(channel, sample) else ""


def _lost(channel: Channel, sample: Sample) -> bool:
    """Whether $PnS names a marker that was assigned to another channel."""
    named = parse_marker(sample.keywords.get(f"$P{channel.index + 1}S", "")).targets
    taken = frozenset[str]().union(*(c.targets for c in sample.panel.channels if c.assigned))
    return not channel.assigned and channel.role == "fluorescence" and bool(named & taken)


def _indices(rows: ArrayLike, n_events: int) -> _Rows:
    """Event indices for a mask or indices."""
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or (chosen.dtype.kind not in "biu" and chosen.size):
        raise ValueError(
            f"rows must be a boolean mask or whole numbers, one-dimensional; found {chosen.dtype} of shape "
            f"{chosen.shape}"
        )
    if chosen.dtype.kind == "b":
        if len(chosen) != n_events:
            raise ValueError(f"rows is a mask for {len(chosen)} events; the sample has {n_events}")
        return np.flatnonzero(chosen)
    if chosen.size and (chosen.min() < 0 or chosen.max() >= n_events):
        raise ValueError(
            f"rows must be from 0 to {n_events - 1} in a sample of {n_events} events; found {chosen.min()} to "
            f"{chosen.max()}"
        )
    return chosen.astype(np.intp)


def _type(sample: Sample, chosen: _Rows | None) -> _Type:
    """Return the type that holds every value exactly: single precision where it does, else double."""
    stored, channels = sample.stored.type, sample.panel.channels
    double = any(map(_linearised, channels))
    if stored.kind == "f":
        return "D" if double or stored.itemsize > 4 else "F"
    if stored.itemsize < 4:
        return "D" if double else "F"
    for block in _blocks(sample, chosen):
        largest = block.max(axis=0, initial=0)
        for channel, value in zip(channels, largest.tolist(), strict=True):
            if value > _EXACT_DOUBLE and not _linearised(channel):
                raise ValueError(
                    f"{sample.path}: channel {channel.detector} holds {value:,}; whole numbers above 2^53 cannot be "
                    "written as floating-point values without changing them"
                )
        double = double or bool(largest.max() > _EXACT_SINGLE)
    return "D" if double else "F"


def _blocks(sample: Sample, chosen: _Rows | None) -> Iterator[NDArray[Any]]:
    """Yield the stored values of those chosen, some events at a time; the next ones may overwrite the last."""
    if chosen is None:
        yield from sample.stored.blocks()
    elif np.any(chosen[1:] < chosen[:-1]):  # in another order than the file's: all events have to be at hand
        events, step = sample.events, max(1, _BLOCK // len(sample.panel.channels))
        yield from (events[chosen[start : start + step]] for start in range(0, len(chosen), step))
    else:
        first = 0
        for block in sample.stored.blocks():
            begin, end = np.searchsorted(chosen, (first, first + len(block)))
            yield block[chosen[begin:end] - first]
            first += len(block)


def _encoded(sample: Sample, chosen: _Rows | None, kind: _Type) -> Iterator[NDArray[Any]]:
    """Yield the values as they are to stand in the file, some events at a time."""
    width = 4 if kind == "F" else 8
    for block in _blocks(sample, chosen):
        if block.dtype.kind == "f" and block.dtype.itemsize == width:
            # As integers: moved as a number, a signalling NaN may come out as a quiet one.
            bits = np.ascontiguousarray(block).view(block.dtype.str.replace("f", "u"))
            values: NDArray[Any] = bits.astype(f"<u{width}").view(f"<f{width}")
        else:
            with np.errstate(invalid="ignore"):
                values = block.astype(f"<f{width}", order="C")
        for channel in filter(_linearised, sample.panel.channels):
            column = block[:, channel.index].astype(np.float64)
            sample.to_scale(channel, column)
            values[:, channel.index] = column
        yield values


# --- the file -------------------------------------------------------------------------------------


def _write(
    path: Path,
    pairs: dict[str, str],
    values: Iterable[NDArray[Any]],
    *,
    n_bytes: int,
    analysis: Mapping[str, str] | None = None,
) -> None:
    """Write HEADER, TEXT, DATA and ANALYSIS."""
    analysis = analysis or {}
    delimiter = delimiter_for([token for pair in (*pairs.items(), *analysis.items()) for token in pair])
    behind = segment(analysis, delimiter) if analysis else b""
    places = {"$BEGINDATA": 0, "$ENDDATA": 0} | ({"$BEGINANALYSIS": 0, "$ENDANALYSIS": 0} if analysis else {})
    while True:  # the offsets stand inside the text whose length they depend on; that grows, if at all, once
        text = segment(pairs | {key: f"{offset:>10d}" for key, offset in places.items()}, delimiter)
        begin = _HEADER + len(text)
        last = begin + n_bytes - 1  # of no events too: other offsets make FlowIO find a part of one
        found = {"$BEGINDATA": begin, "$ENDDATA": last}
        if analysis:
            found |= {"$BEGINANALYSIS": begin + n_bytes, "$ENDANALYSIS": begin + n_bytes + len(behind) - 1}
        if found == places:
            break
        places = found
    if begin - 1 > _LARGEST_OFFSET:
        raise ValueError(f"{path}: TEXT of {len(text):,} bytes; an FCS file has room for {_LARGEST_OFFSET:,}")
    header = "FCS3.1    " + f"{_HEADER:>8d}{begin - 1:>8d}"
    for ends in ((begin, last), (found.get("$BEGINANALYSIS", 0), found.get("$ENDANALYSIS", 0))):
        header += "".join(f"{offset if ends[1] <= _LARGEST_OFFSET else 0:>8d}" for offset in ends)
    with whole_file(path) as stream:
        stream.write(header.encode("ascii") + text)
        for block in values:
            stream.write(block.data if block.flags.c_contiguous else block.tobytes())
        stream.write(behind + _NO_CHECKSUM)


def delimiter_for(tokens: Sequence[str]) -> str:
    """Return a delimiter for keywords and values in turn: one they do not hold, or one that is safely doubled."""
    text = frozenset[str]().union(*tokens)
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            return delimiter
    # Doubled at an end of a value, it would stand beside a single one, and three in a row tell nothing; doubled in a
    # keyword, it would look like an empty value.
    doubtful = frozenset[str]().union(*tokens[::2], *((value[0], value[-1]) for value in tokens[1::2]))
    for delimiter in _DELIMITERS:
        if delimiter not in doubtful:
            return delimiter
    raise ValueError("every delimiter is in a keyword, or at the beginning or end of a value")


def segment(pairs: Mapping[str, str], delimiter: str) -> bytes:
    """Join keywords and values to a segment in which a delimiter inside a value is doubled."""
    tokens = [token.replace(delimiter, 2 * delimiter) for pair in pairs.items() for token in pair]
    return (delimiter + delimiter.join(tokens) + delimiter).encode()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a stream to a hidden file beside ``path``, which takes its place when the block ends well; else it goes."""
    target = path.resolve()  # a link stays one
    if target.exists() and not target.is_file():
        raise FileExistsError(errno.EEXIST, "is not a regular file", str(path))
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with beside.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(beside)):
            raise OSError(error.errno, error.strerror, str(path)) from None  # of the hidden file nobody knows
        raise
    with suppress(OSError):  # not every system lets a folder be flushed
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""A minimal FCS 3.1 writer: list mode, single precision, little-endian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

_HEADER = 58


def write_fcs(
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
    pairs: dict[str, str] = {
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
        "$NEXTDATA": "0",
        "$BYTEORD": "1,2,3,4",
        "$DATATYPE": "F",
        "$MODE": "L",
        "$PAR": str(n_channels),
        "$TOT": str(values.shape[0]),
    }
    for n, detector in enumerate(detectors, 1):
        top = 262144 if ranges is None else ranges[n - 1]
        pairs |= {f"$P{n}N": detector, f"$P{n}B": "32", f"$P{n}E": "0,0", f"$P{n}R": f"{top:.0f}"}
        if markers is not None and markers[n - 1]:
            pairs[f"$P{n}S"] = markers[n - 1]
    more = {key.strip().upper(): value for key, value in (keywords or {}).items()}
    if clash := sorted((pairs.keys() | {"$BEGINDATA", "$ENDDATA"}) & more.keys()):
        raise ValueError(f"keywords {', '.join(clash)} follow from the events; leave them out")
    # The offsets stand inside the text whose length they give; fixed-width numbers break the circle.
    pairs |= more | {"$BEGINDATA": f"{0:>10d}", "$ENDDATA": f"{0:>10d}"}
    if not all(key and value.strip() for key, value in pairs.items()):
        raise ValueError("FCS forbids empty keywords and empty values")
    body = _text(pairs)
    begin = _HEADER + len(body)
    end = begin + values.nbytes - 1 if values.nbytes else begin
    body = _text(pairs | {"$BEGINDATA": f"{begin:>10d}", "$ENDDATA": f"{end:>10d}"})
    in_header = (begin, end) if end <= 99_999_999 else (0, 0)
    offsets = (_HEADER, begin - 1, *in_header, 0, 0)
    header = "FCS3.1    " + "".join(f"{offset:>8d}" for offset in offsets)
    Path(path).write_bytes(header.encode("ascii") + body + values.tobytes() + b"00000000")


def _text(pairs: Mapping[str, str]) -> bytes:
    """Join keywords and values with a delimiter that none of them holds, so that nothing needs escaping."""
    tokens = [token for pair in pairs.items() for token in pair]
    text = "".join(tokens)
    delimiter = next((d for d in "|\x0c\x1e\x1f/\\!~^" if d not in text), None)
    if delimiter is None:
        raise ValueError("keywords use every delimiter known to this writer")
    return (delimiter + delimiter.join(tokens) + delimiter).encode()

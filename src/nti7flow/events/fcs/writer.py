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
        More TEXT keywords, such as ``$SPILLOVER`` or ``$DATE``.
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
    pairs |= dict(keywords or {})
    if any(not key or not value for key, value in pairs.items()):
        raise ValueError("FCS forbids empty keywords and empty values")
    # The offsets stand inside the text whose length they give; fixed-width numbers break the circle.
    body = _text(pairs | {"$BEGINDATA": f"{0:>10d}", "$ENDDATA": f"{0:>10d}"})
    begin = _HEADER + len(body)
    end = begin + values.nbytes - 1 if values.nbytes else begin
    body = _text(pairs | {"$BEGINDATA": f"{begin:>10d}", "$ENDDATA": f"{end:>10d}"})
    in_header = (begin, end) if end <= 99_999_999 else (0, 0)
    offsets = (_HEADER, begin - 1, *in_header, 0, 0)
    header = "FCS3.1    " + "".join(f"{offset:>8d}" for offset in offsets)
    Path(path).write_bytes(header.encode("ascii") + body + values.tobytes() + b"00000000")


def _text(pairs: Mapping[str, str]) -> bytes:
    return (
        "|" + "".join(f"{key.replace('|', '||')}|{value.replace('|', '||')}|" for key, value in pairs.items())
    ).encode()

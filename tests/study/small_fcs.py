"""Small FCS files byte by byte, with any text in them: nothing of the package's own writer."""

from collections.abc import Mapping, Sequence

import numpy as np

HEADER = 58


def fcs(
    events: np.ndarray,
    detectors: Sequence[str],
    markers: Sequence[str] = (),
    *,
    keywords: Mapping[str, str] | None = None,
    analysis: Mapping[str, str] | None = None,
    big_endian: bool = False,
    delimiter: str = "\x02",
    more: bool = False,
) -> bytes:
    """One data set of single precision; ``more``: $NEXTDATA points behind it."""
    data = np.ascontiguousarray(events, dtype=">f4" if big_endian else "<f4").tobytes()
    pairs = {
        "$BEGINANALYSIS": f"{0:010d}",
        "$ENDANALYSIS": f"{0:010d}",
        "$BEGINDATA": f"{0:010d}",
        "$ENDDATA": f"{0:010d}",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
        "$NEXTDATA": f"{0:010d}",
        "$BYTEORD": "4,3,2,1" if big_endian else "1,2,3,4",
        "$DATATYPE": "F",
        "$MODE": "L",
        "$PAR": str(len(detectors)),
        "$TOT": str(len(events)),
    }
    for n, detector in enumerate(detectors, 1):
        pairs |= {f"$P{n}N": detector, f"$P{n}B": "32", f"$P{n}E": "0,0", f"$P{n}R": "262144"}
    pairs |= {f"$P{n}S": marker for n, marker in enumerate(markers, 1) if marker}
    pairs |= keywords or {}
    end_of_text = HEADER + len(_segment(pairs, delimiter))
    spans = {"DATA": (end_of_text, end_of_text + len(data) - 1)}
    tail = b""
    if analysis is not None:
        tail = _segment(analysis, delimiter)
        spans["ANALYSIS"] = (end_of_text + len(data), end_of_text + len(data) + len(tail) - 1)
    for name, (first, last) in spans.items():
        pairs |= {f"$BEGIN{name}": f"{first:010d}", f"$END{name}": f"{last:010d}"}
    if more:
        pairs["$NEXTDATA"] = f"{end_of_text + len(data) + len(tail) + 8:010d}"
    offsets = (HEADER, end_of_text - 1, *spans["DATA"], *spans.get("ANALYSIS", (0, 0)))
    header = "FCS3.1    " + "".join(f"{offset:>8d}" for offset in offsets)
    return header.encode() + _segment(pairs, delimiter) + data + tail + b"00000000"


def _segment(pairs: Mapping[str, str], delimiter: str) -> bytes:
    tokens = [token for pair in pairs.items() for token in pair]
    assert all(token and delimiter not in token for token in tokens)
    return (delimiter + delimiter.join(tokens) + delimiter).encode()

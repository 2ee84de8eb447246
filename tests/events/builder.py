"""FCS files byte by byte: ``struct`` alone, no NumPy and nothing of the package under test."""

import struct
from collections.abc import Mapping, Sequence

HEADER = 58
CODES = {("I", 8): "B", ("I", 16): "H", ("I", 32): "I", ("F", 32): "f", ("D", 64): "d"}


def text_segment(pairs: Sequence[tuple[str, str]], delimiter: str = "/", encoding: str = "utf-8") -> bytes:
    """TEXT: keywords and values between delimiters, a delimiter inside them doubled."""
    tokens = [token.replace(delimiter, delimiter * 2) for pair in pairs for token in pair]
    return (delimiter + delimiter.join(tokens) + delimiter).encode(encoding)


def data_segment(rows: Sequence[Sequence[float]], datatype: str, bits: Sequence[int], order: str) -> bytes:
    """DATA: the events one after the other."""
    layout = order + "".join(CODES[datatype, width] for width in bits)
    return b"".join(struct.pack(layout, *row) for row in rows)


def keyword_pairs(
    n_events: int, names: Sequence[str], datatype: str, bits: Sequence[int], order: str, ranges: Sequence[int]
) -> dict[str, str]:
    """The keywords the standard requires."""
    pairs = {
        "$MODE": "L",
        "$DATATYPE": datatype,
        "$BYTEORD": {"<": "1,2,3,4", ">": "4,3,2,1"}[order],
        "$NEXTDATA": "0",
        "$PAR": str(len(names)),
        "$TOT": str(n_events),
    }
    for n, (name, width, top) in enumerate(zip(names, bits, ranges, strict=True), 1):
        pairs |= {f"$P{n}N": name, f"$P{n}B": str(width), f"$P{n}R": str(top), f"$P{n}E": "0,0"}
    return pairs


def header(version: str, text: tuple[int, int], data: tuple[int, int]) -> bytes:
    """HEADER: the version and six right-justified offsets."""
    return f"{version:<10}{text[0]:>8}{text[1]:>8}{data[0]:>8}{data[1]:>8}{0:>8}{0:>8}".encode("ascii")


def build(
    rows: Sequence[Sequence[float]] = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)),
    names: Sequence[str] = ("FSC-A", "FITC-A"),
    *,
    datatype: str = "F",
    bits: Sequence[int] | None = None,
    order: str = "<",
    ranges: Sequence[int] | None = None,
    version: str = "FCS3.1",
    change: Mapping[str, str | None] | None = None,
    more: Sequence[tuple[str, str]] = (),
    delimiter: str = "/",
    encoding: str = "utf-8",
    data: bytes | None = None,
    in_header: tuple[int, int] | None = None,
    text_offsets: bool | None = None,
    raw_text: bytes | None = None,
    tail: bytes = b"00000000",
) -> bytes:
    """A whole file, right unless told otherwise.

    ``change`` replaces or (None) leaves out keywords, ``more`` adds pairs at the end (twice the same, if wanted),
    ``data`` replaces the packed rows, ``in_header`` shifts the DATA offsets of the HEADER by (begin, end),
    ``text_offsets`` says whether TEXT repeats them (as FCS 3.x does), ``raw_text`` is put behind TEXT's last delimiter.
    """
    bits = bits or [{"I": 16, "F": 32, "D": 64}[datatype]] * len(names)
    ranges = ranges or [2 ** min(width, 32) for width in bits]
    pairs = keyword_pairs(len(rows), names, datatype, bits, order, ranges)
    if version != "FCS2.0" if text_offsets is None else text_offsets:
        pairs |= {"$BEGINDATA": "0" * 12, "$ENDDATA": "0" * 12}
    for key, value in (change or {}).items():
        pairs.pop(key, None)
        if value is not None:
            pairs[key] = value
    packed = data_segment(rows, datatype, bits, order) if data is None else data
    behind = raw_text or b""
    begin = HEADER + len(text_segment([*pairs.items(), *more], delimiter, encoding) + behind)
    end = begin + len(packed) - 1
    for key, offset in (("$BEGINDATA", begin), ("$ENDDATA", end)):
        if pairs.get(key) == "0" * 12:
            pairs[key] = f"{offset:012d}"
    text = text_segment([*pairs.items(), *more], delimiter, encoding) + behind
    shift = in_header or (0, 0)
    return header(version, (HEADER, begin - 1), (begin + shift[0], end + shift[1])) + text + packed + tail


def segments(raw: bytes) -> dict[str, tuple[int, int]]:
    """First and last byte of TEXT and DATA, as the HEADER says."""
    offsets = [int(raw[10 + 8 * i : 18 + 8 * i]) for i in range(4)]
    return {"TEXT": (offsets[0], offsets[1]), "DATA": (offsets[2], offsets[3])}

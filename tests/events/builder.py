"""FCS files byte by byte: ``struct`` and ``int.to_bytes`` alone, no NumPy and nothing of the package under test."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

HEADER = 58
CODES = {("I", 8): "B", ("I", 16): "H", ("I", 32): "I", ("I", 64): "Q", ("F", 32): "f", ("D", 64): "d"}
SHORT = {"<": "1,2,3,4", ">": "4,3,2,1"}
#: Twelve digits that TEXT has room for, so that its length does not depend on what they say.
BLANK = "0" * 12


def text_segment(pairs: Sequence[tuple[str, str]], delimiter: str = "/", encoding: str = "utf-8") -> bytes:
    """TEXT: keywords and values between delimiters, a delimiter inside them doubled."""
    tokens = [token.replace(delimiter, delimiter * 2) for pair in pairs for token in pair]
    return (delimiter + delimiter.join(tokens) + delimiter).encode(encoding)


def ordered(little: bytes, order: str) -> bytes:
    """Bytes, given least significant first, as $BYTEORD has them: it lists the significance of each stored byte."""
    listed = [int(part) for part in SHORT.get(order, order).split(",")]
    if listed == sorted(listed):
        return little
    if listed == sorted(listed, reverse=True):
        return little[::-1]
    if len(little) != len(listed):
        raise ValueError(f"{order} does not order {len(little)} bytes")
    return bytes(little[significance - 1] for significance in listed)


def packed(value: float, kind: str, bits: int, order: str) -> bytes:
    """One value in whole bytes."""
    if kind == "A":
        return f"{value:0{bits}d}".encode()
    if kind == "I":
        return ordered(int(value).to_bytes(-(-bits // 8), "little"), order)
    return ordered(struct.pack("<" + CODES[kind, bits], value), order)


def data_segment(rows: Sequence[Sequence[float]], kinds: str, bits: Sequence[int], order: str) -> bytes:
    """DATA: the events one after the other; ``kinds`` is one letter for all channels or one for each."""
    letters = kinds * len(bits) if len(kinds) == 1 else kinds
    return b"".join(
        packed(value, kind, width, order) for row in rows for value, kind, width in zip(row, letters, bits, strict=True)
    )


def bit_stream(rows: Sequence[Sequence[int]], bits: Sequence[int], order: str) -> bytes:
    """DATA without gaps: a text of 0 and 1, the first bit of a byte its most significant one in big-endian files."""
    big = order == ">"
    text = "".join(
        f"{value:0{width}b}"[:: 1 if big else -1] for row in rows for value, width in zip(row, bits, strict=True)
    )
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8][:: 1 if big else -1], 2) for i in range(0, len(text), 8))


def keyword_pairs(
    n_events: int, names: Sequence[str], kinds: str, bits: Sequence[int], order: str, ranges: Sequence[int]
) -> dict[str, str]:
    """The keywords the standard requires."""
    pairs = {
        "$MODE": "L",
        "$DATATYPE": kinds[0],
        "$BYTEORD": SHORT.get(order, order),
        "$NEXTDATA": "0",
        "$PAR": str(len(names)),
        "$TOT": str(n_events),
    }
    for n, (name, width, top) in enumerate(zip(names, bits, ranges, strict=True), 1):
        pairs |= {f"$P{n}N": name, f"$P{n}B": str(width), f"$P{n}R": str(top), f"$P{n}E": "0,0"}
        if len(kinds) > 1 and kinds[n - 1] != kinds[0]:
            pairs[f"$P{n}DATATYPE"] = kinds[n - 1]
    return pairs


def header(
    version: str, text: tuple[int, int], data: tuple[int, int], analysis: tuple[int, int] | None = None
) -> bytes:
    """HEADER: the version and six right-justified offsets."""
    offsets = (*text, *data, *(analysis or (0, 0)))
    return (f"{version:<10}" + "".join(f"{offset:>8}" for offset in offsets)).encode("ascii")


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
    in_text: tuple[int, int] = (0, 0),
    text_offsets: bool | None = None,
    raw_text: bytes | None = None,
    gap: bytes = b"",
    supplement: bytes | None = None,
    analysis: bytes | None = None,
    tail: bytes = b"00000000",
) -> bytes:
    """A whole file, right unless told otherwise: HEADER, TEXT, gap, DATA, supplemental TEXT, ANALYSIS, tail.

    ``datatype`` is one letter for all channels, or one for each ($PnDATATYPE); ``order`` is ``<``, ``>`` or a
    $BYTEORD. ``change`` replaces or (None) leaves out keywords, ``more`` adds pairs at the end (twice the same, if
    wanted), ``data`` replaces the packed rows, ``in_header`` and ``in_text`` shift the DATA offsets there by (begin,
    end), ``text_offsets`` says whether TEXT repeats them (as FCS 3.x does), ``raw_text`` is put behind TEXT's last
    delimiter.
    """
    widths = {"I": 16, "F": 32, "D": 64, "A": 4}
    kinds = datatype * len(names) if len(datatype) == 1 else datatype
    bits = bits or [widths[kind] for kind in kinds]
    ranges = ranges or [2 ** min(width, 32) for width in bits]
    pairs = keyword_pairs(len(rows), names, kinds, bits, order, ranges)
    if version != "FCS2.0" if text_offsets is None else text_offsets:
        pairs |= {"$BEGINDATA": BLANK, "$ENDDATA": BLANK}
    if supplement is not None:
        pairs |= {"$BEGINSTEXT": BLANK, "$ENDSTEXT": BLANK}
    if analysis is not None:
        pairs |= {"$BEGINANALYSIS": BLANK, "$ENDANALYSIS": BLANK}
    for key, value in (change or {}).items():
        pairs.pop(key, None)
        if value is not None:
            pairs[key] = value
    events = data_segment(rows, kinds, bits, order) if data is None else data
    behind = raw_text or b""
    text_end = HEADER + len(text_segment([*pairs.items(), *more], delimiter, encoding) + behind)
    begin = text_end + len(gap)
    end = begin + len(events) - 1
    places = {"DATA": (begin + in_text[0], end + in_text[1])}
    after = end + 1
    for name, segment in (("STEXT", supplement), ("ANALYSIS", analysis)):
        if segment is not None:
            places[name] = (after, after + len(segment) - 1)
            after += len(segment)
    for name, span in places.items():
        for key, offset in zip((f"$BEGIN{name}", f"$END{name}"), span, strict=True):
            if pairs.get(key) == BLANK:
                pairs[key] = f"{offset:012d}"
    text = text_segment([*pairs.items(), *more], delimiter, encoding) + behind
    shift = in_header or (0, 0)
    first = header(version, (HEADER, text_end - 1), (begin + shift[0], end + shift[1]), places.get("ANALYSIS"))
    return first + text + gap + events + (supplement or b"") + (analysis or b"") + tail


def chain(*data_sets: Mapping[str, Any], gap: bytes = b"") -> bytes:
    """One file of several data sets, each given by the arguments of `build`."""
    out = b""
    for i, options in enumerate(data_sets):
        rest = {key: value for key, value in options.items() if key != "change"}
        change = options.get("change", {})
        last = i == len(data_sets) - 1
        size = len(build(**rest, change={"$NEXTDATA": BLANK} | change)) + len(gap)
        step = "0" if last else f"{size:012d}"
        out += build(**rest, change={"$NEXTDATA": step} | change) + (b"" if last else gap)
    return out


def segments(raw: bytes) -> dict[str, tuple[int, int]]:
    """First and last byte of TEXT and DATA, as the HEADER says."""
    offsets = [int(raw[10 + 8 * i : 18 + 8 * i]) for i in range(4)]
    return {"TEXT": (offsets[0], offsets[1]), "DATA": (offsets[2], offsets[3])}


def data_at(raw: bytes, begin: int, end: int) -> bytes:
    """The same file with these DATA offsets in its HEADER."""
    return raw[:26] + b"%8d%8d" % (begin, end) + raw[42:]

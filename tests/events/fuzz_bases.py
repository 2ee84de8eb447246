"""Files to be damaged: a layout of segments that can be changed and put together again, and one of every kind.

Written with ``struct`` alone. Offsets are filled in when the file is put together, unless something else was put there:
so a mutation of a token leaves a file that is right in every other respect, and reaches deep into a reader.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

HEADER = 58
#: Stands for an offset that is filled in; eight digits, zeros in front.
AUTO = b"\0AUTO\0"
OFFSETS = {
    b"$BEGINDATA": ("data", 0), b"$ENDDATA": ("data", 1), b"$BEGINSTEXT": ("supplement", 0),
    b"$ENDSTEXT": ("supplement", 1), b"$BEGINANALYSIS": ("analysis", 0), b"$ENDANALYSIS": ("analysis", 1),
    b"$NEXTDATA": ("next", 0),
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """One data set of a file, segment by segment.

    ``text``, ``supplement`` and ``analysis`` are keywords and values in turn, as they stand between the delimiters;
    ``fields`` replaces HEADER fields (0 to 5), ``gap`` lies between TEXT and DATA, ``tail`` behind the last segment
    (``b"CRC"``: the checksum), ``more`` is the next data set.
    """

    version: bytes
    text: tuple[bytes, ...]
    data: bytes
    delimiter: bytes = b"/"
    supplement: tuple[bytes, ...] = ()
    analysis: tuple[bytes, ...] = ()
    fields: dict[int, bytes] = field(default_factory=dict)
    gap: bytes = b""
    tail: bytes = b"00000000"
    data_first: bool = False
    more: Layout | None = None


def assemble(layout: Layout) -> bytes:
    """Put a file together, with right offsets wherever they were left open."""
    spans = {"next": (0, 0)}
    body = b""
    for _ in range(2):  # the first pass finds where things are: filled-in offsets always take eight digits
        body, spans = _place(layout, spans)
    places = [spans["text"], spans["data"], spans["analysis"]]
    numbers = [b"%8d" % (number if number <= 99_999_999 else 0) for span in places for number in span]
    for place, number in layout.fields.items():
        numbers[place] = number
    raw = layout.version.ljust(10) + b"".join(numbers) + body[HEADER:]
    raw += b"%08X" % binascii.crc_hqx(raw, 0xFFFF) if layout.tail == b"CRC" else layout.tail
    return raw + assemble(layout.more) if layout.more is not None else raw


def _place(layout: Layout, known: dict[str, tuple[int, int]]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    segments = {
        "text": _join(layout.text, layout.delimiter, known),
        "supplement": _join(layout.supplement, layout.delimiter, known),
        "data": layout.data,
        "analysis": _join(layout.analysis, layout.delimiter, known),
    }
    order = ["data", "text"] if layout.data_first else ["text", "supplement", "data"]
    order += [name for name in segments if name not in order]
    body, spans = b" " * HEADER, {}
    for name in order:
        if name == "data" and not layout.data_first:
            body += layout.gap
        part = segments[name]
        spans[name] = (len(body), len(body) + len(part) - 1) if part else (0, 0)
        body += part
    length = len(body) + (8 if layout.tail == b"CRC" else len(layout.tail))
    spans["next"] = (length, length) if layout.more is not None else (0, 0)
    return body, spans


def _join(tokens: Sequence[bytes], delimiter: bytes, spans: dict[str, tuple[int, int]]) -> bytes:
    if not tokens:
        return b""
    filled = list(tokens)
    for i, token in enumerate(tokens):
        if token == AUTO:
            name, end = OFFSETS.get(tokens[i - 1].upper() if i else b"", ("", 0))  # a mutation may have moved it
            filled[i] = b"%08d" % spans.get(name, (0, 0))[end]
    return delimiter + delimiter.join(filled) + delimiter


# --- one of every kind ----------------------------------------------------------------------------


def required(
    n_events: int, bits: Sequence[int | str], datatype: str, order: str, *, version: str, names: Sequence[str] = ()
) -> list[tuple[str, str | bytes]]:
    """The keywords the standard requires."""
    names = names or ["FSC-A", "SSC-A", "FITC-A", "PE-A", "APC-A", "Time"][: len(bits)]
    pairs: list[tuple[str, str | bytes]] = []
    if version != "FCS2.0":
        pairs += [(key.decode(), AUTO) for key in OFFSETS if key != b"$NEXTDATA"]
    pairs += [
        ("$MODE", "L"), ("$DATATYPE", datatype), ("$BYTEORD", order), ("$NEXTDATA", AUTO), ("$PAR", str(len(bits))),
        ("$TOT", str(n_events)),
    ]  # fmt: skip
    for n, (name, width) in enumerate(zip(names, bits, strict=True), 1):
        top = 2 ** min(width, 30) if isinstance(width, int) else 1024
        pairs += [(f"$P{n}N", name), (f"$P{n}B", str(width)), (f"$P{n}R", str(top)), (f"$P{n}E", "0,0")]
    return pairs


def tokens(pairs: Iterable[tuple[str, str | bytes]], delimiter: str = "/") -> tuple[bytes, ...]:
    """Keywords and values in turn, delimiters inside them doubled."""
    found = [part for pair in pairs for part in pair]
    return tuple(p if isinstance(p, bytes) else p.replace(delimiter, 2 * delimiter).encode() for p in found)


def changed(pairs: list[tuple[str, str | bytes]], **values: str) -> list[tuple[str, str | bytes]]:
    """Replace values; ``P1R="1024"`` is keyword $P1R."""
    return [(key, values.get(key.strip("$"), value)) for key, value in pairs]


def _floats(n: int, channels: int) -> list[float]:
    return [((i * 7919) % 10007) / 16 - 100 for i in range(n * channels)]


def _whole(n: int, channels: int, top: int) -> list[int]:
    return [(i * 7919 + 13) % top for i in range(n * channels)]


def bases() -> dict[str, Layout]:
    """One file of every kind, by name."""
    made: dict[str, Layout] = {}
    pairs = changed(required(8, [16] * 3, "I", "4,3,2,1", version="FCS2.0"), P3E="4,1", P3R="1024", P2G="2")
    made["FCS2.0 I16 log"] = Layout(b"FCS2.0", tokens(pairs), struct.pack(">24H", *_whole(8, 3, 1024)), tail=b"")

    pairs = required(7, [32] * 4, "F", "4,3,2,1", version="FCS3.0")
    pairs += [("$TIMESTEP", "0.01"), ("$P3G", "2.0"), ("CYTNUM", "7"), ("$FIL", "a tube.fcs")]
    made["FCS3.0 F big-endian"] = Layout(
        b"FCS3.0", tokens(pairs, "\f"), struct.pack(">28f", *_floats(7, 4)), delimiter=b"\f"
    )

    spill = "3,FITC-A,PE-A,APC-A,1,0.1,0.02,0.03,1,0.2,0,0.05,1"
    pairs = [*required(6, [32] * 6, "F", "1,2,3,4", version="FCS3.1"), ("$SPILLOVER", spill), ("$P3S", "CD3"),
             ("$P4S", "CD4/CD8"), ("$TIMESTEP", "0.1"), ("$OP", "Zoë")]  # fmt: skip
    made["FCS3.1 F spillover"] = Layout(
        b"FCS3.1", tokens(pairs, "|"), struct.pack("<36f", *_floats(6, 6)), delimiter=b"|", gap=b" " * 5
    )

    pairs = required(5, [64] * 3, "D", "1,2,3,4", version="FCS3.1")
    made["FCS3.1 D"] = Layout(b"FCS3.1", tokens(pairs), struct.pack("<15d", *_floats(5, 3)), tail=b"")

    pairs = changed(required(6, [8, 16, 24, 32, 64], "I", "4,3,2,1", version="FCS3.0"), P4R="1000", P2R="1024")
    rows = _whole(6, 5, 200)
    data = b"".join(
        v.to_bytes(w, "big") for i in range(6) for v, w in zip(rows[5 * i : 5 * i + 5], (1, 2, 3, 4, 8), strict=True)
    )
    made["FCS3.0 mixed integers"] = Layout(b"FCS3.0", tokens(pairs), data)

    pairs = changed(required(4, [32] * 2, "I", "3,4,1,2", version="FCS3.0"), P1R="1024", P2R="262144")
    values = [v | 0xC0000000 for v in _whole(4, 2, 1024)]
    made["FCS3.0 I32 mixed order, junk bits"] = Layout(
        b"FCS3.0", tokens(pairs), b"".join(struct.pack("<HH", v >> 16, v & 0xFFFF) for v in values)
    )

    pairs = required(5, [32, 64, 16, 8], "F", "1,2,3,4", version="FCS3.2")
    pairs += [("$P2DATATYPE", "D"), ("$P3DATATYPE", "I"), ("$P4DATATYPE", "I"), ("$CYT", "simulated")]
    data = b"".join(struct.pack("<fdHB", i + 0.5, i / 3, 1000 + i, i) for i in range(5))
    made["FCS3.2 mixed types"] = Layout(b"FCS3.2", tokens(pairs), data)

    pairs = required(4, [5, 4, 3], "A", "1,2,3,4", version="FCS3.0")
    data = b"".join(b"%5d%04d%3d" % (12345 - i, 7 * i, 1023 % (i + 300)) for i in range(4))
    made["FCS3.0 ASCII"] = Layout(b"FCS3.0", tokens(changed(pairs, P1R="99999", P2R="9999", P3R="999")), data)
    pairs = required(4, ["*", "*"], "A", "1,2,3,4", version="FCS3.0")
    made["FCS3.0 ASCII delimited"] = Layout(
        b"FCS3.0", tokens(changed(pairs, P1R="4096")), b"1 22\n3,444 5\t6 77 1023\n"
    )

    pairs = changed(required(6, [10] * 4, "I", "4,3,2,1", version="FCS2.0"), P1R="1024", P4E="4,0")
    made["FCS2.0 10 bits in words"] = Layout(b"FCS2.0", tokens(pairs), struct.pack(">24H", *_whole(6, 4, 1024)))

    first, second = (
        Layout(b"FCS3.0", tokens(required(n, [16] * 2, "I", "1,2,3,4", version="FCS3.0")),
               struct.pack(f"<{2 * n}H", *_whole(n, 2, 60_000)))
        for n in (5, 3)
    )  # fmt: skip
    made["two data sets"] = replace(first, more=second)
    third = replace(second, text=tokens(changed(required(2, [32], "F", "4,3,2,1", version="FCS3.0"), P1R="262144")),
                    data=struct.pack(">2f", 1.5, -2.5))  # fmt: skip
    made["three data sets"] = replace(first, more=replace(second, more=third))

    pairs = required(6, [32] * 3, "F", "1,2,3,4", version="FCS3.1")
    extra = tokens([("$P3S", "CD19"), ("$SPILLOVER", "2,FITC-A,SSC-A,1,0.1,0.2,1"), ("MYKEY", "a/b")])
    made["supplemental TEXT"] = Layout(b"FCS3.1", tokens(pairs), struct.pack("<18f", *_floats(6, 3)), supplement=extra)
    notes = tokens([("GATE1", "1.5,2.5"), ("RESULT", "12 %")])
    made["ANALYSIS"] = Layout(b"FCS3.1", tokens(pairs), struct.pack("<18f", *_floats(6, 3)), analysis=notes)
    made["checksum"] = Layout(b"FCS3.1", tokens(pairs), struct.pack("<18f", *_floats(6, 3)), tail=b"CRC")
    made["DATA before TEXT"] = Layout(b"FCS3.1", tokens(pairs), struct.pack("<18f", *_floats(6, 3)), data_first=True)
    made["no event"] = Layout(b"FCS3.1", tokens(changed(required(0, [32] * 2, "F", "1,2,3,4", version="FCS3.1"))), b"")
    made["one event, one byte"] = Layout(
        b"FCS3.0", tokens(required(1, [8], "I", "1,2,3,4", version="FCS3.0")), b"\x05", tail=b""
    )
    long = [*required(3, [16] * 2, "I", "1,2,3,4", version="FCS3.1"), *((f"VENDOR{i}", f"x{i}/y") for i in range(40))]
    made["many vendor keywords"] = Layout(b"FCS3.1", tokens(long), struct.pack("<6H", *_whole(3, 2, 9999)))
    return made


# --- the heads of real files ----------------------------------------------------------------------


def head_of(raw: bytes, n_events: int = 40) -> Layout | None:
    """Take HEADER, TEXT and the first events of a real file; None where that cannot be done in a simple way."""
    if not re.match(rb"FCS[23]\.[012]", raw):
        return None
    try:
        text_begin, text_end, data_begin = (int(raw[10 + 8 * i : 18 + 8 * i]) for i in range(3))
    except ValueError:
        return None
    text = raw[text_begin : text_end + 1]
    delimiter = text[:1]
    parts = list(text.strip(b" \0\r\n")[1:].removesuffix(delimiter).split(delimiter))
    at = {key.strip().upper(): i + 1 for i, key in enumerate(parts[:-1]) if i % 2 == 0}
    try:
        total, n_channels = int(parts[at[b"$TOT"]]), int(parts[at[b"$PAR"]])
        row = sum(int(parts[at[b"$P%dB" % n]]) for n in range(1, n_channels + 1))
    except (KeyError, ValueError):
        return None
    if row % 8 or not total:
        return None
    data_begin = data_begin or int(parts[at[b"$BEGINDATA"]])
    n = min(total, n_events)
    data = raw[data_begin : data_begin + n * row // 8]
    if len(data) < n * row // 8:
        return None
    for key in OFFSETS:
        if key in at:
            parts[at[key]] = AUTO
    parts[at[b"$TOT"]] = b"%d" % n
    return Layout(raw[:6], tuple(parts), data, delimiter=delimiter)


def real_heads(folder: Path) -> dict[str, Layout]:
    """Heads of real files in a folder: one of each set of keywords, in order of their paths."""
    made: dict[tuple[bytes, ...], tuple[str, Layout]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".fcs", ".lmd")):
        with path.open("rb") as stream:
            raw = stream.read(1 << 20)
        layout = head_of(raw)
        if layout is not None:
            made.setdefault((layout.version, *layout.text[::2]), (str(path.relative_to(folder)), layout))
    return dict(made.values())

"""FCS files with every byte under control: ``struct`` and ``bytes`` alone, nothing of the package under test.

A `Tube` is a right file unless told otherwise. It is laid out until its offsets agree with themselves, so claims about
places are functions of where the segments really are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HEADER_SIZE = 58
ROWS = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0))
NAMES = ("FSC-A", "FITC-A")


class Bits(NamedTuple):
    """A floating-point value given by its bits, so that NaN can be compared."""

    pattern: int
    size: int


Value = int | float | Bits
Range = tuple[int, int]


class Places(NamedTuple):
    """First and last byte of every segment, counted from the HEADER; None where there is none."""

    text: Range
    data: Range
    analysis: Range | None
    supplement: Range | None
    size: int


Field = int | str | bytes
Claim = Callable[[Places], tuple[Field, Field] | None]


def shifted(begin: int, end: int, segment: str = "data") -> Claim:
    """Claim a place some bytes beside the true one."""

    def claim(places: Places) -> tuple[Field, Field]:
        true = getattr(places, segment)
        return true[0] + begin, true[1] + end

    return claim


def said(begin: Field, end: Field) -> Claim:
    """Claim these two, whatever is true."""
    return lambda _: (begin, end)


def left_out(_: Places) -> None:
    """Say nothing."""


# --- values to bytes ------------------------------------------------------------------------------


def ordered(little: bytes, order: str) -> bytes:
    """Bytes, given least significant first, in the order of $BYTEORD: the list names what is written first to last."""
    wanted = [int(part) for part in order.split(",")]
    if wanted == sorted(wanted):
        return little
    if wanted == sorted(wanted, reverse=True):
        return little[::-1]
    named = [n for n in wanted if n <= len(little)]
    if len(named) != len(little):
        raise ValueError(f"{order} does not say how {len(little)} bytes are ordered")
    return bytes(little[n - 1] for n in named)


def packed_value(value: Value, kind: str, order: str) -> bytes:
    """One value of a kind such as ``I16``, ``F32``, ``D64`` or ``A4``."""
    letter, bits = kind[0], int(kind[1:])
    if letter == "A":
        return f"{value:>{bits}}".encode()
    if isinstance(value, Bits):
        little = value.pattern.to_bytes(value.size, "little")
    elif letter == "I":
        little = int(value).to_bytes(bits // 8, "little")
    else:
        little = struct.pack("<f" if letter == "F" else "<d", value)
    return ordered(little, order)


def packed_rows(rows: Sequence[Sequence[Value]], kinds: Sequence[str], order: str) -> bytes:
    """Events one after the other, every value in whole bytes."""
    return b"".join(packed_value(v, kind, order) for row in rows for v, kind in zip(row, kinds, strict=True))


def bit_stream(rows: Sequence[Sequence[int]], widths: Sequence[int], *, first: str = "most") -> bytes:
    """Events packed without gaps, the most (or least) significant bit of every value first; padded to a byte."""
    step = 1 if first == "most" else -1
    bits = "".join(f"{value:0{width}b}"[::step] for row in rows for value, width in zip(row, widths, strict=True))
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::step], 2) for i in range(0, len(bits), 8))


def crc16(raw: bytes, *, start: int = 0, reflected: bool = True) -> int:
    """CRC-16 with the CCITT polynomial x^16 + x^12 + x^5 + 1.

    As FCS 3.0 says it (section 3.5): every byte bit-reversed, starting from 0, what others call Kermit's. Not reflected
    it is XMODEM's, and from 0xFFFF what is sold as "the" CCITT checksum.
    """
    crc = start
    for byte in raw:
        if reflected:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
        else:
            crc ^= byte << 8
            for _ in range(8):
                crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def checksum(raw: bytes) -> bytes:
    """The eight characters behind the last segment."""
    return f"{crc16(raw):08X}".encode()


def text_bytes(pairs: Sequence[tuple[Field, Field]], delimiter: bytes = b"/", encoding: str = "utf-8") -> bytes:
    """Keywords and values between delimiters, a delimiter inside them doubled."""
    out = delimiter
    for pair in pairs:
        for token in pair:
            raw = token if isinstance(token, bytes) else str(token).encode(encoding)
            out += raw.replace(delimiter, delimiter * 2) + delimiter
    return out


# --- the file -------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Tube:
    """One data set.

    ``kinds`` is one kind for all channels or one each; ``change`` replaces or (None) leaves out keywords and ``more``
    adds pairs at the end, twice the same if wanted. ``header`` and ``stated`` are what HEADER and TEXT claim where it
    is not the truth; ``before`` are bytes that stand before a segment; ``edit_text`` and ``edit`` have the last word.
    """

    rows: Sequence[Sequence[Value]] = ROWS
    names: Sequence[str] = NAMES
    kinds: str | Sequence[str] = "F32"
    tops: Sequence[int | str] | None = None
    amplifiers: Sequence[str] | None = None
    version: str = "FCS3.1"
    order: str = "1,2,3,4"
    change: Mapping[str, Field | None] = field(default_factory=dict)
    more: Sequence[tuple[Field, Field]] = ()
    delimiter: bytes = b"/"
    encoding: str = "utf-8"
    edit_text: Callable[[bytes], bytes] | None = None
    data: bytes | None = None
    analysis: bytes | None = None
    supplement: bytes | None = None
    sequence: Sequence[str] = ("text", "data", "analysis", "supplement")
    before: Mapping[str, bytes] = field(default_factory=dict)
    header: Mapping[str, Claim] = field(default_factory=dict)
    stated: Mapping[str, Claim] = field(default_factory=dict)
    tail: bytes | Callable[[bytes], bytes] = b"00000000"
    edit: Callable[[bytes], bytes] | None = None

    def each_kind(self) -> list[str]:
        return [self.kinds] * len(self.names) if isinstance(self.kinds, str) else list(self.kinds)

    def pairs(self, places: Places) -> list[tuple[Field, Field]]:
        kinds = self.each_kind()
        main = kinds[0][0]
        pairs: dict[str, Field] = {}
        if self.version != "FCS2.0":
            for segment, key in (("analysis", "ANALYSIS"), ("data", "DATA"), ("supplement", "STEXT")):
                claim = self.stated.get(segment, lambda p, s=segment: getattr(p, s) or (0, 0))(places)
                if claim is not None:
                    pairs |= {f"$BEGIN{key}": claim[0], f"$END{key}": claim[1]}
        pairs |= {"$MODE": "L", "$DATATYPE": main, "$BYTEORD": self.order, "$NEXTDATA": 0}
        pairs |= {"$PAR": len(self.names), "$TOT": len(self.rows)}
        if self.version == "FCS3.2":
            pairs["$CYT"] = "torture"
        for n, (name, kind) in enumerate(zip(self.names, kinds, strict=True), 1):
            top = self.tops[n - 1] if self.tops else 2 ** int(kind[1:]) if kind[0] == "I" else 262144
            amplifier = self.amplifiers[n - 1] if self.amplifiers else "0,0"
            pairs |= {f"$P{n}N": name, f"$P{n}B": kind[1:], f"$P{n}R": top, f"$P{n}E": amplifier}
            if kind[0] != main:
                pairs[f"$P{n}DATATYPE"] = kind[0]
        for key, value in self.change.items():
            if value is None:
                pairs.pop(key)
            else:
                pairs[key] = value
        return [*pairs.items(), *self.more]

    def _segments(self, places: Places) -> dict[str, bytes]:
        text = text_bytes(self.pairs(places), self.delimiter, self.encoding)
        return {
            "text": self.edit_text(text) if self.edit_text else text,
            "data": packed_rows(self.rows, self.each_kind(), self.order) if self.data is None else self.data,
            "analysis": self.analysis or b"",
            "supplement": self.supplement or b"",
        }

    def lay_out(self) -> tuple[dict[str, bytes], Places]:
        """Find where everything lies: longer offsets make a longer TEXT, so again until nothing moves."""
        there = [(0, 0) if segment is not None else None for segment in (self.analysis, self.supplement)]
        places = Places((58, 58), (0, 0), there[0], there[1], 0)
        for _ in range(20):
            segments, at, found = self._segments(places), HEADER_SIZE, {}
            for name in self.sequence:
                at += len(self.before.get(name, b""))
                found[name] = (at, at + len(segments[name]) - 1)
                at += len(segments[name])
            new = Places(
                found["text"],
                found["data"],
                found["analysis"] if self.analysis is not None else None,
                found["supplement"] if self.supplement is not None else None,
                at,
            )
            if new == places:
                return segments, places
            places = new
        raise ValueError("the offsets never settle")

    @property
    def places(self) -> Places:
        return self.lay_out()[1]

    def build(self) -> bytes:
        segments, places = self.lay_out()
        out = f"{self.version:<10}".encode()
        for segment in ("text", "data", "analysis"):
            true = self.header.get(segment, lambda p, s=segment: getattr(p, s) or (0, 0))(places) or ("", "")
            for offset in true:
                out += offset if isinstance(offset, bytes) else f"{offset:>8}".encode()
        for name in self.sequence:
            out += self.before.get(name, b"") + segments[name]
        out += self.tail(out) if callable(self.tail) else self.tail
        return self.edit(out) if self.edit else out


def chain(*tubes: Tube, gap: bytes = b"", last: Field = 0, step: Callable[[int, int], Field] | None = None) -> bytes:
    """Several data sets in one file; ``step(base, size)`` is what $NEXTDATA says, by default the size."""
    out = b""
    for i, tube in enumerate(tubes):
        if i == len(tubes) - 1:
            tube.change = {**tube.change, "$NEXTDATA": last}
            return out + tube.build()
        base = len(out)
        out += _linked(tube, gap, lambda size, base=base: step(base, size) if step else size)
    return out


def _linked(tube: Tube, gap: bytes, next_data: Callable[[int], Field]) -> bytes:
    """Build one data set whose $NEXTDATA depends on its own size."""
    size = 0
    for _ in range(20):
        tube.change = {**tube.change, "$NEXTDATA": next_data(size)}
        raw = tube.build() + gap
        if len(raw) == size:
            return raw
        size = len(raw)
    raise ValueError("$NEXTDATA never settles")

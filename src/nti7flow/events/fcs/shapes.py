"""What the keywords say an event looks like: one shape, or several between which the size of DATA decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from nti7flow.events import codes
from nti7flow.events.codes import Code
from nti7flow.events.layout import Column, Kind, Layout, byte_places, container, integer_mask
from nti7flow.events.notes import Findings, refusal
from nti7flow.events.numbers import decimal, whole_number

#: Bytes of a floating-point value.
_FLOATS = {"F": 4, "D": 8}


@dataclass(frozen=True)
class Shape:
    """One way to read an event; ``code`` is what must be noted when it is the right one."""

    code: Code | None = None
    remark: str = ""

    def size(self, n_events: int) -> int | None:
        """Bytes of so many events; None where the size does not follow."""
        raise NotImplementedError

    def count(self, size: int) -> int | None:
        """Events in so many bytes; None where they are no whole number."""
        raise NotImplementedError

    @property
    def row_text(self) -> str:
        """How large an event is, for messages."""
        raise NotImplementedError


@dataclass(frozen=True)
class ByteShape(Shape):
    """Values in whole bytes."""

    layout: Layout = field(kw_only=True)

    def size(self, n_events: int) -> int:
        """Bytes of so many events."""
        return n_events * self.layout.row_size

    def count(self, size: int) -> int | None:
        """Events in so many bytes."""
        n, rest = divmod(size, self.layout.row_size)
        return None if rest else n

    @property
    def row_text(self) -> str:
        """How large an event is."""
        return f"{self.layout.row_size} bytes"


@dataclass(frozen=True)
class BitShape(Shape):
    """Integers packed bit by bit, across bytes and events."""

    bits: tuple[int, ...] = ()
    masks: tuple[int | None, ...] = ()
    big_endian: bool = True

    def size(self, n_events: int) -> int:
        """Bytes of so many events."""
        return -(-n_events * sum(self.bits) // 8)

    def count(self, size: int) -> int | None:
        """Return None: how many events a stream of bits holds, only $TOT tells."""
        return None

    @property
    def row_text(self) -> str:
        """How large an event is."""
        return f"{sum(self.bits)} bits"


@dataclass(frozen=True)
class AsciiShape(Shape):
    """Whole numbers in ASCII digits: of fixed widths, or (widths empty) between delimiters."""

    widths: tuple[int, ...] = ()
    n_channels: int = 0

    def size(self, n_events: int) -> int | None:
        """Bytes of so many events; None where they are delimited."""
        return n_events * sum(self.widths) if self.widths else None

    def count(self, size: int) -> int | None:
        """Events in so many bytes; None where they are no whole number, or delimited."""
        n, rest = divmod(size, sum(self.widths)) if self.widths else (0, 1)
        return None if rest else n

    @property
    def row_text(self) -> str:
        """How large an event is."""
        return f"{sum(self.widths)} bytes" if self.widths else f"{self.n_channels} numbers"


def shapes(keywords: Mapping[str, str], *, path: str, begin: int) -> list[Shape]:
    """Return the shapes that the keywords allow, likeliest first; refuses what none of them fits."""
    n_channels = number(keywords, "$PAR", path=path, begin=begin)
    if not 0 < n_channels <= len(keywords):
        raise refusal(
            codes.BAD_KEYWORD,
            path=path,
            found=f"$PAR={n_channels}",
            expected="the number of channels",
            byte_offset=begin,
        )
    kinds = [_kind(keywords, n, path, begin) for n in range(1, n_channels + 1)]
    if "A" in kinds:
        return [_ascii(keywords, kinds, path, begin)]
    order = byte_order(keywords, path=path, begin=begin)
    bits = [number(keywords, f"$P{n}B", path=path, begin=begin) for n in range(1, n_channels + 1)]
    ranges = [top_of(keywords, n) for n in range(1, n_channels + 1)]
    for n, (kind, width) in enumerate(zip(kinds, bits, strict=True), 1):
        if not 1 <= width <= 64:
            raise _width(n, width, kind, path, begin)
    found: dict[tuple[int, ...], Shape] = {}
    binary = cast("list[Kind]", kinds)
    for widths, code in _width_choices(kinds, bits):
        columns = tuple(
            Column(kind, stored, _mask(kind, top, width, stored))
            for kind, top, width, stored in zip(binary, ranges, bits, widths, strict=True)
        )
        for n, column in enumerate(columns, 1):
            if byte_places(order, column.width) is None:
                raise refusal(
                    codes.UNSUPPORTED_ORDER,
                    path=path,
                    found=f"$BYTEORD={keywords['$BYTEORD'].strip()!r} with values of {column.width} bytes ($P{n}B)",
                    byte_offset=begin,
                )
        remark = (
            f"$PnB {_listing(bits)} with $DATATYPE {_listing(kinds)} and values of {_listing(widths)} bytes in DATA"
        )
        found.setdefault(widths, ByteShape(code, remark, layout=Layout(columns, order)))
    candidates: list[Shape] = list(found.values())
    rising = tuple(range(1, len(order) + 1))
    if any(width % 8 for width in bits) and set(kinds) == {"I"} and order in (rising, rising[::-1]):
        masks = tuple(_mask("I", top, width, 8) for top, width in zip(ranges, bits, strict=True))
        big = order == rising[::-1]
        candidates.append(
            BitShape(codes.PACKED_BITS, f"$PnB {_listing(bits)} and no gaps in DATA", tuple(bits), masks, big)
        )
    return candidates


def _width_choices(kinds: list[str], bits: list[int]) -> Iterator[tuple[tuple[int, ...], Code | None]]:
    """Bytes per value, for every way in which programs lay out such widths."""
    natural = tuple(_FLOATS.get(kind) or -(-width // 8) for kind, width in zip(kinds, bits, strict=True))
    told = all(8 * size == width for size, width in zip(natural, bits, strict=True))
    floats_told = all(8 * _FLOATS[kind] == width for kind, width in zip(kinds, bits, strict=True) if kind in _FLOATS)
    if told:
        yield natural, None
    else:
        yield natural, codes.PADDED_BITS if floats_told else codes.WIDTH_BY_SIZE
    # 10 or 24 bits, each in the 16 or 32 of a machine word.
    words = tuple(container(size) for size in natural)
    if words != natural:
        yield words, codes.PADDED_BITS


def _mask(kind: str, top: int | None, bits: int, stored: int) -> int | None:
    """Bits an integer uses: those of its range, and never more than $PnB."""
    if kind != "I":
        return None
    masks = [integer_mask(top, bits), (1 << bits) - 1 if bits < 8 * stored else None]
    known = [mask for mask in masks if mask is not None]
    return min(known) if known else None


def note_mixed(keywords: Mapping[str, str], version: str, findings: Findings) -> None:
    """Note types of single channels in a version of the standard that does not know them."""
    if version == "FCS3.2":
        return
    for n in range(1, int(keywords["$PAR"]) + 1):
        if keywords.get(f"$P{n}DATATYPE", "").strip():
            findings.add(codes.MIXED_TYPES, found=f"$P{n}DATATYPE in {version}", assumed="read as in FCS 3.2")


def _ascii(keywords: Mapping[str, str], kinds: list[str], path: str, begin: int) -> AsciiShape:
    if set(kinds) != {"A"}:
        raise refusal(
            codes.UNSUPPORTED_TYPE,
            path=path,
            found=f"data types {_listing(kinds)}",
            expected="A throughout or not at all",
            byte_offset=begin,
        )
    n_channels = len(kinds)
    written = [keywords.get(f"$P{n}B", "").strip() for n in range(1, n_channels + 1)]
    if set(written) == {"*"}:
        return AsciiShape(None, "", (), n_channels)
    widths = tuple(number(keywords, f"$P{n}B", path=path, begin=begin) for n in range(1, n_channels + 1))
    for n, width in enumerate(widths, 1):
        if not 1 <= width <= 40:
            raise _width(n, width, "A", path, begin)
    return AsciiShape(None, "", widths, n_channels)


def _kind(keywords: Mapping[str, str], n: int, path: str, begin: int) -> str:
    key = f"$P{n}DATATYPE" if keywords.get(f"$P{n}DATATYPE", "").strip() else "$DATATYPE"
    kind = keywords[key].strip().upper()
    if kind not in ("I", "F", "D", "A"):
        raise refusal(
            codes.UNSUPPORTED_TYPE,
            path=path,
            found=f"{key}={keywords[key]!r}",
            expected="I, F, D or A",
            byte_offset=begin,
        )
    return kind


def byte_order(keywords: Mapping[str, str], *, path: str, begin: int) -> tuple[int, ...]:
    """Return $BYTEORD as the significance of each stored byte."""
    parts = keywords["$BYTEORD"].replace(" ", "").split(",")
    order = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) == 1)
    if len(order) != len(parts) or sorted(order) != list(range(1, len(order) + 1)) or len(order) > 8:
        raise refusal(
            codes.UNSUPPORTED_ORDER,
            path=path,
            found=f"$BYTEORD={keywords['$BYTEORD']!r}",
            expected="each byte once, such as 4,3,2,1",
            byte_offset=begin,
        )
    return order


def number(keywords: Mapping[str, str], key: str, *, path: str, begin: int) -> int:
    """Return a keyword as a non-negative whole number, or refuse the file naming it."""
    if key not in keywords:
        raise refusal(codes.MISSING_KEYWORD, path=path, found=f"no {key}", expected=key, byte_offset=begin)
    value = whole_number(keywords[key])
    if value is None:
        raise refusal(
            codes.BAD_KEYWORD,
            path=path,
            found=f"{key}={keywords[key][:60]!r}",
            expected="a whole number",
            byte_offset=begin,
        )
    return value


def top_of(keywords: Mapping[str, str], n: int) -> int | None:
    """$PnR as a whole number; None where it is missing, no number, or not positive."""
    text = keywords.get(f"$P{n}R", "").strip()
    value = decimal(text) or 0.0
    whole = whole_number(text) or (int(value) if value.is_integer() else 0)
    return whole if 0 < whole < 2**80 else None


def _width(n: int, width: int, kind: str, path: str, begin: int) -> Exception:
    return refusal(codes.UNSUPPORTED_WIDTH, path=path, found=f"$P{n}B={width} with data type {kind}", byte_offset=begin)


def _listing(values: list[str] | list[int] | tuple[int, ...]) -> str:
    """Different values in order, shortly."""
    return "/".join(dict.fromkeys(str(value) for value in values))

"""The HEADER: a data set's version and where its segments are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from nti7flow.events import codes
from nti7flow.events.fcs.opening import check_magic, read_span
from nti7flow.events.notes import refusal

VERSIONS = ("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2")
HEADER_SIZE = 58
#: The largest offset that the eight digits of a HEADER field can hold.
LARGEST = 99_999_999
_FIELDS = ("TEXT begin", "TEXT end", "DATA begin", "DATA end", "ANALYSIS begin", "ANALYSIS end")

#: First and last byte of a segment, inclusive.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Header:
    """The first 58 bytes of a data set; offsets count from its start. Blank offsets are 0.

    ``others`` are OTHER segments, which a program may keep for itself: their offsets stand behind the HEADER.
    """

    version: str
    text: Span
    data: Span
    analysis: Span
    others: tuple[Span, ...] = ()


def read_header(stream: BinaryIO, *, base: int, limit: int, path: str) -> Header:
    """Read the HEADER of the data set that starts at byte ``base`` of a file of ``limit`` bytes."""
    raw = read_span(stream, base, min(base + HEADER_SIZE, limit) - 1, path=path)
    check_magic(raw, path, base=base)
    version = raw[:6].decode("latin-1")
    if version not in VERSIONS:
        raise refusal(
            codes.UNKNOWN_VERSION, path=path, found=repr(version), expected=" or ".join(VERSIONS), byte_offset=base
        )
    if len(raw) < HEADER_SIZE:
        raise refusal(
            codes.BEYOND_FILE,
            path=path,
            found=f"a HEADER of {len(raw)} bytes",
            expected=f"{HEADER_SIZE} bytes",
            byte_offset=base,
        )
    numbers = [_offset(raw[10 + 8 * i : 18 + 8 * i], field, base + 10 + 8 * i, path) for i, field in enumerate(_FIELDS)]
    text = (numbers[0], numbers[1])
    others = _others(stream, base, min(text[0], limit - base), path)
    return Header(version, text, (numbers[2], numbers[3]), (numbers[4], numbers[5]), others)


def _others(stream: BinaryIO, base: int, end: int, path: str) -> tuple[Span, ...]:
    """Places of OTHER segments: pairs of eight digits between the HEADER and TEXT, where there are any."""
    if end < HEADER_SIZE + 16:
        return ()
    raw = read_span(stream, base + HEADER_SIZE, base + min(end, HEADER_SIZE + 16 * 64) - 1, path=path)
    spans = []
    for i in range(0, len(raw) - 15, 16):
        first, last = raw[i : i + 8].strip(b" "), raw[i + 8 : i + 16].strip(b" ")
        if not (first.isdigit() and last.isdigit()):
            break
        if 0 < int(first) < int(last):
            spans.append((int(first), int(last)))
    return tuple(spans)


def _offset(raw: bytes, field: str, place: int, path: str) -> int:
    """Read one right-justified number; blank means 0 (the standard's 'look in TEXT')."""
    digits = raw.strip(b" \x00")
    if not digits:
        return 0
    if not digits.isdigit():
        raise refusal(
            codes.BAD_HEADER, path=path, found=f"{field} {raw!r}", expected="a byte offset", byte_offset=place
        )
    return int(digits)

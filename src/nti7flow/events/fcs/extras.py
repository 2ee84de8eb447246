"""What stands beside the events: the ANALYSIS segment, and the checksum at the end."""

from __future__ import annotations

import binascii
from typing import BinaryIO

from nti7flow.events import codes
from nti7flow.events.fcs.datasets import DataSet
from nti7flow.events.fcs.find_text import read_segment
from nti7flow.events.fcs.header import Span
from nti7flow.events.fcs.location import Claims, note_blanks
from nti7flow.events.fcs.opening import read_span
from nti7flow.events.fcs.text import LARGEST_TEXT, PADDING, NotKeywords, parse_keywords
from nti7flow.events.notes import refusal

_BLOCK = 1 << 20
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def read_analysis(stream: BinaryIO, data_set: DataSet) -> tuple[Span | None, dict[str, str]]:
    """Find and read ANALYSIS: nothing of the counts depends on it, but what lies outside the file is refused."""
    findings, base = data_set.findings, data_set.base
    claims = Claims.gather(data_set.header.analysis, data_set.keywords, "ANALYSIS")
    nowhere = {span for _, span in claims.items() if span[1] in (0, span[0] - 1, span[0])}
    spans = {span for _, span in claims.items()} - nowhere
    if not spans and not claims.broken:
        if nowhere:
            findings.add(codes.BAD_ANALYSIS, found=f"ANALYSIS: {claims.describe()}", assumed="left out")
        return None, {}
    taken = {"TEXT": data_set.text, "supplemental TEXT": data_set.supplement, "DATA": data_set.data}
    good, bad = [], []
    for begin, end in sorted(spans):
        first, last = base + begin, base + end
        clash = next((name for name, span in taken.items() if span and first <= span[1] and last >= span[0]), "")
        if end < begin:
            bad.append((codes.CONTRADICTORY_OFFSETS, "a first byte and a last one behind it"))
        elif last >= data_set.limit:
            bad.append((codes.BEYOND_FILE, "a segment inside the data set"))
        elif clash or begin < 58:
            bad.append((codes.OVERLAP, f"bytes outside {clash or 'the HEADER'}"))
        else:
            good.append((first, last))
    found = f"ANALYSIS: {claims.describe()}; the data set has {data_set.limit - base:,} bytes"
    where = base + min(spans, default=(0, 0))[0]
    if len(good) > 1:
        raise refusal(
            codes.CONTRADICTORY_OFFSETS, path=findings.path, found=found, expected="one place", byte_offset=where
        )
    if not good and findings.repair == "salvage" and bad and all(code is codes.BEYOND_FILE for code, _ in bad):
        findings.add(codes.TRUNCATED, found=found, assumed="left out")
        return None, {}
    if not good:
        code, expected = bad[0] if bad else (codes.BAD_KEYWORD, "first and last byte")
        raise refusal(code, path=findings.path, found=found, expected=expected, byte_offset=where)
    (span,) = good
    note_blanks(claims, "ANALYSIS", data_set.version, span[1] - base, findings)
    if bad or claims.broken or nowhere:
        findings.add(codes.OFFSETS_DIFFER, found=found, assumed=f"ANALYSIS read at bytes {span[0]:,} to {span[1]:,}")
    if span[1] - span[0] >= LARGEST_TEXT:
        raise refusal(codes.TEXT_TOO_LARGE, path=findings.path, found=found, byte_offset=span[0])
    try:
        raw = read_segment(stream, span, data_set.delimiter, ends=data_set.starts, what="ANALYSIS", findings=findings)
        if not raw.strip(PADDING):
            raise NotKeywords("nothing but padding")
        found_keywords = parse_keywords(
            raw, findings, begin=span[0], what="ANALYSIS", required=(), expected=data_set.delimiter
        )
        return span, found_keywords.values
    except NotKeywords as error:
        findings.add(codes.BAD_ANALYSIS, found=str(error), assumed="left out", byte_offset=span[0])
        return span, {}


def check_crc(stream: BinaryIO, data_set: DataSet) -> None:
    """Refuse a data set whose checksum is not that of its bytes.

    The standard puts a 16-bit CCITT cyclic redundancy check of everything before it into eight ASCII characters
    behind the last segment; eight zeros mean none. It leaves open where the register starts and in which direction
    bits go, so each of the usual ways is right, in hexadecimal or decimal digits.
    """
    if data_set.version == "FCS2.0" or data_set.limit - data_set.end < 8:
        return
    tail = read_span(stream, data_set.end, min(data_set.limit, data_set.end + 64) - 1, path=data_set.findings.path)
    word, rest = tail[:8], tail[8:]
    if rest.strip(PADDING) or not word.strip(b" ") or word.strip(b" 0123456789ABCDEFabcdef"):
        return
    digits = word.strip(b" ").decode()
    if " " in digits or not digits.strip("0"):
        return
    stored = {int(digits, 16)} | ({int(digits)} if digits.isdigit() else set())
    computed = checksums(stream, data_set.base, data_set.end, data_set.findings.path)
    if not stored & computed:
        raise refusal(
            codes.WRONG_CRC,
            path=data_set.findings.path,
            found=f"checksum {digits}",
            expected=f"{min(computed):04X} or another CCITT CRC-16 of the bytes before",
            byte_offset=data_set.end,
        )


def checksums(stream: BinaryIO, begin: int, end: int, path: str) -> set[int]:
    """Return the CCITT CRC-16 of bytes ``begin`` to ``end`` (excluded), in each of its usual forms.

    The register starts with 0 or FFFF, bits go in either direction, and the result may be inverted.
    """
    forward, mirrored = [0, 0xFFFF], [0, 0xFFFF]
    for first in range(begin, end, _BLOCK):
        block = read_span(stream, first, min(first + _BLOCK, end) - 1, path=path)
        turned = block.translate(_MIRRORED)
        forward = [binascii.crc_hqx(block, crc) for crc in forward]
        mirrored = [binascii.crc_hqx(turned, crc) for crc in mirrored]
    plain = {*forward, *(int(f"{crc:016b}"[::-1], 2) for crc in mirrored)}
    return plain | {crc ^ 0xFFFF for crc in plain}

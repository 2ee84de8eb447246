"""Finding the TEXT segment: where the HEADER says, or a byte beside it where the delimiters show that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from nti7flow.events import codes
from nti7flow.events.fcs.header import HEADER_SIZE, Header, Span
from nti7flow.events.fcs.opening import read_span
from nti7flow.events.fcs.text import LARGEST_TEXT, PADDING, REQUIRED, Keywords, NotKeywords, parse_keywords
from nti7flow.events.notes import Findings, refusal
from nti7flow.events.numbers import whole_number

#: Bytes behind TEXT that are looked at for the rest of it.
_GAP = 4096


@dataclass(frozen=True)
class FoundText:
    """Keywords of TEXT, where in the file it is, and by how many bytes the HEADER misses its begin."""

    values: dict[str, str]
    delimiter: bytes
    span: Span
    shift: int = 0


def read_text(stream: BinaryIO, header: Header, *, base: int, size: int, findings: Findings) -> FoundText:
    """Read TEXT from its delimiter to its last one; refuses what may have lost a keyword or a part of one."""
    path = findings.path
    begin, end = header.text
    _check_place(begin, end, base, size, path)
    behind = read_span(stream, base + end, min(base + end + _GAP, size - 1), path=path)[1:]
    why = ""
    # A byte too early or too late, the first byte is not the delimiter, and nothing fits.
    for shifts in ((0,), (-1, 1)):
        found: list[tuple[FoundText, Findings]] = []
        for shift in shifts:
            if begin + shift < HEADER_SIZE:
                continue
            trial = Findings(path, findings.repair)
            raw = read_span(stream, base + begin + shift, base + end, path=path)
            moved = replace(header, text=(begin + shift, end))
            try:
                keywords, span = _complete(raw, behind, moved, base, trial)
            except NotKeywords as error:
                why = why or str(error)
                continue
            found.append((FoundText(keywords.values, keywords.delimiter, span, shift), trial))
        if len(found) == 1:
            ((text, trial),) = found
            if text.shift:
                findings.add(
                    codes.TEXT_OFF_BY_ONE, found=f"TEXT begin {begin}", assumed=f"read from byte {begin + text.shift}"
                )
            findings.take(trial)
            return text
    raise refusal(
        codes.TEXT_OUT_OF_STEP,
        path=path,
        found=f"{why or 'no keywords'} in TEXT at bytes {base + begin:,} to {base + end:,}",
        expected=f"keywords and values, with {', '.join(REQUIRED)}",
        byte_offset=base + begin,
    )


def read_segment(
    stream: BinaryIO, span: Span, delimiter: bytes, *, ends: Sequence[int], what: str, findings: Findings
) -> bytes:
    """Read another segment of keywords, to its last delimiter where its end is a byte off.

    ``ends`` are bytes of the file at which it may end: first bytes of other segments, and the data set's end. Raises
    `NotKeywords` where it ends inside a value.
    """
    first, last = span
    raw = read_span(stream, first, last, path=findings.path)
    padding = PADDING.replace(delimiter, b"")
    if raw[:1] != delimiter:
        return raw
    found = f"end of {what} {last}"
    stop = min(min(end for end in ends if end > last), last + _GAP)
    gap = read_span(stream, last + 1, stop - 1, path=findings.path) if stop > last + 1 else b""
    # An escaped delimiter may be cut in two, and keywords may be left behind.
    goes_on = bool(gap.strip(padding + delimiter)) and (
        gap.startswith(delimiter) or (gap[:1].strip(padding) and delimiter in gap)
    )
    if raw.rstrip(padding).endswith(delimiter) and not goes_on:
        return raw
    if gap.startswith(delimiter) and not goes_on:
        findings.add(codes.TEXT_OFF_BY_ONE, found=found, assumed="ended a byte behind")
        return raw + delimiter
    shorter = raw[:-1].rstrip(padding)
    if not goes_on and (len(shorter) - len(shorter.rstrip(delimiter))) % 2:
        findings.add(codes.TEXT_OFF_BY_ONE, found=found, assumed="ended a byte before")
        return raw[:-1]
    if gap.strip(padding):
        raise NotKeywords(f"{what} ends inside a value, followed by {gap[:20]!r}")
    findings.add(
        codes.NO_FINAL_DELIMITER, found=f"{what} ends with {raw[-12:]!r}", assumed="its last value is complete"
    )
    return raw


def claimed_starts(header: Header, keywords: Mapping[str, str]) -> list[int]:
    """First bytes of all segments but TEXT, as HEADER and TEXT say, from the data set's start; 0 where they do not."""
    said = [whole_number(keywords.get(f"$BEGIN{name}", "")) or 0 for name in ("DATA", "STEXT", "ANALYSIS")]
    return [header.data[0], header.analysis[0], *(first for first, _ in header.others), *said]


def _check_place(begin: int, end: int, base: int, size: int, path: str) -> None:
    if not HEADER_SIZE - 1 <= begin < end:
        raise refusal(
            codes.BAD_TEXT_OFFSETS,
            path=path,
            found=f"TEXT at bytes {begin} to {end}",
            expected=f"a segment behind the HEADER's {HEADER_SIZE} bytes",
            byte_offset=base + 10,
        )
    if base + end >= size:
        raise refusal(
            codes.BEYOND_FILE,
            path=path,
            found=f"TEXT at bytes {begin:,} to {end:,} of a file of {size:,} bytes",
            byte_offset=base + begin,
        )
    if end - begin >= LARGEST_TEXT:
        raise refusal(codes.TEXT_TOO_LARGE, path=path, found=f"{end - begin + 1:,} bytes", byte_offset=base + begin)


def _complete(raw: bytes, behind: bytes, header: Header, base: int, findings: Findings) -> tuple[Keywords, Span]:
    """Take TEXT apart and see that it ends where a value ends."""
    begin, end = header.text
    delimiter = raw[:1]
    trimmed = raw.rstrip(PADDING.replace(delimiter, b""))
    before = raw[:-1].rstrip(PADDING.replace(delimiter, b""))
    if before.endswith(delimiter) and end in _starts(header, raw, base, findings):
        findings.add(
            codes.TEXT_OFF_BY_ONE, found=f"TEXT end {end}, the first byte of DATA", assumed="ended a byte before"
        )
        raw, behind = raw[:-1], raw[-1:] + behind
    elif trimmed.endswith(delimiter) and len(trimmed) > 1:
        pass
    elif behind[:1] == delimiter and trimmed == raw:
        findings.add(
            codes.TEXT_OFF_BY_ONE, found=f"TEXT end {end} before the last delimiter", assumed="ended a byte behind"
        )
        raw, behind = raw + delimiter, behind[1:]
    else:
        keywords = parse_keywords(raw, findings, begin=base + begin)
        _check_last_value(keywords, behind, header, base, findings.path)
        findings.add(
            codes.NO_FINAL_DELIMITER,
            found=f"TEXT ends with {trimmed[-12:]!r}",
            assumed="its last value is complete",
            byte_offset=base + end,
        )
        return keywords, (base + begin, base + begin + len(trimmed) - 1)
    keywords = parse_keywords(raw, findings, begin=base + begin)
    _check_nothing_follows(keywords, behind, header, base, len(raw), findings.path)
    return keywords, (base + begin, base + begin + keywords.length - 1)


def _starts(header: Header, raw: bytes, base: int, findings: Findings) -> tuple[int, ...]:
    """First byte of DATA as HEADER or TEXT have it."""
    if header.data[0]:
        return (header.data[0],)
    try:
        values = parse_keywords(raw, Findings(findings.path), begin=base + header.text[0]).values
    except NotKeywords:
        return ()
    return (whole_number(values.get("$BEGINDATA", "")) or 0,)


def _check_last_value(keywords: Keywords, behind: bytes, header: Header, base: int, path: str) -> None:
    """Refuse a TEXT without its last delimiter that goes on behind its end: its last value would be cut."""
    end = header.text[1]
    starts = [header.data[0], whole_number(keywords.values.get("$BEGINDATA", "")) or 0]
    first = min((start for start in starts if start > end), default=end + 1 + len(behind))
    gap = behind[: first - end - 1]
    if gap.strip(PADDING):
        raise refusal(
            codes.BAD_TEXT_OFFSETS,
            path=path,
            found=f"TEXT end {end} inside a value, followed by {gap[:20]!r}",
            expected="its last delimiter",
            byte_offset=base + end,
        )


def _check_nothing_follows(
    keywords: Keywords, behind: bytes, header: Header, base: int, length: int, path: str
) -> None:
    """Refuse a TEXT that goes on behind its end: its last keywords would be lost without a word."""
    end = header.text[0] + length - 1
    known = [start for start in claimed_starts(header, keywords.values) if start > end]
    gap = behind[: min(known) - end - 1] if known else b""
    if gap[:1].strip(PADDING) and keywords.delimiter in gap:  # behind padding it is a segment of its own, and nobody's
        raise refusal(
            codes.BAD_TEXT_OFFSETS,
            path=path,
            found=f"keywords behind TEXT end {end}: {gap[:30]!r}",
            expected="the end of TEXT behind its last keyword",
            byte_offset=base + end + 1,
        )

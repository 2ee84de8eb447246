"""The data sets of a file: HEADER and TEXT of each, and the way from one to the next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from nti7flow.events import codes
from nti7flow.events.fcs.find_text import claimed_starts, read_segment, read_text
from nti7flow.events.fcs.header import HEADER_SIZE, VERSIONS, Header, Span, read_header
from nti7flow.events.fcs.opening import read_span
from nti7flow.events.fcs.text import LARGEST_TEXT, NotKeywords, is_required, parse_keywords
from nti7flow.events.notes import Findings, Repair, refusal
from nti7flow.events.numbers import whole_number
from nti7flow.events.stored import Stamp, file_stamp


@dataclass(frozen=True)
class DataSet:
    """One data set of a file; spans are first and last byte in the file, inclusive.

    Attributes
    ----------
    index, base : int
        Which one, from 0, and the byte at which its HEADER starts.
    header : Header
        Offsets as the HEADER has them, from ``base``.
    keywords : dict
        TEXT and supplemental TEXT, upper case, values as written.
    delimiter : bytes
        Of TEXT.
    text, supplement, data, analysis : Span or None
        The segments; DATA and ANALYSIS are known once they are located.
    limit : int
        Byte behind the data set: the start of the next, or the end of the file.
    next_base : int or None
        Start of the next data set.
    shift : int
        Bytes by which the HEADER misses the first byte of TEXT; other offsets may be off by as much.
    """

    index: int
    base: int
    header: Header
    keywords: dict[str, str]
    delimiter: bytes
    text: Span
    limit: int
    supplement: Span | None = None
    data: Span | None = None
    analysis: Span | None = None
    next_base: int | None = None
    shift: int = 0
    findings: Findings = field(default_factory=lambda: Findings(""))

    @property
    def version(self) -> str:
        """``FCS3.1`` and the like."""
        return self.header.version

    @property
    def starts(self) -> list[int]:
        """First bytes of segments as HEADER and TEXT say, of the checksum, and the byte behind the data set."""
        said = [self.header.text[0] + self.shift, *claimed_starts(self.header, self.keywords)]
        return [self.base + first for first in said if self.base + first < self.limit] + [
            self.limit - 8,
            self.limit,
        ]

    @property
    def end(self) -> int:
        """Byte behind the last segment."""
        others = ((self.base + first, self.base + last) for first, last in self.header.others)
        spans = (self.text, self.supplement, self.data, self.analysis, *others)
        return 1 + max(span[1] for span in spans if span and span[1] < self.limit)


def walk(stream: BinaryIO, size: int, findings: Findings, *, index: int = 0, base: int | None = 0) -> Iterator[DataSet]:
    """Yield the data sets of a file in order, HEADER and TEXT read and checked; each has findings of its own.

    ``index`` and ``base`` say with which to begin, and where that is.
    """
    while base is not None:
        own = Findings(findings.path, findings.repair)
        data_set = read_head(stream, base, size, own, index=index)
        yield data_set
        base = data_set.next_base
        index += 1


#: Where the data sets begin of the file that was walked last: without it, reading the 384 tubes of a plate one by one
#: would walk 384 times from the start.
_walked: dict[tuple[str, Stamp, Repair], dict[int, int]] = {}


def data_set_at(stream: BinaryIO, status: os.stat_result, findings: Findings, index: int) -> DataSet:
    """Return one data set of a file, refusing an index beyond the last."""
    key = (findings.path, file_stamp(status), findings.repair)
    known = _walked.get(key, {0: 0})
    at = max(i for i in known if i <= index)
    for found in walk(stream, status.st_size, findings, index=at, base=known[at]):
        at = found.index
        known[at] = found.base
        if at == index:
            _walked.clear()
            _walked[key] = known
            return found
    raise refusal(
        codes.NO_DATA_SET, path=findings.path, found=f"{at + 1} data set(s)", expected=f"data set {index}, from 0"
    )


def read_head(stream: BinaryIO, base: int, size: int, findings: Findings, *, index: int) -> DataSet:
    """Read HEADER, TEXT and supplemental TEXT of the data set at byte ``base``, and find the next one."""
    header = read_header(stream, base=base, limit=size, path=findings.path)
    found = read_text(stream, header, base=base, size=size, findings=findings)
    data_set = DataSet(
        index, base, header, found.values, found.delimiter, found.span, size, shift=found.shift, findings=findings
    )
    data_set = replace(data_set, next_base=_next_base(stream, data_set, size))
    data_set = replace(data_set, limit=size if data_set.next_base is None else data_set.next_base)
    return _with_supplement(stream, data_set)


# --- supplemental TEXT ----------------------------------------------------------------------------


def _with_supplement(stream: BinaryIO, data_set: DataSet) -> DataSet:
    """Add the keywords of the supplemental TEXT segment, where there is one."""
    findings, base = data_set.findings, data_set.base
    written = [data_set.keywords.get(key, "").strip() for key in ("$BEGINSTEXT", "$ENDSTEXT")]
    begin, end = (whole_number(text or "0") for text in written)
    place = f"supplemental TEXT at bytes {written[0]} to {written[1]}"
    if begin is not None and end in (0, begin - 1, begin):
        if begin or end:
            findings.add(codes.SUPPLEMENT_UNREADABLE, found=place, assumed="left out")
        return data_set
    if begin is None or end is None or end < begin or begin < HEADER_SIZE:
        raise refusal(
            codes.BAD_KEYWORD,
            path=findings.path,
            found=place,
            expected="first and last byte",
            byte_offset=data_set.text[0],
        )
    if begin == data_set.header.text[0]:
        findings.add(codes.SUPPLEMENT_IS_TEXT, found=place, assumed="read once")
        return data_set
    if base + end >= data_set.limit and findings.repair == "salvage":
        findings.add(codes.TRUNCATED, found=f"{place} of {data_set.limit - base:,}", assumed="left out")
        return data_set
    if base + end >= data_set.limit:
        raise refusal(
            codes.BEYOND_FILE,
            path=findings.path,
            found=f"{place} of {data_set.limit - base:,}",
            expected="a segment inside the data set",
            byte_offset=base + begin,
        )
    if base + begin <= data_set.text[1] and base + end >= data_set.text[0]:
        raise refusal(codes.OVERLAP, path=findings.path, found=f"{place}, in TEXT", byte_offset=base + begin)
    span = (base + begin, base + end)
    if end - begin >= LARGEST_TEXT:
        raise refusal(codes.TEXT_TOO_LARGE, path=findings.path, found=place, byte_offset=span[0])
    what = "supplemental TEXT"
    try:
        raw = read_segment(stream, span, data_set.delimiter, ends=data_set.starts, what=what, findings=findings)
        extra = parse_keywords(raw, findings, begin=span[0], what=what, required=(), expected=data_set.delimiter)
    except NotKeywords as error:
        findings.add(codes.SUPPLEMENT_UNREADABLE, found=f"{place}: {error}", assumed="left out", byte_offset=span[0])
        return replace(data_set, supplement=span)
    for key in (key for key in extra.values if key in data_set.keywords):
        if extra.values[key] != data_set.keywords[key]:
            raise refusal(
                codes.CONFLICTING_KEYWORD,
                path=findings.path,
                found=f"{key} {data_set.keywords[key][:60]!r} in TEXT and {extra.values[key][:60]!r} in its supplement",
                expected="one value",
                byte_offset=span[0],
            )
        findings.add(codes.REPEATED_KEYWORD, found=f"{key} in TEXT and its supplement", assumed="used once")
    for key in extra.values:
        if key not in data_set.keywords and is_required(key):
            findings.add(codes.SUPPLEMENT_REQUIRED, found=f"{key} in supplemental TEXT", assumed="read from there")
    return replace(data_set, keywords=data_set.keywords | extra.values, supplement=span)


# --- the next data set ----------------------------------------------------------------------------


def _next_base(stream: BinaryIO, data_set: DataSet, size: int) -> int | None:
    """Start of the next data set, None behind the last; refuses a way that does not lead forward to a HEADER."""
    findings, base = data_set.findings, data_set.base
    written = data_set.keywords.get("$NEXTDATA", "").strip()
    if not written:
        findings.add(codes.NO_NEXT, found="no $NEXTDATA", assumed="this is the last data set")
        return None
    step = whole_number(written)
    if step == 0:
        return None
    if step is not None:
        # Counted from the file's start first: what lies nearer cannot be passed over.
        for target, code in ((step, codes.NEXT_ABSOLUTE), (base + step, None)):
            if data_set.text[1] < target < size and _is_header(stream, target, size, findings.path):
                if code is not None and base > 0:
                    findings.add(code, found=f"$NEXTDATA={step} in the data set at byte {base:,}", assumed="used so")
                return target
        if base + step == size:
            findings.add(codes.NEXT_IS_END, found=f"$NEXTDATA={step}", assumed="this is the last data set")
            return None
        if base + step > size - HEADER_SIZE and findings.repair == "salvage":
            findings.add(codes.NEXT_LOST, found=f"$NEXTDATA={step}, the file ends at {size:,}", assumed="left out")
            return None
    raise refusal(
        codes.BAD_NEXT,
        path=findings.path,
        found=f"$NEXTDATA={written[:30]!r} in the data set at byte {base:,} of a file of {size:,} bytes",
        expected="the start of another data set behind it",
        byte_offset=data_set.text[0],
    )


def _is_header(stream: BinaryIO, place: int, size: int, path: str) -> bool:
    """Whether a HEADER begins here, though the file may end in it."""
    first = read_span(stream, place, min(place + 6, size) - 1, path=path).decode("latin-1")
    return len(first) >= 3 and any(version.startswith(first) for version in VERSIONS)

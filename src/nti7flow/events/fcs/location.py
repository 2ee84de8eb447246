"""Where DATA is: the one reading of HEADER and TEXT that agrees with file size and $TOT x row size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nti7flow.errors import FcsError
from nti7flow.events import codes
from nti7flow.events.codes import Code
from nti7flow.events.fcs.header import LARGEST, Span
from nti7flow.events.fcs.shapes import Shape
from nti7flow.events.notes import Findings, refusal
from nti7flow.events.numbers import whole_number

#: Digits of a HEADER field, as a power of ten: larger offsets lose what is above.
_WRAP = 10**8


@dataclass(frozen=True)
class Reading:
    """One way to read the offsets: where DATA is (first byte, bytes; from the data set's start) and its shape."""

    begin: int
    size: int
    n_events: int
    shape: Shape
    source: str


@dataclass(frozen=True)
class Surroundings:
    """What is known around DATA, in bytes from the data set's start.

    Attributes
    ----------
    limit : int
        Byte behind the data set: the next one's start, or the end of the file.
    taken : mapping of str to Span
        Segments that DATA cannot share bytes with.
    text_ends : sequence of int
        Last byte of TEXT, without and with its padding.
    trailers : sequence of int
        First bytes of other segments, behind which DATA may end.
    shift : int
        Bytes by which the HEADER misses TEXT; the program may have counted DATA as wrongly.
    """

    limit: int
    taken: Mapping[str, Span]
    text_ends: Sequence[int]
    trailers: Sequence[int] = ()
    shift: int = 0

    def overlapped(self, begin: int, size: int) -> str:
        """Name of a segment that shares bytes with these; empty where none does."""
        end = begin + size - 1
        return next((name for name, (b, e) in self.taken.items() if size > 0 and begin <= e and end >= b), "")

    def admits(self, begin: int, size: int) -> bool:
        """Whether these bytes lie in the data set and are nobody else's."""
        return begin >= 0 and begin + size <= self.limit and not self.overlapped(begin, size)

    def anchors(self, begin: int, size: int) -> int:
        """How many ends of these bytes are where something else is.

        At the begin TEXT or a multiple of 256 bytes, to which some programs align; at the end the checksum, another
        segment or the end of the data set.
        """
        end = begin + size
        behind = self.limit - end in (0, 8) or end in self.trailers
        return (begin - 1 in self.text_ends or begin % 256 == 0) + behind


@dataclass
class Claims:
    """What HEADER and TEXT say about one segment; None where they leave it open."""

    header: Span | None
    text: Span | None
    broken: dict[str, str] = field(default_factory=dict)

    @classmethod
    def gather(cls, header: Span, keywords: Mapping[str, str], name: str) -> Claims:
        """Collect the claims for segment ``name`` (DATA or ANALYSIS)."""
        begin, end = (keywords.get(f"${which}{name}", "").strip() for which in ("BEGIN", "END"))
        numbers = whole_number(begin or "0"), whole_number(end or "0")
        claims = cls(header if header != (0, 0) else None, None)
        if None not in numbers:
            first, last = (number or 0 for number in numbers)
            claims.text = (first, last) if (first, last) != (0, 0) else None
        elif begin or end:
            claims.broken["TEXT"] = f"$BEGIN{name}={begin[:30]!r}, $END{name}={end[:30]!r}"
        return claims

    def items(self) -> Iterator[tuple[str, Span]]:
        """Source and claim, HEADER first."""
        if self.header is not None:
            yield "HEADER", self.header
        if self.text is not None:
            yield "TEXT", self.text

    def header_wraps(self) -> bool:
        """Whether the HEADER has just the last eight digits of what TEXT says."""
        if self.header is None or self.text is None or self.header == self.text:
            return False
        return all(shown == true % _WRAP for shown, true in zip(self.header, self.text, strict=True))

    def describe(self) -> str:
        """All claims in one line."""
        lines = [f"{source} says bytes {b:,} to {e:,} ({max(0, e - b + 1):,} bytes)" for source, (b, e) in self.items()]
        lines += [f"{source} says {text}" for source, text in self.broken.items()]
        return "; ".join(lines) or "neither HEADER nor TEXT says where it is"


def find_data(
    claims: Claims, total: int | None, candidates: Sequence[Shape], around: Surroundings, findings: Findings, base: int
) -> Reading:
    """Return the one consistent reading, noting what had to be believed; refuses none and several.

    Parameters
    ----------
    claims : Claims
        Of the DATA segment, relative to the data set's start.
    total : int or None
        $TOT.
    candidates : sequence of Shape
        What an event may look like.
    base : int
        Start of the data set in the file, for messages.
    """
    if total == 0 and all(e - b <= 0 for _, (b, e) in claims.items()):
        return Reading(0, 0, 0, candidates[0], "TEXT")
    readings = _distinct(list(_as_written(claims, total, candidates, around)))
    if len({(reading.begin, reading.size) for reading in readings}) == 1:
        # One place, and without $TOT several shapes: the one that keeps to the standard needs no guess.
        readings = [reading for reading in readings if reading.shape.code is None] or readings
    code: Code | None = None
    if not around.shift and len(readings) == 1:
        readings += _beside(readings[0], claims, around)
    if around.shift and len(readings) == 1:
        readings, code = _shifted(readings, around)
    if not readings and total:
        wrapped = _distinct(list(_wrapped(claims, total, candidates, around)))
        readings, code = wrapped, codes.WRAPPED_OFFSETS
        if not readings:
            nearly = _distinct(list(_off_by_one(claims, total, candidates, around)))
            best = max((around.anchors(r.begin, r.size) for r in nearly), default=0)
            readings = [r for r in nearly if around.anchors(r.begin, r.size) == best]
            code = codes.OFF_BY_ONE
    if len(readings) != 1:
        raise _refuse(claims, total, candidates, around, findings, base, several=len(readings) > 1)
    (reading,) = readings
    if reading.shape.code is not None:
        findings.add(reading.shape.code, found=reading.shape.remark, assumed="the size of DATA settles it")
    _note(claims, reading, code, findings)
    return reading


def salvage_data(
    claims: Claims, total: int | None, candidates: Sequence[Shape], around: Surroundings, findings: Findings, base: int
) -> Reading | None:
    """Return the events that are there where DATA is cut short or does not fit $TOT; None where that is unclear too."""
    begins = {b for _, (b, e) in claims.items() if b < around.limit and e > b and not around.overlapped(b, 1)}
    sizes = {e - b + 1 for _, (b, e) in claims.items()}
    fitting = [shape for shape in candidates if total is not None and shape.size(total) in sizes]
    plain = [shape for shape in candidates if shape.code is None]
    shapes = fitting or plain
    if len(begins) != 1 or len(shapes) != 1:
        return None
    (begin,) = begins
    (shape,) = shapes
    row = shape.size(1)
    if not row or shape.size(2) != 2 * row:
        return None
    ends = [e for _, (b, e) in claims.items() if b == begin]
    barriers = [b - 1 for b, _ in around.taken.values() if b > begin]
    last = min([max(ends), around.limit - 1, *barriers])
    there, rest = divmod(last - begin + 1, row)
    if rest and max(ends) < around.limit:
        return None  # not the end is missing: bytes are lost somewhere, and every event behind them is shifted
    n_events = there if total is None else min(total, there)
    if n_events == 0:
        return None
    found = f"{claims.describe()}; $TOT={total}; the file ends at byte {base + around.limit:,}"
    wanted = "all" if total is None else f"{total:,}"
    code = codes.TRUNCATED if max(ends) >= around.limit else codes.SALVAGED_TOTAL
    findings.add(code, found=found, assumed=f"{n_events:,} of {wanted} events read")
    if shape.code is not None:
        findings.add(shape.code, found=shape.remark, assumed="the size of DATA settles it")
    if rest and n_events == there:
        findings.add(codes.TOTAL_IN_BYTES_LEFT, found=f"{rest} bytes of an event", assumed="left out")
    return Reading(begin, n_events * row, n_events, shape, "salvage")


def _as_written(
    claims: Claims, total: int | None, candidates: Sequence[Shape], around: Surroundings
) -> Iterator[Reading]:
    wraps = claims.header_wraps()
    for source, (begin, end) in claims.items():
        size = end - begin + 1
        if size <= 0 or not around.admits(begin, size) or (source == "HEADER" and wraps):
            continue
        for shape in candidates:
            n_events = shape.count(size) if total is None else total
            wanted = size if n_events is None else shape.size(n_events)
            # Delimited numbers tell their count only when they are read.
            if shape.size(1) is None or (n_events is not None and wanted == size):
                yield Reading(begin, size, n_events or 0, shape, source)


def _wrapped(claims: Claims, total: int, candidates: Sequence[Shape], around: Surroundings) -> Iterator[Reading]:
    """Yield readings in which a HEADER of eight digits lost the digits above."""
    if claims.header is None or around.limit <= LARGEST:
        return
    begin, end = claims.header
    for shape in candidates:
        size = shape.size(total) or 0
        for first in range(begin, around.limit, _WRAP) if size else ():
            if (first + size - 1) % _WRAP == end % _WRAP and around.admits(first, size):
                yield Reading(first, size, total, shape, "HEADER")


def _off_by_one(claims: Claims, total: int, candidates: Sequence[Shape], around: Surroundings) -> Iterator[Reading]:
    """Yield readings in which one end of DATA is a byte off; none for events of one byte, which it could be instead."""
    for source, (begin, end) in claims.items():
        for shape in candidates:
            size = shape.size(total)
            excess = end - begin + 1 - (size or 0)
            if not size or (shape.size(1) or 0) <= 1 or abs(excess) != 1:
                continue
            for first in (begin, end - size + 1):
                # One byte short, DATA may as well be truncated: both its ends must show that it is not.
                if around.admits(first, size) and around.anchors(first, size) >= (1 if excess > 0 else 2):
                    yield Reading(first, size, total, shape, source)


def _beside(reading: Reading, claims: Claims, around: Surroundings) -> list[Reading]:
    """Return readings a byte beside, or from where the other claim begins, that touch what stands at both ends.

    None where the reading itself touches anything.
    """
    if not reading.size or around.anchors(reading.begin, reading.size):
        return []
    others = {reading.begin - 1, reading.begin + 1, *(begin for _, (begin, _) in claims.items())} - {reading.begin}
    places = [b for b in sorted(others) if around.admits(b, reading.size)]
    return [replace(reading, begin=b) for b in places if around.anchors(b, reading.size) == 2]


def _shifted(readings: list[Reading], around: Surroundings) -> tuple[list[Reading], Code | None]:
    """Choose between DATA as written and moved as TEXT had to be: what touches most of what stands around it."""
    moved = [
        replace(r, begin=r.begin + around.shift)
        for r in readings
        if r.size and around.admits(r.begin + around.shift, r.size)
    ]
    both = _distinct([*readings, *moved])
    best = max((around.anchors(r.begin, r.size) for r in both), default=0)
    chosen = [r for r in both if around.anchors(r.begin, r.size) == best]
    return chosen, codes.OFF_BY_ONE if len(chosen) == 1 and chosen[0] in moved else None


def _distinct(readings: Sequence[Reading]) -> list[Reading]:
    """Return readings that differ in place or shape, the first of each."""
    kept: dict[tuple[int, int, int], Reading] = {}
    for reading in readings:
        kept.setdefault((reading.begin, reading.size, id(reading.shape)), reading)
    return list(kept.values())


def _note(claims: Claims, reading: Reading, code: Code | None, findings: Findings) -> None:
    """Note each claim that is not as the reading has it."""
    place = f"DATA read at bytes {reading.begin:,} to {reading.begin + reading.size - 1:,}"
    if code is not None:
        findings.add(code, found=claims.describe(), assumed=place)
        return
    span = (reading.begin, reading.begin + reading.size - 1)
    wrong = [(source, claim) for source, claim in claims.items() if claim != span]
    if wrong or claims.broken:
        findings.add(
            codes.WRAPPED_OFFSETS if claims.header_wraps() else codes.OFFSETS_DIFFER,
            found=claims.describe(),
            assumed=f"{reading.source} agrees with $TOT; {place}",
        )


def note_blanks(claims: Claims, name: str, version: str, end: int, findings: Findings) -> None:
    """Note a place that FCS 3 demands in HEADER and TEXT and that one of them leaves open."""
    if claims.header is None and claims.text is None:
        return
    if claims.header is None and (version == "FCS2.0" or end <= LARGEST):
        findings.add(codes.BLANK_OFFSETS, found=f"no place of {name} in the HEADER", assumed="TEXT's was used")
    elif claims.text is None and not claims.broken and version != "FCS2.0":
        findings.add(
            codes.BLANK_OFFSETS, found=f"no $BEGIN{name} and $END{name}", assumed="the place in the HEADER was used"
        )


def _refuse(
    claims: Claims,
    total: int | None,
    candidates: Sequence[Shape],
    around: Surroundings,
    findings: Findings,
    base: int,
    *,
    several: bool,
) -> FcsError:
    """Say why no reading of the offsets, or more than one, is right."""
    sizes = {(shape.size(total), shape.row_text) for shape in candidates} if total is not None else set()
    wanted = " or ".join(
        f"$TOT={total} events of {row} need {size:,} bytes" for size, row in sorted(sizes, key=str) if size is not None
    ) or (f"$TOT={total}" if total is not None else f"no $TOT and events of {candidates[0].row_text}")
    found = f"{claims.describe()}; {wanted}; the data set has {around.limit:,} bytes"
    spans = [span for _, span in claims.items()]
    where = base + spans[0][0] if spans else base
    fits = [span for span in spans if span[1] - span[0] + 1 in {size for size, _ in sizes}] or spans
    if several:
        code, expected = codes.CONTRADICTORY_OFFSETS, "one place; more than one agrees with file size and $TOT"
    elif not spans or any(end < begin for begin, end in spans):
        code, expected = codes.CONTRADICTORY_OFFSETS, "a first byte and a last one behind it"
    elif all(end >= around.limit for _, end in fits):
        code, expected = codes.BEYOND_FILE, "a segment inside the file"
    elif name := next((n for b, e in fits if (n := around.overlapped(b, e - b + 1))), ""):
        span = around.taken[name]
        code, expected = codes.OVERLAP, f"bytes outside {name}, which takes {span[0]:,} to {span[1]:,}"
    else:
        code, expected = codes.WRONG_TOTAL, "a DATA segment of just the size of the events"
    return refusal(code, path=findings.path, found=found, expected=expected, byte_offset=where)

"""One file, written anew with other keywords: the events byte for byte, everything else from the keywords alone.

What is copied is the DATA segment of each data set. HEADER, TEXT and ANALYSIS are made from the keywords that the
rules leave; bytes between and behind the segments, where programs keep protocols, settings and thumbnails, are not
copied. The result is read again and compared before it takes its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from nti7flow.errors import InputError, Nti7flowError
from nti7flow.events.deidentify.dates import without_dates
from nti7flow.events.deidentify.identifiers import SHORTEST, Identifiers, holds, is_stock, normalised
from nti7flow.events.deidentify.keywords import Change, NewNames, recode, without_decimals
from nti7flow.events.deidentify.rules import is_numbers, rule_for, says_nothing
from nti7flow.events.fcs import DataSet, read_data_sets
from nti7flow.events.fcs.header import HEADER_SIZE, LARGEST, Span
from nti7flow.events.fcs.opening import open_regular, read_span
from nti7flow.events.fcs.writer import delimiter_for, segment, whole_file
from nti7flow.events.panel import Channel
from nti7flow.events.stored import Stamp, changed, file_stamp

_BLOCK = 1 << 20
_NO_CHECKSUM = b"00000000"
_PADDING = b" \x00\r\n\t0"
#: What the report says in place of a keyword for bytes that are in none.
OUTSIDE = "(bytes outside the segments)"


class NotDeidentified(InputError):
    """A file cannot be de-identified as it is; nothing of it was written."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One data set of a file that was written: number, and what became of its keywords.

    Attributes
    ----------
    data_set : int
        From 0.
    text, analysis : tuple of Change
        Of the keywords of TEXT (with its supplement) and of ANALYSIS.
    """

    data_set: int
    text: tuple[Change, ...]
    analysis: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Tube:
    """One data set as it was read, without its events: of those only the place counts here."""

    path: Path
    located: DataSet
    n_events: int
    channels: tuple[Channel, ...]
    keywords: Mapping[str, str]
    analysis: Mapping[str, str]
    stamp: Stamp | None

    @property
    def version(self) -> str:
        """``FCS3.1`` and the like."""
        return self.located.version

    @property
    def n_bytes(self) -> int:
        """Size of DATA."""
        return 0 if self.located.data is None else self.located.data[1] - self.located.data[0] + 1


@dataclass(frozen=True, slots=True)
class Part:
    """One data set on its way.

    Attributes
    ----------
    tube : Tube
        What was read.
    text, analysis : dict
        What its keywords become.
    changes : Rewritten
        What was changed for that.
    """

    tube: Tube
    text: dict[str, str]
    analysis: dict[str, str]
    changes: Rewritten


def rewrite_fcs(
    source: Path, target: Path, names: NewNames, shared: Identifiers, *, remove_unknown: bool = False
) -> tuple[Rewritten, ...]:
    """Write a file without its personal data.

    Parameters
    ----------
    source, target : Path
        What to read, and what to write; an existing file is not replaced.
    names : NewNames
        What stands in place of the original names.
    shared : Identifiers
        What other files and the map of codes say about who may be named in this one.
    remove_unknown : bool
        Remove the text of unknown keywords instead of keeping it for a person to read.

    Returns
    -------
    tuple of Rewritten
        One per data set.

    Raises
    ------
    FcsError
        The file cannot be read.
    NotDeidentified
        An identifier stands where it cannot be taken out, or the written file is not what it should be.
    OSError
        The file cannot be written.
    """
    if target.exists():
        raise NotDeidentified(f"{target}: exists already, and is not replaced; name another folder.")
    parts = plan_parts(source, names, shared, remove_unknown=remove_unknown)
    with open_regular(source) as (stream, status), whole_file(target) as out:
        if file_stamp(status) != parts[0].tube.stamp:
            raise changed(str(source), "its keywords would not be those of its events")
        write_parts(out, parts, stream)
        out.flush()
        verify(Path(out.name), parts, stream)
    return tuple(part.changes for part in parts)


def plan_parts(source: Path, names: NewNames, shared: Identifiers, *, remove_unknown: bool = False) -> tuple[Part, ...]:
    """Read a file and decide what its keywords become; refuses one whose personal data cannot be taken out."""
    tubes = _tubes(source)
    known = Identifiers()
    known.update(shared)
    known.add(source.stem, "label")
    for tube in tubes:
        known.gather(tube.keywords)
        known.gather(tube.analysis)
    if known.patient_number_in(names.code) or known.patient_number_in(names.sample):
        raise NotDeidentified(
            f"{source}: the new names {names.code} and {names.sample} hold the number of a patient; choose others in "
            "the map."
        )
    parts = [_part(tube, names, known, remove_unknown=remove_unknown) for tube in tubes]
    for part in parts:
        _check_kept(part, known)
    return (_with_left_out(parts[0], _outside(source, tubes)), *parts[1:])


def _tubes(path: Path) -> list[Tube]:
    """Read the data sets of a file, with the place of every segment."""
    return [
        Tube(path, located, read.n_events, read.panel.channels, read.keywords, read.analysis, read.file_stamp)
        for located, read in read_data_sets(path)
    ]


def _part(tube: Tube, names: NewNames, known: Identifiers, *, remove_unknown: bool) -> Part:
    text, text_changes = recode(tube.keywords, names, known, remove_unknown=remove_unknown)
    analysis, analysis_changes = recode(tube.analysis, names, known, remove_unknown=remove_unknown)
    changes = Rewritten(tube.located.index, tuple(text_changes), tuple(analysis_changes))
    return Part(tube, _written(text), _written(analysis), changes)


def _written(keywords: dict[str, str]) -> dict[str, str]:
    """Keywords as they are written: the standard forbids empty values, so a blank stands for nothing."""
    return {keyword: value or " " for keyword, value in keywords.items()}


def _check_kept(part: Part, known: Identifiers) -> None:
    """Refuse a file whose channels or settings are named after the patient: nothing else could be kept of them."""
    for keyword, value in (*part.text.items(), *part.analysis.items()):
        free = rule_for(keyword).action == "keep" and not is_numbers(value)
        if free and known.patient_number_in(without_decimals(value)):
            raise NotDeidentified(
                f"{part.tube.path}: {keyword} holds the number of a patient, and cannot be removed because the events "
                "need it; correct it in the acquisition software and export the file again."
            )


# --- writing --------------------------------------------------------------------------------------


def write_parts(out: BinaryIO, parts: Sequence[Part], source: BinaryIO) -> None:
    """Write a whole file, DATA from the stream of the original."""
    for part in parts:
        last = part is parts[-1]
        header_and_text, behind = _around(part, last=last)
        out.write(header_and_text)
        for block in _data(part.tube, source):
            out.write(block)
        out.write(behind)


def _around(part: Part, *, last: bool) -> tuple[bytes, bytes]:
    """Bytes before and behind DATA, with offsets that fit."""
    tokens = [token for pairs in (part.text, part.analysis) for pair in pairs.items() for token in pair]
    delimiter = delimiter_for(tokens)
    behind = segment(part.analysis, delimiter) if part.analysis else b""
    tail = _tail(part)
    data, analysis, size = (0, 0), (0, 0), 0
    while True:  # the offsets stand inside the text whose length they depend on; that grows, if at all, once
        places = _places(part, data, analysis, 0 if last else size)
        text = segment(part.text | places, delimiter)
        begin = HEADER_SIZE + len(text)
        end = begin + part.tube.n_bytes
        found_data = (begin, end - 1) if part.tube.n_bytes else (0, 0)
        found_analysis = (end, end + len(behind) - 1) if behind else (0, 0)
        found_size = end + len(behind) + len(tail)
        if (found_data, found_analysis, found_size) == (data, analysis, size):
            break
        data, analysis, size = found_data, found_analysis, found_size
    header = f"{part.tube.version:<10}{HEADER_SIZE:>8d}{begin - 1:>8d}"
    for span in (data, analysis):
        header += "".join(f"{offset if span[1] <= LARGEST else 0:>8d}" for offset in span)
    return header.encode("ascii") + text, behind + tail


def _tail(part: Part) -> bytes:
    return b"" if part.tube.version == "FCS2.0" else _NO_CHECKSUM


def _places(part: Part, data: Span, analysis: Span, step: int) -> dict[str, str]:
    """Return the keywords of the places; FCS 2.0 has them in the HEADER alone, as far as that has room."""
    places = {"$NEXTDATA": f"{step:>10d}"}
    offsets = {"DATA": data, "ANALYSIS": analysis, "STEXT": (0, 0)}
    for name, span in offsets.items():
        if part.tube.version != "FCS2.0" or span[1] > LARGEST:
            places |= {f"$BEGIN{name}": f"{span[0]:>10d}", f"$END{name}": f"{span[1]:>10d}"}
    return places


def _data(tube: Tube, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of DATA, a block at a time."""
    if tube.located.data is not None:
        yield from _blocks(stream, tube.located.data[0], tube.located.data[1] + 1, str(tube.path))


def _blocks(stream: BinaryIO, first: int, end: int, path: str) -> Iterator[bytes]:
    for start in range(first, end, _BLOCK):
        yield read_span(stream, start, min(start + _BLOCK, end) - 1, path=path)


# --- what is not copied ---------------------------------------------------------------------------


def _outside(source: Path, tubes: Sequence[Tube]) -> int:
    """Count the bytes in no segment that hold anything: private bytes, not padding nor a checksum."""
    spans = sorted(span for tube in tubes for span in _segments(tube))
    count, at = 0, 0
    with open_regular(source) as (stream, status):
        for first, last in [*spans, (status.st_size, status.st_size)]:
            for block in _blocks(stream, at, first, str(source)):
                count += len(block) if block.strip(_PADDING) else 0
            at = max(at, last + 1)
    return count


def _segments(tube: Tube) -> list[Span]:
    data_set = tube.located
    header = (data_set.base, data_set.base + HEADER_SIZE - 1)
    found = (header, data_set.text, data_set.supplement, data_set.data, data_set.analysis)
    return [span for span in found if span is not None]


def _with_left_out(part: Part, n_bytes: int) -> Part:
    if n_bytes <= 8:  # a checksum, which is written anew
        return part
    change = Change(OUTSIDE, "removed", "", f"{n_bytes:,} bytes that are in no segment, not copied")
    return replace(part, changes=replace(part.changes, text=(*part.changes.text, change)))


# --- looking again --------------------------------------------------------------------------------


def verify(written: Path, parts: Sequence[Part], stream: BinaryIO) -> None:
    """Read what was written; refuse it unless it is the events, the keywords that were left, and nothing else.

    Parameters
    ----------
    written : Path
        The new file.
    parts : sequence of Part
        What it was made from.
    stream : binary file
        The original.
    """
    source = parts[0].tube.path
    try:
        tubes = _tubes(written)
    except Nti7flowError as error:
        raise _mistake(source, f"it cannot be read: {error}") from None
    if len(tubes) != len(parts):
        raise _mistake(source, f"it has {len(tubes)} data sets instead of {len(parts)}")
    size = 0
    with open_regular(written) as (again, status):
        for part, tube in zip(parts, tubes, strict=True):
            _verify_part(part, tube)
            pairs = zip(_data(part.tube, stream), _data(tube, again), strict=True)
            if not all(before == after for before, after in pairs):
                raise _mistake(source, "its events differ")
            size += sum(last - first + 1 for first, last in _segments(tube)) + len(_tail(part))
        if size != status.st_size:
            raise _mistake(source, f"it has {status.st_size:,} bytes, of which {size:,} are accounted for")


def _verify_part(part: Part, tube: Tube) -> None:
    before, source = part.tube, part.tube.path
    if (tube.version, tube.n_events, tube.n_bytes) != (before.version, before.n_events, before.n_bytes):
        raise _mistake(source, "its events are not as many")
    if tube.channels != before.channels:
        raise _mistake(source, "its channels differ")
    found = {keyword: value for keyword, value in tube.keywords.items() if rule_for(keyword).action != "layout"}
    if found != part.text or dict(tube.analysis) != part.analysis:
        raise _mistake(source, "its keywords differ from those that were to be left")
    _verify_gone(part, tube)


def _verify_gone(part: Part, tube: Tube) -> None:
    """Look for every value that was taken out in every one that was left, but for those that the events need."""
    taken = set()
    left = []
    for before, kept in ((part.tube.keywords, tube.keywords), (part.tube.analysis, tube.analysis)):
        for keyword, value in before.items():
            rule = rule_for(keyword)
            if rule.holds and kept.get(keyword) != value and not says_nothing(value) and not is_stock(value):
                taken.add(normalised(value))
            if rule.action == "read" and keyword in kept:
                left.append(normalised(without_dates(kept[keyword])))
    for value in taken:
        if len(value) >= SHORTEST and any(holds(text, value) for text in left):
            raise _mistake(part.tube.path, "something that was taken out of one keyword stands in another")


def _mistake(source: Path, what: str) -> NotDeidentified:
    return NotDeidentified(f"{source}: was written and read again, and {what}; nothing was kept of it.")

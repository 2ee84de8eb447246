"""``read_fcs``: one data set of one file to a `Sample`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import FcsError
from nti7flow.events import codes
from nti7flow.events.fcs.datasets import DataSet, data_set_at, walk
from nti7flow.events.fcs.extras import check_crc, read_analysis
from nti7flow.events.fcs.header import HEADER_SIZE
from nti7flow.events.fcs.location import (
    Claims,
    Reading,
    Surroundings,
    find_data,
    note_blanks,
    salvage_data,
)
from nti7flow.events.fcs.opening import open_regular
from nti7flow.events.fcs.shapes import AsciiShape, BitShape, ByteShape, Shape, note_mixed, number, shapes
from nti7flow.events.fcs.unpack import parse_ascii, unpack_bits
from nti7flow.events.layout import Column, Layout
from nti7flow.events.notes import Findings, Repair, refusal
from nti7flow.events.panel import Panel
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import spillover_notes
from nti7flow.events.stored import (
    IN_MEMORY,
    EventsInFile,
    StoredEvents,
    file_stamp,
    in_memory,
    read_exactly,
)


def read_fcs(path: str | Path, *, data_set: int = 0, repair: Repair = "safe") -> Sample:
    """Read one data set of an FCS 2.0, 3.0, 3.1 or 3.2 file.

    List mode with integers of 1 to 64 bits, single and double precision or ASCII numbers, in any byte order. What has
    exactly one consistent reading is read, and every repair and oddity is in ``Sample.notes``; everything that would
    have to be guessed is refused.

    Parameters
    ----------
    path : str or Path
        The file.
    data_set : int
        Which data set of a file that holds several (LMD), counted from 0.
    repair : str
        ``"safe"``: repair what has one consistent reading. ``"none"``: refuse whatever does not conform to the
        standard. ``"salvage"``: also take what can be had from a truncated file; its sample is for review in every
        table.

    Returns
    -------
    Sample
        Raw, read-only events (n_events, n_channels) with panel, keywords and notes.

    Raises
    ------
    FcsError
        The file is not FCS, is damaged or contradicts itself, or uses a feature that is not read. The error has code,
        path, byte offset, what was found and expected, and what to do.

    Examples
    --------
    >>> import nti7flow as nf
    >>> tube = nf.read_fcs("tube.fcs")  # doctest: +SKIP
    >>> tube.columns(["CD3", "CD4"]).shape  # doctest: +SKIP
    (25678, 2)
    >>> [note.code for note in tube.notes]  # doctest: +SKIP
    ['FCS041']

    References
    ----------
    Spidlen J et al. Data File Standard for Flow Cytometry, version FCS 3.1. Cytometry A 2010; 77A: 97-100.
    Spidlen J et al. Data File Standard for Flow Cytometry, version FCS 3.2. Cytometry A 2021; 99: 100-102.
    """
    if data_set < 0:
        raise ValueError(f"data_set counts from 0, found {data_set}")
    if repair not in ("safe", "none", "salvage"):
        raise ValueError(f"repair is 'safe', 'none' or 'salvage', found {repair!r}")
    path = Path(path)
    with open_regular(path) as (stream, status):
        return _read(stream, status, path, data_set_at(stream, status, Findings(str(path), repair), data_set))[1]


def count_data_sets(path: str | Path) -> int:
    """Count the data sets of a file by its HEADERs and TEXTs; raises `FcsError` where they cannot be followed."""
    with open_regular(Path(path)) as (stream, status):
        return sum(1 for _ in walk(stream, status.st_size, Findings(str(path))))


def locate(path: str | Path, *, repair: Repair = "safe") -> list[DataSet]:
    """Return the data sets of a file with the place of every segment, for tools that rewrite files."""
    with open_regular(Path(path)) as (stream, status):
        sets = [_locate(stream, found)[0] for found in walk(stream, status.st_size, Findings(str(path), repair))]
        return [replace(found, analysis=read_analysis(stream, found)[0]) for found in sets]


def read_data_sets(path: str | Path, *, repair: Repair = "safe") -> Iterator[tuple[DataSet, Sample]]:
    """Yield the data sets of a file in one walk, each with the place of every segment and as it is read."""
    path = Path(path)
    with open_regular(path) as (stream, status):
        for found in walk(stream, status.st_size, Findings(str(path), repair)):
            yield _read(stream, status, path, found)


def _read(stream: BinaryIO, status: os.stat_result, path: Path, found: DataSet) -> tuple[DataSet, Sample]:
    """Read one data set: with the place of every segment, and as a sample."""
    found, reading, total = _locate(stream, found)
    panel = Panel.from_keywords(found.keywords, path=str(path), findings=found.findings)
    stored = _events(stream, status, path, found, reading, total)
    span, analysis = read_analysis(stream, found)
    found = replace(found, analysis=span)
    check_crc(stream, found)
    for note in spillover_notes(found.keywords, panel):
        found.findings.add(codes.CODES[note.code], found=note.found, assumed=note.assumed)
    if found.index or found.next_base is not None:
        _note_others(found)
    sample = Sample(
        path=path,
        data_set=found.index,
        version=found.version,
        stored=stored,
        panel=panel,
        keywords=found.keywords,
        file_notes=found.findings.notes,
        analysis=analysis,
        file_stamp=file_stamp(status),
    )
    return found, sample


def _locate(stream: BinaryIO, found: DataSet) -> tuple[DataSet, Reading, int | None]:
    """Find DATA, checking every claim against the file before anything is read."""
    keywords, findings, base = found.keywords, found.findings, found.base
    path, begin = findings.path, found.text[0]
    _check_mode(found)
    candidates = shapes(keywords, path=path, begin=begin)
    note_mixed(keywords, found.version, findings)
    total = number(keywords, "$TOT", path=path, begin=begin) if keywords.get("$TOT", "").strip() else None
    if total is None and found.version != "FCS2.0":
        findings.add(codes.NO_TOTAL, found="no $TOT", assumed="counted from the size of DATA")
    claims, around = Claims.gather(found.header.data, keywords, "DATA"), _surroundings(found)
    if findings.repair == "salvage":
        more_channels = f"$P{int(keywords['$PAR']) + 1}B" in keywords
        reading = _salvaged(claims, total, candidates, around, findings, base, more_channels=more_channels)
    else:
        reading = find_data(claims, total, candidates, around, findings, base)
    first, last = base + reading.begin, base + reading.begin + reading.size - 1
    if reading.size and found.text[1] < first <= base + found.header.text[1] - 1:
        raise refusal(
            codes.OVERLAP,
            path=path,
            found=f"TEXT to byte {found.header.text[1]:,} and DATA from byte {reading.begin:,}",
            expected="each byte in one segment",
            byte_offset=first,
        )
    if reading.size and found.text[1] < first == base + found.header.text[1]:
        found_end = f"TEXT end {found.header.text[1]}, the first byte of DATA"
        findings.add(codes.TEXT_OFF_BY_ONE, found=found_end, assumed="ended a byte before")
    note_blanks(claims, "DATA", found.version, reading.begin + reading.size - 1, findings)
    return replace(found, data=(first, last) if reading.size else None), reading, total


def _check_mode(found: DataSet) -> None:
    """Refuse histograms."""
    keywords, findings = found.keywords, found.findings
    path, begin = findings.path, found.text[0]
    if "$MODE" not in keywords and found.version != "FCS3.2":  # which knows no other mode than L
        raise refusal(codes.MISSING_KEYWORD, path=path, found="no $MODE", expected="$MODE", byte_offset=begin)
    if (mode := keywords.get("$MODE", "L").strip()).upper() != "L":
        raise refusal(codes.UNSUPPORTED_MODE, path=path, found=f"$MODE={mode!r}", expected="L", byte_offset=begin)
    for key in ("$MODE", "$DATATYPE"):
        if (letter := keywords.get(key, "").strip()) != letter.upper():
            findings.add(codes.LOWER_CASE, found=f"{key}={letter!r}", assumed=f"{letter.upper()!r}")


def _surroundings(found: DataSet) -> Surroundings:
    """Return what stands around DATA."""
    base = found.base
    taken = {"the HEADER": (0, HEADER_SIZE - 1), "TEXT": (found.text[0] - base, found.text[1] - base)}
    if found.supplement is not None:
        taken["supplemental TEXT"] = (found.supplement[0] - base, found.supplement[1] - base)
    trailers = [span[0] - base for span in (found.supplement,) if span]
    trailers += [span[0] for _, span in Claims.gather(found.header.analysis, found.keywords, "ANALYSIS").items()]
    text_ends = (found.text[1] - base, found.header.text[1])
    return Surroundings(found.limit - base, taken, text_ends, tuple(trailers), found.shift)


def _salvaged(
    claims: Claims,
    total: int | None,
    candidates: Sequence[Shape],
    around: Surroundings,
    findings: Findings,
    base: int,
    *,
    more_channels: bool,
) -> Reading:
    """Read DATA as any other; only where that is refused take what is there, if it is clear what an event is."""
    trial = Findings(findings.path, findings.repair)
    try:
        reading = find_data(claims, total, candidates, around, trial, base)
    except FcsError:
        salvaged = salvage_data(claims, total, candidates, around, findings, base)
        if salvaged is None or more_channels:
            raise
        return salvaged
    findings.take(trial)
    return reading


def _events(
    stream: BinaryIO, status: os.stat_result, path: Path, found: DataSet, reading: Reading, total: int | None
) -> StoredEvents:
    """Events of a reading: in memory, or of a large tube in the file."""
    shape, begin, name = reading.shape, found.base + reading.begin, str(path)
    if isinstance(shape, ByteShape):
        layout = shape.layout
        if reading.size > IN_MEMORY:
            return EventsInFile(path, stamp=file_stamp(status), begin=begin, n_events=reading.n_events, layout=layout)
        raw = np.empty(reading.size, np.uint8)
        stream.seek(begin)
        read_exactly(stream, raw, name)
        return in_memory(layout.decode(raw), layout)
    assert isinstance(shape, BitShape | AsciiShape)
    # A number in digits has no junk bits.
    masks = shape.masks if isinstance(shape, BitShape) else (None,) * shape.n_channels
    if reading.size == 0:
        values: NDArray[Any] = np.empty((0, len(masks)), np.uint32)
    elif isinstance(shape, BitShape):
        values = unpack_bits(stream, shape, begin=begin, n_events=reading.n_events, path=name)
    else:
        wanted = reading.n_events if shape.widths else total
        values = parse_ascii(stream, shape, begin=begin, size=reading.size, total=wanted, limit=found.limit, path=name)
    width = values.dtype.itemsize
    used = [mask if mask is not None and mask.bit_length() < 8 * width else None for mask in masks]
    return in_memory(values, Layout(tuple(Column("I", width, mask) for mask in used), (1, 2, 3, 4)))


def _note_others(found: DataSet) -> None:
    """Note that cells of this file are in data sets that were not read."""
    which = "the first" if found.index == 0 else f"number {found.index} of them, from 0"
    found.findings.add(codes.MORE_DATA_SETS, found="several data sets", assumed=f"only {which} is in this sample")

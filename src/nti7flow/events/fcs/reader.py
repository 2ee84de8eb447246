"""``read_fcs``: one data set of one file to a `Sample`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from nti7flow.errors import FcsError
from nti7flow.events.fcs.data import decode, integer_keyword, row_type
from nti7flow.events.fcs.text import Header, parse_text, read_header, read_segment, whole_number
from nti7flow.events.panel import Panel
from nti7flow.events.sample import Note, Sample


def read_fcs(path: str | Path, *, data_set: int = 0) -> Sample:
    """Read one data set of an FCS 2.0, 3.0 or 3.1 file.

    List mode with integer (8, 16 or 32 bit), single or double precision data in either byte order. Everything
    that would have to be guessed is refused; every oddity that has exactly one consistent reading is kept in
    ``Sample.notes``.

    Parameters
    ----------
    path : str or Path
        The file.
    data_set : int
        Which data set of a file that holds several (LMD), counted from 0.

    Returns
    -------
    Sample
        Raw, read-only events (n_events, n_channels) with panel, keywords and notes.

    Raises
    ------
    FcsError
        The file is not FCS, is damaged or contradicts itself, or uses a feature that is not read.

    Examples
    --------
    >>> import nti7flow as nf
    >>> tube = nf.read_fcs("tube.fcs")  # doctest: +SKIP
    >>> tube.columns(["CD3", "CD4"]).shape  # doctest: +SKIP
    (25678, 2)

    References
    ----------
    Spidlen J et al. Data File Standard for Flow Cytometry, version FCS 3.1. Cytometry A 2010; 77A: 97-100.
    """
    if data_set < 0:
        raise ValueError(f"data_set counts from 0, found {data_set}")
    path = Path(path)
    name = str(path)
    try:
        mode = path.stat().st_mode  # before opening: a pipe would keep us waiting
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
            raise FcsError(f"{name}: is {kind}; an FCS file was expected.")
        with path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            sample = _read(stream, before.st_size, path, data_set)
            after = os.fstat(stream.fileno())
    except FileNotFoundError:
        raise FcsError(f"{name}: no such file.") from None
    except PermissionError:
        raise FcsError(f"{name}: not readable with your permissions.") from None
    except OSError as error:
        raise FcsError(f"{name}: cannot be read: {error.strerror}.") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise FcsError(f"{name}: the file changed while it was read; wait until its copy is finished.")
    return sample


def _read(stream: BinaryIO, file_size: int, path: Path, data_set: int) -> Sample:
    name = str(path)
    base, more = 0, True
    for index in range(data_set + 1):
        header = read_header(stream, base=base, path=name)
        raw = read_segment(
            stream, base + header.text[0], base + header.text[1], file_size=file_size, what="TEXT", path=name
        )
        keywords, oddities = parse_text(raw, path=name)
        step = whole_number(keywords.get("$NEXTDATA", "0")) or 0
        more = step > 0 and base + step < file_size
        if index < data_set:
            if not more:
                raise FcsError(
                    f"{name}: has {index + 1} data set(s); data set {data_set} (counted from 0) was asked for."
                )
            base += step
    keywords = _supplemental(stream, keywords, base, file_size, name, oddities)
    if keywords["$MODE"].upper() != "L":
        raise FcsError(
            f"{name}: $MODE={keywords['$MODE']!r} (histograms) is not supported; only list mode L holds events."
        )
    row = row_type(keywords, path=name)
    panel = Panel.from_keywords(keywords, path=name)
    begin, end = _data_location(header, keywords, row.itemsize, base, file_size, name, oddities)
    data = read_segment(stream, begin, end, file_size=file_size, what="DATA", path=name) if end >= begin else b""
    if data and begin <= base + header.text[1] and end >= base + header.text[0]:
        raise FcsError(
            f"{name}: the DATA segment (bytes {begin} to {end}) overlaps the TEXT segment "
            f"(bytes {base + header.text[0]} to {base + header.text[1]}): its offsets are wrong. Export the file again."
        )
    ranges = [None if channel.range is None else int(channel.range) for channel in panel.channels]
    status = os.fstat(stream.fileno())
    return Sample(
        path=path,
        data_set=data_set,
        version=header.version,
        events=decode(data, row, ranges),
        panel=panel,
        keywords=keywords,
        notes=(*(Note("fcs", text) for text in oddities), *_unread(data_set, more=more)),
        file_stamp=(status.st_size, status.st_mtime_ns),
    )


def _unread(data_set: int, *, more: bool) -> tuple[Note, ...]:
    """Note that cells of this file are in data sets that were not read."""
    text = f"the file holds further data sets; this is data set {data_set}"
    return (Note("more_data_sets", text),) if more else ()


def _supplemental(
    stream: BinaryIO, keywords: dict[str, str], base: int, file_size: int, name: str, oddities: list[str]
) -> dict[str, str]:
    """Merge the supplemental TEXT segment, where there is one; the primary TEXT wins."""
    begin, end = (whole_number(keywords.get(key, "")) or 0 for key in ("$BEGINSTEXT", "$ENDSTEXT"))
    if not 0 < begin < end or begin == whole_number(keywords.get("$BEGINTEXT", "")):
        return keywords
    if base + begin >= file_size:
        oddities.append("the supplemental TEXT segment lies beyond the end of the file and was left out")
        return keywords
    raw = read_segment(stream, base + begin, base + end, file_size=file_size, what="supplemental TEXT", path=name)
    try:
        extra, _ = parse_text(raw, path=name, required=())
    except FcsError:
        oddities.append("the supplemental TEXT segment holds no keywords and was left out")
        return keywords
    return extra | keywords


def _data_location(
    header: Header,
    keywords: dict[str, str],
    row_size: int,
    base: int,
    file_size: int,
    name: str,
    oddities: list[str],
) -> tuple[int, int]:
    """First and last byte of DATA: the one claim that agrees with the file size and $TOT x row size."""
    claims = {"HEADER": header.data}
    begin, end = (whole_number(keywords.get(key, "")) for key in ("$BEGINDATA", "$ENDDATA"))
    if begin is not None and end is not None:
        claims["TEXT"] = (begin, end)
    claims = {source: claim for source, claim in claims.items() if claim[1] > 0}
    total = integer_keyword(keywords, "$TOT", path=name) if "$TOT" in keywords else None
    if total == 0 and all(end - begin <= 0 for begin, end in claims.values()):
        return base, base - 1
    if not claims:
        raise FcsError(f"{name}: neither HEADER nor TEXT says where the DATA segment is.")
    sizes = {claim: claim[1] - claim[0] + 1 for claim in claims.values()}
    if total is not None:
        expected = total * row_size
        # Some programs give the byte after the last one; the row count settles which is meant.
        if row_size > 1 and expected not in sizes.values() and expected + 1 in sizes.values():
            claims = {s: (c[0], c[1] - 1) if sizes[c] == expected + 1 else c for s, c in claims.items()}
            sizes = {c: c[1] - c[0] + 1 for c in claims.values()}
            oddities.append("DATA ends one byte after the last event; $TOT was believed")
        good = {c for c, size in sizes.items() if size == expected and base + c[1] < file_size}
    else:
        expected = -1
        good = {c for c, size in sizes.items() if size > 0 and size % row_size == 0 and base + c[1] < file_size}
    if len(good) != 1:
        listing = "; ".join(f"{source} says bytes {c[0]} to {c[1]} ({sizes[c]} bytes)" for source, c in claims.items())
        wanted = f"$TOT={total} events of {row_size} bytes need {expected} bytes" if total is not None else "no $TOT"
        raise FcsError(
            f"{name}: the DATA segment is contradictory: {listing}; {wanted}; the file has {file_size} bytes. "
            "The file is truncated or was written wrongly: export it again."
        )
    (location,) = good
    if set(claims.values()) != {location}:
        source = next(source for source, claim in claims.items() if claim == location)
        oddities.append(f"HEADER and TEXT place DATA differently; {source} agrees with $TOT and was used")
    return base + location[0], base + location[1]

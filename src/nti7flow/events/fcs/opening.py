"""Opening a file that may turn out to be anything: refused at once, never waited for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nti7flow.events import codes
from nti7flow.events.notes import refusal
from nti7flow.events.stored import changed, file_stamp, open_at_once

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
#: First bytes of what is sent in place of an FCS file, and what to do about it.
_FORMATS = (
    (b"\x1f\x8b", "a gzip file", "Unpack it first: gunzip FILE."),
    (b"PK\x03\x04", "a zip archive (or an Office document or FlowJo archive)", "Unpack it first: unzip FILE."),
    (b"BZh", "a bzip2 file", "Unpack it first: bunzip2 FILE."),
    (b"\xfd7zXZ", "an xz file", "Unpack it first: unxz FILE."),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Unpack it first: unzstd FILE."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (b"Rar!", "a rar archive", "Unpack it first."),
    (b"%PDF", "a PDF document", "Export the tube itself as FCS."),
    (b"\x89HDF", "an HDF5 file", "Export the tube as FCS."),
    (b"PAR1", "a Parquet file", "Export the tube as FCS."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Export the tube itself as FCS."),
)


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a regular file for reading, unbuffered, with its status; refuse it when it has changed at the end."""
    name = str(path)
    try:
        _check_regular(path.stat(), name)  # before opening: opening a device may do something
        with open_at_once(path) as stream:
            before = os.fstat(stream.fileno())
            _check_regular(before, name)
            if before.st_size == 0:
                raise refusal(codes.EMPTY_FILE, path=name, found="0 bytes")
            yield stream, before
            after = os.fstat(stream.fileno())
    except FileNotFoundError:
        found = "a link that leads nowhere" if path.is_symlink() else "nothing"
        raise refusal(codes.NO_FILE, path=name, found=found, expected="an FCS file") from None
    except PermissionError:
        raise refusal(codes.UNREADABLE, path=name, found="no permission to read it") from None
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise refusal(codes.NO_FILE, path=name, found="a path with a NUL character", expected="a path") from None
    except OSError as error:
        raise refusal(codes.UNREADABLE, path=name, found=error.strerror or type(error).__name__) from None
    if file_stamp(before) != file_stamp(after):
        raise changed(name, f"{after.st_size:,} bytes now, {before.st_size:,} before")


def _check_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise refusal(codes.NOT_REGULAR, path=name, found=kind, expected="an FCS file")


def check_magic(first: bytes, name: str, *, base: int = 0) -> None:
    """Refuse what does not begin like FCS, saying what it seems to be."""
    if first.startswith(b"FCS"):
        return
    for magic, what, advice in _FORMATS:
        if first.startswith(magic):
            raise refusal(
                codes.OTHER_FORMAT, path=name, found=what, expected="FCS", what_to_do=advice, byte_offset=base
            )
    text = first.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<?xml", b"<html", b"<!doctype", b"<works", b"<")):
        raise refusal(
            codes.OTHER_FORMAT,
            path=name,
            found="an XML or HTML document",
            expected="FCS",
            what_to_do="Export the tube itself as FCS.",
            byte_offset=base,
        )
    raise refusal(codes.NOT_FCS, path=name, found=f"{first[:8]!r}", expected="'FCS3.1' or the like", byte_offset=base)


def read_span(stream: BinaryIO, first: int, last: int, *, path: str) -> bytes:
    """Read bytes ``first..last`` (inclusive), which were checked to lie in the file."""
    stream.seek(first)
    wanted = last - first + 1
    parts = []
    while wanted:
        part = stream.read(wanted)
        if not part:
            raise changed(path, f"it ends {wanted:,} bytes early")
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)

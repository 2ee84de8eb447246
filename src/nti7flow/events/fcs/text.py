"""HEADER and TEXT segments: where things are, and the keywords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from nti7flow.errors import FcsError

VERSIONS = ("FCS2.0", "FCS3.0", "FCS3.1")
HEADER_SIZE = 58
REQUIRED = ("$PAR", "$DATATYPE", "$BYTEORD", "$MODE")


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed first 58 bytes of a data set; offsets are bytes from the start of the data set, inclusive."""

    version: str
    text: tuple[int, int]
    data: tuple[int, int]


def read_header(stream: BinaryIO, *, base: int, path: str) -> Header:
    """Read the HEADER of the data set that starts at byte ``base``."""
    stream.seek(base)
    raw = stream.read(HEADER_SIZE)
    version = raw[:6].decode("latin-1")
    if not version.startswith("FCS"):
        raise FcsError(
            f"{path}: not an FCS file: it starts with {raw[:6]!r} where 'FCS3.0', 'FCS3.1' or 'FCS2.0' was expected. "
            "Export the tube as FCS from the acquisition software."
        )
    if version not in VERSIONS:
        raise FcsError(f"{path}: version {version!r} is not read; known are {', '.join(VERSIONS)}.")
    if len(raw) < HEADER_SIZE:
        raise FcsError(f"{path}: the file ends inside its HEADER ({len(raw)} of {HEADER_SIZE} bytes): it is truncated.")
    offsets = [_offset(raw[10 + 8 * i : 18 + 8 * i], field, path) for i, field in enumerate(_OFFSET_FIELDS)]
    return Header(version, (offsets[0], offsets[1]), (offsets[2], offsets[3]))


_OFFSET_FIELDS = ("TEXT begin", "TEXT end", "DATA begin", "DATA end")


def _offset(raw: bytes, field: str, path: str) -> int:
    """Read one right-justified number; blank means 0 (the standard's 'look in TEXT')."""
    digits = raw.strip(b" \x00")
    if not digits:
        return 0
    if not digits.isdigit():
        raise FcsError(f"{path}: HEADER field '{field}' is {raw!r}, a byte offset was expected: the HEADER is damaged.")
    return int(digits)


def whole_number(text: str) -> int | None:
    """Read a whole number of at most 20 digits; None for anything else."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else None


def read_segment(stream: BinaryIO, begin: int, end: int, *, file_size: int, what: str, path: str) -> bytes:
    """Read bytes ``begin..end`` (inclusive), checking them against the file size first."""
    if not HEADER_SIZE <= begin <= end < file_size:
        raise FcsError(
            f"{path}: {what} segment claims bytes {begin} to {end}, but the file has {file_size} bytes "
            f"(the HEADER takes the first {HEADER_SIZE}): it is truncated or its offsets are wrong."
        )
    stream.seek(begin)
    raw = stream.read(end - begin + 1)
    if len(raw) != end - begin + 1:
        raise FcsError(f"{path}: the file shrank while its {what} segment was read.")
    return raw


def parse_text(raw: bytes, *, path: str, required: tuple[str, ...] = REQUIRED) -> tuple[dict[str, str], list[str]]:
    """Split a TEXT segment into keywords.

    Parameters
    ----------
    raw : bytes
        The whole segment; its first byte is the delimiter.

    Returns
    -------
    keywords : dict
        Keyword (upper case, as FCS keywords are case-insensitive) to value (as written, stripped).
    notes : list of str
        Oddities that were met and how they were read.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    delimiter = text[0]
    body = text[1:].rstrip("\x00 \r\n") if delimiter not in " \r\n\x00" else text[1:]  # padding
    notes: list[str] = []
    if body.endswith(delimiter):
        body = body[:-1]
    else:
        notes.append("TEXT does not end with its delimiter")
    pairs = _pairs(_split_escaped(body, delimiter))
    lost = _missing(pairs, required)
    if lost or any(delimiter in key for key, _ in pairs):
        # FCS 2.0 programs write empty values, which the escape rule glues to the keywords around them.
        plain = _pairs(body.split(delimiter))
        if not _missing(plain, required) and all(key for key, _ in plain):
            notes.append("TEXT holds empty keyword values, which the standard forbids; read as empty")
            pairs = plain
        elif lost:
            raise FcsError(f"{path}: TEXT segment lacks {', '.join(lost)}: it is damaged or not complete.")
        elif any(delimiter + "$" in key for key, _ in pairs):
            raise FcsError(
                f"{path}: TEXT segment holds empty values beside doubled delimiters ({delimiter * 2!r}); which of them "
                "are part of a value cannot be known. Export the file again."
            )
    keywords: dict[str, str] = {}
    for key, value in pairs:
        if keywords.setdefault(key, value) != value:
            raise FcsError(
                f"{path}: keyword {key!r} stands twice with different values, {keywords[key]!r} and {value!r}; "
                "which one is meant cannot be known. Export the file again."
            )
    return keywords, notes


def _split_escaped(body: str, delimiter: str) -> list[str]:
    """Split at single delimiters; a doubled delimiter is one literal character."""
    if delimiter * 2 not in body:
        return body.split(delimiter)
    placeholder = "\ud800"  # half a surrogate pair: no decoder makes one
    return [part.replace(placeholder, delimiter) for part in body.replace(delimiter * 2, placeholder).split(delimiter)]


def _pairs(tokens: list[str]) -> list[tuple[str, str]]:
    """Keywords (upper case) and values; nothing for an odd number of tokens."""
    if len(tokens) % 2:
        return []
    return [(key.strip().upper(), value.strip()) for key, value in zip(tokens[::2], tokens[1::2], strict=True)]


def _missing(pairs: list[tuple[str, str]], required: tuple[str, ...]) -> list[str]:
    if not pairs:
        return ["the value of its last keyword"]
    found = {key for key, _ in pairs}
    return [key for key in required if key not in found]

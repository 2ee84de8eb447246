"""A slow reader that knows the standard and nothing else: the truth for files that conform to it.

Plain Python, one value at a time; nothing of the package under test. `read_strictly` raises `Odd` for whatever does not
conform, and `Event` decodes DATA for any keywords, so that repaired readings can be judged as well.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

PADDING = b" \t\r\n\0"
VERSIONS = ("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2")
#: Keywords that are nobody's value: where they stand in the place of one, keywords and values are out of step.
STANDARD = re.compile(r"\$(PAR|TOT|MODE|DATATYPE|BYTEORD|NEXTDATA|SPILLOVER|FIL|(BEGIN|END)[A-Z]+|P\d+[A-Z]+)")
Span = tuple[int, int]


class Odd(Exception):
    """The file does not conform to the standard; says how."""


@dataclass(frozen=True)
class Strict:
    """A conforming data set: its keywords and events.

    ``text`` counts from ``base``, where its HEADER is in the file; ``follows`` (first byte of the segment behind TEXT),
    ``next_base`` and ``end`` (behind its last segment) are bytes of the file.
    """

    version: str
    keywords: dict[str, str]
    rows: list[list[float]]
    base: int
    text: Span
    follows: int
    next_base: int | None
    end: int


def whole(text: str | bytes, what: str = "a number") -> int:
    """A whole number in digits, blanks around it allowed."""
    digits = text.decode("latin-1") if isinstance(text, bytes) else text
    if not re.fullmatch(r"\s*[0-9]{1,20}\s*", digits, re.ASCII):
        raise Odd(f"{what} is {digits[:30]!r}")
    return int(digits)


def header_offsets(raw: bytes, base: int) -> list[int | None]:
    """The six offsets of a HEADER; None where there is no number."""
    fields = [raw[base + 10 + 8 * i : base + 18 + 8 * i].strip(b" \0") for i in range(6)]
    return [int(field or b"0") if re.fullmatch(rb"[0-9]*", field) else None for field in fields]


# --- TEXT -----------------------------------------------------------------------------------------


def split(segment: bytes) -> list[bytes]:
    """Tokens of a segment that begins and ends with its delimiter, as the standard says."""
    delimiter = segment[:1]
    body = segment.rstrip(PADDING.replace(delimiter, b""))
    if len(body) < 2 or not body.endswith(delimiter):
        raise Odd("a segment does not end with its delimiter")
    found, current, i, stop = [], b"", 1, len(body) - 1
    while i < stop:
        if body[i : i + 1] != delimiter:
            current += body[i : i + 1]
            i += 1
        elif i + 1 < stop and body[i + 1 : i + 2] == delimiter:
            current += delimiter
            i += 2
        else:
            found.append(current)
            current = b""
            i += 1
    found.append(current)
    return found


def decoded(token: bytes) -> str:
    """UTF-8, else Latin-1."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return token.decode("latin-1")


def pairs_of(segment: bytes) -> list[tuple[str, str]]:
    """Keywords and values of a conforming segment."""
    if not segment or not 1 <= segment[0] <= 126:
        raise Odd(f"delimiter {segment[:1]!r}")
    found = split(segment)
    if len(found) % 2:
        raise Odd("an odd number of keywords and values")
    if not all(found):
        raise Odd("an empty keyword or value")
    if any(segment[:1] in key for key in found[::2]):
        raise Odd("a keyword with a delimiter")
    try:
        texts = [token.decode("utf-8") for token in found]
    except UnicodeDecodeError:
        raise Odd("not UTF-8") from None
    pairs = [(key.strip().upper(), value) for key, value in zip(texts[::2], texts[1::2], strict=True)]
    if any(key[0:1] != "$" and STANDARD.fullmatch(value.strip().upper()) for key, value in pairs):
        raise Odd("a standard keyword in the place of a value")
    return pairs


def merged(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """A dictionary of keywords, each of which stands once."""
    keywords = dict(pairs)
    if len(keywords) != len(pairs):
        raise Odd("a keyword stands twice")
    if "" in keywords:
        raise Odd("a keyword of blanks")
    return keywords


# --- one event ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """How one event lies in bytes: type, bytes and mask of each channel, and the significance of bytes."""

    kinds: tuple[str, ...]
    widths: tuple[int, ...]
    masks: tuple[int | None, ...]
    order: tuple[int, ...]

    def size(self, n_events: int) -> int:
        return n_events * sum(self.widths)

    def decode(self, raw: bytes, n_events: int) -> list[list[float]]:
        rows, at = [], 0
        for _ in range(n_events):
            row: list[float] = []
            for kind, width, mask in zip(self.kinds, self.widths, self.masks, strict=True):
                value = self._integer(raw[at : at + width])
                at += width
                if kind == "I":
                    row.append(value if mask is None else value & mask)
                else:
                    (real,) = struct.unpack(">d" if width == 8 else ">f", value.to_bytes(width, "big"))
                    row.append(real)
            rows.append(row)
        return rows

    def _integer(self, stored: bytes) -> int:
        n = len(stored)
        rising = tuple(range(1, len(self.order) + 1))
        if self.order == rising:
            return int.from_bytes(stored, "little")
        if self.order == rising[::-1]:
            return int.from_bytes(stored, "big")
        places = [significance for significance in self.order if significance <= n]
        if len(places) != n or n not in (1, 2, len(self.order)):
            raise Odd(f"byte order {self.order} for {n} bytes")
        return sum(byte << 8 * (significance - 1) for byte, significance in zip(stored, places, strict=True))


def top(keywords: Mapping[str, str], n: int) -> int | None:
    """$PnR as a whole number; None where it is none."""
    value = positive(keywords.get(f"$P{n}R", ""))
    return None if value is None else int(value)


def mask_of(levels: int | None, bits: int) -> int | None:
    """Bits that a value below ``levels`` needs, where they are fewer than it has."""
    if levels is None or levels < 1:
        return None
    mask = 1
    while mask < levels:
        mask *= 2
    return mask - 1 if mask < 2**bits else None


def kinds_of(keywords: Mapping[str, str], n_channels: int, *, mixed: bool) -> tuple[str, ...]:
    """Type of each channel."""
    general = keywords["$DATATYPE"].strip().upper()
    own = [keywords.get(f"$P{n}DATATYPE", "").strip().upper() if mixed else "" for n in range(1, n_channels + 1)]
    return tuple(kind or general for kind in own)


def order_of(keywords: Mapping[str, str]) -> tuple[int, ...]:
    """$BYTEORD."""
    parts = keywords["$BYTEORD"].replace(" ", "").split(",")
    if not all(re.fullmatch("[1-8]", part) for part in parts):
        raise Odd(f"$BYTEORD={keywords['$BYTEORD']!r}")
    order = tuple(map(int, parts))
    if sorted(order) != list(range(1, len(order) + 1)):
        raise Odd(f"$BYTEORD={keywords['$BYTEORD']!r}")
    return order


def ascii_rows(raw: bytes, widths: Sequence[int] | None, masks: Sequence[int | None]) -> list[list[float]]:
    """Numbers in ASCII, of fixed widths or (None) between delimiters."""
    n_channels = len(masks)
    if widths is None:
        fields = re.split(rb"[ ,\t\r\n]+", raw.strip(b" ,\t\r\n")) if raw.strip(b" ,\t\r\n") else []
    else:
        row = sum(widths)
        if len(raw) % row:
            raise Odd(f"{len(raw)} bytes of ASCII in rows of {row}")
        starts = [sum(widths[:i]) for i in range(n_channels)]
        fields = [raw[i + s : i + s + w] for i in range(0, len(raw), row) for s, w in zip(starts, widths, strict=True)]
    if len(fields) % n_channels or not all(re.fullmatch(rb"\s*[0-9]{1,20}\s*", field) for field in fields):
        raise Odd("ASCII data that are not whole numbers, or not whole events")
    values = [int(field) for field in fields]
    kept = [v if m is None else v & m for v, m in zip(values, masks * (len(values) // n_channels), strict=True)]
    return [list(kept[i : i + n_channels]) for i in range(0, len(kept), n_channels)]


def _check_end(raw: bytes, base: int, first: int, last: int, stop: int) -> None:
    """Keywords behind a segment's end may be some that were cut off it."""
    delimiter, gap = raw[base + first : base + first + 1], raw[base + last + 1 : base + stop]
    if delimiter in gap and gap[:1].strip(b" \t\r\n\0") and gap.strip(b" \t\r\n\0" + delimiter):
        raise Odd("keywords go on behind a segment")


# --- a data set -----------------------------------------------------------------------------------


def read_strictly(raw: bytes, base: int = 0) -> Strict:
    """Read a data set that conforms in every respect, or say what does not."""
    version = raw[base : base + 6].decode("latin-1")
    if version not in VERSIONS:
        raise Odd(f"version {version!r}")
    if len(raw) < base + 58:
        raise Odd("no whole HEADER")
    offsets = [number for number in header_offsets(raw, base) if number is not None]
    if len(offsets) < 6:
        raise Odd("an offset of the HEADER that is no number")
    text, header_data, analysis = ((offsets[i], offsets[i + 1]) for i in (0, 2, 4))
    if not 58 <= text[0] < text[1] < len(raw) - base:
        raise Odd(f"TEXT at {text}")
    keywords = merged(pairs_of(raw[base + text[0] : base + text[1] + 1]))
    next_base = _next(raw, base, keywords, version)
    limit = (len(raw) if next_base is None else next_base) - base
    taken: list[tuple[str, Span]] = [("HEADER", (0, 57)), ("TEXT", text)]
    extra = _span(keywords, "STEXT", version)
    if extra is not None:
        if extra[1] >= limit:
            raise Odd("supplemental TEXT beyond the data set")
        more = pairs_of(raw[base + extra[0] : base + extra[1] + 1])
        keywords = merged([*keywords.items(), *more])
        taken.append(("supplemental TEXT", extra))
    data = header_data if header_data != (0, 0) else None
    in_text = _span(keywords, "DATA", version)
    if version != "FCS2.0" and in_text != data:
        raise Odd(f"HEADER says DATA at {data}, TEXT at {in_text}")
    told = keywords.get("$TOT", "").strip()
    total = whole(told, "$TOT") if told or version != "FCS2.0" else None
    rows, size = _rows(raw, base, keywords, version, data, total, limit)
    if size:
        assert data is not None
        taken.append(("DATA", data))
    written = _span(keywords, "ANALYSIS", version) or (0, 0)
    if analysis != written and version != "FCS2.0":
        raise Odd(f"HEADER says ANALYSIS at {analysis}, TEXT at {written}")
    if analysis != (0, 0):
        if not analysis[0] < analysis[1] < limit:
            raise Odd(f"ANALYSIS at {analysis}")
        merged(pairs_of(raw[base + analysis[0] : base + analysis[1] + 1]))
        taken.append(("ANALYSIS", analysis))
    taken.sort(key=lambda item: item[1])
    for name, (first, last) in taken:
        if name in ("supplemental TEXT", "ANALYSIS"):
            _check_end(raw, base, first, last, min([b for _, (b, _) in taken if b > last] + [max(last + 1, limit - 8)]))
    for (name, (_, last)), (other, (first, _)) in pairwise(taken):
        if first <= last:
            raise Odd(f"{name} and {other} overlap")
    end = max(span[1] for _, span in taken) + 1
    follows = min((first for _, (first, _) in taken if first > text[1]), default=text[1] + 1)
    return Strict(version, keywords, rows, base, text, base + follows, next_base, base + end)


def _next(raw: bytes, base: int, keywords: Mapping[str, str], version: str) -> int | None:
    if "$NEXTDATA" not in keywords:
        if version == "FCS2.0":
            return None
        raise Odd("no $NEXTDATA")
    step = whole(keywords["$NEXTDATA"], "$NEXTDATA")
    if step == 0:
        return None
    if raw[base + step : base + step + 3] != b"FCS":
        raise Odd(f"$NEXTDATA={step} leads nowhere")
    return base + step


def _span(keywords: Mapping[str, str], name: str, version: str) -> Span | None:
    keys = f"$BEGIN{name}", f"$END{name}"
    if version == "FCS2.0" and not any(key in keywords for key in keys):
        return None
    # Those of other segments are left out by many programs, and FCS 3.2 permits it.
    empty = "" if name == "DATA" else "0"
    begin, end = (whole(keywords.get(key, "").strip() or empty, key) for key in keys)
    if (begin, end) == (0, 0):
        return None
    if not 58 <= begin <= end + 1:
        raise Odd(f"{name} at {begin} to {end}")
    return begin, end


def _rows(
    raw: bytes, base: int, keywords: Mapping[str, str], version: str, data: Span | None, total: int | None, limit: int
) -> tuple[list[list[float]], int]:
    for key in ("$PAR", "$DATATYPE", "$BYTEORD"):
        if key not in keywords:
            raise Odd(f"no {key}")
    if keywords.get("$MODE", "L" if version == "FCS3.2" else "").strip().upper() != "L":
        raise Odd(f"$MODE={keywords.get('$MODE')!r}")
    n_channels = whole(keywords["$PAR"], "$PAR")
    if not 1 <= n_channels <= len(keywords):
        raise Odd(f"$PAR={n_channels}")
    if data is not None and not 58 <= data[0] <= data[1] + 1 <= limit:
        raise Odd(f"DATA at {data}")
    names = [keywords.get(f"$P{n}N", "") for n in range(1, n_channels + 1)]
    if not all(name.strip() for name in names) or len({name.strip() for name in names}) < n_channels:
        raise Odd("a name of a channel missing or standing twice")
    kinds = kinds_of(keywords, n_channels, mixed=version == "FCS3.2")
    for n, kind in enumerate(kinds, 1):
        _amplifier(keywords, n, kind)
    if version != "FCS3.2" and any(keywords.get(f"$P{n}DATATYPE", "").strip() for n in range(1, n_channels + 1)):
        raise Odd("$PnDATATYPE before FCS3.2")
    ranges = [top(keywords, n) for n in range(1, n_channels + 1)]
    size = 0 if data is None else data[1] - data[0] + 1
    chunk = b"" if data is None else raw[base + data[0] : base + data[1] + 1]
    if "A" in kinds:
        behind = raw[base + data[1] + 1 : base + limit] if data is not None else b""
        if (
            keywords.get("$P1B", "").strip() == "*"
            and chunk[-1:].isdigit()
            and behind[:1].isdigit()
            and len(behind) != 8
        ):
            raise Odd("a number that may go on behind DATA")  # but not where that is the checksum
        return _ascii(keywords, kinds, chunk, total, ranges), size
    widths = []
    for n, kind in enumerate(kinds, 1):
        bits = whole(keywords.get(f"$P{n}B", ""), f"$P{n}B")
        fits = {"F": bits == 32, "D": bits == 64, "I": bits % 8 == 0 and 8 <= bits <= 64}
        if fits.get(kind) is not True:
            raise Odd(f"$P{n}B={bits} with type {kind}")
        if kind == "I" and (ranges[n - 1] is None or ranges[n - 1] < 1):
            raise Odd(f"$P{n}R={keywords.get(f'$P{n}R')!r}")
        widths.append(bits // 8)
    masks = tuple(mask_of(levels, 8 * width) for levels, width in zip(ranges, widths, strict=True))
    event = Event(kinds, tuple(widths), masks, order_of(keywords))
    if not sum(widths):
        raise Odd("channels of no bits")
    n_events = size // sum(widths) if total is None else total
    if event.size(n_events) != size:
        raise Odd(f"{n_events} events of {sum(widths)} bytes in {size}")
    return event.decode(chunk, n_events), size


def _ascii(
    keywords: Mapping[str, str], kinds: Sequence[str], chunk: bytes, total: int | None, ranges: Sequence[int | None]
) -> list[list[float]]:
    if set(kinds) != {"A"}:
        raise Odd("ASCII beside other types")
    written = [keywords.get(f"$P{n}B", "").strip() for n in range(1, len(kinds) + 1)]
    masks = [None] * len(ranges)  # a number in digits has no junk bits
    widths = None if set(written) == {"*"} else [whole(text, "$PnB") for text in written]
    if widths is not None and not all(1 <= w <= 20 for w in widths):
        raise Odd("ASCII widths")
    rows = ascii_rows(chunk, widths, masks) if chunk else []
    if total is not None and len(rows) != total:
        raise Odd(f"{len(rows)} events, $TOT={total}")
    return rows


_NUMBER: Callable[[str], object] = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*", re.ASCII).fullmatch


def _amplifier(keywords: Mapping[str, str], n: int, kind: str) -> None:
    parts = keywords.get(f"$P{n}E", "").split(",")
    if len(parts) != 2 or not all(map(_NUMBER, parts)):
        raise Odd(f"$P{n}E={keywords.get(f'$P{n}E')!r}")
    decades, offset = map(float, parts)
    if decades > 20 or (decades > 0 and offset == 0):
        raise Odd(f"$P{n}E={keywords[f'$P{n}E']!r}")
    keys = [f"$P{n}G"] + ["$TIMESTEP"] * ("TIME" in keywords[f"$P{n}N"].upper())
    for key in keys:
        if keywords.get(key, "").strip() and not positive(keywords[key]):
            raise Odd(f"{key}={keywords[key]!r}")
    if decades > 0 and (kind in "FD" or positive(keywords.get(f"$P{n}G", "").strip() or "1") != 1):
        raise Odd(f"a logarithmic amplifier of channel {n} on floating-point data, or with a gain")


def positive(text: str) -> float | None:
    """A positive finite number, None for anything else."""
    try:
        value = float(text.strip()) if re.fullmatch(r"\s*[0-9.eE+-]+\s*", text) else 0.0
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None

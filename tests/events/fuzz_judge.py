"""Judge what a reader made of a file: is every keyword and every event in the bytes, where the file says so?

`judge` returns what is wrong in words, nothing where all is well. A file that conforms must be read exactly as
`fuzz_strict` reads it. One that does not may be read if a note says what was repaired, and if its keywords and events
are a reading of its bytes that the noted repairs explain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from fuzz_strict import (
    PADDING,
    Event,
    Odd,
    Span,
    Strict,
    ascii_rows,
    decoded,
    header_offsets,
    kinds_of,
    mask_of,
    order_of,
    read_strictly,
    split,
    top,
    whole,
)
from fuzz_values import Tube, judge_scale, wrong_crc

#: Codes of what was saved of a damaged file.
SALVAGE = {"FCS049", "FCS050", "FCS053"}
Pairs = list[tuple[bytes, bytes]]


def judge(raw: bytes, tube: Tube) -> list[str]:
    """What is wrong with a tube that was read from these bytes."""
    problems = [_judge_at(raw, base, tube) for base in starts(raw, tube.data_set)]
    if not problems:
        return [f"no data set {tube.data_set} in the file"]
    return min(problems, key=len)


def conforming(raw: bytes, data_set: int) -> bool:
    """Whether every data set of a file conforms, so that the one asked for must be read."""
    base: int | None = 0
    found = []
    try:
        while base is not None:
            found.append(read_strictly(raw, base))
            if raw[base + found[-1].text[1] + 1 : found[-1].follows].strip(PADDING):
                return False  # something unknown between TEXT and what follows it
            base = found[-1].next_base
    except Odd:
        return False
    return data_set < len(found) and not any(wrong_crc(raw, strict) for strict in found)


def starts(raw: bytes, data_set: int) -> list[int]:
    """Bytes at which the HEADER of a data set can be: $NEXTDATA counts from the data set, or from the file."""
    found = {0}
    for _ in range(data_set):
        steps = {
            (base, int(step)) for base in found for step in re.findall(rb"(?si)\$NEXTDATA.\s*(\d{1,15})", raw[base:])
        }
        targets = {base + step for base, step in steps} | {step for _, step in steps}
        found = {target for target in targets if target > 0 and raw[target : target + 3] == b"FCS"}
    return sorted(found)


def _judge_at(raw: bytes, base: int, tube: Tube) -> list[str]:
    if raw[base : base + 6].decode("latin-1") != tube.version:
        return [f"version {tube.version} is not that of the HEADER"]
    try:
        strict = read_strictly(raw, base)
    except Odd as odd:
        if not tube.repairs and tube.rows:  # without events, odd offsets and widths are of no consequence
            return [f"read without a note of repair: {odd}"]
        problems, text = _judge_keywords(raw, base, tube)
        if not problems:
            problems = _judge_events(raw, base, text, tube)
    else:
        problems = _compare(strict, tube)
        if strict.next_base is not None and "FCS030" not in tube.codes:
            problems.append("other data sets of the file are not noted")
        if wrong_crc(raw, strict):
            problems.append("the checksum is wrong")
    return problems or judge_scale(tube)


def _compare(strict: Strict, tube: Tube) -> list[str]:
    """Compare with the one right reading."""
    problems = []
    if dict(tube.keywords) != strict.keywords:
        different = sorted(set(tube.keywords.items()) ^ set(strict.keywords.items()))
        problems.append(f"keywords differ: {different[:4]}")
    if not same_rows(tube.rows, strict.rows):
        problems.append(f"events differ: {tube.rows[:2]} are {strict.rows[:2]}")
    return problems


def same_rows(found: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]]) -> bool:
    """Whether all values are equal, NaN being equal to NaN."""
    if len(found) != len(wanted):
        return False
    return all(
        len(a) == len(b) and all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))
        for a, b in zip(found, wanted, strict=True)
    )


# --- keywords -------------------------------------------------------------------------------------


def _judge_keywords(raw: bytes, base: int, tube: Tube) -> tuple[list[str], Span]:
    """Whether the keywords are a reading of TEXT that the notes explain; and where TEXT is."""
    begin, end = header_offsets(raw, base)[:2]
    if begin is None or end is None:
        return ["TEXT has no place in the HEADER"], (0, 0)
    spans = [(begin, end)]
    if "FCS012" in tube.codes:
        spans += [(begin + i, end + k) for i in (-1, 0, 1) for k in (-1, 0, 1) if (i, k) != (0, 0)]
    for first, last in spans:
        if not 58 <= first < last < len(raw) - base:
            continue
        for pairs in _readings(raw[base + first : base + last + 1], tube.codes):
            keywords = _dictionary(pairs)
            for merged in _supplemented(raw, base, keywords, tube.codes) if keywords is not None else ():
                if merged == dict(tube.keywords):
                    segment = raw[base + first : base + last + 1]
                    return [], (first, first + len(segment.rstrip(PADDING.replace(segment[:1], b""))) - 1)
    return [f"keywords are no reading of TEXT: {sorted(tube.keywords.items())[:4]}"], (begin, end)


def _readings(segment: bytes, codes: frozenset[str]) -> Iterator[Pairs]:
    """Keywords and values as the standard has them, or as the notes say."""
    delimiter = segment[:1]
    body = segment.rstrip(PADDING.replace(delimiter, b""))
    ends = body.endswith(delimiter) and len(body) > 1
    if not ends and not codes & {"FCS013", "FCS015", "FCS024", "FCS052"}:
        return
    if not ends:
        body += delimiter
    found = split(body)
    if len(found) % 2 == 0:
        yield list(zip(found[::2], found[1::2], strict=True))
    if codes & {"FCS014", "FCS015", "FCS025"}:
        parts = body[1:-1].split(delimiter)
        if len(parts) % 2 == 0:
            yield list(zip(parts[::2], parts[1::2], strict=True))
        yield _with_empty_values(parts, delimiter)


def _with_empty_values(parts: Sequence[bytes], delimiter: bytes) -> Pairs:
    """Nothing behind a keyword is an empty value; nothing behind a value is a literal delimiter, or the end."""
    pairs: Pairs = []
    queue = list(parts)
    while queue:
        key = queue.pop(0)
        value = queue.pop(0) if queue else b""
        while value and queue and not queue[0]:
            queue.pop(0)
            value += delimiter + queue.pop(0) if queue else b""
        pairs.append((key, value))
    return pairs


def _dictionary(pairs: Pairs) -> dict[str, str] | None:
    """Keywords and values; None where one stands twice with different values."""
    keywords: dict[str, str] = {}
    for key, value in pairs:
        name, text = decoded(key).strip().upper(), decoded(value)
        if keywords.setdefault(name, text).strip() != text.strip():
            return None
    return keywords


def _supplemented(raw: bytes, base: int, keywords: dict[str, str], codes: frozenset[str]) -> Iterator[dict[str, str]]:
    """With the keywords of a supplemental TEXT, where there is one that can be read."""
    try:
        first, last = (whole(keywords.get(key, "0")) for key in ("$BEGINSTEXT", "$ENDSTEXT"))
    except Odd:
        first = last = 0
    there = 58 <= first < last < len(raw) - base
    if not there or codes & {"FCS024", "FCS026"}:
        yield keywords
    if there:
        for pairs in _readings(raw[base + first : base + last + 1], codes):
            merged = _dictionary([*((k.encode(), v.encode()) for k, v in keywords.items()), *pairs])
            if merged is not None:
                yield merged


# --- events ---------------------------------------------------------------------------------------


def _judge_events(raw: bytes, base: int, text: Span, tube: Tube) -> list[str]:
    """Whether the events are what the keywords make of the bytes at a place that HEADER or TEXT name."""
    n = len(tube.rows)
    total = tube.keywords.get("$TOT", "").strip()
    lost = tube.codes & SALVAGE
    if total and not lost and not (total.isdigit() and int(total) == n):
        return [f"{n} events, but $TOT={total!r}"]
    claims = _claims(raw, base, tube.keywords)
    if n == 0:
        return [] if (total.isdigit() and int(total) == 0) or lost else ["no events, and $TOT does not say so"]
    limit = _limit(raw, base, tube)
    header_end = header_offsets(raw, base)[1] or 0
    good: list[Span] = []
    for first, last in _places(claims, limit, tube.codes):
        if not 58 <= first <= last < limit or (first <= text[1] and last >= text[0]):
            continue
        chunk = raw[base + first : base + last + 1]
        if any(same_rows(rows, tube.rows) for rows in _decodings(chunk, n, tube)):
            good.append((first, last))
    if not good:
        return [f"events are not what the bytes at {claims} say: {tube.rows[:2]}"]
    written = {span for span in claims if span in good}
    if not written and not tube.codes & (SALVAGE | {"FCS041", "FCS043"}):
        return [f"DATA is read elsewhere than at {claims}, and no note says so"]
    if len(set(claims)) > 1 and not tube.codes & (SALVAGE | {"FCS040", "FCS041", "FCS042", "FCS043"}):
        return [f"HEADER and TEXT differ, {claims}, and no note says so"]
    if any(first <= header_end <= last for first, last in good) and "FCS012" not in tube.codes:
        return [f"TEXT ends at {header_end}, inside DATA, and no note says so"]
    both = [span for span in set(claims) if _fits(raw, base, span, limit, text, tube)]
    if len(both) > 1:
        return [f"both {both} agree with $TOT, one of them was taken"]
    return []


def _claims(raw: bytes, base: int, keywords: Mapping[str, str]) -> list[Span]:
    """What HEADER and TEXT say about DATA, nothing where they are blank or 0."""
    found = []
    begin, end = header_offsets(raw, base)[2:4]
    if begin is not None and end is not None and (begin, end) != (0, 0):
        found.append((begin, end))
    try:
        begin, end = (whole(keywords.get(key, "0") or "0") for key in ("$BEGINDATA", "$ENDDATA"))
    except Odd:
        return found
    return found + ([(begin, end)] if (begin, end) != (0, 0) else [])


def _limit(raw: bytes, base: int, tube: Tube) -> int:
    """Bytes of the data set: to the next one, or to the end of the file."""
    step = tube.keywords.get("$NEXTDATA", "0").strip()
    for target in (base + int(step), int(step)) if step.isdigit() and int(step) else ():
        if target > base and raw[target : target + 3] == b"FCS":
            return target - base
    return len(raw) - base


def _places(claims: Sequence[Span], limit: int, codes: frozenset[str]) -> Iterator[Span]:
    for first, last in dict.fromkeys(claims):
        yield first, last
        if "FCS041" in codes:
            yield from ((first + i, last + k) for i in (-1, 0, 1) for k in (-1, 0, 1) if (i, k) != (0, 0))
        if codes & SALVAGE:
            yield first, min(last, limit - 1)
            yield first, limit - 1


def _fits(raw: bytes, base: int, span: Span, limit: int, text: Span, tube: Tube) -> bool:
    first, last = span
    try:
        extra = tuple(whole(tube.keywords.get(key, "")) for key in ("$BEGINSTEXT", "$ENDSTEXT"))
    except Odd:
        extra = (0, 0)
    if any(first <= taken[1] and last >= taken[0] for taken in ((0, 57), text, extra)):
        return False
    if not first <= last < limit or tube.codes & SALVAGE:
        return False
    return any(True for _ in _decodings(raw[base + first : base + last + 1], len(tube.rows), tube))


def _decodings(chunk: bytes, n: int, tube: Tube) -> Iterator[list[list[float]]]:
    """Events in a place, for each layout that keywords and notes allow and whose size is that of the place."""
    n_channels = len(tube.detectors)
    whole_chunk = not tube.codes & SALVAGE
    for mixed in (True, False):
        kinds = kinds_of(tube.keywords, n_channels, mixed=mixed)
        ranges = [top(tube.keywords, i) for i in range(1, n_channels + 1)]
        bits = [tube.keywords.get(f"$P{i}B", "").strip() for i in range(1, n_channels + 1)]
        try:
            if set(kinds) == {"A"}:
                masks = [None] * len(ranges)
                widths = None if set(bits) == {"*"} else [int(b) for b in bits]
                whole = chunk if widths is None or whole_chunk else chunk[: len(chunk) // sum(widths) * sum(widths)]
                rows = ascii_rows(whole, widths, masks)
                if len(rows) == n if whole_chunk else len(rows) >= n:
                    yield rows[:n]
                continue
            for event in _events(kinds, [int(b) for b in bits], ranges, tube):
                if event.size(n) == len(chunk) if whole_chunk else event.size(n) <= len(chunk):
                    yield event.decode(chunk, n)
            if "FCS066" in tube.codes and -(-n * sum(map(int, bits)) // 8) == len(chunk):
                yield _packed(chunk, n, [int(b) for b in bits], ranges, order_of(tube.keywords))
        except (Odd, ValueError):
            continue


def _events(kinds: tuple[str, ...], bits: Sequence[int], ranges: Sequence[int | None], tube: Tube) -> Iterator[Event]:
    natural = tuple({"F": 4, "D": 8}.get(k, -(-b // 8)) for k, b in zip(kinds, bits, strict=True))
    widths = [natural] if tube.codes & {"FCS064", "FCS065"} or _exact(natural, bits) else []
    if "FCS065" in tube.codes:
        widths.append(tuple(w if k != "I" else 1 << (w - 1).bit_length() for k, w in zip(kinds, natural, strict=True)))
    if "FCS064" in tube.codes:
        widths.append(tuple(b // 8 for b in bits))
    for sizes in widths:
        if any(kind != "I" and size not in (4, 8) for kind, size in zip(kinds, sizes, strict=True)):
            continue
        masks = []
        for kind, levels, b, size in zip(kinds, ranges, bits, sizes, strict=True):
            narrow = mask_of(levels, b)
            masks.append(narrow if narrow is not None or kind != "I" or b >= 8 * size else 2**b - 1)
        real = tuple("D" if k != "I" and s == 8 else k for k, s in zip(kinds, sizes, strict=True))
        yield Event(real, sizes, tuple(masks), order_of(tube.keywords))


def _exact(widths: Sequence[int], bits: Sequence[int]) -> bool:
    return all(8 * width == b for width, b in zip(widths, bits, strict=True))


def _packed(
    chunk: bytes, n: int, bits: Sequence[int], ranges: Sequence[int | None], order: tuple[int, ...]
) -> list[list[float]]:
    """Integers packed bit by bit, most significant first in big-endian files."""
    big = order[0] != 1 or len(order) == 1
    stream = "".join(f"{byte:08b}" if big else f"{byte:08b}"[::-1] for byte in chunk)
    rows, at = [], 0
    for _ in range(n):
        row: list[float] = []
        for size, levels in zip(bits, ranges, strict=True):
            field = stream[at : at + size]
            at += size
            value, mask = int(field if big else field[::-1], 2), mask_of(levels, size)
            row.append(value if mask is None else value & mask)
        rows.append(row)
    return rows

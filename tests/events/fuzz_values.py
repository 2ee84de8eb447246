"""What a reader said about a file, and whether its scale values, checksum and spillover follow from the keywords."""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fuzz_strict import PADDING, Strict, kinds_of, positive

SPILLOVER_KEYS = ("$SPILLOVER", "SPILLOVER", "$SPILL", "SPILL", "$COMP", "COMP")


@dataclass(frozen=True)
class Tube:
    """What a reader said, in plain values. ``repairs`` are the noted codes of kind repair or salvage."""

    version: str
    data_set: int
    keywords: Mapping[str, str]
    rows: list[list[float]]
    scaled: list[list[float]]
    detectors: tuple[str, ...]
    codes: frozenset[str]
    repairs: frozenset[str]


def judge_scale(tube: Tube) -> list[str]:
    """Whether scale values are stored values with $PnE, $PnG and $TIMESTEP applied."""
    n_channels = len(tube.detectors)
    kinds = kinds_of(tube.keywords, n_channels, mixed=True)
    step = positive(tube.keywords.get("$TIMESTEP", ""))
    for i, name in enumerate(tube.detectors):
        gain = positive(tube.keywords.get(f"$P{i + 1}G", "")) or 1.0
        decades, offset = _amplifier(tube.keywords.get(f"$P{i + 1}E", ""))
        levels = positive(tube.keywords.get(f"$P{i + 1}R", ""))
        for stored, scaled in zip(tube.rows, tube.scaled, strict=True):
            if decades > 0 and kinds[i] in "IA" and levels:
                exponent = decades * stored[i] / levels
                allowed = [(offset or 1.0) * 10.0**exponent if exponent < 308 else math.inf]
            else:
                allowed = [stored[i] / gain]
            if "TIME" in name.upper() or name.upper() == "HDR-T":
                allowed += [stored[i] * step] if step else [stored[i]]
            if not any(_near(scaled[i], value) for value in allowed):
                return [f"channel {name!r}: stored {stored[i]} has scale value {scaled[i]}, not {allowed}"]
    return []


def _near(found: float, wanted: float) -> bool:
    if wanted != wanted or math.isinf(wanted):
        return found == wanted or found != found or math.isinf(found)
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-300)


def _amplifier(text: str) -> tuple[float, float]:
    try:
        decades, offset = (float(part) for part in text.split(","))
    except ValueError:
        return 0.0, 0.0
    return decades, offset


def wrong_crc(raw: bytes, strict: Strict) -> bool:
    """Whether the eight bytes behind the last segment are a checksum, and no usual CRC-16 of what is before them."""
    word = raw[strict.end : strict.next_base]
    digits = word[:8].strip(b" ")
    if (
        strict.version == "FCS2.0"
        or len(word) < 8
        or word[8:].strip(PADDING)
        or not re.fullmatch(b"[0-9A-Fa-f]+", digits)
    ):
        return False
    stored = {int(digits, 16)} | ({int(digits)} if digits.isdigit() else set())
    if stored == {0}:
        return False
    body = raw[strict.base : strict.end]
    turned = body.translate(bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256)))
    sums = {binascii.crc_hqx(body, start) for start in (0, 0xFFFF)}
    sums |= {int(f"{binascii.crc_hqx(turned, start):016b}"[::-1], 2) for start in (0, 0xFFFF)}
    return not stored & (sums | {value ^ 0xFFFF for value in sums})


def judge_spillover(tube: Tube, found: tuple[tuple[str, ...], list[float]] | None) -> list[str]:
    """Whether the matrix (None: refused) is what the one keyword says, row by row of the right channel."""
    written = {key: tube.keywords[key] for key in SPILLOVER_KEYS if tube.keywords.get(key, "").strip()}
    noted = any("FCS090" <= code <= "FCS099" for code in tube.codes)
    plain = _plain_matrix(next(iter(written.values())), tube.detectors) if len(written) == 1 else None
    if found is None:
        return []
    detectors, matrix = found
    if not set(detectors) <= set(tube.detectors) or len(set(detectors)) != len(detectors):
        return [f"spillover of {detectors} in a tube of {tube.detectors}"]
    if any("comp" in name.lower() for name in tube.detectors) or noted:
        return []
    if plain is None:
        return [f"spillover of {detectors} from {written} without a note"]
    names, numbers = plain
    if detectors != names or not all(
        math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(matrix, numbers, strict=True)
    ):
        return [f"spillover {found} is not {plain}"]
    return []


def _plain_matrix(text: str, detectors: Sequence[str]) -> tuple[tuple[str, ...], list[float]] | None:
    """Names and numbers of a keyword that is written as the standard says; None for any other."""
    parts = text.strip(" \0\r\n").split(",")
    if not re.fullmatch(r"\d{1,3}", parts[0].strip()):
        return None
    d = int(parts[0])
    names, numbers = tuple(part.strip() for part in parts[1 : d + 1]), parts[d + 1 :]
    trimmed = {name.strip(): name for name in detectors}
    if d == 0 or len(numbers) != d * d or len(set(names)) != d or not set(names) <= set(trimmed):
        return None
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        return None
    diagonal = [values[i * (d + 1)] for i in range(d)]
    if not all(value == 1 for value in diagonal) or not all(map(math.isfinite, values)):
        return None
    return tuple(trimmed[name] for name in names), values

"""Compare what a reader made of a file with the truth beside it."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from torture_builder import Bits, Value
from torture_truth import Truth


def numbers_in(message: str) -> set[int]:
    """Whole numbers of a message, thousands separators taken out."""
    return {
        int(digits)
        for digits in re.findall(r"\d+", re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", message))
        if len(digits) < 30
    }


def as_float(value: Value) -> float:
    """A value as double precision holds it; what NaN it is goes lost."""
    if not isinstance(value, Bits):
        return float(value)
    return float(struct.unpack({4: "<f", 8: "<d"}[value.size], value.pattern.to_bytes(value.size, "little"))[0])


def same_value(found: Any, wanted: Value) -> bool:
    """Exactly the same number; where bits are given, the same bits."""
    if isinstance(wanted, Bits):
        raw = found.tobytes()
        order = "big" if found.dtype.byteorder == ">" else "little"  # a scalar is in native order but for newbyteorder
        return len(raw) == wanted.size and int.from_bytes(raw, order) == wanted.pattern
    return bool(found.item() == wanted)


def wrong_rows(events: Any, rows: Sequence[Sequence[Value]], *, start: int = 0) -> str:
    """What is wrong with some rows of the events; empty where nothing is."""
    if rows and len(rows[0]) != events.shape[1]:
        return f"{events.shape[1]} channels, not {len(rows[0])}"
    for r, row in enumerate(rows, start):
        for c, wanted in enumerate(row):
            if not same_value(events[r : r + 1, c : c + 1].reshape(1)[0], wanted):
                return f"event {r} channel {c} is {events[r, c]!r}, not {wanted!r}"
    return ""


def wrong_events(events: Any, truth: Truth) -> str:
    """What is wrong with all events."""
    width = len(truth.names) if truth.names else len(truth.rows[0]) if truth.rows else events.shape[1]
    n = truth.n_events if truth.n_events is not None else len(truth.rows) if truth.rows is not None else events.shape[0]
    if events.shape != (n, width):
        return f"shape {events.shape}, not {(n, width)}"
    first = truth.rows if truth.rows is not None else truth.first
    return wrong_rows(events, first) or wrong_rows(events, truth.last, start=n - len(truth.last))


def wrong_scale(values: Any, wanted: Iterable[float]) -> bool:
    """Whether scale values are not those wanted, to the last digits."""
    wanted = list(wanted)
    return len(values) != len(wanted) or not all(
        math.isclose(v, w, rel_tol=1e-12) or v == w for v, w in zip(values, wanted, strict=True)
    )


def differences(sample: Any, truth: Truth) -> list[str]:
    """Everything in which a sample of this package is not what it must be, notes left aside."""
    found = [wrong_events(sample.events, truth)]
    names = [channel.detector for channel in sample.panel.channels]
    if truth.names is not None and names != list(truth.names):
        found.append(f"channels {names}, not {list(truth.names)}")
    if truth.version is not None and sample.version != truth.version:
        found.append(f"version {sample.version}, not {truth.version}")
    for key, value in truth.keywords.items():
        if sample.keywords.get(key) != value:
            found.append(f"{key} is {str(sample.keywords.get(key))[:80]!r}, not {value[:80]!r}")
    found += [f"{key} should not be there" for key in truth.absent if key in sample.keywords]
    if truth.analysis is not None:
        held = {key: sample.analysis.get(key) for key in truth.analysis}
        if held != dict(truth.analysis):
            found.append(f"ANALYSIS holds {dict(sample.analysis)}, not {dict(truth.analysis)}")
    for name, wanted in truth.scale.items():
        values = sample.columns([name])[:, 0].tolist()
        if wrong_scale(values, wanted):
            found.append(f"scale of {name} is {values}, not {list(wanted)}")
    if truth.time_step is not None:
        wanted_step = None if truth.time_step == "none" else truth.time_step
        if sample.time_step_s != wanted_step:
            found.append(f"time step {sample.time_step_s}, not {wanted_step}")
    return [text for text in found if text]


def wrong_message(text: str, path: str, truth: Truth, numbers: Sequence[Sequence[int]]) -> list[str]:
    """What a refusal should name and does not."""
    said = text.replace(path, "").lower()
    found = [f"says none of {words}" for words in truth.says if not any(word.lower() in said for word in words)]
    named = numbers_in(said)
    return found + [f"names none of {group}" for group in numbers if not named & set(group)]

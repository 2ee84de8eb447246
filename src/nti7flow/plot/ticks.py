"""Where an axis in display units has its ticks, and what they say: decades of scale values, or thousands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log10

from nti7flow.events.transforms import Linear, Transform

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Ticks:
    """Positions in display units; ``labels`` belong to ``major``."""

    major: tuple[float, ...]
    labels: tuple[str, ...]
    minor: tuple[float, ...]


def make_ticks(transform: Transform, low: float, high: float, *, gap: float = 0.075) -> Ticks:
    """Find the ticks of an axis that shows ``low`` to ``high`` display units.

    Labels of decades stand at least ``gap`` apart, a fraction of the axis.
    """
    if isinstance(transform, Linear):
        return _linear(transform, low, high)
    return _decades(transform, low, high, gap * (high - low))


def _decades(transform: Transform, low: float, high: float, gap: float) -> Ticks:
    """0 and powers of ten as far as there is room for their labels, the rest of each decade as minor ticks."""
    least, most = (float(transform.inverse(y)) for y in (-inf, inf))

    def positions(values: Iterable[float]) -> dict[float, float]:
        # FlowJo's scales end: all values beyond lie on the same place, where no label would be true.
        found = {value: float(transform.apply(value)) for value in values if least <= value <= most}
        return {value: y for value, y in found.items() if isfinite(y) and low <= y <= high}

    ends = [abs(float(transform.inverse(y))) for y in (low, high)]
    top = ceil(log10(max(*ends, 1e-300)))
    exponents = range(top, top - 8, -1)  # the largest first: they have the most room
    signed = [sign * 10.0**k for sign in (1, -1) for k in exponents]
    major = _spaced(positions([0.0, *signed]), {}, gap)
    lowest = min((round(log10(abs(v))) for v in major if v), default=top - 1)
    within = range(lowest - 1, top + 1)
    minor = positions(sign * m * 10.0**k for sign in (1, -1) for k in within for m in range(1, 10))
    if len(major) < 2:  # less than a decade in sight: say where 2 and 5 are
        major = _spaced({v: y for v, y in minor.items() if f"{abs(v):e}"[0] in "25"}, major, gap)
    ordered = sorted(major, key=lambda v: major[v])
    rest = sorted(y for v, y in minor.items() if v not in major)
    return Ticks(tuple(major[v] for v in ordered), tuple(map(decade_label, ordered)), tuple(rest))


def _spaced(candidates: dict[float, float], taken: dict[float, float], gap: float) -> dict[float, float]:
    """Those of the candidates, first come first served, that keep their distance from all before them."""
    taken = dict(taken)
    for value, y in candidates.items():
        if all(abs(y - other) >= gap for other in taken.values()):
            taken[value] = y
    return taken


def decade_label(value: float) -> str:
    """``10⁵``, ``−10³``, ``0`` or ``2·10⁵``."""
    if value == 0:
        return "0"
    exponent = floor(log10(abs(value)) + 1e-9)
    factor = round(abs(value) / 10.0**exponent)
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return ("−" if value < 0 else "") + (power if factor == 1 else f"{factor}·{power}")


def _linear(transform: Linear, low: float, high: float) -> Ticks:
    first, last = (float(transform.inverse(y)) for y in (low, high))
    step = _nice_step(last - first)
    values = [i * step for i in range(ceil(first / step - 1e-9), floor(last / step + 1e-9) + 1)]
    fifths = range(ceil(5 * first / step), floor(5 * last / step) + 1)
    minor = [i * step / 5 for i in fifths if i % 5]
    thousands = max(abs(first), abs(last)) >= 1e4
    labels = tuple(_thousands(v) if thousands else f"{v:g}".replace("-", "−") for v in values)
    return Ticks(_on(transform, values), labels, _on(transform, minor))


def _on(transform: Transform, values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(transform.apply(value)) for value in values)


def _nice_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, about a fifth of the span."""
    power = 10.0 ** floor(log10(span / 5))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= 0.7 * span / 5)


def _thousands(value: float) -> str:
    text = f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k"
    return "0" if value == 0 else text.replace("-", "−")

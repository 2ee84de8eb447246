"""What was asked of coverage, and whether it was met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.coverage.design import Floats
from benchmarks.coverage.limits import OURS
from benchmarks.coverage.measure import Found

LEVEL, MOST_FEW, MOST_MANY = 0.95, 0.99, 0.965
#: Expected cells of the two upper bars.
FEW, MANY = (1.0, 20.0), (20.0, np.inf)
#: Standard errors that simulation may stray.
STRAY = 3.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar and what was measured."""

    name: str
    asked: str
    measured: str
    met: bool | None


def bars(found: Sequence[Found], draws: int) -> Iterator[Bar]:
    """Judge the designs with beads, on the grid alone."""
    error = standard_error(LEVEL, draws)
    least = LEVEL - STRAY * error
    yield _bar(
        "never too narrow",
        f"≥ 95 % at every point, less Monte-Carlo error (3 SE: {percent(least)})",
        found,
        (0.0, np.inf),
        lambda exact, simulated: exact >= LEVEL and simulated >= least,
        worst=min,
    )
    for name, most, where, words in (
        ("few cells", MOST_FEW, FEW, "1 to 20"),
        ("many cells", MOST_MANY, MANY, "20 up"),
    ):
        yield _bar(
            f"not too wide, {name}",
            f"≤ {100 * most:g} % from {words} expected cells",
            found,
            where,
            lambda exact, simulated, most=most: exact <= most and simulated <= most + STRAY * error,
            worst=max,
        )


def _bar(
    name: str,
    asked: str,
    found: Sequence[Found],
    where: tuple[float, float],
    meets: Callable[[float, float], bool],
    *,
    worst: Callable[[Iterable[Any]], Any],
) -> Bar:
    points = [
        (float(exact), float(simulated), f"{cells:g} cells, {f.design.reference:,.0f} beads, gates {gates(f)}")
        for f in found
        for cells, exact, simulated in zip(f.cells, f.exact[OURS], f.simulated, strict=True)
        if where[0] <= cells <= where[1]
    ]
    if not points:
        return Bar(name, asked, "not measured", None)
    exact, _, at = worst(points)
    simulated = worst(point[1] for point in points)
    missed = sum(not meets(e, s) for e, s, _ in points)
    word = "least" if worst is min else "most"
    measured = (
        f"{word} {percent(exact)} calculated ({at}), {percent(simulated)} simulated; {missed} of {len(points)} miss"
    )
    return Bar(name, asked, measured, not missed)


def gates(found: Found) -> str:
    return f"{100 * found.design.gating:g} %"


def percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"


def standard_error(coverage: float, draws: int) -> float:
    return float(np.sqrt(coverage * (1 - coverage) / draws))


def windows(curve: Floats, coverage: Floats, most: float) -> list[tuple[float, float, float]]:
    """Return where coverage is above a bar: first and last of neighbouring points, and the most between them."""
    above = np.concatenate([[False], coverage > most, [False]])
    turns = np.flatnonzero(above[1:] != above[:-1])
    return [
        (float(curve[a]), float(curve[b - 1]), float(coverage[a:b].max()))
        for a, b in zip(turns[::2], turns[1::2], strict=True)
    ]

"""What was asked of trials, and whether it was met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.trials.cases import Case
from benchmarks.trials.measures import Coverage, coverage, few, many
from benchmarks.trials.rows import JUDGED, POPULATIONS, Frame, clean

#: Coverage where 20 events or more are expected, and the least below.
LEAST, MOST, LEAST_FEW = 0.935, 0.965, 0.94
LEAST_SPECIMENS = 1_500
#: Fewer intervals than this are not judged: their share says nothing.
LEAST_JUDGED = 20
#: Every one must be flagged; of wrong lots those that show.
MUST = ("missing_beads", "clotted_specimen", "wrong_lot_number")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar and what was measured."""

    name: str
    asked: str
    measured: str
    met: bool | None


def bars(rows: Frame, cases: Sequence[Case], n_specimens: int, n_trials: int) -> Iterator[Bar]:
    """Judge the trials."""
    large = n_specimens >= LEAST_SPECIMENS and n_trials >= 10
    asked = f"10 trials, ≥ {LEAST_SPECIMENS:,} specimens"
    yield Bar("size", asked, f"{n_trials} trials, {n_specimens:,} specimens", large)
    untouched = clean(rows)
    for population in JUDGED:
        here = untouched[untouched["population"] == population]
        name = f"coverage, {POPULATIONS[population]}"
        found = coverage(many(here))
        yield Bar(f"{name}, ≥ 20 events", f"{_percent(LEAST)}–{_percent(MOST)} %", _said(found), _within(found))
        found = coverage(few(here))
        met = found.share >= LEAST_FEW if found.n >= LEAST_JUDGED else None
        yield Bar(f"{name}, < 20 events", f"≥ {_percent(LEAST_FEW)} %", _said(found), met)
    for case in MUST:
        own = [c for c in cases if c.case == case and c.shown]
        flagged = sum(c.flagged for c in own)
        words = "every one is flagged" + (" that the data show" if case == "wrong_lot_number" else "")
        yield Bar(case.replace("_", " "), words, f"{flagged} of {len(own)}", flagged == len(own) if own else None)


def _within(found: Coverage) -> bool | None:
    return LEAST <= found.share <= MOST if found.n >= LEAST_JUDGED else None


def _said(found: Coverage) -> str:
    if not found.n:
        return "not measured"
    error = "" if math.isnan(found.error) else f" (SE {100 * found.error:.1f})"
    few_of_them = "" if found.n >= LEAST_JUDGED else ": too few to judge"
    return f"{100 * found.share:.1f} %{error} of {found.n:,}{few_of_them}"


def _percent(value: float) -> str:
    return f"{100 * value:g}"

"""Checks of a gated tube that need nothing but the tube: its matrix, its notes, its unassigned lymphocytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nti7flow.counting.fractions import Count
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import CONDITION_LIMIT, Spillover
from nti7flow.gating.strategy import Severity

#: Unassigned lymphocytes, % of lymphocytes: above the first worth knowing, above the second worth a look.
UNASSIGNED_OPTIMAL, UNASSIGNED_LIMIT = 5.0, 10.0


#: Notes of the reader that mean that cells were left out.
UNREAD_CELLS = ("more_data_sets",)


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table ``quality``."""

    check: str
    value: float | None
    limit: float | None
    severity: Severity
    n_excluded: int = 0


def check_sample(sample: Sample, spillover: Spillover, counts: Sequence[Count]) -> Iterator[Check]:
    """Check one gated tube."""
    condition = spillover.condition_number
    worst: Severity = "review" if condition > CONDITION_LIMIT else ""
    yield Check("spillover_condition_number", condition, CONDITION_LIMIT, worst)
    for note in sample.notes:
        yield Check(f"file_note: {note.text}", None, None, "review" if note.code in UNREAD_CELLS else "info")
    yield from _unassigned({count.population: count for count in counts})


def _unassigned(counts: dict[str, Count]) -> Iterator[Check]:
    """Lymphocytes that are neither T, B nor NK cells: monocytes in the gate, or a lineage gate set wrongly."""
    count = counts.get("unassigned")
    if count is None or count.percent_lymphocytes is None:
        return
    percent = count.percent_lymphocytes
    severity: Severity = "review" if percent > UNASSIGNED_LIMIT else "info" if percent > UNASSIGNED_OPTIMAL else ""
    yield Check("unassigned_lymphocytes_percent", percent, UNASSIGNED_LIMIT, severity)

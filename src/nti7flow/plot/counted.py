"""Concentrations as pictures need them, out of the tables of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nti7flow.counting.fractions import ALC, LYMPHOCYTES, USUAL_NAMES
from nti7flow.counting.reported import compact

#: Populations that have a place of their own, in its order, and their headings.
POPULATIONS = {LYMPHOCYTES: "Lymphocytes", **USUAL_NAMES}
#: Places side by side, where none of these was counted.
MOST = 6


class CountedRun(Protocol):
    """What a picture needs of a run; `nti7flow.Run` has it."""

    def arrow(self, table: str) -> Any:
        """One of its tables as Arrow."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of the table ``concentrations``, as far as it is drawn; without a value, the limits are 0."""

    specimen: str
    collected_at: str | None
    population: str
    label: str
    value: float | None
    lower: float
    upper: float
    level: float
    number: str
    method: str
    n_events: int | None
    lloq: float | None
    below_lloq: bool
    flags: tuple[str, ...]
    severity: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Measured:
        """Take over a row of the table."""
        return cls(
            row["specimen"],
            row["collected_at"],
            row["population"],
            row["label"],
            row["cells_per_ul"],
            row["lower"] or 0.0,
            row["upper"] or 0.0,
            row["level"],
            compact(row["reported"]) or "–",
            row["method"],
            row["n_events"],
            row["lloq"] or None,
            row["below_lloq"] == "yes",
            tuple(filter(None, row["flags"].split(";"))),
            row["severity"],
        )


def measured(rows: Iterable[Mapping[str, Any]]) -> list[Measured]:
    """Take over the rows of the table ``concentrations``."""
    return [Measured.from_row(row) for row in rows]


def places(found: Iterable[Measured], populations: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the populations that have a place, with its heading: those that are named, else the first of any."""
    labels = {each.population: each.label or each.population for each in found}
    chosen = POPULATIONS if populations is None else populations
    usual = {name: heading for name, heading in chosen.items() if name in labels}
    counted = [(name, label) for name, label in labels.items() if name != ALC]
    return usual or (dict(counted[:MOST]) if populations is None else {})

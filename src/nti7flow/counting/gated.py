"""What gating stored of a tube, as far as concentrations and their acceptance need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nti7flow.counting.doublets import DOUBLETS, doublet_factors
from nti7flow.counting.reference import Doublets
from nti7flow.gating.strategy import Severity, Status
from nti7flow.trial import SampleRow


@dataclass(frozen=True, slots=True)
class CountRow:
    """A row of the table ``counts``; the columns mean the same."""

    population: str
    label: str
    path: str
    parent: str
    n_events: int | None
    percent_lymphocytes: float | None
    status: Status
    flags: tuple[str, ...]
    severity: Severity
    gating_sd: float = 0.0
    background: float = 0.0
    n_total: int | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> CountRow:
        """Read a row as a run stores it; runs made before a column was there lack it."""
        return cls(
            row["population"],
            row["label"],
            row["path"],
            row["parent"],
            row["n_events"],
            row["percent_lymphocytes"],
            row["status"],
            tuple(filter(None, row["flags"].split(";"))),
            row["severity"],
            row.get("gating_sd") or 0.0,
            row.get("background") or 0.0,
            row.get("n_total"),
        )

    @property
    def ancestors(self) -> tuple[str, ...]:
        """Populations above it, the nearest first."""
        return tuple(reversed([step for step in self.path.split("/") if step][:-1]))


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A row of the table ``quality``."""

    check: str
    value: float | None
    limit: float | None
    severity: Severity
    n_excluded: int = 0

    @property
    def name(self) -> str:
        """Its first word."""
        return self.check.split(" ")[0]


@dataclass(frozen=True)
class GatedSample:
    """A gated tube: its line of the sample sheet, its counts by population and its checks.

    ``reported`` are the populations that are results, not steps on the way to them; all where that is not known.
    """

    sample: str
    row: SampleRow | None
    counts: Mapping[str, CountRow]
    checks: tuple[CheckRow, ...] = ()
    reported: frozenset[str] | None = None
    template: str = ""

    @property
    def specimen(self) -> str:
        """The blood draw; of a tube without one, the tube."""
        return (self.row.specimen if self.row else None) or self.sample

    @property
    def is_stained(self) -> bool:
        """Whether all of its panel is in the tube."""
        return self.row is None or self.row.role in ("patient", "control")

    def check(self, name: str) -> CheckRow | None:
        """Return the check of this name."""
        return next((check for check in self.checks if check.name == name), None)

    def n_events(self, population: str) -> int | None:
        """Return the events of a population; None where it has no count."""
        count = self.counts.get(population)
        return None if count is None else count.n_events

    @property
    def doublets(self) -> Doublets | None:
        """Factors for doublets; None where they were not estimated."""
        check = self.check(DOUBLETS)
        if check is None or check.value is None:
            return None
        cells, beads = doublet_factors(check.value, check.n_excluded, self.n_events("beads") or 0)
        return Doublets(cells, beads)

    def results(self) -> Iterable[CountRow]:
        """Yield the counts that are results: of lymphocytes and what is within them, where they are gated."""
        within = "lymphocytes" in self.counts
        for count in self.counts.values():
            if count.population == "beads" or (self.reported is not None and count.population not in self.reported):
                continue
            if not within or count.population == "lymphocytes" or "lymphocytes" in count.ancestors:
                yield count

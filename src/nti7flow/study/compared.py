"""Two methods compared, population by population: pairs, what they show, and the files that tell it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import expm1
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nti7flow.counting.agreement import BlandAltman, Estimate, PassingBablok
from nti7flow.errors import StoreError
from nti7flow.study.measured import Key
from nti7flow.study.tables import Column, Table, arrow_table, csv_text, to_frame
from nti7flow.trial.other_counts import QUANTITIES, Quantity

if TYPE_CHECKING:
    import pandas as pd

#: Why a pair has no place among relative differences; the line takes it.
NO_RATIO = "0: no relative difference"
_OVERVIEW = "overview"
#: Letters of a population's id in the name of its picture.
_LONGEST = 60

PAIRS = Table(
    "pairs",
    "What was compared, and what was not, one row per population of a specimen or tube.",
    (
        Column("quantity", "text", "", "What the values are: cells_per_ul, n_events, percent_parent or "
               "percent_lymphocytes.", key=True),
        Column("population", "text", "", "Id of the population.", key=True),
        Column("name", "text", "", "Specimen of a concentration, tube of a count.", key=True),
        Column("a", "number", "by quantity", "Value of A, the method that is judged."),
        Column("b", "number", "by quantity", "Value of B, the method it is compared with."),
        Column("severity_a", "text", "", "Severity of the count in A: empty, info, review or invalid."),
        Column("severity_b", "text", "", "The same in B; a table has none."),
        Column("left_out", "text", "", "Why the pair was not used; empty where it was."),
    ),
)  # fmt: skip

AGREEMENT = Table(
    "agreement",
    "How A agrees with B, one row per population.",
    (
        Column("quantity", "text", "", "As in pairs.", key=True),
        Column("population", "text", "", "Id of the population.", key=True),
        Column("label", "text", "", "Name of the population for people."),
        Column("n_pairs", "integer", "", "Pairs that were used."),
        Column("n_review", "integer", "", "Pairs among them of which one count is for review."),
        Column("n_left_out", "integer", "", "Pairs that were not used, or not everywhere: pairs.csv says why."),
        Column("lowest", "number", "by quantity", "Lowest value of B among the pairs used."),
        Column("highest", "number", "by quantity", "Highest value of B."),
        Column("unit", "text", "", "Unit of the next ten columns: % of B, % of the average of both, or that of the "
               "quantity."),
        Column("bias", "number", "by unit", "Mean difference A - B."),
        Column("bias_lower", "number", "by unit", "Lower end of its interval."),
        Column("bias_upper", "number", "by unit", "Upper end."),
        Column("lower_limit", "number", "by unit", "Lower limit of agreement."),
        Column("lower_limit_lower", "number", "by unit", "Lower end of its interval."),
        Column("lower_limit_upper", "number", "by unit", "Upper end."),
        Column("upper_limit", "number", "by unit", "Upper limit of agreement."),
        Column("upper_limit_lower", "number", "by unit", "Lower end of its interval."),
        Column("upper_limit_upper", "number", "by unit", "Upper end."),
        Column("trend_p", "number", "", "P that the difference does not change with the size of the value."),
        Column("slope", "number", "", "Slope of the Passing-Bablok line A = intercept + slope B."),
        Column("slope_lower", "number", "", "Lower end of its interval."),
        Column("slope_upper", "number", "", "Upper end."),
        Column("intercept", "number", "by quantity", "Intercept of that line."),
        Column("intercept_lower", "number", "by quantity", "Lower end of its interval."),
        Column("intercept_upper", "number", "by quantity", "Upper end."),
        Column("linear_p", "number", "", "P that the relation is linear, by the cusum test."),
        Column("verdict", "text", "", "proportional difference, constant difference, not linear, bias, by semicolons; "
               "none shown; or not compared."),
        Column("note", "text", "", "What could not be computed, and why."),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """One population of one specimen or tube in both; ``left_out`` says why it was not used."""

    key: Key
    a: float | None
    b: float | None
    severity_a: str = ""
    severity_b: str = ""
    left_out: str = ""

    @property
    def is_used(self) -> bool:
        """Whether both values count; those without a relative difference do, for the line."""
        return self.left_out in ("", NO_RATIO)

    @property
    def in_review(self) -> bool:
        """Whether one of both counts is for review."""
        return "review" in (self.severity_a, self.severity_b)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two methods agree on one population.

    Attributes
    ----------
    population, label, quantity : str
        What was compared.
    pairs : tuple of Pair
        All of them, those left out too.
    level : float
        Of the intervals.
    differences : BlandAltman or None
        A less B.
    line : PassingBablok or None
        A over B.
    notes : tuple of str
        Why one of these is missing.
    """

    population: str
    label: str
    quantity: Quantity
    pairs: tuple[Pair, ...]
    level: float
    differences: BlandAltman | None
    line: PassingBablok | None
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[Pair, ...]:
        """Pairs that were used."""
        return tuple(pair for pair in self.pairs if pair.is_used)

    @property
    def verdict(self) -> tuple[str, ...]:
        """What the intervals show."""
        words = []
        if self.line is not None:
            words += [] if self.line.slope.holds(1) else ["proportional difference"]
            words += [] if self.line.intercept.holds(0) else ["constant difference"]
        if not words and self.differences is not None and not self.differences.bias.holds(0):
            words = ["bias"]
        if self.line is not None and self.line.linear_p < 1 - self.level:
            words.append("not linear")
        compared = self.line is not None or self.differences is not None
        return tuple(words) or ("none shown" if compared else "not compared",)

    @property
    def unit(self) -> str:
        """Unit of the differences as they are told."""
        scale = "log" if self.differences is None else self.differences.scale
        return {"log": "% of B", "percent": "% of the average", "absolute": QUANTITIES[self.quantity]}[scale]

    def told(self, estimate: Estimate) -> Estimate:
        """Return a difference as it is told: a ratio in percent of B, anything else as it is."""
        if self.differences is None or self.differences.scale != "log":
            return estimate
        return Estimate(*(100 * expm1(value) for value in (estimate.value, estimate.lower, estimate.upper)))


@dataclass(frozen=True)
class Comparison:
    """Two methods compared.

    Attributes
    ----------
    a, b : str
        What is judged, and what it is compared with.
    agreements : tuple of Agreement
        One per population and quantity.
    """

    a: str
    b: str
    agreements: tuple[Agreement, ...]

    @property
    def left_out(self) -> tuple[Pair, ...]:
        """Pairs that were not used, or not everywhere, each with why."""
        return tuple(pair for agreement in self.agreements for pair in agreement.pairs if pair.left_out)

    @property
    def table(self) -> pd.DataFrame:
        """How A agrees with B, one row per population; the columns are those of agreement.csv."""
        return to_frame(arrow_table(AGREEMENT, [_agreement_row(one) for one in self.agreements]))

    @property
    def pairs_table(self) -> pd.DataFrame:
        """All pairs, with why one was left out; the columns are those of pairs.csv."""
        return to_frame(arrow_table(PAIRS, list(self._pair_rows())))

    def _pair_rows(self) -> Iterator[dict[str, Any]]:
        for pair in (pair for agreement in self.agreements for pair in agreement.pairs):
            key = {"quantity": pair.key.quantity, "population": pair.key.population, "name": pair.key.name}
            found = {"a": pair.a, "b": pair.b, "severity_a": pair.severity_a, "severity_b": pair.severity_b}
            yield key | found | {"left_out": pair.left_out}

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write agreement.csv, pairs.csv, and the pictures: overview.png and one of each population.

        Raises
        ------
        StoreError
            The folder cannot be written.
        """
        folder = Path(folder)
        tables = (AGREEMENT, [_agreement_row(one) for one in self.agreements]), (PAIRS, list(self._pair_rows()))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for table, rows in tables:
                text = csv_text(arrow_table(table, rows))
                (folder / f"{table.name}.csv").write_text(text, encoding="utf-8", newline="\n")
            return _draw(self, folder)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written: {error.strerror or error}.") from None


def _agreement_row(one: Agreement) -> dict[str, Any]:
    used = [pair.b for pair in one.used if pair.b is not None]
    row: dict[str, Any] = {
        "quantity": one.quantity,
        "population": one.population,
        "label": one.label,
        "n_pairs": len(used),
        "n_review": sum(pair.in_review for pair in one.used),
        "n_left_out": sum(bool(pair.left_out) for pair in one.pairs),
        "lowest": min(used, default=None),
        "highest": max(used, default=None),
        "verdict": ";".join(one.verdict),
        "note": " ".join(one.notes),
    }
    if one.differences is not None:
        row |= {"unit": one.unit, "trend_p": one.differences.slope_p}
        for name in ("bias", "lower_limit", "upper_limit"):
            row |= _cells(name, one.told(getattr(one.differences, name)))
    if one.line is not None:
        row |= _cells("slope", one.line.slope) | _cells("intercept", one.line.intercept)
        row["linear_p"] = one.line.linear_p
    return row


def _cells(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_lower": estimate.lower, f"{name}_upper": estimate.upper}


def _draw(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Draw the overview and a page of each population that could be compared."""
    from nti7flow import plot
    from nti7flow.plot.figure import boxes_for_missing_letters

    used = [one for one in comparison.agreements if one.used]
    several = len({one.quantity for one in used}) > 1
    names = _file_names([f"{one.population}_{one.quantity}" if several else one.population for one in used])
    shown = [
        plot.Compared(
            title=one.label,
            unit=QUANTITIES[one.quantity],
            a=comparison.a,
            b=comparison.b,
            x=np.array([pair.b for pair in one.used], np.float64),
            y=np.array([pair.a for pair in one.used], np.float64),
            review=np.array([pair.in_review for pair in one.used], np.bool_),
            differences=one.differences,
            line=one.line,
            verdict=one.verdict,
            notes=one.notes,
        )
        for one in used
    ]
    with boxes_for_missing_letters():
        for name, one in zip(names, shown, strict=True):
            plot.save_png(plot.agreement_page(one), folder / f"{name}.png")
        plot.save_png(plot.agreement_overview(shown), folder / f"{_OVERVIEW}.png")
    return tuple(folder / f"{name}.png" for name in (_OVERVIEW, *names))


def _file_names(names: Sequence[str]) -> list[str]:
    """Names that any file system takes, each once: ids of other programs are paths."""
    safe = [re.sub(r"[^\w+-]+", "_", name).strip("_")[:_LONGEST] or "population" for name in names]
    taken = Counter(name.casefold() for name in (*safe, _OVERVIEW))
    return [name if taken[name.casefold()] == 1 else f"{name}_{i}" for i, name in enumerate(safe, 1)]

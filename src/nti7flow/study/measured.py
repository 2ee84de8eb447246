"""What two methods measured, before it is paired: the counts of a run, or those of a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from nti7flow.counting.fractions import ALC, LYMPHOCYTES, USUAL_NAMES
from nti7flow.counting.settings import CountingSettings
from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.study.store import Run
from nti7flow.trial.form import Table
from nti7flow.trial.hematology import HEMATOLOGY, Hematology
from nti7flow.trial.other_counts import OTHER_COUNTS, QUANTITIES, OtherCount, Quantity, is_hematology
from nti7flow.trial.problems import Listing

#: Populations by the names they usually go by.
POPULATIONS: Mapping[str, str] = {"ALC": LYMPHOCYTES} | {name: population for population, name in USUAL_NAMES.items()}
#: Apart from which a haematology count is of another draw, where both times are known: as counting has it by default.
_SAME_DRAW = timedelta(hours=CountingSettings().hematology_hours)


@dataclass(frozen=True, slots=True)
class Key:
    """What is compared: ``name`` is that of the specimen for a concentration, else that of the tube."""

    name: str
    population: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Measured:
    """One value; None where it could not be had. ``unfit`` says why it must not be used for a comparison.

    ``of`` is what it is of where that need not be the same in two runs: of events the tube, of a share its parent.
    """

    value: float | None
    severity: str = ""
    unfit: str = ""
    of: str = ""


class RunCounts:
    """The counts of a run by specimen or tube.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def concentrations(self) -> list[dict[str, Any]]:
        """Rows of the newest table of concentrations; none where the run has not counted any.

        Raises
        ------
        ConfigError
            They are of an earlier gating.
        """
        if "count" not in self.run.kinds:
            return []
        if not self.run.is_counted:
            path = self.run.path
            raise ConfigError(
                f"{path}: its concentrations are of an earlier gating; nti7flow count {path} renews them."
            )
        rows = self.run.arrow("concentrations").to_pylist()
        # The haematology count beside them is no measurement of the run.
        return [row for row in rows if row["specimen"] and row["population"] != ALC]

    @cached_property
    def counts(self) -> list[dict[str, Any]]:
        """Rows of the table of counts, without those that a refused tube does not have."""
        columns = ["sample", "specimen", "population", "label", "parent", "severity", "sha256", "data_set"]
        values = [quantity for quantity in QUANTITIES if quantity != "cells_per_ul"]
        rows: list[dict[str, Any]] = self.run.arrow("counts").select([*columns, *values]).to_pylist()
        return rows

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels of the populations, in the order of the template."""
        return {row["population"]: row["label"] for row in reversed(self.counts)}

    @cached_property
    def order(self) -> dict[str, int]:
        """Place of each population in the order of the templates."""
        return {name: i for i, name in enumerate(dict.fromkeys(row["population"] for row in self.counts))}

    def place(self, key: Key) -> tuple[object, ...]:
        """Return what keys are sorted by: quantity, population in the order of the templates, name."""
        quantity = list(QUANTITIES).index(key.quantity)
        return quantity, self.order.get(key.population, len(self.order)), key.population, key.name

    def of(self, quantity: Quantity) -> dict[Key, Measured]:
        """Everything that was measured of one kind.

        Raises
        ------
        ConfigError
            The run holds no concentrations.
        """
        if quantity != "cells_per_ul":
            # Lymphocytes in percent of lymphocytes are 100 everywhere.
            skipped = LYMPHOCYTES if quantity == "percent_lymphocytes" else None
            rows = [row for row in self.counts if row["population"] != skipped]
            return {Key(row["sample"], row["population"], quantity): _measured(row, quantity) for row in rows}
        if not self.concentrations:
            raise ConfigError(f"{self.run.path}: holds no concentrations; nti7flow count {self.run.path} makes them.")
        return {Key(r["specimen"], r["population"], quantity): _measured(r, quantity) for r in self.concentrations}

    def population(self, name: str) -> str | None:
        """Id of a population by its id, its label or its usual name; None where there is none."""
        if name in self.labels:
            return name
        wanted = " ".join(name.split()).casefold()
        usual = {usual.casefold(): population for usual, population in POPULATIONS.items()}.get(wanted)
        found = [usual] if usual in self.labels else self._called(wanted)
        return found[0] if len(found) == 1 else None

    def hint(self, name: str) -> str:
        """Say which population may be meant by a name that is none."""
        found = self._called(" ".join(name.split()).casefold())
        if found:
            return f" It is the label of {', '.join(found)}."
        known = [*self.order, *self.labels.values(), *(u for u, p in POPULATIONS.items() if p in self.labels)]
        return did_you_mean(name, known) or f" There are {', '.join(self.order)}."

    def _called(self, wanted: str) -> list[str]:
        """Find populations by id or label, whatever its case."""
        return [name for name in self.order if wanted in (name.casefold(), self.labels[name].casefold())]

    def samples_of(self, specimen: str, population: str) -> list[str]:
        """Tubes of a specimen that have a population."""
        wanted = (specimen, population)
        return [row["sample"] for row in self.counts if (row["specimen"], row["population"]) == wanted]

    @cached_property
    def specimens(self) -> dict[str, str]:
        """Specimen of each tube that has one."""
        return {row["sample"]: row["specimen"] for row in self.counts if row["specimen"]}


def _measured(row: Mapping[str, Any], quantity: Quantity) -> Measured:
    value = row[quantity]
    unfit = "not counted" if value is None else "invalid" if row["severity"] == "invalid" else ""
    of = {"n_events": f"{row.get('sha256')}:{row.get('data_set')}", "percent_parent": row.get("parent")}.get(quantity)
    return Measured(value, row["severity"], unfit, of or "")


def read_table(path: Path, ours: RunCounts) -> dict[Key, Measured]:
    """Read a table of counts, or a haematology sheet, by the names of a run.

    Raises
    ------
    ConfigError
        It is no such table, or anything in it is wrong: all problems are in one listing.
    """
    listing = Listing()
    if is_hematology(path):
        hematology = HEMATOLOGY.open(path, listing)
        listing.raise_if_any()
        return _of_hematology(hematology, ours)
    table = OTHER_COUNTS.open(path, listing)
    found: dict[Key, Measured] = {}
    lines: dict[Key, int] = {}
    for line, row in table.rows:
        key = _key(table, line, row, ours)
        if key is None:
            continue
        if key in lines:
            what = f"a second value of {key.population} in {key.name}, which line {lines[key]} has too"
            table.problems.add(line, "population", what, expected="one value", do="give the mean, or the better one")
        lines.setdefault(key, line)
        found[key] = Measured(row.value)
    listing.raise_if_any()
    listing.log_remarks()
    return found


def _key(table: Table[OtherCount], line: int, row: OtherCount, ours: RunCounts) -> Key | None:
    """Name what a row is about as the run does; what the run does not know keeps its name and finds no partner."""
    population = ours.population(row.population)
    if population is None:
        do = f"correct it.{ours.hint(row.population)}"
        table.problems.add(line, "population", repr(row.population), expected="a population of the run", do=do)
        return None
    if row.quantity == "cells_per_ul":
        return Key(row.specimen or ours.specimens.get(row.sample, row.sample), population, row.quantity)
    if row.sample:
        return Key(row.sample, population, row.quantity)
    tubes = ours.samples_of(row.specimen, population)
    if len(tubes) > 1:
        what = f"{row.specimen!r}, of which {len(tubes)} tubes count {population}: {', '.join(tubes)}"
        do = "name the tube in the column 'sample'"
        table.problems.add(line, "specimen", what, expected="one tube", do=do)
        return None
    return Key(tubes[0] if tubes else row.specimen, population, row.quantity)


def _of_hematology(table: Table[Hematology], ours: RunCounts) -> dict[Key, Measured]:
    """Lymphocytes of each specimen by the haematology count (ALC) of the same draw."""
    rows = [row for _, row in table.rows if row.analyte == "ALC"]
    if not rows:
        raise ConfigError(f"{table.sheet.place.path}: holds no ALC, which lymphocytes are compared with.")
    ours.of("cells_per_ul")  # says so where there are none
    lymphocytes = [row for row in ours.concentrations if row["population"] == "lymphocytes" and row["collected_at"]]
    dependent = {row["specimen"] for row in lymphocytes if row["method"] == "dual_platform"}
    draws = defaultdict(list)
    for row in lymphocytes:
        draws[row["subject"]].append((row["specimen"], _moment(row["collected_at"])))
    found: dict[Key, Measured] = {}
    for alc in rows:
        near = sorted(_near(alc.collected_at, draws[alc.subject]))
        name = near[0][1] if near else f"{alc.subject} {alc.collected_at.isoformat()}"
        key = Key(name, "lymphocytes", "cells_per_ul")
        unfit = "the run counts against it" if name in dependent else ""
        if key in found or (len(near) > 1 and near[0][0] == near[1][0]):  # by a date alone: neither is taken
            unfit = "more than one draw that day"
        found[key] = Measured(alc.cells_per_ul, unfit=unfit)
    return found


def _near(moment: date | datetime, draws: Collection[tuple[str, date | datetime]]) -> Iterator[tuple[timedelta, str]]:
    """Specimens of the same draw and how far off they are; by the date where that is all there is."""
    for specimen, other in draws:
        if isinstance(moment, datetime) and isinstance(other, datetime):
            aware = moment.utcoffset() is not None and other.utcoffset() is not None
            one, two = (moment, other) if aware else (moment.replace(tzinfo=None), other.replace(tzinfo=None))
            apart = abs(one - two)
            if apart <= _SAME_DRAW:
                yield apart, specimen
        elif _day(moment) == _day(other):
            yield timedelta(), specimen


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _moment(text: str) -> date | datetime:
    return datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)

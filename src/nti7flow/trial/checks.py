"""What must hold between the sheets of a trial: each check names both rows that contradict each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from nti7flow.errors import did_you_mean
from nti7flow.events.markers import parse_marker, squeeze
from nti7flow.trial.bead_lots import check_bead_lots
from nti7flow.trial.clinical_events import ClinicalEvent
from nti7flow.trial.days import PRE_DOSE, local_date, timing
from nti7flow.trial.doses import Dose
from nti7flow.trial.form import Table
from nti7flow.trial.hematology import Hematology
from nti7flow.trial.reagents import Reagent
from nti7flow.trial.same_draw import check_same_draw
from nti7flow.trial.samples import SampleRow
from nti7flow.trial.specimens import check_specimens, check_times, order_in_time, surely_after
from nti7flow.trial.subjects import Subject


@dataclass(frozen=True)
class Tables:
    """The sheets of a trial as far as they could be read; None where there is none."""

    samples: Table[SampleRow] | None = None
    subjects: Table[Subject] | None = None
    doses: Table[Dose] | None = None
    hematology: Table[Hematology] | None = None
    events: Table[ClinicalEvent] | None = None
    reagents: Table[Reagent] | None = None


@dataclass(frozen=True)
class _Said:
    """Something that happened to a subject, and where it is written."""

    table: Table[SampleRow] | Table[Dose] | Table[Hematology] | Table[ClinicalEvent]
    line: int
    column: str
    subject: str
    moment: date | datetime | None
    timepoint: str | None = None

    def problem(self, column: str, found: str, *, expected: str, do: str) -> None:
        self.table.problems.add(self.line, column, found, expected=expected, do=do)

    def remark(self, text: str) -> None:
        self.table.problems.remark(self.line, self.column, text)


def check_trial(tables: Tables, zone: ZoneInfo | None, *, subjects_named: bool) -> None:
    """Note every contradiction in and between the sheets in their listing; without a time zone, those without times.

    ``subjects_named`` is whether there is a sheet of subjects, which may be one that could not be read.
    """
    said = [*_draws(tables), *_doses(tables), *_happened(tables)]
    if tables.subjects is not None:
        _check_subjects(tables.subjects, said)
    elif not subjects_named:
        _check_without_subjects(tables, said)
    if tables.samples is not None:
        check_bead_lots(tables.samples)
    if tables.samples is not None and tables.reagents is not None:
        _check_reagents(tables.samples, tables.reagents)
    if zone is None:
        return
    if tables.samples is not None:
        check_specimens(tables.samples, zone)
        check_same_draw(tables.samples, zone)
        check_times(tables.samples, zone)
    _check_ends(tables.events, said, zone)
    orderly = _check_dose_order(tables.doses, zone)
    _check_sides(tables.doses, _draws(tables), orderly, zone)
    if tables.hematology is not None:
        _check_counts(tables.hematology, zone)


def _draws(tables: Tables) -> Iterator[_Said]:
    """Blood that was drawn. Controls are left out: their donors are not subjects of the trial."""
    if (samples := tables.samples) is not None:
        for line, row in samples.rows:
            if row.role == "patient" and row.subject:
                yield _Said(samples, line, "collected_at", row.subject, row.collected_at, row.timepoint)
    if (table := tables.hematology) is not None:
        drawn = [_Said(table, n, "collected_at", c.subject, c.collected_at, c.timepoint) for n, c in table.rows]
        yield from _and_unread(drawn, table, "collected_at")


def _doses(tables: Tables) -> Iterator[_Said]:
    if (table := tables.doses) is not None:
        given = [_Said(table, line, "given_at", dose.subject, dose.given_at) for line, dose in table.rows]
        yield from _and_unread(given, table, "given_at")


def _happened(tables: Tables) -> Iterator[_Said]:
    if (table := tables.events) is not None:
        happened = [_Said(table, line, "date", event.subject, event.date) for line, event in table.rows]
        yield from _and_unread(happened, table, "date")


def _and_unread(
    said: Iterable[_Said], table: Table[Dose] | Table[Hematology] | Table[ClinicalEvent], column: str
) -> list[_Said]:
    """Add the rows that could not be read for another cell, in the order of lines: whom they are about is known."""
    unread = [
        _Said(table, row.line, column, subject, None) for row in table.unread if (subject := row.cells.get("subject"))
    ]
    return sorted([*said, *unread], key=lambda fact: fact.line)


def _check_subjects(subjects: Table[Subject], said: Iterable[_Said]) -> None:
    """See that everybody is in subjects.csv, and nothing happened before they were born; once for a sheet."""
    known = {row.subject: (line, row.birth_year) for line, row in subjects.rows}
    unread = {row.cells.get("subject", "") for row in subjects.unread}
    told: set[tuple[str, str]] = set()
    for fact in said:
        who = (fact.table.sheet.place.name, fact.subject)
        line, born = known.get(fact.subject, (0, None))
        if who in told or fact.subject in unread:
            continue
        if not line:
            told.add(who)
            found = f"{fact.subject!r}, who is not in {subjects.sheet.place.name}"
            do = f"correct it, or add the subject there.{_alike(fact.subject, known)}"
            fact.problem("subject", found, expected="a subject of the trial", do=do)
        elif born is not None and fact.moment is not None and fact.moment.year < born:
            told.add(who)
            found = f"{fact.moment.isoformat()}, while {subjects.at(line)} says {fact.subject!r} was born in {born}"
            fact.problem(fact.column, found, expected="a date in their life", do="correct one of them")


def _check_without_subjects(tables: Tables, said: Iterable[_Said]) -> None:
    """Where no sheet says who takes part, those do of whom there is a tube: see that no other sheet names another.

    Tubes of somebody who was never dosed may be of a screening, so that is only told.
    """
    samples = tables.samples
    if samples is None or not (known := _patients(samples)):
        return
    told: set[tuple[str, str]] = set()
    for fact in said:
        who = (fact.table.sheet.place.name, fact.subject)
        if fact.table is samples or fact.subject in known or who in told:
            continue
        told.add(who)
        found = f"{fact.subject!r}, of whom {samples.sheet.place.name} has no tube"
        do = f"correct it, or say in a sheet 'subjects' who takes part.{_alike(fact.subject, known)}"
        fact.problem("subject", found, expected="a subject of the trial", do=do)
    dosed = {dose.subject for dose in _doses(tables)}
    for subject, line in known.items() if dosed else ():
        if subject not in dosed:
            text = f"{subject!r} has no dose, and no sheet 'subjects' says who takes part"
            samples.problems.remark(line, "subject", text)


def _patients(samples: Table[SampleRow]) -> dict[str, int]:
    """Subjects of the patient tubes with their first line; notes those that are spelt in two ways."""
    lines: dict[str, int] = {}
    first: dict[str, tuple[int, str]] = {}
    for line, row in samples.rows:
        if row.role != "patient" or not row.subject or row.subject in lines:
            continue
        lines[row.subject] = line
        other, name = first.setdefault(row.subject.casefold(), (line, row.subject))
        if name != row.subject:
            found = f"{row.subject!r}, where line {other} has {name!r}"
            samples.problems.add(line, "subject", found, expected="one spelling of a subject", do="write it in one way")
    return lines


def _alike(subject: str, known: Iterable[str]) -> str:
    """Return the subject that may be meant; spreadsheets take the zeros off 001."""
    for other in known:
        if other.lstrip("0") == subject.lstrip("0"):
            return f" Did you mean '{other}'? A spreadsheet drops leading zeros: format the column as text."
    return did_you_mean(subject, known)


def _check_ends(events: Table[ClinicalEvent] | None, said: Iterable[_Said], zone: ZoneInfo) -> None:
    """See that nothing was drawn or given after a death, and say what was after a withdrawal."""
    if events is None:
        return
    ends = {(row.kind, row.subject): (line, row.date) for line, row in reversed(events.rows)}
    for fact in _once_a_moment(said):
        if fact.moment is None or fact.table is events:
            continue
        when = fact.moment.isoformat()
        death, withdrawal = ends.get(("death", fact.subject)), ends.get(("withdrawal", fact.subject))
        if death is not None and surely_after(fact.moment, death[1], zone):
            found = f"{when}, after the death of {fact.subject!r} on {death[1]} ({events.at(death[0])})"
            do = "correct one of the dates, or the subject"
            fact.problem(fact.column, found, expected="nothing after a death", do=do)
        elif withdrawal is not None and surely_after(fact.moment, withdrawal[1], zone):
            text = f"after the withdrawal of {fact.subject!r} on {withdrawal[1]} ({events.at(withdrawal[0])})"
            fact.remark(f"{when} is {text}")


def _once_a_moment(said: Iterable[_Said]) -> Iterator[_Said]:
    """Leave out what one sheet says of a subject and a moment again: the tubes of a draw, the analytes of one."""
    seen: set[tuple[str, str, object, str | None]] = set()
    for fact in said:
        key = (fact.table.sheet.place.name, fact.subject, fact.moment, fact.timepoint)
        if key not in seen:
            seen.add(key)
            yield fact


def _check_dose_order(doses: Table[Dose] | None, zone: ZoneInfo) -> dict[str, list[tuple[int, Dose]]]:
    """See that doses follow each other in time; returns those of subjects where all is in order, by subject."""
    if doses is None:
        return {}
    grouped: dict[str, list[tuple[int, Dose]]] = {}
    for line, row in doses.rows:
        grouped.setdefault(row.subject, []).append((line, row))
    orderly = {}
    for subject, given in grouped.items():
        given.sort(key=lambda item: item[1].dose)
        wrong = len({row.dose for _, row in given}) < len(given)
        for (line, before), (later_line, after) in itertools.combinations(given, 2):
            same = isinstance(before.given_at, datetime) and before.given_at == after.given_at
            if before.dose < after.dose and (same or surely_after(before.given_at, after.given_at, zone)):
                wrong = True
                found = (
                    f"dose {after.dose} of {subject!r} at {after.given_at.isoformat()}, {'as' if same else 'before'} "
                    f"dose {before.dose} in line {line} at {before.given_at.isoformat()}"
                )
                do = "number the doses in order of time, or correct a date"
                doses.problems.add(later_line, "given_at", found, expected="doses in order of time", do=do)
        if not wrong:
            orderly[subject] = given
    return orderly


def _check_sides(
    doses: Table[Dose] | None,
    draws: Iterable[_Said],
    orderly: Mapping[str, list[tuple[int, Dose]]],
    zone: ZoneInfo,
) -> None:
    """See that the declared side of a dose is that of the clock; say of which draws neither tells.

    The draw before the dose on its day is the baseline, the one after it never is.
    """
    for fact in _once_a_moment(draws):
        given = orderly.get(fact.subject, [])
        if doses is None or fact.moment is None:
            continue
        day = local_date(fact.moment, zone)
        today = [(line, row) for line, row in given if local_date(row.given_at, zone) == day]
        if not today:
            continue
        try:
            placed = timing(
                fact.moment, [(row.dose, row.given_at) for _, row in given], zone=zone, timepoint=fact.timepoint
            )
        except ValueError:  # the doses are in order, so it is the timepoint
            side, (line, row) = ("after", today[-1]) if fact.timepoint == PRE_DOSE else ("before", today[0])
            found = (
                f"{fact.timepoint!r}, while by the clock {fact.moment.isoformat()} is {side} dose {row.dose} at "
                f"{row.given_at.isoformat()} ({doses.at(line)})"
            )
            do = "correct the timepoint or a time"
            fact.problem("timepoint", found, expected="what the times say", do=do)
            continue
        if not placed.sure:
            where = ", ".join(doses.at(line) for line, _ in today)
            fact.remark(
                f"drawn on the day of a dose ({where}), and nothing tells on which side of it: it is taken as after, "
                "and never as baseline; give the times of both, or the timepoint"
            )


def _check_counts(hematology: Table[Hematology], zone: ZoneInfo) -> None:
    """See that a draw has one value of an analyte, and not more lymphocytes than white blood cells."""
    draws: dict[tuple[object, ...], dict[str, tuple[int, Hematology]]] = {}
    for line, row in hematology.rows:
        key = (
            row.subject,
            isinstance(row.collected_at, datetime),
            order_in_time(row.collected_at, zone),
            row.timepoint,
        )
        other_line, other = draws.setdefault(key, {}).setdefault(row.analyte, (line, row))
        if other is row:
            continue
        if _plain(row) == _plain(other):
            hematology.problems.remark(line, "value", f"the same {row.analyte} is in line {other_line} too")
        else:
            found = f"{row.analyte} {row.value:g} {row.unit}, where line {other_line} has {other.value:g} {other.unit}"
            do = "remove one, or give the times of both draws"
            hematology.problems.add(line, "value", found, expected="one value of an analyte for a draw", do=do)
    for draw in draws.values():
        _check_draw(hematology, draw)


def _plain(row: Hematology) -> float:
    """Value in cells/µL, or percent."""
    return row.value if row.cells_per_ul is None else row.cells_per_ul


def _check_draw(hematology: Table[Hematology], draw: Mapping[str, tuple[int, Hematology]]) -> None:
    """Compare what one draw says of lymphocytes: rounding explains a little, a wrong unit a thousandfold."""
    (line, alc), (other, wbc) = draw.get("ALC", (0, None)), draw.get("WBC", (0, None))
    if alc is None or wbc is None or alc.cells_per_ul is None or wbc.cells_per_ul is None:
        return
    told = f"ALC {alc.value:g} {alc.unit}"
    if alc.cells_per_ul > 1.5 * wbc.cells_per_ul + 100:
        found = f"{told}, more than WBC {wbc.value:g} {wbc.unit} in line {other}"
        do = "correct a value or its unit"
        hematology.problems.add(line, "value", found, expected="lymphocytes among white blood cells", do=do)
        return
    _, percent = draw.get("lymphocyte_percent", (0, None))
    if percent is None:
        return
    product = wbc.cells_per_ul * percent.value / 100
    if abs(alc.cells_per_ul - product) > 100 and not 0.5 <= alc.cells_per_ul / max(product, 1e-9) <= 2:
        text = f"{told}, while WBC times lymphocyte_percent is {product:.0f} cells/uL"
        hematology.problems.remark(line, "value", text)


def _check_reagents(samples: Table[SampleRow], reagents: Table[Reagent]) -> None:
    """See that an FMO leaves out a marker of its panel; say which panels have no reagents."""
    panels: dict[str, list[Reagent]] = {}
    for _, reagent in reagents.rows:
        panels.setdefault(reagent.panel, []).append(reagent)
    unread = {row.cells.get("panel", "") for row in reagents.unread}
    strange: set[str] = set()
    for line, row in samples.rows:
        panel = row.panel or (next(iter(panels)) if len(panels) == 1 else "")
        if not panel or panel in unread:
            continue
        if panel not in panels:
            if panel not in strange:
                strange.add(panel)
                text = f"panel {panel!r} has no reagents in {reagents.sheet.place.name}.{did_you_mean(panel, panels)}"
                samples.problems.remark(line, "panel", text)
        elif row.left_out and not _stains(panels[panel], row.left_out):
            dyes = {squeeze(r.fluorochrome): r.marker for r in panels[panel] if r.fluorochrome}
            marker = dyes.get(squeeze(row.left_out))
            markers = list(dict.fromkeys(r.marker for r in panels[panel]))
            do = f"name the marker, {marker}" if marker else f"correct it.{did_you_mean(row.left_out, markers)}"
            found = f"{row.left_out!r}, which is not among the markers of {panel!r} in {reagents.sheet.place.name}"
            samples.problems.add(line, "role", found, expected=f"one of {', '.join(markers)}", do=do)


def _stains(reagents: Iterable[Reagent], marker: str) -> bool:
    """Whether reagents stain a marker, however it is spelt."""
    targets: set[str] = set()
    for reagent in reagents:
        targets |= parse_marker(reagent.marker).targets | {squeeze(reagent.marker)}
    wanted = parse_marker(marker).targets
    return squeeze(marker) in targets or bool(wanted and wanted <= targets)

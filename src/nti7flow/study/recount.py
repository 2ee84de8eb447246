"""Concentrations of a run computed again from its stored counts and the sheets, and compared byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nti7flow.errors import ConfigError
from nti7flow.study.count import count
from nti7flow.study.store import Run
from nti7flow.study.study_file import OpenStudy, open_study
from nti7flow.study.tables import TABLES, Table, arrow_table, csv_text

#: Differences of one table that are listed; more say nothing more.
MOST_LISTED = 20


@dataclass(frozen=True)
class Recount:
    """What a recount found.

    Attributes
    ----------
    n_concentrations : int
        Concentrations that were computed again; of those without a number it is compared that they have none.
    differences : tuple of str
        What is not as it was stored.
    notes : tuple of str
        Why nothing was computed again, where something that the concentrations rest on has changed since: that is no
        difference, and ``nti7flow count`` makes a new step of it.
    """

    n_concentrations: int = 0
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def recount(run: Run, *, study: Path | None = None) -> Recount:
    """Compute the concentrations of the newest count step again.

    Parameters
    ----------
    run : Run
        The run; without a count step there is nothing to do.
    study : Path, optional
        Where its study.yaml is now, if it has moved.
    """
    if "count" not in run.kinds:
        return Recount()
    step = run.step_folder("count").name
    if not run.is_counted:
        made_of, newest = run.step("count")["gating"], run.step_folder().name
        return _not_done(run, f"{step} is made of {made_of}, and {newest} is newer")
    try:
        opened = _study_of(run, study)
        notes = tuple(_changes(run, opened))
        if notes:
            return _not_done(run, *notes)
        counted = count(run, opened)
    except ConfigError as error:
        return _not_done(run, str(error).rstrip("."))
    rows = counted.rows()
    differences = [line for name in rows for line in _compare(run, TABLES[name], rows[name])]
    n_known = sum(row["cells_per_ul"] is not None for row in rows["concentrations"])
    return Recount(n_known, tuple(differences))


def _not_done(run: Run, *reasons: str) -> Recount:
    return Recount(notes=tuple(f"{reason}: nti7flow count {run.path}" for reason in reasons))


def _study_of(run: Run, study: Path | None) -> OpenStudy | None:
    """Open the study that a count was made with."""
    recorded = run.step("count").get("study_file")
    if recorded is None:
        return None
    path = study or (run.path / str(recorded)).resolve()
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such study.yaml, and {run.step_folder('count').name} was counted with it; say where it is: "
            "--study FILE, or count with another"
        )
    return open_study(path, any_panel=True)


def _changes(run: Run, study: OpenStudy | None) -> Iterator[str]:
    """Say what the concentrations rest on and is no longer as it was."""
    step, recipe = run.step_folder("count").name, run.step("count")["recipe"]
    if study is None:
        return
    now = dict(study.sheets)
    for name in sorted(recipe["sheets"].keys() | now):
        if name not in now:
            yield f"study.yaml names no sheet {name} any more, as it did for step {step}"
        elif recipe["sheets"].get(name) != now[name]:
            yield f"{study.trial.places[name].path.name} changed since step {step}"
    for key, settings in (("counting", study.file.counting), ("acceptance", study.file.acceptance)):
        if settings.model_dump(mode="json") != recipe[key]:
            yield f"{study.path.name} says something else under {key}, or its defaults are others, than for step {step}"


def _compare(run: Run, table: Table, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Compare a table with the stored one: every value, and the text of its CSV."""
    stored = run.arrow(table.name)
    # Runs made before a column was there do not have it.
    names = [column.name for column in table.columns if column.name in stored.column_names]
    now = arrow_table(table, rows).select(names)
    if csv_text(now).encode() == run.file(f"{table.name}.csv", table.step).read_bytes() and now.equals(stored):
        return
    keys = [column.name for column in table.columns if column.key]
    before, after = (_by_key(t.to_pylist(), keys) for t in (stored, now))
    differing = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
    for key in differing[:MOST_LISTED]:
        yield f"{table.name}, {', '.join(filter(None, key))}: {_said(before.get(key), after.get(key))}"
    if len(differing) > MOST_LISTED:
        yield f"{table.name}: {len(differing) - MOST_LISTED} more rows differ"
    if not differing:
        yield f"{table.name}.csv: the text differs although every value agrees"


def _by_key(rows: list[dict[str, Any]], keys: list[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[key] for key in keys): row for row in rows}


def _said(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Say how two rows differ, by their first column that does."""
    if before is None or after is None:
        return "not stored, found now" if before is None else "stored, not found now"
    name = next(name for name in before if before[name] != after[name])
    return f"{name} {before[name]} stored, {after[name]} now"

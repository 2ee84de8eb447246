"""``nf.compare``: two runs, or a run and a table of other counts, population by population."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from nti7flow.counting.agreement import SCALES, Scale, bland_altman, has_ratio, passing_bablok
from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.study.compared import NO_RATIO, Agreement, Comparison, Pair
from nti7flow.study.measured import POPULATIONS, Key, Measured, RunCounts, read_table
from nti7flow.study.store import Run, open_run
from nti7flow.trial.other_counts import QUANTITIES, Quantity
from nti7flow.trial.sheet import sheet_path

#: Names that are quoted where none match.
_QUOTED = 3


def compare(
    a: Run | str | Path,
    b: Run | str | Path,
    *,
    quantity: Quantity | None = None,
    populations: Collection[str] = (),
    scale: Scale = "log",
    level: float = 0.95,
) -> Comparison:
    """Compare the counts of a run with those of another run, or with a table of counts made otherwise.

    Parameters
    ----------
    a : Run or path
        Run folder: the method that is judged.
    b : Run or path
        What it is compared with: a run folder; a table (CSV or Excel) with the columns ``specimen`` or ``sample``,
        ``population``, ``value`` and ``unit``; or a sheet of haematology counts, whose ALC is held against the
        lymphocytes of the same draw.
    quantity : {"cells_per_ul", "n_events", "percent_parent", "percent_lymphocytes"}, optional
        What is compared. By default, of two runs concentrations by specimen where both have them, else events and
        percent of lymphocytes by tube (parents differ between templates); of a table all that it holds.
    populations : collection of str, optional
        Ids, labels or usual names (CD3, CD4, CD8, CD19, NK). By default those of the table, all concentrations, or
        of counts the usual populations where there are any.
    scale : {"log", "percent", "absolute"}
        Of the differences: as ratio, in percent of the average of both, or as they are.
    level : float
        Of the intervals.

    Returns
    -------
    Comparison
        Counts that are ``invalid`` or have no partner are in it, left out, with the reason.

    Raises
    ------
    ConfigError
        There is nothing to compare, or the table is wrong: all its problems are in one listing.
    StoreError
        A run folder cannot be read.
    """
    _check(quantity, scale, level)
    ours = _run(a)
    table = None if isinstance(b, Run) or not sheet_path(b)[0].is_file() else Path(b)
    theirs, usual = _of_run(_run(b), ours, quantity) if table is None else (_of_table(table, ours, quantity), set())
    mine = {key: value for q in {key.quantity for key in theirs} for key, value in ours.of(q).items()}
    chosen = {_known(name, ours) for name in populations} or usual
    # A table says by its rows what is of interest; of two runs all is.
    asked = {(key.quantity, key.population) for key in (theirs if table is not None else theirs.keys() | mine.keys())}
    keys = [
        key
        for key in mine.keys() | theirs.keys()
        if (key.quantity, key.population) in asked and (not chosen or key.population in chosen)
    ]
    names = _names(a, b)
    if not any(key in mine and key in theirs for key in keys):
        raise ConfigError(_nothing(names, mine, theirs))
    found: dict[tuple[Quantity, str], list[Pair]] = {}
    for key in sorted(keys, key=ours.place):
        pair = _pair(key, mine.get(key), theirs.get(key), scale)
        found.setdefault((key.quantity, key.population), []).append(pair)
    agreements = [_agree(ours.labels.get(p, p), pairs, scale, level) for (_, p), pairs in found.items()]
    return Comparison(*names, tuple(agreements))


def _check(quantity: str | None, scale: str, level: float) -> None:
    """Refuse what the command line cannot ask for."""
    for name, value, known in (("quantity", quantity or "n_events", QUANTITIES), ("scale", scale, SCALES)):
        if value not in known:
            raise ConfigError(f"{name}: found '{value}'; expected {', '.join(known)}.{did_you_mean(value, known)}")
    if not 0 < level < 1:
        raise ConfigError(f"level: found {level!r}; expected a number between 0 and 1, like 0.95.")


def _run(place: Run | str | Path) -> RunCounts:
    if not isinstance(place, Run) and not Path(place).exists():
        raise ConfigError(f"{place}: no such run folder or table; correct the path.")
    return RunCounts(place if isinstance(place, Run) else open_run(place))


def _of_table(path: Path, ours: RunCounts, quantity: Quantity | None) -> dict[Key, Measured]:
    table = read_table(path, ours)
    held = {key.quantity for key in table}
    if quantity is not None and quantity not in held:
        listed = ", ".join(unit for q, unit in QUANTITIES.items() if q in held) or "nothing"
        raise ConfigError(f"{path}: holds nothing in {QUANTITIES[quantity]}; it holds {listed}.")
    return {key: value for key, value in table.items() if quantity in (None, key.quantity)}


def _of_run(theirs: RunCounts, ours: RunCounts, quantity: Quantity | None) -> tuple[dict[Key, Measured], set[str]]:
    """Return what is compared with, and the populations to show where nobody names any; none: all."""
    if quantity is None and ours.concentrations and theirs.concentrations:
        quantity = "cells_per_ul"
    quantities: Sequence[Quantity] = ("n_events", "percent_lymphocytes") if quantity is None else (quantity,)
    found = {key: value for q in quantities for key, value in theirs.of(q).items()}
    # Templates count many steps on the way; concentrations are of what is reported.
    return found, set() if quantity == "cells_per_ul" else set(POPULATIONS.values()) & set(ours.labels)


def _known(name: str, ours: RunCounts) -> str:
    population = ours.population(name)
    if population is None:
        raise ConfigError(f"{ours.run.path}: no population '{name}'.{ours.hint(name)}")
    return population


def _pair(key: Key, a: Measured | None, b: Measured | None, scale: Scale) -> Pair:
    """Both values of a specimen or tube, and why they are not used where they are not."""
    if a is None or b is None:
        left_out = "only in A" if b is None else "only in B"
    else:
        left_out = "; ".join(f"{one.unfit} in {name}" for one, name in ((a, "A"), (b, "B")) if one.unfit)
        if not left_out and a.of and b.of and a.of != b.of:
            left_out = (
                "another tube of that name" if key.quantity == "n_events" else f"% of {a.of} in A, of {b.of} in B"
            )
    y, x = (None if one is None else one.value for one in (a, b))
    if not left_out and x is not None and y is not None and not has_ratio(np.array([x]), np.array([y]), scale=scale):
        left_out = NO_RATIO
    severity_a, severity_b = ("" if one is None else one.severity for one in (a, b))
    return Pair(key, y, x, severity_a, severity_b, left_out)


def _agree(label: str, pairs: Sequence[Pair], scale: Scale, level: float) -> Agreement:
    """Compare one population; what cannot be computed is said and leaves the rest as it is."""
    x, y = np.array([(pair.b, pair.a) for pair in pairs if pair.is_used], np.float64).reshape(-1, 2).T
    ratio = has_ratio(x, y, scale=scale)
    notes = []
    differences = line = None
    try:
        differences = bland_altman(x[ratio], y[ratio], level=level, scale=scale)
    except ConfigError as error:
        notes.append(f"No limits of agreement: {error}")
    try:
        line = passing_bablok(x, y, level=level)
    except ConfigError as error:
        notes.append(f"No line: {error}")
    notes = notes if len(x) else ["No pair can be used."]
    key = pairs[0].key
    return Agreement(key.population, label, key.quantity, tuple(pairs), level, differences, line, tuple(notes))


def _names(*places: Run | str | Path) -> tuple[str, str]:
    """Names of both for people: their last part, or all of it where that is the same."""
    a, b = (place.path if isinstance(place, Run) else Path(place) for place in places)
    return (a.name, b.name) if a.name != b.name and a.name and b.name else (str(a), str(b))


def _nothing(names: tuple[str, str], mine: Collection[Key], theirs: Collection[Key]) -> str:
    """Say what names both use, where no name is in both."""
    told = []
    for name, keys in zip(names, (mine, theirs), strict=True):
        called = sorted({key.name for key in keys})
        more = f" and {len(called) - _QUOTED:,} more" if len(called) > _QUOTED else ""
        told.append(f"{name} has {', '.join(called[:_QUOTED]) or 'none'}{more}")
    return (
        f"nothing to compare: no specimen or tube is in both under one name and with one population; {'; '.join(told)}."
    )

"""Counts that another program stored with its gates, compared with ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import ROOT, Count, add_notes
from nti7flow.gating.strategy import Severity

#: How far a count may be from a stored one: some events, or a share of the stored count, whichever is more. Programs
#: gate on a raster, so that events beside an edge may fall on its other side.
LEAST_EVENTS, SHARE = 5.0, 0.002
#: Flag of a count that is further away, and of all counts of a tube that has not the events that were counted.
DIFFERS, OTHER_TOTAL = "stored_count_differs", "stored_total_differs"
#: Id under which the count of all events is stored.
ALL_EVENTS = ""


@dataclass(frozen=True, slots=True)
class StoredCount:
    """A stored count beside ours.

    Attributes
    ----------
    population, label, path : str
        As in the table of counts; ``root`` for all events of the tube.
    n_events, stored_events, difference : int or None
        Ours, the stored one, and ours less the stored one; None where we have no count.
    limit : float
        Largest difference, events, that needs no explanation.
    severity : str
        ``review`` beyond the limit.
    """

    population: str
    label: str
    path: str
    n_events: int | None
    stored_events: int
    difference: int | None
    limit: float
    severity: Severity


def compare_counts(counts: Sequence[Count], n_total: int, stored: Mapping[str, int]) -> tuple[StoredCount, ...]:
    """Compare the counts of a tube with stored ones; a population without a stored count is not compared.

    Parameters
    ----------
    counts : sequence of Count
        Ours.
    n_total : int
        Events in the tube. If it is not the stored one, other events were counted.
    stored : mapping of str to int
        Stored counts by population, and of all events under ``""``.
    """
    compared = []
    if ALL_EVENTS in stored:
        compared.append(_compare(ROOT, "All events", "/", n_total, stored[ALL_EVENTS], 0.0))
    for count in counts:
        if count.population in stored:
            theirs = stored[count.population]
            limit = max(LEAST_EVENTS, SHARE * theirs)
            compared.append(_compare(count.population, count.label, count.path, count.n_events, theirs, limit))
    return tuple(compared)


def _compare(population: str, label: str, path: str, ours: int | None, theirs: int, limit: float) -> StoredCount:
    difference = None if ours is None else ours - theirs
    beyond = difference is not None and abs(difference) > limit
    return StoredCount(population, label, path, ours, theirs, difference, limit, "review" if beyond else "")


def total_flags(compared: Sequence[StoredCount]) -> dict[str, Severity]:
    """Return the flag of a tube that has not the events that were counted, or nothing."""
    return {OTHER_TOTAL: "review"} if any(row.population == ROOT and row.severity for row in compared) else {}


def flag_counts(
    counts: Sequence[Count], compared: Sequence[StoredCount], notes: Mapping[str, Severity]
) -> tuple[Count, ...]:
    """Give each count the flag of its own comparison, and then those of the sample."""
    own: dict[str, dict[str, Severity]] = {row.population: {DIFFERS: row.severity} for row in compared if row.severity}
    return tuple(add_notes(count, {**own.get(count.population, {}), **notes}) for count in counts)


def check_stored(compared: Sequence[StoredCount]) -> Iterator[Check]:
    """Check that the tube is the one that was counted, and how many of its counts are too far from the stored ones."""
    populations = [row for row in compared if row.population != ROOT]
    for row in compared:
        if row.population == ROOT:
            yield Check(OTHER_TOTAL, row.difference, row.limit, row.severity)
    if populations:
        n_beyond = sum(row.severity != "" for row in populations)
        yield Check(DIFFERS, n_beyond, 0, "review" if n_beyond else "")

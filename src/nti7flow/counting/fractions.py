"""Counts of a gated sample as events, fractions and severities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nti7flow.gating.strategy import (
    NOT_AN_ELLIPSOID,
    NOT_COMPENSATED,
    SEVERITY,
    GatingStrategy,
    Members,
    Population,
    Severity,
    Status,
    worst,
)

#: Population that percent_lymphocytes refers to.
LYMPHOCYTES = "lymphocytes"
#: Flags of a gate that make its count, and every count that rests on it, one for review.
UNCERTAIN = frozenset({"unstable_gate", "outlying_gate", "not_bridged", NOT_COMPENSATED, NOT_AN_ELLIPSOID})
#: Flag of a count that would differ by much if gates lay where their spreads say they might.
GATING_UNCERTAIN = "gating_uncertain"
#: Parent, in the tables, of what is gated from all events.
ROOT = "root"
#: The lymphocyte count of haematology, beside the populations that are gated.
ALC = "alc"
#: Populations of a TBNK tube within the lymphocytes, in the order in which they are told, by what they usually go by.
USUAL_NAMES: Mapping[str, str] = {
    "t_cells": "CD3",
    "cd4_t": "CD4",
    "cd8_t": "CD8",
    "b_cells": "CD19",
    "nk_cells": "NK",
}


@dataclass(frozen=True, slots=True)
class Count:
    """Events of one population in one sample. What is not known is None, never 0.

    Attributes
    ----------
    n_events, n_parent, n_total : int or None
        Events in the population, in its parent, and in the tube.
    percent_parent, percent_lymphocytes : float or None
        100 x n_events over the parent's, or the lymphocytes', events; None where those are none or unknown, and where
        the population is not one of lymphocytes.
    status : str
        That of its own gate.
    flags : tuple of str
        What is to be known about the count, its own and what it inherits.
    severity : str
        The worst of its own gate, of all gates it rests on and of the sample: empty, info, review or invalid.
    upper_limit : float or None
        Of a population that is absent, how many events it may still have: what is found is background at most.
    """

    population: str
    label: str
    path: str
    parent: str
    n_events: int | None
    n_parent: int | None
    n_total: int
    percent_parent: float | None
    percent_lymphocytes: float | None
    status: Status
    flags: tuple[str, ...]
    severity: Severity
    upper_limit: float | None = None


def count_populations(
    strategy: GatingStrategy, members: Members, *, notes: Mapping[str, Severity] | None = None
) -> list[Count]:
    """Count every population of a strategy.

    Parameters
    ----------
    strategy : GatingStrategy
        The gates.
    members : Members
        Their memberships, from ``strategy.apply``.
    notes : mapping of str to str, optional
        Flags of the sample itself with their severities, such as ``{"file_FCS049": "review"}``; they go to every count.
    """
    by_id = {population.id: population for population in strategy.populations}
    # Asked once: in a chain of thousands of gates without a flag, each would ask all those above it.
    quiet = all(p.status == "ok" and not p.flags for p in strategy.populations)
    counts = (_count(population, by_id, members, inherits=not quiet) for population in strategy.populations)
    return [add_notes(count, notes or {}) for count in counts]


def add_notes(count: Count, notes: Mapping[str, Severity]) -> Count:
    """Add flags of the sample to a count, which is at least as severe as the worst of them."""
    return replace(
        count,
        flags=tuple(dict.fromkeys((*count.flags, *notes))),
        severity=worst(count.severity, *notes.values()),
    )


def _count(population: Population, by_id: dict[str, Population], members: Members, *, inherits: bool) -> Count:
    ancestors = list(_ancestors(population, by_id))
    n_events = _size(members, population.id)
    n_parent = _size(members, population.parent)
    within = any(p.id == LYMPHOCYTES for p in (population, *ancestors))
    n_lymphocytes = _size(members, LYMPHOCYTES) if within and LYMPHOCYTES in by_id else None
    rests_on = list(_rests_on(population, by_id)) if inherits else [population]
    inherited = [f"{p.id}:{flag}" for p in rests_on if p is not population for flag in p.flags if _is_passed_on(flag)]
    path = "/".join(["", *(_step(p) for p in reversed(ancestors)), _step(population)])
    return Count(
        population=population.id,
        label=population.label,
        path=path,
        parent=population.parent or ROOT,
        n_events=n_events,
        n_parent=n_parent,
        n_total=members.n_events,
        percent_parent=_percent(n_events, n_parent),
        percent_lymphocytes=_percent(n_events, n_lymphocytes),
        upper_limit=None if n_events is None or population.status != "absent" else upper_limit(n_events),
        status=population.status,
        flags=tuple(dict.fromkeys((*population.flags, *inherited))),
        severity=_severity(population, rests_on),
    )


def gate_severities(strategy: GatingStrategy) -> dict[str, Severity]:
    """Return the severity that gates give to the count of each population, without what is of the whole sample."""
    by_id = {population.id: population for population in strategy.populations}
    return {each.id: _severity(each, list(_rests_on(each, by_id))) for each in strategy.populations}


def _severity(population: Population, rests_on: Sequence[Population]) -> Severity:
    return worst(*(SEVERITY[p.status] for p in rests_on), *(_of_flags(p, population) for p in rests_on))


def _is_passed_on(flag: str) -> bool:
    """Whether a flag says anything of what rests on the population that has it."""
    return flag != GATING_UNCERTAIN and not flag.startswith("parent_")


def _step(population: Population) -> str:
    """Name of a population within a path: its id, of which only the end where the id is a path itself."""
    return population.label if population.id.endswith(f"/{population.label}") else population.id


def _of_flags(flagged: Population, counted: Population) -> Severity:
    """Severity that a flag of one population gives to the count of another that rests on it.

    An unstable gate makes everything below it uncertain, as does one that was to be compensated and could not be. An
    impure one is wrong itself; what is below is sorted out by its own marker, and only told.
    """
    if UNCERTAIN.intersection(flagged.flags):
        return "review"
    if GATING_UNCERTAIN in flagged.flags and flagged is counted:
        return "review"  # worked out for each count by itself
    if "impure_gate" in flagged.flags:
        return "review" if flagged is counted else "info"
    return ""


def _ancestors(population: Population, by_id: dict[str, Population]) -> Iterator[Population]:
    """Parent, grandparent and so on."""
    while population.parent is not None:
        population = by_id[population.parent]
        yield population


def _rests_on(population: Population, by_id: dict[str, Population]) -> Iterator[Population]:
    """Yield the population itself and every population its count depends on, each once."""
    waiting, seen = [population], set[str]()
    while waiting:
        current = waiting.pop(0)
        if current.id in seen:
            continue
        seen.add(current.id)
        yield current
        waiting.extend(by_id[name] for name in current.needs)


def upper_limit(n_events: int) -> float:
    """Upper end of the exact 95 % interval of a Poisson count (Garwood, Biometrika 1936): 3.69 for 0, 5.57 for 1."""
    from scipy.special import gammaincinv

    return float(gammaincinv(n_events + 1, 0.975))


def _size(members: Members, population: str | None) -> int | None:
    rows = members.rows(population)
    return None if rows is None else len(rows)


def _percent(part: int | None, whole: int | None) -> float | None:
    if part is None or not whole:
        return None
    return 100.0 * part / whole

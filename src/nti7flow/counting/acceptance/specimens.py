"""Acceptance checks of one blood draw: its age, its haematology, its tubes against each other, and how firm it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from nti7flow.counting.acceptance.findings import NO_CHANCE_SD, Finding, advised, at_most, said
from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.acceptance.longer import longer_acquisition
from nti7flow.counting.concentration import HETEROGENEITY, Concentration
from nti7flow.counting.fractions import ALC, LYMPHOCYTES, USUAL_NAMES
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.specimens import SpecimenResult
from nti7flow.gating.strategy import Severity
from nti7flow.trial.days import instants, local_date

#: Populations that a trial reports.
MAIN = (LYMPHOCYTES, *USUAL_NAMES)
#: Two lymphocyte counts of one draw, further apart than so many standard deviations of both, are of different blood,
#: or one is wrong; by less than this fold nobody would act on it.
BEYOND_SD, LEAST_FOLD = 3.5, 1.15
#: Standard deviations that a fold beyond its outer limit must have, so that it comes by chance in 1 of 100 draws even
#: where haematology is so uncertain that all may be beyond it.
FOLD_SD = 2.58


def check_specimen(
    result: SpecimenResult, limits: AcceptanceLimits, *, sex: str | None, zone: ZoneInfo
) -> Iterator[Finding]:
    """Yield the checks of one specimen.

    Parameters
    ----------
    result : SpecimenResult
        Its concentrations.
    limits : AcceptanceLimits
        What is acceptable.
    sex : str or None
        ``female`` or ``male``, for the reference ranges.
    zone : ZoneInfo
        Time zone of the study.
    """
    yield from _age(result, limits, zone)
    yield from _hematology(result, limits)
    yield from _between_tubes(result, limits)
    yield from _replicates(result)
    for name in MAIN:
        if (found := result.concentrations.get(name)) is not None and found.cells_per_ul is not None:
            yield _assay_cv(found, limits, result.labels.get(name, name))
    for name, least in limits.minimum_events.items():
        if least and (found := result.concentrations.get(name)) is not None and found.n_events is not None:
            yield _minimum_events(result, found, least, limits)
    yield from _reference_ranges(result, limits, sex)


def _age(result: SpecimenResult, limits: AcceptanceLimits, zone: ZoneInfo) -> Iterator[Finding]:
    """Yield how old the blood of each tube was when it was stained, or else acquired."""
    for tube in result.tubes:
        row = tube.row
        if row is None or result.collected_at is None:
            continue
        end, what = (row.stained_at, "stained") if row.stained_at is not None else (row.acquired_at, "acquired")
        if end is None:
            continue
        hours, unsure = _hours(result.collected_at, end, zone)
        # A date alone may be any time of its day; what is surely too old is judged.
        severity, limit = at_most(max(hours - unsure, 0), limits.specimen_age_hours)
        given = f"; only dates are known, give or take {said(unsure)} h" if unsure else ""
        text = advised(
            f"{what} {said(hours)} h after the draw{given}",
            severity,
            "in old blood cells die and granulocytes lose side scatter; see the share of dead cells and the gates",
        )
        if hours + unsure < 0:
            severity = "review"
            text = f"{what} {said(-hours)} h before the draw: one of the two times in the sheet is wrong"
        yield Finding("specimen_age", hours, limit, severity, text, sample=tube.sample, marks=None)


def _hours(start: date | datetime, end: date | datetime, zone: ZoneInfo) -> tuple[float, float]:
    """Hours between two moments, and by how many they may be off where one has no time."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        return (min(instants(end, zone)) - min(instants(start, zone))) / timedelta(hours=1), 0.0
    return 24.0 * (local_date(end, zone) - local_date(start, zone)).days, 24.0


def _hematology(result: SpecimenResult, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield flow lymphocytes against the lymphocyte count of haematology, where they are counted apart."""
    flow, alc = result.concentrations.get("lymphocytes"), result.alc
    if flow is None or alc is None or alc.cells_per_ul <= 0 or flow.method not in ("beads", "volumetric"):
        return
    assert flow.cells_per_ul is not None and flow.upper is not None
    sd = math.hypot(flow.log_sd, alc.cv)
    ratio = flow.cells_per_ul / alc.cells_per_ul
    # Without a single cell the nearest ratio that may be so.
    fold = math.exp(abs(math.log(ratio))) if ratio > 0 else max(alc.cells_per_ul / max(flow.upper, 1e-9), 1.0)
    severity, limit = judge_fold(fold, sd, limits.hematology_ratio)
    side = "less" if ratio < 1 else "more"
    text = advised(
        f"flow cytometry counts {said(flow.cells_per_ul)} lymphocytes per µL, haematology {said(alc.cells_per_ul)}: "
        f"{said(100 * abs(ratio - 1))} % {side}, {said(math.log(fold) / sd)} standard deviations of both",
        severity,
        "see whether the tube is of this draw, whether the blood had clotted, whether bead lot and volume in the sheet "
        "are right, and where the gate of lymphocytes lies",
    )
    yield Finding("hematology_ratio", fold, limit, severity, text, population="lymphocytes", marks=None)


def judge_fold(fold: float, sd: float, limits: tuple[float, float]) -> tuple[Severity, float]:
    """Judge how far two counts of the same are apart, by the limits and by their errors.

    For review is what is beyond the outer limit and no chance, and what is so many standard deviations apart that it
    is none even within the limits.
    """
    beyond = max(math.exp(BEYOND_SD * sd), LEAST_FOLD)
    if fold > min(beyond, limits[1]) and (fold > beyond or math.log(fold) > FOLD_SD * sd):
        return "review", min(beyond, limits[1])
    return ("info" if fold > limits[0] else ""), limits[0]


def _between_tubes(result: SpecimenResult, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield how far the tubes of a specimen are apart: in CD3 of their lymphocytes, and in CD4 of their T cells.

    A tube that is anchored to another one lends no share of lymphocytes to any concentration, so that CD3 is told of it
    and flags none: without CD45 its lymphocytes may hold anything. CD4 of T cells hangs on no lymphocyte gate; where
    that differs, the tube is of other blood, or its T cells are not the same.
    """
    limit = limits.cd3_between_tubes_points
    anchored = frozenset(name for name, found in result.concentrations.items() if found.method == "anchored")
    only_anchored = {sample for name in anchored for sample in result.concentrations[name].samples}
    counted = [tube for tube in result.tubes if tube.sample not in only_anchored]
    advice = "tubes of one draw hold the same blood; see whether they are, and the gates of {} in both"
    if (apart := _apart(result.tubes, "t_cells", "lymphocytes", limit)) is not None:
        own = _apart(counted, "t_cells", "lymphocytes", limit)
        marks = None if own is not None and own.severity == "review" else frozenset[str]()
        text = advised(f"T cells are {apart.told}", apart.severity, advice.format("lymphocytes and CD3"))
        yield Finding("cd3_between_tubes", apart.points, limit, apart.severity, text, population="t_cells", marks=marks)
    if anchored and (apart := _apart(result.tubes, "cd4_t", "t_cells", limit)) is not None:
        text = advised(f"CD4 T cells are {apart.told}", apart.severity, advice.format("CD3, CD4 and CD8"))
        yield Finding(
            "cd4_between_tubes", apart.points, limit, apart.severity, text, population="cd4_t", marks=anchored
        )


@dataclass(frozen=True, slots=True)
class _Apart:
    """Distance of a share between tubes, percentage points, and what it deserves."""

    points: float
    severity: Severity
    told: str


def _apart(tubes: Sequence[GatedSample], population: str, whole: str, limit: float) -> _Apart | None:
    """Compare the tube with the largest share and that with the least; None where not two have one."""
    counts = [(tube.n_events(population), tube.n_events(whole), tube.sample) for tube in tubes]
    shares = sorted((100 * n / of, of, sample) for n, of, sample in counts if n is not None and of)
    if len(shares) < 2:
        return None
    (low, n_low, first), (high, n_high, last) = shares[0], shares[-1]
    points = high - low
    sd = math.sqrt(low * (100 - low) / n_low + high * (100 - high) / n_high)
    severity: Severity = ""
    if points > limit:
        severity = "review" if points > NO_CHANCE_SD * sd else "info"
    name = {"lymphocytes": "lymphocytes", "t_cells": "T cells"}[whole]
    return _Apart(points, severity, f"{said(low)} % of the {name} of {first} and {said(high)} % of {last}")


def _replicates(result: SpecimenResult) -> Iterator[Finding]:
    """Yield whether tubes that are pooled agree; where they do not, the concentration has the flag."""
    for name, found in result.concentrations.items():
        if found.heterogeneity is None:
            continue
        severity: Severity = "review" if found.heterogeneity < HETEROGENEITY else ""
        apart = []
        for tube in result.tubes:
            n_events, reference = tube.n_events(name), result.references.get(tube.sample)
            if tube.sample in found.samples and n_events is not None and reference is not None:
                apart.append(f"{said(n_events * reference.cells_per_ul_of_one)} ({tube.sample})")
        text = advised(
            f"{result.labels.get(name, name)} per µL by tube: {', '.join(apart)}; by their errors tubes differ as much "
            f"{said(100 * found.heterogeneity)} times in 100",
            severity,
            "see beads, volumes and gates of the tube that is off, and leave it out if there is a reason",
        )
        yield Finding("replicates", found.heterogeneity, HETEROGENEITY, severity, text, population=name)


def _assay_cv(found: Concentration, limits: AcceptanceLimits, label: str) -> Finding:
    cv = found.cv_percent or 0.0
    severity, limit = at_most(cv, limits.assay_cv_percent)
    if found.below_lloq and severity:
        severity = "info"  # stands as less than its limit of quantification, and claims no more
    largest = max(found.parts, key=lambda part: part.share_percent, default=None)
    why = f", {said(largest.share_percent)} % of its variance of {largest.component}" if largest else ""
    text = advised(
        f"{label}: CV {said(cv)} %{why}",
        severity,
        "below the limit of quantification, reported as such"
        if found.below_lloq
        else "the budget says what to improve",
    )
    marks = frozenset({found.population})
    return Finding("assay_cv", cv, limit, severity, text, population=found.population, marks=marks)


def _minimum_events(result: SpecimenResult, found: Concentration, least: int, limits: AcceptanceLimits) -> Finding:
    n_events = found.n_events or 0
    few = n_events < least
    label = result.labels.get(found.population, found.population)
    text = f"{label}: {said(n_events)} event{'' if n_events == 1 else 's'}"
    if few:
        text = f"{text}, fewer than {said(least)}; {longer_acquisition(found, cv_percent=limits.assay_cv_percent[0])}"
    return Finding("minimum_events", n_events, least, "info" if few else "", text, population=found.population)


def _reference_ranges(result: SpecimenResult, limits: AcceptanceLimits, sex: str | None) -> Iterator[Finding]:
    ranges = limits.reference_ranges.of(sex)
    if ranges is None:
        return
    for name in type(ranges).model_fields:
        found = result.concentrations.get(name)
        if found is None or found.cells_per_ul is None:
            continue
        low, high = getattr(ranges, name)
        value = found.cells_per_ul
        side = "below" if value < low else "above" if value > high else "within"
        limit = low if value < low else high if value > high else None
        label = result.labels.get(name, "ALC (haematology)" if name == ALC else name)
        text = f"{label}: {said(value)} per µL, {side} {said(low)} to {said(high)} of healthy adults ({sex})"
        severity: Severity = "" if limit is None else "info"
        yield replace(
            Finding("reference_range", value, limit, severity, text, population=name), marks=frozenset({name})
        )

"""Acceptance checks of one tube: its gates against each other, its beads, and what was lost of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nti7flow.counting.acceptance_limits import AcceptanceLimits
from nti7flow.counting.doublets import DOUBLETS
from nti7flow.counting.findings import Finding, advised, at_most, exceeds, said, share_at_most
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.lineages import OVERLAP_B, OVERLAP_NK, RECOVERY
from nti7flow.counting.specimens import LEAST_BEADS
from nti7flow.gating.strategy import SEVERITY, SEVERITY_ORDER, Severity

#: Lineages of lymphocytes; with disjoint gates what is in none of them is unassigned.
LINEAGES = ("t_cells", "b_cells", "nk_cells")
#: Standard deviation of the bead events that the place of their gate leaves open, %: beyond the first worth knowing,
#: beyond the second for review. Beads of one lot are told to 2 %, and this is no part of the interval.
BEAD_GATE_PERCENT = (2.0, 5.0)


def check_tube(tube: GatedSample, limits: AcceptanceLimits, *, counted_by_beads: bool) -> Iterator[Finding]:
    """Yield the checks of one tube; what its panel cannot show is not checked.

    Parameters
    ----------
    tube : GatedSample
        A fully stained tube.
    limits : AcceptanceLimits
        What is acceptable.
    counted_by_beads : bool
        Whether its concentrations rest on beads, or would if there were any.
    """
    found = (
        *_lineages(tube, limits),
        *_overlaps(tube, limits),
        *_subsets(tube, limits),
        *_recovery(tube, limits),
        *(_beads(tube, limits) if counted_by_beads else ()),
        *_doublets(tube),
        *_saturation(tube),
        *_losses(tube, limits),
    )
    yield from (replace(each, sample=tube.sample) for each in found)


def _lineages(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield lymphocytes of no lineage, and the purity of their gate."""
    n_lymphocytes, n_unassigned = (tube.n_events(name) for name in ("lymphocytes", "unassigned"))
    if not n_lymphocytes:
        return
    if n_unassigned is not None:
        severity, limit = share_at_most(n_unassigned, n_lymphocytes, limits.unassigned_percent)
        text = advised(
            f"{said(n_unassigned)} of {said(n_lymphocytes)} lymphocytes are neither T, B nor NK cells",
            severity,
            "see on CD45 and side scatter whether monocytes or debris reach into the gate, and whether CD3, CD19 and "
            "CD16/56 are all stained",
        )
        value = 100 * n_unassigned / n_lymphocytes
        yield Finding("unassigned", value, limit, severity, text, population="lymphocytes", marks=None)
    n_known = lineage_events(tube)
    if n_known is not None:
        impure = n_lymphocytes - n_known
        optimal, least = limits.purity_percent
        severity, limit = share_at_most(impure, n_lymphocytes, (100 - optimal, 100 - least))
        text = advised(
            f"{said(n_known)} of {said(n_lymphocytes)} events in the gate of lymphocytes are T, B or NK cells",
            severity,
            "use percentages corrected for purity, and concentrations of T, B and NK cells rather than of lymphocytes",
        )
        value, mark = 100 * n_known / n_lymphocytes, frozenset({"lymphocytes"})
        yield Finding("purity", value, 100 - limit, severity, text, population="lymphocytes", marks=mark)


def lineage_events(tube: GatedSample) -> int | None:
    """Return the T, B and NK cells of a tube; None where one of them has no count."""
    found = [tube.n_events(name) for name in LINEAGES]
    return None if any(n is None for n in found) else sum(n for n in found if n is not None)


def _overlaps(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield cells of two lineages at once; each flag goes to what would be counted wrongly."""
    n_lymphocytes = tube.n_events("lymphocytes")
    kinds: tuple[tuple[str, str, str, frozenset[str], str], ...] = (
        (
            OVERLAP_B,
            "overlap_cd3_cd19",
            "CD3+ and CD19+",
            frozenset({"t_cells", "b_cells"}),
            "T and B cells that stick together, or spillover between the two; see CD3 against CD19",
        ),
        (
            OVERLAP_NK,
            "overlap_cd3_nk",
            "CD3+ and in the gate of NK cells",
            frozenset({"nk_cells"}),
            "T cells with CD56 are no mistake and may be many; if they are new in this subject, see whether the gate "
            "of CD16/56 lies too low",
        ),
    )
    for stored, check, words, marks, advice in kinds:
        row = tube.check(stored)
        if row is None or row.value is None or not n_lymphocytes:
            continue
        severity, limit = share_at_most(round(row.value * n_lymphocytes / 100), n_lymphocytes, limits.overlap_percent)
        text = advised(f"{said(row.value)} % of {said(n_lymphocytes)} lymphocytes are {words}", severity, advice)
        yield Finding(check, row.value, limit, severity, text, marks=marks)


def _subsets(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield T cells that are neither CD4 nor CD8 T cells."""
    n_lymphocytes, n_t, n_cd4, n_cd8 = (tube.n_events(p) for p in ("lymphocytes", "t_cells", "cd4_t", "cd8_t"))
    if not n_lymphocytes or n_t is None or n_cd4 is None or n_cd8 is None:
        return
    apart = abs(n_t - n_cd4 - n_cd8)
    severity, limit = share_at_most(apart, n_lymphocytes, limits.cd4_cd8_vs_cd3_points)
    parts = [
        f"{said(n)} {words}"
        for name, words in (("dn_t", "with neither"), ("dp_t", "with both"))
        if (n := tube.n_events(name)) is not None
    ]
    text = advised(
        f"CD4 and CD8 T cells are {said(n_cd4 + n_cd8)} of {said(n_t)} T cells"
        + (f" ({', '.join(parts)})" if parts else ""),
        severity,
        "see CD4 against CD8 of the T cells; gamma-delta and double-negative T cells are no mistake, a gate that cuts "
        "through a population is",
    )
    marks = frozenset({"cd4_t", "cd8_t", "dn_t", "dp_t"})
    yield Finding(
        "cd4_cd8_vs_cd3", 100 * apart / n_lymphocytes, limit, severity, text, population="t_cells", marks=marks
    )


def _recovery(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield T cells that the gate of lymphocytes misses: backgated by CD3 and side scatter."""
    row, n_seeds = tube.check(RECOVERY), tube.n_events("t_seed")
    if row is None or row.value is None:
        return
    missed = round((100 - row.value) / 100 * (n_seeds or 0))
    below = row.value < limits.recovery_percent
    severity: Severity = ""
    if below:
        severity = "review" if exceeds(missed, n_seeds or 0, 1 - limits.recovery_percent / 100) else "info"
    text = advised(
        f"{said(row.value)} % of {said(n_seeds or 0)} T cells found by CD3 and side scatter are in the gate of "
        "lymphocytes",
        severity,
        "see on CD45 and side scatter where the others lie; if they are whole cells, every count is too low by as much",
    )
    yield Finding("recovery", row.value, limits.recovery_percent, severity, text, population="lymphocytes", marks=None)


def _beads(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield how many beads there are, and how firmly their gate lies."""
    n_beads, lot = tube.n_events("beads") or 0, (tube.row.bead_lot if tube.row else None) or "without a number"
    if n_beads < LEAST_BEADS:
        text = (
            f"{n_beads} beads, though the sheet names lot {lot}: no concentration can come from this tube; see whether "
            "beads were added, and whether their gate holds them"
        )
        yield Finding("bead_events", n_beads, limits.bead_events, "invalid", text, population="beads", marks=None)
        return
    severity: Severity = "review" if n_beads < limits.bead_events else ""
    text = advised(
        f"{said(n_beads)} beads of lot {lot}; their number alone gives a CV of {said(100 * n_beads**-0.5)} %",
        severity,
        f"acquire {said(limits.bead_events / n_beads)} times as long to have {said(limits.bead_events)}",
    )
    yield Finding("bead_events", n_beads, limits.bead_events, severity, text, population="beads", marks=None)
    yield _bead_gate(tube, n_beads)


def _bead_gate(tube: GatedSample, n_beads: int) -> Finding:
    gates = [tube.counts[name] for name in ("bright_everywhere", "beads") if name in tube.counts]
    value = 100 * max(gate.gating_sd for gate in gates) / n_beads
    severity, limit = at_most(value, BEAD_GATE_PERCENT)
    worst = max((SEVERITY[gate.status] for gate in gates), key=SEVERITY_ORDER.index)
    status = next((gate.status for gate in gates if SEVERITY[gate.status] == worst), "ok")
    severity = max(severity, worst, key=SEVERITY_ORDER.index)
    bright = tube.n_events("bright_everywhere")
    beside = (
        f", and {said(bright - n_beads)} more came at times that are left out" if bright and bright > n_beads else ""
    )
    text = advised(
        f"the gate of beads is '{status}', its place leaves {said(value)} % of {said(n_beads)} beads open{beside}",
        severity,
        "see whether beads are one group apart from all cells; what is open here is not in the intervals",
    )
    return Finding("bead_gate", value, limit, severity, text, population="beads", marks=None)


def _doublets(tube: GatedSample) -> Iterator[Finding]:
    """Yield leukocytes that passed in pairs, as gating found them; it has flagged the counts."""
    row, factors = tube.check(DOUBLETS), tube.doublets
    if row is None or row.value is None or factors is None:
        return
    text = advised(
        f"{said(100 * row.value)} % of the leukocytes passed in pairs; counts of cells are corrected by a factor of "
        f"{factors.cells:.3f}, those of beads by {factors.beads:.3f}",
        row.severity,
        "blood that clots sticks together, and a sample run too fast does; look for clots and at the flow rate",
    )
    limit = None if row.limit is None else 100 * row.limit
    yield Finding("doublets", 100 * row.value, limit, row.severity, text)


def _saturation(tube: GatedSample) -> Iterator[Finding]:
    """Yield what is off scale, as gating found it; it has flagged the counts."""
    rows = [row for row in tube.checks if row.name == "saturated" and row.value is not None]
    if not rows:
        if tube.counts:
            yield Finding("saturation", None, None, "", "nothing that is counted is at the top of its range")
        return
    worst = max(rows, key=lambda row: (SEVERITY_ORDER.index(row.severity), row.value or 0.0))
    assert worst.value is not None
    where = worst.check.removeprefix("saturated ").partition(",")[0]
    text = advised(
        f"{said(100 * worst.value)} % of the events are at the top of the range: {where}",
        worst.severity,
        "lower the gain of that detector; gates on it cannot be trusted"
        if worst.severity != "info"
        else "few enough to gate, worth knowing for the next setup",
    )
    limit = None if worst.limit is None else 100 * worst.limit
    yield Finding("saturation", 100 * worst.value, limit, worst.severity, text)


def _losses(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield the events left out for the time at which they came."""
    kept = next((count for name in ("settled", "steady") if (count := tube.counts.get(name)) is not None), None)
    if kept is None or kept.n_events is None or not kept.n_total:
        return
    lost = kept.n_total - kept.n_events
    severity, limit = at_most(100 * lost / kept.n_total, limits.qc_loss_percent)
    why = _reasons(tube)
    reasons = " and ".join(f"{name} {said(n)}" for name, n in why.items())
    text = advised(
        f"{said(lost)} of {said(kept.n_total)} events came at times that are left out"
        + (f" ({reasons})" if reasons else ""),
        severity,
        "see the events over time; cells and beads are left out together, so that a concentration stays what it is "
        "and only its interval grows",
    )
    yield Finding("qc_loss", 100 * lost / kept.n_total, limit, severity, text, marks=None)


def _reasons(tube: GatedSample) -> Mapping[str, int]:
    reasons: dict[str, int] = {}
    for row in tube.checks:
        if row.n_excluded and row.name != DOUBLETS:
            reasons[row.name] = reasons.get(row.name, 0) + row.n_excluded
    return reasons

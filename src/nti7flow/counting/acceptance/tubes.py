"""Acceptance checks of one tube: its gates of lymphocytes against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nti7flow.counting.acceptance.acquired import check_acquired, check_beads
from nti7flow.counting.acceptance.findings import Finding, advised, exceeds, said, share_at_most
from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.acceptance.purity import lineage_events
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.lineages import OVERLAP_B, OVERLAP_NK, RECOVERY
from nti7flow.gating.strategy import Severity

#: Fewer lymphocytes than this are for review: the blood of a trial has more, and a gate beside them has next to none.
LEAST_LYMPHOCYTES = 25


def check_tube(
    tube: GatedSample, limits: AcceptanceLimits, *, counted_by_beads: bool, usual_apart: float | None = None
) -> Iterator[Finding]:
    """Yield the checks of one tube; what its panel cannot show is not checked.

    Parameters
    ----------
    tube : GatedSample
        A fully stained tube.
    limits : AcceptanceLimits
        What is acceptable.
    counted_by_beads : bool
        Whether its concentrations rest on beads, or would if there were any.
    usual_apart : float, optional
        T cells that are neither CD4 nor CD8 T cells in other specimens of the subject, % of lymphocytes.
    """
    found = (
        *_lymphocytes(tube),
        *_lineages(tube, limits),
        *_overlaps(tube, limits),
        *_subsets(tube, limits, usual_apart),
        *_recovery(tube, limits),
        *(check_beads(tube, limits) if counted_by_beads else ()),
        *check_acquired(tube, limits),
    )
    yield from (replace(each, sample=tube.sample) for each in found)


def _lymphocytes(tube: GatedSample) -> Iterator[Finding]:
    """Yield how many lymphocytes there are at all: where there are none, they are more likely missed than missing."""
    n_lymphocytes = tube.n_events("lymphocytes")
    if n_lymphocytes is None:
        return
    severity: Severity = "review" if n_lymphocytes < LEAST_LYMPHOCYTES else ""
    n_total = tube.counts["lymphocytes"].n_total
    text = advised(
        f"{said(n_lymphocytes)} lymphocytes" + (f" among {said(n_total)} events" if n_total else ""),
        severity,
        "see on CD45 and side scatter whether the gate lies where lymphocytes do, and whether the tube holds blood",
    )
    yield Finding(
        "lymphocyte_events", n_lymphocytes, LEAST_LYMPHOCYTES, severity, text, population="lymphocytes", marks=None
    )


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


def subsets_apart(tube: GatedSample) -> tuple[int, int] | None:
    """Return by how many cells CD4 and CD8 T cells are not all T cells, and of how many lymphocytes."""
    n_lymphocytes, n_t, n_cd4, n_cd8 = (tube.n_events(p) for p in ("lymphocytes", "t_cells", "cd4_t", "cd8_t"))
    if not n_lymphocytes or n_t is None or n_cd4 is None or n_cd8 is None:
        return None
    return abs(n_t - n_cd4 - n_cd8), n_lymphocytes


def _subsets(tube: GatedSample, limits: AcceptanceLimits, usual: float | None) -> Iterator[Finding]:
    """Yield T cells that are neither CD4 nor CD8 T cells.

    Some people have many of them, gamma-delta T cells foremost, and have them in every draw: for review is a tube that
    is also unlike the other draws of its subject.
    """
    found = subsets_apart(tube)
    if found is None:
        return
    apart, n_lymphocytes = found
    severity, limit = share_at_most(apart, n_lymphocytes, limits.cd4_cd8_vs_cd3_points)
    percent = 100 * apart / n_lymphocytes
    if severity == "review" and usual is not None and abs(percent - usual) <= limits.cd4_cd8_vs_cd3_points[0]:
        severity, limit = "info", limits.cd4_cd8_vs_cd3_points[0]
    parts = [
        f"{said(n)} {words}"
        for name, words in (("dn_t", "without both"), ("dp_t", "with both"))
        if (n := tube.n_events(name)) is not None
    ]
    text = advised(
        f"{said(percent)} % of {said(n_lymphocytes)} lymphocytes are T cells, but neither CD4 nor CD8 T cells"
        + (f" ({', '.join(parts)})" if parts else "")
        + (f"; in other draws of the subject {said(usual)} %" if usual is not None else ""),
        severity,
        "see CD4 against CD8 of the T cells; gamma-delta and double-negative T cells are no mistake, a gate that cuts "
        "through a population is",
    )
    marks = frozenset({"cd4_t", "cd8_t", "dn_t", "dp_t"})
    yield Finding("cd4_cd8_vs_cd3", percent, limit, severity, text, population="t_cells", marks=marks)


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

"""Acceptance checks of how one tube was acquired: its beads, what passed in pairs, what is off scale, what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nti7flow.counting.acceptance.findings import Finding, advised, at_most, said
from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.doublets import DOUBLETS
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.plausibility import LEAST_BEADS
from nti7flow.gating.strategy import SEVERITY, SEVERITY_ORDER, Severity, worst

#: Standard deviation of the bead events that the place of their gate leaves open, %: beyond the first worth knowing,
#: beyond the second for review. Intervals have it in them; this is where it is worth a look.
BEAD_GATE_PERCENT = (2.0, 5.0)


def check_acquired(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
    """Yield the checks of its acquisition; ``sample`` is not filled in."""
    yield from _doublets(tube)
    yield from _saturation(tube)
    yield from _losses(tube, limits)


def check_beads(tube: GatedSample, limits: AcceptanceLimits) -> Iterator[Finding]:
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
    of_status = worst(*(SEVERITY[gate.status] for gate in gates))
    status = next((gate.status for gate in gates if SEVERITY[gate.status] == of_status), "ok")
    severity = worst(severity, of_status)
    bright = tube.n_events("bright_everywhere")
    beside = (
        f", and {said(bright - n_beads)} more came at times that are left out" if bright and bright > n_beads else ""
    )
    text = advised(
        f"the gate of beads is '{status}', its place leaves {said(value)} % of {said(n_beads)} beads open{beside}",
        severity,
        "see whether beads are one group apart from all cells; intervals are as wide as this asks",
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
    most = max(rows, key=lambda row: (SEVERITY_ORDER.index(row.severity), row.value or 0.0))
    assert most.value is not None
    where = most.check.removeprefix("saturated ").partition(",")[0]
    text = advised(
        f"{said(100 * most.value)} % of the events are at the top of the range: {where}",
        most.severity,
        "lower the gain of that detector; gates on it cannot be trusted"
        if most.severity != "info"
        else "few enough to gate, worth knowing for the next setup",
    )
    limit = None if most.limit is None else 100 * most.limit
    yield Finding("saturation", 100 * most.value, limit, most.severity, text)


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

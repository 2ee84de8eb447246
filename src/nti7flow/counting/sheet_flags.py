"""Flags of gating that rest on the sample sheet, judged again by the sheet as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nti7flow.counting.bead_lots import BEAD_LOT_DIFFERS, LotUse, odd_lots
from nti7flow.counting.fractions import gate_severities
from nti7flow.counting.gated import CountRow, GatedSample
from nti7flow.counting.plausibility import BEADS_MISSING, lacks_beads
from nti7flow.counting.stored import DIFFERS
from nti7flow.gating.strategy import GatingStrategy, Severity, worst

#: What depends on what the sheet says of beads; everything else was seen in the tube.
SHEET_FLAGS = frozenset({BEAD_LOT_DIFFERS, BEADS_MISSING})


def judge_again(
    tubes: Sequence[GatedSample],
    flags: Mapping[str, Mapping[str, Severity]],
    strategy: Callable[[str], GatingStrategy],
) -> tuple[GatedSample, ...]:
    """Return tubes whose counts have the flags that the sheet of today gives, and no longer those of an older one.

    Parameters
    ----------
    tubes : sequence of GatedSample
        With their lines of the sheet as it is now.
    flags : Mapping of str to Mapping of str to str
        Flags of each whole tube when it was gated, with severities, by sample.
    strategy : callable
        Gates of a sample: what they say of its counts stays.
    """
    with_rows = ((tube, tube.row) for tube in tubes if tube.row is not None)
    uses = (LotUse(tube.sample, row, (tube.template, row.batch or "")) for tube, row in with_rows)
    odd = {sample for sample, _ in odd_lots(uses)}
    return tuple(_judged(tube, flags.get(tube.sample, {}), odd, strategy) for tube in tubes)


def _judged(
    tube: GatedSample,
    flags: Mapping[str, Severity],
    odd: set[str],
    strategy: Callable[[str], GatingStrategy],
) -> GatedSample:
    now: dict[str, Severity] = {BEAD_LOT_DIFFERS: "review"} if tube.sample in odd else {}
    beads = tube.counts.get("beads")
    if beads is not None and lacks_beads(tube.row, beads.n_events, beads.status):
        now[BEADS_MISSING] = "invalid"
    if tube.row is None or SHEET_FLAGS.intersection(flags) == set(now):
        return tube
    of_tube = {flag: severity for flag, severity in flags.items() if flag not in SHEET_FLAGS} | now
    of_gates = gate_severities(strategy(tube.sample))

    def again(count: CountRow) -> CountRow:
        kept = [flag for flag in count.flags if flag not in SHEET_FLAGS]
        own: Severity = "review" if DIFFERS in kept else ""
        severity = worst(of_gates[count.population], own, *of_tube.values())
        return replace(count, flags=(*kept, *now), severity=severity)

    return replace(tube, counts={name: again(count) for name, count in tube.counts.items()})

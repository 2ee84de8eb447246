"""Checks of a gated tube against what is known of any blood, and against what the sample sheet says is in the tube.

They catch what no gate can: a matrix that does not fit, marker names exchanged, beads forgotten. Each compares
populations with each other within the tube, so that neither voltages nor lots matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import Count
from nti7flow.errors import AmbiguousMarker, UnknownMarker
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.gating.strategy import Members, Severity, Status
from nti7flow.gating.values import scale_values
from nti7flow.quality.margins import at_end
from nti7flow.trial import SampleRow

#: Cells that a median needs: of a dim population, so that it is known to a fifth of their spread; of a bright one.
LEAST_CELLS, LEAST_BRIGHT = 50, 20
#: A negative population outside these shares of the positive one's brightness was compensated wrongly, or carries the
#: marker. Light is never negative: what lies below zero was taken too much, and a matrix set with a usual error takes
#: up to 6 %. What such a matrix leaves, autofluorescence and sticky antibody together make 5 to 8 %.
LOWEST_SHARE, HIGHEST_SHARE = -0.08, 0.12
#: Monocytes carry a third to a tenth of the CD4 of T cells, and next to no CD8. Beyond both limits, in CD8 as a share
#: of that of T cells and in the ratio of the shares, it is the other way round.
CD8_SHARE, CD8_TO_CD4 = 0.08, 1.25
#: Share of the cells that carry a marker which may be at the top of its range. Beyond a half even their median is not
#: known, nor what they spill into other channels.
SATURATED_SHARE, SATURATED_MOST = 0.10, 0.50
#: Fewer events than this, where a thousand are wanted, are no beads: a doublet here and there is as bright.
LEAST_BEADS = 20
#: Flag of a tube without the beads that the sheet names.
BEADS_MISSING = "beads_missing"
#: Blood in which fewer lymphocytes than this are found among so many events is no blood, or the gate missed them.
LEAST_LYMPHOCYTES, AMONG_EVENTS = 20, 1000


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker with its names, the population that is bright for it, and those that never carry it."""

    name: str
    names: tuple[str, ...]
    positive: str
    negative: tuple[str, ...]


#: Of all leukocytes; what lacks it is debris.
CD45 = Marker("CD45", ("CD45",), "lymphocytes", ())
# NK cells may be CD8dim, and CD8 T cells that have seen much carry CD56 and CD16: these pairs are left out.
MARKERS = (
    Marker("CD3", ("CD3",), "t_cells", ("b_cells", "nk_cells")),
    Marker("CD4", ("CD4",), "cd4_t", ("cd8_t", "b_cells", "nk_cells")),
    Marker("CD8", ("CD8",), "cd8_t", ("cd4_t", "b_cells")),
    Marker("CD19", ("CD19",), "b_cells", ("cd4_t", "cd8_t", "nk_cells")),
    Marker("NK", ("CD16+CD56", "CD56", "CD16"), "nk_cells", ("cd4_t", "b_cells")),
    CD45,
)


def check_plausible(
    sample: Sample,
    spillover: Spillover,
    members: Members,
    counts: Sequence[Count],
    row: SampleRow | None,
    *,
    not_light: Collection[str] = (),
    left_out: str | None = None,
) -> tuple[Check, ...]:
    """Check a gated tube; what is not amiss is not told.

    Parameters
    ----------
    sample : Sample
        The tube.
    spillover : Spillover
        What it was compensated by.
    members : Members
        Its populations. Those of other names than a lymphocyte template uses are not looked at.
    counts : sequence of Count
        Their counts.
    row : SampleRow, optional
        Its line of the sample sheet.
    not_light : collection of str
        Detectors whose values have been through a display, where a tenth of the light is no tenth of the scale.
    left_out : str, optional
        Marker that the tube was stained without, or ``unstained``: its lymphocytes are not looked for.
    """
    light = Light(sample, spillover, members, frozenset(not_light))
    missing = _missing(counts) if left_out is None else ()
    return (*_beads(counts, row), *missing, *_saturated(light), *_off_zero(light), *_exchanged(light))


def plausibility_flags(checks: Sequence[Check]) -> dict[str, Severity]:
    """Return the flags that these checks give to every count of a tube: the first word of each, with its severity."""
    return {check.check.split()[0]: check.severity for check in checks}


@dataclass(frozen=True)
class Light:
    """Brightness of populations: compensated values, scale units."""

    sample: Sample
    spillover: Spillover
    members: Members
    not_light: frozenset[str] = frozenset()

    def of(self, marker: Marker, population: str, least: int = LEAST_CELLS) -> float | None:
        """Median; None where the marker or enough cells are missing."""
        detector, rows = self.detector(marker), self._rows(population, least)
        if detector is None or rows is None:
            return None
        return float(np.median(scale_values(self.sample, self.spillover, detector, rows, compensated=True)))

    def saturated(self, marker: Marker) -> float | None:
        """Share of the cells that carry the marker which are at the top of its range."""
        detector, rows = self.detector(marker), self._rows(marker.positive, LEAST_BRIGHT)
        if detector is None or rows is None:
            return None
        at_top = at_end(self.sample.columns([detector])[:, 0], 1.0)
        return None if at_top is None else float(at_top[rows].mean())

    def _rows(self, population: str, least: int) -> NDArray[np.intp] | None:
        rows = self.members.rows(population) if population in self.members else None
        return None if rows is None or len(rows) < least else rows

    def share(self, marker: Marker, population: str) -> float | None:
        """Brightness as a share of that of the cells that carry the marker."""
        dim, bright = self.of(marker, population), self.of(marker, marker.positive, LEAST_BRIGHT)
        return None if dim is None or bright is None or bright <= 0 else dim / bright

    def detector(self, marker: Marker) -> str | None:
        """Detector of a marker that is alone in its channel, where that holds light; None where there is none."""
        for name in marker.names:
            try:
                channel = self.sample.panel.resolve(name)
            except UnknownMarker:
                continue
            except AmbiguousMarker:
                return None
            # Where another marker shares the channel, cells that lack this one may carry that.
            alone = channel.targets <= {part for each in marker.names for part in each.split("+")}
            return channel.detector if alone and channel.detector not in self.not_light else None
        return None


def lacks_beads(row: SampleRow | None, n_beads: int | None, status: Status) -> bool:
    """Whether the sheet says that there are beads in a tube, and there are none."""
    if row is None or not (row.bead_lot or row.beads_per_tube):
        return False
    return status != "not_in_panel" and (n_beads or 0) < LEAST_BEADS


def _beads(counts: Sequence[Count], row: SampleRow | None) -> Iterator[Check]:
    """Yield beads that the sheet says are in the tube, and that are not."""
    found = next((count for count in counts if count.population == "beads"), None)
    if found is not None and lacks_beads(row, found.n_events, found.status):
        yield Check(f"{BEADS_MISSING} though the sheet names them", found.n_events or 0, LEAST_BEADS, "invalid")


def _missing(counts: Sequence[Count]) -> Iterator[Check]:
    """Yield lymphocytes, or T cells, that no gate found in a tube full of events: in any blood there are some."""
    found = {count.population: count for count in counts}
    lymphocytes = found.get("lymphocytes")
    if lymphocytes is None or lymphocytes.n_events is None or lymphocytes.n_total < AMONG_EVENTS:
        return
    if lymphocytes.n_events < LEAST_LYMPHOCYTES:
        text = f"lymphocytes_missing events, in a tube of {lymphocytes.n_total}"
        yield Check(text, lymphocytes.n_events, LEAST_LYMPHOCYTES, "review")
    subsets = [found[name] for name in ("cd4_t", "cd8_t") if name in found]
    if len(subsets) == 2 and all(count.status == "absent" for count in subsets):
        yield Check("t_subsets_missing neither cd4_t nor cd8_t", sum(c.n_events or 0 for c in subsets), None, "review")


def _saturated(light: Light) -> Iterator[Check]:
    """Yield markers whose cells are off scale."""
    for marker in MARKERS:
        share = light.saturated(marker)
        if share is not None and share > SATURATED_SHARE:
            severity: Severity = "invalid" if share > SATURATED_MOST else "review"
            text = f"saturated {marker.name} of {marker.positive}, share at the top of range"
            yield Check(text, share, SATURATED_SHARE, severity)


def _off_zero(light: Light) -> Iterator[Check]:
    """Yield populations that lack a marker and are far from dark in its channel: the lowest and the highest of each."""
    found: list[tuple[Marker, Check]] = []
    for marker in MARKERS:
        shares = {p: share for p in marker.negative if (share := light.share(marker, p)) is not None}
        ordered = sorted(shares, key=shares.__getitem__)
        for population, limit in ((ordered[0], LOWEST_SHARE), (ordered[-1], HIGHEST_SHARE)) if ordered else ():
            if shares[population] / limit > 1:
                text = f"compensation_off {population} in {marker.name}, as a share of {marker.positive}"
                found.append((marker, Check(text, shares[population], limit, "review")))
    # A matrix that is missing shows in several channels. One alone, in a tube that is said to need none, is told only.
    alone = not light.spillover.detectors and len({marker.name for marker, _ in found}) == 1
    for _, check in found:
        yield replace(check, severity="info") if alone else check


def _exchanged(light: Light) -> Iterator[Check]:
    """Yield monocytes that seem to carry CD8, and less CD4: the two names stand on each other's channels."""
    cd4, cd8 = (light.share(marker, "monocytes") for marker in MARKERS if marker.name in ("CD4", "CD8"))
    if cd4 is None or cd8 is None:
        return
    if cd8 > CD8_SHARE and cd8 > CD8_TO_CD4 * cd4:
        yield Check("markers_exchanged CD8 of monocytes, as a share of cd8_t", cd8, max(CD8_SHARE, cd4), "review")

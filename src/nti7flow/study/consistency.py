"""What only the tubes of a study together show: one whose names, matrix or bead lot are unlike those of its batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from nti7flow.counting.bead_lots import LEAST_TUBES, LotUse, odd_lots
from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import add_notes
from nti7flow.counting.plausibility import plausibility_flags
from nti7flow.errors import printable
from nti7flow.gating.dimensions import Dimension
from nti7flow.study.tube import GatedTube, RefusedTube

Outcome = GatedTube | RefusedTube
#: A coefficient of the matrix that differs by more from the middle of the batch, and by more of the spreads between its
#: tubes: matrices set anew each day differ by one or two hundredths.
SPILLOVER_DIFFERENCE, SPILLOVER_SPREADS = 0.05, 5.0


def check_together(ends: Sequence[Outcome]) -> list[Outcome]:
    """Give each gated tube the checks of what sets it apart from the others; what was refused stays as it is."""
    gated = [end for end in ends if isinstance(end, GatedTube)]
    found: dict[str, list[Check]] = {}
    for checks in (_markers(gated), _matrices(gated), _lots(gated)):
        for sample, check in checks:
            found.setdefault(sample, []).append(check)
    return [_with(end, found.get(end.tube.sample, [])) if isinstance(end, GatedTube) else end for end in ends]


def _with(gated: GatedTube, checks: Sequence[Check]) -> GatedTube:
    if not checks:
        return gated
    flags = plausibility_flags(checks)
    return replace(
        gated,
        flags={**gated.flags, **flags},
        counts=tuple(add_notes(count, flags) for count in gated.counts),
        quality=(*gated.quality, *(asdict(check) for check in checks)),
    )


def _groups(gated: Sequence[GatedTube], key: Callable[[GatedTube], Hashable]) -> Iterator[list[GatedTube]]:
    """Yield the tubes of one template and batch that have the same key, where they are enough."""
    groups: dict[Hashable, list[GatedTube]] = {}
    for one in gated:
        groups.setdefault((one.strategy.template, one.tube.batch, key(one)), []).append(one)
    yield from (group for group in groups.values() if len(group) >= LEAST_TUBES)


def _channels(gated: GatedTube) -> Mapping[str, str]:
    """Marker by detector, of what was gated."""
    return {d.detector: d.marker for d in gated.strategy.dimensions if isinstance(d, Dimension) and d.marker}


def _markers(gated: Sequence[GatedTube]) -> Iterator[tuple[str, Check]]:
    """Yield tubes that have the markers and detectors of the others, but not the same ones together."""
    for group in _groups(gated, lambda one: tuple(sorted((*_channels(one), *_channels(one).values())))):
        pairs = Counter(frozenset(_channels(one).items()) for one in group)
        usual, n_usual = pairs.most_common(1)[0]
        if 2 * n_usual <= len(group):
            continue
        for one in group:
            odd = sorted(set(_channels(one).items()) - usual)
            if odd:
                names = ", ".join(f"{marker} on {detector}" for detector, marker in odd)
                text = printable(f"markers_differ {names}, unlike others of the batch")
                yield one.tube.sample, Check(text, len(odd), 0, "review")


def _matrices(gated: Sequence[GatedTube]) -> Iterator[tuple[str, Check]]:
    """Yield tubes with a coefficient in their matrix that is far from that of the others."""
    for group in _groups(gated, lambda one: one.strategy.spillover.detectors):
        detectors = group[0].strategy.spillover.detectors
        if not detectors:
            continue
        matrices = np.array([one.strategy.spillover.matrix for one in group])
        off = np.abs(matrices - np.median(matrices, axis=0))
        limit = np.maximum(SPILLOVER_SPREADS * 1.4826 * np.median(off, axis=0), SPILLOVER_DIFFERENCE)
        for one, differences in zip(group, off, strict=True):
            dye, detector = np.unravel_index(int(np.argmax(differences - limit)), limit.shape)
            if differences[dye, detector] > limit[dye, detector]:
                text = f"spillover_differs {detectors[dye]} into {detectors[detector]}, from others of the batch"
                value, most = float(differences[dye, detector]), float(limit[dye, detector])
                yield one.tube.sample, Check(printable(text), value, most, "review")


def _lots(gated: Sequence[GatedTube]) -> Iterator[tuple[str, Check]]:
    """Yield tubes with a bead lot that no other specimen has, between tubes that share another."""
    rows = ((one, one.tube.row) for one in gated)
    uses = (
        LotUse(one.tube.sample, row, (one.strategy.template, one.tube.batch)) for one, row in rows if row is not None
    )
    yield from odd_lots(uses)

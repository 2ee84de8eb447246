"""Bead lots that no other specimen has, between tubes that share another: a slip of the pen in the sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from nti7flow.counting.checks import Check
from nti7flow.errors import printable
from nti7flow.trial import SampleRow

#: First word of the check, and flag of every count of the tube.
BEAD_LOT_DIFFERS = "bead_lot_differs"
#: Tubes that a batch must have for one of them to stand out.
LEAST_TUBES = 4


@dataclass(frozen=True, slots=True)
class LotUse:
    """A tube and the lot of beads in it; ``group`` are the tubes of one batch that were gated alike."""

    sample: str
    row: SampleRow
    group: Hashable

    @property
    def lot(self) -> str:
        """Lot, as the sheet says."""
        return self.row.bead_lot or ""

    @property
    def at(self) -> str | None:
        """When it was acquired or stained, in a form that orders tubes of one laboratory."""
        at = self.row.acquired_at or self.row.stained_at or self.row.collected_at
        if at is None:
            return None
        return (at.astimezone(UTC) if isinstance(at, datetime) and at.tzinfo else at).isoformat()


def odd_lots(tubes: Iterable[LotUse]) -> Iterator[tuple[str, Check]]:
    """Yield tubes with a bead lot that no other specimen has, between tubes that share another."""
    dated = sorted(((at, tube) for tube in tubes if tube.lot and (at := tube.at) is not None), key=lambda pair: pair[0])
    users: dict[str, set[str]] = {}
    groups: dict[Hashable, list[LotUse]] = {}
    for _, tube in dated:
        users.setdefault(tube.lot, set()).add(tube.row.specimen or tube.sample)
        groups.setdefault(tube.group, []).append(tube)
    for group in groups.values():
        if len(group) < LEAST_TUBES:
            continue
        usual, n_usual = Counter(tube.lot for tube in group).most_common(1)[0]
        places = [place for place, tube in enumerate(group) if tube.lot == usual]
        for place, tube in enumerate(group):
            alone = len(users[tube.lot]) == 1 and 2 * n_usual > len(group) and tube.lot != usual
            if alone and places[0] < place < places[-1]:
                text = f"{BEAD_LOT_DIFFERS} {tube.lot}, where tubes before and after have {usual}"
                yield tube.sample, Check(printable(text), 1, None, "review")

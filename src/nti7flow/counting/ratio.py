"""The quotient of CD4 and CD8 T cells: both are counted in one tube, so that beads, lot and pipette cancel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nti7flow.counting.budget import total_sd
from nti7flow.counting.concentration import Concentration
from nti7flow.counting.intervals import central_interval
from nti7flow.counting.settings import CountingSettings


@dataclass(frozen=True, slots=True)
class Ratio:
    """A quotient of two counts, its interval and the flags of both."""

    value: float
    lower: float
    upper: float
    flags: tuple[str, ...]


def cd4_cd8_ratio(found: Mapping[str, Concentration], settings: CountingSettings) -> Ratio | None:
    """Return CD4 over CD8 T cells of one specimen; None where one was not counted, or there are no CD8 T cells.

    Given both together, CD4 T cells are binomial, as cells are against beads. Of the other errors only the places of
    the gates remain.
    """
    cd4, cd8 = found.get("cd4_t"), found.get("cd8_t")
    if cd4 is None or cd8 is None or cd4.n_events is None or not cd8.n_events or cd4.samples != cd8.samples:
        return None
    sd = total_sd(error for each in (cd4, cd8) for error in each.errors if error.component == "gating")
    lower, upper = central_interval([cd4.n_events], [cd8.n_events], sd, kind="beads", level=settings.level)
    value = cd4.n_events / cd8.n_events
    flags = tuple(dict.fromkeys((*cd4.flags, *cd8.flags)))
    return Ratio(value, min(float(lower[0]), value), max(float(upper[0]), value), flags)

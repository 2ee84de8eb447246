"""Stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from nti7flow.counting.acceptance_limits import AcceptanceLimits
from nti7flow.counting.specimens import SpecimenResult
from nti7flow.gating.strategy import Severity


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A row of the table ``acceptance``."""

    specimen: str
    sample: str | None
    check: str
    population: str | None
    value: float | None
    limit: float | None
    severity: Severity
    look_at: str


def accept(
    result: SpecimenResult, limits: AcceptanceLimits, *, sex: str | None, zone: ZoneInfo
) -> tuple[SpecimenResult, tuple[Acceptance, ...]]:
    """Check a specimen."""
    return result, ()

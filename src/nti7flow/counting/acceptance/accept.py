"""Acceptance of a specimen: what is checked of it and its tubes, by the limits of the study.

Every check is a row, one that passed too, so that a reader sees what was looked at. What did not pass for a reason that
a person must see is a flag of the concentrations that it concerns, by the name of the check; so is a count outside the
reference range. What gating flagged already is told, and not flagged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from nti7flow.counting.acceptance.findings import Acceptance, Finding
from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.acceptance.specimens import check_specimen
from nti7flow.counting.acceptance.together import Together, check_lot, see_together
from nti7flow.counting.acceptance.tubes import check_tube
from nti7flow.counting.fractions import ALC
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.specimens import SpecimenResult, add_flag

__all__ = ["Acceptance", "Together", "accept", "see_together"]
#: The one check of which information is a flag.
REFERENCE_RANGE = "reference_range"


def accept(
    result: SpecimenResult,
    limits: AcceptanceLimits,
    *,
    sex: str | None,
    zone: ZoneInfo,
    together: Together | None = None,
) -> tuple[SpecimenResult, tuple[Acceptance, ...]]:
    """Check a specimen.

    Parameters
    ----------
    result : SpecimenResult
        Its concentrations.
    limits : AcceptanceLimits
        What is acceptable.
    sex : str or None
        ``female`` or ``male``; without it there is no reference range.
    zone : ZoneInfo
        Time zone of the study, for the age of the specimen.
    together : Together, optional
        What the specimens of the study say together (`see_together`); without it bead lots are not judged, nor what is
        usual for the subject.

    Returns
    -------
    (SpecimenResult, tuple of Acceptance)
        The specimen with the flags that the checks give to its concentrations, and all checks.
    """
    findings = list(_findings(result, limits, sex, zone, together or Together()))
    for finding in findings:
        result = _flag(result, finding)
    return result, tuple(finding.row(result.specimen) for finding in findings)


def _findings(
    result: SpecimenResult, limits: AcceptanceLimits, sex: str | None, zone: ZoneInfo, together: Together
) -> Iterator[Finding]:
    usual = together.apart.get(result.specimen)
    for tube in result.tubes:
        yield from check_tube(tube, limits, counted_by_beads=_by_beads(result, tube), usual_apart=usual)
    yield from check_lot(result, together)
    yield from check_specimen(result, limits, sex=sex, zone=zone)


def _by_beads(result: SpecimenResult, tube: GatedSample) -> bool:
    """Whether a tube is counted against beads, or would be if it had any."""
    reference = result.references.get(tube.sample)
    named = tube.row is not None and bool(tube.row.bead_lot or tube.row.beads_per_tube)
    return named if reference is None else reference.method == "beads"


def _flag(result: SpecimenResult, finding: Finding) -> SpecimenResult:
    """Give the concentrations that a finding is about its flag."""
    if finding.severity not in ("review", "invalid") and not (finding.severity and finding.check == REFERENCE_RANGE):
        return result
    marks = set(result.concentrations) - {ALC} if finding.marks is None else finding.marks
    if finding.marks is None and finding.sample is not None:  # a tube that a count does not rest on does it no harm
        marks = {name for name in marks if finding.sample in result.concentrations[name].samples}
    marked = {
        name: add_flag(found, finding.check, finding.severity) if name in marks else found
        for name, found in result.concentrations.items()
    }
    return replace(result, concentrations=marked)

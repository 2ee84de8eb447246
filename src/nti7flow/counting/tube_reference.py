"""Which reference the events of a tube have: by the method that is asked for, and by what sheets and cytometer tell."""

from __future__ import annotations

from functools import partial

from nti7flow.counting.gated import CountRow, GatedSample
from nti7flow.counting.hematology import Alc
from nti7flow.counting.plausibility import LEAST_BEADS
from nti7flow.counting.reference import Reference, by_beads, by_lymphocytes, by_volume
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.volume import VOLUME
from nti7flow.gating.strategy import Severity
from nti7flow.trial import SampleRow

#: Flags of concentrations for what they are counted against: a volume of unknown dilution, or in a guessed unit; other
#: draws that are as near to the specimen by what the sheets say.
DILUTION_ASSUMED, VOLUME_IN_DOUBT, DRAW_IN_DOUBT = "dilution_assumed", "volume_in_doubt", "draw_in_doubt"


def reference_of(tube: GatedSample, alc: Alc | None, settings: CountingSettings) -> Reference | None:
    """Return what the events of a tube are counted against; None where there is nothing.

    ``auto`` takes beads where the sheet names them, even if none were found: another method would then hide that they
    are missing. A volume that only the cytometer tells is one of stained and lysed blood: where the sheet does not say
    how diluted that was, a haematology count goes before it.
    """
    row = tube.row
    names_beads = row is not None and _names_beads(row)
    if settings.method == "beads" or (settings.method == "auto" and names_beads):
        return _beads(tube, row, settings) if row is not None and names_beads else None
    if settings.method != "dual_platform":
        volume = _volume(tube, settings)
        said = row is not None and (row.dilution is not None or row.acquired_volume_ul is not None)
        if settings.method == "volumetric" or (volume is not None and said):
            return volume
        return _dual_platform(tube, alc) or volume
    return _dual_platform(tube, alc)


def _dual_platform(tube: GatedSample, alc: Alc | None) -> Reference | None:
    n_lymphocytes = tube.n_events("lymphocytes")
    if alc is None or not n_lymphocytes or alc.cells_per_ul == 0:
        return None
    return by_lymphocytes(
        n_lymphocytes, alc_per_ul=alc.cells_per_ul, cv=alc.cv, shared=alc.draw, source=f"{alc.source} of {alc.draw}"
    )


def _beads(tube: GatedSample, row: SampleRow, settings: CountingSettings) -> Reference | None:
    n_beads = tube.n_events("beads")
    if n_beads is None or n_beads < LEAST_BEADS:
        return None
    assert row.beads_per_tube is not None and row.specimen_volume_ul is not None
    return by_beads(
        n_beads,
        beads_per_tube=row.beads_per_tube,
        specimen_ul=row.specimen_volume_ul,
        dilution=1.0 if row.dilution is None else row.dilution,
        bead_lot=row.bead_lot or "",
        bead_cv=settings.bead_cv if row.bead_cv is None else row.bead_cv,
        pipetting_cv=settings.pipetting_cv,
        doublets=tube.doublets,
        gating_sd=tube.counts["beads"].gating_sd,
    )


def _volume(tube: GatedSample, settings: CountingSettings) -> Reference | None:
    row, check = tube.row, tube.check(VOLUME)
    dilution = 1.0 if row is None or row.dilution is None else row.dilution
    with_errors = partial(by_volume, dilution=dilution, volume_cv=settings.volume_cv, doublets=tube.doublets)
    if row is not None and row.acquired_volume_ul is not None:
        return with_errors(row.acquired_volume_ul, source="sample sheet")
    if check is not None and check.value:
        return with_errors(check.value, source=check.check.partition(" ")[2] or "$VOL")
    return None


def names_reference(tube: GatedSample) -> bool:
    """Whether the sheet says what a tube is to be counted against, and its gates could tell."""
    row = tube.row
    return row is not None and ((_names_beads(row) and "beads" in tube.counts) or row.acquired_volume_ul is not None)


def _names_beads(row: SampleRow) -> bool:
    return row.beads_per_tube is not None and row.specimen_volume_ul is not None


def flags_of_reference(tube: GatedSample, reference: Reference, alc: Alc | None) -> dict[str, Severity]:
    """Return what to know of that which all populations of a tube are counted against."""
    flags: dict[str, Severity] = {}
    beads, volume = tube.counts.get("beads"), tube.check(VOLUME)
    if reference.method == "beads" and beads is not None:
        # What is of the whole tube stands on every count already; a flag with a colon is of a gate above.
        flags = {flag if ":" in flag else f"beads:{flag}": beads.severity for flag in _own_flags(tube, beads)}
    if reference.method == "dual_platform" and alc is not None and alc.others:
        flags[DRAW_IN_DOUBT] = "review"
    if reference.method == "volumetric":
        if tube.row is None or tube.row.dilution is None:
            flags[DILUTION_ASSUMED] = "info" if tube.row is None else "review"
        in_sheet = tube.row is not None and tube.row.acquired_volume_ul is not None
        if not in_sheet and volume is not None and volume.severity:
            flags[VOLUME_IN_DOUBT] = volume.severity
    return flags


def _own_flags(tube: GatedSample, count: CountRow) -> list[str]:
    """Return the flags of a count that not all counts of its tube have."""
    return [flag for flag in count.flags if any(flag not in other.flags for other in tube.counts.values())]

"""What only the specimens of a study together show: beads of a lot, or a tube, that do not add up; what is usual."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from nti7flow.counting.acceptance.findings import Finding, advised, said
from nti7flow.counting.acceptance.tubes import subsets_apart
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.reference import Reference
from nti7flow.counting.specimens import SpecimenResult
from nti7flow.counting.volume import VOLUME
from nti7flow.gating.strategy import Severity

#: Specimens of a lot, or tubes beside one, that a median needs; and other specimens of a subject.
LEAST, LEAST_OF_SUBJECT = 4, 3
#: A lot is for review where its median is off by more than this fold, and by more standard deviations of its own error
#: and of what the maker states for the lot.
LOT_FOLD, LOT_SD = 1.10, 3.5
#: The same of one tube whose cytometer measured a volume.
TUBE_FOLD, TUBE_SD = 1.15, 3.5
#: CV of the volume that a cytometer measured, and of that in which beads and blood were brought to it.
VOLUME_CV = 0.03
#: Standard deviation of a normal distribution over its median absolute deviation; error of a median over the mean's.
_MAD, _MEDIAN = 1.4826, 1.2533


@dataclass(frozen=True, slots=True)
class Lot:
    """Flow lymphocytes over haematology in the specimens of one bead lot: median, its error (log), how many."""

    ratio: float
    sd: float
    n_specimens: int


@dataclass(frozen=True, slots=True)
class Together:
    """What the specimens of a study say together.

    Attributes
    ----------
    lots : Mapping of str to Lot
        By bead lot, of those with enough specimens.
    elsewhere : Mapping of str to float
        By bead lot, the median ratio in the specimens of all others, where they are enough.
    densities : Mapping of str to tuple of float
        By sample, beads per microlitre acquired and bead put in, over the median of the other tubes of the panel and
        volume of specimen, and the standard deviation of its logarithm.
    apart : Mapping of str to float
        By specimen, T cells that are neither CD4 nor CD8 T cells, % of lymphocytes: median of the other specimens of
        the subject, where they are enough.
    """

    lots: Mapping[str, Lot] = field(default_factory=dict)
    elsewhere: Mapping[str, float] = field(default_factory=dict)
    densities: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    apart: Mapping[str, float] = field(default_factory=dict)


def see_together(results: Sequence[SpecimenResult]) -> Together:
    """Look at all specimens of a study before each of them is judged.

    Parameters
    ----------
    results : sequence of SpecimenResult
        All that were counted.
    """
    ratios: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        lot, found = lot_of(result), _log_ratio(result)
        if lot is not None and found is not None:
            ratios.setdefault(lot, []).append(found)
    lots = {lot: _lot(each, _lot_sd(results, lot)) for lot, each in ratios.items() if len(each) >= LEAST}
    elsewhere = {}
    for lot in lots:
        others = [value for name, each in ratios.items() if name != lot for value, _ in each]
        if len(others) >= LEAST:
            elsewhere[lot] = math.exp(median(others))
    return Together(lots, elsewhere, _densities(results), _apart(results))


def check_lot(result: SpecimenResult, together: Together) -> Iterator[Finding]:
    """Yield what the lot of a specimen, and the beads of its tubes, look like beside the others of the study."""
    lot = lot_of(result)
    if lot is not None and (found := together.lots.get(lot)) is not None:
        fold = math.exp(abs(math.log(found.ratio)))
        limit = max(LOT_FOLD, math.exp(LOT_SD * found.sd))
        severity: Severity = "review" if fold > limit else ""
        beside = together.elsewhere.get(lot)
        others = f", in those of other lots {said(beside)} times" if beside is not None else ""
        text = advised(
            f"in {found.n_specimens} specimens with beads of lot {lot} flow cytometry finds {said(found.ratio)} times "
            f"the lymphocytes of haematology{others}",
            severity,
            "compare the lot and its number of beads in the sheet with the pouch; all its concentrations are off alike",
        )
        yield Finding("bead_lot_ratio", found.ratio, limit, severity, text, marks=None)
    for tube in result.tubes:
        if (density := together.densities.get(tube.sample)) is not None:
            yield _density(tube, *density)


def _density(tube: GatedSample, ratio: float, sd: float) -> Finding:
    fold, limit = math.exp(abs(math.log(ratio))), max(TUBE_FOLD, math.exp(TUBE_SD * sd))
    severity: Severity = "review" if fold > limit else ""
    text = advised(
        f"beads per µL acquired, for the beads that the sheet puts in, are {said(ratio)} times those of other tubes",
        severity,
        "compare lot, number of beads and volumes in the sheet with the pouch, and see whether the sample was mixed",
    )
    return Finding("bead_density", ratio, limit, severity, text, sample=tube.sample, population="beads", marks=None)


def lot_of(result: SpecimenResult) -> str | None:
    """Return the lot of the beads that a specimen is counted against; None without beads, or with several lots."""
    lots = {
        str(reference.inputs.get("bead_lot") or "")
        for reference in result.references.values()
        if reference.method == "beads"
    }
    return lots.pop() or None if len(lots) == 1 else None


def _log_ratio(result: SpecimenResult) -> tuple[float, float] | None:
    """Logarithm of flow lymphocytes over haematology, and its standard deviation without that of the lot."""
    flow, alc = result.concentrations.get("lymphocytes"), result.alc
    if flow is None or alc is None or flow.method != "beads" or not flow.cells_per_ul or alc.cells_per_ul <= 0:
        return None
    if flow.severity == "invalid":
        return None
    of_lot = math.fsum(error.sd**2 for error in flow.errors if error.component == "bead_lot")
    sd = math.sqrt(max(flow.log_sd**2 - of_lot, 0.0) + alc.cv**2)
    return math.log(flow.cells_per_ul / alc.cells_per_ul), sd


def _lot_sd(results: Sequence[SpecimenResult], lot: str) -> float:
    """Return what the maker states for a lot, standard deviation of the logarithm."""
    references = [r for result in results if lot_of(result) == lot for r in result.references.values()]
    return max((e.sd for r in references for e in r.errors if e.component == "bead_lot"), default=0.0)


def _lot(ratios: Sequence[tuple[float, float]], lot_sd: float) -> Lot:
    values = [value for value, _ in ratios]
    middle, spread = _middle(values)
    of_one = max(spread, median(sd for _, sd in ratios))
    return Lot(math.exp(middle), math.hypot(_MEDIAN * of_one / math.sqrt(len(values)), lot_sd), len(values))


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Median and robust standard deviation."""
    middle = median(values)
    return middle, _MAD * median(abs(value - middle) for value in values)


def _densities(results: Sequence[SpecimenResult]) -> dict[str, tuple[float, float]]:
    """Compare tubes that were made and acquired alike: as many microlitres hold as many beads."""
    groups: dict[tuple[str | None, float | None], dict[str, tuple[float, float]]] = {}
    for result in results:
        for tube in result.tubes:
            reference = result.references.get(tube.sample)
            found = None if reference is None else _bead_density(tube, reference)
            if found is not None and tube.row is not None:
                groups.setdefault((tube.row.panel, tube.row.specimen_volume_ul), {})[tube.sample] = found
    densities = {}
    for group in groups.values():
        for sample, (value, sd) in group.items():
            others = [other for name, (other, _) in group.items() if name != sample]
            if len(others) >= LEAST:
                middle, spread = _middle(others)
                densities[sample] = (math.exp(value - middle), max(sd, spread))
    return densities


def _apart(results: Sequence[SpecimenResult]) -> dict[str, float]:
    """Return what is usual in the other specimens of each subject."""
    by_subject: dict[str, dict[str, float]] = {}
    for result in results:
        shares = [100 * n / of for n, of in filter(None, map(subsets_apart, result.tubes))]
        if result.subject is not None and shares:
            by_subject.setdefault(result.subject, {})[result.specimen] = median(shares)
    usual = {}
    for specimens in by_subject.values():
        for specimen in specimens:
            others = [share for name, share in specimens.items() if name != specimen]
            if len(others) >= LEAST_OF_SUBJECT:
                usual[specimen] = median(others)
    return usual


def _bead_density(tube: GatedSample, reference: Reference) -> tuple[float, float] | None:
    """Logarithm of beads per microlitre acquired and bead in the tube, and its standard deviation."""
    check, row = tube.check(VOLUME), tube.row
    volume = row.acquired_volume_ul if row is not None and row.acquired_volume_ul is not None else None
    volume = volume if volume is not None else check.value if check is not None else None
    if reference.method != "beads" or not volume or row is None or not row.beads_per_tube:
        return None
    sd = math.sqrt(1 / reference.amount + 2 * VOLUME_CV**2)
    return math.log(reference.amount / volume / row.beads_per_tube), sd

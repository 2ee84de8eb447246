"""Concentrations of a specimen: which of its tubes are counted how, and what they say together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial

from nti7flow.counting.budget import Error, budget, log_sd
from nti7flow.counting.concentration import Concentration, Tally, concentrate, gating_error
from nti7flow.counting.gated import CountRow, GatedSample
from nti7flow.counting.hematology import Alc
from nti7flow.counting.reference import Method, Reference, by_anchor, by_beads, by_lymphocytes, by_volume
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.volume import VOLUME
from nti7flow.gating.strategy import SEVERITY_ORDER, Severity
from nti7flow.trial import SampleRow
from nti7flow.trial.specimens import said_most

#: The haematology count among the populations.
ALC = "alc"
#: Flags of concentrations.
METHOD_CHANGE, NOTHING_TO_COUNT_AGAINST, TUBE_LEFT_OUT = "method_change", "no_reference", "tube_left_out"
DILUTION_ASSUMED, VOLUME_IN_DOUBT = "dilution_assumed", "volume_in_doubt"
#: Flags of haematology counts: other draws are as near by what the sheets say; 0 is what was told, not how sure it is.
DRAW_IN_DOUBT, NO_LYMPHOCYTES = "draw_in_doubt", "reported_zero"
#: Bead events that a concentration needs at least; fewer are no beads.
LEAST_BEADS = 20


@dataclass(frozen=True)
class SpecimenResult:
    """A blood draw: its tubes, what they were counted against, and the concentrations.

    Attributes
    ----------
    specimen : str
        Its name.
    row : SampleRow or None
        Line of the sheet of its first tube.
    tubes : tuple of GatedSample
        Fully stained tubes.
    references : Mapping of str to Reference
        By sample, of tubes with beads, a volume or a haematology count.
    alc : Alc or None
        Haematology count of the draw.
    concentrations : Mapping of str to Concentration
        By population.
    """

    specimen: str
    row: SampleRow | None
    tubes: tuple[GatedSample, ...]
    references: Mapping[str, Reference]
    alc: Alc | None
    concentrations: Mapping[str, Concentration]

    @property
    def subject(self) -> str | None:
        """Whose blood it is, as the first of its tubes says that does."""
        return next((row.subject for row in self._rows if row.subject), None)

    @property
    def collected_at(self) -> date | datetime | None:
        """When it was drawn: of what its tubes say, what says most."""
        return said_most(row.collected_at for row in self._rows)

    @property
    def _rows(self) -> list[SampleRow]:
        return [tube.row for tube in self.tubes if tube.row is not None]

    @property
    def labels(self) -> dict[str, str]:
        """Names of its populations for people."""
        return {c.population: c.label for tube in self.tubes for c in tube.counts.values()} | {ALC: "ALC (haematology)"}

    def flagged(self, flag: str, severity: Severity, populations: Iterable[str] | None = None) -> SpecimenResult:
        """Return the specimen with a flag on some populations, by default on all that its tubes count."""
        chosen = set(self.concentrations if populations is None else populations) - {ALC}
        marked = {
            name: add_flag(found, flag, severity) if name in chosen else found
            for name, found in self.concentrations.items()
        }
        return replace(self, concentrations=marked)


def add_flag(found: Concentration, flag: str, severity: Severity) -> Concentration:
    """Return a concentration with one more flag, and at least its severity."""
    worst = max(found.severity, severity, key=SEVERITY_ORDER.index)
    return replace(found, flags=tuple(dict.fromkeys((*found.flags, flag))), severity=worst)


def count_specimen(
    specimen: str, tubes: Sequence[GatedSample], alc: Alc | None, settings: CountingSettings
) -> SpecimenResult:
    """Return the concentrations of one specimen.

    Parameters
    ----------
    specimen : str
        Its name.
    tubes : sequence of GatedSample
        Its fully stained tubes.
    alc : Alc or None
        Haematology count of the draw.
    settings : CountingSettings
        Method, errors, level.

    Notes
    -----
    Tubes of one method are pooled. A tube without beads or volume, beside one that has them, is anchored: what it tells
    within a population that both count, such as the naive among CD4 T cells, is a share of the other's concentration.
    """
    found_references = {tube.sample: reference_of(tube, alc, settings) for tube in tubes}
    references = {sample: each for sample, each in found_references.items() if each is not None}
    method = _method([each.method for each in references.values()])
    counted = [tube for tube in tubes if (r := references.get(tube.sample)) is not None and r.method == method]
    direct = concentrate(_tallies(counted, references, alc), settings)
    others = [tube for tube in tubes if tube not in counted]
    anchored = concentrate(_anchored(others, direct), settings) if direct else {}
    found = {ALC: hematology(alc, settings)} if alc is not None else {}
    for tube in tubes:
        for count in tube.results():
            name = count.population
            this = direct.get(name) or anchored.get(name) or _nothing(count, tube, settings)
            if name not in found or SEVERITY_ORDER.index(this.severity) > SEVERITY_ORDER.index(found[name].severity):
                found[name] = this
    result = SpecimenResult(specimen, tubes[0].row, tuple(tubes), references, alc, found)
    return result.flagged(TUBE_LEFT_OUT, "review", _without_all(tubes, counted, direct))


def _without_all(
    tubes: Sequence[GatedSample], counted: Sequence[GatedSample], direct: Mapping[str, Concentration]
) -> set[str]:
    """Return populations whose concentration does not rest on all tubes that should tell it.

    Those are the tubes of the specimen's method, and tubes that have beads or a volume by the sheet and yet no
    reference, or one of another method. A tube without any is only there for subsets.
    """
    samples = {tube.sample for tube in counted} | {tube.sample for tube in tubes if _names_reference(tube)}
    return {
        count.population
        for tube in tubes
        if tube.sample in samples
        for count in tube.results()
        if count.status != "not_in_panel"
        and count.population in direct
        and tube.sample not in direct[count.population].samples
    }


def _names_reference(tube: GatedSample) -> bool:
    """Whether the sheet says what a tube is to be counted against, and its gates could tell."""
    row = tube.row
    return row is not None and ((_names_beads(row) and "beads" in tube.counts) or row.acquired_volume_ul is not None)


def _names_beads(row: SampleRow) -> bool:
    return row.beads_per_tube is not None and row.specimen_volume_ul is not None


def _method(methods: Sequence[Method]) -> Method | None:
    """Return the method of a specimen: of those of its tubes, the one that rests on least."""
    return next((method for method in ("beads", "volumetric", "dual_platform") if method in methods), None)


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


def _tally(tube: GatedSample, count: CountRow, reference: Reference, alc: Alc | None = None) -> Tally:
    flags = {flag: count.severity for flag in count.flags} | _flags_of_reference(tube, reference, alc)
    return Tally(
        tube.sample,
        count.n_events or 0,
        reference,
        count.gating_sd,
        count.background,
        tuple(flags),
        max((count.severity, *flags.values()), key=SEVERITY_ORDER.index),
        count.status,
    )


def _flags_of_reference(tube: GatedSample, reference: Reference, alc: Alc | None) -> dict[str, Severity]:
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


def _tallies(
    tubes: Sequence[GatedSample], references: Mapping[str, Reference], alc: Alc | None
) -> dict[str, list[Tally]]:
    """Return the counts of each population; those that must not be used only where there is no other."""
    tallies: dict[str, list[Tally]] = {}
    for tube in tubes:
        for count in tube.results():
            if count.n_events is not None:
                tallies.setdefault(count.population, []).append(_tally(tube, count, references[tube.sample], alc))
    usable = {name: [t for t in each if t.severity != "invalid"] for name, each in tallies.items()}
    return {name: usable[name] or each for name, each in tallies.items()}


def _anchored(tubes: Sequence[GatedSample], direct: Mapping[str, Concentration]) -> dict[str, list[Tally]]:
    """Return counts of populations that only tubes without a reference have, against the nearest ancestor with one."""
    tallies: dict[str, list[Tally]] = {}
    for tube in tubes:
        for count in tube.results():
            anchor = next((name for name in count.ancestors if name in direct), None)
            if count.population in direct or anchor is None or count.n_events is None:
                continue
            known, n_events = direct[anchor], tube.n_events(anchor)
            if not n_events or not known.cells_per_ul:
                continue
            reference = by_anchor(
                n_events,
                cells_per_ul=known.cells_per_ul,
                sd=known.log_sd,
                population=anchor,
                sample=";".join(known.samples),
            )
            severity = max(count.severity, known.severity, key=SEVERITY_ORDER.index)
            flags = tuple(dict.fromkeys((*count.flags, *(f"{anchor}:{flag}" for flag in known.flags))))
            tally = replace(_tally(tube, count, reference), flags=flags, severity=severity)
            tallies.setdefault(count.population, []).append(tally)
    return tallies


def _nothing(count: CountRow, tube: GatedSample, settings: CountingSettings) -> Concentration:
    """Return what is said of a population without a concentration."""
    flags, severity = count.flags, count.severity
    if count.n_events is not None:
        flags, severity = (*flags, NOTHING_TO_COUNT_AGAINST), max(severity, "info", key=SEVERITY_ORDER.index)
    return Concentration(
        count.population,
        None,
        None,
        None,
        settings.level,
        samples=(tube.sample,),
        n_events=count.n_events,
        flags=flags,
        severity=severity,
        status=count.status,
        errors=(gating_error(count.gating_sd, count.n_events or 0),),
    )


def hematology(alc: Alc, settings: CountingSettings) -> Concentration:
    """Return the haematology count as a concentration: it comes with a coefficient of variation and nothing else."""
    from scipy.special import ndtri

    errors = (Error("hematology", log_sd(alc.cv), shared=alc.draw),)
    reach = math.exp(float(ndtri((1 + settings.level) / 2)) * errors[0].sd)
    told: dict[str, float | str] = {"alc_per_ul": alc.cells_per_ul, "alc_from": alc.source, "alc_cv": alc.cv}
    flags: dict[str, Severity] = {DRAW_IN_DOUBT: "review"} if alc.others else {}
    if alc.cells_per_ul == 0:
        flags[NO_LYMPHOCYTES] = "info"
    told |= {"draw": alc.draw} | ({} if alc.hours_apart is None else {"hours_apart": alc.hours_apart})
    return Concentration(
        ALC,
        alc.cells_per_ul,
        alc.cells_per_ul / reach,
        alc.cells_per_ul * reach,
        settings.level,
        "hematology",
        reference=Reference("hematology", 1.0, 1.0, errors, told),
        parts=tuple(part for part in budget(1, 1.0, errors, kind="share") if part.component == "hematology"),
        flags=tuple(flags),
        severity=max(("", *flags.values()), key=SEVERITY_ORDER.index),
        errors=errors,
    )


def flag_method_changes(results: Sequence[SpecimenResult]) -> list[SpecimenResult]:
    """Flag specimens counted by another method than most of their subject's: the two are not to be mixed unseen."""
    methods: dict[str, Counter[str]] = {}
    for result in results:
        if result.subject is not None and (method := _counted_by(result)):
            methods.setdefault(result.subject, Counter())[method] += 1
    flagged = []
    for result in results:
        known = methods.get(result.subject or "", Counter())
        usual = max(sorted(known), key=known.__getitem__, default="")
        method = _counted_by(result)
        changed = bool(method and usual) and method != usual  # of nobody's specimens none is usual
        flagged.append(result.flagged(METHOD_CHANGE, "review") if changed else result)
    return flagged


def _counted_by(result: SpecimenResult) -> str:
    """Return the method of a specimen that rests on its own tubes; empty where none does."""
    methods = (found.method for name, found in result.concentrations.items() if name != ALC)
    return next((method for method in methods if method and method != "anchored"), "")

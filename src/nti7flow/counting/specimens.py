"""Concentrations of a specimen: which of its tubes are counted how, and what they say together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from nti7flow.counting.budget import Error, budget, log_sd
from nti7flow.counting.concentration import Concentration, Tally, concentrate, gating_error
from nti7flow.counting.fractions import ALC
from nti7flow.counting.gated import CountRow, GatedSample
from nti7flow.counting.hematology import Alc
from nti7flow.counting.reference import Method, Reference, by_anchor
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.tube_reference import DRAW_IN_DOUBT, flags_of_reference, names_reference, reference_of
from nti7flow.gating.strategy import SEVERITY_ORDER, Severity, worst
from nti7flow.trial import SampleRow
from nti7flow.trial.specimens import said_most

#: Flags of concentrations.
METHOD_CHANGE, NOTHING_TO_COUNT_AGAINST, TUBE_LEFT_OUT = "method_change", "no_reference", "tube_left_out"
#: Flag of a haematology count of 0, which is what was told, not how sure it is.
NO_LYMPHOCYTES = "reported_zero"


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
    return replace(found, flags=tuple(dict.fromkeys((*found.flags, flag))), severity=worst(found.severity, severity))


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
    samples = {tube.sample for tube in counted} | {tube.sample for tube in tubes if names_reference(tube)}
    return {
        count.population
        for tube in tubes
        if tube.sample in samples
        for count in tube.results()
        if count.status != "not_in_panel"
        and count.population in direct
        and tube.sample not in direct[count.population].samples
    }


def _method(methods: Sequence[Method]) -> Method | None:
    """Return the method of a specimen: of those of its tubes, the one that rests on least."""
    return next((method for method in ("beads", "volumetric", "dual_platform") if method in methods), None)


def _tally(tube: GatedSample, count: CountRow, reference: Reference, alc: Alc | None = None) -> Tally:
    flags = {flag: count.severity for flag in count.flags} | flags_of_reference(tube, reference, alc)
    return Tally(
        tube.sample,
        count.n_events or 0,
        reference,
        count.gating_sd,
        count.background,
        tuple(flags),
        worst(count.severity, *flags.values()),
        count.status,
    )


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
            severity = worst(count.severity, known.severity)
            flags = tuple(dict.fromkeys((*count.flags, *(f"{anchor}:{flag}" for flag in known.flags))))
            tally = replace(_tally(tube, count, reference), flags=flags, severity=severity)
            tallies.setdefault(count.population, []).append(tally)
    return tallies


def _nothing(count: CountRow, tube: GatedSample, settings: CountingSettings) -> Concentration:
    """Return what is said of a population without a concentration."""
    flags, severity = count.flags, count.severity
    if count.n_events is not None:
        flags, severity = (*flags, NOTHING_TO_COUNT_AGAINST), worst(severity, "info")
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
        severity=worst(*flags.values()),
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

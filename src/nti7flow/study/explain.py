"""Why each gate is where it is: a population and all it rests on, in plain words, from what gating has stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nti7flow.errors import ConfigError, did_you_mean, printable
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.fit import N_REPLICATES
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, Gate, PolygonGate, RectangleGate
from nti7flow.gating.methods import find_method
from nti7flow.gating.specs import FittedSpec, PopulationSpec, SameAsSpec, method_parameters
from nti7flow.gating.strategy import SEVERITY_ORDER, GatingStrategy, Population, Severity
from nti7flow.gating.template import GatingTemplate, load_template, released_templates

if TYPE_CHECKING:
    from nti7flow.study.notebook import GatingResult
    from nti7flow.study.store import Run

Row = Mapping[str, Any]

#: Statuses in words.
STATUS_WORDS = {
    "ok": "the data place the gate",
    "borrowed": "the gate is borrowed from pooled data of other samples",
    "fell_back": "the method failed, and the template's fallback placed the gate",
    "failed": "the gate could not be placed: nothing here or below is counted, which is not the same as no cells",
    "absent": "there is no such population in this tube",
    "not_in_panel": "the panel has no such marker",
    "not_interpretable": "the gate is placed, but what it holds has lost its meaning here",
}
#: Flags in words; what stands behind a marker or population is in `flag_words`.
FLAG_WORDS = {
    "unstable_gate": "the gate moves so much between replicates of the data that a person should look",
    "impure_gate": "other populations reach into the gate",
    "population_absent": "there are no more events than the background explains",
    "gate_fell_back": "a fallback of the template placed the gate",
    "gate_failed": "no method of the template could place the gate",
    "gate_absent": "no method could place it, which the template takes for an absent population",
    "too_few_beads": "some bead-like events, but too few for a population of beads",
    "not_compensated": "the gate asks for a spillover matrix that the file does not have",
    "not_an_ellipsoid": "the gate is called an ellipsoid and is none",
    "threshold_outlier": "the threshold is an outlier against those of the other samples",
}
SCOPE_WORDS = {
    "sample": "of this tube",
    "subject": "of the subject's baseline, pooled",
    "batch": "of all tubes of the batch, pooled",
    "study": "of all tubes of the study, pooled",
}


def number(value: object) -> str:
    """Return a value as people read it, whatever it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "not known"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(number, value))})" if value else "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number(item)}" for key, item in value.items())
    return str(value)


def _share(value: object) -> str:
    return f"{100 * value:.3g} %" if isinstance(value, int | float) else number(value)


#: Diagnostics in words, in the order they are told; every other key is told by its name.
DIAGNOSTIC_WORDS: dict[str, Callable[[Any], str]] = {
    "n_modes": lambda v: f"modes found: {number(v)}",
    "mode": lambda v: f"the mode lies at {number(v)} on the display scale",
    "mode_below": lambda v: f"the mode below it lies at {number(v)}",
    "mode_above": lambda v: f"the mode above it lies at {number(v)}",
    "valley_to_lower_mode": lambda v: f"the valley floor has {_share(v)} of the lower mode's density (0 %: empty)",
    "separation_in_bandwidths": lambda v: f"the modes are {number(v)} bandwidths apart",
    "spread": lambda v: f"robust standard deviation of the main population: {number(v)} display units",
    "q": lambda v: f"{_share(v)} of the fitted events lie below it",
    "distance_from_anchor": lambda v: f"the mode is {number(v)} away from where the template expects it",
    "n_around_mode": lambda v: f"events around the mode: {number(v)}",
    "expected_foreign_share": lambda v: f"{_share(v)} of its events are expected to be of other populations",
    "slope": lambda v: f"slope of the line of single cells: {number(v)}",
    "intercept": lambda v: f"its intercept: {number(v)}",
    "relative_spread": lambda v: f"single cells spread by {_share(v)} around it",
    "alike": lambda v: f"{_share(v)} of the bright events are alike, as beads are",
    "distance": lambda v: f"they are {number(v)} display units brighter than 99 % of the other events",
    "borrowed_from": lambda v: f"borrowed from {number(v)}",
    "weight_own": lambda v: f"the sample's own data count for {_share(v)} of the threshold",
    "own_threshold": lambda v: f"by itself the sample would have put it at {number(v)}",
    "robust_z": lambda v: f"robust z of the threshold among the samples of its group: {number(v)}",
    "gating_uncertainty": lambda v: f"gating uncertainty of the count: {number(v)}",
}
#: Diagnostics that are told elsewhere.
_TOLD = ("reason", "replicates_placed", "events_moved", "events_inside")


@dataclass(frozen=True, slots=True)
class GateStory:
    """One gate: a heading, its severity and what there is to say of it, line by line."""

    population: str
    heading: str
    severity: Severity
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A population of one sample and every gate it rests on, from all events down."""

    sample: str
    population: str
    summary: str
    severity: Severity
    gates: tuple[GateStory, ...]

    def __str__(self) -> str:
        """Plain text."""
        parts = [self.summary]
        for i, gate in enumerate(self.gates, 1):
            parts += ["", f"{i}. {gate.heading}", *(f"   {line}" for line in gate.lines)]
        return "\n".join(map(printable, parts))


def explain(
    gated: Run | GatingResult | str | Path,
    population: str,
    *,
    sample: str | None = None,
    template: GatingTemplate | str | Path | None = None,
) -> Explanation:
    """Explain why the gates of a population are where they are.

    Parameters
    ----------
    gated : Run, GatingResult or path
        A run, its folder, or what `gate` gave.
    population : str
        Id of the population.
    sample : str, optional
        Name of the sample; needed where a run holds several.
    template : GatingTemplate, name or path, optional
        The template that was applied, for what only it knows (which population a gate was fitted on, parameters). A
        released one is found by itself.

    Returns
    -------
    Explanation
        ``print`` it.

    Raises
    ------
    ConfigError
        No such population, or it is not said which sample.
    StoreError
        No such sample in the run.

    Examples
    --------
    >>> import nti7flow as nf
    >>> print(nf.explain(nf.gate("tube.fcs", "tbnk"), "cd4_t"))  # doctest: +SKIP
    >>> print(nf.explain("runs/first", "cd4_t", sample="SIM-001_day00_tbnk"))  # doctest: +SKIP
    """
    from nti7flow.study.notebook import GatingResult
    from nti7flow.study.store import open_run

    known = load_template(template) if isinstance(template, str | Path) else template
    if isinstance(gated, GatingResult):
        return _of_result(gated, population, known)
    run = open_run(gated) if isinstance(gated, str | Path) else gated
    if sample is None:
        if len(run.samples) != 1:
            raise ConfigError(f"{run.path} holds several samples; say which: {', '.join(run.samples)}.")
        sample = run.samples[0]
    strategy = run.strategy(sample)
    return explain_gates(
        strategy,
        {row["population"]: row for row in run.rows("counts", sample)},
        {row["population"]: row for row in run.rows("gate_fits", sample)},
        population,
        known or _released(run, strategy.template),
    )


def _of_result(result: GatingResult, population: str, template: GatingTemplate | None) -> Explanation:
    from nti7flow.study.tube_rows import fit_row

    strategy = result.strategy
    if template is None and strategy.template in released_templates():
        template = load_template(strategy.template)
    counts = {count.population: asdict(count) for count in result.counts}
    fits = {fit.population: fit_row(strategy.sample, fit) for fit in result.fits}
    return explain_gates(strategy, counts, fits, population, template)


def _released(run: Run, reference: str) -> GatingTemplate | None:
    """Return the released template that a run was made with; None where it was another of that name."""
    if reference not in released_templates():
        return None
    template = load_template(reference)
    used = run.step()["recipe"].get("templates", {}).get(reference, {})
    return template if used.get("sha256") == template.recipe_hash else None


def explain_gates(
    strategy: GatingStrategy,
    counts: Mapping[str, Row],
    fits: Mapping[str, Row],
    population: str,
    template: GatingTemplate | None,
) -> Explanation:
    """Explain a population from a strategy and the rows of the tables ``counts`` and ``gate_fits`` of its sample."""
    by_id = {each.id: each for each in strategy.populations}
    if population not in by_id:
        hint = did_you_mean(population, by_id) or f" It has {', '.join(by_id)}."
        raise ConfigError(f"{strategy.sample}: no population '{population}' in {strategy.template}.{hint}")
    wanted, waiting = set[str](), [population]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += [*by_id[name].needs, *_missing(by_id[name], template, by_id)]
    rows = _Rows(strategy, counts, fits, template)
    stories = tuple(
        rows.story(each) for each in strategy.populations if each.id in wanted
    )  # what is needed comes first
    row = counts[population]
    summary = f"{strategy.sample}: {by_id[population].label} ({population}): {_size(row)}; {by_id[population].status}"
    inherited = [flag for flag in _flags(row) if flag not in by_id[population].flags]
    if inherited:
        summary += f"; what it rests on adds {', '.join(inherited)}"
    return Explanation(strategy.sample, population, summary, row["severity"], stories)


def _missing(population: Population, template: GatingTemplate | None, by_id: Mapping[str, Population]) -> list[str]:
    """List what a gate would combine if it had one: a combination of what failed has no gate left to tell."""
    spec = _spec(template, population.id)
    operands = getattr(spec.gate, "operands", ()) if spec is not None and population.gate is None else ()
    return [name for name, _ in operands if name in by_id]


def _spec(template: GatingTemplate | None, name: str) -> PopulationSpec | None:
    if template is None:
        return None
    return next((spec for spec in template.populations if spec.id == name), None)


def _flags(row: Row) -> tuple[str, ...]:
    flags = row["flags"]
    return tuple(flags.split(";")) if isinstance(flags, str) and flags else tuple(flags or ())


def _size(row: Row) -> str:
    if row["n_events"] is None:
        return "not counted"
    of = "all events" if row["parent"] == "root" else row["parent"]
    share = "" if row["percent_parent"] is None else f", {row['percent_parent']:.1f} % of {of}"
    return f"{row['n_events']:,} events{share}"


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is stored of one sample."""

    strategy: GatingStrategy
    counts: Mapping[str, Row]
    fits: Mapping[str, Row]
    template: GatingTemplate | None

    def story(self, population: Population) -> GateStory:
        """Tell of one gate."""
        row, fit = self.counts[population.id], self.fits.get(population.id)
        spec = _spec(self.template, population.id)
        heading = f"{population.label} ({population.id}), from {population.parent or 'all events'}: {_size(row)}"
        lines = list(self._fitted(population, fit, spec) if fit is not None else _plain(population, spec))
        if fit is not None or population.status != "ok":  # what is written down is as it is
            lines.append(f"Status {population.status}: {STATUS_WORDS.get(population.status, population.status)}.")
        lines += [f"Flag {flag}: {flag_words(flag)}." for flag in population.flags]
        return GateStory(population.id, heading, _severity(row), tuple(lines))

    def _fitted(self, population: Population, row: Row, spec: PopulationSpec | None) -> Iterator[str]:
        reference = f"{row['method']}@{row['version']}"
        diagnostics = json.loads(row["diagnostics"] or "{}")
        step, before = _step(spec, reference, diagnostics.get("reason", ""), placed=population.gate is not None)
        markers = f" on {', '.join(step.dims)}" if step is not None else ""
        yield f"Method {reference}{markers}: {_does(reference)}"
        yield from before
        if row["n_fitted"]:
            of = "" if step is None else f"{step.fit_on or population.parent or 'all events'}: "
            yield f"Fitted on {of}{row['n_fitted']:,} events {SCOPE_WORDS.get(row['scope'], row['scope'])}."
        if population.gate is not None:
            yield f"It lies at {_place(population.gate)}."
            yield from self._firmness(row, diagnostics, self.counts[population.id]["n_events"])
        told = [word(diagnostics[key]) for key, word in DIAGNOSTIC_WORDS.items() if key in diagnostics]
        told += [
            f"{key}: {number(value)}"
            for key, value in diagnostics.items()
            if key not in DIAGNOSTIC_WORDS and key not in _TOLD
        ]
        if told:
            yield f"What the fit saw: {'; '.join(told)}."
        if step is not None:
            changed = list(_changed(step))
            yield f"Set by the template: {'; '.join(changed)}." if changed else "Parameters: all by default."

    def _firmness(self, row: Row, diagnostics: Mapping[str, Any], n_events: int | None) -> Iterator[str]:
        """How firmly the data hold it, from the replicates of the histogram."""
        parts = []
        if row["threshold_spread"] is not None:
            parts.append(f"it moves by {number(row['threshold_spread'])} display units (standard deviation)")
        if "replicates_placed" in diagnostics:
            placed = number(diagnostics["replicates_placed"])
            parts.append(f"{placed} of {N_REPLICATES} replicates of the data place it")
        moved, inside = diagnostics.get("events_moved"), diagnostics.get("events_inside")
        if isinstance(moved, int | float):
            share = f" ({_share(moved / inside)} of {inside:,})" if isinstance(inside, int) and inside else ""
            parts.append(f"{number(moved)} events change sides on average{share}")
        if parts:
            yield f"How firmly: {'; '.join(parts)}."


def _severity(row: Row) -> Severity:
    severity: Severity = row["severity"]
    return severity


def _plain(population: Population, spec: PopulationSpec | None) -> Iterator[str]:
    """Tell of a gate that nothing was fitted for."""
    gate = population.gate
    if gate is None:
        yield "It has no gate."
    elif isinstance(gate, BooleanGate):
        parts = [f"{'not ' if operand.negated else ''}{operand.population}" for operand in gate.operands]
        yield f"Combined: {f' {gate.operator} '.join(parts)}."
    elif _is_open(gate):
        yield "It takes nothing away: all events of its parent."
    elif spec is not None and isinstance(spec.gate, SameAsSpec):
        yield f"The gate of {spec.gate.same_as}: {_place(gate)}."
    else:
        yield f"Written down, not fitted: {_place(gate)}."


def _step(
    spec: PopulationSpec | None, reference: str, reason: str, *, placed: bool
) -> tuple[FittedSpec | None, list[str]]:
    """Find the step of the template that the row of a fit is of, and say what failed before (or at) it."""
    reasons = reason.split("; then ") if reason else []
    chain = spec.fits if spec is not None else ()
    step = next((fit for fit in chain if fit.method == reference), None)
    if len(reasons) < len(chain) and chain[len(reasons)].method == reference and placed:
        step = chain[len(reasons)]  # the same method may stand twice
    lines = []
    if reason.startswith("parent_"):
        return step, [f"Not tried: {flag_words(reason)}."]
    for i, text in enumerate(reasons):
        named = f"{chain[i].method} on {', '.join(chain[i].dims)}" if i < len(chain) else "a method"
        lines.append(f"{'Tried before' if placed else 'Tried'}: {named}: {text}.")
    return step, lines


def _does(reference: str) -> str:
    """First line of what a method says of itself."""
    try:
        documented = find_method(reference).fit.__doc__ or ""
    except ConfigError:  # of a newer version of this package
        documented = ""
    return documented.strip().partition("\n")[0] or "this version of nti7flow does not know it."


def _changed(step: FittedSpec) -> Iterator[str]:
    """Parameters that differ from their defaults."""
    parameters = method_parameters(step)
    for name, field in type(parameters).model_fields.items():
        value = getattr(parameters, name)
        if field.is_required():
            yield f"{name} {number(value)}"
        elif value != field.default:
            yield f"{name} {number(value)} (default {number(field.default)})"
    usual = FittedSpec.model_fields["tolerance"].default
    if step.tolerance != usual:
        yield f"tolerance {number(step.tolerance)} (default {number(usual)})"


def _is_open(gate: Gate) -> bool:
    return isinstance(gate, RectangleGate) and not any(v is not None for v in (*gate.lower, *gate.upper))


def _place(gate: Gate) -> str:
    """Where a gate lies, in display units and scale values."""
    if isinstance(gate, RectangleGate):
        sides = zip(gate.dimensions, gate.lower, gate.upper, strict=True)
        return "; ".join(_range(dimension, low, high) for dimension, low, high in sides)
    if isinstance(gate, PolygonGate):
        columns = zip(gate.dimensions, zip(*gate.vertices, strict=True), strict=True)
        ranges = "; ".join(_range(dimension, min(column), max(column)) for dimension, column in columns)
        return f"an outline of {len(gate.vertices)} points: {ranges}"
    if isinstance(gate, EllipsoidGate):
        return f"an ellipsoid around {number(list(gate.mean))} on {', '.join(d.title for d in gate.dimensions)}"
    if isinstance(gate, BooleanGate):
        return "a combination of other gates"
    return f"a {type(gate).__name__} on {', '.join(d.title for d in gate.dimensions)}"


def _range(dimension: object, low: float | None, high: float | None) -> str:
    title = getattr(dimension, "title", "")
    scale = _scale_values(dimension, low, high)
    if low is None or high is None:
        bound, side = (low, "at or above") if high is None else (high, "below")
        if bound is None:
            return f"{title}, no bound"
        return (
            f"{title} {side} {number(float(bound))} on the display scale{f', {scale} in scale values' if scale else ''}"
        )
    shown = f"{title} from {number(float(low))} to {number(float(high))} on the display scale"
    return shown + (f", {scale} in scale values" if scale else "")


def _scale_values(dimension: object, low: float | None, high: float | None) -> str:
    if not isinstance(dimension, Dimension):
        return ""
    return " to ".join(number(float(dimension.transform.inverse(v))) for v in (low, high) if v is not None)


def flag_words(flag: str) -> str:
    """Put a flag in words; an unknown one as it is."""
    if flag in FLAG_WORDS:
        return FLAG_WORDS[flag]
    if flag.startswith("parent_"):
        return f"its parent has the status {flag.removeprefix('parent_')}"
    if flag.endswith("_alone") and "_by_" in flag:
        marker, _, found = flag.removesuffix("_alone").partition("_by_")
        return f"{marker} is read from {found} alone, as the panel has no better channel"
    for status in STATUS_WORDS:
        if flag.endswith(f"_{status}"):
            return f"{flag.removesuffix(f'_{status}')}, which it combines, has the status {status}"
    return flag.replace("_", " ")


def flagged_first(severities: Mapping[str, Severity]) -> Sequence[str]:
    """Sort samples: those that most want a look first, otherwise by name."""
    return sorted(severities, key=lambda name: (-SEVERITY_ORDER.index(severities[name]), name))

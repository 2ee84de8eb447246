"""``--lock TEMPLATE@RUN``: the gates of an earlier run for every tube, moved only as control specimens move.

A gate that is placed anew at every visit cannot be told from an effect of the drug on the marker. A locked one can be
wrong where lots and settings change; what these do to it shows on the control specimen of each batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nti7flow.errors import ConfigError
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import PlacedGate, PolygonGate, RectangleGate
from nti7flow.gating.lending import LOCKED, NOT_BRIDGED, Floats, Own, Place, Prior, control_middles, moved_to
from nti7flow.gating.methods.registry import Placement
from nti7flow.gating.specs import FittedSpec
from nti7flow.gating.template import GatingTemplate
from nti7flow.study.store import open_run


@dataclass(frozen=True)
class Lock:
    """Gates of an earlier run.

    Attributes
    ----------
    template : str
        ``name@version`` of the template they were placed by.
    run : str
        Name of the run folder, and the step in it.
    sha256 : str
        Of the step, for the recipe.
    gates : mapping of str to tuple of gates
        By population, one for each tube of the run.
    samples : frozenset of str
        Tubes of the run.
    """

    template: str
    run: str
    sha256: str
    gates: Mapping[str, tuple[PlacedGate, ...]]
    samples: frozenset[str]

    def recipe(self) -> dict[str, str]:
        """Return what the recipe says of it."""
        return {"template": self.template, "step_sha256": self.sha256}


def open_lock(text: str, templates: Mapping[str, GatingTemplate]) -> Lock:
    """Read the gates of a run.

    Parameters
    ----------
    text : str
        ``TEMPLATE@RUN``: name of a template, with or without its version, and the path of a run folder.
    templates : mapping of str to GatingTemplate
        What the plan gates with, by reference.

    Raises
    ------
    ConfigError
        It is not of that form, the template is not gated with, or the run holds no gates of it.
    """
    parts = text.split("@")
    splits = [("@".join(parts[:i]), "@".join(parts[i:])) for i in range(1, len(parts))]
    found = [(name, path) for name, path in splits if name and (Path(path) / "run.json").is_file()]
    if not found:
        raise ConfigError(f"--lock {text}: TEMPLATE@RUN was expected, as in --lock tbnk@runs/locked; RUN a run folder.")
    name, path = found[0]
    named = [t for reference, t in templates.items() if name in (reference, t.spec.name)]
    if not named:
        raise ConfigError(f"--lock {text}: no tube is gated with {name}; templates here: {', '.join(templates)}.")
    template = named[0]
    run = open_run(path)
    strategies = {sample: run.strategy(sample) for sample in run.samples}
    of_template = {sample: s for sample, s in strategies.items() if s.template == template.reference}
    if not of_template:
        others = ", ".join(sorted({s.template for s in strategies.values()}))
        raise ConfigError(f"--lock {text}: that run has no tube gated with {template.reference}, only with {others}.")
    gates: dict[str, list[PlacedGate]] = {population: [] for population in _lockable(template)}
    for _, strategy in sorted(of_template.items()):
        for population in strategy.populations:
            placed = isinstance(population.gate, RectangleGate | PolygonGate) and population.status in (
                "ok",
                "borrowed",
            )
            if placed and population.id in gates:
                gates[population.id].append(population.gate)  # type: ignore[arg-type]
    return Lock(
        template=template.reference,
        run=f"{Path(path).name}/{run.step_folder().name}",
        sha256=next(e["sha256"] for e in run.index["steps"] if e["name"] == run.step_folder().name),
        gates={name: tuple(each) for name, each in gates.items() if each},
        samples=frozenset(of_template),
    )


def _lockable(template: GatingTemplate) -> Iterator[str]:
    """Yield the populations whose gates can be locked: fitted on compensated values. Beads are found in each tube."""
    for population in template.populations:
        if isinstance(population.gate, FittedSpec) and not population.gate.raw and population.gate.scope == "sample":
            yield population.id


def locked_priors(
    lock: Lock, population: str, axes: tuple[Dimension, ...], owns: Mapping[str, Own], places: Mapping[str, Place]
) -> dict[str, Prior]:
    """For each tube, the locked gate of a population, moved from the batches of the lock to its own.

    Parameters
    ----------
    population : str
        Id.
    axes : tuple of Dimension
        Display scales that all tubes share now.
    owns : mapping of str to Own
        Gates that the tubes' own data place, on those scales; those of control specimens are used.
    places : mapping of str to Place
        Every tube of the template.
    """
    vectors = [vector for gate in lock.gates.get(population, ()) if (vector := _shown_on(gate, axes)) is not None]
    sizes = [len(vector) for vector in vectors]
    if not sizes:
        return {}
    most = max(sorted(set(sizes)), key=sizes.count)
    kept = np.array([vector for vector in vectors if len(vector) == most])
    middle = np.median(kept, axis=0)
    spread = float(np.sqrt(np.mean(kept.var(axis=0)) / len(kept)))
    like = _placement(lock.gates[population][sizes.index(most)])
    controls = {b: v for b, v in control_middles(owns, places).items() if len(v) == most}
    home = {places[name].batch for name in lock.samples if name in places}
    there = [controls[batch] for batch in sorted(home) if batch in controls]
    priors = {}
    for name, place in places.items():
        bridge = place.batch in controls and there
        shift = controls[place.batch] - np.median(there, axis=0) if bridge and place.batch not in home else 0.0
        flags = () if bridge or place.batch in home else (NOT_BRIDGED,)
        priors[name] = Prior(moved_to(like, middle + shift), spread, len(kept), LOCKED, instead=True, flags=flags)
    return priors


def _shown_on(gate: PlacedGate, axes: tuple[Dimension, ...]) -> Floats | None:
    """Return the numbers of a gate on other display scales of the same channels; None where these differ."""
    old = [d for d in gate.dimensions if isinstance(d, Dimension)]
    if [d.detector for d in old] != [d.detector for d in axes]:
        return None
    if isinstance(gate, PolygonGate):
        points = np.array(gate.vertices)
        return np.stack([_moved(old[i], axes[i], points[:, i]) for i in range(2)], axis=1).ravel()
    sides = zip(old, axes, gate.lower, gate.upper, strict=True)
    bounds = [(o, n, bound) for o, n, lower, upper in sides for bound in (lower, upper) if bound is not None]
    return np.array([float(_moved(o, n, np.array([bound]))[0]) for o, n, bound in bounds])


def _moved(old: Dimension, new: Dimension, shown: Floats) -> Floats:
    if old.transform == new.transform:
        return shown
    return np.asarray(new.transform.apply(old.transform.inverse(shown)), np.float64)


def _placement(gate: PlacedGate) -> Placement:
    if isinstance(gate, PolygonGate):
        return Placement(vertices=gate.vertices)
    return Placement(lower=gate.lower[0], upper=gate.upper[0])

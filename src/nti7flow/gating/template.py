"""`GatingTemplate`: a checked template, and where to find released ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.gating.lending import Lender
from nti7flow.gating.specs import (
    BooleanSpec,
    FittedSpec,
    FixedSpec,
    PopulationSpec,
    QualitySpec,
    SameAsSpec,
    Scope,
    TemplateSpec,
)
from nti7flow.gating.yaml_source import Source, plain, read_yaml


@dataclass(frozen=True)
class GatingTemplate:
    """A template that has been read and checked; populations stand in an order in which they can be gated."""

    spec: TemplateSpec
    populations: tuple[PopulationSpec, ...]
    source: str

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.spec.name}@{self.spec.version}"

    @cached_property
    def recipe_hash(self) -> str:
        """SHA-256 of everything in the template that can change a number or a name in a table."""
        text = json.dumps(
            self.spec.model_dump(mode="json", by_alias=True, exclude={"title", "description"}), sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def population(self, name: str) -> PopulationSpec:
        """Return the population with this id."""
        for population in self.populations:
            if population.id == name:
                return population
        raise KeyError(name)

    @cached_property
    def waves(self) -> dict[str, int]:
        """For each population, the wave in which its gate is known: one more after every pooled fit it rests on."""
        ready: dict[str, int] = {}
        for population in self.populations:
            before = max((ready[name] for name in dependencies(population)), default=0)
            ready[population.id] = before + (pooled_scope(population) is not None)
        return ready

    @cached_property
    def markers(self) -> tuple[str, ...]:
        """Every marker that something is gated or drawn on, in the order of the populations."""
        names: dict[str, None] = {}
        for population in self.populations:
            for fit in population.fits:
                names |= dict.fromkeys((*fit.dims, *(marker for dims in fit.or_dims for marker in dims)))
            gate = population.fits[-1].on_failure if population.fits else population.gate
            if isinstance(gate, FixedSpec):
                names |= dict.fromkeys(gate.dims)
            names |= dict.fromkeys(population.plot or ())
        return tuple(names)

    @property
    def n_waves(self) -> int:
        """How many times every sample is visited; one unless fits are pooled."""
        return max(self.waves.values()) + 1

    @cached_property
    def lenders(self) -> dict[str, tuple[Lender, ...]]:
        """Populations whose gates lean on those of other samples, and on whose."""
        return {p.id: p.gate.borrow for p in self.populations if isinstance(p.gate, FittedSpec) and p.gate.borrow}

    @cached_property
    def controlled(self) -> tuple[str, ...]:
        """Populations whose gates are placed by tubes stained without their marker, where there are any."""
        return tuple(p.id for p in self.populations if isinstance(p.gate, FittedSpec) and p.gate.control)

    def __repr__(self) -> str:
        rows = "\n".join(f"  {p.parent or 'all events':<22} > {p.id:<18} {p.label}" for p in self.populations)
        return f"<GatingTemplate {self.reference}: {self.spec.title}>\n{rows}"


def pooled_scope(population: PopulationSpec) -> Scope | None:
    """Scope of a fit that pools samples, else None."""
    gate = population.gate
    return gate.scope if isinstance(gate, FittedSpec) and gate.scope != "sample" else None


def dependencies(population: PopulationSpec) -> Iterator[str]:
    """Ids of the populations that must be known before this one can be gated."""
    if population.parent is not None:
        yield population.parent
    yield from (fit.fit_on for fit in population.fits if fit.fit_on is not None)
    gate = population.gate
    if isinstance(gate, SameAsSpec):
        yield gate.same_as
    if isinstance(gate, QualitySpec) and gate.of is not None:
        yield gate.of
    if isinstance(gate, BooleanSpec):
        yield from (name for name, _ in gate.operands)


def load_template(reference: str | Path) -> GatingTemplate:
    """Read and check a template.

    Parameters
    ----------
    reference : str or Path
        Path of a YAML file, or the name of a released template: ``tbnk`` (its newest version) or ``tbnk@1.0.0``.

    Raises
    ------
    ConfigError
        It does not exist or says something wrong; every problem is listed with its line.
    """
    path = template_path(reference)
    source = read_yaml(path)
    problems = list(_problems(source))
    try:
        spec = source.validate(TemplateSpec)
    except ConfigError as error:
        raise ConfigError("\n".join([str(error), *problems])) from None
    if problems:
        raise ConfigError("\n".join(problems))
    return GatingTemplate(spec, _ordered(spec.populations), str(path))


def _problems(source: Source) -> Iterator[str]:
    """Check what single fields cannot tell: names that refer to each other.

    A population that says something wrong in itself is passed over: that is in the listing anyway.
    """
    written = source.data.get("populations")
    written = [item if isinstance(item, dict) else {} for item in written] if isinstance(written, list) else []
    ids = [str(item.get("id")) for item in written]
    direct: dict[str, set[str]] = {}
    for i, item in enumerate(written):
        try:
            population = PopulationSpec.model_validate(plain(item))
        except ValidationError:
            continue
        who = f"population {population.id}"
        if population.id in ids[:i]:
            yield source.problem(("populations", i, "id"), f"{who}: the id stands twice; ids must differ.")
            continue
        direct[population.id] = set(dependencies(population))
        for name in dependencies(population):
            if name not in ids:
                key = "parent" if name == population.parent else "gate"
                hint = did_you_mean(name, ids)
                yield source.problem(("populations", i, key), f"{who}: no population '{name}'.{hint}")
    pooled = [i for i, item in enumerate(written) if _says(item, "scope") not in (None, "sample")]
    if pooled and any(_says(item, "borrow") for item in written):
        yield source.problem(
            ("populations", pooled[0], "gate"),
            "scope and borrow do not go together in one template; choose one of them.",
        )
    if "root" in ids:
        yield source.problem(("populations", ids.index("root")), "'root' means all events and cannot be an id.")
    if circle := [name for name in direct if name in _behind(name, direct)]:
        here = ("populations", ids.index(circle[0]))
        yield source.problem(here, f"these populations depend on each other: {', '.join(circle)}.")


def _says(item: Mapping[str, Any], key: str) -> Any:
    """Return what a population as written says of its gate."""
    gate = item.get("gate")
    return gate.get(key) if isinstance(gate, dict) else None


def _behind(name: str, direct: Mapping[str, set[str]]) -> set[str]:
    """Everything a population depends on, directly or through others."""
    behind: set[str] = set()
    waiting = [name]
    while waiting:
        more = direct.get(waiting.pop(), set()) - behind
        behind |= more
        waiting.extend(more)
    return behind


def _ordered(populations: Sequence[PopulationSpec]) -> tuple[PopulationSpec, ...]:
    """Put populations after what they depend on, otherwise as written."""
    placed: dict[str, PopulationSpec] = {}
    waiting = list(populations)
    while waiting:
        ready = next(p for p in waiting if all(name in placed for name in dependencies(p)))
        placed[ready.id] = ready
        waiting.remove(ready)
    return tuple(placed.values())


def library_folder() -> Path:
    """Folder of the released templates: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_gating"
    return installed if installed.is_dir() else package.parents[1] / "gating"


def released_templates() -> dict[str, Path]:
    """``name@version`` to path for all released templates, names sorted, versions ascending."""
    paths = sorted(
        library_folder().glob("*/*.yaml"),
        key=lambda p: (p.parent.name, [int(n) if n.isdigit() else 0 for n in p.stem.split(".")]),
    )
    return {f"{path.parent.name}@{path.stem}": path for path in paths}


def template_path(reference: str | Path) -> Path:
    """Path of a template given by path, ``name`` or ``name@version``."""
    text = str(reference)
    if isinstance(reference, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        path = Path(reference)
        if not path.is_file():
            raise ConfigError(f"{text}: no such template file. Released ones: {', '.join(released_templates())}.")
        return path
    released = released_templates()
    if text in released:
        return released[text]
    versions = [path for name, path in released.items() if name.partition("@")[0] == text]
    if versions:
        return versions[-1]
    names = [*released, *{name.partition("@")[0] for name in released}]
    raise ConfigError(f"no released template '{text}'; there are {', '.join(released)}.{did_you_mean(text, names)}")

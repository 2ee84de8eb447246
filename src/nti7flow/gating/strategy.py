"""`GatingStrategy`: one sample's concrete gates, and their application. Applying is pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import MissingSpillover, StoreError
from nti7flow.events.sample import Sample
from nti7flow.events.spectrum import Matrix, matrix_from_dict
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.gating.binding import check_dyes, find_detectors, rename_channels, rename_detectors
from nti7flow.gating.compiler import compile_strategy
from nti7flow.gating.dimensions import AnyDimension, Dimension
from nti7flow.gating.gates import BooleanGate, Gate, gate_from_dict, with_dimensions
from nti7flow.gating.values import DisplayValues

Status = Literal["ok", "borrowed", "fell_back", "failed", "absent", "not_in_panel", "not_interpretable"]
Severity = Literal["", "info", "review", "invalid"]
STATUSES: tuple[Status, ...] = get_args(Status)
#: What each status means for whoever uses the count.
SEVERITY: dict[Status, Severity] = {
    "ok": "",
    "borrowed": "info",
    "fell_back": "review",
    "failed": "invalid",
    "absent": "info",
    "not_in_panel": "info",
    "not_interpretable": "invalid",
}
SEVERITY_ORDER: tuple[Severity, ...] = ("", "info", "review", "invalid")
SCHEMA = "nti7flow/strategy/1"
#: What the matrix of a tube is called once its gates are for any tube.
OWN = "spillover"
#: Source of the matrix of a tube whose file holds none, where gates made elsewhere ask for it.
NOT_IN_FILE = "not in the file"
#: Flag of a gate on fluorescence that was to be compensated by it.
NOT_COMPENSATED = "not_compensated"
#: Flag of a gate that is called an ellipsoid and holds an unbounded region.
NOT_AN_ELLIPSOID = "not_an_ellipsoid"


def worst(*severities: Severity) -> Severity:
    """Return the most severe of some; nothing where there are none."""
    return max(severities, key=SEVERITY_ORDER.index, default="")


@dataclass(frozen=True, slots=True)
class Population:
    """A population of one sample: its gate, or why it has none.

    ``parent`` is the population the gate is applied to; None is all events. A population that has no gate has no count.
    """

    id: str
    label: str
    parent: str | None
    gate: Gate | None
    status: Status
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        texts = all(isinstance(text, str) for text in (self.id, self.label, *self.flags))
        if not texts or self.status not in STATUSES:
            raise ValueError(
                f"population {self.id!r} needs an id, a label, flags and a status of {', '.join(STATUSES)}"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """Populations it rests on: its parent, and what its gate combines."""
        operands = self.gate.operands if isinstance(self.gate, BooleanGate) else ()
        return (*(() if self.parent is None else (self.parent,)), *(operand.population for operand in operands))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id,
            "label": self.label,
            "parent": self.parent,
            "gate": None if self.gate is None else self.gate.to_dict(),
            "status": self.status,
            "flags": list(self.flags),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Population:
        """Rebuild from `to_dict`."""
        gate = None if data["gate"] is None else gate_from_dict(data["gate"])
        return cls(data["id"], data["label"], data["parent"], gate, data["status"], tuple(data["flags"]))


class Members(Mapping[str, NDArray[np.intp] | None]):
    """Which events belong to each population: sorted event indices, or None where there is no gate."""

    def __init__(self, n_events: int) -> None:
        self.n_events = n_events
        self._rows: dict[str | None, NDArray[np.intp] | None] = {None: np.arange(n_events)}

    def rows(self, population: str | None) -> NDArray[np.intp] | None:
        """Sorted indices of the events of a population; of all events for None."""
        return self._rows[population]

    def mask(self, population: str) -> NDArray[np.bool_] | None:
        """Membership of every event, shape (n_events,), or None."""
        rows = self._rows[population]
        if rows is None:
            return None
        mask = np.zeros(self.n_events, np.bool_)
        mask[rows] = True
        return mask

    def set(self, population: str, rows: NDArray[np.intp] | None) -> None:
        """Record a population."""
        self._rows[population] = rows

    def __getitem__(self, population: str) -> NDArray[np.intp] | None:
        return self._rows[population]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._rows if name is not None)

    def __len__(self) -> int:
        return len(self._rows) - 1


def apply_gate(values: DisplayValues, population: Population, members: Members) -> None:
    """Gate one population on the survivors of its parent and record it in ``members``."""
    gate, rows = population.gate, members.rows(population.parent)
    if gate is None or rows is None:
        members.set(population.id, None)
    elif isinstance(gate, BooleanGate):
        masks = {o.population: members.mask(o.population) for o in gate.operands}
        sides = {name: mask[rows] for name, mask in masks.items() if mask is not None}
        members.set(population.id, rows[gate.combine(sides)] if len(sides) == len(masks) else None)
    else:
        members.set(population.id, rows[gate.contains(values.of(gate.dimensions, rows))])


@dataclass(frozen=True, slots=True)
class GatingStrategy:
    """Concrete gates in the order they are applied, with the matrices they were made for.

    Attributes
    ----------
    template : str
        What the gates are from: a template, name@version, or the name of a file.
    sample, sha256, data_set
        The tube they are for. A strategy that was read from a file is for any tube (``sha256`` empty) until it is bound
        to one by `for_sample`.
    spillover : Spillover
        The tube's own matrix, for dimensions that are compensated and name no other.
    populations : tuple of Population
        Parents, and what boolean gates combine, before those that need them.
    matrices : mapping of str to Matrix
        Matrices that dimensions name.
    """

    template: str
    sample: str
    sha256: str
    data_set: int
    spillover: Spillover
    populations: tuple[Population, ...]
    matrices: Mapping[str, Matrix] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrices", dict(self.matrices))  # whoever gave it may change his
        known: set[str] = set()
        for population in self.populations:
            if population.id in known:
                raise ValueError(f"population {population.id} stands twice")
            if late := [name for name in population.needs if name not in known]:
                raise ValueError(f"population {population.id} stands before {late[0]}, which it needs")
            known.add(population.id)
        for dimension in self.dimensions:
            if isinstance(dimension, Dimension) and dimension.matrix and dimension.matrix not in self.matrices:
                raise ValueError(f"a gate on {dimension.title} needs matrix {dimension.matrix}, and there is none")

    @property
    def dimensions(self) -> tuple[AnyDimension, ...]:
        """Every axis of every gate, in order."""
        gates = (p.gate for p in self.populations if p.gate is not None and not isinstance(p.gate, BooleanGate))
        return tuple(dimension for gate in gates for dimension in gate.dimensions)

    @property
    def counted(self) -> tuple[Population, ...]:
        """Populations that have members: those that have a gate, as has all that they rest on."""
        known: set[str] = set()
        for population in self.populations:
            if population.gate is not None and known.issuperset(population.needs):
                known.add(population.id)
        return tuple(population for population in self.populations if population.id in known)

    def matrix_of(self, dimension: Dimension) -> Matrix:
        """Return the matrix that a compensated dimension means: one it names, else the tube's own."""
        return self.matrices[dimension.matrix] if dimension.matrix else self.spillover

    @property
    def needs_spillover(self) -> bool:
        """Whether a gate is compensated by the tube's own matrix."""
        return any(isinstance(d, Dimension) and d.compensated and not d.matrix for d in self.dimensions)

    def for_sample(
        self, sample: Sample, *, name: str | None = None, spillover: Spillover | str = "keyword"
    ) -> GatingStrategy:
        """Bind a strategy that is for any tube to one: names become its detectors, the tube's own matrix is filled in.

        Parameters
        ----------
        sample : Sample
            The tube.
        name : str, optional
            Name of the sample; that of its file where left out.
        spillover : Spillover or str
            The tube's own matrix: ``keyword`` (the one in the file), ``none``, or the path of a CSV. Only asked for
            where a gate is compensated by it. In a file without one such gates are applied as they are, as Gating-ML
            2.0 says, and those on fluorescence have the flag ``not_compensated``: their counts are for review. A
            strategy that is bound already keeps its matrix.

        Raises
        ------
        UnknownMarker, AmbiguousMarker
            A channel that the strategy gates on is missing or could be several.
        SpilloverError
            A matrix that a gate needs cannot be read, or names detectors that the tube does not have.
        """
        if self.sha256:
            self._check_identity(sample)
            return replace(self, sample=name) if name else self
        bound = self._bound(sample, spillover)
        return replace(bound, sample=name or sample.path.stem, sha256=sample.sha256, data_set=sample.data_set)

    def for_any_tube(self) -> GatingStrategy:
        """Return the same gates for any tube; those compensated by the tube's own matrix keep that matrix."""
        if not self.sha256:
            return self
        key, matrices = "", dict(self.matrices)
        if self.needs_spillover and self.spillover.detectors:
            key = OWN
            while key in matrices:
                key += "_"
            matrices[key] = self.spillover
        return replace(
            self,
            sample="",
            sha256="",
            data_set=0,
            spillover=Spillover.none(),
            populations=tuple(replace(p, gate=_with_own_matrix(p.gate, key)) for p in self.populations),
            matrices=matrices,
        )

    def _bound(self, sample: Sample, spillover: Spillover | str) -> GatingStrategy:
        if isinstance(spillover, str) and self.needs_spillover:
            try:
                spillover = spillover_for(sample, spillover)
            except MissingSpillover:
                spillover = Spillover((), np.empty((0, 0)), NOT_IN_FILE)
        own = spillover.for_panel(sample.panel) if isinstance(spillover, Spillover) else Spillover.none()
        detectors = find_detectors(sample, (name for d in self.dimensions for name in d.detectors))
        check_dyes(sample, self.dimensions)
        used = {d.matrix for d in self.dimensions if isinstance(d, Dimension)}
        matrices = {
            key: rename_detectors(matrix, sample).for_panel(sample.panel)
            for key, matrix in self.matrices.items()
            if key in used
        }
        populations = tuple(
            replace(p, gate=rename_channels(p.gate, sample, detectors, {"": own, **matrices})) for p in self.populations
        )
        if own.source == NOT_IN_FILE:
            populations = tuple(_flag_uncompensated(p, sample) for p in populations)
        return replace(self, spillover=own, populations=populations, matrices=matrices)

    def apply(self, sample: Sample) -> Members:
        """Say which events belong to each population. Events are taken from ``sample``, gates from here alone.

        A strategy for any tube is applied with the matrix in the file where a gate asks for it.

        Raises
        ------
        StoreError
            The strategy was made for another file.
        """
        if self.sha256:
            self._check_identity(sample)
        bound = self if self.sha256 else self._bound(sample, "keyword")
        members = Members(sample.n_events)
        for name, rows in compile_strategy(bound, sample).run().items():
            members.set(name, rows)
        return members

    def _check_identity(self, sample: Sample) -> None:
        if (sample.sha256, sample.data_set) != (self.sha256, self.data_set):
            raise StoreError(
                f"{sample.path}: is not the file this strategy was made for (SHA-256 {sample.sha256[:12]}…, "
                f"expected {self.sha256[:12]}…)."
            )

    def population(self, name: str) -> Population:
        """Return the population with this id."""
        for population in self.populations:
            if population.id == name:
                return population
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "schema": SCHEMA,
            "template": self.template,
            "sample": self.sample,
            "sha256": self.sha256,
            "data_set": self.data_set,
            "spillover": self.spillover.to_dict(),
            **({"matrices": {k: m.to_dict() for k, m in self.matrices.items()}} if self.matrices else {}),
            "populations": [population.to_dict() for population in self.populations],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GatingStrategy:
        """Rebuild from `to_dict`."""
        if data.get("schema") != SCHEMA:
            raise StoreError(f"strategy schema is {data.get('schema')!r}; this version reads {SCHEMA!r}.")
        return cls(
            data["template"],
            data["sample"],
            data["sha256"],
            data["data_set"],
            Spillover.from_dict(data["spillover"]),
            tuple(Population.from_dict(p) for p in data["populations"]),
            {key: matrix_from_dict(matrix) for key, matrix in data.get("matrices", {}).items()},
        )

    def __repr__(self) -> str:
        lines = [f"<GatingStrategy {self.template} for {self.sample or 'any tube'}>"]
        lines += [f"  {p.parent or 'all events'} > {p.id}: {p.status}" for p in self.populations]
        return "\n".join(lines)


def _with_own_matrix(gate: Gate | None, key: str) -> Gate | None:
    """Return a gate whose dimensions name the matrix that compensated them; without a key nothing did."""
    if gate is None or isinstance(gate, BooleanGate):
        return gate
    return with_dimensions(gate, [_with_key(dimension, key) for dimension in gate.dimensions])


def _with_key(dimension: AnyDimension, key: str) -> AnyDimension:
    if not isinstance(dimension, Dimension):
        return dimension
    plain = replace(dimension, marker="")  # that of the tube; of gates for any tube a marker is a dye
    own = dimension.compensated and not dimension.matrix
    return replace(plain, matrix=key, compensated=bool(key)) if own else plain


def _flag_uncompensated(population: Population, sample: Sample) -> Population:
    gate = population.gate
    if gate is None or isinstance(gate, BooleanGate):
        return population
    wanted = (d.detector for d in gate.dimensions if isinstance(d, Dimension) and d.compensated and not d.matrix)
    if not any(sample.panel.detector(name).role == "fluorescence" for name in wanted):
        return population
    return replace(population, flags=(*population.flags, NOT_COMPENSATED))

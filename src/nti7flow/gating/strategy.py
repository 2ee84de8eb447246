"""`GatingStrategy`: one sample's concrete gates, and their application. Applying is pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import StoreError
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.gating.gates import BooleanGate, Gate, gate_from_dict
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
    """One sample's concrete gates in the order they are applied, with the matrix they were made for."""

    template: str
    sample: str
    sha256: str
    data_set: int
    spillover: Spillover
    populations: tuple[Population, ...]

    def apply(self, sample: Sample) -> Members:
        """Say which events belong to each population. Events are taken from ``sample``, gates from here alone."""
        if (sample.sha256, sample.data_set) != (self.sha256, self.data_set):
            raise StoreError(
                f"{sample.path}: is not the file this strategy was made for (SHA-256 {sample.sha256[:12]}…, "
                f"expected {self.sha256[:12]}…)."
            )
        members, values = Members(sample.n_events), DisplayValues(sample, self.spillover)
        for population in self.populations:
            apply_gate(values, population, members)
        return members

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
        )

    def __repr__(self) -> str:
        lines = [f"<GatingStrategy {self.template} for {self.sample}>"]
        lines += [f"  {p.parent or 'all events'} > {p.id}: {p.status}" for p in self.populations]
        return "\n".join(lines)

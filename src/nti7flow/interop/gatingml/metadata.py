"""What was read from the gates of a Gating-ML document, with what its metadata adds."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nti7flow.errors import Nti7flowError
from nti7flow.events.spectrum import Matrix, make_matrix, matrix_from_dict
from nti7flow.events.spillover import Spillover
from nti7flow.gating.dimensions import AnyDimension, Dimension
from nti7flow.gating.gates import BooleanGate, Gate, Operand, QuadrantGate, gate_from_dict, with_dimensions
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.gatingml.forms import Floats, Forms, square_matrix
from nti7flow.interop.gatingml.notes import AxisNote, MatrixNote, Metadata, PopulationNote, named


def with_metadata(strategy: GatingStrategy, metadata: Metadata | None) -> GatingStrategy:
    """Return what was read from the gates of a document, with what its metadata adds.

    Geometry is always that of the gates. Metadata that does not fit them, because another program added, removed or
    changed gates, is left out for the population it is about; this is never an error.

    Parameters
    ----------
    strategy : GatingStrategy
        Read from the gates alone: names are ids of the document.
    metadata : Metadata or None
        From `metadata_of`.
    """
    if metadata is None:
        return strategy
    try:
        return _Merge(strategy, metadata).merge()
    except (ValueError, Nti7flowError):  # names that now stand for two things
        return strategy


@dataclass
class _Merge:
    said: GatingStrategy
    metadata: Metadata
    spillover: Spillover = field(default_factory=Spillover.none)
    matrices: dict[str, Matrix] = field(default_factory=dict)
    #: Names of matrices by id, the tube's own being "".
    matrix_names: dict[str, str] = field(default_factory=dict)

    def merge(self) -> GatingStrategy:
        """Return the strategy, or raise ValueError where its parts do not fit together."""
        self._merge_matrices()
        note = self.metadata
        whole = replace(
            self.said,
            template=note.template,
            sample=note.sample,
            sha256=note.sha256,
            data_set=note.data_set,
            spillover=self.spillover,
            populations=(),
            matrices=self.matrices,
        )
        self.gates = {population.id: population for population in self.said.populations}
        self.notes = list(_distinct(note.populations))
        self.names = {p.gate_id: p.id for p in self.notes if p.gate_id in self.gates}
        ids = {name: gate_id for gate_id, name in self.names.items()}
        self.needed_by: dict[str, set[str]] = {}
        for population in self.said.populations:
            for name in population.needs:
                self.needed_by.setdefault(name, set()).add(population.id)
        self.forms = Forms(whole, {name: matrix_id for matrix_id, name in self.matrix_names.items()}, ids)
        return replace(whole, populations=tuple(_in_order(self._populations())))

    def _merge_matrices(self) -> None:
        """Take the matrices of the document, under their own names, and those that it only notes."""
        left = dict(self.said.matrices)
        for note in (self.metadata.spillover, *self.metadata.matrices):
            matrix = self._matrix(note, left.get(note.matrix_id))
            own = note.name is None
            if matrix is None or (own and not isinstance(matrix, Spillover)):
                continue
            if own and not self.metadata.sha256 and self._is_used(note.matrix_id):
                continue  # a strategy for any tube has no matrix of its own that gates could name
            if note.matrix_id in left:
                del left[note.matrix_id]
                self.matrix_names[note.matrix_id] = note.name or ""
            if own:
                assert isinstance(matrix, Spillover)
                self.spillover = matrix
            else:
                self.matrices[str(note.name)] = matrix
        if left.keys() & self.matrices.keys():
            raise ValueError("two matrices of one name")
        self.matrices |= left

    def _is_used(self, matrix_id: str) -> bool:
        return any(isinstance(d, Dimension) and d.matrix == matrix_id for d in self.said.dimensions)

    def _matrix(self, note: MatrixNote, said: Matrix | None) -> Matrix | None:
        """Return a matrix as it was if that is what the document says, else as the document has it."""
        noted, square = _noted_matrix(note)
        if said is None:  # what changes values stands in the document
            return noted if square is None else None
        # Rows that complete spectra come from a decomposition, which differs a little between computers.
        same = square is not None and square[0] == said.detectors and np.allclose(square[1], said.matrix, 1e-9, 1e-9)
        used = {d.detector for d in self.said.dimensions if isinstance(d, Dimension) and d.matrix == note.matrix_id}
        if noted is not None and same and used & set(said.detectors) <= set(noted.outputs):
            return noted
        return make_matrix(said.detectors, said.detectors, np.asarray(said.matrix), note.source)

    def _populations(self) -> list[Population]:
        """Return populations with their notes, in the order of the notes, then those that have none."""
        found: list[Population] = []
        done: set[str] = set()
        for note in self.notes:
            if not note.gate_id:
                found += self._without_gate(note)
            elif note.gate_id in self.gates:
                said = self._own(self.gates[note.gate_id], note)
                restored = None if note.gate is None else self._as_it_was(note)
                done |= {note.gate_id} if restored is None else {note.gate_id, *note.helpers}
                population = said if restored is None else replace(said, gate=restored)
                found.append(replace(population, id=note.id, label=note.label, status=note.status, flags=note.flags))
        found += [self._own(population, None) for name, population in self.gates.items() if name not in done]
        return found

    def _without_gate(self, note: PopulationNote) -> list[Population]:
        gate = None if note.gate is None else _gate(note.gate)
        if note.gate is not None and (gate is None or not self._has_matrices(gate)):
            return []
        return [Population(note.id, note.label, note.parent, gate, note.status, note.flags)]

    def _has_matrices(self, gate: Gate) -> bool:
        axes = () if isinstance(gate, BooleanGate) else gate.dimensions
        return all(not isinstance(d, Dimension) or not d.matrix or d.matrix in self.matrices for d in axes)

    def _as_it_was(self, note: PopulationNote) -> Gate | None:
        """Return a gate as it was if the document still says just that, in its own way; else None."""
        gate = None if note.gate is None else _gate(note.gate)
        helpers = iter(note.helpers)
        if gate is None or not self._has_matrices(gate) or note.gate_id not in self.gates:
            return None
        population = Population(note.id, "", note.parent, gate, "ok")
        try:
            form = self.forms.of(population, lambda number: next(helpers))
        except (ValueError, KeyError, StopIteration):
            return None
        said = self.gates[note.gate_id]
        same = said.gate == form.gate and self.names.get(said.parent or "") == note.parent
        same &= tuple(helper.id for helper in form.helpers) == note.helpers
        same &= all(_is(self.gates.get(helper.id), helper) for helper in form.helpers)
        # A helper that a gate of another program rests on has to stay.
        same &= all(self.needed_by.get(name, set()) <= {note.gate_id} for name in note.helpers)
        return gate if same else None

    def _own(self, population: Population, note: PopulationNote | None) -> Population:
        """Return a population of the document under our names, its axes with what is known of them."""
        gate = population.gate
        if isinstance(gate, BooleanGate):
            operands = tuple(Operand(self.names.get(o.population, o.population), o.negated) for o in gate.operands)
            gate = replace(gate, operands=operands)
        elif gate is not None:
            notes = {axis.channel: axis for axis in note.axes} if note is not None else {}
            axes = tuple(self._axis(axis, notes) for axis in gate.dimensions)
            gate = with_dimensions(gate, axes)
            if isinstance(gate, QuadrantGate):
                gate = replace(gate, name=self.metadata.quadrant_sets.get(gate.name, gate.name))
        parent = population.parent
        return replace(population, parent=None if parent is None else self.names.get(parent, parent), gate=gate)

    def _axis(self, said: AnyDimension, notes: Mapping[str, AxisNote]) -> AnyDimension:
        axis = named(said, self.matrix_names)
        if not isinstance(axis, Dimension) or axis.detector not in notes:
            return axis
        note = notes[axis.detector]
        axis = replace(axis, marker=note.marker)
        noted = replace(
            axis,
            compensated=axis.compensated if note.compensated is None else note.compensated,
            matrix=axis.matrix if note.matrix is None else note.matrix,
        )
        try:
            fits = (not noted.matrix or noted.matrix in self.matrices) and self.forms.axis(noted) == said
        except ValueError:
            fits = False
        return noted if fits else axis


def _distinct(notes: Iterable[PopulationNote]) -> Iterator[PopulationNote]:
    """Yield the first note about each population and each gate."""
    ids: set[str] = set()
    gate_ids: set[str] = set()
    for note in notes:
        if note.id not in ids and note.gate_id not in gate_ids:
            yield note
        ids.add(note.id)
        gate_ids |= {note.gate_id} - {""}


def _noted_matrix(note: MatrixNote) -> tuple[Matrix | None, tuple[tuple[str, ...], Floats] | None]:
    """Return the matrix of a note, and as a document would hold it: not at all where no gate could use it."""
    try:
        noted = None if note.matrix is None else matrix_from_dict(note.matrix)
    except (ValueError, KeyError, TypeError, Nti7flowError):
        return None, None
    try:
        return noted, None if noted is None else square_matrix(noted)
    except ValueError:
        return noted, None


def _is(found: Population | None, helper: Population) -> bool:
    return found is not None and (found.gate, found.parent) == (helper.gate, helper.parent)


def _gate(data: dict[str, Any]) -> Gate | None:
    try:
        return gate_from_dict(data)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _in_order(populations: list[Population]) -> Iterator[Population]:
    """Yield populations in their order, but after those they need; without those whose needs are not there."""
    waiting: dict[str, list[int]] = {}
    missing: list[int] = []
    for i, population in enumerate(populations):
        needs = set(population.needs)
        missing.append(len(needs))
        for name in needs:
            waiting.setdefault(name, []).append(i)
    ready = [i for i, number in enumerate(missing) if number == 0]
    heapq.heapify(ready)
    while ready:
        population = populations[heapq.heappop(ready)]
        yield population
        for i in waiting.pop(population.id, ()):
            missing[i] -= 1
            if missing[i] == 0:
                heapq.heappush(ready, i)

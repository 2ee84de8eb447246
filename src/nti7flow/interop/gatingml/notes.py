"""What a strategy holds beside its geometry, as the ``custom_info`` of a Gating-ML document has it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nti7flow.events.spectrum import Matrix, make_matrix
from nti7flow.gating.dimensions import AnyDimension, Dimension
from nti7flow.gating.gates import BooleanGate
from nti7flow.gating.strategy import GatingStrategy, Population, Status
from nti7flow.interop.gatingml.forms import Form, Forms, WrittenMatrix
from nti7flow.interop.gatingml.grammar import full

#: Namespace of our elements within ``custom_info``.
NAMESPACE = "urn:nti7flow:gatingml"
SCHEMA: Literal["nti7flow/gatingml/1"] = "nti7flow/gatingml/1"


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class AxisNote(_Note):
    """What is known of an axis beside what its gate says.

    ``compensated`` and ``matrix`` stand here where the document says them otherwise: a channel that its matrix does not
    cover is written as uncompensated.
    """

    channel: str
    marker: str = ""
    compensated: bool | None = None
    matrix: str | None = None


class PopulationNote(_Note):
    """What is known of a population beside its gate.

    ``gate_id`` is its gate in the document; empty where it has none. ``gate`` is the gate as it was, where the document
    says it in another way or not at all, and ``helpers`` are the gates that serve no other end.
    """

    id: str
    label: str
    status: Status = "ok"
    flags: tuple[str, ...] = ()
    gate_id: str = ""
    parent: str | None = None
    axes: tuple[AxisNote, ...] = ()
    gate: dict[str, Any] | None = None
    helpers: tuple[str, ...] = ()


class MatrixNote(_Note):
    """What is known of a matrix beside its numbers; ``name`` is None for the tube's own.

    ``matrix`` is the matrix as it was, where the document holds it in another way or not at all.
    """

    name: str | None = None
    source: str = ""
    matrix_id: str = ""
    matrix: dict[str, Any] | None = None


class Metadata(_Note):
    """What a strategy holds beside its geometry."""

    version: Literal["nti7flow/gatingml/1"] = Field(alias="schema")
    template: str
    sample: str = ""
    sha256: str = Field("", pattern="^([0-9a-f]{64})?$")
    data_set: int = 0
    spillover: MatrixNote
    matrices: tuple[MatrixNote, ...] = ()
    quadrant_sets: dict[str, str] = {}
    populations: tuple[PopulationNote, ...] = ()

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield names of elements and their texts: one for all but the populations, then one for each of them.

        In pieces, because XML parsers bound a text; JSON in ASCII, which XML can hold whatever a name consists of.
        """
        yield "strategy", _json(self.model_copy(update={"populations": ()}))
        for population in self.populations:
            yield "population", _json(population)


def _json(note: _Note) -> str:
    return json.dumps(note.model_dump(exclude_defaults=True, by_alias=True))


def describe(
    strategy: GatingStrategy,
    written: Mapping[str, Form],
    forms: Forms,
    matrix_ids: Mapping[str, str],
    quadrant_sets: Mapping[str, str],
) -> Metadata:
    """Return the metadata of a strategy.

    Parameters
    ----------
    strategy : GatingStrategy
        The strategy.
    written : mapping of str to Form
        How its populations are said, by id.
    forms : Forms
        What found them.
    matrix_ids : mapping of str to str
        Id in the document by name of the matrix; the tube's own is called "".
    quadrant_sets : mapping of str to str
        Name of a set of quadrants by its id, where the two differ.
    """
    names = {matrix_id: name for name, matrix_id in matrix_ids.items()}
    return Metadata(
        schema=SCHEMA,
        template=strategy.template,
        sample=strategy.sample,
        sha256=strategy.sha256,
        data_set=strategy.data_set,
        spillover=_matrix_note(None, strategy.spillover, forms.matrices.get("")),
        matrices=tuple(_matrix_note(name, m, forms.matrices.get(name)) for name, m in strategy.matrices.items()),
        quadrant_sets=dict(quadrant_sets),
        populations=tuple(_population_note(p, written.get(p.id), forms, names) for p in strategy.populations),
    )


def _matrix_note(name: str | None, matrix: Matrix, written: WrittenMatrix | None) -> MatrixNote:
    if written is not None and make_matrix(written.detectors, written.detectors, written.rows, matrix.source) == matrix:
        return MatrixNote(name=name, source=matrix.source, matrix_id=written.id)
    return MatrixNote(
        name=name, source=matrix.source, matrix_id=written.id if written else "", matrix=dict(matrix.to_dict())
    )


def _population_note(
    population: Population, form: Form | None, forms: Forms, matrix_names: Mapping[str, str]
) -> PopulationNote:
    gate = population.gate
    whole = gate is not None and (form is None or form.said_otherwise)
    axes = () if whole or gate is None or isinstance(gate, BooleanGate) else gate.dimensions
    return PopulationNote(
        id=population.id,
        label=population.label,
        status=population.status,
        flags=population.flags,
        gate_id="" if form is None else forms.population_ids[population.id],
        parent=population.parent,
        axes=tuple(_axis_note(d, forms, matrix_names) for d in axes if isinstance(d, Dimension)),
        gate=gate.to_dict() if whole and gate is not None else None,
        helpers=() if form is None else tuple(helper.id for helper in form.helpers),
    )


def _axis_note(dimension: Dimension, forms: Forms, matrix_names: Mapping[str, str]) -> AxisNote:
    said = named(forms.axis(dimension), matrix_names)
    assert isinstance(said, Dimension)
    return AxisNote(
        channel=dimension.detector,
        marker=dimension.marker,
        compensated=dimension.compensated if dimension.compensated != said.compensated else None,
        matrix=dimension.matrix if dimension.matrix != said.matrix else None,
    )


def named(axis: AnyDimension, matrix_names: Mapping[str, str]) -> AnyDimension:
    """Return an axis of the document with its matrix called by its own name."""
    if isinstance(axis, Dimension) and axis.matrix in matrix_names:
        return replace(axis, matrix=matrix_names[axis.matrix])
    return axis


def metadata_of(root: Any) -> Metadata | None:
    """Return the metadata of a Gating-ML document; None where it has none that this version reads.

    Parameters
    ----------
    root : lxml element
        Its root element.
    """
    for info in root.findall(full("d:custom_info")):
        for element in info.findall(f"{{{NAMESPACE}}}strategy"):
            with suppress(ValidationError):
                head = Metadata.model_validate_json(element.text or "")
                return head.model_copy(update={"populations": tuple(_population_notes(info))})
    return None


def _population_notes(info: Any) -> Iterator[PopulationNote]:
    for element in info.findall(f"{{{NAMESPACE}}}population"):
        with suppress(ValidationError):
            yield PopulationNote.model_validate_json(element.text or "")

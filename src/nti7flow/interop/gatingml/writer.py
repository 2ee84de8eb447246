"""Gating-ML 2.0 out: a strategy as a document from which FlowKit counts the same events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import isinf, nextafter
from pathlib import Path
from typing import Any

from nti7flow.errors import StrategyError
from nti7flow.events.fcs.writer import whole_file
from nti7flow.events.transforms import Transform, transform_to_dict
from nti7flow.gating.dimensions import AnyDimension, Dimension, RatioDimension
from nti7flow.gating.gates import BooleanGate, EllipsoidGate, Gate, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import OWN, GatingStrategy, Population
from nti7flow.interop.flowkit.package import IDENTITY, IN_FILE, UNCOMPENSATED
from nti7flow.interop.gatingml.forms import ELEMENTS, Form, Forms, WrittenMatrix, square_matrix
from nti7flow.interop.gatingml.grammar import NAMESPACES, full, shown
from nti7flow.interop.gatingml.ids import Ids, xml_id
from nti7flow.interop.gatingml.notes import NAMESPACE, Metadata, describe

_GATES = {
    RectangleGate: "g:RectangleGate",
    PolygonGate: "g:PolygonGate",
    EllipsoidGate: "g:EllipsoidGate",
    BooleanGate: "g:BooleanGate",
}


def write_gatingml(strategy: GatingStrategy, path: str | Path) -> None:
    """Write a strategy as Gating-ML 2.0, so that FlowKit reads it and counts the same events.

    Every gate is written as the plain geometry it is. What Gating-ML has no words for is said in another way that holds
    exactly the same events: the complement of a rectangle by a boolean gate, a threshold on one of FlowJo's scales by
    the scale value it lies at. What else there is to a strategy (template, tube, labels, markers, statuses, flags, and
    populations without a gate) stands in the document's ``custom_info``, so that `read_strategy` returns the same
    strategy; geometry always comes from the gates, so that what another program changed is respected.

    Parameters
    ----------
    strategy : GatingStrategy
        Bound to a tube, or for any: then gates that are compensated by the tube's own matrix ask for the one in the FCS
        file.
    path : str or Path
        The file; an older one is replaced, in one step.

    Raises
    ------
    StrategyError
        A gate has no Gating-ML form, or FlowKit would count other events; lists all of them by name.

    Examples
    --------
    >>> import nti7flow as nf
    >>> nf.write_gatingml(nf.gate("tube.fcs", "tbnk").strategy, "tube.gating-ml.xml")  # doctest: +SKIP
    """
    content = gatingml_bytes(strategy)
    with whole_file(Path(path)) as stream:
        stream.write(content)


def gatingml_bytes(strategy: GatingStrategy) -> bytes:
    """Return the document that `write_gatingml` writes; its bytes depend on the strategy alone."""
    from lxml import etree

    root = _Document(strategy).build()
    content: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return content


@dataclass(frozen=True, slots=True)
class _Names:
    """Ids of what a document holds: populations, helpers of a population, matrices ("" is the tube's own)."""

    ids: Ids
    populations: dict[str, str]
    matrices: dict[str, str]

    @classmethod
    def of(cls, strategy: GatingStrategy) -> _Names:
        """Choose ids: those of populations first, because people read them."""
        ids = Ids()
        populations = {population.id: ids.take(xml_id(population.id)) for population in strategy.populations}
        for dimension in strategy.dimensions:
            for name in dimension.detectors:
                ids.reserve(name)  # FlowKit knows a ratio by the id of its transform, beside the channels of a gate
        matrices = {}
        for name, matrix in {"": strategy.spillover, **strategy.matrices}.items():
            try:
                needed = square_matrix(matrix) is not None
            except ValueError:
                continue  # said where a gate needs it
            if needed:
                matrices[name] = ids.take(xml_id(name) if name else OWN)
        return cls(ids, populations, matrices)

    def helper(self, population: str, number: int) -> str:
        """Return an id for a helper of a population."""
        return self.ids.take(f"{self.populations[population]}.{number + 1}")


class _Document:
    """Builds the document of one strategy."""

    def __init__(self, strategy: GatingStrategy) -> None:
        self.strategy = strategy
        self.names = _Names.of(strategy)
        self.forms = Forms(strategy, self.names.matrices, self.names.populations)
        self.written = self._find_forms()
        self.transforms: dict[object, str] = {}
        self.sets: dict[tuple[object, ...], str] = {}

    def _find_forms(self) -> dict[str, Form]:
        """Form of each population that can travel, by its own id."""
        found: dict[str, Form] = {}
        problems: list[str] = []
        for population in self.strategy.counted:
            try:
                found[population.id] = self.forms.of(population, partial(self.names.helper, population.id))
            except ValueError as error:
                problems.append(f"gate {shown(population.id)}: {error}")
        if problems:
            raise StrategyError(self.strategy.sample or self.strategy.template, problems)
        return found

    def build(self) -> Any:
        """Return the root element."""
        from lxml import etree

        gates = list(self._gates())
        root = etree.Element(full("g:Gating-ML"), nsmap=NAMESPACES | {"nti7flow": NAMESPACE})
        _add_metadata(root, self._metadata())
        for key, name in self.transforms.items():
            _add_transform(root, key, name)
        for matrix in self.forms.matrices.values():
            _add_matrix(root, matrix)
        root.extend(gates)
        return root

    def _metadata(self) -> Metadata:
        sets = {name: str(key[1]) for key, name in self.sets.items() if key[1] != name}
        return describe(self.strategy, self.written, self.forms, self.names.matrices, sets)

    def _populations(self) -> Iterator[Population]:
        """Yield the populations of the document, under its ids; helpers before the one they help."""
        for population in self.strategy.populations:
            if population.id in self.written:
                form = self.written[population.id]
                yield from form.helpers
                parent = None if population.parent is None else self.names.populations[population.parent]
                yield Population(self.names.populations[population.id], "", parent, form.gate, "ok")

    def _gates(self) -> Iterator[Any]:
        sets: dict[tuple[object, ...], Any] = {}
        for population in self._populations():
            gate = population.gate
            assert gate is not None
            if not isinstance(gate, QuadrantGate):
                yield self._gate(population, gate)
                continue
            key = (population.parent, gate.name, gate.dimensions, gate.dividers)
            if key not in sets:
                self.sets[key] = self.names.ids.take(xml_id(gate.name))
                sets[key] = self._quadrants(self.sets[key], population.parent, gate)
                yield sets[key]
            _add_quadrant(sets[key], population.id, gate)

    def _gate(self, population: Population, gate: Gate) -> Any:
        made = _gate_element(_GATES[type(gate)], population.id, population.parent)
        if isinstance(gate, BooleanGate):
            _add_operands(made, gate)
            return made
        axes = [self._add_axis(made, "g:dimension", dimension) for dimension in gate.dimensions]
        if isinstance(gate, RectangleGate):
            for axis, low, high in zip(axes, gate.lower, gate.upper, strict=True):
                bounds = {"g:min": low, "g:max": high}
                _set(axis, {name: _number(bound) for name, bound in bounds.items() if bound is not None})
        elif isinstance(gate, PolygonGate):
            for vertex in gate.vertices:
                _add_values(_child(made, "g:vertex"), "g:coordinate", vertex)
        elif isinstance(gate, EllipsoidGate):
            _add_values(_child(made, "g:mean"), "g:coordinate", gate.mean)
            covariance = _child(made, "g:covarianceMatrix")
            for row in gate.covariance:
                _add_values(_child(covariance, "g:row"), "g:entry", row)
            _add_values(made, "g:distanceSquare", [gate.distance_square])
        return made

    def _quadrants(self, identity: str, parent: str | None, gate: QuadrantGate) -> Any:
        """Set of quadrants, as yet without any."""
        made = _gate_element("g:QuadrantGate", identity, parent)
        for dimension, values in zip(gate.dimensions, gate.dividers, strict=True):
            divider = self._add_axis(made, "g:divider", dimension)
            _set(divider, {"g:id": self.names.ids.take(f"{identity}.{xml_id(dimension.detectors[0])}")})
            for value in values:
                _child(divider, "g:value").text = _number(value)
        return made

    def _add_axis(self, gate: Any, name: str, dimension: AnyDimension) -> Any:
        compensated = isinstance(dimension, Dimension) and dimension.compensated
        matrix = dimension.matrix if isinstance(dimension, Dimension) else ""
        matrix = (matrix or IN_FILE) if compensated else UNCOMPENSATED
        made = _child(gate, name, {"g:compensation-ref": matrix})
        transform = dimension.transform
        if transform != IDENTITY:
            _set(made, {"g:transformation-ref": self._transform_id(transform, transform.kind)})
        if isinstance(dimension, RatioDimension):
            ratio = (dimension.numerator, dimension.denominator, dimension.a, dimension.b, dimension.c)
            _child(made, "d:new-dimension", {"d:transformation-ref": self._transform_id(ratio, "ratio")})
        else:
            _child(made, "d:fcs-dimension", {"d:name": dimension.detector})
        return made

    def _transform_id(self, key: object, kind: str) -> str:
        """Id of a transform or ratio; gates that have the same one share it."""
        if key not in self.transforms:
            self.transforms[key] = self.names.ids.take(kind)
        return self.transforms[key]


def _child(element: Any, name: str, attributes: Mapping[str, str] | None = None) -> Any:
    from lxml import etree

    made = etree.SubElement(element, full(name))
    _set(made, attributes or {})
    return made


def _set(element: Any, attributes: Mapping[str, str]) -> None:
    for name, text in attributes.items():
        element.set(full(name), text)


def _gate_element(name: str, identity: str, parent: str | None) -> Any:
    from lxml import etree

    made = etree.Element(full(name))
    _set(made, {"g:id": identity} if parent is None else {"g:id": identity, "g:parent_id": parent})
    return made


def _add_quadrant(quadrants: Any, identity: str, gate: QuadrantGate) -> None:
    made = _child(quadrants, "g:Quadrant", {"g:id": identity})
    dividers = quadrants.findall(full("g:divider"))
    for divider, values, interval in zip(dividers, gate.dividers, gate.interval, strict=True):
        if interval is not None:
            place = {"g:divider_ref": divider.get(full("g:id")), "g:location": _number(_location(values, interval))}
            _child(made, "g:position", place)


def _add_operands(element: Any, gate: BooleanGate) -> None:
    lone = len(gate.operands) == 1
    operation = _child(element, "g:not" if lone else f"g:{gate.operator}")
    for operand in gate.operands:
        reference = _child(operation, "g:gateReference", {"g:ref": operand.population})
        if operand.negated and not lone:
            _set(reference, {"g:use-as-complement": "true"})


def _add_values(element: Any, name: str, values: Iterable[float]) -> None:
    for value in values:
        _child(element, name, {"d:value": _number(value)})


def _add_channels(element: Any, names: Iterable[str]) -> None:
    for name in names:
        _child(element, "d:fcs-dimension", {"d:name": name})


def _add_transform(root: Any, key: Any, name: str) -> None:
    """Add a transform, or a ratio: its two channels and three numbers."""
    made = _child(root, "t:transformation", {"t:id": name})
    if isinstance(key, tuple):
        numerator, denominator, *numbers = key
        parameters = {f"t:{letter}": _number(value) for letter, value in zip("ABC", numbers, strict=True)}
        _add_channels(_child(made, "t:fratio", parameters), [numerator, denominator])
        return
    transform: Transform = key
    values = transform_to_dict(transform)
    kind = values.pop("kind")
    _child(made, f"t:{ELEMENTS[kind]}", {f"t:{letter.upper()}": _number(value) for letter, value in values.items()})


def _add_matrix(root: Any, matrix: WrittenMatrix) -> None:
    made = _child(root, "t:spectrumMatrix", {"t:id": matrix.id})
    # A dimension names a dye; here, as in our strategies, a dye has the name of its detector.
    _add_channels(_child(made, "t:fluorochromes"), matrix.detectors)
    _add_channels(_child(made, "t:detectors"), matrix.detectors)
    for row in matrix.rows:
        spectrum = _child(made, "t:spectrum")
        for value in row:
            _child(spectrum, "t:coefficient", {"t:value": _number(value)})


def _add_metadata(root: Any, metadata: Metadata) -> None:
    from lxml import etree

    info = _child(root, "d:custom_info")
    for name, text in metadata.texts():
        etree.SubElement(info, f"{{{NAMESPACE}}}{name}").text = text


def _number(value: float) -> str:
    """Shortest text that is read as exactly this number, as XML Schema writes it."""
    value = float(value)
    return ("-INF" if value < 0 else "INF") if isinf(value) else repr(value)


def _location(dividers: tuple[float, ...], interval: int) -> float:
    """Return a place inside an interval of a divided axis: in its middle, or one unit beyond the outermost divider."""
    if interval == 0:
        return min(dividers[0] - 1.0, nextafter(dividers[0], -float("inf")))
    low = float(dividers[interval - 1])
    if interval == len(dividers):
        return low + 1.0
    middle = low + (dividers[interval] - low) / 2
    return middle if low <= middle < dividers[interval] else low

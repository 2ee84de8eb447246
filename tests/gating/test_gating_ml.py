"""Gating-ML 2.0 conformance: the data, gates and per-event truth that ISAC publishes with the standard."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Arcsinh, Linear, Log, Logicle
from nti7flow.gating.gates import BooleanGate, Dimension, Operand, PolygonGate, RectangleGate
from nti7flow.gating.strategy import Members, Population, apply_gate
from nti7flow.gating.values import DisplayValues

#: File, gate: all of the suite but ellipsoids, quadrants, ratios and hyperlog, which we do not have yet.
CASES = [
    ("range_gate", "Range1"),
    ("range_gate_attr_testing", "Range1"),
    ("time_range_gate", "Range2"),
    ("rect1_gate", "Rectangle1"),
    ("rect2_gate", "Rectangle2"),
    ("poly1_gate", "Polygon1"),
    ("poly2_gate", "Polygon2"),
    ("poly3ns_gate", "Polygon3NS"),
    ("matrix_poly4_gate", "Polygon4"),
    ("matrix_rect3_gate", "Rectangle3"),
    ("matrix_rect4_gate", "Rectangle4"),
    ("matrix_rect5_gate", "Rectangle5"),
    ("transform_asinh_range1_gate", "ScaleRange1"),
    ("transform_linear_range3_gate", "ScaleRange3"),
    ("transform_logicle_range4_gate", "ScaleRange4"),
    ("transform_logicle_range5_gate", "ScaleRange5"),
    ("transform_log_range6_gate", "ScaleRange6"),
    ("matrix_transform_asinh_range1c_gate", "ScaleRange1c"),
    ("matrix_transform_asinh_range6c_gate", "ScaleRange6c"),
    ("matrix_transform_linear_range3c_gate", "ScaleRange3c"),
    ("matrix_transform_logicle_range4c_gate", "ScaleRange4c"),
    ("matrix_transform_logicle_range5c_gate", "ScaleRange5c"),
    ("matrix_transform_logicle_range8c_gate", "ScaleRange8c"),
    ("matrix_transform_logicle_rect1_gate", "ScaleRect1"),
    ("boolean_and1_gate", "And1"),
    ("boolean_and2_gate", "And2"),
    ("boolean_and3_complement_gate", "And3"),
    ("boolean_and4_not_gate", "And4"),
    ("boolean_not1_gate", "Not1"),
    ("boolean_or1_gate", "Or1"),
    ("boolean_or2_gate", "Or2"),
    ("parent_poly1_boolean_and2_gate", "ParAnd2"),
    ("parent_range1_boolean_and3_gate", "ParAnd3"),
]
#: Operands of boolean gates that are of a kind we lack: their membership is taken from the truth.
GIVEN = ("Ellipse1", "FL2N-FL4N")
NAMES = {"FITC": "FL1-H", "PE": "FL2-H", "PerCP": "FL3-H"}


@pytest.fixture(scope="module")
def suite(shared_data) -> Path:
    return shared_data / "flowkit" / "data" / "gate_ref"


@pytest.fixture(scope="module")
def sample(suite):
    return read_fcs(suite / "data1.fcs")


def truth_of(suite, gate):
    return np.loadtxt(suite / "truth" / f"Results_{gate}.txt", dtype=int).astype(bool)


@pytest.mark.parametrize(("file", "gate"), CASES)
def test_every_event_is_where_the_standard_says(suite, sample, file, gate):
    spillover, populations = read_gating_ml(suite / "gml" / f"gml_{file}.xml")
    members = Members(sample.n_events)
    for name in GIVEN:
        members.set(name, np.flatnonzero(truth_of(suite, name)))
    values = DisplayValues(sample, spillover)
    for population in populations:
        apply_gate(values, population, members)
    truth = truth_of(suite, gate)
    assert 0 < truth.sum() < sample.n_events
    assert np.flatnonzero(members.mask(gate) != truth).tolist() == []


def read_gating_ml(path):
    """Return the matrix of a file, and its gates as far as we have them."""
    root = ElementTree.parse(path).getroot()
    for node in root.iter():
        node.tag = _local(node.tag)
        node.attrib = {_local(key): value for key, value in node.attrib.items()}
    transforms = {node.get("id"): _transform(node[0]) for node in root.iter("transformation")}
    populations = []
    for node in root.iter():
        if node.tag == "RectangleGate":
            populations.append(_population(node, _rectangle(node, transforms)))
        elif node.tag == "PolygonGate":
            axes = tuple(_dimension(d, transforms) for d in node.iter("dimension"))
            vertices = tuple(tuple(float(c.get("value")) for c in v) for v in node.iter("vertex"))
            populations.append(_population(node, PolygonGate(axes, vertices)))
        elif node.tag == "BooleanGate":
            populations.append(_population(node, _boolean(node)))
    return _spillover(root.find("spectrumMatrix")), populations


def _local(name):
    return name.rpartition("}")[2]


def _population(node, gate):
    return Population(node.get("id"), node.get("id"), node.get("parent_id"), gate, "ok")


def _rectangle(node, transforms):
    dimensions = list(node.iter("dimension"))
    lower, upper = (
        tuple(None if d.get(side) is None else float(d.get(side)) for d in dimensions) for side in ("min", "max")
    )
    return RectangleGate(tuple(_dimension(d, transforms) for d in dimensions), lower, upper)


def _boolean(node):
    (combination,) = (child for child in node if child.tag in ("and", "or", "not"))
    negated = combination.tag == "not"
    operands = tuple(
        Operand(ref.get("ref"), negated != (ref.get("use-as-complement") == "true")) for ref in combination
    )
    return BooleanGate("or" if combination.tag == "or" else "and", operands)


def _dimension(node, transforms):
    name = node.find("fcs-dimension").get("name")
    # Without a transform, gates are in scale values. "FCS" means the matrix in the file, which has none.
    transform = transforms.get(node.get("transformation-ref"), Linear(1.0))
    return Dimension(NAMES.get(name, name), "", node.get("compensation-ref") not in ("uncompensated", "FCS"), transform)


def _transform(node):
    numbers = {key.lower(): float(value) for key, value in node.attrib.items()}
    kind = {"flin": Linear, "flog": Log, "fasinh": Arcsinh, "logicle": Logicle}[node.tag]
    return kind(**numbers)


def _spillover(node):
    if node is None:
        return Spillover.none()
    detectors = tuple(d.get("name") for d in node.find("detectors"))
    matrix = [[float(c.get("value")) for c in row] for row in node.iter("spectrum")]
    return Spillover(detectors, np.array(matrix), str(node.get("id")))

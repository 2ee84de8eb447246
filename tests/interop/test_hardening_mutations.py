"""Documents with something broken in them: refused, or read with the same counts as FlowKit. Nothing between."""

import io
import random
import warnings

import numpy as np
import pytest
from gml_documents import (
    axis,
    boolean,
    divider,
    document,
    ellipsoid,
    matrix,
    polygon,
    quadrants,
    ratio,
    rectangle,
    transform,
)
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nti7flow.errors import InputError, StrategyError
from nti7flow.events.made import make_sample
from nti7flow.interop.flowkit.conversion import to_flowkit
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.strategies import read_strategy

#: All kinds of gates and transforms.
WHOLE = document(
    transform("lin", "flin", T=10, A=0),
    transform("log", "flog", T=100, M=2),
    transform("logicle", "logicle", T=100, W=0.5, M=4, A=0),
    transform("hyperlog", "hyperlog", T=100, W=0.5, M=4, A=0),
    transform("asinh", "fasinh", T=100, M=4, A=0),
    ratio("R", "X", "Z", c=-1),
    matrix("M", ("FITC", "PE"), ("X", "Y"), ((1, 0.5), (0, 1))),
    rectangle("A", axis("X", 0.1, 0.5, transform="lin")),
    rectangle("B", axis("PE", 1, 3, compensation="M"), axis("FSC-A", 1), parent="A"),
    rectangle("C", axis(ratio="R", low=1, high=3)),
    rectangle("D", axis("Z", 0.2, 0.9, transform="logicle"), axis("Y", 0.3, transform="asinh")),
    polygon("P", ((0, 0), (6, 0), (0, 6)), axis("X", compensation="FCS"), axis("FSC-A")),
    ellipsoid("E", (2, 1), ((1, 0.5), (0.5, 2)), 2, axis("Y"), axis("Z")),
    quadrants(
        "Q", [divider("x", "X", 4, 2), divider("y", "Y", 2)], {"low": {"x": 0, "y": 0}, "any": {"x": 9}}, parent="A"
    ),
    rectangle("G", axis("X", 3), parent="any"),
    boolean("and", "and", "A", ("P", "true")),
    boolean("or", "or", "low", "any", parent="P"),
    boolean("not", "not", "or"),
)
JUNK = (
    "",
    "NaN",
    "INF",
    "-INF",
    "-1",
    "0",
    "1",
    "2",
    "5",
    "1_0",
    "1,5",
    "1e999",
    "A",
    "Q",
    "any",
    "x",
    "M",
    "R",
    "lin",
)
JUNK += ("X", "Y", "FITC", "PE", "root", "FCS", "uncompensated", "true", "false", " ", "nobody", "CD4 x")


def mutate(text, seed):
    """Break one to three things: drop, double, move or rename an element; drop or change an attribute or text."""
    rng = random.Random(seed)
    root = etree.fromstring(text.encode())
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        nodes = list(root.iter())[1:]
        node, other = rng.choice(nodes), rng.choice(nodes)
        what = rng.choice(
            ["drop", "double", "move", "rename", "attribute", "attribute", "value", "value", "value", "swap"]
        )
        key = rng.choice(list(node.attrib) or [None])
        if what == "drop":
            node.getparent().remove(node)
        elif what == "double":
            node.addnext(etree.fromstring(etree.tostring(node)))
        elif (
            what == "move" and not {node, other} & {*node.iterancestors(), *other.iterancestors()} and node is not other
        ):
            other.append(node)
        elif what == "rename":
            node.tag = other.tag
        elif what == "attribute" and key:
            del node.attrib[key]
        elif what == "swap" and key and other.attrib:
            node.set(key, rng.choice(other.attrib.values()))
        elif key:
            node.set(key, rng.choice(JUNK))
        elif node.text:
            node.text = rng.choice(JUNK)
    return etree.tostring(root)


@pytest.fixture(scope="module")
def tube():
    events = np.random.default_rng(0).uniform(0, 8, (200, 4))  # none on an edge, where rounding would decide
    keywords = {"$SPILLOVER": "3,X,Y,Z,1,0.5,0,0,1,0,0,0,1"}
    sample = make_sample(events, ["X", "Y", "Z", "FSC-A"], name="toy.fcs", keywords=keywords)
    return sample, to_flowkit(sample)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("mutations") / "gates.xml"


def judge(data, path, tube):
    """Return what became of a document; fails where counts differ, or anything but a refusal is raised."""
    sample, peer = tube
    path.write_bytes(data)
    try:
        strategy = read_strategy(path)
        members = strategy.apply(sample)
    except StrategyError as refusal:
        assert all(problem.startswith("line ") for problem in refusal.problems)
        return "refused"
    except InputError:  # the document is whole, but names a channel that the tube does not have
        return "another panel"
    data = data.replace(b'complement="1"', b'complement="true"')  # FlowKit takes it for false
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = load().parse_gating_xml(io.BytesIO(data))
        try:
            results = theirs.gate_sample(peer)
        except AttributeError:
            return "a ratio with one bound"  # FlowKit needs both
    for population in strategy.populations:
        assert members.mask(population.id).tolist() == results.get_gate_membership(population.id).tolist()
    return "same"


def test_the_whole_document_is_read(path, tube):
    assert judge(WHOLE.encode(), path, tube) == "same"
    assert len(read_strategy(path).populations) == 12


@given(st.integers(0, 2**32 - 1))
def test_a_broken_document_is_refused_or_counts_as_flowkit_does(path, tube, seed):
    judge(mutate(WHOLE, seed), path, tube)


def test_broken_documents_meet_all_fates(path, tube):
    fates = [judge(mutate(WHOLE, seed), path, tube) for seed in range(60)]
    assert {"refused", "another panel", "same"} <= set(fates)


@given(st.integers(0, 2**32 - 1))
def test_damaged_bytes_are_refused_or_read(path, tube, seed):
    rng = random.Random(seed)
    data = bytearray(WHOLE.encode())
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)
    try:
        read_strategy(path)
    except StrategyError as refusal:
        assert refusal.problems

"""Random Gating-ML documents: every gate holds the very events that FlowKit says, those on its edges too."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_strategies import KINDS, Document
from random_tubes import DETECTORS, MARKERS

from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.strategies import read_strategy

DOCUMENTS = {"kinds": st.lists(st.sampled_from(KINDS), min_size=6, max_size=14), "seed": st.integers(0, 2**32 - 1)}
FEATURES = {
    *(f"rectangle {n}" for n in (1, 2, 3, 4)),
    *(f"open {side}" for side in ("none", "min", "max")),
    *(f"polygon {form}" for form in ("star", "crossing", "repeated", "collinear", "closed")),
    *("ellipsoid 2", "ellipsoid 3", "ellipsoid surface"),
    *(f"quadrants {n}" for n in (1, 2, 3)),
    *(f"dividers {n}" for n in (1, 2, 3)),
    *("merged True", "merged False"),
    *(f"{kind} complement {turned}" for kind in ("and", "or", "not") for turned in (True, False)),
    *(f"operand {kind}" for kind in ("Rectangle", "Polygon", "Ellipsoid", "Quadrants", "Boolean")),
    *(f"transform {kind}" for kind in (None, "flin", "flog", "fasinh", "logicle", "hyperlog")),
    *("ratio True", "ratio False"),
    *(f"compensation {matrix}" for matrix in ("uncompensated", "FCS", "Unit", "Spectra")),
    *(f"depth {n}" for n in range(1, 7)),
}


@pytest.fixture(scope="module")
def flowkit():
    return load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("random")


def save(document, folder):
    """Write the document and its tube; return their paths."""
    gates, tube = folder / "gates.xml", folder / "tube.fcs"
    gates.write_text(document.text, encoding="utf-8")
    write_events(tube, document.tube.events, DETECTORS, markers=MARKERS, keywords=document.tube.keywords)
    return gates, tube


def flowkit_says(flowkit, gates, tube):
    """Return FlowKit's results; what it warns of (ratios of 0, percentages of no events) is not tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy = gates if isinstance(gates, flowkit.GatingStrategy) else flowkit.parse_gating_xml(str(gates))
        return strategy.gate_sample(flowkit.Sample(tube))


def check_memberships(document, strategy, sample, says):
    """Compare event by event for every population: applied as read, bound to the tube, and stored."""
    assert sorted(p.id for p in strategy.populations) == sorted(document.populations)
    bound = strategy.for_sample(sample)
    for asked in (strategy, bound, GatingStrategy.from_dict(bound.to_dict())):
        members = asked.apply(sample)
        for name in document.populations:
            differ = members.mask(name) != says.get_gate_membership(name)
            assert np.flatnonzero(differ).tolist() == [], f"{name}: {strategy.population(name).gate}"


@given(**DOCUMENTS)
def test_every_gate_holds_the_events_that_flowkit_says(flowkit, folder, kinds, seed):
    document = Document(flowkit, seed, tuple(kinds))
    gates, tube = save(document, folder)
    check_memberships(document, read_strategy(gates), read_fcs(tube), flowkit_says(flowkit, gates, tube))


@pytest.mark.parametrize("seed", range(10))
def test_large_tubes_are_no_different(flowkit, folder, seed):
    """So large that they are worked on in blocks, and that grids and tables pay."""
    document = Document(flowkit, seed, (*KINDS, "boolean"), n_events=70_000)
    gates, tube = save(document, folder)
    check_memberships(document, read_strategy(gates), read_fcs(tube), flowkit_says(flowkit, gates, tube))


def test_the_documents_hold_every_kind_of_gate_and_events_on_edges(flowkit):
    features, on_edges = set(), {}
    for seed in range(60):
        document = Document(flowkit, seed, (*KINDS, "boolean"))
        features |= document.features
        for scale, n in document.events_on_edges().items():
            on_edges[scale] = on_edges.get(scale, 0) + n
    assert FEATURES - features == set()
    exact = {f"{scale}{matrix}" for scale in ("none", "Linear", "Log", "Asinh") for matrix in ("", " compensated")}
    assert {scale for scale, n in on_edges.items() if n > 100} == exact

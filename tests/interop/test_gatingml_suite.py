"""Gating-ML 2.0 conformance: the data, gates and per-event truth that ISAC publishes with the standard."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from nti7flow.errors import StrategyError
from nti7flow.events.fcs import read_fcs
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.strategies import read_strategy

#: Gates whose truth has another name, and those that have none: their truth is FlowKit's alone.
TRUTH = {"ParRectangle1": "ParQuadRect"}
NO_TRUTH = {"myEllipse2"}
#: Hides its gate in a <sample>, which is no element of the standard; FlowKit refuses it as well.
NOT_VALID = "gml_range_gate_attr_testing.xml"
_NAMES = (
    "all_gates boolean_and1_gate boolean_and2_gate boolean_and3_complement_gate boolean_and4_not_gate "
    "boolean_not1_gate boolean_or1_gate boolean_or2_gate ellipse1_gate ellipse2_gate ellipsoid3d_gate "
    "log_ratio_range1_gate matrix_poly4_gate matrix_rect3_gate matrix_rect4_gate matrix_rect5_gate "
    "matrix_transform_asinh_range1c_gate matrix_transform_asinh_range6c_gate matrix_transform_hyperlog_range2c_gate "
    "matrix_transform_hyperlog_range7c_gate matrix_transform_linear_range3c_gate "
    "matrix_transform_logicle_range4c_gate matrix_transform_logicle_range5c_gate "
    "matrix_transform_logicle_range8c_gate matrix_transform_logicle_rect1_gate parent_poly1_boolean_and2_gate "
    "parent_quadrant_rect_gate parent_range1_boolean_and3_gate parent_rect1_rect_par1_gate poly1_gate poly2_gate "
    "poly3ns_gate quadrant1_gate quadrant2_gate range_gate ratio_range1_gate ratio_range2_gate rect1_gate rect2_gate "
    "time_range_gate transform_asinh_range1_gate transform_hyperlog_range2_gate transform_linear_range3_gate "
    "transform_log_range6_gate transform_logicle_range4_gate transform_logicle_range5_gate"
)
FILES = _NAMES.split()


@pytest.fixture(scope="module")
def suite(shared_data) -> Path:
    return shared_data / "flowkit" / "data" / "gate_ref"


@pytest.fixture(scope="module")
def sample(suite):
    return read_fcs(suite / "data1.fcs")


@pytest.fixture(scope="module")
def peer(suite):
    flowkit = load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file has odd offsets
        return flowkit.Sample(suite / "data1.fcs", ignore_offset_error=True)


def test_every_file_of_the_suite_is_read(suite):
    assert sorted(path.name for path in (suite / "gml").glob("*.xml")) == sorted(
        [NOT_VALID, *(f"gml_{name}.xml" for name in FILES)]
    )


@pytest.mark.parametrize("name", FILES)
def test_every_event_is_where_the_standard_and_flowkit_say(suite, sample, peer, name):
    path = suite / "gml" / f"gml_{name}.xml"
    strategy = read_strategy(path)
    members = strategy.apply(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = load().parse_gating_xml(str(path)).gate_sample(peer)
    assert members
    for population in strategy.populations:
        mask = members.mask(population.id)
        assert np.flatnonzero(mask != results.get_gate_membership(population.id)).tolist() == [], population.id
        if population.id not in NO_TRUTH:
            file = suite / "truth" / f"Results_{TRUTH.get(population.id, population.id)}.txt"
            truth = np.loadtxt(file, dtype=int).astype(bool)
            assert 0 < truth.sum() < sample.n_events
            assert np.flatnonzero(mask != truth).tolist() == [], population.id


def test_the_gate_in_no_valid_place_is_refused_by_name(suite):
    with pytest.raises(StrategyError) as refusal:
        read_strategy(suite / "gml" / NOT_VALID)
    assert refusal.value.problems == (
        "line 7: element sample does not belong in Gating-ML; 1 gate in it would be dropped",
    )
    with pytest.raises(ValueError, match="neither GatingML"):
        load().parse_gating_xml(str(suite / "gml" / NOT_VALID))


def test_a_strategy_bound_to_the_tube_counts_the_same(suite, sample):
    strategy = read_strategy(suite / "gml" / "gml_all_gates.xml")
    bound = strategy.for_sample(sample)
    assert (bound.template, bound.sha256) == ("gml_all_gates.xml", sample.sha256)
    free, tied = strategy.apply(sample), bound.apply(sample)
    assert {name: len(rows) for name, rows in free.items()} == {name: len(rows) for name, rows in tied.items()}

"""Samples of events that come from no file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nti7flow as nf
from nti7flow.errors import FcsError
from nti7flow.events import codes
from nti7flow.events.made import make_sample
from nti7flow.events.spillover import spillover_for

EVENTS = np.array([[1.0, 2.5, 0.1], [np.nan, -4.0, 0.2]])
NAMES = ("FSC-A", "FL1-A", "Time")


def test_events_are_scale_values_whatever_the_keywords_say():
    sample = make_sample(EVENTS, NAMES, name="made", keywords={"$P2G": "2", "$TIMESTEP": "0.01", "$P2E": "4,1"})
    np.testing.assert_array_equal(sample.columns(["FSC-A", "FL1-A", "Time"]), EVENTS)
    assert sample.path.name == "made"
    assert [note.code for note in sample.notes] == [codes.NOT_FINITE.code]


def test_markers_and_keywords_are_kept():
    matrix = "2,FL1-A,FL2-A,1,0.1,0,1"
    events = np.array([[1.0, 2.0], [3.0, 4.0]])
    sample = make_sample(
        events, ("FL1-A", "FL2-A"), name="made", markers=("CD4 FITC", ""), keywords={"$SPILLOVER": matrix}
    )
    assert sample.panel.resolve("CD4").detector == "FL1-A"
    assert spillover_for(sample, "keyword").matrix.tolist() == [[1.0, 0.1], [0.0, 1.0]]


def test_the_same_events_are_the_same_sample():
    one, same = (make_sample(EVENTS, NAMES, name=name) for name in ("a", "b"))
    other = make_sample(EVENTS + 1.0, NAMES, name="a")
    renamed = make_sample(EVENTS, ("FSC-A", "FL2-A", "Time"), name="a")
    assert one.sha256 == same.sha256
    assert len({one.sha256, other.sha256, renamed.sha256}) == 3


def test_the_events_given_are_copied():
    events = EVENTS.copy()
    sample = make_sample(events, NAMES, name="made")
    events[0, 0] = 99.0
    assert sample.events[0, 0] == 1.0


@pytest.mark.parametrize("events", [np.zeros((3, 2)), np.zeros(3), np.zeros((3, 4))])
def test_events_without_a_column_for_each_detector_are_refused(events):
    with pytest.raises(ValueError, match="no table of 3 channels"):
        make_sample(events, NAMES, name="made")


@pytest.mark.parametrize("names", [("A", "A", "B"), ("A", "", "B")])
def test_names_are_checked_as_those_of_a_file(names):
    with pytest.raises(FcsError):
        make_sample(EVENTS, names, name="made")


@given(arrays(np.float64, st.tuples(st.integers(0, 20), st.just(2)), elements=st.floats(-1e30, 1e30)))
def test_a_made_sample_written_and_read_again_has_its_events(tmp_path_factory, events):
    path = tmp_path_factory.mktemp("made") / "made.fcs"
    sample = make_sample(events, ("FL1-A", "FL2-A"), name="made")
    nf.write_fcs(sample, path)
    np.testing.assert_array_equal(nf.read_fcs(path).events, events)


def test_tops_of_scale_are_those_of_the_file_the_keywords_are_from():
    keywords = {"$P1R": "1024", "$P1G": "4", "$P2R": "1024", "$P2E": "4,1", "$DATATYPE": "I", "$P3R": "100"}
    sample = make_sample(EVENTS, NAMES, name="made", keywords=keywords)
    assert [channel.top for channel in sample.panel.channels] == [256.0, 10_000.0, 100.0]
    assert [c.top for c in make_sample(EVENTS, NAMES, name="made").panel.channels] == [262144.0] * 3

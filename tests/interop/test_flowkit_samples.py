"""Samples to FlowKit and back: the same events, names and markers; and FlowKit stays out until it is used."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.interop.flowkit.conversion import from_flowkit, to_flowkit
from nti7flow.interop.flowkit.package import load

DETECTORS = ("FSC-A", "FL1/x-A", "b,c", "Time")
MARKERS = ("", "CD3", "γδ TCR", "")
FOREIGN = "flowkit flowio flowutils lxml FlowCytometryTools"


@pytest.fixture(scope="module")
def flowkit():
    return load()


@pytest.fixture
def tube(tmp_path):
    def write(**keywords):
        events = np.random.default_rng(0).normal(300, 200, (60, len(DETECTORS)))
        events[:, -1] = np.arange(len(events))
        path = tmp_path / "tube.fcs"
        write_events(path, events, DETECTORS, markers=MARKERS, keywords={"$CYT": "toy", **keywords})
        return read_fcs(path)

    return write


def scale_values(sample):
    return sample.columns([channel.detector for channel in sample.panel.channels])


@pytest.mark.parametrize(
    "statement", ["import nti7flow", "import nti7flow.interop.flowkit.reader", "from nti7flow import *"]
)
def test_importing_loads_no_foreign_package(statement):
    asked = f"{statement}\nimport sys\nprint(*(name for name in '{FOREIGN}'.split() if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_flowkit_has_the_events_names_and_markers(tube):
    sample = tube(**{"$TIMESTEP": "0.25", "$P2G": "4.0"})
    peer = to_flowkit(sample)
    assert np.array_equal(peer.get_events(source="raw"), scale_values(sample))
    assert (tuple(peer.pnn_labels), tuple(peer.pns_labels)) == (DETECTORS, MARKERS)
    assert (peer.id, peer.get_metadata()["cyt"]) == ("tube.fcs", "toy")


def test_flowkit_reads_the_same_from_the_file_itself(flowkit, tube):
    sample = tube(**{"$TIMESTEP": "0.25", "$P2G": "4.0"})
    peer = to_flowkit(sample)
    direct = flowkit.Sample(sample.path)
    assert np.array_equal(peer.get_events(source="raw"), direct.get_events(source="raw"))
    assert (peer.fluoro_indices, peer.time_index) == (direct.fluoro_indices, direct.time_index)


@pytest.mark.parametrize("step", ["0", "-1", "nan", "1e400", "fast"])
def test_a_time_step_that_is_none_is_not_handed_on(tube, step):
    sample = tube(**{"$TIMESTEP": step})
    assert np.array_equal(to_flowkit(sample).get_events(source="raw"), scale_values(sample))


def test_there_and_back_keeps_events_names_markers_and_roles(tube):
    sample = tube(**{"$TIMESTEP": "0.25", "$P2G": "4.0"})
    back = from_flowkit(to_flowkit(sample))
    assert np.array_equal(scale_values(back), scale_values(sample))
    assert [(c.detector, c.marker, c.role) for c in back.panel.channels] == [
        (c.detector, c.marker, c.role) for c in sample.panel.channels
    ]
    assert back.keywords["$CYT"] == "toy"
    again = from_flowkit(to_flowkit(back))
    assert again.sha256 == back.sha256


def test_values_that_are_no_numbers_travel(tmp_path):
    events = np.array([[1.0, np.nan, 2.0, 0.0], [np.inf, 3.0, -np.inf, 1.0]])
    write_events(tmp_path / "odd.fcs", events, DETECTORS)
    sample = read_fcs(tmp_path / "odd.fcs")
    peer = to_flowkit(sample)
    assert np.array_equal(peer.get_events(source="raw"), events, equal_nan=True)
    assert np.array_equal(scale_values(from_flowkit(peer)), events, equal_nan=True)


def test_a_sample_without_events_travels(tmp_path):
    write_events(tmp_path / "empty.fcs", np.empty((0, len(DETECTORS))), DETECTORS)
    peer = to_flowkit(read_fcs(tmp_path / "empty.fcs"))
    assert (peer.event_count, from_flowkit(peer).n_events) == (0, 0)


def test_a_sample_that_flowkit_made_of_an_array_keeps_its_events(flowkit):
    events = np.random.default_rng(1).normal(size=(30, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = flowkit.Sample(events, sample_id="made", channel_labels=["FL1", "FL2", "Time"])
    ours = from_flowkit(peer)
    assert np.array_equal(scale_values(ours), peer.get_events(source="raw"))
    assert [channel.detector for channel in ours.panel.channels] == ["FL1", "FL2", "Time"]


def test_compensation_and_transforms_of_a_flowkit_sample_are_not_taken(flowkit, tube):
    sample = tube()
    peer = to_flowkit(sample)
    peer.apply_compensation(np.array([[1.0, 0.2], [0.1, 1.0]]))
    peer.apply_transform(flowkit.transforms.AsinhTransform(1000.0, 4.0, 0.0))
    assert np.array_equal(scale_values(from_flowkit(peer)), scale_values(sample))


@pytest.mark.parametrize("given", [3, "gates.xml", None])
def test_other_things_are_refused_by_their_type(given):
    with pytest.raises(TypeError, match=type(given).__name__):
        from_flowkit(given)
    with pytest.raises(TypeError, match=type(given).__name__):
        to_flowkit(given)

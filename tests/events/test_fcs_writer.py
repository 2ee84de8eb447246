"""What we write, we and others read back."""

import flowio
import flowkit
import numpy as np
import pytest
from builder import segments
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nti7flow.errors import FcsError
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover

PRINTABLE = st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=10)
# A value that is itself a keyword looks like a value lost; see test_fcs_text.
TOKENS = PRINTABLE.map(str.strip).filter(lambda text: text and not text.startswith("$"))
SPILLOVER = "2,FITC-A,PE-A,1,0.125,0.25,1"


@pytest.fixture
def tube(tmp_path):
    """A written tube: path and events."""
    events = np.random.default_rng(7).normal(1000, 400, (50, 4)).astype("f4")
    path = tmp_path / "tube.fcs"
    write_events(
        path,
        events,
        ["FSC-A", "FITC-A", "PE-A", "Time"],
        markers=["", "CD3", "CD16+56", ""],
        ranges=[262144, 262144, 1000, 65536],
        keywords={"$SPILLOVER": SPILLOVER, "$DATE": "01-MAY-2024", "$TIMESTEP": "0.01"},
    )
    return path, events


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written")


@given(
    events=arrays(
        "f4", array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6).filter(lambda shape: shape[1] > 0)
    ),
    data=st.data(),
)
def test_round_trip(folder, events, data):
    n_channels = events.shape[1]
    detectors = data.draw(st.lists(TOKENS, min_size=n_channels, max_size=n_channels, unique=True))
    markers = data.draw(st.lists(TOKENS | st.just(""), min_size=n_channels, max_size=n_channels))
    more = data.draw(st.dictionaries(TOKENS.map(lambda key: f"NOTE{key.upper()}"), TOKENS, max_size=3))
    path = folder / "tube.fcs"
    write_events(path, events, detectors, markers=markers, keywords=more)
    ours = read_fcs(path)
    assert ours.events.tobytes() == events.tobytes()
    assert [c.detector for c in ours.panel.channels] == detectors
    assert [ours.keywords.get(f"$P{n}S", "") for n in range(1, n_channels + 1)] == markers
    assert {key: ours.keywords[key] for key in more} == more
    assert ours.version == "FCS3.1"
    assert [note.code for note in ours.notes] == ([] if np.isfinite(events).all() else ["FCS075"])


@given(value=st.text(st.sampled_from("|/\\!ab \x0c\x1e"), min_size=1).map(str.strip).filter(bool))
@example(value="|begins with the usual delimiter")
@example(value="||")
def test_delimiters_inside_values(folder, value):
    path = folder / "delimiters.fcs"
    write_events(path, [[1.0]], ["FSC-A"], keywords={"NOTE": value})
    assert read_fcs(path).keywords["NOTE"] == value


def test_our_reader(tube):
    path, events = tube
    ours = read_fcs(path)
    assert np.array_equal(ours.events, events)
    assert ours.panel.resolve("CD3").detector == "FITC-A"
    assert [c.range for c in ours.panel.channels] == [262144, 262144, 1000, 65536]
    assert Spillover.from_keyword(ours).matrix.tolist() == [[1, 0.125], [0.25, 1]]
    assert np.array_equal(ours.columns(["Time"])[:, 0], events[:, 3].astype(float) * 0.01)


def test_flowio(tube):
    path, events = tube
    flow = flowio.FlowData(str(path))
    assert flow.version == "3.1"
    assert np.array_equal(flow.as_array(preprocess=False), events)
    assert flow.pnn_labels == ["FSC-A", "FITC-A", "PE-A", "Time"]
    assert flow.pns_labels == ["", "CD3", "CD16+56", ""]
    assert flow.text["spillover"] == SPILLOVER
    assert flow.text["date"] == "01-MAY-2024"


def test_flowkit(tube):
    path, events = tube
    sample = flowkit.Sample(str(path))
    assert sample.event_count == 50
    assert sample.pns_labels == ["", "CD3", "CD16+56", ""]
    assert np.array_equal(sample.get_events("raw"), read_fcs(path).columns(sample.pnn_labels))
    assert np.array_equal(sample.get_events("raw")[:, :3], events[:, :3])


def test_no_events(tmp_path):
    write_events(tmp_path / "empty.fcs", np.empty((0, 2)), ["FSC-A", "SSC-A"])
    assert read_fcs(tmp_path / "empty.fcs").events.shape == (0, 2)


def test_same_arguments_same_bytes(tube, tmp_path):
    path, events = tube
    again = tmp_path / "again.fcs"
    ours = read_fcs(path)
    more = {key: ours.keywords[key] for key in ("$SPILLOVER", "$DATE", "$TIMESTEP")}
    detectors = [c.detector for c in ours.panel.channels]
    write_events(
        again,
        events,
        detectors,
        markers=["", "CD3", "CD16+56", ""],
        ranges=[262144, 262144, 1000, 65536],
        keywords=more,
    )
    assert again.read_bytes() == path.read_bytes()
    raw = path.read_bytes()
    assert raw[segments(raw)["DATA"][0] :] == events.astype("<f4").tobytes() + b"00000000"


def test_doubles_are_stored_as_singles(tmp_path):
    write_events(tmp_path / "tube.fcs", [[0.1, 16777217.0]], ["FSC-A", "SSC-A"])
    assert read_fcs(tmp_path / "tube.fcs").columns(["FSC-A", "SSC-A"]).tolist() == [
        [float(np.float32(0.1)), 16777216.0]
    ]


@pytest.mark.parametrize(
    ("events", "detectors", "more", "says"),
    [
        ([[1.0, 2.0]], ["FSC-A"], {}, "do not fit 1 detectors"),
        ([1.0, 2.0], ["FSC-A", "SSC-A"], {}, "do not fit 2 detectors"),
        ([[1.0, 2.0]], ["FSC-A", "FSC-A"], {}, "all different"),
        ([[1.0]], [""], {}, "empty"),
        ([[1.0]], ["FSC-A"], {"NOTE": ""}, "empty"),
        ([[1.0]], ["FSC-A"], {"NOTE": "  "}, "empty"),
        ([[1.0]], ["FSC-A"], {"": "x"}, "empty"),
        ([[1.0]], ["FSC-A"], {"$TOT": "5"}, r"\$TOT follow from the events"),
        ([[1.0]], ["FSC-A"], {"$datatype": "I", "$BeginData": "7"}, r"\$BEGINDATA, \$DATATYPE follow from the events"),
        ([[1.0]], ["FSC-A"], {"$P1E": "4,1"}, r"\$P1E follow from the events"),
        ([[1.0]], ["FSC-A"], {f"NOTE{i}": f"{chr(i)}." for i in range(1, 127)}, "every delimiter"),
    ],
)
def test_what_cannot_be_written(tmp_path, events, detectors, more, says):
    path = tmp_path / "tube.fcs"
    with pytest.raises(ValueError, match=says):
        write_events(path, events, detectors, keywords=more)
    with pytest.raises(FcsError, match="no such file"):
        read_fcs(path)

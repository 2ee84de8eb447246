"""FlowCytometryTools as it is released: imported, fed with our events, and read."""

import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nti7flow.errors import ConfigError, FcsError, InputError
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.made import make_sample
from nti7flow.interop.flowcytometrytools.conversion import from_flowcytometrytools, load, to_flowcytometrytools

if find_spec("FlowCytometryTools") is None:
    pytest.skip("FlowCytometryTools is not installed (extra flowcytometrytools)", allow_module_level=True)

DETECTORS = ["FSC-A", "FL1-A", "Time"]


@pytest.fixture(scope="module")
def fct():
    return load()


@pytest.fixture
def tube(tmp_path, rng):
    """A tube with a gain and a time step: its scale values are not what the file stores."""
    path = tmp_path / "tube.fcs"
    events = rng.normal(500.0, 200.0, (200, 3)).astype(np.float32)
    keywords = {"$P2G": "4", "$TIMESTEP": "0.01", "$SRC": "A3", "$SPILLOVER": "1,FL1-A,1"}
    write_events(path, events, DETECTORS, markers=["", "CD4", ""], ranges=[1024, 262144, 1024], keywords=keywords)
    return read_fcs(path)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def big_endian(path, events, *, amplifier="0,0"):
    """Write 16-bit integers, most significant byte first, as FACSCalibur does."""
    n, k = events.shape
    pairs = {"$BYTEORD": "4,3,2,1", "$DATATYPE": "I", "$MODE": "L", "$NEXTDATA": "0", "$PAR": str(k), "$TOT": str(n)}
    for i in range(1, k + 1):
        pairs |= {f"$P{i}N": f"FL{i}-H", f"$P{i}B": "16", f"$P{i}R": "1024", f"$P{i}E": amplifier}
    data = b"".join(struct.pack(">H", value) for value in events.ravel().tolist())
    text = "/" + "/".join(f"{key}/{value}" for key, value in pairs.items()) + "/"
    begin = 58 + len(text) + 60
    text += f"$BEGINDATA/{begin}/$ENDDATA/{begin + len(data) - 1}/"
    header = "FCS3.0    " + "".join(f"{o:>8}" for o in (58, 57 + len(text), begin, begin + len(data) - 1, 0, 0))
    path.write_bytes((header + text).encode().ljust(begin) + data)


def fresh(program, *, warnings="error"):
    """Run a program in a fresh interpreter; it asserts."""
    done = subprocess.run([sys.executable, "-W", warnings, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- import -----------------------------------------------------------------------------------------------------------


def test_it_is_imported_and_the_standard_library_is_never_patched(tmp_path):
    fresh(
        f"""
import collections, inspect, sys, warnings
import numpy, pandas, pylab, scipy.interpolate, scipy.optimize
from nti7flow.interop.flowcytometrytools.conversion import load
assert "FlowCytometryTools" not in sys.modules
sys.pycache_prefix = {str(tmp_path)!r}  # so that it is compiled, and what is odd in its source comes up

def state():
    patched = "numpy.lib.shape_base" in sys.modules
    return patched, [dict(vars(module)) for module in (collections, inspect, numpy.lib, pylab.matplotlib)]

def look(event, names):
    if event == "import" and names[0].startswith("FlowCytometryTools"):
        seen.append(names[0])
        assert state() == before, names[0]

seen, before, filters, finders = [], state(), list(warnings.filters), list(sys.meta_path)
sys.addaudithook(look)
package = load()
assert package.__version__ == "0.5.1" and package is load()
assert len(set(seen)) > 5, seen
assert state() == before and warnings.filters == filters
assert [f for f in sys.meta_path if "six" not in type(f).__module__] == finders, sys.meta_path
"""
    )


def test_half_an_import_leaves_nothing_behind():
    fresh(
        """
import sys
from nti7flow.errors import ConfigError
from nti7flow.interop.flowcytometrytools.conversion import load
before = list(sys.meta_path)
sys.modules["decorator"] = None
try:
    load()
except ConfigError as error:
    assert str(error) == (
        "FlowCytometryTools cannot be used, because decorator is not installed. Run: "
        "pip install 'nti7flow[flowcytometrytools]'"
    ), error
else:
    raise AssertionError
assert not [name for name in sys.modules if name.startswith("FlowCytometryTools")]
assert [f for f in sys.meta_path if "six" not in type(f).__module__] == before
del sys.modules["decorator"]
assert load().FCMeasurement
"""
    )


def test_threads_and_those_who_import_it_by_patches_get_one_that_runs():
    fresh(
        """
import collections, collections.abc, inspect, sys, types
from concurrent.futures import ThreadPoolExecutor
import numpy as np
for name in ("Mapping", "MutableMapping", "Iterable"):
    setattr(collections, name, getattr(collections.abc, name))
sys.modules["numpy.lib.shape_base"] = np
import FlowCytometryTools
for name in ("Mapping", "MutableMapping", "Iterable"):
    delattr(collections, name)
from nti7flow.events.made import make_sample
from nti7flow.interop.flowcytometrytools.conversion import load, to_flowcytometrytools
with ThreadPoolExecutor(4) as pool:
    assert set(pool.map(lambda _: load(), range(8))) == {FlowCytometryTools}
measurement = to_flowcytometrytools(make_sample([[1.0], [200.0]], ["FL1-A"], name="tube"))
assert measurement.gate(load().ThresholdGate(5.0, "FL1-A", "above")).counts == 1
assert not hasattr(collections, "Iterable") and not hasattr(inspect, "getargspec")
""",
        warnings="ignore",
    )


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "FlowCytometryTools", None)
    with pytest.raises(ConfigError, match=r"pip install 'nti7flow\[flowcytometrytools\]'"):
        to_flowcytometrytools(make_sample([[1.0]], ["FL1-A"], name="tube"))


# --- measurements -----------------------------------------------------------------------------------------------------


def test_measurement_holds_scale_values_and_keywords(tube):
    measurement = to_flowcytometrytools(tube)
    assert measurement.ID == "tube"
    assert measurement.channel_names == tuple(measurement.data.columns) == tuple(DETECTORS)
    np.testing.assert_array_equal(measurement.data, tube.columns(DETECTORS))
    np.testing.assert_array_equal(measurement["FL1-A"], tube.events[:, 1].astype(float) / 4)
    assert set(measurement.data.dtypes) == {np.dtype(float)}
    assert measurement.get_meta_fields(["$SRC", "$TOT"]) == {"$SRC": "A3", "$TOT": 200}
    assert measurement.ID_from_data() == "A3"
    assert measurement.channels.loc[2].to_dict() | {"$PnE": None} == {
        "$PnN": "FL1-A",
        "$PnS": "CD4",
        "$PnR": "65536",
        "$PnE": None,
        "$PnG": "1",
        "$PnB": "32",
    }


def test_channels_are_called_by_their_markers_when_asked(tube):
    measurement = to_flowcytometrytools(tube, names="markers", name="day 0")
    assert measurement.ID == "day 0"
    assert measurement.channel_names == ("FSC-A", "CD4", "Time")
    assert from_flowcytometrytools(measurement).sha256 == tube.sha256
    twice = make_sample(np.ones((2, 2)), ["FL1-A", "FL2-A"], name="tube", markers=["CD4", "CD4"])
    with pytest.raises(InputError, match="several channels are called CD4"):
        to_flowcytometrytools(twice, names="markers")


def test_what_it_can_do_it_does(fct, tube):
    """Transforms, gates, samples of events, pictures and deferred work run on a measurement of ours."""
    measurement = to_flowcytometrytools(tube)
    logged = measurement.transform("hlog", channels=["FL1-A"], b=10.0)
    assert logged.history[0][0] == "transform"
    assert logged["FL1-A"].max() > 3000 > 1000 > measurement["FL1-A"].max()
    assert measurement.subsample(50, order="start").counts == 50
    gate = fct.ThresholdGate(100.0, "FL1-A", "above")
    later = measurement.gate(gate, apply_now=False)
    assert (
        later.get_data().shape[0] == measurement.gate(gate).counts == np.count_nonzero(tube.columns(["FL1-A"]) >= 100)
    )
    import matplotlib.pyplot as plt

    measurement.plot(["FSC-A", "FL1-A"], gates=[gate])
    plt.close("all")


def test_a_measurement_comes_back_as_its_file(tube):
    back = from_flowcytometrytools(to_flowcytometrytools(tube))
    assert (back.path, back.sha256, back.keywords) == (tube.path, tube.sha256, tube.keywords)


def test_a_measurement_of_its_own_comes_back_as_its_file(fct):
    for path in sorted(Path(fct.test_data_dir).glob("*.fcs")):
        sample = from_flowcytometrytools(fct.FCMeasurement("well", datafile=str(path)))
        assert (sample.path, sample.n_events) == (path, 10_000)
        np.testing.assert_array_equal(
            sample.events, fct.FCMeasurement("well", datafile=str(path)).data.to_numpy(np.float32)
        )


def test_stored_values_of_its_parser_stay_stored_values(fct, tube):
    """Its parser divides by no gain: gates drawn on its events are on other numbers than our scale values."""
    theirs = fct.FCMeasurement("tube", datafile=str(tube.path))
    sample = from_flowcytometrytools(theirs)
    assert (sample.path, sample.sha256 == tube.sha256) == (Path("tube"), False)
    np.testing.assert_array_equal(sample.columns(DETECTORS), tube.events)
    np.testing.assert_array_equal(sample.columns(DETECTORS), theirs.data)


@pytest.mark.parametrize("amplifier", ["0,0", "4,1"])
def test_big_endian_files_are_read_by_us(fct, tmp_path, rng, amplifier):
    path = tmp_path / "calibur.fcs"
    events = rng.integers(0, 1024, (50, 2))
    big_endian(path, events, amplifier=amplifier)
    theirs = fct.FCMeasurement("calibur", datafile=str(path))
    with pytest.raises(AttributeError, match="newbyteorder"):
        theirs.get_data()
    sample = from_flowcytometrytools(theirs)
    np.testing.assert_array_equal(sample.columns(["FL1-H", "FL2-H"]), events)
    assert (sample.path == path) == (amplifier == "0,0")

    tube = read_fcs(path)
    measurement = to_flowcytometrytools(tube)
    np.testing.assert_array_equal(measurement.data, tube.columns(["FL1-H", "FL2-H"]))
    np.testing.assert_array_equal(from_flowcytometrytools(measurement).events, tube.events)

    later = theirs.gate(fct.ThresholdGate(500.0, "FL2-H", "above"), apply_now=False)
    np.testing.assert_array_equal(from_flowcytometrytools(later).events, events[events[:, 1] >= 500])


def test_whatever_was_done_to_the_events_comes_back(fct, tube):
    measurement = to_flowcytometrytools(tube)
    done = measurement.transform("hlog", channels=["FL1-A"]).gate(fct.ThresholdGate(400.0, "FSC-A", "above"))
    done.data = done.data.assign(ratio=done["FSC-A"] / done["FL1-A"])
    sample = from_flowcytometrytools(done)
    assert [c.detector for c in sample.panel.channels] == [*DETECTORS, "ratio"]
    assert sample.panel.detector("FL1-A").marker == "CD4"
    np.testing.assert_array_equal(sample.columns([*DETECTORS, "ratio"]), done.data)
    assert sample.keywords["$SPILLOVER"] == "1,FL1-A,1"
    assert sample.sha256 not in (tube.sha256, from_flowcytometrytools(measurement.subsample(9)).sha256)
    assert str(sample.path) == "tube"


def test_events_that_come_from_no_file(fct):
    made = fct.FCMeasurement("made", readmeta=False)
    made.set_data(pd.DataFrame({"A": np.array([1, 2], np.uint16), "B": [0.5, np.nan]}))
    sample = from_flowcytometrytools(made)
    assert ([c.detector for c in sample.panel.channels], sample.n_events) == (["A", "B"], 2)
    np.testing.assert_array_equal(sample.events, [[1, 0.5], [2, np.nan]])

    sample = make_sample([[1.0, 2.0]], ["FL1-A", "FL2-A"], name="tube", markers=["CD3", ""])
    back = from_flowcytometrytools(to_flowcytometrytools(sample))
    assert back.sha256 == sample.sha256
    assert to_flowcytometrytools(sample).datafile is None


def test_a_file_that_has_gone_is_missed_only_where_it_is_needed(fct, tube):
    measurement, unread = to_flowcytometrytools(tube), fct.FCMeasurement("tube", datafile=str(tube.path))
    tube.path.unlink()
    np.testing.assert_array_equal(from_flowcytometrytools(measurement).columns(DETECTORS), measurement.data)
    with pytest.raises(FcsError, match=r"tube\.fcs"):
        from_flowcytometrytools(unread)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (None, "has neither events nor a file"),
        (pd.DataFrame({"A": ["bright", "dim"]}), "holds columns that are not numbers"),
        (pd.DataFrame([[1, 2]], columns=["A", "A"]), "several of its columns have the same name"),
    ],
)
def test_refuses_measurements_without_events(fct, columns, said):
    made = fct.FCMeasurement("odd", readmeta=False)
    made._data = columns
    with pytest.raises(InputError, match=f"measurement odd: {said}"):
        from_flowcytometrytools(made)


# --- plates -----------------------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_plate_and_comes_back(fct, tmp_path, rng):
    for name in ("b.FCS", "a.fcs", "c.fcs"):
        write_events(tmp_path / name, rng.random((5, 1)), ["FL1-A"])
    (tmp_path / "notes.txt").write_text("not a tube")
    plate = to_flowcytometrytools(tmp_path)
    assert isinstance(plate, fct.FCPlate)
    assert (plate.ID, plate.shape) == (tmp_path.name, (8, 12))
    assert {well: Path(one.datafile).stem for well, one in plate.items()} == {"A1": "a", "A2": "b", "A3": "c"}
    assert plate.get_positions() == {"A1": ("A", 1), "A2": ("A", 2), "A3": ("A", 3)}
    samples = from_flowcytometrytools(plate)
    assert {well: sample.path.stem for well, sample in samples.items()} == {"A1": "a", "A2": "b", "A3": "c"}
    gated = plate.gate(fct.ThresholdGate(0.5, "FL1-A", "above")).counts(output_format="dict")
    assert gated == {well: np.count_nonzero(sample.events >= 0.5) for well, sample in samples.items()}
    again = to_flowcytometrytools(samples, name="again")
    assert (again.ID, list(again)) == ("again", ["A1", "A2", "A3"])


def test_its_own_plate_comes_to_us_by_well(fct):
    plate = fct.FCPlate.from_dir(ID="demo", path=fct.test_data_dir, parser="name")
    samples = from_flowcytometrytools(plate)
    assert sorted(samples) == ["A3", "A4", "A6", "A7", "B3", "B4", "C7"]
    assert samples["C7"].path.name == "YFP_Well_C7.fcs"
    collection = fct.FCCollection("demo", [plate["A3"]])
    assert list(from_flowcytometrytools(collection)) == ["A3"]


def test_wells_can_be_chosen(tmp_path):
    for name in ("a", "b"):
        write_events(tmp_path / f"{name}.fcs", [[1.0]], ["FL1-A"])
    plate = to_flowcytometrytools(tmp_path, wells={"a.fcs": "h07", "b": "C12"})
    assert plate.get_positions() == {"C12": ("C", 12), "H7": ("H", 7)} == {k: plate.get_positions()[k] for k in plate}
    assert to_flowcytometrytools(tmp_path, wells={"a": "P24", "b": "A1"}).shape == (16, 24)
    with pytest.raises(InputError) as refused:
        to_flowcytometrytools([tmp_path / "a.fcs", read_fcs(tmp_path / "b.fcs")], wells={"a": "A0", "bb": "A2"})
    assert str(refused.value).splitlines() == [
        "wells: there is no sample bb. Did you mean 'b'?",
        "wells: sample a has well 'A0', which no plate has",
        "wells: sample b has well '', which no plate has",
    ]
    with pytest.raises(InputError, match="sample b has well A1, which another has"):
        to_flowcytometrytools(tmp_path, wells={"a": "A1", "b": "a01"})


def test_a_plate_is_as_large_as_it_must_be():
    sample = make_sample([[1.0]], ["FL1-A"], name="tube")
    plate = to_flowcytometrytools({f"tube {i:03d}": sample for i in range(97)})
    assert (plate.shape, list(plate)[24], plate.get_positions()["E1"]) == ((16, 24), "B1", ("E", 1))
    with pytest.raises(InputError, match="1,537 samples do not fit on a plate of 1,536 wells"):
        to_flowcytometrytools({f"tube {i}": sample for i in range(1537)})


def test_refuses_what_is_no_plate(tmp_path):
    sample = make_sample([[1.0]], ["FL1-A"], name="tube")
    with pytest.raises(InputError, match="holds no FCS files"):
        to_flowcytometrytools(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        to_flowcytometrytools(tmp_path / "tube.fcs")
    with pytest.raises(InputError, match="several samples are called tube"):
        to_flowcytometrytools([sample, sample])
    with pytest.raises(TypeError, match="found int"):
        to_flowcytometrytools(3)

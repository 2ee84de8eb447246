"""Every FCS file of the reference data against FlowIO, bit for bit, with the exceptions spelled out."""

import warnings
from pathlib import Path

import flowio
import numpy as np
import pytest

from nti7flow.errors import FcsError
from nti7flow.events.fcs import read_fcs

VENDOR = "vendor_fcsparser/fcsparser/tests/data/FlowCytometers"
MILTENYI = f"{VENDOR}/MiltenyiBiotec/FCS3.1"

#: Files we refuse: what the message must say. FlowIO fails on all three too, with other errors or wrong shapes.
REFUSED = {
    f"{VENDOR}/Cytek_xP5/Cytek_xP5.fcs": "$P1B=24",  # 24-bit integers: not read yet (issue 3)
    f"{VENDOR}/corrupted/corrupted.fcs": "not an FCS file",
    f"{VENDOR}/cytek-nl-2000/sample_header.fcs": "the file has 3931 bytes",  # a HEADER and TEXT without their events
}

#: Files FlowIO refuses as it stands: what must be told to make it read them, and the oddity we note.
OFF_BY_ONE = ({"ignore_offset_error": True}, "one byte after the last event")
DISCREPANCY = ({"ignore_offset_discrepancy": True}, "TEXT agrees with $TOT")
FLOWIO_NEEDS = {
    "flowio/data/fcs_files/data_start_offset_discrepancy_example.fcs": DISCREPANCY,
    "flowio/data/fcs_files/data_stop_offset_discrepancy_example.fcs": DISCREPANCY,
    "flowkit/data/noncompliant/data_start_offset_discrepancy_example.fcs": DISCREPANCY,
    "flowkit/data/noncompliant/data_stop_offset_discrepancy_example.fcs": DISCREPANCY,
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Custom_Add_Well_A1.001.fcs": OFF_BY_ONE,
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Custom_Without_Add_Well_A1.001.fcs": OFF_BY_ONE,
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Well_A1.001.fcs": OFF_BY_ONE,
    f"{MILTENYI}/SG_2014-09-26_Duplicate_Names.fcs": OFF_BY_ONE,  # duplicate $PnS, distinct $PnN
}

#: Read by us alone, and checked below: FlowIO cannot (blank HEADER offsets; several data sets).
NOT_BY_FLOWIO = {
    f"{VENDOR}/fake_large_fcs/fake_large_fcs.fcs",
    "flowkit/data/multi_dataset_fcs/coulter.lmd",
}

#: FlowIO glues the empty $P4S to $P6N behind it and loses channel 6; the names below are read off the bytes.
GLUED = {f"flowcore_extdata/inst/extdata/0877408774.{well}" for well in ("B08", "E07", "F06")}
GLUED_NAMES = ["FSC-H", "SSC-H", "FL1-H", "FL2-H", "FL3-H", "FL1-A", "FL4-H", "Time"]

#: A $TIMESTEP that is no number: FlowIO's preprocessing stops, we leave the time channel as stored.
NO_TIMESTEP = {"xxxxxxxxx"}

#: Files with a note although FlowIO reads them without a word.
EMPTY_VALUES = "TEXT holds empty keyword values"
NOTED = {
    "flowcore_extdata/inst/extdata/0877408774.B08": EMPTY_VALUES,
    "flowcore_extdata/inst/extdata/0877408774.E07": EMPTY_VALUES,
    "flowcore_extdata/inst/extdata/0877408774.F06": EMPTY_VALUES,
    "flowio/data/fcs_files/data1.fcs": EMPTY_VALUES,
    "flowkit/data/gate_ref/data1.fcs": EMPTY_VALUES,
    f"{VENDOR}/cyflow_cube_8/cyflow_cube_8.fcs": "supplemental TEXT",
}


def fcs_files(folder: Path) -> dict[str, Path]:
    """Files that call themselves FCS, by name or by their first bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                magic = stream.read(3)
            if magic == b"FCS" or path.suffix.lower() in (".fcs", ".lmd"):
                found[path.relative_to(folder).as_posix()] = path
    return found


def existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the reference data")
    return path


def differences(path: Path, names: list[str] | None, **options) -> list[str]:
    """What differs between our reading of a file and FlowIO's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FlowIO warns about offsets it was told to ignore
        flow = flowio.FlowData(str(path), **options)
    ours = read_fcs(path)
    theirs = flow.as_array(preprocess=False)
    found = []
    if not np.array_equal(ours.events, theirs, equal_nan=True):
        found.append("events differ")
    if [c.detector for c in ours.panel.channels] != (names or flow.pnn_labels):
        found.append("channel names differ")
    if not NO_TIMESTEP & {flow.text.get("timestep")}:
        scale = ours.columns([c.detector for c in ours.panel.channels])
        if not np.array_equal(scale, flow.as_array(preprocess=True), equal_nan=True):
            found.append("scale values differ")
    return found


def test_every_file_is_read_as_flowio_reads_it(shared_data):
    files = fcs_files(shared_data)
    wrong = {}
    for name, path in files.items():
        if name in REFUSED or name in NOT_BY_FLOWIO:
            continue
        options, _ = FLOWIO_NEEDS.get(name, ({}, ""))
        try:
            found = differences(path, GLUED_NAMES if name in GLUED else None, **options)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            wrong[name] = found
    assert wrong == {}
    assert len(files) >= 100


def test_oddities_are_noted_and_nothing_else_is(shared_data):
    expected = {name: oddity for name, (_, oddity) in FLOWIO_NEEDS.items()} | NOTED
    files = fcs_files(shared_data)
    noted = {}
    for name in files.keys() - REFUSED.keys() - NOT_BY_FLOWIO:
        text = "; ".join(note.text for note in read_fcs(files[name]).notes)
        if text:
            noted[name] = text
    assert noted.keys() == expected.keys() & files.keys()
    for name, text in noted.items():
        assert expected[name] in text


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files(shared_data, name):
    path = existing(shared_data, name)
    with pytest.raises(FcsError) as caught:
        read_fcs(path)
    assert str(path) in str(caught.value)
    assert REFUSED[name] in str(caught.value)


def test_blank_header_offsets(shared_data):
    """The same tube with a HEADER that leaves DATA blank, as for files beyond 99,999,999 bytes."""
    blank = read_fcs(existing(shared_data, f"{VENDOR}/fake_large_fcs/fake_large_fcs.fcs"))
    plain = read_fcs(
        existing(shared_data, f"{VENDOR}/Fortessa/FCS_3.0_Fortessa_PBS_Specimen_001_A1_A01.fcs"),
    )
    assert np.array_equal(blank.events, plain.events)
    assert blank.panel == plain.panel


def test_both_data_sets_of_an_lmd(shared_data):
    path = existing(shared_data, "flowkit/data/multi_dataset_fcs/coulter.lmd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = flowio.read_multiple_data_sets(str(path), ignore_offset_error=True)
    assert len(theirs) == 2
    for index, flow in enumerate(theirs):
        ours = read_fcs(path, data_set=index)
        assert ours.data_set == index
        assert np.array_equal(ours.events, flow.as_array(preprocess=False))
        assert [c.detector for c in ours.panel.channels] == flow.pnn_labels
        assert np.array_equal(ours.columns(flow.pnn_labels), flow.as_array(preprocess=True))
    with pytest.raises(FcsError, match=r"has 2 data set\(s\)"):
        read_fcs(path, data_set=2)

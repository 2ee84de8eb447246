"""Every FCS file of the reference data against FlowIO, bit for bit, with the exceptions spelled out."""

import warnings
from pathlib import Path

import flowio
import numpy as np
import pytest

from nti7flow.errors import FcsError
from nti7flow.events.codes import CODES
from nti7flow.events.fcs import count_data_sets, read_fcs

VENDOR = "vendor_fcsparser/fcsparser/tests/data/FlowCytometers"
CYTEK = f"{VENDOR}/Cytek_xP5/Cytek_xP5.fcs"
MILTENYI = f"{VENDOR}/MiltenyiBiotec/FCS3.1"

#: Files we refuse: the code, and what the message must say.
REFUSED = {
    f"{VENDOR}/corrupted/corrupted.fcs": ("FCS006", "oi21j08c"),
    # a HEADER and TEXT without their events
    f"{VENDOR}/cytek-nl-2000/sample_header.fcs": ("FCS046", "2,160,000 bytes"),
}

#: Files FlowIO refuses as it stands: what must be told to make it read them.
OFF_BY_ONE = {"ignore_offset_error": True}
DISCREPANCY = {"ignore_offset_discrepancy": True}
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

#: Read by us alone, and checked below: FlowIO cannot (blank HEADER offsets; several data sets; 24-bit integers).
NOT_BY_FLOWIO = {
    CYTEK,
    f"{VENDOR}/fake_large_fcs/fake_large_fcs.fcs",
    "flowkit/data/multi_dataset_fcs/coulter.lmd",
}

#: FlowIO glues the empty $P4S to $P6N behind it and loses channel 6; the names below are read off the bytes.
GLUED = {f"flowcore_extdata/inst/extdata/0877408774.{well}" for well in ("B08", "E07", "F06")}
GLUED_NAMES = ["FSC-H", "SSC-H", "FL1-H", "FL2-H", "FL3-H", "FL1-A", "FL4-H", "Time"]

#: FlowIO does not look for supplemental TEXT, where the MACSQuant keeps its own keywords.
SUPPLEMENTED = {
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Custom_Add_Well_A1.001.fcs",
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Well_A1.001.fcs",
}

#: A $TIMESTEP that is no number: FlowIO's preprocessing stops, we leave the time channel as stored.
NO_TIMESTEP = {"xxxxxxxxx"}

#: The codes of every file that has any; nothing else may be noted. 014 empty values, 017 Latin-1, 019 repeated
#: keyword, 024 and 026 supplemental TEXT, 030 more data sets, 040 to 042 offsets, 067 junk bits, 069 "4,0", 071 no
#: $PnE, 074 $TIMESTEP, 090 to 097 spillover.
OLD_BD = "017 069"
MIXED_BITS = "067 074 093"
NOTED = {
    "flowcore_extdata/inst/extdata/0877408774.B08": "014 017",
    "flowcore_extdata/inst/extdata/0877408774.E07": "014 017",
    "flowcore_extdata/inst/extdata/0877408774.F06": "014 017",
    **{f"flowcore_extdata/inst/extdata/compdata/data/060909.00{n}": OLD_BD for n in range(1, 6)},
    "flowio/data/fcs_files/100715.fcs": "071",
    "flowio/data/fcs_files/3FITC_4PE_004.fcs": OLD_BD,
    "flowio/data/fcs_files/B01 KC-A-W---91-US.fcs": "026",
    "flowio/data/fcs_files/data1.fcs": f"014 {OLD_BD}",
    "flowio/data/fcs_files/data_start_offset_discrepancy_example.fcs": f"040 {MIXED_BITS}",
    "flowio/data/fcs_files/data_stop_offset_discrepancy_example.fcs": f"040 {MIXED_BITS}",
    "flowio/data/fcs_files/variable_int_example.fcs": MIXED_BITS,
    "flowkit/data/gate_ref/data1.fcs": f"014 {OLD_BD}",
    "flowkit/data/multi_dataset_fcs/coulter.lmd": "030 041 097",
    "flowkit/data/noncompliant/data_start_offset_discrepancy_example.fcs": f"040 {MIXED_BITS}",
    "flowkit/data/noncompliant/data_stop_offset_discrepancy_example.fcs": f"040 {MIXED_BITS}",
    "flowworkspacedata/inst/extdata/diva/124500.fcs": "019",
    "immport_galaxy/flowtools/check_fcs_headers/test-data/input1.fcs": OLD_BD,
    "immport_galaxy/flowtools/check_fcs_headers/test-data/input2.fcs": OLD_BD,
    "immport_galaxy/flowtools/check_fcs_headers/test-data/input3.fcs": OLD_BD,
    "immport_galaxy/flowtools/flowai/test-data/input.fcs": OLD_BD,
    "qc_flowai_bcells/converted/Bcells1.fcs": "090",
    f"{VENDOR}/FACSCaliburHTS/Sample_Well_A02.fcs": OLD_BD,
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Custom_Add_Well_A1.001.fcs": "041 090",
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Custom_Without_Add_Well_A1.001.fcs": "041 090",
    f"{MILTENYI}/EY_2013-07-19_PBS_FCS_3.1_Well_A1.001.fcs": "041 090",
    f"{MILTENYI}/SG_2014-09-26_Duplicate_Names.fcs": "019 041",
    f"{VENDOR}/cyflow_cube_8/cyflow_cube_8.fcs": "024",
    f"{VENDOR}/fake_bitmask_error/fcs1_cleaned.lmd": "067 097",
    f"{VENDOR}/fake_large_fcs/fake_large_fcs.fcs": "042",
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


def plain(pairs) -> dict[str, str]:
    """Keywords as FlowIO gives them: lower case, and no dollar sign anywhere."""
    return {key.lower().replace("$", ""): value.replace("$", "") for key, value in pairs.items()}


def differences(name: str, path: Path) -> list[str]:
    """What differs between our reading of a file and FlowIO's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FlowIO warns about offsets it was told to ignore
        flow = flowio.FlowData(str(path), **FLOWIO_NEEDS.get(name, {}))
    ours = read_fcs(path)
    theirs = flow.as_array(preprocess=False)
    found = []
    if not np.array_equal(ours.events, theirs, equal_nan=True):
        found.append("events differ")
    if [c.detector for c in ours.panel.channels] != (GLUED_NAMES if name in GLUED else flow.pnn_labels):
        found.append("channel names differ")
    keywords = plain(ours.keywords)
    only_ours, only_theirs = keywords.items() - flow.text.items(), flow.text.items() - keywords.items()
    if name in SUPPLEMENTED:
        only_ours = {pair for pair in only_ours if not pair[0].startswith("@mb_")}
    if "014" not in NOTED.get(name, "") and (only_ours or only_theirs):
        found.append("keywords differ")
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
        try:
            found = differences(name, path)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            wrong[name] = found
    assert wrong == {}
    assert len(files) >= 100


def test_oddities_are_noted_and_nothing_else_is(shared_data):
    """Exactly these codes; and without repair just the files whose codes are all of kind note are read."""
    files = fcs_files(shared_data)
    noted, unrepaired = {}, {}
    for name in files.keys() - REFUSED.keys():
        codes = sorted({note.code for note in read_fcs(files[name]).notes})
        if codes:
            noted[name] = " ".join(code.removeprefix("FCS") for code in codes)
        repaired = [code for code in codes if CODES[code].kind == "repair"]
        try:
            unrepaired[name] = read_fcs(files[name], repair="none") is None or bool(repaired)
        except FcsError as error:
            unrepaired[name] = error.code not in repaired
    assert noted == {name: codes for name, codes in NOTED.items() if name in files}
    assert [name for name, wrong in unrepaired.items() if wrong] == []


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files(shared_data, name):
    path = existing(shared_data, name)
    code, says = REFUSED[name]
    for repair in ("safe", "salvage"):
        with pytest.raises(FcsError) as caught:
            read_fcs(path, repair=repair)
        assert str(path) in str(caught.value)
        assert caught.value.code == code
        assert says in caught.value.found


def by_hand(path: Path) -> tuple[list[list[int]], list[int]]:
    """Big-endian integers in three bytes, from the HEADER's offsets alone, and the ranges of the channels."""
    raw = path.read_bytes()
    text_begin, text_end, begin, end = (int(raw[10 + 8 * i : 18 + 8 * i]) for i in range(4))
    tokens = raw[text_begin + 1 : text_end].decode("latin-1").split(chr(raw[text_begin]))
    text = dict(zip(tokens[::2], tokens[1::2], strict=False))
    n_channels = int(text["$PAR"])
    assert text["$BYTEORD"] == "4,3,2,1"
    assert {text[f"$P{n}B"] for n in range(1, n_channels + 1)} == {"24"}
    data = raw[begin : end + 1]
    assert len(data) == 3 * n_channels * int(text["$TOT"])
    values = [int.from_bytes(data[i : i + 3], "big") for i in range(0, len(data), 3)]
    rows = [values[i : i + n_channels] for i in range(0, len(values), n_channels)]
    return rows, [int(text[f"$P{n}R"]) for n in range(1, n_channels + 1)]


def test_24_bit_integers(shared_data):
    """Every value of the Cytek file in plain Python; all lie below their ranges, so nothing is masked."""
    path = existing(shared_data, CYTEK)
    rows, tops = by_hand(path)
    tube = read_fcs(path)
    assert tube.events.tolist() == rows
    assert all(max(column) < top for column, top in zip(zip(*rows, strict=True), tops, strict=True))
    assert tube.n_events == 23_126


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_truncated_real_tube_is_salvaged_from_its_begin(shared_data, tmp_path, kept):
    whole = read_fcs(existing(shared_data, "tbnk_auto/1.fcs"))
    raw = whole.path.read_bytes()
    path = tmp_path / "cut.fcs"
    path.write_bytes(raw[: int(kept * len(raw))])
    with pytest.raises(FcsError) as caught:
        read_fcs(path)
    assert caught.value.code == "FCS046"
    tube = read_fcs(path, repair="salvage")
    assert "FCS049" in [note.code for note in tube.notes]
    assert kept * 0.95 < tube.n_events / whole.n_events < kept
    assert tube.events.tobytes() == whole.events[: tube.n_events].tobytes()


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
        assert "FCS030" in [note.code for note in ours.notes]
    assert "FCS067" in [note.code for note in read_fcs(path, data_set=1).notes]
    assert count_data_sets(path) == 2
    with pytest.raises(FcsError, match="FCS033"):
        read_fcs(path, data_set=2)

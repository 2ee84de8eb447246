"""Which channel carries a marker: exact, or the candidates are listed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import AmbiguousMarker, FcsError, UnknownMarker
from nti7flow.events.fcs import read_fcs
from nti7flow.events.notes import Findings
from nti7flow.events.panel import Channel, Panel


def panel(*channels: str | tuple[str, str], **keywords: str) -> Panel:
    """A panel from detectors, or (detector, label) pairs."""
    pairs = [(channel, "") if isinstance(channel, str) else channel for channel in channels]
    text = {"$PAR": str(len(pairs)), "$DATATYPE": "F"} | keywords
    for n, (detector, label) in enumerate(pairs, 1):
        text |= {f"$P{n}N": detector, f"$P{n}S": label, f"$P{n}R": "262144"}
    return Panel.from_keywords(text, path="tube.fcs")


TBNK = panel(
    "FSC-A",
    "FSC-H",
    "FSC-W",
    "SSC-A",
    ("FITC-A", "CD3"),
    ("PE-A", "CD16+56"),
    ("PerCP-Cy5-5-A", "CD45"),
    ("PE-Cy7-A", "CD4"),
    ("APC-A", "CD19"),
    ("APC-Cy7-A", "CD8"),
    "Time",
)


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        ("CD3", "FITC-A"),
        ("cd3", "FITC-A"),
        ("CD3 FITC", "FITC-A"),
        ("FITC-A", "FITC-A"),
        ("fitc-a", "FITC-A"),
        ("Comp-FITC-A", "FITC-A"),
        ("CD4", "PE-Cy7-A"),
        ("CD45", "PerCP-Cy5-5-A"),
        ("CD16+CD56", "PE-A"),
        ("CD16+56", "PE-A"),
        ("CD56/CD16", "PE-A"),
        ("CD56", "PE-A"),
        ("CD16", "PE-A"),
        ("CD8a", "APC-Cy7-A"),
        ("FSC", "FSC-A"),
        ("FS", "FSC-A"),
        ("FSC-H", "FSC-H"),
        ("FSC-Height", "FSC-H"),
        ("FSC-W", "FSC-W"),
        ("SSC", "SSC-A"),
        ("SS INT LIN", "SSC-A"),
        ("TIME", "Time"),
    ],
)
def test_names_resolve(name, detector):
    assert TBNK.resolve(name).detector == detector


@pytest.mark.parametrize("name", ["CD45RA", "CD5", "CD", "SSC-H", "CD16+CD3", "HLA-DR", "FITC", ""])
def test_what_no_channel_carries(name):
    with pytest.raises(UnknownMarker, match="no channel carries"):
        TBNK.resolve(name)


def test_cd4_is_not_in_cd45():
    tube = panel(("FITC-A", "CD45"), ("PE-A", "CD45RA"), ("APC-A", "CD4+CD20"))
    assert tube.resolve("CD4").detector == "APC-A"
    assert tube.resolve("CD45").detector == "FITC-A"
    assert tube.resolve("CD45 RA").detector == "PE-A"
    with pytest.raises(UnknownMarker):
        panel(("FITC-A", "CD45"), ("PE-A", "CD40")).resolve("CD4")
    with pytest.raises(UnknownMarker):
        panel(("FITC-A", "CD45 RA")).resolve("CD45")


def test_unknown_markers_say_what_there_is_and_what_was_meant():
    with pytest.raises(UnknownMarker) as caught:
        TBNK.resolve("CD91")
    assert str(caught.value) == (
        "no channel carries CD91; the panel has FSC-A, FSC-H, FSC-W, SSC-A, CD3, CD16+56, CD45, CD4, CD19, CD8, Time."
        " Did you mean 'CD19'?"
    )
    with pytest.raises(UnknownMarker, match="Did you mean 'PE-Cy7-A'"):
        TBNK.detector("PE-Cy5-A")


def test_ambiguous_markers_list_the_candidates():
    tube = panel(("FL1-H", "CD4 FITC"), ("FL2-H", "CD8 B PE"), ("FL4-H", "CD8 APC"))
    with pytest.raises(AmbiguousMarker) as caught:
        tube.resolve("CD8")
    assert str(caught.value) == (
        "CD8 could be any of 2 channels: FL2-H (CD8 B), FL4-H (CD8). Say which with --marker 'CD8=DETECTOR' or correct "
        "the marker names in the file."
    )
    assert tube.with_markers({"CD8": "FL4-H"}).resolve("CD8").detector == "FL4-H"
    assert [c.detector for c in tube.candidates("CD8")] == ["FL2-H", "FL4-H"]


def test_area_before_height_before_width():
    labels = [("BV421-W", "CD3"), ("BV421-H", "CD3"), ("BV421-A", "CD3")]
    assert panel(*labels).resolve("CD3").detector == "BV421-A"
    assert panel(*labels[:2]).resolve("CD3").detector == "BV421-H"
    assert panel("SSC-W", "SSC-H", "SSC-A").resolve("SSC").detector == "SSC-A"
    assert panel("SSC-W", "SSC-H").resolve("SSC-H").detector == "SSC-H"
    assert (
        panel("SSC-B-A", "SSC-A").resolve("SSC").detector == "SSC-A"
    )  # the scatter of another laser is another channel


def test_compensated_before_raw():
    """FlowJo can export a detector twice; raw values must not pass for compensated ones."""
    tube = panel(("FITC-A", "CD3"), ("Comp-FITC-A", "CD3"))
    assert tube.resolve("CD3").detector == "Comp-FITC-A"
    assert tube.resolve("FITC-A").detector == "FITC-A"


@pytest.mark.parametrize(
    ("detector", "label", "marker", "dye", "role"),
    [
        ("FITC-A", "CD3", "CD3", "FITC", "fluorescence"),
        ("FITC-A", "FITC-A", "", "FITC", "fluorescence"),
        ("FL1-A", "FITC-A", "", "FITC", "fluorescence"),
        ("FL1-H", "FL1-Height", "", "", "fluorescence"),
        ("FL1 INT LOG", "CD103-FITC", "CD103", "FITC", "fluorescence"),
        ("FL7-A", "GFP/FITC-A", "", "GFP/FITC", "fluorescence"),
        ("FL1-A", "CD3 FITC-A", "CD3", "FITC", "fluorescence"),
        ("FL1-A", "HLA-A", "HLA-A", "", "fluorescence"),
        ("CD45RA", "CD45RA", "CD45RA", "", "fluorescence"),
        ("CD8", "", "CD8", "", "fluorescence"),
        ("HLADr", "", "HLADr", "", "fluorescence"),
        ("FJComp-PE-Cy7-A", "CD4", "CD4", "PE-Cy7", "fluorescence"),
        ("Comp-BUV395-A", "Comp-BUV395-A", "", "BUV395", "fluorescence"),
        ("450/50Violet-A", "BV421 - TETaGC", "TETaGC", "BV421", "fluorescence"),
        ("FS", "FS", "", "", "scatter"),
        ("SS INT LIN", "SS INT LIN", "", "", "scatter"),
        ("FSC-H", "Forward Scatter", "", "", "scatter"),
        ("TIME", "TIME", "", "", "time"),
        ("Time", "Time (102.40 sec.)", "", "", "time"),
        ("HDR-T", "HDR-T", "", "", "time"),
        ("HDR-CE", "HDR-CE", "", "", "other"),
        ("Width", "Width", "", "", "other"),
        ("Original_ID", "", "", "", "other"),
    ],
)
def test_channels_as_programs_write_them(detector, label, marker, dye, role):
    (channel,) = panel((detector, label)).channels
    assert (channel.marker, channel.fluorochrome, channel.role) == (marker, dye, role)
    assert channel.precompensated == ("Comp-" in detector)
    assert channel.title == (marker or detector)


def test_scatter_time_and_dyes_carry_no_marker():
    tube = panel("FSC-A", "Time", "FITC-A", ("FL3-A", ""))
    assert [channel.marker for channel in tube.channels] == ["", "", "", ""]
    assert [sorted(channel.targets) for channel in tube.channels] == [["FSC"], [], [], []]


# --- assigned by hand -----------------------------------------------------------------------------


def test_with_markers_moves_a_marker():
    moved = TBNK.with_markers({"CD3": "APC-A"})
    assert moved.resolve("CD3").detector == "APC-A"
    assert moved.detector("FITC-A").targets == frozenset()
    with pytest.raises(UnknownMarker):
        moved.resolve("CD19")
    assert TBNK.resolve("CD3").detector == "FITC-A"


def test_with_markers_takes_one_of_two_targets():
    moved = TBNK.with_markers({"CD56": "APC-A"})
    assert moved.resolve("CD56").detector == "APC-A"
    assert moved.resolve("CD16").detector == "PE-A"
    both = TBNK.with_markers({"CD16": "APC-A", "CD56": "APC-A"})
    assert both.resolve("CD16+CD56").detector == "APC-A"
    assert both.detector("APC-A").marker == "CD16+CD56"


def test_with_markers_wins_over_a_detector_of_that_name():
    """Detectors called after markers, in the wrong order (euroflow 16): what the user says counts."""
    swapped = panel("CD3", "CD8").with_markers({"CD3": "CD8", "CD8": "CD3"})
    assert swapped.resolve("CD3").detector == "CD8"
    assert swapped.resolve("CD8").detector == "CD3"
    assert swapped.detector("CD3").marker == "CD8"
    with pytest.raises(UnknownMarker):
        panel("CD3", "CD4").with_markers({"CD8": "CD3"}).resolve("CD3")
    assert TBNK.with_markers({"CD3": "APC-A"}).resolve("APC-A").detector == "APC-A"


def test_with_markers_needs_a_detector_of_the_panel():
    with pytest.raises(UnknownMarker, match=r"--marker CD3=FITC-H: the panel has no detector FITC-H; .*mean 'FITC-A'"):
        TBNK.with_markers({"CD3": "FITC-H"})
    assert TBNK.with_markers({}) == TBNK


# --- numbers, displays, refusals ------------------------------------------------------------------


def test_top_of_scale():
    keywords = {"$PAR": "4", "$DATATYPE": "I"}
    for n, (name, top, gain, amplifier) in enumerate(
        [
            ("FSC-H", "1024", "8", "0,0"),
            ("FL1-H", "1024", "2", "4,1"),
            ("FL2-H", "", "", ""),
            ("Time", "100", "0.5", ""),
        ],
        1,
    ):
        keywords |= {f"$P{n}N": name, f"$P{n}R": top, f"$P{n}G": gain, f"$P{n}E": amplifier}
    channels = Panel.from_keywords(keywords).channels
    assert [channel.top for channel in channels] == [128.0, 10_000.0, 262_144.0, 100.0]
    assert [channel.log_amplifier for channel in channels] == [None, (4.0, 1.0), None, None]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", "1_0", "٢", ""])
@pytest.mark.parametrize("kind", ["I", "F"])
def test_useless_ranges_and_gains_count_as_absent(text, kind):
    findings = Findings("tube.fcs")
    keywords = {"$PAR": "1", "$DATATYPE": kind, "$P1N": "V1-A", "$P1R": text, "$P1G": text, "$P1E": "0,0"}
    (channel,) = Panel.from_keywords(keywords, findings=findings).channels
    assert (channel.range, channel.gain) == (None, None)
    codes = {note.code: note.found for note in findings.notes}
    # What floating-point data have for a range does not matter, as long as they have one.
    assert ("FCS068" in codes) == (kind == "I" or not text)
    assert ("FCS073" in codes) == bool(text)


def test_names_must_be_there_and_differ():
    with pytest.raises(FcsError) as caught:
        panel("FITC-A", "PE-A", "FITC-A")
    assert caught.value.code == "FCS080"
    assert "channels 1 and 3" in caught.value.found
    assert "'FITC-A'" in caught.value.found
    with pytest.raises(FcsError) as caught:
        panel("FITC-A", "")
    assert caught.value.code == "FCS081"
    assert "$P2N" in caught.value.found
    assert caught.value.path == "tube.fcs"


def test_every_channel_that_is_odd_is_named():
    """One note for each oddity, with the first channels that have it and how many more."""
    findings = Findings("tube.fcs")
    keywords = {"$PAR": "8", "$DATATYPE": "I"} | {f"$P{n}N": f"V{n}-A" for n in range(1, 9)}
    Panel.from_keywords(keywords, findings=findings)
    notes = {note.code: note for note in findings.notes}
    assert notes.keys() == {"FCS068", "FCS071"}
    assert notes["FCS071"].found == "no $P1E, no $P2E, no $P3E, no $P4E, no $P5E and 3 more"
    assert notes["FCS071"].assumed == "a linear amplifier"


def test_types_of_single_channels_decide_what_their_amplifier_means():
    """FCS 3.2: a logarithmic amplifier belongs to the integer channel, whatever $DATATYPE says of the others."""
    findings = Findings("tube.fcs")
    keywords = {"$PAR": "2", "$DATATYPE": "F", "$P2DATATYPE": "I"}
    for n in (1, 2):
        keywords |= {f"$P{n}N": f"V{n}-A", f"$P{n}R": "1024", f"$P{n}E": "4,1"}
    channels = Panel.from_keywords(keywords, findings=findings).channels
    assert [channel.log_amplifier for channel in channels] == [None, (4.0, 1.0)]
    assert [(note.code, "$P1E" in note.found) for note in findings.notes] == [("FCS070", True)]


def test_a_log_amplifier_needs_a_range():
    with pytest.raises(ValueError, match="no range"):
        Channel(0, "FL1-H", "", "", "fluorescence", frozenset(), "FL1", "H", log_amplifier=(4.0, 1.0))


def test_displays():
    tube = panel(("FITC-A", "CD3"), ("PE-A", "<b>CD4</b>"))
    assert repr(tube).splitlines()[0] == "<Panel of 2 channels>"
    assert repr(tube).splitlines()[1].split() == ["FITC-A", "CD3", "FITC", "fluorescence"]
    assert "<td>CD3</td>" in tube._repr_html_()
    assert "<td>&lt;b&gt;CD4" in tube._repr_html_()


# --- any panel of known markers -------------------------------------------------------------------

KNOWN = """
    CD3 CD4 CD8 CD14 CD16 CD19 CD20 CD25 CD27 CD28 CD31 CD38 CD45 CD45RA CD45RO CD56 CD57 CD62L CD95 CD127
    CD161 CCR4 CCR6 CCR7 CXCR3 CXCR5 HLA-DR PD-1 Ki-67 FoxP3 TCRgd IgD ICOS
"""
MARKERS = KNOWN.split()
DYES = ["FITC", "PE", "APC", "PerCP-Cy5.5", "PE-Cy7", "BV421", "BUV395", "Alexa Fluor 700", "APC-H7", "Pacific Blue"]
SPELLINGS = [
    "{marker}",
    "{marker} {dye}",
    "{marker}-{dye}",
    "{dye} {marker}",
    "{dye} - {marker}",
    "{marker} ({dye})",
    "{marker}_{dye}",
    "Comp-{marker}",
]


@given(
    markers=st.lists(st.sampled_from(MARKERS), min_size=1, max_size=12, unique=True),
    data=st.data(),
)
def test_each_marker_of_any_panel_finds_itself_in_any_spelling(markers, data):
    spelling = st.builds(
        lambda form, dye, case: lambda marker: form.format(marker=case(marker), dye=dye),
        st.sampled_from(SPELLINGS),
        st.sampled_from(DYES),
        st.sampled_from([str, str.upper, str.lower]),
    )
    labels = [(f"B{n}-A", data.draw(spelling)(marker)) for n, marker in enumerate(markers)]
    tube = panel("FSC-A", "SSC-A", *labels, "Time")
    asked = data.draw(st.sampled_from([str, str.upper, str.lower, lambda name: f"{name} FITC"]))
    assert [tube.resolve(asked(marker)).detector for marker in markers] == [detector for detector, _ in labels]
    for absent in set(MARKERS) - set(markers):
        assert tube.candidates(absent) == []


# --- the panels of real tubes ---------------------------------------------------------------------

VENDOR = "vendor_fcsparser/fcsparser/tests/data/FlowCytometers"
REAL = {
    "tbnk_auto/1.fcs": (
        "CD3=FITC-A CD16+CD56=PE-A CD45=PerCP-Cy5-5-A CD4=PE-Cy7-A CD19=APC-A CD8=APC-Cy7-A FSC=FSC-A TIME=Time"
    ),
    "healthy_donor_hd/converted/A_1_1.fcs": "CD45=CD45 CD4=CD4 CD8=CD8 CD3=CD3 CD19=CD19 FSC=FS SSC=SS",
    "itn/converted/sample01.fcs": "CD3=CD3 CD4=CD4 CD8=CD8 CD69=CD69 HLA-DR=HLADr SSC=SSC",
    "hipc_tcell_labelled/converted/HIPC_Stanford_1228_1A.fcs": "CCR7=CCR7 CD45RA=CD45RA HLA-DR=HLADR CD38=CD38",
    "euroflow_lst_optimalflow/converted/Cytometry01.fcs": (
        "CD4=PacBlue-A CD20=PacBlue-A CD8=FITC-A CD19=PE-Cy7-A TCRgd=PE-Cy7-A CD56=PE-A CD5=PerCP-Cy5-5-A "
        "CD45=PacOrange-A"
    ),
    "cytopipeline_omip021/inst/extdata/Donor1.fcs": (
        "CD3=670/30Violet-A CD4=780/60Red-A CD45RO=730//45Red-A CCR7=780/60Yellow-A TCRgd=530/30Blue-A"
    ),
    "coereba_tcell/inst/extdata/2025_07_26_AB_02_NY068_02_SEB.fcs": (
        "CD3=Comp-Spark_Blue_550-A CD4=Comp-BUV805-A CD8=Comp-BV650-A CD45=Comp-Spark_Blue_574-A CD45RA=Comp-BV605-A "
        "CCR7=Comp-APC-Fire_810-A HLA-DR=Comp-PE-Vio770-A PD-1=Comp-RB613-A SSC=SSC-A"
    ),
    "flowq/converted/pid01027_tube1.fcs": "CD45RA=FITC-A CD45RO=PE-A CD8=FL3-A CD4=PE-Cy7-A CD62L=APC-A",
    "flowsom_wsp/inst/extdata/68983.fcs": (
        "CD8=Pacific_Blue-A TCRgd=APC-A CD4=PE-Texas_Red-A CD19=PE-Cy5-A CD3=PE-Cy7-A"
    ),
    "flowio/data/fcs_files/data1.fcs": "CD4=FL1-H CD3=FL3-H FSC=FSC-H",
    "flowio/data/fcs_files/100715.fcs": "Ki67=B515-A CD3=R780-A CD8=V800-A CD4=V655-A CD14=V450-A CD19=G710-A",
    "qc_flowcut/converted/flowcut_1.fcs": "CD15=FL1-H CD45=FL2-H CD14=FL3-H CD33=FL4-H",
    "immport_galaxy/flowtools/flowai/test-data/input.fcs": "CD4=FL1-H CXCR3=FL2-H CD8=FL3-H CCR5=FL4-H SSC=SSC-H",
    f"{VENDOR}/fake_bitmask_error/fcs1_cleaned.lmd": (
        "CD103=FL1_INT_LOG CD23=FL2_INT_LOG CD19=FL3_INT_LOG CD22=FL4_INT_LOG CD45=FL5_INT_LOG "
        "FSC=FS_INT_LIN SSC=SS_INT_LIN"
    ),
    f"{VENDOR}/FACS_Diva/facs_diva_test.fcs": "CD20=FITC-A CD45=PerCP-A CD34=PE-Cy7-A CD19=APC-A CD38=Alexa700-A",
}
AMBIGUOUS = {
    "flowio/data/fcs_files/data1.fcs": ["FL2-H", "FL4-H"],
    "cytopipeline_omip021/inst/extdata/Donor1.fcs": ["585/15Violet-A", "670/14Red-A"],  # CD8a and CD8b
}


@pytest.mark.parametrize("name", REAL)
def test_real_panels(shared_data, name):
    path = shared_data / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the reference data")
    tube = read_fcs(path)
    expected = dict(pair.replace("_", " ").split("=") for pair in REAL[name].split())
    assert {marker: tube.panel.resolve(marker).detector for marker in expected} == expected
    first = next(iter(expected))
    index = tube.panel.detector(expected[first]).index
    out = np.empty(tube.n_events)
    tube.column_into(index, out, slice(None))
    assert np.array_equal(tube.columns([first])[:, 0], out)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_real_ambiguity(shared_data, name):
    path = shared_data / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the reference data")
    with pytest.raises(AmbiguousMarker) as caught:
        read_fcs(path).panel.resolve("CD8")
    assert all(detector in str(caught.value) for detector in AMBIGUOUS[name])

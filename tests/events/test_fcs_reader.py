"""The reader on files built byte by byte: what an event is worth, and what is refused at once."""

import hashlib
import os
import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest
from builder import BLANK, CODES, build, chain, data_segment, segments, text_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from nti7flow.errors import FcsError, Nti7flowError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import spillover_for
from nti7flow.events.stored import EventsInMemory, Survey

DETECTORS = ["FSC-A", "FITC-A"]


# --- what is read ---------------------------------------------------------------------------------


def test_by_hand(read):
    """Two events of two 16-bit channels, every byte spelled out.

    SSC: linear with gain 8. FL1: 1,024 levels over 4 decades, so 256 and 512 lie at 10^1 and 10^2; its junk high bits
    (0x8000) are not part of the value, and that is noted.
    """
    text = (
        b"|$MODE|L|$DATATYPE|I|$BYTEORD|2,1|$PAR|2|$TOT|2|$NEXTDATA|0|$CYT| abacus |"
        b"$P1N|SSC-H|$P1B|16|$P1R|1024|$P1E|0,0|$P1G|8.0|$P2N|FL1-H|$P2S|CD4 FITC|$P2B|16|$P2R|1024|$P2E|4,1|"
    )
    data = bytes.fromhex("0010 810003ff 8200")
    begin = 58 + len(text)
    raw = f"FCS2.0    {58:8d}{begin - 1:8d}{begin:8d}{begin + 7:8d}       0       0".encode() + text + data
    tube = read(raw)
    assert tube.events.tolist() == [[16, 256], [1023, 512]]
    assert tube.columns(["SSC", "CD4"]).tolist() == [[2.0, 10.0], [127.875, 100.0]]
    assert (tube.version, tube.n_events, tube.data_set) == ("FCS2.0", 2, 0)
    assert tube.keywords["$CYT"] == " abacus "
    assert tube.panel.resolve("CD4").fluorochrome == "FITC"
    (note,) = tube.notes
    assert (note.code, note.found, note.severity) == ("FCS067", "bits above $PnR in 2 values", "info")


ORDERS = st.sampled_from("<>")
VERSIONS = st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"])


@given(
    datatype=st.sampled_from("FD"),
    order=ORDERS,
    version=VERSIONS,
    n_channels=st.integers(1, 5),
    n_events=st.integers(0, 6),
    noise=st.randoms(use_true_random=False),
)
def test_floats_of_any_bit_pattern(read, datatype, order, version, n_channels, n_events, noise):
    """Bit for bit: infinities, subnormals and signalling NaN included."""
    size = {"F": 4, "D": 8}[datatype]
    special = [b"\0" * size, b"\xff" * size, struct.pack(f"{order}{CODES[datatype, 8 * size]}", float("inf"))]
    values = [noise.choice([*special, noise.randbytes(size)]) for _ in range(n_channels * n_events)]
    data = b"".join(values)
    names = [f"V{n}-A" for n in range(n_channels)]
    tube = read(
        build([[0.0] * n_channels] * n_events, names, datatype=datatype, order=order, version=version, data=data)
    )
    assert tube.events.shape == (n_events, n_channels)
    assert tube.events.dtype.kind == "f"
    assert tube.events.tobytes() == data
    scale = tube.columns(names)
    flat = [struct.unpack(f"{order}{CODES[datatype, 8 * size]}", value)[0] for value in values]
    expected = np.array(flat, np.float64).reshape(n_events, n_channels)
    assert scale.flags.f_contiguous
    assert np.array_equal(scale, expected, equal_nan=True)
    odd = int(np.count_nonzero(~np.isfinite(expected)))
    assert [(note.code, note.found.split()[0]) for note in tube.notes] == ([("FCS075", str(odd))] if odd else [])


@given(
    data=st.data(), order=ORDERS, version=VERSIONS, bits=st.lists(st.sampled_from([8, 16, 32]), min_size=1, max_size=6)
)
def test_integers_of_mixed_width_lose_the_bits_above_their_range(read, data, order, version, bits):
    tops = [data.draw(st.integers(2, 2**width), label="range") for width in bits]
    rows = data.draw(st.lists(st.tuples(*(st.integers(0, 2**width - 1) for width in bits)), max_size=5), label="rows")
    names = [f"V{n}-A" for n in range(len(bits))]
    tube = read(build(rows, names, datatype="I", bits=bits, order=order, ranges=tops, version=version))
    masks = [2 ** (top - 1).bit_length() - 1 for top in tops]
    assert tube.events.shape == (len(rows), len(bits))
    assert tube.events.dtype == np.dtype(f"u{max(bits) // 8}")
    kept = [[value & mask for value, mask in zip(row, masks, strict=True)] for row in rows]
    assert tube.events.tolist() == kept
    junk = sum(
        value != whole for row, wholes in zip(kept, rows, strict=True) for value, whole in zip(row, wholes, strict=True)
    )
    assert [(note.code, note.found.split()[4]) for note in tube.notes] == ([("FCS067", str(junk))] if junk else [])


@pytest.mark.parametrize(
    ("amplifier", "top", "stored", "linear", "codes"),
    [
        ("4,1", 1024, 512, 100.0, []),
        ("4,0", 1024, 512, 100.0, ["FCS069"]),  # invalid but common: read as 4,1
        ("4.0,0.1024", 1024, 0, 0.1024, []),
        ("2.5, 10", 256, 128, 10 * 10**1.25, []),
        ("0,0", 1024, 512, 512.0, []),
        ("0,1", 1024, 512, 512.0, []),
    ],
)
@pytest.mark.parametrize("datatype", ["I", "A"])
def test_log_amplifiers_are_linearised(read, amplifier, top, stored, linear, codes, datatype):
    raw = build([(stored, 1)], datatype=datatype, ranges=[top, 1024], change={"$P1E": amplifier})
    tube = read(raw)
    assert tube.columns(["FSC-A"]).tolist() == [[pytest.approx(linear, rel=1e-14)]]
    assert [note.code for note in tube.notes] == codes


@given(
    decades=st.floats(0.1, 10), offset=st.floats(1e-3, 10), bits=st.integers(2, 16), stored=st.integers(0, 2**16 - 1)
)
def test_log_amplifiers_by_the_formula_of_the_standard(read, decades, offset, bits, stored):
    """10^(decades * value / range) * offset, in plain Python."""
    stored %= 2**bits
    change = {"$P1E": f"{decades!r},{offset!r}"}
    tube = read(build([(stored, 1)], datatype="I", ranges=[2**bits, 1024], change=change))
    truth = 10 ** (decades * stored / 2**bits) * offset
    assert tube.columns(["FSC-A"])[0, 0] == pytest.approx(truth, rel=1e-12)


def test_float_data_ignores_the_amplifier(read):
    """The standard demands $PnE 0,0 for float data; what else stands there is no transformation to undo."""
    tube = read(build(change={"$P1E": "4,1"}))
    assert tube.columns(["FSC-A"])[:, 0].tolist() == [1.0, 3.0, 5.0]
    assert [note.code for note in tube.notes] == ["FCS070"]


def test_gain_is_divided_out_and_time_is_in_seconds(read):
    change = {"$P1G": "4", "$P2G": "0.01", "$TIMESTEP": "0.01"}
    tube = read(build([(8.0, 300.0)], ["FITC-A", "Time"], change=change))
    assert tube.columns(["FITC-A", "Time"]).tolist() == [[2.0, 3.0]]
    assert tube.time_step_s == 0.01
    assert tube.notes == ()


def test_gain_does_not_touch_a_log_amplifier(read):
    change = {"$P1E": "4,1", "$P1G": "2"}
    tube = read(build([(512, 1)], datatype="I", ranges=[1024, 1024], change=change))
    assert tube.columns(["FSC-A"])[0, 0] == pytest.approx(100)
    assert [note.code for note in tube.notes] == ["FCS078"]


@pytest.mark.parametrize("step", ["", "abc", "0", "-1", "nan", "inf", "0_1", "0,01"])
def test_a_useless_time_step_leaves_time_as_stored(read, refused, step):
    raw = build([(8.0, 300.0)], ["FITC-A", "Time"], more=[("$TIMESTEP", step)] if step else [])
    tube = read(raw)
    assert tube.time_step_s is None
    assert tube.columns(["Time"]).tolist() == [[300.0]]
    assert [note.code for note in tube.notes] == (["FCS074"] if step else [])
    if step:
        refused(raw, "FCS074", repair="none")


@pytest.mark.parametrize("gain", ["abc", "0", "-1", "nan", "inf", "1_0", "0x2", "٢"])
def test_a_useless_gain_is_no_gain(read, gain):
    tube = read(build(change={"$P1G": gain}))
    assert tube.columns(["FSC-A"])[:, 0].tolist() == [1, 3, 5]
    assert [note.code for note in tube.notes] == ["FCS073"]


@pytest.mark.parametrize("top", [None, "", "0", "-1", "many", "nan", "1_024", "1e400"])
def test_a_useless_range_keeps_all_bits(read, top):
    tube = read(build([(0xFFFF, 1)], datatype="I", change={"$P1R": top}))
    assert tube.events.tolist() == [[0xFFFF, 1]]
    assert {note.code for note in tube.notes} - {"FCS014"} == {"FCS068"}


@pytest.mark.parametrize("top", ["1024", "1000", "1024.0", "1.024e3", " 1024 "])
def test_ranges_that_are_numbers(read, top):
    assert read(build([(0xFC07, 1)], datatype="I", change={"$P1R": top})).events.tolist() == [[7, 1]]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"$P1N": None}, "FCS081", "$P1N"),
        ({"$P1N": " "}, "FCS081", "$P1N"),
        ({"$P2N": "FSC-A"}, "FCS080", "channels 1 and 2 both named 'FSC-A'"),
        ({"$P1B": None}, "FCS021", "$P1B"),
        ({"$P1B": "thirty-two"}, "FCS022", "$P1B='thirty-two'"),
        ({"$PAR": "0"}, "FCS022", "$PAR=0"),
        ({"$PAR": "-2"}, "FCS022", "$PAR='-2'"),
        ({"$PAR": "2.0"}, "FCS022", "$PAR='2.0'"),
        ({"$PAR": "3"}, "FCS021", "$P3B"),
        ({"$PAR": "9" * 30}, "FCS022", "$PAR"),
        ({"$MODE": None}, "FCS021", "$MODE"),
        ({"$MODE": "C"}, "FCS060", "$MODE='C'"),
        ({"$MODE": "U"}, "FCS060", "$MODE='U'"),
        ({"$MODE": "X"}, "FCS060", "$MODE='X'"),
        ({"$DATATYPE": "D"}, "FCS047", "48 bytes"),
        ({"$DATATYPE": "X"}, "FCS061", "$DATATYPE='X'"),
        ({"$BYTEORD": "1,3,2"}, "FCS062", "1,3,2"),
    ],
)
def test_keywords_that_cannot_be_right(refused, changes, code, says):
    error = refused(build(change=changes), code)
    assert says in error.found
    assert error.expected or error.what_to_do


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"$P1E": "4"}, "$P1E='4'"),
        ({"$P1E": "4;1"}, "$P1E='4;1'"),
        ({"$P1E": "4,1,"}, "$P1E='4,1,'"),
        ({"$P1E": "nan,1"}, "$P1E='nan,1'"),
        ({"$P1E": "400,1"}, "$P1E='400,1'"),
        ({"$P1E": "-4,1"}, "$P1E='-4,1'"),
        ({"$P1E": "4,-1"}, "$P1E='4,-1'"),
        ({"$P1E": "4,inf"}, "$P1E='4,inf'"),
        ({"$P1E": "1_0,1"}, "$P1E='1_0,1'"),
        ({"$P1E": "4,1", "$P1R": None}, "$P1R"),
        ({"$P1E": "4,1", "$P1R": "many"}, "$P1R='many'"),
    ],
)
def test_log_amplifiers_that_cannot_be_right(refused, changes, says):
    assert says in refused(build([(1, 2)], datatype="I", change=changes), "FCS072").found


@pytest.mark.parametrize(
    "raw",
    [
        build(change={"$PAR": "99999999"}),
        build(change={"$TOT": "99999999999"}),
        build(change={"$ENDDATA": "99999999999999"}, in_header=(0, 9_000_000)),
        build(change={"$NEXTDATA": "1"}),
        build(more=[("JUNK", "/" * 200_001)]),
        build([], text_offsets=False)[:10] + b"%8d%8d" % (58, 99_999_999) + b" " * 40,
    ],
    ids=["channels", "events", "offsets", "data-sets", "delimiters", "text"],
)
def test_large_claims_cost_nothing(tmp_path, raw):
    """Refused (or read, where only a keyword is odd) from the file's size: no time, no memory."""
    path = tmp_path / "tube.fcs"
    path.write_bytes(raw)
    tracemalloc.start()
    start = time.process_time()
    try:
        outcome = read_fcs(path).n_events
    except FcsError as error:
        outcome = str(error)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome == 3 or (isinstance(outcome, str) and str(path) in outcome)
    assert time.process_time() - start < 1.0
    assert peak < 60 * len(raw) + 1_000_000


# --- fuzz -----------------------------------------------------------------------------------------

SPILL = ("$SPILLOVER", "2,FSC-A,FITC-A,1,0.1,0.2,1")
BASES = [
    build(more=[SPILL], change={"$P1G": "2.0", "$P2S": "CD3"}),
    build([(1, 2), (3, 4)], datatype="I", version="FCS2.0", change={"$P1E": "4,1", "$P1R": "1024"}),
    build([(1, 2, 3)], ["FSC-A", "CD3", "Time"], datatype="I", bits=[8, 16, 32], more=[("$TIMESTEP", "0.01")]),
    build([(1.0, 2.0)], datatype="D", order=">"),
    chain({}, {"rows": [(7.0, 8.0)]}),
    build(supplement=text_segment([("$P1S", "CD3")]), analysis=text_segment([("GATE", "1")])),
    build([(1, 2.0)], datatype="IF", version="FCS3.2"),
    build([(1, 2), (3, 4)], datatype="I", bits=[10, 10], order=">", data=bytes(5)),
    build([(1, 2), (3, 4)], datatype="A", version="FCS3.0", data=b"1 2 3 4 ", change={"$P1B": "*", "$P2B": "*"}),
]
INTERESTING = b"/$0123456789 ,.-+eE\n\x00\xff|PNBREFDIL"


@st.composite
def damaged(draw) -> bytes:
    raw = bytearray(draw(st.sampled_from(BASES)))
    text_end = segments(raw)["TEXT"][1]
    for _ in range(draw(st.integers(1, 6))):
        # Mostly HEADER and TEXT: damage to the events themselves is not to be seen.
        place = draw(st.integers(0, min(text_end, len(raw) - 1)) | st.integers(0, len(raw) - 1))
        new = draw(st.sampled_from(INTERESTING) | st.integers(0, 255))
        match draw(st.sampled_from(["change", "change", "insert", "delete"])):
            case "change":
                raw[place] = new
            case "insert":
                raw.insert(place, new)
            case "delete":
                del raw[place]
    return bytes(raw[: draw(st.none() | st.integers(0, len(raw)))])


@settings(max_examples=300, deadline=1000)
@given(raw=damaged(), repair=st.sampled_from(["safe", "none", "salvage"]))
def test_fuzz(tmp_path_factory, raw, repair):
    """Refused with one line, or a tube that fits the file; nothing else, and at once."""
    path = tmp_path_factory.getbasetemp() / "fuzz.fcs"
    path.write_bytes(raw)
    try:
        tube = read_fcs(path, repair=repair)
    except FcsError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        return
    assert tube.events.shape == (tube.n_events, len(tube.panel.channels))
    assert tube.n_events * len(tube.panel.channels) <= 8 * len(raw)  # of a bit each, at the most
    assert not tube.events.flags.writeable
    detectors = [channel.detector for channel in tube.panel.channels]
    assert tube.columns(detectors).shape == tube.events.shape
    try:
        spillover = spillover_for(tube, "keyword")
    except Nti7flowError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert set(spillover.detectors) <= set(detectors)


# --- the sample -----------------------------------------------------------------------------------


def test_the_hash_is_lazy_and_of_the_whole_file(tmp_path):
    path = tmp_path / "tube.fcs"
    raw = build()
    path.write_bytes(raw)
    tube = read_fcs(path)
    assert "sha256" not in vars(tube)
    assert tube.sha256 == hashlib.sha256(raw).hexdigest()
    path.unlink()
    assert tube.sha256 == hashlib.sha256(raw).hexdigest()


def test_a_file_that_changed_after_reading_has_no_hash(tmp_path):
    path = tmp_path / "tube.fcs"
    path.write_bytes(build())
    longer, later, gone = (read_fcs(path) for _ in range(3))
    path.write_bytes(build([(1.0, 2.0)]))
    with pytest.raises(FcsError, match="FCS008"):
        _ = longer.sha256
    path.write_bytes(build())
    os.utime(path, ns=(0, 0))
    with pytest.raises(FcsError, match="FCS008"):
        _ = later.sha256
    path.unlink()
    with pytest.raises(FcsError, match="FCS003"):
        _ = gone.sha256


@pytest.mark.parametrize(
    "raw",
    [
        build(),
        build([(1, 2)], datatype="I"),
        build([(1, 2)], datatype="I", bits=[8, 32]),
        build([(1.0, 2.0)], datatype="D"),
    ],
)
def test_events_are_read_only(read, raw):
    tube = read(raw)
    with pytest.raises(ValueError, match="read-only"):
        tube.events[0, 0] = 7
    copy = tube.columns(["FITC-A"])
    copy[:] = -1
    assert tube.columns(["FITC-A"])[0, 0] == 2


def test_columns_come_in_the_order_asked(read):
    tube = read(build([(1.0, 2.0, 3.0)], ["FSC-A", "FITC-A", "PE-A"], change={"$P2S": "CD3", "$P3S": "CD4"}))
    assert tube.columns(["CD4", "FSC", "CD3"]).tolist() == [[3.0, 1.0, 2.0]]
    assert tube.columns([]).shape == (1, 0)
    out = np.empty(2)
    read(build()).column_into(1, out, np.array([2, 0]))
    assert out.tolist() == [6.0, 2.0]


def test_displays_escape_what_files_say(read):
    tube = read(build(change={"$P2S": "<script>CD3", "$CYT": "<b>"}))
    assert repr(tube) == "<Sample tube.fcs: 3 events, 2 channels>"
    assert "<script>" not in tube._repr_html_()
    assert "&lt;b&gt;" in tube._repr_html_()
    assert "3 events × 2 channels" in tube._repr_html_()


def test_events_must_fit_the_panel(read):
    tube = read(build())
    stored = EventsInMemory(tube.events[:, :1].copy(), survey=Survey())
    with pytest.raises(ValueError, match="do not fit 2"):
        type(tube)(tube.path, 0, tube.version, stored, tube.panel, tube.keywords)


def test_notes_show_but_do_not_obey_what_files_say(read):
    tube = read(build(more=[("\x1b[31mKEY", ""), ("<b>", "")]))
    (note,) = tube.notes
    assert "<b>" in note.found
    assert "\x1b" not in tube._repr_html_()
    assert "<b>KEY" not in tube._repr_html_()
    assert "&lt;B&gt;" in tube._repr_html_() or "&lt;b&gt;" in tube._repr_html_()


def test_errors_are_printable_and_travel(refused):
    """Whatever a file says, one line; and a worker process can hand it to the one that asked."""
    error = refused(build(change={"$P2N": "FSC-A", "$P1N": "\x1b[31mFSC\n-A"}, more=[("$P2N", "\x1b]0;x\x07")]))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_the_builder_writes_as_the_standard_says():
    """The builder itself against bytes written out by hand."""
    assert data_segment([(1, 258)], "I", [8, 16], ">") == b"\x01\x01\x02"
    assert text_segment([("$SRC", "a/b")]) == b"/$SRC/a//b/"
    raw = build([(1.0, -2.0)], order=">", gap=b"--", supplement=b"/K/v/", analysis=b"/A/1/")
    assert raw[:10] == b"FCS3.1    "
    begin, end = segments(raw)["DATA"]
    assert raw[begin - 2 : end + 1] == b"--" + bytes.fromhex("3f800000 c0000000")
    assert raw[segments(raw)["TEXT"][0]] == raw[segments(raw)["TEXT"][1]] == ord("/")
    assert raw[end + 1 :] == b"/K/v//A/1/00000000"
    assert f"/$BEGINDATA/{begin:012d}/$ENDDATA/{end:012d}/".encode() in raw
    assert f"/$BEGINSTEXT/{end + 1:012d}/$ENDSTEXT/{end + 5:012d}/".encode() in raw
    assert raw[42:58] == b"%8d%8d" % (end + 6, end + 10)
    size = len(build(change={"$NEXTDATA": BLANK}))
    assert chain({}, {})[size : size + 6] == b"FCS3.1"

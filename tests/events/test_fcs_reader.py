"""The reader on files built byte by byte: every type it reads, and every damage it refuses."""

import hashlib
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from builder import CODES, build, data_segment, segments, text_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from nti7flow.errors import FcsError, Nti7flowError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import spillover_for

DETECTORS = ["FSC-A", "FITC-A"]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Write bytes to a file and read them."""
    path = tmp_path_factory.mktemp("fcs") / "tube.fcs"

    def write_and_read(raw: bytes, **options):
        path.write_bytes(raw)
        return read_fcs(path, **options)

    return write_and_read


@pytest.fixture(scope="module")
def refusal(tmp_path_factory):
    """Write bytes to a file and return the one line with which it is refused."""
    path = tmp_path_factory.mktemp("fcs") / "tube.fcs"

    def write_and_refuse(raw: bytes, **options) -> str:
        path.write_bytes(raw)
        with pytest.raises(FcsError) as caught:
            read_fcs(path, **options)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert caught.value.__cause__ is None
        return message

    return write_and_refuse


# --- what is read ---------------------------------------------------------------------------------


def test_by_hand(read):
    """Two events of two 16-bit channels, every byte spelled out.

    SSC: linear with gain 8. FL1: 1,024 levels over 4 decades, so 256 and 512 lie at 10^1 and 10^2; its junk high bits
    (0x8000) are not part of the value.
    """
    text = (
        b"|$MODE|L|$DATATYPE|I|$BYTEORD|2,1|$PAR|2|$TOT|2|$NEXTDATA|0|$CYT|abacus|"
        b"$P1N|SSC-H|$P1B|16|$P1R|1024|$P1E|0,0|$P1G|8.0|$P2N|FL1-H|$P2S|CD4 FITC|$P2B|16|$P2R|1024|$P2E|4,1|"
    )
    data = bytes.fromhex("0010 810003ff 8200")
    begin = 58 + len(text)
    raw = f"FCS2.0    {58:8d}{begin - 1:8d}{begin:8d}{begin + 7:8d}       0       0".encode() + text + data
    tube = read(raw)
    assert tube.events.tolist() == [[16, 256], [1023, 512]]
    assert tube.columns(["SSC", "CD4"]).tolist() == [[2.0, 10.0], [127.875, 100.0]]
    assert (tube.version, tube.n_events, tube.data_set, tube.notes) == ("FCS2.0", 2, 0, ())
    assert tube.keywords["$CYT"] == "abacus"
    assert tube.panel.resolve("CD4").fluorochrome == "FITC"


ORDERS = st.sampled_from("<>")
VERSIONS = st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1"])


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
    assert tube.events.tolist() == [[value & mask for value, mask in zip(row, masks, strict=True)] for row in rows]


@pytest.mark.parametrize(
    ("amplifier", "top", "stored", "linear"),
    [
        ("4,1", 1024, 512, 100.0),
        ("4,0", 1024, 512, 100.0),  # invalid but common: read as 4,1
        ("4.0,0.1024", 1024, 0, 0.1024),
        ("2.5, 10", 256, 128, 10 * 10**1.25),
        ("0,0", 1024, 512, 512.0),
        ("0,1", 1024, 512, 512.0),
    ],
)
def test_log_amplifiers_are_linearised(read, amplifier, top, stored, linear):
    raw = build([(stored, 1)], datatype="I", ranges=[top, 1024], change={"$P1E": amplifier})
    assert read(raw).columns(["FSC-A"]).tolist() == [[pytest.approx(linear, rel=1e-14)]]


def test_float_data_ignores_the_amplifier(read):
    """The standard demands $PnE 0,0 for float data; what else stands there is no transformation to undo."""
    assert read(build(change={"$P1E": "4,1"})).columns(["FSC-A"])[:, 0].tolist() == [1.0, 3.0, 5.0]


def test_gain_is_divided_out_and_time_is_in_seconds(read):
    change = {"$P1G": "4", "$P2G": "0.01", "$TIMESTEP": "0.01"}
    tube = read(build([(8.0, 300.0)], ["FITC-A", "Time"], change=change))
    assert tube.columns(["FITC-A", "Time"]).tolist() == [[2.0, 3.0]]
    assert tube.time_step_s == 0.01


@pytest.mark.parametrize("step", ["", "abc", "0", "-1", "nan", "inf"])
def test_a_useless_time_step_leaves_time_as_stored(read, step):
    tube = read(build([(8.0, 300.0)], ["FITC-A", "Time"], more=[("$TIMESTEP", step)] if step else []))
    assert tube.time_step_s is None
    assert tube.columns(["Time"]).tolist() == [[300.0]]


DELIMITERS = [chr(code) for code in range(1, 127) if not chr(code).isalnum() and chr(code) != "$"]
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), min_size=1, max_size=12)


@given(data=st.data(), delimiter=st.sampled_from(DELIMITERS), n=st.integers(1, 4))
def test_keywords_with_any_delimiter(read, data, delimiter, n):
    """Keywords and values come back as written, up to surrounding blanks; a value must not begin with the delimiter."""
    values = WORDS.map(str.strip).filter(lambda word: word and not word.startswith(delimiter))
    pairs = [(f"KEY{i}", data.draw(values)) for i in range(n)]
    # A value that ends with the delimiter is escaped too: "a/" is written a//, then the delimiter.
    pairs.append(("LAST", f"a{delimiter}" if delimiter.strip() else "a"))
    tube = read(build(more=pairs, delimiter=delimiter))
    assert {key: tube.keywords[key] for key, _ in pairs} == dict(pairs)
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert tube.notes == ()


@pytest.mark.parametrize("delimiter", ["Z", "q", "\xa7", "\xff"])
def test_odd_delimiters(read, delimiter):
    tube = read(build(more=[("NOTE", f"a{delimiter}b")], delimiter=delimiter, encoding="latin-1"))
    assert tube.keywords["NOTE"] == f"a{delimiter}b"
    assert tube.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_text_is_utf8_or_latin1(read, encoding):
    assert read(build(more=[("$SRC", "Müller · µL")], encoding=encoding)).keywords["$SRC"] == "Müller · µL"


def test_keywords_are_case_insensitive(read):
    assert read(build(change={"$P1S": None}, more=[("$p2s", "CD3"), ("Spill", "x")])).panel.resolve("CD3").index == 1


@pytest.mark.parametrize("padding", [b"   ", b"\0\0", b"\r\n"])
def test_padding_behind_text(read, padding):
    tube = read(build(raw_text=padding))
    assert tube.keywords["$P2N"] == "FITC-A"
    assert tube.notes == ()


def test_text_without_its_last_delimiter(read):
    raw = build(more=[("$SRC", "blood")])
    end = segments(raw)["TEXT"][1]
    tube = read(raw[:end] + b" " + raw[end + 1 :])
    assert tube.keywords["$SRC"] == "blood"
    assert [note.text for note in tube.notes] == ["TEXT does not end with its delimiter"]


def test_a_repeated_keyword_that_agrees_is_no_harm(read):
    assert read(build(more=[("$TOT", "3"), ("$p1n", "FSC-A")])).n_events == 3


# --- empty values: the standard forbids them, programs write them, and the escape rule swallows what follows


def test_empty_values_do_not_swallow_the_next_keyword(read):
    """``/$P1S//$P1R/1024/`` is an empty $P1S, not a keyword called ``$P1S/$P1R``."""
    change = {"$P1S": "", "$P1R": "1024", "$P1E": "4,1", "$P2E": "0,0"}
    tube = read(build([(512, 1)], datatype="I", change=change, more=[("LAST", "")]))
    assert tube.keywords["$P1S"] == ""
    assert tube.keywords["$P1R"] == "1024"
    assert tube.keywords["LAST"] == ""
    assert tube.columns(["FSC-A"]).tolist() == [[pytest.approx(100.0)]]
    assert ["empty keyword values" in note.text for note in tube.notes] == [True]


def test_empty_values_next_to_required_keywords(read):
    tube = read(build(change={"$SYS": "", "$MODE": "L"}))
    assert tube.keywords["$MODE"] == "L"


def test_empty_values_beside_doubled_delimiters_are_ambiguous(refusal):
    raw = build(change={"$P1S": "", "$P1R": "1024"}, more=[("PATH", "a/b")])
    assert "empty values beside doubled delimiters" in refusal(raw)


# --- where the data are ---------------------------------------------------------------------------


@pytest.mark.parametrize(("begin", "end"), [("0", "0"), (None, None), ("", "x")])
def test_header_alone_says_where_data_is(read, begin, end):
    more = {"$BEGINDATA": begin, "$ENDDATA": end}
    tube = read(build(change={key: value for key, value in more.items() if value != ""}))
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert tube.notes == ()


@pytest.mark.parametrize("blank", [b"%8d" % 0, b" " * 8, b"\0" * 8])
def test_text_alone_says_where_data_is(read, blank):
    raw = build()
    tube = read(raw[:26] + blank * 2 + raw[42:])
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert tube.notes == ()


@pytest.mark.parametrize("shift", [(0, 4), (-4, 0), (8, 100)])
def test_header_and_text_disagree_and_one_fits(read, shift):
    tube = read(build(in_header=shift))
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert ["TEXT agrees with $TOT" in note.text for note in tube.notes] == [True]


def test_header_and_text_disagree_and_both_fit(refusal):
    message = refusal(build(in_header=(4, 4)))
    assert "HEADER says" in message
    assert "TEXT says" in message


def test_end_one_byte_late(read):
    tube = read(build(in_header=(0, 1), text_offsets=False))
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert ["one byte after the last event" in note.text for note in tube.notes] == [True]


def test_one_byte_late_is_one_event_more_when_events_are_bytes(refusal):
    raw = build([(1,), (2,), (3,)], ["FSC-A"], datatype="I", bits=[8], change={"$TOT": "2"})
    assert "$TOT=2 events of 1 bytes need 2 bytes" in refusal(raw)


def test_without_tot_the_segment_counts(read):
    assert read(build(change={"$TOT": None})).n_events == 3


@pytest.mark.parametrize("total", ["0", "1", "2", "4", "3000000000"])
def test_a_wrong_tot_is_refused(refusal, total):
    message = refusal(build(change={"$TOT": total}))
    assert f"$TOT={total} events of 8 bytes need {int(total) * 8} bytes" in message
    assert "(24 bytes)" in message


@pytest.mark.parametrize("datatype", ["F", "D", "I"])
@pytest.mark.parametrize("shift", [(0, 0), (0, 1)])
def test_no_events(read, datatype, shift):
    tube = read(build([], datatype=datatype, in_header=shift))
    assert tube.events.shape == (0, 2)
    assert tube.columns(DETECTORS).shape == (0, 2)


def test_data_that_overlaps_text_is_refused(refusal):
    raw = build(text_offsets=False)
    begin, end = segments(raw)["DATA"]
    raw = raw[:26] + b"%8d%8d" % (begin - 4, end - 4) + raw[42:]
    assert "overlaps the TEXT segment" in refusal(raw)


# --- several data sets, supplemental TEXT ---------------------------------------------------------


def two_sets() -> bytes:
    size = len(build(change={"$NEXTDATA": "0000"}))
    return build(change={"$NEXTDATA": f"{size:04d}"}) + build([(7.0, 8.0)])


def test_data_sets_are_counted_from_zero(read):
    first, second = read(two_sets()), read(two_sets(), data_set=1)
    assert first.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert second.events.tolist() == [[7, 8]]
    assert (first.data_set, second.data_set) == (0, 1)
    assert [note.text for note in first.notes] == ["the file holds further data sets; this is data set 0"]
    assert second.notes == ()


def test_a_data_set_that_is_not_there(refusal, read):
    assert "has 2 data set(s); data set 2" in refusal(two_sets(), data_set=2)
    assert "has 1 data set(s)" in refusal(build(change={"$NEXTDATA": "²"}), data_set=1)
    with pytest.raises(ValueError, match="counts from 0"):
        read(build(), data_set=-1)


def with_supplement(supplement: bytes, *, beyond: int = 0, cut: int = 0) -> bytes:
    """A file whose $P1S stands in a supplemental TEXT segment behind the data."""
    size = len(build(change={"$BEGINSTEXT": "000000", "$ENDSTEXT": "000000"}, tail=b""))
    place = {"$BEGINSTEXT": f"{size + beyond:06d}", "$ENDSTEXT": f"{size + beyond + len(supplement) - 1:06d}"}
    return build(change=place, tail=supplement[: len(supplement) - cut])


def test_supplemental_text_adds_keywords_and_the_primary_wins(read):
    tube = read(with_supplement(text_segment([("$P1S", "CD3"), ("$TOT", "99")])))
    assert tube.keywords["$P1S"] == "CD3"
    assert tube.n_events == 3
    assert tube.notes == ()


def test_supplemental_text_that_is_none(read, refusal):
    broken = read(with_supplement(b"/a/b/c/"))
    assert ["holds no keywords" in note.text for note in broken.notes] == [True]
    beyond = read(with_supplement(b"/a/b/", beyond=1000))
    assert ["beyond the end of the file" in note.text for note in beyond.notes] == [True]
    assert "supplemental TEXT segment claims" in refusal(with_supplement(b"/a/b/", cut=2))


# --- what is refused ------------------------------------------------------------------------------

INTEGERS = {"rows": [(1, 2)], "datatype": "I"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"$P1N": None}, "channel 1 has no name ($P1N"),
        ({"$P2N": "FSC-A"}, "channels 1 and 2 have the same name 'FSC-A'"),
        ({"$P1B": None}, "keyword $P1B is '', a whole number"),
        ({"$P1B": "thirty-two"}, "keyword $P1B is 'thirty-two'"),
        ({"$P1B": "16"}, "$P1B=16 with $DATATYPE=F"),
        ({"$PAR": None}, "lacks $PAR"),
        ({"$PAR": "0"}, "$PAR is 0"),
        ({"$PAR": "-2"}, "keyword $PAR is '-2'"),
        ({"$PAR": "2.0"}, "keyword $PAR is '2.0'"),
        ({"$PAR": "3"}, "keyword $P3B"),
        ({"$PAR": "9" * 30}, "keyword $PAR is"),
        ({"$TOT": "9" * 5000}, "keyword $TOT is"),
        ({"$TOT": "three"}, "keyword $TOT is 'three'"),
        ({"$TOT": "²"}, "keyword $TOT is '²'"),
        ({"$MODE": "C"}, "$MODE='C' (histograms) is not supported"),
        ({"$DATATYPE": "A"}, "$DATATYPE='A' is not supported"),
        ({"$DATATYPE": "D"}, "$P1B=32 with $DATATYPE=D"),
        ({"$BYTEORD": "3,4,1,2"}, "$BYTEORD='3,4,1,2' is not supported"),
        ({"$BEGINDATA": "0", "$ENDDATA": "99999999999"}, None),
        ({"$BEGINDATA": "999999999999", "$ENDDATA": "1"}, None),
    ],
)
def test_keywords_that_cannot_be_right(read, refusal, changes, says):
    if says is None:  # one of two claims is nonsense: the other one is used, and that is noted
        assert len(read(build(change=changes)).notes) == 1
    else:
        assert says in refusal(build(change=changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"$P1B": "24"}, "$P1B=24 with $DATATYPE=I; read are 8, 16, 32 bits"),
        ({"$P1B": "10"}, "$P1B=10"),
        ({"$P1E": "4"}, "$P1E='4'"),
        ({"$P1E": "4;1"}, "$P1E='4;1'"),
        ({"$P1E": "nan,1"}, "$P1E='nan,1'"),
        ({"$P1E": "400,1"}, "$P1E='400,1'"),
        ({"$P1E": "-4,1"}, "$P1E='-4,1'"),
        ({"$P1E": "4,1", "$P1R": None}, "logarithmic amplifier ($P1E=4,1) but no range"),
        ({"$P1E": "4,1", "$P1R": "many"}, "$P1R='many'"),
    ],
)
def test_integer_channels_that_cannot_be_right(refusal, changes, says):
    assert says in refusal(build(**INTEGERS, change=changes))


@pytest.mark.parametrize("more", [[("$TOT", "4")], [("$p1n", "SSC-A")], [("A", "1"), ("a", "2")]])
def test_keywords_that_contradict_each_other(refusal, more):
    assert "stands twice with different values" in refusal(build(more=more))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not an FCS file"),
        (b"FCS", "version 'FCS'"),
        (b"PK\x03\x04" + b"\0" * 200, "not an FCS file"),
        (b"\x1f\x8b\x08" + b"\0" * 200, "not an FCS file"),
        (b"FCS3.2    " + b" " * 200, "version 'FCS3.2' is not read"),
        (b"FCS3.1    ", "ends inside its HEADER"),
        (b"FCS3.1    " + b" " * 200, "TEXT segment claims bytes 0 to 0"),
        (b"FCS3.1    " + b"      ab" * 6, "HEADER field 'TEXT begin' is b'      ab'"),
        (b"FCS3.1    " + b"%8d%8d" % (58, 99_999_999) + b" " * 32, "but the file has 58 bytes"),
        (b"FCS3.1    " + b"%8d%8d" % (58, 58) + b" " * 32 + b"/", "the value of its last keyword"),
        (b"FCS3.1    " + b"%8d%8d" % (58, 62) + b" " * 32 + b"/a/b/", "lacks $PAR, $DATATYPE, $BYTEORD, $MODE"),
        (b"FCS3.1    " + b"%8d%8d" % (90, 70) + b" " * 90, "TEXT segment claims bytes 90 to 70"),
    ],
)
def test_not_an_fcs_file_or_only_its_beginning(refusal, raw, says):
    assert says in refusal(raw)


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.1"])
def test_truncated_anywhere(refusal, read, version):
    """Every shorter file is refused, until only the checksum is missing."""
    raw = build(version=version, more=[("$SRC", "blood")])
    end = segments(raw)["DATA"][1] + 1
    seen = {refusal(raw[:size]).split(": ", 1)[1][:24] for size in range(end)}
    assert len(seen) >= 4
    for size in range(end, len(raw) + 1):
        assert read(raw[:size]).events.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_paths_that_are_no_files(tmp_path):
    for path, says in ((tmp_path, "is a folder"), (tmp_path / "absent.fcs", "no such file")):
        with pytest.raises(FcsError) as caught:
            read_fcs(path)
        assert str(caught.value).startswith(f"{path}: {says}")
    below = tmp_path / "tube.fcs"
    below.write_bytes(build())
    with pytest.raises(FcsError, match="cannot be read"):
        read_fcs(below / "inside.fcs")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.fcs")
    with pytest.raises(FcsError, match="is a pipe or device"):
        read_fcs(tmp_path / "pipe.fcs")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "tube.fcs"
    path.write_bytes(build())
    path.chmod(0)
    with pytest.raises(FcsError, match="not readable with your permissions"):
        read_fcs(path)


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
    two_sets(),
    with_supplement(text_segment([("$P1S", "CD3")])),
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


@settings(max_examples=1000, deadline=1000)
@given(raw=damaged())
def test_fuzz(tmp_path_factory, raw):
    """Refused with one line, or a tube that fits the file; nothing else, and at once."""
    path = tmp_path_factory.getbasetemp() / "fuzz.fcs"
    path.write_bytes(raw)
    try:
        tube = read_fcs(path)
    except FcsError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        return
    assert tube.events.shape == (tube.n_events, len(tube.panel.channels))
    assert tube.n_events * len(tube.panel.channels) <= len(raw)
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
    with pytest.raises(FcsError, match="changed after its events were read"):
        _ = longer.sha256
    path.write_bytes(build())
    os.utime(path, ns=(0, 0))
    with pytest.raises(FcsError, match="changed after its events were read"):
        _ = later.sha256
    path.unlink()
    with pytest.raises(FcsError, match="cannot be read again"):
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
    with pytest.raises(ValueError, match="do not fit 2 channels"):
        type(tube)(tube.path, 0, tube.version, tube.events[:, :1], tube.panel, tube.keywords)


def test_the_builder_packs_as_the_standard_says():
    """The builder itself against bytes written out by hand."""
    assert data_segment([(1, 258)], "I", [8, 16], ">") == b"\x01\x01\x02"
    assert text_segment([("$SRC", "a/b")]) == b"/$SRC/a//b/"
    raw = build([(1.0, -2.0)], order=">")
    assert raw[:10] == b"FCS3.1    "
    begin, end = segments(raw)["DATA"]
    assert raw[begin : end + 1] == bytes.fromhex("3f800000 c0000000")
    assert raw[segments(raw)["TEXT"][0]] == raw[segments(raw)["TEXT"][1]] == ord("/")

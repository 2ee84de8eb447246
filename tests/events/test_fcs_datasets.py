"""Several data sets in one file: one sample each, by a way that leads forward; and the checksum of each."""

import binascii
import time

import numpy as np
import pytest
from builder import BLANK, build, chain, segments, text_segment
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import FcsError
from nti7flow.events.fcs import count_data_sets, locate, read_fcs
from nti7flow.events.fcs.extras import checksums
from nti7flow.events.fcs.reader import read_data_sets

EVENTS = [[1, 2], [3, 4], [5, 6]]
SECOND = {"rows": [(7.0, 8.0)], "names": ("SSC-A", "PE-A")}


@pytest.fixture
def file_of(tmp_path):
    """Write bytes to a file and return its path."""

    def write(raw: bytes):
        path = tmp_path / "tube.fcs"
        path.write_bytes(raw)
        return path

    return write


def codes_of(tube) -> list[str]:
    return [note.code for note in tube.notes]


# --- one sample each ------------------------------------------------------------------------------


def test_data_sets_are_counted_from_zero(read, refused):
    raw = chain({}, SECOND)
    first = read(raw)
    second = read_fcs(first.path, data_set=1)
    assert first.events.tolist() == EVENTS
    assert second.events.tolist() == [[7, 8]]
    assert [channel.detector for channel in second.panel.channels] == ["SSC-A", "PE-A"]
    assert (first.data_set, second.data_set) == (0, 1)
    assert first.sha256 == second.sha256  # identity is the hash and the data set
    for tube in (first, second):
        (note,) = tube.notes
        assert (note.code, note.severity) == ("FCS030", "review")
    assert "2" in refused(raw, "FCS033", data_set=2).found
    assert "1" in refused(build(), "FCS033", data_set=1).found


def test_data_sets_are_counted_from_nothing_below(read):
    with pytest.raises(ValueError, match="counts from 0"):
        read(build(), data_set=-1)
    with pytest.raises(ValueError, match="'safe', 'none' or 'salvage'"):
        read(build(), repair="all")


@given(
    data=st.data(),
    versions=st.lists(st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"]), min_size=1, max_size=5),
    gap=st.sampled_from([b"", b"\0" * 7, b" " * 512]),
)
def test_any_chain_is_followed(tmp_path_factory, data, versions, gap):
    """Each with rows, type, byte order and ANALYSIS of its own."""
    parts, rows_of = [], []
    for version in versions:
        kind = data.draw(st.sampled_from("IFD"))
        rows = data.draw(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), max_size=4))
        more = {"analysis": text_segment([("A", "1")])} if data.draw(st.booleans()) else {}
        order = data.draw(st.sampled_from("<>"))
        parts.append({"rows": rows, "datatype": kind, "order": order, "version": version, **more})
        rows_of.append([list(row) for row in rows])
    path = tmp_path_factory.getbasetemp() / "chain.fcs"
    path.write_bytes(chain(*parts, gap=gap))
    assert count_data_sets(path) == len(parts)
    for index, (version, rows) in enumerate(zip(versions, rows_of, strict=True)):
        tube = read_fcs(path, data_set=index)
        assert (tube.version, tube.data_set, tube.events.tolist()) == (version, index, rows)
        assert bool(tube.analysis) == ("analysis" in parts[index])
        assert codes_of(tube) == (["FCS030"] if len(parts) > 1 else [])


def test_a_plate_of_wells(file_of):
    """Guava writes all wells of a plate into one file; reaching the last costs no more than walking there."""
    path = file_of(chain(*({"rows": [(float(i), 0.0)]} for i in range(384))))
    start = time.process_time()
    assert count_data_sets(path) == 384
    assert read_fcs(path, data_set=383).events.tolist() == [[383, 0]]
    assert time.process_time() - start < 4.0


def test_data_sets_in_any_order(file_of):
    """What is remembered of a file's way is of no matter to what is read, nor when the file becomes another one."""
    path = file_of(chain(*({"rows": [(float(i), 0.0)] * (i + 1)} for i in range(5))))
    for order in ((4, 0, 3, 1, 2), (0, 1, 2, 3, 4), (3, 3, 0)):
        assert [read_fcs(path, data_set=i).n_events for i in order] == [i + 1 for i in order]
    file_of(chain(*({"rows": [(float(i), 0.0)] * (5 - i)} for i in range(5))))
    assert [read_fcs(path, data_set=i).n_events for i in range(4, -1, -1)] == [1, 2, 3, 4, 5]


def test_offsets_count_from_each_data_set(read):
    """Off by one, differing offsets and lost TEXT are settled within the data set they are in."""
    empty = {"more": [("EMPTY", ""), ("NOTE", "x")]}
    raw = chain(empty, {**SECOND, "in_header": (0, 1), "in_text": (0, 1)}, {"rows": [(1.0, 1.0)]})
    assert sorted(codes_of(read(raw))) == ["FCS014", "FCS030"]
    tube = read(raw, data_set=1)
    assert tube.events.tolist() == [[7, 8]]
    assert sorted(codes_of(tube)) == ["FCS030", "FCS041"]
    assert codes_of(read(raw, data_set=2)) == ["FCS030"]


# --- the way from one to the next -----------------------------------------------------------------


def test_counted_from_the_start_of_the_file(read, refused):
    """Three data sets of one size: the last one's place, counted by the standard, is the end of the file."""
    size = len(build(change={"$NEXTDATA": BLANK}))
    parts = [
        build(rows=[(float(i), 0.0)] * 3, change={"$NEXTDATA": f"{step:012d}"})
        for i, step in enumerate((size, 2 * size, 0))
    ]
    raw = b"".join(parts)
    assert [read(raw, data_set=i).events[0, 0] for i in range(3)] == [0, 1, 2]
    assert codes_of(read(raw)) == ["FCS030"]
    assert "FCS032" in codes_of(read(raw, data_set=1))
    refused(raw, "FCS032", repair="none", data_set=1)


def test_no_data_set_is_passed_over(read, file_of):
    """Counted by the standard, the second's $NEXTDATA leads to the fourth; from the start of the file to the third."""
    size = len(build(change={"$NEXTDATA": BLANK}))
    steps = (size, 2 * size, 3 * size, 0)
    raw = b"".join(build([(float(i), 0.0)] * 3, change={"$NEXTDATA": f"{step:012d}"}) for i, step in enumerate(steps))
    assert count_data_sets(file_of(raw)) == 4
    assert [read(raw, data_set=i).events[0, 0] for i in range(4)] == [0, 1, 2, 3]
    # The same sizes counted by the standard lead through all four as well.
    raw = chain(*({"rows": [(float(i), 0.0)] * 3} for i in range(4)))
    assert [read(raw, data_set=i).events[0, 0] for i in range(4)] == [0, 1, 2, 3]
    assert codes_of(read(raw, data_set=1)) == ["FCS030"]


def test_counted_from_the_start_of_a_file_of_two_sizes(read, refused):
    """The third data set's place, counted from the file's start where the standard counts from the second's."""
    options = [{"rows": [(float(i), 0.0)] * (3 + i)} for i in range(3)]
    sizes = [len(build(**more, change={"$NEXTDATA": BLANK})) for more in options]
    steps = (sizes[0], sizes[0] + sizes[1], 0)
    raw = b"".join(
        build(**more, change={"$NEXTDATA": f"{step:012d}"}) for more, step in zip(options, steps, strict=True)
    )
    assert [read(raw, data_set=i).n_events for i in range(3)] == [3, 4, 5]
    assert codes_of(read(raw)) == ["FCS030"]
    assert "FCS032" in codes_of(read(raw, data_set=1))
    refused(raw, "FCS032", repair="none", data_set=1)


@pytest.mark.parametrize(
    "step", ["1", "58", "100", "100000", "99999999999999999999999", "-1", "x", "1.0", "²", "0x10", "1 0"]
)
def test_a_next_data_set_that_is_none(refused, file_of, step):
    raw = build(change={"$NEXTDATA": step})
    for repair in ("safe", "none"):
        assert step in refused(raw, "FCS031", repair=repair).found
    with pytest.raises(FcsError) as caught:
        count_data_sets(file_of(raw))
    assert caught.value.code == "FCS031"


def test_a_way_that_leads_back_or_round_is_refused(refused):
    """The second data set points to the first, to itself, or into its own events, which begin with 'FCS'."""
    size = len(build(change={"$NEXTDATA": BLANK}))
    raw = build(change={"$NEXTDATA": f"{size:012d}"}) + build(change={"$NEXTDATA": "-" + f"{size:011d}"})
    refused(raw, "FCS031", data_set=1)
    inside = build(
        [(0x46, 0x43, 0x53, 0x33)] * 40, list("abcd"), datatype="I", bits=[8] * 4, change={"$NEXTDATA": BLANK}
    )
    begin = segments(inside)["DATA"][0]
    refused(inside.replace(BLANK.encode(), f"{begin:012d}".encode()))


def test_no_next_data_set(read, refused):
    for value in (None, ""):
        raw = build(change={"$NEXTDATA": value})
        assert "FCS036" in codes_of(read(raw))
        refused(raw, repair="none")
    assert read(build(change={"$NEXTDATA": " 0 "}), repair="none").notes == ()


def test_next_data_set_at_the_end_of_the_file(read, refused):
    size = len(build(change={"$NEXTDATA": BLANK}))
    raw = build(change={"$NEXTDATA": f"{size:012d}"})
    assert codes_of(read(raw)) == ["FCS034"]
    refused(raw, "FCS034", repair="none")
    refused(raw, "FCS033", data_set=1)


def test_a_chain_that_is_cut(read, refused):
    """The first data set is whole: salvage has it, and says that others are lost."""
    raw = chain({}, SECOND, {"rows": [(9.0, 9.0)]})
    size = len(build(change={"$NEXTDATA": BLANK}))
    for cut in range(size - 8, size):  # in the checksum of the first
        refused(raw[:cut], "FCS031")
        tube = read(raw[:cut], repair="salvage")
        assert tube.events.tolist() == EVENTS
        assert "FCS035" in codes_of(tube)
        assert all(note.severity == "review" for note in tube.notes)


def test_a_chain_that_is_cut_in_a_later_data_set(read, refused):
    raw = chain({}, SECOND)
    size = len(build(change={"$NEXTDATA": BLANK}))
    for cut in range(size + 58, len(raw) - 8, 9):
        assert read(raw[:cut]).events.tolist() == EVENTS
        assert codes_of(read(raw[:cut])) == ["FCS030"]
        refused(raw[:cut], "FCS046", data_set=1)
    tube = read(raw[: len(raw) - 12], data_set=0)
    assert tube.events.tolist() == EVENTS


@pytest.mark.parametrize("rest", [3, 30, 57])
def test_a_chain_that_is_cut_in_a_later_header(read, refused, rest):
    """What there is of it says that there was another data set: the first is read, for review."""
    size = len(build(change={"$NEXTDATA": BLANK}))
    raw = chain({}, SECOND)[: size + rest]
    tube = read(raw, repair="salvage")
    assert tube.events.tolist() == EVENTS
    assert [note.severity for note in tube.notes] == ["review"]
    refused(raw, data_set=1)


@pytest.mark.parametrize("rest", [1, 2])
def test_a_chain_that_is_cut_in_the_first_letters_of_a_later_header(read, rest):
    size = len(build(change={"$NEXTDATA": BLANK}))
    tube = read(chain({}, SECOND)[: size + rest], repair="salvage")
    assert tube.events.tolist() == EVENTS
    assert "FCS035" in codes_of(tube)


def test_an_unknown_version_further_on_is_refused(refused):
    """It may be the rest of the tube, and cannot be told apart from a $NEXTDATA that leads astray."""
    raw = chain({}, {**SECOND, "version": "FCS9.9"})
    assert refused(raw, data_set=1).code in ("FCS007", "FCS031")


# --- where everything is --------------------------------------------------------------------------


def test_locate_says_where_every_segment_is(file_of):
    """The bytes at the spans are the segments; what lies between data sets is nobody's."""
    analysis, supplement = text_segment([("GATE", "1")]), text_segment([("$P1S", "CD3")], "|")
    raw = chain(
        {"analysis": analysis, "supplement": supplement, "gap": b"\0" * 9},
        {"version": "FCS2.0", **SECOND},
        gap=b"\0" * 5,
    )
    first, second = locate(file_of(raw))
    cut = {
        name: raw[span[0] : span[1] + 1]
        for name in ("text", "data", "analysis", "supplement")
        if (span := getattr(first, name))
    }
    assert cut["analysis"] == analysis
    assert cut["supplement"] == supplement
    assert cut["text"].startswith(b"/$MODE/")
    assert cut["text"].endswith(b"/")
    assert np.frombuffer(cut["data"], "<f4").tolist() == [1, 2, 3, 4, 5, 6]
    assert first.end == first.analysis[1] + 1
    assert (first.index, first.base, first.version, first.delimiter) == (0, 0, "FCS3.1", b"/")
    assert first.keywords["$P1S"] == "CD3"
    assert (second.index, second.version, second.analysis, second.supplement) == (1, "FCS2.0", None, None)
    assert raw[second.base :].startswith(b"FCS2.0")
    assert raw[second.data[0] : second.data[1] + 1] == np.array([7, 8], "<f4").tobytes()
    assert second.end == second.data[1] + 1
    assert raw[second.end :] == b"00000000"


def test_all_data_sets_in_one_walk(file_of):
    """The same samples as one by one, each with notes of its own, and the place of each of its segments."""
    analysis = text_segment([("GATE", "1")])
    path = file_of(chain({"more": [("EMPTY", ""), ("NOTE", "x")]}, {**SECOND, "analysis": analysis}, {"rows": []}))
    found = list(read_data_sets(path))
    assert [located.index for located, _ in found] == [0, 1, 2]
    for index, (located, tube) in enumerate(found):
        alone = read_fcs(path, data_set=index)
        assert (tube.notes, tube.keywords, tube.analysis) == (alone.notes, alone.keywords, alone.analysis)
        assert tube.events.tolist() == alone.events.tolist()
        assert located.keywords == tube.keywords
    assert [codes_of(tube) for _, tube in found] == [["FCS014", "FCS030"], ["FCS030"], ["FCS030"]]
    span = found[1][0].analysis
    assert path.read_bytes()[span[0] : span[1] + 1] == analysis
    assert [located.data is None for located, _ in found] == [False, False, True]


def test_locate_finds_no_data_where_there_is_none(file_of):
    (found,) = locate(file_of(build([])))
    assert found.data is None
    assert found.end == found.text[1] + 1


def test_locate_refuses_what_reading_refuses(file_of):
    path = file_of(build(in_header=(4, 4), tail=b" " * 64))
    with pytest.raises(FcsError, match="FCS044"):
        locate(path)
    with pytest.raises(FcsError, match="FCS001"):
        locate(path.with_name("absent.fcs"))


# --- checksums ------------------------------------------------------------------------------------


def crc16(raw: bytes, *, start: int, mirrored: bool) -> int:
    """CRC-16 of the CCITT, bit by bit: polynomial x^16 + x^12 + x^5 + 1."""
    crc = start
    for byte in raw:
        for bit in range(8):
            incoming = byte >> bit & 1 if mirrored else byte >> (7 - bit) & 1
            if mirrored:
                crc = crc >> 1 ^ (0x8408 if (crc ^ incoming) & 1 else 0)
            else:
                crc = (crc << 1 & 0xFFFF) ^ (0x1021 if (crc >> 15) ^ incoming else 0)
    return crc


def all_forms(raw: bytes) -> set[int]:
    plain = {crc16(raw, start=start, mirrored=mirrored) for start in (0, 0xFFFF) for mirrored in (False, True)}
    return plain | {crc ^ 0xFFFF for crc in plain}


def test_checksums_by_the_catalogue(tmp_path):
    """The check values of "123456789": XMODEM, IBM-3740, KERMIT, MCRF4XX; inverted: GENIBUS, IBM-SDLC (X-25)."""
    path = tmp_path / "nine"
    path.write_bytes(b"--123456789--")
    with path.open("rb") as stream:
        found = checksums(stream, 2, 11, str(path))
    assert found >= {0x31C3, 0x29B1, 0x2189, 0x6F91, 0xD64E, 0x906E}
    assert found == all_forms(b"123456789")
    assert len(found) == 8


@given(raw=st.binary(max_size=60))
def test_checksums_bit_by_bit(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "checked"
    path.write_bytes(raw)
    with path.open("rb") as stream:
        assert checksums(stream, 0, len(raw), str(path)) == all_forms(raw)
    assert crc16(raw, start=0, mirrored=False) == binascii.crc_hqx(raw, 0)


def test_checksums_of_more_than_is_read_at_a_time(tmp_path):
    raw = bytes(range(256)) * 4500
    path = tmp_path / "long"
    path.write_bytes(raw)
    with path.open("rb") as stream:
        found = checksums(stream, 3, len(raw), str(path))
    assert binascii.crc_hqx(raw[3:], 0) in found
    assert binascii.crc_hqx(raw[3:], 0xFFFF) in found


WHOLE = build(tail=b"")


@pytest.mark.parametrize("crc", sorted(all_forms(WHOLE)))
@pytest.mark.parametrize("form", ["{:08X}", "{:08x}", "{:8X}", "{:08d}", "{:<8d}", "{:04X}    "])
def test_a_right_checksum(read, crc, form):
    assert read(WHOLE + form.format(crc).encode()).notes == ()


@pytest.mark.parametrize(
    "wrong", [b"0000BEEF", b"    1234", b"00004660", b"99999999", b"FFFFFFFF", b"0000BEEF\n", b"0000BEEF\0\0\0"]
)
def test_a_wrong_checksum_is_refused(refused, wrong):
    for repair in ("none", "safe", "salvage"):
        error = refused(WHOLE + wrong, "FCS051", repair=repair)
        assert wrong[:8].decode().strip() in error.found
        assert error.byte_offset == len(WHOLE)


@pytest.mark.parametrize("bit", range(0, 8 * len(WHOLE), 97))
def test_any_changed_bit_is_seen(refused, bit):
    crc = crc16(WHOLE, start=0, mirrored=False)
    raw = bytearray(WHOLE + f"{crc:08X}".encode())
    raw[bit // 8] ^= 1 << bit % 8
    refused(bytes(raw))


@pytest.mark.parametrize("tail", [b"", b"00000000", b"        ", b"0", b"0000000", b"\0" * 8, b"checksum", b" " * 200])
def test_what_is_no_checksum(read, tail):
    tube = read(WHOLE + tail)
    assert tube.events.tolist() == EVENTS
    assert tube.notes == ()


@pytest.mark.parametrize("tail", [b"00 00 00", b"12 34 56"])
def test_digits_with_blanks_are_no_checksum(read, tail):
    assert read(WHOLE + tail).events.tolist() == EVENTS


def test_fcs_2_has_no_checksum(read):
    assert read(build(version="FCS2.0", tail=b"0000BEEF")).events.tolist() == EVENTS


def test_each_data_set_has_a_checksum_of_its_own(read, refused):
    first = build(change={"$NEXTDATA": BLANK}, tail=b"")
    first = first.replace(BLANK.encode(), f"{len(first) + 8:012d}".encode(), 1)
    second = build(**SECOND, tail=b"")
    checked = [part + f"{crc16(part, start=0, mirrored=True):08X}".encode() for part in (first, second)]
    for index in (0, 1):
        assert codes_of(read(b"".join(checked), data_set=index)) == ["FCS030"]
    wrong = checked[0] + second + b"0000BEEF"
    assert read(wrong).events.tolist() == EVENTS
    refused(wrong, "FCS051", data_set=1)
    refused(first + b"0000BEEF" + checked[1], "FCS051")


def test_the_checksum_stands_behind_the_last_segment(read, refused):
    analysis = text_segment([("A", "1")])
    raw = build(analysis=analysis, tail=b"")
    assert read(raw + f"{crc16(raw, start=0, mirrored=False):08X}".encode()).analysis == {"A": "1"}
    refused(raw + b"0000BEEF", "FCS051")

"""How the bytes of an event become numbers: types, widths, byte orders, packed bits, ASCII; against plain Python."""

import math
import struct
from itertools import permutations
from pathlib import Path

import flowio
import numpy as np
import pytest
from builder import bit_stream, build, data_segment, ordered
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import FcsError
from nti7flow.events.fcs.shapes import BitShape, byte_order, shapes
from nti7flow.events.layout import Column, Layout, byte_places, container, integer_mask

RISING = {n: tuple(range(1, n + 1)) for n in range(1, 9)}


def names_for(widths) -> list[str]:
    return [f"V{n}-A" for n in range(len(widths))]


# --- whole bytes ----------------------------------------------------------------------------------


def as_python(raw: bytes, column: Column, order: tuple[int, ...]) -> int | bytes:
    """One value by the definition of $BYTEORD: an integer, or the bytes of a float, least significant first."""
    order = order if len(order) == len(raw) else RISING[len(raw)][:: 1 if order[0] == 1 else -1]
    little = bytes(raw[order.index(significance)] for significance in range(1, len(raw) + 1))
    return int.from_bytes(little, "little") if column.kind == "I" else little


@st.composite
def layouts(draw, kinds="IFD"):
    """Any channels in an order that rises or falls, or all of one width in any order of its bytes."""
    mixed = draw(st.booleans())
    if mixed:
        order = RISING[4][:: draw(st.sampled_from([1, -1]))]
        picked = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=5))
        widths = [{"F": 4, "D": 8}.get(kind) or draw(st.integers(1, 8)) for kind in picked]
    else:
        kind = draw(st.sampled_from(kinds))
        width = {"F": 4, "D": 8}.get(kind) or draw(st.integers(1, 8))
        order = tuple(draw(st.permutations(RISING[width])))
        n = draw(st.integers(1, 4))
        picked, widths = [kind] * n, [width] * n
    masks = [draw(st.none() | st.integers(1, 8 * w - 1).map(lambda bits: 2**bits - 1)) for w in widths]
    columns = [Column(k, w, m if k == "I" else None) for k, w, m in zip(picked, widths, masks, strict=True)]
    return Layout(tuple(columns), order)


@given(layout=layouts(), n_events=st.integers(0, 5), noise=st.randoms(use_true_random=False))
def test_any_layout_decodes_as_int_from_bytes(layout, n_events, noise):
    """Integers exactly, with the bits above their range dropped; floats bit for bit where the table has their type."""
    raw = noise.randbytes(n_events * layout.row_size)
    with np.errstate(invalid="ignore"):  # signalling NaN among doubles
        values = layout.decode(np.frombuffer(bytearray(raw), np.uint8))
    layout.mask(values)
    assert values.shape == (n_events, len(layout.columns))
    assert values.dtype == layout.type
    place = 0
    for row in range(n_events):
        for i, column in enumerate(layout.columns):
            truth = as_python(raw[place : place + column.width], column, layout.order)
            place += column.width
            found = values[row, i]
            if column.kind == "I":
                masked = truth if column.mask is None else truth & column.mask
                assert found == (masked if layout.type.kind == "u" else np.dtype(layout.type).type(masked))
            elif layout.type.itemsize == column.width:
                assert found.astype(found.dtype.newbyteorder("<")).tobytes() == truth
            else:
                assert layout.type == np.float64  # a single among doubles
                single = struct.unpack("<f", truth)[0]
                assert found == single or (math.isnan(found) and math.isnan(single))


@given(layout=layouts("I"))
def test_decoded_integers_have_the_smallest_type_that_holds_them(layout):
    widest = max(column.width for column in layout.columns)
    assert layout.type.kind == "u"
    assert layout.type.itemsize in (1, 2, 4, 8)
    assert widest <= layout.type.itemsize < 2 * widest or widest == layout.type.itemsize == 1


def test_decode_by_hand():
    """0x0A0B0C0D on a PDP-11: the words most significant first, in each the less significant byte first."""
    pdp = Layout((Column("I", 4),), (3, 4, 1, 2))
    assert pdp.decode(np.frombuffer(b"\x0b\x0a\x0d\x0c", np.uint8)).tolist() == [[0x0A0B0C0D]]
    rare = Layout((Column("I", 4),), (2, 3, 4, 1))  # no permutation of its own inverse
    assert rare.decode(np.frombuffer(b"\x0c\x0b\x0a\x0d", np.uint8)).tolist() == [[0x0A0B0C0D]]
    big = Layout((Column("I", 3), Column("F", 4)), (4, 3, 2, 1))
    assert big.decode(np.frombuffer(bytes.fromhex("010203 3fc00000"), np.uint8)).tolist() == [[0x010203, 1.5]]


@pytest.mark.parametrize("order", list(permutations(RISING[4])))
@pytest.mark.parametrize("kind", ["I", "F"])
def test_every_order_of_four_bytes_is_read(read, order, kind):
    text = ",".join(map(str, order))
    rows = [(0x01020304, 0xA0B0C0D0), (1, 2**31)] if kind == "I" else [(1.5, -2.25), (1e-30, 3e38)]
    tube = read(build(rows, datatype=kind, bits=[32, 32], order=text))
    stored = [
        [struct.unpack("<f", struct.pack("<f", value))[0] if kind == "F" else value for value in row] for row in rows
    ]
    assert tube.events.tolist() == stored
    assert tube.notes == ()


def test_a_mixed_order_tells_that_of_its_words_and_of_nothing_else(read, refused):
    """3,4,1,2 has the less significant of two bytes first; of three or eight bytes it says nothing."""
    small = read(build([(258, 7)], datatype="I", bits=[16, 8], change={"$BYTEORD": "3,4,1,2"}))
    assert small.events.tolist() == [[258, 7]]
    assert byte_places((3, 4, 1, 2), 2) == (0, 1)
    assert byte_places((2, 1, 4, 3), 2) == (1, 0)
    for options in ({"datatype": "D"}, {"datatype": "I", "bits": [24, 24]}, {"datatype": "I", "bits": [32, 64]}):
        raw = build([(1, 2)], order="<", change={"$BYTEORD": "3,4,1,2"}, **options)
        assert "3,4,1,2" in refused(raw, "FCS062").found


@pytest.mark.parametrize("text", ["1,2", "1", "1,2,3,4", "1,2,3,4,5,6,7,8", " 1, 2, 3 ,4 "])
def test_an_order_that_rises_holds_for_any_width(read, text):
    kinds, bits = "IIIFD", [8, 24, 64, 32, 64]
    ranges = [256, 2**24, 2**53, 1, 1]
    rows = [(7, 2**23 + 5, 2**52 + 1, 0.5, 0.1)]
    raw = build(
        rows, names_for(bits), datatype=kinds, bits=bits, ranges=ranges, version="FCS3.2", change={"$BYTEORD": text}
    )
    assert read(raw).events.tolist() == [list(rows[0])]


@pytest.mark.parametrize(
    "text", ["", "x", "1;2;3;4", "1,2,3", "1,1,2,2", "0,1,2,3", "1,2,3,5", "4321", "1,2,3,4,", "-1,2", "²,1"]
)
def test_orders_that_name_no_order(refused, text):
    if text == "1,2,3":  # three bytes, each once
        assert byte_order({"$BYTEORD": text}, path="", begin=0) == (1, 2, 3)
        return
    with pytest.raises(FcsError) as caught:
        byte_order({"$BYTEORD": text}, path="t.fcs", begin=58)
    assert (caught.value.code, caught.value.byte_offset) == ("FCS062", 58)


@given(bits=st.integers(1, 64), power=st.integers(0, 70), beside=st.integers(-2, 2))
def test_masks_keep_what_the_range_needs_and_no_more(bits, power, beside):
    top = max(1, 2**power + beside)
    needed = 0
    while 2**needed < top:
        needed += 1
    assert integer_mask(top, bits) == (None if needed >= bits else 2**needed - 1)


@given(width=st.integers(1, 8))
def test_container_is_the_next_power_of_two(width):
    assert container(width) == min(size for size in (1, 2, 4, 8) if size >= width)


@given(
    data=st.data(),
    order=st.sampled_from("<>"),
    bits=st.lists(st.sampled_from([8, 16, 24, 32, 40, 48, 56, 64]), min_size=1, max_size=5),
    version=st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"]),
)
def test_whole_bytes_of_any_width_from_a_file(read, data, order, bits, version):
    """Without $TOT to settle it, 24 bits could stand in 32: with it, only the true size agrees."""
    rows = data.draw(st.lists(st.tuples(*(st.integers(0, 2**width - 1) for width in bits)), min_size=1, max_size=4))
    raw = build(
        rows,
        names_for(bits),
        datatype="I",
        bits=bits,
        order=order,
        version=version,
        ranges=[2**width for width in bits],
    )
    tube = read(raw)
    assert tube.events.tolist() == [list(row) for row in rows]
    assert {note.code for note in tube.notes} <= {"FCS076"}


@pytest.mark.parametrize(
    ("bits", "stored", "code"),
    [
        ([24], [32], "FCS065"),
        ([10], [16], "FCS065"),
        ([20], [24], "FCS065"),
        ([20], [32], "FCS065"),
        ([12, 24], [16, 32], "FCS065"),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_values_in_larger_containers_are_seen_by_the_size_of_data(read, refused, bits, stored, code, order):
    names = names_for(bits * 2)
    rows = [tuple(value | 1 << (width - 1) for width in bits * 2) for value in range(5)]
    junk = [
        tuple(value | (2**width - 2**used) for value, width, used in zip(row, stored * 2, bits * 2, strict=True))
        for row in rows
    ]
    for written, codes in ((rows, [code]), (junk, [code, "FCS067"])):
        raw = build(
            rows, names, datatype="I", bits=bits * 2, ranges=[2**width for width in bits * 2], order=order,
            data=data_segment(written, "I", stored * 2, order),
        )  # fmt: skip
        tube = read(raw)
        assert tube.events.tolist() == [list(row) for row in rows]
        assert [note.code for note in tube.notes] == codes
        assert refused(raw, code, repair="none")


def test_without_tot_values_have_the_width_the_keyword_says(read, noted):
    """Twelve bytes are four values of 24 bits, and would be three of 24 in 32: nothing says that these are meant."""
    raw = build([(1,), (2,), (3,), (4,)], ["FSC-A"], datatype="I", bits=[24], change={"$TOT": None}, version="FCS2.0")
    assert read(raw).events.tolist() == [[1], [2], [3], [4]]
    assert noted(raw, repair="none") == []


# --- types ----------------------------------------------------------------------------------------


@given(data=st.data(), order=st.sampled_from("<>"), kinds=st.lists(st.sampled_from("IFD"), min_size=1, max_size=6))
def test_mixed_types_side_by_side(read, data, order, kinds):
    """FCS 3.2: every channel a type of its own; whatever the table's type, no value changes."""
    bits = [{"F": 32, "D": 64}.get(kind) or data.draw(st.sampled_from([8, 16, 24, 32, 48])) for kind in kinds]
    one = {
        "I": lambda width: st.integers(0, 2**width - 1),
        "F": lambda _: st.floats(width=32),
        "D": lambda _: st.floats(),
    }
    cells = [one[kind](width) for kind, width in zip(kinds, bits, strict=True)]
    rows = data.draw(st.lists(st.tuples(*cells), min_size=1, max_size=4))
    ranges = [2**width for width in bits]
    tube = read(
        build(rows, names_for(kinds), datatype="".join(kinds), bits=bits, order=order, ranges=ranges, version="FCS3.2")
    )
    truth = np.array(rows, np.float64)
    assert np.array_equal(tube.events, truth, equal_nan=True)
    assert np.array_equal(tube.columns(names_for(kinds)), truth, equal_nan=True)
    assert {note.code for note in tube.notes} <= {"FCS075"}


def test_mixed_types_by_hand(read):
    """A 32-bit clock, a single and a double: the table is of doubles, and the clock's last tick is not lost."""
    data = bytes.fromhex("ffffffff 3f000000 3fb999999999999a")
    raw = build(
        [(0, 0, 0)],
        ["Time", "FITC-A", "PE-A"],
        datatype="IFD",
        bits=[32, 32, 64],
        order=">",
        version="FCS3.2",
        data=data,
    )
    assert read(raw).events.tolist() == [[4294967295.0, 0.5, 0.1]]
    # Beside singles alone, too: 2^24 + 1 is the first whole number that no single holds.
    for tick in (2**24, 2**24 + 1, 2**32 - 1):
        tops = [2**32, 1]
        raw = build([(tick, 0.5)], ["Time", "FITC-A"], datatype="IF", bits=[32, 32], ranges=tops, version="FCS3.2")
        assert read(raw).events.tolist() == [[tick, 0.5]]


def test_a_float_of_a_wrong_width_beside_integers_is_noted_as_what_it_is(noted):
    raw = build([(7, 0.5)], datatype="IF", bits=[16, 32], version="FCS3.2", change={"$P2B": "64"})
    assert noted(raw) == ["FCS064"]


def test_integers_that_no_double_holds_are_rounded_beside_floats_and_that_is_noted(read):
    """One table has one type; 2^53 + 1 has no double of its own."""
    options = {"datatype": "IF", "bits": [64, 32], "version": "FCS3.2", "ranges": [2**64, 1]}
    tube = read(build([(2**53 + 1, 0.5), (2**53 - 1, 0.5)], **options))
    assert tube.events.tolist() == [[2.0**53, 0.5], [2.0**53 - 1, 0.5]]
    assert [note.code for note in tube.notes] == ["FCS076"]
    assert read(build([(2**53 - 1, 0.5)], **options)).notes == ()


def test_integers_beyond_doubles_are_exact_as_stored_and_rounded_as_scale(read):
    rows = [(2**53 + 1, 1), (2**64 - 1, 2)]
    tube = read(build(rows, datatype="I", bits=[64, 64], ranges=[2**64, 2**64]))
    assert tube.events.tolist() == [list(row) for row in rows]
    assert tube.columns(["FSC-A"])[:, 0].tolist() == [2.0**53, 2.0**64]
    (note,) = tube.notes
    assert note.code == "FCS076"
    assert "2 values" in note.found
    assert read(build([(2**53, 1)], datatype="I", bits=[64, 64], ranges=[2**64, 2**64])).notes == ()


@pytest.mark.parametrize(
    ("declared", "bits", "stored"),
    [("F", [64, 64], "F"), ("D", [32, 32], "D"), ("F", [16, 16], "F"), ("D", [16, 16], "D")],
)
def test_the_size_of_data_settles_a_width_that_does_not_go_with_its_type(read, refused, declared, bits, stored):
    rows = [(0.5, -1.25), (3.0, 1e6), (7.0, 2.0)]
    widths = [{"F": 32, "D": 64}[stored]] * 2
    raw = build(rows, datatype=declared, bits=bits, ranges=[1024, 1024], data=data_segment(rows, stored, widths, "<"))
    tube = read(raw)
    assert tube.events.tolist() == [list(row) for row in rows]
    assert [note.code for note in tube.notes] == ["FCS064"]
    refused(raw, "FCS064", repair="none")
    refused(raw[:-20], repair="safe")


@pytest.mark.parametrize(("kind", "bits"), [("F", "0"), ("I", "65"), ("I", "0"), ("D", "128"), ("A", "0"), ("A", "41")])
def test_widths_that_are_none(refused, kind, bits):
    rows = [(1, 2)]
    assert bits in refused(build(rows, datatype=kind, change={"$P1B": bits}, version="FCS3.0"), "FCS063").found


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"$DATATYPE": "X"}, "FCS061"),
        ({"$DATATYPE": ""}, "FCS061"),
        ({"$P2DATATYPE": "Q"}, "FCS061"),
        ({"$P2DATATYPE": "A"}, "FCS061"),
        ({"$P1B": "*"}, "FCS022"),
        ({"$P1B": "32.0"}, "FCS022"),
    ],
)
def test_types_that_are_none(refused, change, code):
    refused(build(change=change, version="FCS3.2"), code)


def test_lower_case_types(read, refused):
    raw = build(change={"$DATATYPE": "f", "$MODE": "l"})
    tube = read(raw)
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert all("'f'" in note.found or "'l'" in note.found for note in tube.notes)
    refused(raw, tube.notes[0].code, repair="none")


@pytest.mark.parametrize(("declared", "stored"), [("F", "D"), ("D", "F")])
def test_floats_of_another_size_than_their_type_are_refused(refused, declared, stored):
    """Doubles said to be $DATATYPE F with 64 bits: both keywords would have to be disbelieved in part."""
    rows, bits = [(0.5, -1.25), (3.0, 1e6), (7.0, 2.0)], [{"F": 32, "D": 64}[stored]] * 2
    raw = build(rows, datatype=declared, bits=bits, ranges=[1024, 1024], data=data_segment(rows, stored, bits, "<"))
    refused(raw, "FCS047")


# --- what the keywords allow ----------------------------------------------------------------------


def keywords(kinds: str, bits: list[int | str], order: str = "1,2,3,4", **more: str) -> dict[str, str]:
    pairs = {"$PAR": str(len(bits)), "$DATATYPE": kinds[0], "$BYTEORD": order}
    for n, width in enumerate(bits, 1):
        pairs |= {f"$P{n}B": str(width), f"$P{n}R": "1024"}
        if len(kinds) > 1:
            pairs[f"$P{n}DATATYPE"] = kinds[n - 1]
    return pairs | more


@pytest.mark.parametrize(
    ("kinds", "bits", "sizes"),
    [
        ("I", [16, 16], [4]),
        ("I", [8, 32], [5]),
        ("I", [24, 24], [6, 8]),
        ("I", [10, 10], [4, 2.5]),
        ("I", [20, 20], [6, 8, 5]),
        ("I", [12, 16], [4, 3.5]),
        ("I", [40], [5, 8]),
        ("F", [32, 32], [8]),
        ("F", [64, 64], [8]),
        ("D", [32, 32], [16]),
        ("D", [64], [8]),
        ("A", [3, 4], [7]),
        ("A", ["*", "*"], [None]),
        ("IF", [16, 32], [6]),
        ("FD", [32, 64], [12]),
        ("IF", [10, 32], [6]),
    ],
)
def test_events_have_only_the_sizes_programs_give_them(kinds, bits, sizes):
    """Bytes of one event, from eight of them: bits packed end in the middle of a byte."""
    found = shapes(keywords(kinds, bits), path="t.fcs", begin=58)
    assert [shape.size(8) if shape.size(8) is None else shape.size(8) / 8 for shape in found] == sizes
    assert all(shape.row_text for shape in found)


@given(bits=st.lists(st.integers(1, 64), min_size=1, max_size=6), n_events=st.integers(1, 50))
def test_counting_events_undoes_their_size(bits, n_events):
    """Of whole bytes; how many events a stream of bits holds, its size does not always tell."""
    for shape in shapes(keywords("I", bits), path="t.fcs", begin=58):
        size = shape.size(n_events)
        if isinstance(shape, BitShape):
            assert shape.count(size) is None
            continue
        assert shape.count(size) == n_events
        if shape.size(1) > 1:
            assert shape.count(size + 1) is None


def test_channels_beyond_all_measure_are_refused_before_they_are_looped_over(refused):
    for n in ("0", "1000", "99999999999999999999"):
        assert n in refused(build(change={"$PAR": n})).found


# --- against FlowIO -------------------------------------------------------------------------------


@given(
    kind=st.sampled_from("IFD"),
    order=st.sampled_from("<>"),
    version=st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1"]),
    n_channels=st.integers(1, 4),
    n_events=st.integers(1, 5),
    noise=st.randoms(use_true_random=False),
)
def test_flowio_reads_the_same(read, tmp_path_factory, kind, order, version, n_channels, n_events, noise):
    """Stored and scale values of what FlowIO reads rightly: 8, 16 and 32 bits, singles and doubles."""
    bits = [noise.choice([8, 16, 32]) if kind == "I" else {"F": 32, "D": 64}[kind] for _ in range(n_channels)]
    ranges = [2 ** noise.randint(1, width) if kind == "I" else 1024 for width in bits]
    change = {f"$P{n}G": noise.choice(["1", "0.5", "8"]) for n in range(1, n_channels + 1)}
    if kind == "I":
        change |= {f"$P{n}E": noise.choice(["0,0", "4,1", "2.5,0.1"]) for n in range(1, n_channels + 1)}
        cells = [[noise.randrange(2**width) for width in bits] for _ in range(n_events)]
    else:
        cells = [[noise.uniform(-1e4, 1e6) for _ in bits] for _ in range(n_events)]
    raw = build(
        cells, names_for(bits), datatype=kind, bits=bits, ranges=ranges, order=order, version=version, change=change
    )
    path = Path(tmp_path_factory.getbasetemp()) / "flowio.fcs"
    path.write_bytes(raw)
    theirs, ours = flowio.FlowData(str(path)), read(raw)
    assert np.array_equal(ours.events, theirs.as_array(preprocess=False))
    linear = [n for n in range(n_channels) if change.get(f"$P{n + 1}E", "0,0") == "0,0" or change[f"$P{n + 1}G"] == "1"]
    scale = ours.columns(names_for(bits))
    assert scale[:, linear] == pytest.approx(theirs.as_array(preprocess=True)[:, linear], rel=1e-12)


# --- the encoder of these tests -------------------------------------------------------------------


def test_the_builder_packs_by_the_book():
    """Bytes written out by hand: the tests' own encoder is not to be trusted either."""
    assert data_segment([(1, 258)], "I", [8, 16], ">") == b"\x01\x01\x02"
    assert data_segment([(0x010203, 1.0)], "IF", [24, 32], ">") == bytes.fromhex("010203 3f800000")
    assert data_segment([(7, 42)], "A", [2, 4], "<") == b"070042"
    assert ordered(b"\x0d\x0c\x0b\x0a", "3,4,1,2") == b"\x0b\x0a\x0d\x0c"
    assert ordered(b"\x0d\x0c\x0b\x0a", "2,3,4,1") == b"\x0c\x0b\x0a\x0d"
    assert bit_stream([(0b101, 0b01)], [3, 2], ">") == bytes([0b10101000])
    assert bit_stream([(0b101, 0b01)], [3, 2], "<") == bytes([0b00001101])

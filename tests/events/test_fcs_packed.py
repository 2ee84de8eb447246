"""DATA that is not in whole binary bytes: integers packed bit by bit, and numbers in digits; against plain Python."""

import io
import math
import random
import tracemalloc
from itertools import accumulate

import numpy as np
import pytest
from builder import bit_stream, build
from hypothesis import assume, given
from hypothesis import strategies as st

from nti7flow.errors import FcsError
from nti7flow.events.fcs.shapes import AsciiShape, BitShape
from nti7flow.events.fcs.unpack import parse_ascii, unpack_bits
from nti7flow.events.layout import container


class Dribble(io.RawIOBase):
    """A stream that never gives more than three bytes at a time, as pipes and network mounts may."""

    def __init__(self, raw: bytes) -> None:
        self.inside = io.BytesIO(raw)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inside.seek(offset, whence)

    def readinto(self, buffer) -> int:
        part = self.inside.read(min(3, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def names_for(widths) -> list[str]:
    return [f"V{n}-A" for n in range(len(widths))]


# --- packed bits ----------------------------------------------------------------------------------


def from_bits(raw: bytes, bits: list[int], n_events: int, *, big: bool) -> list[list[int]]:
    """Values of a bit stream, from a text of 0 and 1."""
    text = "".join(f"{byte:08b}"[:: 1 if big else -1] for byte in raw)
    ends = list(accumulate(bits * n_events))
    values = [
        int(text[end - width : end][:: 1 if big else -1], 2) for end, width in zip(ends, bits * n_events, strict=True)
    ]
    return [values[i : i + len(bits)] for i in range(0, len(values), len(bits))]


@given(
    bits=st.lists(st.integers(1, 64), min_size=1, max_size=5),
    n_events=st.integers(0, 6),
    big=st.booleans(),
    noise=st.randoms(use_true_random=False),
    before=st.integers(0, 5),
)
def test_bits_unpack_as_text_of_zeros_and_ones_does(bits, n_events, big, noise, before):
    shape = BitShape(bits=tuple(bits), masks=(None,) * len(bits), big_endian=big)
    size = shape.size(n_events)
    assert size == math.ceil(n_events * sum(bits) / 8)
    raw = noise.randbytes(before + size)
    for stream in (io.BytesIO(raw), Dribble(raw)):
        values = unpack_bits(stream, shape, begin=before, n_events=n_events, path="t.fcs")
        assert values.tolist() == from_bits(raw[before:], bits, n_events, big=big)


@given(
    data=st.data(),
    bits=st.lists(st.integers(1, 64), min_size=1, max_size=5),
    order=st.sampled_from("<>"),
    n_events=st.integers(1, 6),
)
def test_packed_values_come_back_from_a_file(read, data, bits, order, n_events):
    """Written by an encoder of its own; wherever whole bytes or machine words would be as long, nothing is guessed."""
    assume(any(width % 8 for width in bits))
    rows = [tuple(data.draw(st.integers(0, 2**width - 1)) for width in bits) for _ in range(n_events)]
    packed = bit_stream(rows, bits, order)
    whole = [-(-width // 8) for width in bits]
    others = {n_events * sum(whole), n_events * sum(map(container, whole))}
    raw = build(
        rows, names_for(bits), datatype="I", bits=bits, ranges=[2**width for width in bits], order=order, data=packed
    )
    if len(packed) in others:
        with pytest.raises(FcsError) as caught:
            read(raw)
        assert caught.value.code == "FCS044"
        return
    tube = read(raw)
    assert tube.events.tolist() == [list(row) for row in rows]
    assert "FCS066" in {note.code for note in tube.notes} <= {"FCS066", "FCS076"}


def test_packed_bits_by_hand(read):
    """Two events of 10 and 4 bits: 1023, 1, 0, 15 are 1111111111 0001 0000000000 1111, then four bits of padding."""
    data = bytes([0b11111111, 0b11000100, 0b00000000, 0b11110000])
    raw = build([(0, 0)] * 2, datatype="I", bits=[10, 4], ranges=[1024, 16], order=">", data=data + b"")
    tube = read(raw)
    assert tube.events.tolist() == [[1023, 1], [0, 15]]
    assert tube.events.dtype == np.uint16
    # Least significant bit first: 1023 fills the first byte and two bits of the next, then 1 as 1000.
    little = bytes([0b11111111, 0b00000111, 0b00000000, 0b00001111])
    assert read(build([(0, 0)] * 2, datatype="I", bits=[10, 4], ranges=[1024, 16], data=little)).events.tolist() == [
        [1023, 1],
        [0, 15],
    ]


def test_packed_bits_lose_those_above_the_range(read):
    rows = [(1023, 5), (512, 700), (3, 4)]
    raw = build(rows, datatype="I", bits=[10, 10], ranges=[256, 1024], order=">", data=bit_stream(rows, [10, 10], ">"))
    tube = read(raw)
    assert tube.events.tolist() == [[255, 5], [0, 700], [3, 4]]
    assert [note.code for note in tube.notes] == ["FCS066", "FCS067"]
    assert "2 values" in tube.notes[1].found


def test_packed_bits_in_a_mixed_byte_order_are_refused(refused):
    rows = [(1, 2)] * 4
    change = {"$BYTEORD": "3,4,1,2"}
    data = bit_stream(rows, [10, 10], "<")
    raw = build(rows, datatype="I", bits=[10, 10], ranges=[1024, 1024], data=data, change=change)
    assert refused(raw).code in ("FCS044", "FCS047", "FCS062")


def test_packed_events_of_less_than_a_byte_are_not_counted_by_size(refused):
    rows = [(1, 2)] * 3
    data = bit_stream(rows, [3, 3], "<")
    raw = build(rows, datatype="I", bits=[3, 3], ranges=[8, 8], data=data, version="FCS2.0", change={"$TOT": None})
    assert refused(raw).code in ("FCS044", "FCS047")


def test_many_packed_events(read):
    """More than are unpacked at a time, so that blocks must meet without a gap."""
    bits = [5, 10, 64, 7, 1] + [63] * 60
    noise = random.Random(3)
    rows = [[noise.getrandbits(width) for width in bits] for _ in range(1200)]
    data = bit_stream(rows, bits, ">")
    raw = build(
        rows, names_for(bits), datatype="I", bits=bits, ranges=[2**width for width in bits], order=">", data=data
    )
    assert len(data) * 8 > 2 * (1 << 21)
    assert read(raw).events.tolist() == rows


# --- ASCII ----------------------------------------------------------------------------------------

SEPARATORS = st.text(" ,\t\r\n", min_size=1, max_size=3)


@given(data=st.data(), n_channels=st.integers(1, 4), n_events=st.integers(1, 6))
def test_delimited_numbers_as_python_reads_them(read, data, n_channels, n_events):
    values = data.draw(
        st.lists(
            st.integers(0, 2**64 - 1) | st.integers(0, 9),
            min_size=n_channels * n_events,
            max_size=n_channels * n_events,
        )
    )
    text = "".join(f"{value:0{data.draw(st.integers(1, 20))}d}{data.draw(SEPARATORS)}" for value in values)
    text = data.draw(st.sampled_from(["", " ", "\r\n"])) + text
    text = text.rstrip() if data.draw(st.booleans()) else text
    rows = [tuple(values[i : i + n_channels]) for i in range(0, len(values), n_channels)]
    names = names_for(rows[0])
    change = {f"$P{n}B": "*" for n in range(1, n_channels + 1)}
    raw = build(
        rows, names, datatype="A", ranges=[2**64] * n_channels, data=text.encode(), version="FCS3.0", change=change
    )
    tube = read(raw)
    assert tube.events.tolist() == [list(row) for row in rows]
    assert tube.events.dtype in (np.uint32, np.uint64)
    assert {note.code for note in tube.notes} <= {"FCS076"}
    stream = Dribble(b"12345" + text.encode())
    shape = AsciiShape(n_channels=n_channels)
    short = parse_ascii(stream, shape, begin=5, size=len(text), total=n_events, limit=5 + len(text), path="t.fcs")
    assert short.tolist() == tube.events.tolist()


@given(data=st.data(), widths=st.lists(st.integers(1, 20), min_size=1, max_size=4), n_events=st.integers(1, 5))
def test_numbers_of_fixed_width_as_python_reads_them(read, data, widths, n_events):
    rows = [tuple(data.draw(st.integers(0, min(10**width, 2**64) - 1)) for width in widths) for _ in range(n_events)]
    fill = data.draw(st.sampled_from(["0", " "]))
    text = "".join(str(value).rjust(width, fill) for row in rows for value, width in zip(row, widths, strict=True))
    raw = build(
        rows,
        names_for(widths),
        datatype="A",
        bits=widths,
        ranges=[2**64] * len(widths),
        data=text.encode(),
        version="FCS3.0",
    )
    assert read(raw).events.tolist() == [list(row) for row in rows]


def test_ascii_by_hand(read):
    raw = build(
        [(12, 3456), (0, 9)], datatype="A", bits=[3, 4], ranges=[1000, 10000], data=b"0123456  0   9", version="FCS3.0"
    )
    assert read(raw).events.tolist() == [[12, 3456], [0, 9]]
    free = {"$P1B": "*", "$P2B": "*"}
    raw = build(
        [(12, 3456), (0, 9)],
        datatype="A",
        ranges=[1000, 10000],
        data=b"12 3456\r\n0,9\r\n",
        version="FCS3.0",
        change=free,
    )
    assert read(raw).events.tolist() == [[12, 3456], [0, 9]]


def test_numbers_in_digits_are_not_masked(read):
    raw = build([(20000, 5)], datatype="A", bits=[5, 5], ranges=[10000, 10000], version="FCS3.0")
    assert read(raw).events.tolist() == [[20000, 5]]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"1 2 3 4 5 x", "FCS077"),
        (b"1 2 3 4 5 -6", "FCS077"),
        (b"1 2 3 4 5 6.5", "FCS077"),
        (b"1 2 3 4 5 1e3", "FCS077"),
        (b"1 2 3 4 5 1_0", "FCS077"),
        ("1 2 3 4 5 ²".encode("latin-1"), "FCS077"),
        (b"1 2 3 4 5 18446744073709551616", "FCS077"),
        (b"1 2 3 4 5 " + b"9" * 30, "FCS077"),
        (b"1 2 3 4 5", "FCS047"),
        (b"1 2 3 4 5 6 7", "FCS047"),
        (b"1 2 3 4 5 6 7 8", "FCS047"),
        (b" " * 9, "FCS047"),
    ],
)
def test_delimited_numbers_that_are_none(refused, data, code):
    free = {"$P1B": "*", "$P2B": "*"}
    refused(build([(1, 2)] * 3, datatype="A", data=data, version="FCS3.0", change=free), code)


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.0"])
def test_delimited_numbers_that_go_on_behind_their_segment(refused, version):
    """DATA ends within 67, and 6 is as good a number: five of six offsets too short would be read without a word."""
    free = {"$P1B": "*", "$P2B": "*"}
    options = {"datatype": "A", "data": b"1 2 3 4 5 67", "version": version, "change": free}
    error = refused(build([(1, 2)] * 3, **options, in_header=(0, -1), in_text=(0, -1)), "FCS044")
    assert "67" in error.found


@pytest.mark.parametrize("field", [b"    ", b"1 23", b" -12", b"12.0", b"0x1f"])
def test_fields_that_are_no_numbers(refused, field):
    error = refused(build([(1, 2)], datatype="A", bits=[4, 4], data=b"0001" + field, version="FCS3.0"), "FCS077")
    assert repr(field) in error.found


def test_more_ascii_than_is_read_at_a_time(read):
    noise = random.Random(5)
    rows = [[noise.randrange(10 ** noise.randrange(1, 12)) for _ in range(3)] for _ in range(30_000)]
    text = "".join(f"{a} {b},{c}\n" for a, b, c in rows).encode()
    assert len(text) > 2 * (1 << 18)
    names, change = names_for("abc"), {f"$P{n}B": "*" for n in (1, 2, 3)}
    raw = build(rows, names, datatype="A", ranges=[2**40] * 3, data=text, version="FCS3.0", change=change)
    assert read(raw).events.tolist() == rows
    wide = "".join(f"{a:12d}{b:012d}{c:>13d}" for a, b, c in rows).encode()
    raw = build(rows, names, datatype="A", bits=[12, 12, 13], ranges=[2**40] * 3, data=wide, version="FCS3.0")
    assert read(raw).events.tolist() == rows


def test_a_digit_run_without_end_is_refused_at_once(refused):
    """A separator that never comes must not gather the file in memory."""
    free = {"$P1B": "*", "$P2B": "*"}
    raw = build([(1, 2)], datatype="A", data=b"7" * 3_000_000, version="FCS3.0", change=free)
    tracemalloc.start()
    error = refused(raw, "FCS077")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(error)) < 400
    assert peak < 2_000_000

"""Events in memory and in the file: the same values, and none at all once the file is another one."""

import io
import math
import os
import random
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from builder import build, data_segment, segments
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import FcsError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.layout import EXACT, Column, Layout
from nti7flow.events.stored import (
    BLOCK,
    IN_MEMORY,
    EventsInFile,
    EventsInMemory,
    Survey,
    file_stamp,
    in_memory,
    read_exactly,
)

LITTLE, BIG = (1, 2, 3, 4), (4, 3, 2, 1)
LAYOUTS = {
    "floats little": Layout((Column("F", 4),) * 5, LITTLE),
    "floats big": Layout((Column("F", 4),) * 5, BIG),
    "doubles big": Layout((Column("D", 8),) * 3, BIG),
    "floats of a PDP": Layout((Column("F", 4),) * 3, (3, 4, 1, 2)),
    "words with junk": Layout((Column("I", 2, 1023), Column("I", 2), Column("I", 2, 255)), BIG),
    "bytes": Layout((Column("I", 1, 127), Column("I", 1)), LITTLE),
    "24 bits": Layout((Column("I", 3), Column("I", 3, 2**20 - 1)), BIG),
    "mixed widths": Layout((Column("I", 1), Column("I", 2, 1023), Column("I", 4), Column("I", 3)), LITTLE),
    "64 bits": Layout((Column("I", 8, 2**60 - 1), Column("I", 8)), LITTLE),
    "mixed types": Layout((Column("F", 4), Column("I", 2, 1023), Column("I", 1)), LITTLE),
    "mixed types with doubles": Layout((Column("F", 4), Column("I", 4), Column("D", 8)), BIG),
}


def by_hand(raw: bytes, layout: Layout, row: int, channel: int) -> float:
    """One value by ``struct`` and ``int.from_bytes``."""
    columns = layout.columns
    start = row * layout.row_size + sum(column.width for column in columns[:channel])
    column = columns[channel]
    stored = raw[start : start + column.width]
    if layout.order == BIG:
        stored = stored[::-1]
    elif layout.order not in (LITTLE,) and column.width == len(layout.order):
        stored = bytes(stored[layout.order.index(significance)] for significance in sorted(layout.order))
    if column.kind == "I":
        value = int.from_bytes(stored, "little")
        return value if column.mask is None else value & column.mask
    return struct.unpack({4: "<f", 8: "<d"}[column.width], stored)[0]


def same(found: float, truth: float) -> bool:
    return bool(found == truth) or (math.isnan(found) and math.isnan(truth))


def both(path, raw: bytes, layout: Layout, n_events: int, begin: int) -> tuple[EventsInFile, EventsInMemory]:
    path.write_bytes(b"\1" * begin + raw + b"\2\2\2")
    in_file = EventsInFile(path, stamp=file_stamp(path.stat()), begin=begin, n_events=n_events, layout=layout)
    with np.errstate(invalid="ignore"):
        decoded = layout.decode(np.frombuffer(bytearray(raw), np.uint8))
        return in_file, in_memory(decoded, layout)


def columns(stored, channels) -> np.ndarray:
    out = np.full((stored.n_events, len(channels)), -1.0, order="F")
    with np.errstate(all="ignore"):
        stored.columns_into(out, channels)
    return out


def test_signalling_nans_make_no_noise(read):
    """Filterwarnings make it an error here; a user would read of an invalid value in a file that has none."""
    data = bytes.fromhex("7fa00000 3ff0000000000000")
    raw = build([(0, 0)], datatype="FD", bits=[32, 64], order=">", version="FCS3.2", data=data)
    tube = read(raw)
    assert math.isnan(tube.events[0, 0])
    assert [note.code for note in tube.notes] == ["FCS075"]


@pytest.mark.parametrize("name", LAYOUTS)
@np.errstate(invalid="ignore")
def test_file_and_memory_agree(tmp_path, name):
    """More events than are worked on at a time, and no whole number of such blocks."""
    layout = LAYOUTS[name]
    n_events = int(2.3 * BLOCK) // layout.row_size
    raw = random.Random(name).randbytes(n_events * layout.row_size)
    in_file, memory = both(tmp_path / "events", raw, layout, n_events, 7)
    assert (
        (in_file.n_events, in_file.n_channels)
        == (memory.n_events, memory.n_channels)
        == (n_events, len(layout.columns))
    )
    assert in_file.type == memory.type == layout.type
    channels = [*range(len(layout.columns))[::-1], 0]
    first = columns(in_file, channels)
    blocks = [block.copy() for block in in_file.blocks()]
    assert len(blocks) > 1
    assert np.concatenate(blocks).astype(layout.type).tobytes() == memory.array.tobytes()
    assert in_file.survey == memory.survey
    assert in_file.array.tobytes() == memory.array.tobytes()
    assert in_file.array.dtype == memory.array.dtype
    assert in_file.array is in_file.array
    assert np.concatenate(list(in_file.blocks())).tobytes() == np.concatenate(list(memory.blocks())).tobytes()
    for stored in (in_file, memory):
        assert columns(stored, channels).tobytes() == first.tobytes()
        assert not stored.array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            stored.array[0, 0] = 0
    noise = random.Random(1)
    for _ in range(50):
        row, i = noise.randrange(n_events), noise.randrange(len(channels))
        assert same(first[row, i], float(by_hand(raw, layout, row, channels[i])))


@np.errstate(invalid="ignore")
@given(name=st.sampled_from(sorted(LAYOUTS)), n_events=st.integers(0, 6), noise=st.randoms(use_true_random=False))
def test_the_survey_counts_what_is_odd(tmp_path_factory, name, n_events, noise):
    """Value by value: not finite, bits above the range, and whole numbers that no double holds."""
    layout = LAYOUTS[name]
    raw = bytearray(noise.randbytes(n_events * layout.row_size))
    specials = [b"\xff" * 8, b"\0" * 8, struct.pack("<f", math.inf) * 2, struct.pack(">f", -math.inf) * 2]
    for row in range(n_events):
        if noise.random() < 0.5:
            raw[row * layout.row_size : row * layout.row_size + 4] = noise.choice(specials)[:4]
    raw = bytes(raw[: n_events * layout.row_size])
    in_file, memory = both(tmp_path_factory.getbasetemp() / "survey", raw, layout, n_events, 0)
    assert in_file.survey == memory.survey
    expected = {"not_finite": 0, "junk": 0, "large": 0}
    unmasked = Layout(tuple(Column(c.kind, c.width) for c in layout.columns), layout.order)
    for row in range(n_events):
        for i, column in enumerate(layout.columns):
            value = by_hand(raw, layout, row, i)
            if column.kind == "I":
                expected["junk"] += layout.type.kind == "u" and value != by_hand(raw, unmasked, row, i)
                expected["large"] += layout.type.kind == "u" and value > EXACT
            else:
                expected["not_finite"] += not math.isfinite(value)
    assert memory.survey == Survey(**expected)


def test_finite_values_whose_sum_is_not_are_no_oddity():
    values = np.full((8, 2), 3e38, np.float32)
    assert in_memory(values, Layout((Column("F", 4),) * 2, LITTLE)).survey == Survey()


def test_no_events_at_all(tmp_path):
    for layout in LAYOUTS.values():
        in_file, memory = both(tmp_path / "none", b"", layout, 0, 3)
        for stored in (in_file, memory):
            assert stored.array.shape == (0, len(layout.columns))
            assert columns(stored, [0]).shape == (0, 1)
            assert list(stored.blocks()) == []
            assert stored.survey == Survey()


class Dribble(io.RawIOBase):
    """A stream that gives one to three bytes at a time."""

    def __init__(self, raw: bytes) -> None:
        self.inside, self.noise = io.BytesIO(raw), random.Random(1)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part = self.inside.read(min(self.noise.randint(1, 3), len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def test_short_reads_are_gone_on_with():
    raw = random.Random(2).randbytes(1000)
    buffer = np.zeros(1000, np.uint8)
    read_exactly(Dribble(raw), buffer, "t.fcs")
    assert buffer.tobytes() == raw
    with pytest.raises(FcsError) as caught:
        read_exactly(Dribble(raw[:-1]), buffer, "t.fcs")
    assert caught.value.code == "FCS008"


# --- a large tube ---------------------------------------------------------------------------------

CHANNELS = ["FSC-A", "FITC-A", "PE-A", "APC-A"]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Bytes of a tube of over 8 MiB, with three values that are not finite, and its values."""
    n_events = IN_MEMORY // 16 + 70_000
    values = np.random.default_rng(7).normal(1000, 500, (n_events, 4)).astype(">f4")
    values[5, 0], values[-1, 3], values[n_events // 2, 1] = np.nan, np.inf, -np.inf
    change = {"$P3G": "2", "$TOT": str(n_events)}
    raw = build([(0.0,) * 4], CHANNELS, order=">", data=values.tobytes(), change=change)
    return raw, values


@pytest.fixture
def tube(large, tmp_path):
    """The large tube in a file of its own."""
    path = tmp_path / "large.fcs"
    path.write_bytes(large[0])
    return read_fcs(path)


def test_a_large_tube_stays_in_its_file(large, tube):
    _, values = large
    assert isinstance(tube.stored, EventsInFile)
    assert tube.n_events == len(values)
    assert [note.code for note in tube.notes] == ["FCS075"]
    assert "3 values" in tube.notes[0].found
    scale = tube.columns(["PE-A", "FSC-A"])
    assert np.array_equal(scale, values[:, [2, 0]].astype(np.float64) / [2, 1], equal_nan=True)
    assert tube.events.tobytes() == values.tobytes()
    assert np.array_equal(tube.columns(["PE-A", "FSC-A"]), scale, equal_nan=True)
    out = np.empty(len(values))
    tube.column_into(2, out, slice(None))
    assert np.array_equal(out, scale[:, 0])


def test_a_channel_costs_the_memory_of_a_channel(tube):
    tracemalloc.start()
    scale = tube.columns(["FITC-A"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * scale.nbytes + 4 * BLOCK


def test_all_events_cost_their_memory_once(tube):
    tracemalloc.start()
    events = tube.events
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * events.nbytes + 2 * BLOCK


def test_the_limit_between_memory_and_file(read):
    """Up to 8 MiB a tube is kept, so that its file may go."""
    width = 64
    kept = IN_MEMORY // (8 * width)
    names = [f"V{n}-A" for n in range(width)]
    for n_events, kind in ((kept, EventsInMemory), (kept + 1, EventsInFile)):
        raw = build(
            [(0.0,) * width], names, datatype="D", data=bytes(8 * width * n_events), change={"$TOT": str(n_events)}
        )
        assert isinstance(read(raw).stored, kind)


# --- a file that is not what it was ---------------------------------------------------------------


def cut_short(path):
    os.truncate(path, path.stat().st_size - 1_000_000)


def made_longer(path):
    with path.open("ab") as stream:
        stream.write(b"x")


def written_anew(path):
    path.write_bytes(path.read_bytes()[::-1])


def touched(path):
    os.utime(path, ns=(1, 1))


def replaced(path):
    other = path.with_name("other")
    other.write_bytes(build())
    other.replace(path)


def deleted(path):
    path.unlink()


def made_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = [cut_short, made_longer, written_anew, touched, replaced, deleted, made_a_folder]
USES = {
    "events": lambda tube: tube.events,
    "columns": lambda tube: tube.columns(["FITC-A"]),
    "column_into": lambda tube: tube.column_into(0, np.empty(tube.n_events), slice(None)),
    "notes": lambda tube: tube.notes,
    "blocks": lambda tube: list(tube.stored.blocks()),
    "sha256": lambda tube: tube.sha256,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_events_are_refused_once_the_file_is_another(tube, damage, use):
    """Never another tube's values, and never half of them."""
    damage(tube.path)
    with pytest.raises(FcsError) as caught:
        USES[use](tube)
    assert caught.value.code == ("FCS003" if damage in (deleted, made_a_folder) else "FCS008")
    assert str(tube.path) in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_was_read_before_stays(large, tube):
    _, values = large
    events, notes = tube.events, tube.notes
    deleted(tube.path)
    assert tube.events is events
    assert tube.notes is notes
    assert np.array_equal(tube.columns(["FSC-A"])[:, 0], values[:, 0].astype(float), equal_nan=True)
    with pytest.raises(FcsError, match="FCS003"):
        _ = tube.sha256


def test_small_tubes_do_not_need_their_file(tmp_path):
    path = tmp_path / "small.fcs"
    path.write_bytes(build())
    tube = read_fcs(path)
    path.unlink()
    assert tube.events.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert tube.columns(["FITC-A"])[:, 0].tolist() == [2, 4, 6]
    assert tube.notes == ()


def test_a_file_that_changes_between_two_blocks(tube):
    """The first blocks were right; at the end it shows, and the whole is refused."""
    blocks = tube.stored.blocks()
    next(blocks)
    made_longer(tube.path)
    with pytest.raises(FcsError, match="FCS008"):
        list(blocks)


def test_blocks_that_nobody_asks_for_leave_no_file_open(tube):
    """An abandoned loop closes its file: ResourceWarning is an error here."""
    blocks = tube.stored.blocks()
    next(blocks)
    blocks.close()
    cut_short(tube.path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_the_file_is_refused_at_once(large, tmp_path):
    """In a process of its own, which can be ended."""
    path = tmp_path / "large.fcs"
    path.write_bytes(large[0])
    program = (
        "import os, sys; from nti7flow.events.fcs import read_fcs; from nti7flow.errors import FcsError\n"
        "tube = read_fcs(sys.argv[1]); os.unlink(sys.argv[1]); os.mkfifo(sys.argv[1])\n"
        "for use in ('events', 'sha256'):\n"
        "    try: getattr(tube, use)\n"
        "    except FcsError as error: print(error.code)"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=8, check=True)
    assert len(done.stdout.split()) == 2
    assert set(done.stdout.split()) <= {"FCS002", "FCS003", "FCS008"}


def test_the_events_of_a_small_file_are_those_of_its_bytes(read):
    """The memory path of `read_fcs` against the bytes of the file, type by type."""
    for kind, order in (("F", "<"), ("F", ">"), ("D", "<"), ("I", ">")):
        rows = [(1, 2), (300, 4)]
        raw = build(rows, datatype=kind, order=order)
        begin, end = segments(raw)["DATA"]
        tube = read(raw)
        width = {"F": 32, "D": 64, "I": 16}[kind]
        assert raw[begin : end + 1] == data_segment(tube.events.tolist(), kind, [width] * 2, order)

"""``write_fcs``: a sample reads back as it was, here and elsewhere, and a file is there whole or not at all."""

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import flowio
import flowkit
import numpy as np
import pytest
from builder import build
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nti7flow as nf
from nti7flow.errors import FcsError
from nti7flow.events.panel import Panel
from nti7flow.events.sample import Sample
from nti7flow.events.stored import EventsInMemory, Survey

#: Keywords that say how the data are stored, beside $PnB, $PnE and $PnDATATYPE.
STRUCTURE = {
    "$BEGINANALYSIS", "$BEGINDATA", "$BEGINSTEXT", "$ENDANALYSIS", "$ENDDATA", "$ENDSTEXT",
    "$BYTEORD", "$DATATYPE", "$MODE", "$NEXTDATA", "$TOT", "$UNICODE",
}  # fmt: skip
USUAL = "|\x0c\x1e\x1f/\\!~^"


def free_keywords(sample):
    """Keywords that do not say how the data are stored."""
    channels = range(1, len(sample.panel.channels) + 1)
    structure = STRUCTURE | {f"$P{n}{letter}" for n in channels for letter in ("B", "E", "DATATYPE")}
    return {key: value for key, value in sample.keywords.items() if key not in structure}


def scale_values(sample):
    """Scale values of every channel, by position: names may be ambiguous."""
    out = np.empty((sample.n_events, len(sample.panel.channels)))
    for i in range(out.shape[1]):
        sample.column_into(i, out[:, i], slice(None))
    return out


def same(one, other):
    """Whether two arrays hold the same numbers, any NaN like any other, −0 unlike 0."""
    nan = np.isnan(one)
    return np.array_equal(nan, np.isnan(other)) and one[~nan].tobytes() == other[~nan].tobytes()


def made(events, more=None, names=None):
    """A sample that was never a file."""
    events = np.array(events, None if isinstance(events, np.ndarray) else "f4")
    kind = "I" if events.dtype.kind == "u" else {4: "F", 8: "D"}[events.dtype.itemsize]
    keywords = {"$PAR": str(events.shape[1]), "$DATATYPE": kind, "$BYTEORD": "4,3,2,1", "$MODE": "L", "$NEXTDATA": "0"}
    for n in range(1, events.shape[1] + 1):
        name = names[n - 1] if names else f"FL{n}-H"
        top = str(2 ** min(8 * events.itemsize, 62))
        keywords |= {f"$P{n}N": name, f"$P{n}B": str(8 * events.itemsize), f"$P{n}R": top, f"$P{n}E": "0,0"}
    keywords |= more or {}
    panel = Panel.from_keywords(keywords, path="made.fcs")
    return Sample(Path("made.fcs"), 0, "FCS3.0", EventsInMemory(events, survey=Survey()), panel, keywords)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round_trip")


# --- values ---------------------------------------------------------------------------------------


@given(bits=arrays("u4", st.tuples(st.integers(0, 5), st.integers(1, 4))), order=st.sampled_from("<>"))
@example(bits=np.array([[0x7F800001, 0xFFC12345, 0x7F800000, 0xFF800000, 0x80000000, 1]], "u4"), order=">")
def test_singles_bit_for_bit(folder, bits, order):
    values = bits.astype(f"{order}u4").view(f"{order}f4")
    nf.write_fcs(made(values), folder / "f.fcs")
    back = nf.read_fcs(folder / "f.fcs", repair="none")
    assert back.keywords["$DATATYPE"] == "F"
    assert (back.events.dtype, back.events.tobytes()) == (np.dtype("<f4"), bits.astype("<u4").tobytes())


@given(bits=arrays("u8", st.tuples(st.integers(0, 5), st.integers(1, 4))), order=st.sampled_from("<>"))
@example(bits=np.array([[0x7FF0000000000001, 0xFFF8000000054321, 0x7FF0000000000000]], "u8"), order=">")
def test_doubles_bit_for_bit(folder, bits, order):
    values = bits.astype(f"{order}u8").view(f"{order}f8")
    nf.write_fcs(made(values), folder / "d.fcs")
    back = nf.read_fcs(folder / "d.fcs", repair="none")
    assert back.keywords["$DATATYPE"] == "D"
    assert (back.events.dtype, back.events.tobytes()) == (np.dtype("<f8"), bits.astype("<u8").tobytes())


@st.composite
def integer_files(draw):
    """A file of integers: mixed widths, ranges, amplifiers, gains, and junk above the range."""
    bits = draw(st.lists(st.sampled_from([8, 16, 32]), min_size=1, max_size=4))
    top = st.integers(1, 32)
    ranges = [2 ** min(width, draw(top)) - draw(st.integers(0, 1)) or 1 for width in bits]
    rows = draw(st.lists(st.tuples(*(st.integers(0, 2**width - 1) for width in bits)), max_size=5))
    names = draw(st.permutations(["FSC-H", "FL1-H", "FL2-H", "Time"]))[: len(bits)]
    change = {"$TIMESTEP": draw(st.sampled_from(["0.01", "0.1"]))}
    for n in range(1, len(bits) + 1):
        change[f"$P{n}E"] = draw(st.sampled_from(["0,0", "4,1", "4,0", "5.5,0.1", "2.25,10"]))
        change[f"$P{n}G"] = draw(st.sampled_from([None, "1", "1.0", "2.5", "0.37"]))
    return build(rows, names, datatype="I", bits=bits, ranges=ranges, change=change, order=draw(st.sampled_from("<>")))


@given(raw=integer_files())
def test_integers_give_the_same_scale_values(folder, raw):
    (folder / "source.fcs").write_bytes(raw)
    source = nf.read_fcs(folder / "source.fcs")
    nf.write_fcs(source, folder / "i.fcs")
    back = nf.read_fcs(folder / "i.fcs", repair="none")
    assert same(scale_values(back), scale_values(source))
    for before, after in zip(source.panel.channels, back.panel.channels, strict=True):
        if before.role == "time":
            assert after.range == before.range
        else:
            assert after.top == (np.ceil(before.top) if before.log_amplifier else before.top)
    assert back.time_step_s == source.time_step_s
    assert not any(c.log_amplifier for c in back.panel.channels)


@pytest.mark.parametrize(
    ("largest", "bits", "kind"),
    [(255, 8, "F"), (65535, 16, "F"), (2**24, 32, "F"), (2**24 + 1, 32, "D"), (2**53, 64, "D")],
)
def test_integers_are_written_in_the_smallest_type_that_holds_them(tmp_path, largest, bits, kind):
    source = made(np.array([[largest, 1], [0, largest - 1]], f"u{bits // 8}"))
    nf.write_fcs(source, tmp_path / "i.fcs")
    back = nf.read_fcs(tmp_path / "i.fcs", repair="none")
    assert back.keywords["$DATATYPE"] == kind
    assert back.keywords["$P1B"] == {"F": "32", "D": "64"}[kind]
    assert [[int(value) for value in row] for row in back.events] == [[largest, 1], [0, largest - 1]]


def test_integers_that_no_floating_point_type_holds_are_refused(tmp_path):
    source = made(np.array([[1, 2**53 + 1]], "u8"), names=["FSC-A", "Time"])
    with pytest.raises(ValueError, match=r"made.fcs: channel Time holds 9,007,199,254,740,993; .* above 2\^53"):
        nf.write_fcs(source, tmp_path / "i.fcs")
    assert list(tmp_path.iterdir()) == []
    nf.write_fcs(source, tmp_path / "i.fcs", rows=[])  # none of them is written
    assert nf.read_fcs(tmp_path / "i.fcs", repair="none").n_events == 0


def test_log_amplifier_becomes_linear(tmp_path):
    """By hand: 4 decades over 1024 levels; level 512 is 10^2, the top 10^4."""
    amplified = {"$P1E": "4,1", "$P1R": "1024", "$P1G": "2", "$P2E": "4,1", "$P2R": "1024"}
    source = made(
        np.array([[512, 512, 512], [0, 0, 0]], "u2"), {**amplified, "$P3G": "2", "$TIMESTEP": "0.1"},
        names=["FL1-H", "Time", "FSC-H"],
    )  # fmt: skip
    nf.write_fcs(source, tmp_path / "log.fcs")
    back = nf.read_fcs(tmp_path / "log.fcs", repair="none")
    assert back.events.tolist() == [[100.0, 512.0, 512.0], [1.0, 0.0, 0.0]]
    assert np.array_equal(back.columns(["FL1-H", "Time", "FSC-H"]), [[100.0, 51.2, 256.0], [1.0, 0.0, 0.0]])
    assert np.array_equal(back.columns(["FL1-H", "Time", "FSC-H"]), source.columns(["FL1-H", "Time", "FSC-H"]))
    written = {key: back.keywords[key] for key in ("$DATATYPE", "$P1E", "$P1R", "$P1G", "$P2E", "$P2R", "$P3G")}
    assert written == {
        "$DATATYPE": "D", "$P1E": "0,0", "$P1R": "10000", "$P1G": "1", "$P2E": "0,0", "$P2R": "1024", "$P3G": "2",
    }  # fmt: skip


def test_integers_beside_doubles(tmp_path):
    """Mixed types, as FCS 3.2 has them: the matrix is of doubles, and one channel of it comes from an amplifier."""
    source = made(
        np.array([[512.0, 0.1, 3.0], [0.0, -np.inf, 4.0]]),
        {"$P1DATATYPE": "I", "$P1E": "4,1", "$P1R": "1024", "$P3DATATYPE": "I", "$P3G": "2"},
    )
    assert source.panel.channels[0].log_amplifier == (4, 1)
    nf.write_fcs(source, tmp_path / "mixed.fcs")
    back = nf.read_fcs(tmp_path / "mixed.fcs", repair="none")
    assert back.events.tolist() == [[100.0, 0.1, 3.0], [1.0, -np.inf, 4.0]]
    assert np.array_equal(scale_values(back), scale_values(source))
    assert source.events[0, 0] == 512.0


# --- which events ---------------------------------------------------------------------------------


@given(n_events=st.integers(0, 9), data=st.data())
def test_rows_are_chosen_by_mask_or_index(folder, n_events, data):
    source = made(np.arange(2 * n_events, dtype="f4").reshape(n_events, 2))
    mask = data.draw(arrays(np.bool_, n_events))
    nf.write_fcs(source, folder / "rows.fcs", rows=mask)
    assert np.array_equal(nf.read_fcs(folder / "rows.fcs", repair="none").events, source.events[mask])
    if n_events:
        order = data.draw(st.lists(st.integers(0, n_events - 1), max_size=12))
        nf.write_fcs(source, folder / "rows.fcs", rows=order)
        back = nf.read_fcs(folder / "rows.fcs", repair="none")
        assert np.array_equal(back.events, source.events[np.array(order, int)])
        assert back.keywords["$TOT"] == str(len(order))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([True, False], "mask for 2 events; the sample has 3"),
        ([3], "from 0 to 2 in a sample of 3 events; found 3 to 3"),
        ([-1, 0], "found -1 to 0"),
        ([0.0, 1.0], "found float64"),
        ([[0, 1]], r"of shape \(1, 2\)"),
        (1, r"of shape \(\)"),
        (["0"], "found <U1"),
    ],
)
def test_rows_that_are_not_of_the_sample(tmp_path, rows, says):
    with pytest.raises(ValueError, match=says):
        nf.write_fcs(made(np.zeros((3, 2), "f4")), tmp_path / "rows.fcs", rows=rows)
    assert list(tmp_path.iterdir()) == []


def test_rows_over_several_blocks_in_any_order(tmp_path):
    rng = np.random.default_rng(5)
    source = made(rng.integers(0, 2**32, (300_000, 3), "u4").astype(">u4").view(">f4"))
    order = rng.permutation(300_000)[:200_000]
    for rows in (order, np.sort(order)):
        nf.write_fcs(source, tmp_path / "rows.fcs", rows=rows)
        back = nf.read_fcs(tmp_path / "rows.fcs", repair="none").events
        assert back.view("<u4").tolist() == source.events[rows].view(">u4").tolist()


# --- keywords -------------------------------------------------------------------------------------

ASCII = st.characters(codec="ascii", min_codepoint=1, max_codepoint=126)
KEYS = st.text(ASCII, max_size=12).map(lambda key: f"K{key.upper()}K")
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.text(st.sampled_from(USUAL), min_size=1)
#: The name of a standard keyword as a value looks to the reader like keywords and values out of step: it refuses that.
VALUES = TEXTS.filter(lambda value: not value.strip().startswith("$"))


@given(more=st.dictionaries(KEYS, VALUES, max_size=6))
@example(more={"KEY": USUAL, "KEY2": "|", "K|K": "||", "KX": " ", "KY": "Größe µm 漢字 🧫 "})
@example(more={"KEY": "a" + "".join(map(chr, range(1, 127))) + "z", "KK": "two || of them"})
def test_keywords_come_back_exactly(folder, more):
    source = made([[1.0, 2.0]], {"$P1S": " CD3 ", "$P2G": " 2.0", "$TIMESTEP": "0.01 ", **more})
    nf.write_fcs(source, folder / "keywords.fcs")
    back = nf.read_fcs(folder / "keywords.fcs", repair="none")
    assert free_keywords(back) == free_keywords(source)
    assert np.array_equal(scale_values(back), scale_values(source))
    nf.write_fcs(back, folder / "again.fcs")
    assert (folder / "again.fcs").read_bytes() == (folder / "keywords.fcs").read_bytes()


@pytest.mark.parametrize(
    ("values", "delimiter"),
    [
        (["plain"], "|"),
        (["a|b"], "\x0c"),
        (["|\x0c"], "\x1e"),
        (["|\x0c\x1e\x1f"], "/"),
        ([USUAL], "\x01"),
        (["x" + "".join(map(chr, range(1, 127))) + "x"], "|"),
        (["x" + "".join(map(chr, range(1, 127))) + "x", "|begins", "ends\x0c"], "\x1e"),
    ],
)
def test_delimiter_is_one_that_leaves_no_doubt(tmp_path, values, delimiter):
    more = {f"NOTE{i}": value for i, value in enumerate(values)}
    nf.write_fcs(made([[1.0]], more), tmp_path / "d.fcs")
    assert (tmp_path / "d.fcs").read_bytes()[58:59] == delimiter.encode()
    back = nf.read_fcs(tmp_path / "d.fcs", repair="none")
    assert {key: back.keywords[key] for key in more} == more


def test_without_any_delimiter_left_nothing_is_written(tmp_path):
    ends = {f"NOTE{i}": f"{chr(i)} {chr(i)}" for i in range(1, 127)}
    with pytest.raises(ValueError, match="every delimiter"):
        nf.write_fcs(made([[1.0]], ends), tmp_path / "d.fcs")
    assert list(tmp_path.iterdir()) == []


def test_what_says_how_the_source_was_stored_is_not_carried_over(tmp_path):
    storage = {
        "$UNICODE": "65001", "$P1DATATYPE": "D", "$P1B": "8", "$BEGINDATA": "1", "$ENDDATA": "2", "$TOT": "77",
        "$NEXTDATA": "512", "$BEGINSTEXT": "9", "$ENDSTEXT": "10", "$BEGINANALYSIS": "3", "$MODE": "l",
    }  # fmt: skip
    nf.write_fcs(made([[1.0], [2.0]], storage), tmp_path / "s.fcs")
    raw = (tmp_path / "s.fcs").read_bytes()
    back = nf.read_fcs(tmp_path / "s.fcs", repair="none")
    begin, end = int(raw[26:34]), int(raw[34:42])
    assert raw[begin : end + 1] == np.array([1, 2], "<f4").tobytes()
    assert {"$UNICODE", "$P1DATATYPE"}.isdisjoint(back.keywords)
    assert {key: back.keywords[key].strip() for key in STRUCTURE & back.keywords.keys()} == {
        "$BEGINANALYSIS": "0", "$ENDANALYSIS": "0", "$BEGINSTEXT": "0", "$ENDSTEXT": "0", "$NEXTDATA": "0",
        "$MODE": "L", "$BYTEORD": "1,2,3,4", "$DATATYPE": "F", "$TOT": "2",
        "$BEGINDATA": str(begin), "$ENDDATA": str(end),
    }  # fmt: skip


def test_empty_values_become_one_blank(tmp_path):
    (tmp_path / "empty.fcs").write_bytes(build(change={"$P2S": "", "$CYT": "", "NOTE": ""}))
    source = nf.read_fcs(tmp_path / "empty.fcs")
    assert source.keywords["$CYT"] == ""
    nf.write_fcs(source, tmp_path / "blank.fcs")
    back = nf.read_fcs(tmp_path / "blank.fcs", repair="none")
    assert free_keywords(back) == {key: value or " " for key, value in free_keywords(source).items()}
    assert [c.title for c in back.panel.channels] == [c.title for c in source.panel.channels]


@pytest.mark.parametrize("top", [None, "", "many"])
def test_range_that_was_none_is_written_as_the_usual_one(tmp_path, top):
    (tmp_path / "source.fcs").write_bytes(build(change={"$P1R": top, "$P1G": "4"}))
    source = nf.read_fcs(tmp_path / "source.fcs")
    nf.write_fcs(source, tmp_path / "range.fcs")
    back = nf.read_fcs(tmp_path / "range.fcs", repair="none")
    assert back.keywords["$P1R"] == "262144"
    assert [c.top for c in back.panel.channels] == [c.top for c in source.panel.channels]


def test_supplemental_text_goes_into_text_and_analysis_stays_with_the_whole_tube(tmp_path):
    source = replace(made([[1.0], [2.0]]), analysis={"GATE1 COUNT": "17", "NOTE": "a|b", "EMPTY": ""})
    nf.write_fcs(source, tmp_path / "whole.fcs")
    back = nf.read_fcs(tmp_path / "whole.fcs", repair="none")
    assert back.analysis == {"GATE1 COUNT": "17", "NOTE": "a|b", "EMPTY": " "}
    assert back.events.tolist() == [[1.0], [2.0]]
    assert flowio.FlowData(tmp_path / "whole.fcs").analysis == {"gate1 count": "17", "note": "a|b", "empty": " "}
    nf.write_fcs(source, tmp_path / "part.fcs", rows=[1])
    assert nf.read_fcs(tmp_path / "part.fcs", repair="none").analysis == {}


def test_assigned_markers_are_written_and_what_was_taken_is_not_said_twice(tmp_path):
    labels = {"$P1S": "CD4 FITC", "$P2S": "CD8 PE", "$P3S": "CD16+CD56", "$P4S": "CD19"}
    source = made(np.ones((2, 5), "f4"), labels)
    assigned = source.panel.with_markers({"CD4": "FL2-H", "CD56": "FL5-H"})
    nf.write_fcs(replace(source, panel=assigned), tmp_path / "m.fcs")
    back = nf.read_fcs(tmp_path / "m.fcs", repair="none")
    assert [back.keywords.get(f"$P{n}S") for n in range(1, 6)] == [None, "CD4 PE", "CD16", "CD19", "CD56"]
    for name in ("CD4", "CD16", "CD19", "CD56"):
        assert back.panel.resolve(name).detector == assigned.resolve(name).detector
    assert [c.targets for c in back.panel.channels] == [c.targets for c in assigned.channels]
    nf.write_fcs(source, tmp_path / "as_it_was.fcs")
    assert {key: nf.read_fcs(tmp_path / "as_it_was.fcs").keywords[key] for key in labels} == labels


# --- the file -------------------------------------------------------------------------------------


def test_same_sample_same_bytes(tmp_path):
    source = made(np.arange(20, dtype="f4").reshape(5, 4), {"NOTE": "x"})
    nf.write_fcs(source, tmp_path / "one.fcs")
    nf.write_fcs(source, tmp_path / "two.fcs")
    assert (tmp_path / "one.fcs").read_bytes() == (tmp_path / "two.fcs").read_bytes()


def test_written_over_its_own_source(tmp_path):
    (tmp_path / "tube.fcs").write_bytes(build(order=">"))
    source = nf.read_fcs(tmp_path / "tube.fcs")
    nf.write_fcs(source, tmp_path / "tube.fcs", rows=[2, 0])
    assert nf.read_fcs(tmp_path / "tube.fcs").events.tolist() == [[5.0, 6.0], [1.0, 2.0]]


def write_pair(path):
    nf.write_fcs(made(np.ones((3, 2), "f4")), path)


def write_ones(path):
    nf.write_events(path, np.ones((3, 2)), ["FSC-A", "SSC-A"])


@pytest.mark.parametrize("write", [write_pair, write_ones])
def test_links_are_followed_and_other_things_are_not_replaced(tmp_path, write):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.fcs").symlink_to(tmp_path / "there" / "tube.fcs")
    write(tmp_path / "link.fcs")
    write(tmp_path / "link.fcs")
    assert (tmp_path / "link.fcs").is_symlink()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["tube.fcs"]
    os.mkfifo(tmp_path / "pipe.fcs")
    wrong = {"there": "not a regular file", "pipe.fcs": "not a regular file", "no/where.fcs": "No such file"}
    for name, says in wrong.items():
        with pytest.raises(OSError, match=f"{says}.*{name}'"):
            write(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link.fcs", "pipe.fcs", "there", "tube.fcs"]


@pytest.mark.parametrize("old", [b"", b"what was there before"])
def test_full_disk_leaves_what_was_there(tmp_path, old):
    """The system refuses to let the file grow beyond 100 kB, in the middle of the events."""
    if old:
        (tmp_path / "tube.fcs").write_bytes(old)
    program = (
        "import resource, signal, sys, numpy as np, nti7flow as nf\n"
        "nf.write_events(sys.argv[1] + '/source', np.ones((20000, 3)), ['A', 'B', 'C'])\n"
        "sample = nf.read_fcs(sys.argv[1] + '/source')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "path = sys.argv[1] + '/tube.fcs'\n"
        "for write in (lambda: nf.write_fcs(sample, path), lambda: nf.write_events(path, sample.events, 'ABC')):\n"
        "    try:\n"
        "        write()\n"
        "    except OSError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"[Errno 27] File too large: '{tmp_path}/tube.fcs'"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", *(["tube.fcs"] if old else [])]
    if old:
        assert (tmp_path / "tube.fcs").read_bytes() == old


def test_large_tube_in_little_memory_beyond_what_the_header_can_say(tmp_path):
    """110 MB: the HEADER says 0, TEXT says where; what is held at once is a few blocks."""
    n_events, n_channels = 1_000_000, 28
    head = nf.read_fcs(_large(tmp_path / "large.fcs", n_events, n_channels))
    tracemalloc.start()
    nf.write_fcs(head, tmp_path / "copy.fcs")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    with (tmp_path / "copy.fcs").open("rb") as stream:
        assert stream.read(58)[26:42] == b"       0" * 2
    back = nf.read_fcs(tmp_path / "copy.fcs", repair="none")
    assert back.n_events == n_events
    assert np.array_equal(back.events.view("u4"), head.events.view("u4"))
    for rows in ([3, 999_999, 3], [3, 3, 999_999]):  # now that the events are at hand
        nf.write_fcs(head, tmp_path / "copy.fcs", rows=rows)
        assert np.array_equal(nf.read_fcs(tmp_path / "copy.fcs", repair="none").events, head.events[rows])


def _large(path, n_events, n_channels):
    values = np.arange(n_events, dtype="f4")[:, None] + np.arange(n_channels, dtype="f4")
    nf.write_events(path, values, [f"FL{i}-A" for i in range(n_channels)])
    return path


def test_source_that_changed_meanwhile_gives_no_file(tmp_path):
    path = _large(tmp_path / "large.fcs", 200_000, 28)
    source = nf.read_fcs(path)
    with path.open("r+b") as stream:
        stream.truncate(10_000_000)
    with pytest.raises(FcsError) as caught:
        nf.write_fcs(source, tmp_path / "copy.fcs")
    assert caught.value.code == "FCS008"
    assert [entry.name for entry in tmp_path.iterdir()] == ["large.fcs"]


# --- what others read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        made(np.random.default_rng(1).normal(1e3, 400, (50, 3)).astype("f4"), {"$P2S": "CD3", "$P1G": "2"}),
        made(np.random.default_rng(2).normal(1e3, 400, (50, 3)), {"$CYT": "a|b/c"}),
        made(np.random.default_rng(3).integers(0, 1024, (50, 3)).astype("u2"), {"$P1E": "4,1", "$P1R": "1024"}),
        made(np.random.default_rng(4).integers(0, 2**31, (50, 3)).astype("u4"), {"$P3G": "3"}),
    ],
    ids=["singles", "doubles", "log amplifier", "large integers"],
)
def test_flowio_and_flowkit_read_the_same(tmp_path, source):
    nf.write_fcs(source, tmp_path / "tube.fcs")
    flow = flowio.FlowData(tmp_path / "tube.fcs")
    back = nf.read_fcs(tmp_path / "tube.fcs", repair="none")
    assert flow.version == "3.1"
    assert np.array_equal(flow.as_array(preprocess=False), back.events)
    assert np.array_equal(flow.as_array(), scale_values(source))
    assert {key.replace("$", "").lower(): value for key, value in back.keywords.items()} == flow.text
    kit = flowkit.Sample(tmp_path / "tube.fcs")
    assert np.array_equal(kit.get_events("raw"), scale_values(source))


@pytest.mark.parametrize("analysis", [{}, {"GATE": "1"}])
def test_others_agree_that_there_are_no_events(tmp_path, analysis):
    nf.write_fcs(made(np.zeros((3, 2), "f4")), tmp_path / "none.fcs", rows=np.zeros(3, bool))
    nf.write_events(tmp_path / "empty.fcs", np.empty((0, 2)), ["FSC-A", "SSC-A"])
    nf.write_fcs(replace(nf.read_fcs(tmp_path / "empty.fcs"), analysis=analysis), tmp_path / "again.fcs")
    for path in tmp_path.iterdir():
        assert nf.read_fcs(path, repair="none").events.shape == (0, 2)
        assert flowio.FlowData(path).as_array().shape == (0, 2)
        assert flowkit.Sample(path).event_count == 0


# --- real files -----------------------------------------------------------------------------------


def test_every_real_tube_comes_back(shared_data, tmp_path):
    """Every data set of every file that can be read: same scale values, same keywords, and FlowIO agrees."""
    seen = 0
    paths = sorted(path for path in shared_data.rglob("*") if path.is_file() and path.stat().st_size < 64 << 20)
    for path in paths:
        with path.open("rb") as stream:
            if stream.read(3) != b"FCS":
                continue
        try:
            first = nf.read_fcs(path)
        except FcsError:
            continue
        tubes = [first]
        if any(note.code == "FCS030" for note in first.notes):
            tubes.append(nf.read_fcs(path, data_set=1))
        for tube in tubes:
            nf.write_fcs(tube, tmp_path / "copy.fcs")
            back = nf.read_fcs(tmp_path / "copy.fcs")
            assert same(scale_values(back), scale_values(tube)), path
            amplified = {f"$P{c.index + 1}{k}" for c in tube.panel.channels if c.log_amplifier for k in "RG"}
            before = {key: value or " " for key, value in free_keywords(tube).items() if key not in amplified}
            assert {k: v for k, v in free_keywords(back).items() if k not in amplified} == before, path
            tops = [c.range if c.role == "time" else c.top for c in tube.panel.channels]
            assert [c.range if c.role == "time" else c.top for c in back.panel.channels] == tops, path
            assert back.analysis == {key: value or " " for key, value in tube.analysis.items()}, path
            flow = flowio.FlowData(tmp_path / "copy.fcs")
            assert np.array_equal(flow.as_array(preprocess=False), back.events, equal_nan=True), path
            seen += 1
    assert seen > 100

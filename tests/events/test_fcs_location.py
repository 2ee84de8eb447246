"""Where DATA is: right, or refused with both claims named, and never a byte beside it."""

import struct
from pathlib import Path

import pytest
from builder import BLANK, HEADER, build, data_at, data_segment, segments, text_segment
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import FcsError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.fcs.location import Claims, Surroundings, find_data, salvage_data
from nti7flow.events.fcs.shapes import ByteShape
from nti7flow.events.layout import Column, Layout
from nti7flow.events.notes import Findings

EVENTS = [[1, 2], [3, 4], [5, 6]]
PACKED = data_segment(EVENTS, "F", [32, 32], "<")


# --- HEADER and TEXT ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"$BEGINDATA": "0", "$ENDDATA": "0"}, "FCS042"),
        ({"$BEGINDATA": None, "$ENDDATA": None}, "FCS042"),
        ({"$BEGINDATA": " ", "$ENDDATA": " "}, "FCS042"),
        ({"$BEGINDATA": "here", "$ENDDATA": "there"}, "FCS040"),
        ({"$BEGINDATA": "-5", "$ENDDATA": "9"}, "FCS040"),
        ({"$BEGINDATA": "0", "$ENDDATA": "99999999999"}, "FCS040"),
        ({"$BEGINDATA": "999999999999", "$ENDDATA": "1"}, "FCS040"),
    ],
)
def test_header_alone_says_where_data_is(read, refused, change, code):
    raw = build(change=change)
    tube = read(raw)
    assert tube.events.tolist() == EVENTS
    assert [note.code for note in tube.notes] == [code]
    refused(raw, code, repair="none")


def test_fcs_2_has_offsets_in_the_header_alone(read):
    assert read(build(version="FCS2.0", change={"$BEGINDATA": None}), repair="none").notes == ()


@pytest.mark.parametrize("blank", [b"%8d" % 0, b" " * 8, b"\0" * 8])
def test_text_alone_says_where_data_is(read, refused, blank):
    raw = build()
    raw = raw[:26] + blank * 2 + raw[42:]
    tube = read(raw)
    assert tube.events.tolist() == EVENTS
    assert [note.code for note in tube.notes] == ["FCS042"]
    refused(raw, "FCS042", repair="none")
    refused(raw[:26] + blank * 2 + build(text_offsets=False)[42:])


@pytest.mark.parametrize("shift", [(0, 4), (-4, 0), (8, 100), (4000, 4000), (0, 1), (1, 0), (-1, -1)])
@pytest.mark.parametrize("where", ["in_header", "in_text"])
def test_header_and_text_differ_and_one_fits(read, refused, shift, where):
    raw = build(**{where: shift})
    tube = read(raw)
    assert tube.events.tolist() == EVENTS
    (note,) = tube.notes
    assert note.code == "FCS040"
    begin = int(tube.keywords["$BEGINDATA"]) - (shift[0] if where == "in_text" else 0)
    assert f"{begin:,} to {begin + 23:,}" in note.found
    assert f"{begin + shift[0]:,} to {begin + 23 + shift[1]:,}" in note.found
    assert note.assumed.startswith("TEXT" if where == "in_header" else "HEADER")
    refused(raw, "FCS040", repair="none")


@pytest.mark.parametrize("shift", [(4, 4), (1, 1), (8, 8)])
@pytest.mark.parametrize("where", ["in_header", "in_text"])
def test_header_and_text_differ_and_both_fit(refused, shift, where):
    raw = build(**{where: shift}, tail=b" " * 64)
    error = refused(raw, "FCS044")
    begin = segments(build())["DATA"][0]
    assert f"{begin:,} to {begin + 23:,}" in error.found
    assert f"{begin + shift[0]:,} to {begin + 23 + shift[1]:,}" in error.found


@given(
    in_header=st.tuples(st.integers(-9, 9), st.integers(-9, 9)) | st.just((0, 0)),
    in_text=st.tuples(st.integers(-9, 9), st.integers(-9, 9)) | st.just((0, 0)),
    total=st.just(3) | st.integers(0, 5),
    version=st.sampled_from(["FCS2.0", "FCS3.1"]),
    tail=st.sampled_from([b"", b"00000000", b" " * 40]),
)
def test_offsets_that_lie_never_give_other_events(read, in_header, in_text, total, version, tail):
    """Right, with a code for whatever was not believed; or refused.

    Not to be seen is a claim moved as a whole, to a byte, unless the other one is true; or a $TOT that lies as the
    offsets do.
    """
    true = (0, 0)
    in_text = true if version == "FCS2.0" else in_text
    claims = [in_header] if version == "FCS2.0" else [in_header, in_text]
    raw = build(in_header=in_header, in_text=in_text, version=version, change={"$TOT": str(total)}, tail=tail)
    try:
        tube = read(raw)
    except FcsError:
        assert set(claims) != {true} or total != 3
        return
    assert tube.n_events == total
    if total != 3 or (true not in claims and any(begin and end and abs(end - begin) < 2 for begin, end in claims)):
        return
    assert tube.events.tolist() == EVENTS
    assert {note.code for note in tube.notes} <= {"FCS040", "FCS041"}
    assert bool(tube.notes) == (set(claims) != {true})


@pytest.mark.parametrize(
    ("in_header", "in_text", "version"),
    [((1, 1), (1, 1), "FCS3.1"), ((1, 1), (0, 0), "FCS2.0"), ((0, 1), (1, 1), "FCS3.1")],
)
def test_data_moved_by_one_is_not_read_as_it_is_claimed(read, in_header, in_text, version):
    """Of the right size, but a byte from TEXT and seven before the end, where a checksum of eight should be."""
    try:
        tube = read(build(in_header=in_header, in_text=in_text, version=version))
    except FcsError:
        return
    assert tube.events.tolist() == EVENTS


# --- off by one -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [(0, 1), (0, -1), (1, 0), (-1, 0)])
@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.1"])
@pytest.mark.parametrize("datatype", ["F", "I", "D"])
def test_one_byte_too_long_or_short(read, refused, shift, version, datatype):
    """Behind DATA stands the checksum and before it TEXT: that settles which end is wrong."""
    raw = build(EVENTS, datatype=datatype, in_header=shift, in_text=shift, version=version)
    tube = read(raw)
    assert tube.events.tolist() == EVENTS
    (note,) = tube.notes
    assert note.code == "FCS041"
    assert "bytes" in note.assumed
    refused(raw, "FCS041", repair="none")


@pytest.mark.parametrize("shift", [(0, 1), (0, -1), (1, 0), (-1, 0)])
def test_one_byte_off_between_gaps_is_not_guessed(refused, shift):
    """Neither end touches anything: the byte could be missing at either."""
    raw = build(EVENTS, in_header=shift, in_text=shift, gap=b"\1" * 5, tail=b"\1" * 5)
    begin, _ = segments(build(EVENTS, gap=b"\1" * 5))["DATA"]
    assert (begin - 1) % 256
    assert (begin + 1) % 256
    assert str(24 + shift[1] - shift[0]) in refused(raw).found


@pytest.mark.parametrize("shift", [(0, 1), (0, -1), (1, 0), (-1, 0)])
def test_one_byte_off_before_another_segment(read, refused, shift):
    """ANALYSIS begins where DATA ends. A byte too few could be a byte lost, unless DATA begins where TEXT ends, too."""
    options = {"in_header": shift, "in_text": shift, "analysis": text_segment([("GATE", "1")])}
    tube = read(build(EVENTS, **options))
    assert tube.events.tolist() == EVENTS
    assert [note.code for note in tube.notes] == ["FCS041"]
    apart = build(EVENTS, **options, gap=b"\1" * 5)
    if shift[1] - shift[0] > 0:
        assert read(apart).events.tolist() == EVENTS
    else:
        refused(apart, "FCS047")


def test_one_byte_off_where_programs_align(read):
    """DATA at byte 512, the checksum not right behind it."""
    text_end = segments(build(version="FCS2.0"))["DATA"][0]
    raw = build(EVENTS, version="FCS2.0", gap=b"\1" * (512 - text_end), in_header=(0, 1), tail=b"\1" * 5)
    assert segments(raw)["DATA"][0] == 512
    assert read(raw).events.tolist() == EVENTS


def test_one_byte_more_is_one_event_more_where_events_are_bytes(refused):
    raw = build([(1,), (2,), (3,)], ["FSC-A"], datatype="I", bits=[8], change={"$TOT": "2"})
    error = refused(raw, "FCS047")
    assert "$TOT=2" in error.found
    assert "3 bytes" in error.found


def test_a_byte_lost_inside_data_is_refused(refused):
    """Half a value is gone, and eight zeros stand behind as they should: no end is a byte off."""
    for at in (0, 5, 23):
        raw = build(data=PACKED[:at] + PACKED[at + 1 :], change={"$TOT": "3"})
        error = refused(raw, "FCS047")
        assert "23 bytes" in error.found
        assert "24 bytes" in error.found


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.1"])
@pytest.mark.parametrize("data_shift", [(1, 1), (0, 0)])
def test_a_program_that_counts_from_one(read, refused, version, data_shift):
    """TEXT is a byte before where the HEADER has it; DATA may be as well, or not: it touches TEXT and checksum."""
    raw = build(in_header=data_shift, in_text=data_shift, version=version)
    begin, end = segments(raw)["TEXT"]
    raw = raw[:10] + b"%8d%8d" % (begin + 1, end + 1) + raw[26:]
    tube = read(raw)
    assert tube.events.tolist() == EVENTS
    assert {note.code for note in tube.notes} == ({"FCS012", "FCS041"} if data_shift == (1, 1) else {"FCS012"})
    refused(raw, "FCS012", repair="none")


# --- wrapped --------------------------------------------------------------------------------------


def large(path: Path, *, begin: int, n_events: int, in_header: tuple[int, int], text: bool) -> None:
    """Events far behind TEXT; what lies between is a hole that takes no room."""
    change = {"$TOT": str(n_events), "$BEGINDATA": None, "$ENDDATA": None}
    if text:
        change |= {"$BEGINDATA": f"{begin:012d}", "$ENDDATA": f"{begin + 8 * n_events - 1:012d}"}
    raw = data_at(build([], change=change, tail=b"", version="FCS3.0" if text else "FCS2.0"), *in_header)
    with path.open("wb") as stream:
        stream.write(raw)
        stream.seek(begin)
        stream.write(struct.pack("<2f", 1.5, -2.0))
        stream.seek(begin + 8 * (n_events - 1))
        stream.write(struct.pack("<2f", 3.25, 4.0))


@pytest.mark.parametrize("at", [100_000_100, 100_005_000, 300_005_000])
def test_offsets_beyond_eight_digits(tmp_path, at):
    """A HEADER of 0, as the standard wants, or of the last eight digits, which may even lead into TEXT."""
    path = tmp_path / "large.fcs"
    large(path, begin=at, n_events=3, in_header=(0, 0), text=True)
    tube = read_fcs(path)
    assert tube.events.tolist() == [[1.5, -2.0], [0, 0], [3.25, 4.0]]
    assert tube.notes == ()
    large(path, begin=at, n_events=3, in_header=(at % 10**8, (at + 23) % 10**8), text=True)
    tube = read_fcs(path)
    assert tube.events.tolist() == [[1.5, -2.0], [0, 0], [3.25, 4.0]]
    assert [note.code for note in tube.notes] == ["FCS043"]
    with pytest.raises(FcsError) as caught:
        read_fcs(path, repair="none")
    assert caught.value.code == "FCS043"


def test_an_end_beyond_eight_digits_without_text_offsets(tmp_path):
    """FCS 2.0 has no other place for it; $TOT tells how much was lost."""
    path, n_events, begin = tmp_path / "large.fcs", 12_500_000, 400
    large(path, begin=begin, n_events=n_events, in_header=(begin, (begin + 8 * n_events - 1) % 10**8), text=False)
    tube = read_fcs(path)
    assert tube.n_events == n_events
    assert [note.code for note in tube.file_notes] == ["FCS043"]


def find(header, text, total, *, row=8, limit, taken=None, trailers=(), salvage=False):
    """Where DATA is found, for claims without any file."""
    shape = ByteShape(layout=Layout((Column("I", row),), (1, 2, 3, 4)))
    around = Surroundings(limit, taken or {"the HEADER": (0, 57), "TEXT": (58, 299)}, (299, 299), trailers)
    findings = Findings("t.fcs", "salvage" if salvage else "safe")
    look = salvage_data if salvage else find_data
    reading = look(Claims(header, text), total, [shape], around, findings, 0)
    return None if reading is None else (reading.begin, reading.n_events, [note.code for note in findings.notes])


def test_wrapped_claims_without_a_file():
    limit = 250_000_000
    assert find((300, 99), None, 24_999_975, limit=limit) == (300, 24_999_975, ["FCS043"])
    assert find((50_000_000, 50_000_799), None, 100, limit=limit) == (50_000_000, 100, [])
    with pytest.raises(FcsError):  # from where 100 events end with other digits, however often it is wrapped
        find((50_000_000, 50_000_700), None, 100, limit=limit)
    with pytest.raises(FcsError):
        find((50_000_000, 50_000_700), None, 100, limit=120_000_000)
    with pytest.raises(FcsError):  # once around or not at all: HEADER and TEXT both fit
        find((50_000_000, 50_000_799), (60_000_000, 60_000_799), 100, limit=limit)


@given(
    begin=st.integers(300, 400),
    claim=st.tuples(st.integers(0, 500), st.integers(0, 500)),
    other=st.none() | st.tuples(st.integers(0, 500), st.integers(0, 500)),
    total=st.none() | st.integers(0, 20),
    row=st.integers(1, 8),
)
def test_what_is_found_always_fits(begin, claim, other, total, row):
    """Whatever is claimed: inside the file, outside TEXT, of the size of its events; or refused."""
    for salvage in (False, True):
        try:
            found = find(claim, other, total, row=row, limit=begin + 60, salvage=salvage)
        except FcsError as error:
            assert error.code in ("FCS044", "FCS045", "FCS046", "FCS047")
            continue
        if found is None or found[1] == 0:
            continue
        first, n_events, codes = found
        assert first >= 300
        assert first + n_events * row <= begin + 60
        assert total is None or n_events == total or (salvage and n_events < total)
        assert salvage or (first, first + n_events * row - 1) in (claim, other) or "FCS041" in codes


# --- $TOT -----------------------------------------------------------------------------------------


def test_without_tot_the_segment_counts(read, refused):
    raw = build(change={"$TOT": None})
    tube = read(raw)
    assert tube.n_events == 3
    assert [note.code for note in tube.notes] == ["FCS048"]
    refused(raw, "FCS048", repair="none")
    assert read(build(version="FCS2.0", change={"$TOT": None}), repair="none").notes == ()
    assert "22 bytes" in refused(build(version="FCS2.0", change={"$TOT": None}, data=PACKED[:22])).found


@pytest.mark.parametrize("total", [0, 1, 2, 4, 3_000_000_000, 10**19])
@pytest.mark.parametrize("repair", ["none", "safe"])
def test_a_wrong_tot_is_refused(refused, total, repair):
    error = refused(build(change={"$TOT": str(total)}), "FCS047", repair=repair)
    assert f"$TOT={total}" in error.found.replace(",", "")
    assert f"{total * 8} bytes" in error.found.replace(",", "")
    assert "(24 bytes)" in error.found


@pytest.mark.parametrize("text", ["three", "-3", "2.5", "²", "3" * 5000, "0x3", "0_3", "3e0"])
def test_a_tot_that_is_no_number(refused, text):
    assert "$TOT" in refused(build(change={"$TOT": text}), "FCS022").found


@pytest.mark.parametrize("datatype", ["F", "D", "I", "A"])
@pytest.mark.parametrize("shift", [(0, 0), (0, 1)])
@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.1"])
def test_no_events(read, datatype, shift, version):
    tube = read(build([], datatype=datatype, in_header=shift, version=version))
    assert tube.events.shape == (0, 2)
    assert tube.columns(["FSC-A", "FITC-A"]).shape == (0, 2)


def test_no_events_without_offsets(read):
    assert read(data_at(build([], text_offsets=False, version="FCS2.0"), 0, 0)).n_events == 0


# --- overlaps, the end of the file ----------------------------------------------------------------


def test_data_that_overlaps_text_or_the_header_is_refused(refused):
    raw = build(text_offsets=False, version="FCS2.0")
    begin, end = segments(raw)["DATA"]
    for first in (begin - 4, begin - 30, 0, 40, HEADER):
        error = refused(data_at(raw, first, first + 23), "FCS045")
        assert f"{first:,} to {first + 23:,}" in error.found
    refused(data_at(raw, HEADER - 4, end), None)


def test_data_that_overlaps_the_supplement_is_refused(refused):
    supplement = text_segment([("$P1S", "CD3")])
    refused(build(supplement=supplement, in_header=(4, 4), in_text=(4, 4)), "FCS045")


def test_a_segment_beyond_the_file_is_refused_with_both_sizes(refused):
    raw = build(tail=b"")
    error = refused(raw[:-3], "FCS046")
    begin, end = segments(raw)["DATA"]
    assert f"{begin:,} to {end:,}" in error.found
    assert f"{len(raw) - 3:,} bytes" in error.found
    raw = build(change={"$BEGINDATA": "1000000000000", "$ENDDATA": "1000000000023"})
    refused(data_at(raw, 10**7, 10**7 + 23), "FCS046")


@pytest.mark.parametrize("field", [b"      -1", b"     1.5", b"      ab", b"    1 23", b"   +1000", b"0x000100"])
@pytest.mark.parametrize("place", range(6))
def test_header_fields_that_are_no_offsets(refused, field, place):
    raw = build()
    error = refused(raw[: 10 + 8 * place] + field + raw[18 + 8 * place :], "FCS010")
    assert error.byte_offset == 10 + 8 * place
    assert repr(field) in error.found


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"])
def test_truncated_anywhere(read, refused, version):
    """Every shorter file is refused, until only the checksum is missing."""
    raw = build(version=version, more=[("$SRC", "blood")])
    begin, end = segments(raw)["DATA"]
    seen = {refused(raw[:size]).code for size in range(end + 1)}
    assert seen >= {"FCS004", "FCS006", "FCS046"}
    for size in range(end + 1, len(raw) + 1):
        assert read(raw[:size]).events.tolist() == EVENTS
    for size in range(begin, end + 1):
        assert refused(raw[:size]).code == "FCS046"


# --- salvage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.1"])
@pytest.mark.parametrize("datatype", ["F", "I", "D"])
def test_what_can_be_had_from_a_truncated_file(read, refused, version, datatype):
    """At every byte: the whole events that are there, in order, for review; never half an event, never another."""
    raw = build(EVENTS, datatype=datatype, version=version)
    begin, end = segments(raw)["DATA"]
    row = (end + 1 - begin) // 3
    for size in range(begin, end + 1):
        whole, rest = divmod(size - begin, row)
        if whole == 0:
            refused(raw[:size], repair="salvage")
            continue
        tube = read(raw[:size], repair="salvage")
        assert tube.events.tolist() == EVENTS[:whole]
        assert [note.code for note in tube.notes] == ["FCS049", "FCS053"] if rest else ["FCS049"]
        assert {note.severity for note in tube.notes} == {"review"}
        assert f"{whole:,} of 3 events" in tube.notes[0].assumed
        for repair in ("none", "safe"):
            refused(raw[:size], "FCS046", repair=repair)


@pytest.mark.parametrize("size", range(58))
def test_nothing_can_be_had_from_half_a_header(refused, size):
    refused(build()[:size], repair="salvage")


def test_nothing_can_be_had_from_half_a_text(refused):
    raw = build()
    for size in range(58, segments(raw)["TEXT"][1] + 1, 7):
        refused(raw[:size], "FCS046", repair="salvage")


@pytest.mark.parametrize(("total", "rows"), [(1, 1), (2, 2), (4, 3), (1000, 3), (3_000_000_000, 3)])
def test_salvage_takes_what_both_tot_and_data_hold(read, refused, total, rows):
    raw = build(change={"$TOT": str(total)})
    tube = read(raw, repair="salvage")
    assert tube.events.tolist() == EVENTS[:rows]
    (note,) = tube.notes
    assert (note.code, note.severity) == ("FCS050", "review")
    assert f"$TOT={total}" in note.found
    refused(build(change={"$TOT": "0"}), repair="salvage")


def test_salvage_does_not_take_half_events_for_a_missing_end(refused):
    """The file does not end in DATA, so bytes are lost somewhere inside, and every event behind them is shifted."""
    for size in (20, 23, 17):
        refused(build(data=PACKED[:size]), "FCS047", repair="salvage")


def test_salvage_changes_nothing_where_nothing_is_lost(read, refused):
    for raw in (
        build(),
        build(in_header=(0, 1)),
        build(change={"$TOT": None}),
        build(version="FCS2.0", in_header=(1, 0)),
    ):
        safe, salvaged = read(raw), read(raw, repair="salvage")
        assert safe.notes == salvaged.notes
        assert safe.events.tolist() == salvaged.events.tolist() == EVENTS
    # Still more than one reading, or none.
    refused(build(in_header=(4, 4), tail=b" " * 64), repair="salvage")
    refused(build(in_header=(8, 80), in_text=(0, 80)), repair="salvage")


@pytest.mark.parametrize("more", ["analysis", "supplement"])
def test_salvage_where_other_segments_are_lost_with_the_end(read, more):
    """Truncated in DATA, what stood behind it is gone as well; the events that are there are not."""
    raw = build(**{more: text_segment([("$P2S", "CD3")])})
    begin, end = segments(raw)["DATA"]
    tube = read(raw[: begin + 16], repair="salvage")
    assert tube.events.tolist() == EVENTS[:2]
    assert "FCS049" in [note.code for note in tube.notes]
    # Behind DATA: all events are there, the segment is not.
    assert read(raw[: end + 4], repair="salvage").events.tolist() == EVENTS


@pytest.mark.parametrize("bits", [24, 10])
def test_salvage_of_widths_that_programs_pad(read, bits):
    """Both claims are of the size of $TOT events in 3 (or 2) bytes each; that settles what an event is."""
    data = data_segment(EVENTS, "I", [24 if bits == 24 else 16] * 2, "<")
    raw = build(EVENTS, datatype="I", bits=[bits, bits], ranges=[1024, 1024], data=data)
    row = len(data) // 3
    tube = read(raw[: segments(raw)["DATA"][0] + 2 * row], repair="salvage")
    assert tube.events.tolist() == EVENTS[:2]
    assert "FCS049" in [note.code for note in tube.notes]


def test_salvage_of_ascii(read):
    raw = build(EVENTS, datatype="A", version="FCS3.0")
    tube = read(raw[: segments(raw)["DATA"][0] + 16], repair="salvage")
    assert tube.events.tolist() == EVENTS[:2]


def test_salvage_does_not_guess_how_large_an_event_is(refused):
    """Of two channels, one is counted: with $PAR as wrong as $TOT, half a row would pass for an event."""
    refused(build(change={"$PAR": "1"}), repair="salvage")


def test_salvage_never_reads_into_another_segment(read):
    supplement = text_segment([("$P2S", "CD3")])
    tube = read(build(supplement=supplement, in_header=(0, 8), in_text=(0, 8), change={"$TOT": "4"}), repair="salvage")
    assert tube.events.tolist() == EVENTS
    assert "FCS050" in [note.code for note in tube.notes]


@pytest.mark.parametrize("fill", [BLANK, "0"])
def test_large_claims_are_refused_from_the_size_of_the_file(refused, fill):
    """Terabytes: no time and no memory are spent on them, whoever claims them."""
    begin = segments(build())["DATA"][0]
    refused(data_at(build(change={"$TOT": "1" + "0" * 15, "$BEGINDATA": fill}), begin, 99_999_999))
    refused(build(change={"$ENDDATA": "9" * 19, "$TOT": "9" * 18}, in_header=(0, 9_000_000)))

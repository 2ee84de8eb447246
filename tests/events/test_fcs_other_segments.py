"""The segments beside TEXT that hold keywords: supplemental TEXT and ANALYSIS."""

import re

import pytest
from builder import build, segments, text_segment

from nti7flow.errors import FcsError

EVENTS = [[1, 2], [3, 4], [5, 6]]


# --- supplemental TEXT ----------------------------------------------------------------------------


def test_supplemental_text_adds_keywords(read):
    tube = read(build(supplement=text_segment([("$P2S", "CD3"), ("SITE", "a/b")])))
    assert tube.panel.resolve("CD3").index == 1
    assert tube.keywords["SITE"] == "a/b"
    assert tube.events.tolist() == EVENTS
    assert tube.notes == ()


def test_supplemental_text_with_a_delimiter_of_its_own(read):
    assert read(build(supplement=text_segment([("$P1S", "CD3")], "|"))).keywords["$P1S"] == "CD3"


def test_supplemental_text_that_agrees_and_that_does_not(read, refused):
    tube = read(build(supplement=text_segment([("$TOT", "3"), ("$P1S", "CD3")])))
    assert [note.code for note in tube.notes] == ["FCS019"]
    error = refused(build(supplement=text_segment([("$P1S", "CD3"), ("$TOT", "99")])), "FCS020")
    assert "'3'" in error.found
    assert "'99'" in error.found


@pytest.mark.parametrize("junk", [b"/a/b/c//d///", b"\0" * 12, b"no keywords", b"\x01\x02\x03\x04\x05\x01"])
def test_supplemental_text_that_is_none(read, refused, junk):
    raw = build(supplement=junk)
    tube = read(raw)
    assert [note.code for note in tube.notes] == ["FCS024"]
    assert tube.events.tolist() == EVENTS
    refused(raw, "FCS024", repair="none")


def test_supplemental_text_that_is_text_itself(read):
    raw = build(change={"$BEGINSTEXT": "58", "$ENDSTEXT": f"{segments(build())['TEXT'][1]}"})
    assert [note.code for note in read(raw).notes] == ["FCS026"]


@pytest.mark.parametrize(
    ("begin", "end", "code"),
    [
        ("100", "120", "FCS045"),
        ("9000", "9100", "FCS046"),
        ("100", "9100", "FCS046"),
        ("500", "400", "FCS022"),
        ("10", "50", "FCS022"),
        ("x", "-3", "FCS022"),
        ("250", "9" * 25, "FCS022"),
    ],
)
def test_supplemental_text_that_cannot_be_there(refused, begin, end, code):
    assert f"{begin} to {end}" in refused(build(change={"$BEGINSTEXT": begin, "$ENDSTEXT": end}), code).found


@pytest.mark.parametrize(("begin", "end"), [("250", ""), ("250", "250"), ("250", "0"), ("250", "249")])
def test_supplemental_text_without_length_is_noted(noted, refused, begin, end):
    raw = build(change={"$BEGINSTEXT": begin, "$ENDSTEXT": end or None})
    assert noted(raw) == ["FCS024"]
    refused(raw, "FCS024", repair="none")


def test_supplemental_text_in_data_is_an_overlap(refused):
    begin, end = segments(build(change={"$BEGINSTEXT": "000", "$ENDSTEXT": "000"}))["DATA"]
    refused(build(change={"$BEGINSTEXT": f"{begin}", "$ENDSTEXT": f"{end}"}))


def moved(raw: bytes, name: str, begin: int, end: int) -> bytes:
    """The same file with other offsets of a segment, in TEXT and for ANALYSIS in the HEADER, from the true ones."""
    for key, shift in (("BEGIN", begin), ("END", end)):
        found = re.search(rf"\$%s{name}/(\d{{12}})/".encode() % key.encode(), raw)
        raw = raw[: found.start(1)] + b"%012d" % (int(found[1]) + shift) + raw[found.end(1) :]
    if name == "ANALYSIS":
        first, last = int(raw[42:50]), int(raw[50:58])
        raw = raw[:42] + b"%8d%8d" % (first + begin, last + end) + raw[58:]
    return raw


@pytest.mark.parametrize("begin", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("end", [-3, -2, -1, 0, 1, 2])
@pytest.mark.parametrize("name", ["STEXT", "ANALYSIS"])
@pytest.mark.parametrize("value", ["subject 12", "0.25"])
@pytest.mark.parametrize("tail", [b"", b"00000000", b"/AB/CD/"])
def test_other_offsets_never_give_other_values(read, begin, end, name, value, tail):
    """Read to the delimiter where it is a byte away, with a note; else left out with a note, or refused."""
    option = {"STEXT": "supplement", "ANALYSIS": "analysis"}[name]
    raw = moved(build(**{option: text_segment([("$P2S", "CD3"), ("SITE", value)])}, tail=tail), name, begin, end)
    try:
        tube = read(raw)
    except FcsError as error:
        assert (begin, end) != (0, 0)
        assert error.code in ("FCS044", "FCS045", "FCS046")
        return
    assert tube.events.tolist() == EVENTS
    found = tube.keywords if name == "STEXT" else tube.analysis
    codes = {note.code for note in tube.notes}
    assert found.get("SITE") == (None if codes & {"FCS024", "FCS052"} else value)
    # What looks like more keywords behind the segment's end could be some that were cut off: it is left out.
    assert bool(codes) == ((begin, end) != (0, 0) or tail == b"/AB/CD/")
    if ((begin, end) == (0, 1) and tail != b"/AB/CD/") or ((begin, end) == (0, -1) and tail == b""):
        assert codes == {"FCS012"}


@pytest.mark.parametrize("name", ["STEXT", "ANALYSIS"])
@pytest.mark.parametrize("end", [-3, -2])
def test_other_segments_that_end_inside_an_escaped_delimiter(read, name, end):
    """``/SITE/a//b/`` cut to ``/SITE/a/`` or ``/SITE/a//``: a/b must not become a."""
    option = {"STEXT": "supplement", "ANALYSIS": "analysis"}[name]
    try:
        tube = read(moved(build(**{option: b"/SITE/a//b/"}), name, 0, end))
    except FcsError:
        return
    assert (tube.keywords | tube.analysis).get("SITE", "a/b") == "a/b"


@pytest.mark.parametrize("name", ["STEXT", "ANALYSIS"])
def test_a_segment_that_ends_a_byte_early_before_the_checksum(read, noted, name):
    """As every FCS 3 file has one, this is the usual case of an end that is one byte early."""
    option = {"STEXT": "supplement", "ANALYSIS": "analysis"}[name]
    raw = moved(build(**{option: b"/SITE/Oslo/"}), name, 0, -1)
    assert noted(raw) == ["FCS012"]
    tube = read(raw)
    assert (tube.keywords | tube.analysis)["SITE"] == "Oslo"


@pytest.mark.parametrize("name", ["STEXT", "ANALYSIS"])
def test_other_segments_without_a_final_delimiter(read, refused, name):
    option = {"STEXT": "supplement", "ANALYSIS": "analysis"}[name]
    raw = build(**{option: b"/SITE/Oslo"}, tail=b"")
    tube = read(raw)
    assert (tube.keywords | tube.analysis)["SITE"] == "Oslo"
    assert [note.code for note in tube.notes] == ["FCS013"]
    refused(raw, "FCS013", repair="none")


# --- ANALYSIS -------------------------------------------------------------------------------------


def test_analysis_is_read(read):
    tube = read(build(analysis=text_segment([("GATE1", "lymphocytes"), ("count", "12")])))
    assert tube.analysis == {"GATE1": "lymphocytes", "COUNT": "12"}
    assert "GATE1" not in tube.keywords
    assert tube.notes == ()


@pytest.mark.parametrize("junk", [b"\x07no keywords at all", b"\0" * 20, b"   "])
def test_analysis_that_is_none(read, refused, junk):
    raw = build(analysis=junk)
    tube = read(raw)
    assert (tube.analysis, [note.code for note in tube.notes]) == ({}, ["FCS052"])
    refused(raw, "FCS052", repair="none")


def test_analysis_in_other_segments_or_beyond_the_file_is_refused(refused):
    raw = build(analysis=text_segment([("A", "1")]), change={"$BEGINANALYSIS": "0", "$ENDANALYSIS": "0"})
    begin, end = segments(raw)["DATA"]
    for first, last, code in (
        (begin, end, "FCS045"),
        (begin + 4, end + 4, "FCS045"),
        (60, 90, "FCS045"),
        (10, 40, "FCS045"),
        (end + 1, len(raw), "FCS046"),
        (end + 1, 99_999_999, "FCS046"),
        (end + 9, end + 2, None),
    ):
        refused(raw[:42] + b"%8d%8d" % (first, last) + raw[58:], code)


def test_analysis_in_two_places_is_refused(refused):
    raw = build(analysis=text_segment([("A", "1")]) * 2)
    begin = segments(raw)["DATA"][1] + 1
    raw = raw[:42] + b"%8d%8d" % (begin + 5, begin + 9) + raw[58:]
    refused(raw, "FCS044")


def test_analysis_that_one_of_two_places_names(read, noted):
    """HEADER or TEXT alone, or one of them wrongly: the place that can be is used, and that is noted."""
    raw = build(analysis=text_segment([("A", "1")]))
    for changed, code in (
        (raw[:42] + b"%8d%8d" % (0, 0) + raw[58:], "FCS042"),
        (raw[:42] + b"%8d%8d" % (10**6, 10**6 + 4) + raw[58:], "FCS040"),
        (re.sub(rb"(?<=ANALYSIS/)\d{12}", b"0" * 12, raw), "FCS042"),
        (re.sub(rb"(?<=ANALYSIS/)\d{12}", b"x" * 12, raw), "FCS040"),
    ):
        assert read(changed).analysis == {"A": "1"}
        assert code in noted(changed)
        assert read(changed).events.tolist() == EVENTS

"""The segments beside TEXT that hold keywords: supplemental TEXT and ANALYSIS."""

import pytest
from builder import build, segments, text_segment

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

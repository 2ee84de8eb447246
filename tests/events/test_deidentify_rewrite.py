"""Whole files: every byte that is written, what is left behind, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torture_builder import Tube, chain, packed_rows, text_bytes
from torture_cases import CASES
from torture_truth import Unavailable

from nti7flow.errors import FcsError, Nti7flowError
from nti7flow.events.deidentify.identifiers import Identifiers
from nti7flow.events.deidentify.keywords import NewNames
from nti7flow.events.deidentify.rewrite import (
    OUTSIDE,
    NotDeidentified,
    plan_parts,
    rewrite_fcs,
    verify,
    write_parts,
)
from nti7flow.events.fcs import count_data_sets, locate, read_data_sets, read_fcs

NAMES = NewNames("S007", "S007_d14", "S007_d14.fcs", -137)
PRIVATE = (("$OP", "Ada Lovelace"), ("$SRC", "Doe^Jane"), ("PATIENT ID", "MRN-903867"), ("$DATE", "04-OCT-2018"))


def rewritten(folder: Path, raw: bytes, *, name: str = "Doe_Jane.fcs", names: NewNames = NAMES):
    """Write bytes to a file and de-identify it; the new file and what was changed."""
    source, target = folder / name, folder / "new.fcs"
    source.write_bytes(raw)
    target.unlink(missing_ok=True)
    return target, rewrite_fcs(source, target, names, Identifiers())


def outside_data(path: Path) -> bytes:
    """Every byte that is in no DATA segment."""
    raw = path.read_bytes()
    for data_set in reversed(locate(path)):
        if data_set.data is not None:
            raw = raw[: data_set.data[0]] + raw[data_set.data[1] + 1 :]
    return raw


def same_events(one, other) -> bool:
    return one.events.dtype == other.events.dtype and one.events.tobytes() == other.events.tobytes()


def test_by_hand_every_byte(tmp_path):
    tube = Tube(rows=((1.0, 2.0),), more=[*PRIVATE, ("COLOUR", "green/blue")], before={"data": b"  Doe Jane  "})
    path, (part,) = rewritten(tmp_path, tube.build())
    text = (
        "|$MODE|L|$DATATYPE|F|$BYTEORD|1,2,3,4|$PAR|2|$TOT|1"
        "|$P1N|FSC-A|$P1B|32|$P1R|262144|$P1E|0,0|$P2N|FITC-A|$P2B|32|$P2R|262144|$P2E|0,0"
        "|$SRC|S007|PATIENT ID|S007|$DATE|20-MAY-2018|COLOUR|green/blue"
        "|$NEXTDATA|         0|$BEGINDATA|       410|$ENDDATA|       417"
        "|$BEGINANALYSIS|         0|$ENDANALYSIS|         0|$BEGINSTEXT|         0|$ENDSTEXT|         0|"
    )
    assert len(text) == 352
    header = "FCS3.1    " + "      58" + "     409" + "     410" + "     417" + "       0" + "       0"
    data = b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    assert path.read_bytes() == header.encode() + text.encode() + data + b"00000000"
    assert [(change.keyword, change.action, change.value) for change in part.text] == [
        ("$OP", "removed", ""),
        ("$SRC", "recoded", "S007"),
        ("PATIENT ID", "recoded", "S007"),
        ("$DATE", "shifted", "20-MAY-2018"),
        ("COLOUR", "kept", "green/blue"),
        (OUTSIDE, "removed", ""),
    ]


def test_bytes_in_no_segment_are_not_copied(tmp_path):
    tube = Tube(
        more=PRIVATE,
        analysis=text_bytes([("GATE 1", "17"), ("$OP", "Ada Lovelace"), ("PATIENT NAME", "Doe^Jane")]),
        supplement=text_bytes([("$SMNO", "d14 of Jane"), ("$P1S", "CD3"), ("STATE", "thawed")]),
        before={part: b"~~~Doe^Jane~~~" for part in ("text", "data", "analysis", "supplement")},
        tail=b"Doe^Jane was here",
    )
    path, (part,) = rewritten(tmp_path, tube.build())
    assert b"Jane" not in path.read_bytes()
    assert b"~" not in outside_data(path)
    (note,) = [change for change in part.text if change.keyword == OUTSIDE]
    assert note.why.startswith(f"{4 * 14 + 17} bytes ")
    after = read_fcs(path)
    assert not [note for note in after.notes if "supplement" in str(note)]
    assert after.keywords["$SMNO"] == "S007_d14"
    assert (after.keywords["$P1S"], after.keywords["STATE"]) == ("CD3", "thawed")
    assert after.analysis == {"GATE 1": "17", "PATIENT NAME": "S007"}
    assert [(change.keyword, change.action) for change in part.analysis] == [
        ("$OP", "removed"),
        ("PATIENT NAME", "recoded"),
    ]


def test_padding_and_a_checksum_are_no_loss(tmp_path):
    tube = Tube(more=PRIVATE, before={"data": b" " * 300, "text": b" " * 198}, tail=b"00000000" + b"\x00" * 64)
    _, (part,) = rewritten(tmp_path, tube.build())
    assert OUTSIDE not in [change.keyword for change in part.text]


def test_several_data_sets_each_with_its_own_keywords(tmp_path):
    first = Tube(more=[*PRIVATE, ("WELL ID", "A01")], kinds="I16", rows=((1, 2), (3, 4)))
    second = Tube(more=[("$OP", "Charles Babbage"), ("STATE", "seen by Ada")], kinds="D64", version="FCS3.0")
    third = Tube(version="FCS2.0", more=[("$FIL", "x")], rows=())
    raw = chain(first, second, third, gap=b"Doe^Jane")
    path, parts = rewritten(tmp_path, raw)
    assert count_data_sets(path) == len(parts) == 3
    before, after = ([read_fcs(tmp_path / name, data_set=i) for i in range(3)] for name in ("Doe_Jane.fcs", "new.fcs"))
    assert all(map(same_events, before, after))
    assert [sample.version for sample in after] == ["FCS3.1", "FCS3.0", "FCS2.0"]
    assert [sample.keywords.get("WELL ID") for sample in after] == ["A01", None, None]
    assert after[2].keywords["$FIL"] == "S007_d14.fcs"
    assert b"Jane" not in path.read_bytes()
    assert [(c.keyword, c.action) for c in parts[1].text] == [("$OP", "removed"), ("STATE", "removed")]
    steps = [int(sample.keywords["$NEXTDATA"]) for sample in after]
    assert steps[2] == 0
    assert path.read_bytes()[steps[0] :][:6] == b"FCS3.0"
    assert path.read_bytes()[steps[0] + steps[1] :][:6] == b"FCS2.0"


def test_what_was_repaired_when_it_was_read_conforms_afterwards(tmp_path):
    tube = Tube(more=[*PRIVATE, ("STATE", "")], header={"data": lambda places: (0, 0)}, encoding="latin-1")
    tube.more = [*tube.more, ("COLOUR", "bläulich")]
    path, _ = rewritten(tmp_path, tube.build())
    assert read_fcs(tmp_path / "Doe_Jane.fcs").notes
    after = read_fcs(path, repair="none")
    assert not after.notes
    assert (after.keywords["STATE"], after.keywords["COLOUR"]) == (" ", "bläulich")


def test_hostile_values_are_kept_as_they_are(tmp_path):
    hostile = "<script>\x1b[31m=cmd|'/c calc'!A1\x9b2J ../../etc/passwd {}\u202e"
    tube = Tube(more=[("COLOUR", hostile), ("$P1S", hostile)])
    path, (part,) = rewritten(tmp_path, tube.build())
    after = read_fcs(path)
    assert after.keywords["COLOUR"] == after.keywords["$P1S"] == hostile
    assert [change.keyword for change in part.text if change.read] == ["COLOUR"]


@pytest.mark.parametrize("keyword", ["$P2S", "$P2N", "$CYT", "CREATOR"])
def test_a_patients_number_in_what_the_events_need_is_refused(tmp_path, keyword):
    tube = Tube(more=[("PATIENT ID", "MRN-903867")])
    tube.change = {keyword: "CD4 mrn-903867"}
    with pytest.raises(NotDeidentified, match=r"\$P2|\$CYT|CREATOR") as caught:
        rewritten(tmp_path, tube.build())
    assert "903867" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["Doe_Jane.fcs"]


def test_a_patients_number_among_the_numbers_of_a_matrix_is_not(tmp_path):
    tube = Tube(more=[("PATIENT ID", "903867"), ("$SPILLOVER", "2,FSC-A,FITC-A,1,0.903867,0,1")], tops=[903867, 1024])
    path, _ = rewritten(tmp_path, tube.build())
    assert read_fcs(path).keywords["$SPILLOVER"] == "2,FSC-A,FITC-A,1,0.903867,0,1"
    assert read_fcs(path).keywords["$P1R"] == "903867"


@pytest.mark.parametrize(
    "names", [NewNames("MRN-903867", "x1", "x1.fcs", -1), NewNames("S1", "903867d1", "903867d1.fcs", -1)]
)
def test_a_new_name_that_holds_the_patients_number_is_refused(tmp_path, names):
    tube = Tube(more=[("PATIENT ID", "MRN-903867"), ("PATIENT NUMBER", "903867")])
    with pytest.raises(NotDeidentified, match="choose others in the map"):
        rewritten(tmp_path, tube.build(), names=names)
    assert [path.name for path in tmp_path.iterdir()] == ["Doe_Jane.fcs"]


def test_a_file_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "Doe_Jane.fcs").write_bytes(Tube(more=PRIVATE).build())
    (tmp_path / "new.fcs").write_bytes(b"mine")
    with pytest.raises(NotDeidentified, match="not replaced"):
        rewrite_fcs(tmp_path / "Doe_Jane.fcs", tmp_path / "new.fcs", NAMES, Identifiers())
    assert (tmp_path / "new.fcs").read_bytes() == b"mine"


def test_what_cannot_be_read_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(FcsError):
        rewritten(tmp_path, Tube(more=PRIVATE).build()[:-20])
    assert [path.name for path in tmp_path.iterdir()] == ["Doe_Jane.fcs"]


def spoilt(raw: bytes, place: str) -> bytes:
    """The written file with one thing wrong."""
    if place == "event":
        at = raw.index(packed_rows(((3.0, 4.0),), ["F32", "F32"], "1,2,3,4"))
        return raw[:at] + b"\x01" + raw[at + 1 :]
    old, new = {
        "keyword": (b"20-MAY-2018", b"04-OCT-2018"),
        "channel": (b"|FITC-A|", b"|FITC-H|"),
        "more": (b"00000000", b"00000000Doe^Jane"),
        "version": (b"FCS3.1", b"FCS3.0"),
        "unreadable": (b"$DATATYPE", b"$DATATYPO"),
        "fewer": (b"|$NEXTDATA|", b"|$NOTDATA|"),
    }[place]
    assert raw.count(old) >= 1
    return raw.replace(old, new)


@pytest.mark.parametrize("place", ["event", "keyword", "channel", "more", "version", "unreadable", "fewer"])
def test_the_last_look_sees_whatever_is_wrong(tmp_path, place):
    source, written = tmp_path / "Doe_Jane.fcs", tmp_path / "new.fcs"
    source.write_bytes(Tube(more=PRIVATE).build())
    parts = plan_parts(source, NAMES, Identifiers())
    with source.open("rb") as stream, written.open("wb") as out:
        write_parts(out, parts, stream)
    with source.open("rb") as stream:
        verify(written, parts, stream)
        written.write_bytes(spoilt(written.read_bytes(), place))
        with pytest.raises(NotDeidentified, match="was written and read again") as caught:
            verify(written, parts, stream)
    assert "Jane Doe" not in str(caught.value)


def test_the_last_look_sees_a_value_that_was_left(tmp_path):
    source, written = tmp_path / "Doe_Jane.fcs", tmp_path / "new.fcs"
    source.write_bytes(Tube(more=[*PRIVATE, ("STATE", "thawed")]).build())
    (part,) = plan_parts(source, NAMES, Identifiers())
    part.text["STATE"] = "thawed for doe^jane"  # as if no rule had looked for it
    with source.open("rb") as stream:
        with written.open("wb") as out:
            write_parts(out, [part], stream)
        with pytest.raises(NotDeidentified, match="stands in another"):
            verify(written, [part], stream)


# --- any file -------------------------------------------------------------------------------------

tokens = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="/\x7f"), min_size=1, max_size=30
)
secrets = st.from_regex(r"[A-Z]{3}[a-z]{4}[0-9]{4}", fullmatch=True)
KINDS = {"I8": 2**8, "I16": 2**16, "I32": 2**32, "F32": 2**20, "D64": 2**20}


@st.composite
def tubes(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    rows = draw(st.lists(st.tuples(*[st.integers(0, KINDS[kind] - 1)] * 2), max_size=5))
    secret, person = draw(secrets), draw(secrets)
    unknown = draw(st.dictionaries(st.from_regex(r"ZZ[A-Y]{1,8}", fullmatch=True), tokens, max_size=4))
    placed = draw(st.sampled_from(["{}", "see {}", "({})", "x\n{}\n", "{}/{}"]))
    more = {"$OP": person, "PATIENT ID": secret, "$FIL": f"{secret}.fcs", "ZZSECRET": placed.format(secret, person)}
    tube = Tube(
        rows=rows,
        kinds=kind,
        version=draw(st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1"])),
        order=draw(st.sampled_from(["1,2,3,4", "4,3,2,1"])),
        more=[*(unknown | more).items()],
        analysis=draw(st.sampled_from([None, text_bytes([("PATIENT NAME", secret), ("ZZRESULT", "1.5")])])),
        before=draw(st.sampled_from([{}, {"data": secret.encode()}, {"text": person.encode()}])),
        tail=draw(st.sampled_from([b"", b"00000000", secret.encode()])),
    )
    return tube, secret, person, unknown


@given(drawn=st.lists(tubes(), min_size=1, max_size=2), shift=st.integers(-365, -1))
def test_events_stay_and_secrets_go(tmp_path_factory, drawn, shift):
    folder = tmp_path_factory.mktemp("any")
    raw = chain(*(tube for tube, *_ in drawn))
    (folder / "any.fcs").write_bytes(raw)
    try:
        before = [read_fcs(folder / "any.fcs", data_set=i) for i in range(count_data_sets(folder / "any.fcs"))]
    except FcsError:  # such as text that a reader takes for a checksum
        return
    path, parts = rewritten(folder, raw, names=NewNames("S007", "S007_1", "S007_1.fcs", shift))
    after = [read_fcs(path, data_set=i) for i in range(count_data_sets(path))]
    assert len(before) == len(after)
    assert all(map(same_events, before, after))
    left = outside_data(path).lower()
    for _, secret, person, _ in drawn:
        for name in (secret, person):
            assert not [code for code in ("utf-8", "utf-16-le", "utf-16-be") if name.lower().encode(code) in left]
    for sample, part, (_, _, _, unknown) in zip(after, parts, drawn, strict=True):
        told = {change.keyword: change for change in part.text}
        for keyword, value in unknown.items():
            assert keyword in told or sample.keywords[keyword] == value
            assert keyword not in told or told[keyword].action != "kept" or sample.keywords[keyword] == value


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_odd_files_keep_their_events_and_broken_ones_are_refused(tmp_path, case):
    try:
        source = Path(case.write(tmp_path))
    except Unavailable as reason:
        pytest.skip(str(reason))
    target = tmp_path / "new.fcs"
    try:
        before = [sample for _, sample in read_data_sets(source)]
    except FcsError:
        with pytest.raises(Nti7flowError):
            rewrite_fcs(source, target, NAMES, Identifiers())
        assert not target.exists()
        return
    if source.stat().st_size > 1 << 30:
        pytest.skip("a sparse file of which a copy would fill the disk")
    rewrite_fcs(source, target, NAMES, Identifiers())
    after = [sample for _, sample in read_data_sets(target)]
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert same_events(one, other)
        assert one.panel.channels == other.panel.channels
        names = [channel.detector for channel in one.panel.channels]
        np.testing.assert_array_equal(one.columns(names), other.columns(names))

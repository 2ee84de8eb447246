"""Spillover keywords as programs write them: what is right is used by name, the rest repaired with a code or refused.

Truth is worked out here without the package: a strict parser, and matrices put together channel by channel.
"""

import pickle
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import flowkit
import flowutils
import numpy as np
import pytest
from builder import build
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import FcsError, MissingSpillover, SpilloverError
from nti7flow.events.codes import CODES
from nti7flow.events.fcs import read_fcs
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import KEYWORDS, Spillover, spillover_for, spillover_notes

NAMES = ["FSC-A", "FITC-A", "PE-A", "APC-Cy7, A", "BV421-A", "BV421-H", "Time"]
MARKERS = {"$P2S": "CD3", "$P3S": "CD4", "$P4S": "CD8", "$P5S": "CD19", "$P6S": "CD19"}
TEXT = "2,FITC-A,PE-A,1,0.1,0.02,1"
TWO = (("FITC-A", "PE-A"), [[1, 0.1], [0.02, 1]])


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Sample:
    """Read a tube without spillover keywords."""
    path = tmp_path_factory.mktemp("spillover") / "tube.fcs"
    path.write_bytes(build([range(1, 8)], NAMES, more=tuple(MARKERS.items())))
    return read_fcs(path)


def with_keywords(sample: Sample, **keywords: str) -> Sample:
    return replace(sample, keywords={**sample.keywords, **{k.replace("DOLLAR_", "$"): v for k, v in keywords.items()}})


def codes(sample: Sample) -> list[str]:
    return [note.code for note in spillover_notes(sample.keywords, sample.panel)]


def test_nothing_is_said_of_a_matrix_as_the_standard_wants_it_nor_of_none(plain):
    assert codes(plain) == codes(with_keywords(plain, DOLLAR_SPILLOVER=TEXT)) == []
    assert codes(with_keywords(plain, DOLLAR_SPILLOVER=f" \0{TEXT}\r\n", SPILL=" ", COMP="1")) == []


# --- repaired -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2;FITC-A;PE-A;1;0.1;0.02;1", 91),
        ("2;FITC-A;PE-A;1;0,1;0,02;1", 91),
        ("2 ; FITC-A; PE-A;1,0 ;0,1;0,02;1,00", (91, 94)),
        ("2\tFITC-A\tPE-A\t1\t0,1\t0,02\t1", 91),
        ("2,FITC-A,PE-A,1,0,0,1,0,02,1,0", 91),  # 2 * 4 tokens: every number has its own decimal comma
        ("2,FITC-A,PE-A,1,0,0,1,2,0e-2,1,0", 91),
        (TEXT + ",", 91),
        (TEXT + ", , ,", 91),
        (TEXT.replace(",", "\t") + "\t", 91),
        (TEXT + ",\t", 91),
        ("2,FITC-A ,\tPE-A,1,0.1,0.02,1", 94),
        ("2,fitc-a,pe-A,1,0.1,0.02,1", 94),
        ("2,Comp-FITC-A,FJComp-PE-A,1,0.1,0.02,1", 94),
        ("2,<FITC-A>,<Comp-PE-A>,1,0.1,0.02,1", 94),
        ("2,2,3,1,0.1,0.02,1", 94),
        ("2,CD3,cd4,1,0.1,0.02,1", 94),
        ("2,FITC-A,PE-A,100,10,2,100", 95),
        ("2,FITC-A,PE-A,100,0,10,0,2,0,100,0", (91, 95)),
        ("2,FITC-A,PE-A,50,5,0.5,25", 95),
        ("2,FITC-A,PE-A,0.5,0.05,0.02,1", 95),
        ("3,PerCP-A,FITC-A,PE-A,1,0,0,0,1,0.1,0,0.02,1", 93),
        ("3,FITC-A,PE-A,,1,0.1,0,0.02,1,0,0,0,1", 93),
        ("3,CD19,2,PE-A,100,0,0,0,100,10,0,2,100", (95, 93, 94)),  # CD19 is BV421-A and -H: neither is touched
    ],
)
def test_what_has_one_reading_is_repaired_with_a_code(plain, text, code):
    sample = with_keywords(plain, DOLLAR_SPILLOVER=text)
    found = Spillover.from_keyword(sample)
    assert (found.detectors, found.source) == (TWO[0], "keyword")
    assert found.matrix == pytest.approx(np.array(TWO[1]), rel=1e-14)
    assert codes(sample) == [f"FCS{n:03d}" for n in (code if isinstance(code, tuple) else (code,))]
    for note in spillover_notes(sample.keywords, sample.panel):
        assert note.found.startswith("$SPILLOVER with ")
        assert note.assumed
        assert note.text.isprintable()


def test_notes_say_what_was_found_and_how_it_was_read(plain):
    text = "3;XX;fitc-a;3;100;0;0;0;100;10;0;2,5;100;;"
    assert [str(n) for n in spillover_notes({**plain.keywords, "SPILL": text}, plain.panel)] == [
        "[FCS091] spillover with odd separators: found SPILL with semicolons between its values and 2 separators too "
        "many at its end and decimal commas; read as 3 names and 9 numbers",
        "[FCS095] spillover without unit diagonal: found SPILL with 100 on its diagonal; each row is divided by it",
        "[FCS093] spillover names a channel the tube lacks: found SPILL with 'XX'; left out; no other channel depends "
        "on it",
        "[FCS094] spillover names differ from $PnN: found SPILL with 'fitc-a' as 'FITC-A', '3' as 'PE-A'; the only "
        "channels that fit",
    ]


def test_names_with_commas(plain):
    sample = with_keywords(plain, SPILL="3,FITC-A,APC-Cy7, A,PE-A,1,0.1,0,0,1,0.3,0.02,0,1")
    found = Spillover.from_keyword(sample)
    assert found.detectors == ("FITC-A", "APC-Cy7, A", "PE-A")
    assert found.matrix.tolist() == [[1, 0.1, 0], [0, 1, 0.3], [0.02, 0, 1]]
    assert codes(sample) == ["FCS091"]
    decimals = with_keywords(plain, SPILL="2,FITC-A,APC-Cy7, A,1,0,0,1,0,25,1,0")
    assert Spillover.from_keyword(decimals).matrix.tolist() == [[1, 0.1], [0.25, 1]]
    assert codes(decimals) == ["FCS091"]


def test_a_name_as_written_comes_before_one_that_is_alike(tmp_path):
    names = ["fitc-a", "FITC-A", "PE-A", "2", "Comp-PE-A"]
    path = tmp_path / "alike.fcs"
    path.write_bytes(build([range(5)], names, more=[("SPILL", "3,FITC-A,PE-A,2,1,0.1,0.2,0,1,0,0.5,0,1")]))
    sample = read_fcs(path)
    assert Spillover.from_keyword(sample).detectors == ("FITC-A", "PE-A", "2")
    assert codes(sample) == []
    blanks = with_keywords(sample, SPILL="2, FITC-A,Comp-PE-A ,1,0.1,0.2,1")
    assert Spillover.from_keyword(blanks).detectors == ("FITC-A", "Comp-PE-A")
    assert codes(blanks) == ["FCS094"]
    for text, says in [
        ("2,Fitc-A,2,1,0.1,0,1", "'Fitc-A' could be fitc-a or FITC-A"),
        ("2,<PE-A>,2,1,0.1,0,1", "'<PE-A>' could be PE-A or Comp-PE-A"),
        ("2,<2>,5,1,0.1,0,1", "'<2>' could be FITC-A or 2"),
    ]:
        with pytest.raises(SpilloverError) as caught:
            Spillover.from_keyword(with_keywords(sample, SPILL=text))
        assert says in str(caught.value)


def test_a_blank_name_is_not_that_of_the_one_channel_without_marker(plain):
    sample = replace(plain, keywords={**plain.keywords, "$P1S": "size", "SPILL": "2,FITC-A, ,1,0.1,0,1"})
    assert "$P7S" not in sample.keywords
    with pytest.raises(SpilloverError, match="detector '' is not in the tube"):
        Spillover.from_keyword(sample)


# --- refused, and the file loads all the same ----------------------------------------------------

REFUSED = [
    ("2,FITC-A,PE-A,1,0,0,1,0.02,1", "announces 2 detectors, so 4 numbers were expected; found 6, and where one ends"),
    ("2,FITC-A,PE-A,1,0,1,0,02,1", "found 6, and where one ends cannot be known if some have decimal commas"),
    ("2,FITC-A,PE-A,1,0,0,0,0,1,0,0", "found 8"),  # a matrix of 2 x 4: no diagonal of 1
    ("2,FITC-A,PE-A,1,0.1,0.02", "found 3"),
    ("2,FITC-A,PE-A,1,,0.02,1", "'' stands where a number is expected"),
    ("2,FITC-A,PE-A,1,0.1,0.02,", "found 3"),
    ("2;FITC-A;PE-A;1;0,1;0.02;1", "some of its numbers have decimal commas and others decimal points"),
    ("2;FITC-A;PE-A;1;1.000,5;0;1", "decimal commas and others decimal points"),
    ("2;FITC-A;PE-A;1;1,000,5;0;1", "'1,000,5' stands where a number is expected"),
    ("2;FITC-A;PE-A,1;0.1;0.02;1", "found 3"),
    ("2,FITC-A,PE-A,1,0x1,0,1", "'0x1' stands where"),
    ("2,FITC-A,PE-A,1,1_0,0,1", "'1_0' stands where"),
    ("2,FITC-A,PE-A,1,٣,0,1", "'٣' stands where"),
    ("2,FITC-A,PE-A,1,-inf,0,1", "not finite"),
    ("2,FITC-A,PE-A,1,1e999,0,1", "not finite"),
    ("2,FITC-A,PE-A,nan,0,0,1", "not finite"),
    ("2,FITC-A,PE-A,1,0,0,-1", "the diagonal at PE-A is -1"),
    ("2,FITC-A,PE-A,1,0.5,2,1", "singular"),
    ("2,FITC-A,PE-A,1.02,-0.1,-0.2,1.02", "looks like a compensation matrix"),
    ("2,FITC-A,fitc-a,1,0.1,0.02,1", "a detector stands twice: 'FITC-A' and 'fitc-a'"),
    ("2,FITC-A,2,1,0.1,0.02,1", "a detector stands twice: 'FITC-A' and '2'"),
    ("2,FITC-A,FITC-A,1,0.1,0.02,1", "a detector stands twice: FITC-A"),
    ("2,PerCP-A,FITC-A,1,0.1,0,1", "detector PerCP-A is not in the tube, which has FSC-A"),
    ("2,PerCP-A,FITC-A,1,0,0.1,1", "detector PerCP-A is not in the tube"),
    ("2,FITC-A,CD19,1,0.1,0,1", "'CD19' could be BV421-A or BV421-H"),
    ("2,FITC-A,8,1,0.1,0,1", "detector 8 is not in the tube"),
    ("2,FITC-A,0,1,0.1,0,1", "detector 0 is not in the tube"),
    ("2,PerCP-A,Cy3-A,1,0,0,1", "none of its detectors is in the tube"),
    ("2,1,0.1,0.02,1", "does not say which channels its numbers belong to"),
    ("2 FITC-A PE-A 1 0.1 0.02 1", "does not begin with the number of its detectors and a separator"),
    ("two,FITC-A,PE-A,1,0,0,1", "does not begin with"),
    ("999999999,FITC-A", "announces 999999999 detectors; 1 to 500 were expected"),
    ("9" * 5000 + ",FITC-A", "does not begin with"),
    ("3", "announces 3 detectors, so 9 numbers were expected; found 0"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_what_has_no_reading_or_several_is_refused_and_noted(plain, tmp_path, text, says):
    path = tmp_path / "tube.fcs"
    path.write_bytes(build([range(1, 8)], NAMES, more=[*MARKERS.items(), ("SPILL", text)]))
    sample = read_fcs(path)
    assert sample.events.tolist() == plain.events.tolist()
    assert [note.code for note in sample.notes if CODES[note.code].title.startswith("spillover")] == ["FCS090"]
    (note,) = (note for note in sample.notes if note.code == "FCS090")
    assert says in note.text
    with pytest.raises(SpilloverError) as caught:
        spillover_for(sample, "keyword")
    assert caught.value.code == "FCS090"
    assert str(caught.value).startswith(f"{path}: {note.text}")
    assert str(caught.value).endswith("[FCS090]")
    assert spillover_for(sample, "none").source == "none"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.code) == (str(caught.value), "FCS090")
    with pytest.raises(FcsError) as strict:
        read_fcs(path, repair="none")
    assert strict.value.code == "FCS090"


def test_commas_that_can_be_read_in_two_ways_are_refused(tmp_path):
    path = tmp_path / "tube.fcs"
    text = "2,A,B,C,1,0,0,1"  # [A] [B,C] or [A,B] [C]
    path.write_bytes(build([range(4)], ["A", "B,C", "A,B", "C"], more=[("SPILL", text)]))
    with pytest.raises(SpilloverError, match="its commas can be read in more than one way"):
        spillover_for(read_fcs(path), "keyword")


def test_no_keyword_costs_more_than_a_moment(plain, tmp_path):
    path = tmp_path / "tube.fcs"
    names = [",".join(["a"] * n) for n in range(1, 121)]
    path.write_bytes(build([range(120)], names))
    sample = read_fcs(path)
    for tube, text, says in [
        (plain, "2" + "," * 5_000_000 + "1", "announces 2 detectors, so 4 numbers were expected; found 4999998"),
        (plain, "500," + "1," * 5_000_000, "announces 500 detectors, so 250000 numbers were expected; found 4999500"),
        (sample, ",".join(["90", *["a"] * 2000, *["1"] * 8100]), "its commas can be read in too many ways"),
    ]:
        begun = time.process_time()
        (note,) = spillover_notes({**tube.keywords, "SPILL": text}, tube.panel)
        assert time.process_time() - begun < 2
        assert (note.code, says in note.text) == ("FCS090", True)


def test_hostile_text_is_quoted_harmlessly(plain):
    sample = with_keywords(plain, SPILL="2,\x1b[31mred,PE-A\u202e,1,0.1,0.1,1")
    with pytest.raises(SpilloverError, match="FCS090") as caught:
        spillover_for(sample, "keyword")
    assert str(caught.value).isprintable()
    assert all(note.text.isprintable() for note in spillover_notes(sample.keywords, sample.panel))


# --- placeholders, and matrices without names ----------------------------------------------------


@pytest.mark.parametrize("text", ["0", "0,", "TRUE", "none", "2,FITC-A,PE-A,0,0,0,0", "2,FITC-A,PE-A,0.0,0,-0,0e5"])
def test_a_placeholder_is_no_matrix(plain, text):
    sample = with_keywords(plain, DOLLAR_SPILLOVER=text)
    assert codes(sample) == ["FCS096"]
    assert Spillover.from_keyword(sample) is None
    with pytest.raises(MissingSpillover, match=r"no spillover matrix: found \$SPILLOVER=.*--spillover none") as caught:
        spillover_for(sample, "keyword")
    assert caught.value.code == "FCS096"
    both = with_keywords(plain, DOLLAR_SPILLOVER=text, SPILL=TEXT)
    assert Spillover.from_keyword(both).matrix.tolist() == TWO[1]
    assert codes(both) == ["FCS096"]


@pytest.mark.parametrize(
    ("keywords", "found"),
    [
        ({"$COMP": "2,1,0.1,0.02,1"}, "$COMP='2,1,0.1,0.02,1'; not used"),
        ({"$DFC1TO2": "13.4", "$DFC2TO1": "0.00"}, "$DFC1TO2='13.4'; not used"),
        ({"$DFC1TO2": "13.4", "$DFC2TO1": "1"}, "$DFC1TO2='13.4' and 1 more; not used"),
    ],
)
def test_compensation_without_names_is_noted_and_never_guessed(plain, keywords, found):
    sample = replace(plain, keywords={**plain.keywords, **keywords})
    (note,) = spillover_notes(sample.keywords, sample.panel)
    assert note.code == "FCS097"
    assert CODES["FCS097"].kind == "note"  # the standard of the time wants it so
    assert note.text.endswith(f"found {found}")
    with pytest.raises(MissingSpillover, match=r"--spillover none .* \[FCS097\]"):
        spillover_for(sample, "keyword")


def test_nothing_subtracted_is_not_worth_a_note(plain):
    assert codes(replace(plain, keywords={**plain.keywords, "$DFC1TO2": "0.00", "$DFC2TO1": "0"})) == []


# --- several keywords -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"SPILL": TEXT},
        {"SPILL": "2,PE-A,FITC-A,1,0.02,0.1,1"},
        {"SPILL": "3,PE-A,BV421-A,FITC-A,1,0,0.02,0,1,0,0.1,0,1"},
        {"SPILL": "2,FITC-A,PE-A,1,0.1000001,0.02,1"},
        {"$COMP": "2,1,0.1,0.02,1"},
    ],
)
def test_the_same_matrix_twice_is_used(plain, other):
    sample = replace(plain, keywords={**plain.keywords, "$SPILLOVER": TEXT, **other})
    found = Spillover.from_keyword(sample)
    assert (found.detectors, found.matrix.tolist()) == TWO
    assert codes(sample) == ["FCS097", "FCS092"] if "$COMP" in other else ["FCS092"]


@pytest.mark.parametrize(
    "other",
    [
        {"SPILL": "2,PE-A,FITC-A,1,0.1,0.02,1"},  # the numbers of TEXT under swapped names
        {"SPILL": "2,FITC-A,PE-A,1,0.1,0.021,1"},
        {"SPILL": "3,FITC-A,PE-A,BV421-A,1,0.1,0,0.02,1,0,0,0.1,1"},
        {"$COMP": "2,1,0.02,0.1,1"},
        {"$COMP": "2,100,0,0,100"},
    ],
)
def test_different_matrices_are_refused(plain, other):
    sample = replace(plain, keywords={**plain.keywords, "$SPILLOVER": TEXT, **other})
    (key,) = other
    assert codes(sample)[-1] == "FCS090"
    with pytest.raises(SpilloverError) as caught:
        spillover_for(sample, "keyword")
    assert f"keywords $SPILLOVER and {key} hold different matrices" in str(caught.value)


@pytest.mark.parametrize(
    "other", ["4,0,0,0,0,0,0,-10,-2,0,0,0,0,0,0,0,0", "3,1,0,0,0,1,0,0,0,1", "2,0,-10,-2,0", "2,nan,0,0,1"]
)
def test_comp_of_the_old_standards_does_not_contradict(plain, other):
    sample = with_keywords(plain, DOLLAR_SPILLOVER=TEXT, DOLLAR_COMP=other)
    assert codes(sample) == ["FCS097"]
    assert Spillover.from_keyword(sample).matrix.tolist() == TWO[1]


def test_a_good_keyword_does_not_hide_a_bad_one(plain):
    sample = with_keywords(plain, DOLLAR_SPILLOVER=TEXT, SPILL="2,FITC-A,PE-A,1,0.3,0.02")
    assert codes(sample) == ["FCS090"]
    with pytest.raises(SpilloverError, match=r"found SPILL='2,FITC-A,PE-A,1,0.3,0.02'"):
        spillover_for(sample, "keyword")


# --- any order gives the same compensated values --------------------------------------------------

ORDERED = ["Time", "PE-A", "FSC-A", "BV421-A", "FITC-A", "APC-A", "PerCP-A"]
DYES = ["FITC-A", "PE-A", "PerCP-A", "APC-A", "BV421-A"]


@cache
def light(folder) -> Sample:
    path = folder / "light.fcs"
    rng = np.random.default_rng(7)
    path.write_bytes(build(rng.uniform(0, 1e5, (50, 7)).tolist(), ORDERED, datatype="D"))
    return read_fcs(path)


def compensated_by_hand(events: np.ndarray, spill: Mapping[tuple[str, str], float]) -> np.ndarray:
    """Solve for the dyes channel by channel, in the order of the data: seen = dyes @ (1 + spill)."""
    whole = np.array([[1.0 if a == b else spill.get((a, b), 0.0) for b in ORDERED] for a in ORDERED])
    return np.linalg.solve(whole.T, events.T).T


def written(order: list[str], spill: Mapping[tuple[str, str], float]) -> str:
    numbers = [repr(1.0 if a == b else spill.get((a, b), 0.0)) for a in order for b in order]
    return ",".join([str(len(order)), *order, *numbers])


def compensated(sample: Sample) -> np.ndarray:
    """Return all channels in the order of the data, those of the matrix compensated."""
    matrix = spillover_for(sample, "keyword")
    at = [ORDERED.index(name) for name in matrix.detectors]
    events = np.array(sample.events)
    events[:, at] = sample.events[:, at] @ matrix.compensation
    return events


PAIRS = [(a, b) for a in DYES for b in DYES if a != b]


@given(
    order=st.permutations(DYES),
    spill=st.dictionaries(st.sampled_from(PAIRS), st.floats(-0.02, 0.2).map(lambda x: round(x, 6))),
    keep=st.integers(1, 5),
)
def test_the_order_of_detectors_does_not_matter(tmp_path_factory, order, spill, keep):
    sample = light(tmp_path_factory.getbasetemp())
    order = order[:keep]  # a matrix of some of the dyes leaves the others alone
    spill = {pair: value for pair, value in spill.items() if set(pair) <= set(order)}
    sample = with_keywords(sample, DOLLAR_SPILLOVER=written(order, spill))
    assert spillover_notes(sample.keywords, sample.panel) == []
    assert compensated(sample) == pytest.approx(compensated_by_hand(sample.events, spill), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("order", [DYES, DYES[::-1], sorted(DYES), ["APC-A", "BV421-A", "PE-A", "FITC-A", "PerCP-A"]])
def test_flowkit_agrees_in_any_order(tmp_path, order):
    spill = {pair: 0.001 * (n + 1) for n, pair in enumerate(PAIRS)}
    sample = light(tmp_path)
    ours = compensated(with_keywords(sample, DOLLAR_SPILLOVER=written(order, spill)))
    theirs = flowkit.Sample(str(sample.path))
    numbers = np.array([[1.0 if a == b else spill[a, b] for b in DYES] for a in DYES])
    theirs.apply_compensation(flowkit.Matrix(numbers, DYES))
    assert ours == pytest.approx(theirs.get_events("comp"), rel=1e-9, abs=1e-6)
    assert np.abs(ours - sample.events).max() > 100


# --- keywords that were damaged -------------------------------------------------------------------


def strictly(text: str, names: list[str]) -> dict[tuple[str, str], float] | None:
    """Read d, d names of channels and d x d numbers with a unit diagonal, all between commas; else None."""
    parts = text.split(",")
    try:
        d = int(parts[0])
        numbers = [float(part) for part in parts[1 + d :]]
    except ValueError:
        return None
    dyes = parts[1 : 1 + d]
    if d < 1 or len(numbers) != d * d or len(set(dyes)) != d or not set(dyes) <= set(names):
        return None
    matrix = {(a, b): numbers[i * d + j] for i, a in enumerate(dyes) for j, b in enumerate(dyes)}
    return matrix if all(matrix[a, a] == 1 for a in dyes) else None


WHOLE = "3,FITC-A,PE-A,BV421-A,1,0.1,0.02,0.3,1,0.04,0,0.25,1"
VALID = [TEXT, WHOLE, TEXT.replace(",", ";").replace(".", ","), "2,FITC-A,PE-A,1,0,0,1,0,02,1,0", "2,2,CD4,100,1,0,100"]
TOKENS = st.sampled_from(
    [*"0123", "", " ", "1.0", "-1", "0,1", "nan", "1e999", "100", *NAMES[1:4], "pe-a", "CD4", "CD19", "XX"]
)
CHARACTERS = st.sampled_from(",;\t. \0\n-+eE0123456789naifFITCPEA<>_٣\x1b")
KINDS = st.sampled_from(["insert", "delete", "replace", "token", "drop", "double", "swap", "cut"])
CHANGES = st.lists(st.tuples(KINDS, st.integers(0, 100), st.integers(0, 100), CHARACTERS, TOKENS), max_size=4)


def changed(text: str, change: tuple[str, int, int, str, str]) -> str:
    what, i, j, character, token = change
    parts = text.split(",")
    i, k, m = i % (len(text) + 1), i % len(parts), j % len(parts)
    if what in ("insert", "delete", "replace", "cut"):
        middle = "" if what in ("delete", "cut") else character
        return text[:i] + middle + ("" if what == "cut" else text[i if what == "insert" else i + 1 :])
    if what == "swap":
        parts[k], parts[m] = parts[m], parts[k]
    else:
        parts[k : k + 1] = {"token": [token], "drop": [], "double": [parts[k]] * 2}[what]
    return ",".join(parts)


@given(text=st.sampled_from(VALID), changes=CHANGES, key=st.sampled_from(KEYWORDS), second=st.booleans())
def test_a_damaged_keyword_gives_the_right_numbers_or_a_code(plain, text, changes, key, second):
    for change in changes:
        text = changed(text, change)
    keywords = {**plain.keywords, key: text} | ({"SPILL": WHOLE} if second else {})
    sample = replace(plain, keywords=keywords)
    notes = spillover_notes(sample.keywords, sample.panel)
    assert all(note.code in CODES and note.text.isprintable() for note in notes)
    refused = [note.code for note in notes if note.code == "FCS090"]
    try:
        found = spillover_for(sample, "keyword")
    except (SpilloverError, MissingSpillover) as error:
        assert error.code in ([note.code for note in notes] or ["FCS096"])
        assert bool(refused) == isinstance(error, SpilloverError)
        assert notes or not text.strip(" \0\n\r\t") or key == "COMP"
        return
    assert not refused
    right = strictly(keywords["SPILL"] if second else text.strip("\0 \r\n"), NAMES)
    if right is None:
        assert notes
    elif not notes:
        pairs = [(a, b) for a in found.detectors for b in found.detectors]
        assert dict(zip(pairs, found.matrix.ravel().tolist(), strict=True)) == right


@given(text=st.text(max_size=60), key=st.sampled_from([*KEYWORDS, "$DFC1TO2"]))
def test_any_text_is_read_or_refused(plain, text, key):
    sample = replace(plain, keywords={**plain.keywords, key: text})
    assert all(note.code in CODES for note in spillover_notes(sample.keywords, sample.panel))
    with pytest.raises((SpilloverError, MissingSpillover)):
        spillover_for(sample, "keyword")


# --- real files -----------------------------------------------------------------------------------

#: What the reference files that are not as the standard wants them have.
ODD = {
    "data_start_offset_discrepancy_example.fcs": [
        "FCS093"
    ],  # "xxx…" for a channel of another name, nothing spills to it
    "data_stop_offset_discrepancy_example.fcs": ["FCS093"],
    "variable_int_example.fcs": ["FCS093"],
    "Bcells1.fcs": ["FCS090"],  # zeros on the diagonal
    "EY_2013-07-19_PBS_FCS_3.1_Custom_Add_Well_A1.001.fcs": ["FCS090"],  # six names, no numbers
    "EY_2013-07-19_PBS_FCS_3.1_Custom_Without_Add_Well_A1.001.fcs": ["FCS090"],
    "EY_2013-07-19_PBS_FCS_3.1_Well_A1.001.fcs": ["FCS090"],
    "coulter.lmd": ["FCS097"],  # $DFC1TO3
    "fcs1_cleaned.lmd": ["FCS097"],  # $DFC2TO1 and so on
}


def test_real_keywords_as_flowutils_reads_them(shared_data):
    """FlowKit's own parser, on every reference file that the reader takes."""
    n_alike = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file():
            continue
        with path.open("rb") as stream:
            if stream.read(3) != b"FCS":
                continue
        try:
            sample = read_fcs(path)
        except FcsError:
            continue  # other tests say which and why
        assert codes(sample) == ODD.get(path.name, []), path
        text = next((sample.keywords[key] for key in KEYWORDS if sample.keywords.get(key, "").strip()), None)
        if text is None or "FCS090" in codes(sample):
            continue
        numbers, names = flowutils.compensate.get_spill(text)
        found = Spillover.from_keyword(sample)
        kept = [n for n, name in enumerate(names) if name in found.detectors]
        assert found.detectors == tuple(names[n] for n in kept)
        assert found.matrix.tolist() == numbers[np.ix_(kept, kept)].tolist(), path
        if not codes(sample):
            assert len(kept) == len(names)
        n_alike += 1
    assert n_alike >= 50

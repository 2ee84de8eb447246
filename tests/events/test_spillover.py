"""Spillover matrices: where they come from, what is refused, and that compensation undoes the light's mixing."""

import json

import flowkit
import numpy as np
import pytest
from builder import build
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nti7flow.errors import MissingSpillover, SpilloverError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover, spillover_for

ROWS = [(1.0, 2.0, 3.0, 4.0)]
NAMES = ["FSC-A", "FITC-A", "PE-A", "APC-A"]
MATRIX = [[1.0, 0.2, 0.01], [0.05, 1.0, 0.1], [0.0, 0.02, 1.0]]
TEXT = "3,FITC-A,PE-A,APC-A,1,0.2,0.01,0.05,1,0.1,0,0.02,1"


@pytest.fixture
def tube(tmp_path):
    """Read a four-channel tube with some more keywords, or other channels."""

    def read(*more, names=NAMES):
        path = tmp_path / "tube.fcs"
        path.write_bytes(build([ROWS[0][: len(names)]], names, more=more))
        return read_fcs(path)

    return read


@pytest.fixture
def table(tmp_path):
    """Write a CSV and return its path."""

    def write(content: str | bytes):
        path = tmp_path / "matrix.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def assert_is(matrix: Spillover, detectors=("FITC-A", "PE-A", "APC-A"), values=MATRIX):
    assert matrix.detectors == tuple(detectors)
    assert matrix.matrix.tolist() == values


# --- by hand, and as mathematics ------------------------------------------------------------------


def test_by_hand():
    """10 % of FITC is seen by PE, 20 % of PE by FITC; 100 of FITC and 50 of PE are seen as 110 and 60."""
    matrix = Spillover(("FITC-A", "PE-A"), np.array([[1.0, 0.1], [0.2, 1.0]]), "by hand")
    seen = np.array([100 + 0.2 * 50, 0.1 * 100 + 50])
    assert seen @ matrix.compensation == pytest.approx([100.0, 50.0], rel=1e-14)
    assert matrix.compensation * 0.98 == pytest.approx(np.array([[1.0, -0.1], [-0.2, 1.0]]))
    # Singular values of [[1, .1], [.2, 1]]: s1 s2 = det = 0.98, s1² + s2² = 2.05
    largest = (2.05 + (2.05**2 - 4 * 0.98**2) ** 0.5) / 2
    assert matrix.condition_number == pytest.approx(largest / 0.98)


SPILLS = st.integers(1, 6).flatmap(lambda d: arrays(np.float64, (d, d), elements=st.floats(-0.02, 0.15)))


@given(spill=SPILLS, scale=st.floats(0.01, 1000), data=st.data())
def test_compensation_is_the_inverse(spill, scale, data):
    d = len(spill)
    np.fill_diagonal(spill, 1.0)
    names = tuple(f"V{n}-A" for n in range(d))
    matrix = Spillover(names, spill * scale, "test")
    assert matrix.matrix.diagonal().tolist() == [1.0] * d
    assert matrix.matrix == pytest.approx(spill, rel=1e-12, abs=1e-15)
    assert matrix.matrix @ matrix.compensation == pytest.approx(np.eye(d), abs=1e-12)
    light = data.draw(arrays(np.float64, (4, d), elements=st.floats(-1e5, 1e5)))
    assert light @ matrix.matrix @ matrix.compensation == pytest.approx(light, abs=1e-7)
    assert 1.0 <= matrix.condition_number < 1e6
    assert json.loads(json.dumps(matrix.to_dict())) == matrix.to_dict()
    again = Spillover.from_dict(matrix.to_dict())
    assert (again.detectors, again.source) == (matrix.detectors, matrix.source)
    assert again.matrix == pytest.approx(matrix.matrix, rel=0, abs=0)


def test_arrays_are_read_only():
    matrix = Spillover(("A", "B"), np.eye(2), "test")
    for values in (matrix.matrix, matrix.compensation):
        with pytest.raises(ValueError, match="read-only"):
            values[0, 1] = 0.5
    given_values = np.eye(2)
    frozen = Spillover(("A", "B"), given_values, "test")
    given_values[0, 1] = 0.5
    assert frozen.matrix[0, 1] == 0.0
    assert repr(frozen) == "<Spillover 2 detectors from test, condition 1>"


def test_none_is_declared():
    nothing = Spillover.none()
    assert (nothing.detectors, nothing.source, nothing.condition_number) == ((), "none", 1.0)
    assert nothing.compensation.shape == (0, 0)
    assert Spillover.from_dict(nothing.to_dict()).source == "none"


@pytest.mark.parametrize(
    ("detectors", "matrix", "says"),
    [
        (("A", "B"), np.eye(3), "3 × 3 numbers for 2 detectors; it must be square"),
        (("A", "B"), np.ones((1, 2)), "1 × 2 numbers"),
        (("A",), np.ones(1), "1 numbers for 1 detectors"),
        (("A", "A"), np.eye(2), "a detector stands twice: A, A"),
        (("A", "B"), [[1, float("nan")], [0, 1]], "not finite"),
        (("A", "B"), [[1, float("inf")], [0, 1]], "not finite"),
        (("A", "B"), [[1e-300, 1e300], [0, 1]], "not finite"),
        (("A", "B"), [[1, 0], [0, 0]], "diagonal at B is 0"),
        (("A", "B"), [[-1, 0], [0, 1]], "diagonal at A is -1"),
        (("A", "B"), [[1, 1], [1, 1]], "singular"),
        (("A", "B"), [[1, 1], [1, 1 + 1e-9]], "singular (condition number"),
        (("A", "B"), [[1, 1e308], [1e308, 1e-308]], "not finite"),
        (("A", "B"), [[1, 1e200], [0, 1]], "singular (condition number inf)"),
    ],
)
def test_matrices_that_cannot_be_used(detectors, matrix, says):
    with pytest.raises(SpilloverError) as caught:
        Spillover(detectors, np.array(matrix), "test")
    assert says in str(caught.value)
    assert "spillover (test)" in str(caught.value)


# --- the keyword ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["$SPILLOVER", "SPILLOVER", "SPILL", "$SPILL", "spill", "$Comp"])
def test_keywords(tube, key):
    matrix = Spillover.from_keyword(tube((key, TEXT)))
    assert_is(matrix)
    assert matrix.source == "keyword"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace(",", " , "),
        TEXT.replace(",", ";"),
        TEXT.replace(",", ";").replace(".", ","),  # a European program: decimal commas
        TEXT.replace(",", "\t"),
        "3,FITC-A,PE-A,APC-A,100,20,1,5,100,10,0,2,100",  # percent
        TEXT.replace("0.2", "2e-1"),
    ],
)
def test_ways_to_write_a_matrix(tube, text):
    matrix = Spillover.from_keyword(tube(("$SPILLOVER", text)))
    assert matrix.detectors == ("FITC-A", "PE-A", "APC-A")
    assert matrix.matrix == pytest.approx(np.array(MATRIX), rel=1e-15)


def test_detectors_in_another_order_than_the_data(tube):
    reordered = "3,APC-A,FITC-A,PE-A,1,0,0.02,0.01,1,0.2,0.1,0.05,1"
    matrix = Spillover.from_keyword(tube(("$SPILLOVER", reordered)))
    assert_is(matrix, ["APC-A", "FITC-A", "PE-A"], [[1, 0, 0.02], [0.01, 1, 0.2], [0.1, 0.05, 1]])


def test_the_same_matrix_under_two_keywords(tube):
    assert_is(Spillover.from_keyword(tube(("$SPILLOVER", TEXT), ("SPILL", TEXT.replace("0.2", "0.20")))))


@pytest.mark.parametrize("text", ["", " ", "TRUE", "none"])
def test_keywords_without_a_matrix(tube, text):
    more = [("SPILL", text)] if text.strip() else []
    assert Spillover.from_keyword(tube(*more)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3,FITC-A,PE-A,APC-A,1,0.2", "announces 3 detectors, so 9 numbers were expected; found 2"),
        (TEXT + ",7", "found 10"),
        ("0,1", "announces 0 detectors"),
        ("501,1", "announces 501 detectors; 1 to 500 were expected"),
        ("-1,1", "does not begin with the number of its detectors"),
        ("2,FITC-A,PE-A,1,abc,0,1", "found $SPILLOVER='2,FITC-A,PE-A,1,abc,0,1'; 'abc' stands where a number is"),
        ("FITC-A,PE-A,1,0,0,1", "does not begin with the number of its detectors"),
        ("2,FITC-A,PE-A,1,nan,0,1", "not finite"),
        ("2,FITC-A,PE-A,1,1,1,1", "singular"),
        ("2,FITC-A,PE-A,0,0,0,1", "diagonal at FITC-A is 0"),
        ("2,FITC-A,FITC-A,1,0,0,1", "stands twice"),
        ("2,FITC-A,PE-H,1,0.1,0.1,1", "detector PE-H is not in the tube, which has FSC-A, FITC-A"),
        ("2,FITC-A,PE-H,1,0.1,0.1,1", "Did you mean 'PE-A'?"),
    ],
)
def test_keywords_that_cannot_be_used(tube, text, says):
    sample = tube(("$SPILLOVER", text))
    with pytest.raises(SpilloverError) as caught:
        spillover_for(sample, "keyword")
    assert str(caught.value).startswith(f"{sample.path}: ")
    assert says in str(caught.value)
    assert caught.value.code == "FCS090"
    assert str(caught.value).endswith("Give the right matrix with --spillover PATH.csv. [FCS090]")


def test_two_keywords_that_differ(tube):
    with pytest.raises(SpilloverError, match=r"keywords \$SPILLOVER and SPILL hold different matrices"):
        Spillover.from_keyword(tube(("$SPILLOVER", TEXT), ("SPILL", TEXT.replace("0.2", "0.3"))))


def test_names_with_and_without_the_prefix(tube):
    compensated = tube(names=["FSC-A", "Comp-FITC-A", "FJComp-PE-A", "APC-A"])
    raw = Spillover(("FITC-A", "PE-A", "APC-A"), np.array(MATRIX), "test")
    assert raw.for_panel(compensated.panel).detectors == ("Comp-FITC-A", "FJComp-PE-A", "APC-A")
    both = tube(names=["FITC-A", "Comp-FITC-A", "PE-A", "APC-A"])
    assert raw.for_panel(both.panel).detectors == ("FITC-A", "PE-A", "APC-A")
    twice = tube(names=["Comp-FITC-A", "FJComp-FITC-A", "PE-A", "APC-A"])
    with pytest.raises(SpilloverError, match="detector FITC-A could be Comp-FITC-A or FJComp-FITC-A"):
        raw.for_panel(twice.panel)


# --- CSV ------------------------------------------------------------------------------------------

PLAIN = "FITC-A,PE-A,APC-A\n1,0.2,0.01\n0.05,1,0.1\n0,0.02,1\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN + "\n\n,,\n",
        "\ufeff" + PLAIN,
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace("0.2", '"0,2"'),
        ",FITC-A,PE-A,APC-A\nFITC-A,1,0.2,0.01\nPE-A,0.05,1,0.1\nAPC-A,0,0.02,1\n",
        "detector,FITC-A,PE-A,APC-A\nFITC-A,1,0.2,0.01\nPE-A,0.05,1,0.1\nAPC-A,0,0.02,1\n",
        "FITC-A,PE-A,APC-A\nFITC-A,1,0.2,0.01\nPE-A,0.05,1,0.1\nAPC-A,0,0.02,1\n",  # R's write.table
        ",FITC-A,PE-A,APC-A\nAPC-A,0,0.02,1\nFITC-A,1,0.2,0.01\nPE-A,0.05,1,0.1\n",  # rows in another order
        ",FITC-A :: CD3,PE-A :: CD4,APC-A\nPE-A :: CD4,0.05,1,0.1\nFITC-A :: CD3,1,0.2,0.01\nAPC-A,0,0.02,1\n",
        ",Comp-FITC-A :: CD3,Comp-PE-A,Comp-APC-A\nFITC-A,1,0.2,0.01\nPE-A,0.05,1,0.1\nAPC-A,0,0.02,1\n",
        "FITC-A, PE-A ,APC-A\n 100 ,20,1\n5,100,10\n0,2,100\n",
    ],
)
def test_csv(table, tube, content):
    path = table(content)
    matrix = Spillover.from_csv(path)
    assert matrix.detectors == ("FITC-A", "PE-A", "APC-A")
    assert matrix.matrix == pytest.approx(np.array(MATRIX), rel=1e-15)
    assert matrix.source == str(path)
    assert spillover_for(tube(("SPILL", "2,FITC-A,PE-A,1,0,0,1")), str(path)).matrix.tolist() == matrix.matrix.tolist()


def test_csv_of_one_detector(table):
    assert_is(Spillover.from_csv(table("FITC-A\n1\n")), ["FITC-A"], [[1.0]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("FITC-A,PE-A\n", "is empty"),
        ("FITC-A,PE-A\n1,0.1\n", "1 rows for 2 detectors; the matrix must be square"),
        ("FITC-A,PE-A\n1,0.1,0\n0,1,0\n", "rows are named 1, 0, its columns FITC-A, PE-A"),
        ("FITC-A,PE-A\n1,x\n0.1,1\n", "a cell that is not a number"),
        ("FITC-A,PE-A\n1,\n0.1,1\n", "not a number, or rows of different length"),
        ("FITC-A,PE-A\n1,nan\n0,1\n", "not finite"),
        ("FITC-A,PE-A\n1,1\n1,1\n", "singular"),
        ("FITC-A,FITC-A\n1,0\n0,1\n", "stands twice"),
        (",FITC-A,PE-A\nFITC-A,1,0\nAPC-A,0,1\n", "rows are named FITC-A, APC-A, its columns FITC-A, PE-A"),
        ("just some text", "is empty"),
        (b"\xff\xfeF\0I\0T\0C\0", "cannot be read as a CSV"),
        ('FITC-A\n"' + "x" * 200_000, "cannot be read as a CSV"),
        ("FITC-A,PE-A\n" + "1,0\n" * 2 + "0,1\n", "3 rows for 2 detectors"),
    ],
)
def test_csv_that_cannot_be_used(table, content, says):
    path = table(content)
    with pytest.raises(SpilloverError) as caught:
        Spillover.from_csv(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_csv_paths(tmp_path):
    with pytest.raises(SpilloverError, match="no such spillover file"):
        Spillover.from_csv(tmp_path / "keywrod")
    with pytest.raises(SpilloverError, match="cannot be read as a CSV"):
        Spillover.from_csv(tmp_path)


# --- which one ------------------------------------------------------------------------------------


def test_keyword_is_used(tube):
    assert_is(spillover_for(tube(("SPILL", TEXT)), "keyword"))


def test_no_keyword_is_an_error_that_says_what_to_do(tube):
    sample = tube()
    with pytest.raises(MissingSpillover) as caught:
        spillover_for(sample, "keyword")
    assert str(caught.value).startswith(f"{sample.path}: holds no spillover keyword")
    assert "--spillover none" in str(caught.value)
    assert str(caught.value).endswith(" [FCS096]")
    assert caught.value.code == "FCS096"


def test_compensated_channels_are_not_compensated_twice(tube):
    names = ["FSC-A", "Comp-FITC-A", "Comp-PE-A", "Comp-APC-A"]
    stored = spillover_for(tube(("SPILL", TEXT), names=names), "keyword")
    assert (stored.detectors, stored.source) == ((), "already compensated")
    unreadable = tube(("SPILL", TEXT[:-2]), names=names)
    assert "FCS090" in [note.code for note in unreadable.notes]
    assert spillover_for(unreadable, "keyword").source == "already compensated"


@pytest.mark.parametrize(
    ("names", "text", "says"),
    [
        (["FSC-A", "Comp-FITC-A", "PE-A", "APC-A"], TEXT, r"but PE-A, APC-A of the spillover keyword not.* \[FCS090\]"),
        (["Comp-BV421-A", "FITC-A", "PE-A", "APC-A"], TEXT, "but FITC-A, PE-A, APC-A of the spillover keyword not"),
        (["FSC-A", "Comp-FITC-A", "Comp-PE-A", "APC-A"], TEXT[:-2], r"expected; found 8.* \[FCS090\]"),
    ],
)
def test_half_compensated_tubes_are_refused(tube, names, text, says):
    with pytest.raises(SpilloverError, match=says):
        spillover_for(tube(("SPILL", text), names=names), "keyword")


def test_none_wins_over_the_keyword(tube):
    assert spillover_for(tube(("SPILL", TEXT)), "none").source == "none"


def test_a_csv_wins_over_the_keyword_and_must_fit_the_tube(tube, table):
    path = table("FITC-A,PE-A\n1,0.5\n0,1\n")
    assert_is(spillover_for(tube(("SPILL", TEXT)), str(path)), ["FITC-A", "PE-A"], [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(SpilloverError, match=r"tube\.fcs: .*matrix\.csv.*detector BV421-A is not in the tube"):
        spillover_for(tube(), str(table("FITC-A,BV421-A\n1,0.5\n0,1\n")))
    with pytest.raises(SpilloverError, match=r"^[^ ]*matrix\.csv: is empty"):
        spillover_for(tube(), str(table("")))


# --- real tubes and others' code ------------------------------------------------------------------


def test_flowkit_compensates_the_canonical_tube_alike(shared_data):
    path = shared_data / "tbnk_auto" / "1.fcs"
    ours = read_fcs(path)
    matrix = spillover_for(ours, "keyword")
    assert len(matrix.detectors) == 6
    theirs = flowkit.Sample(str(path))
    theirs.apply_compensation(theirs.metadata["spill"])
    assert ours.keywords["SPILL"] == theirs.metadata["spill"]
    indices = [theirs.get_channel_index(detector) for detector in matrix.detectors]
    expected = theirs.get_events("comp")[:, indices]
    found = ours.columns(matrix.detectors) @ matrix.compensation
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "size", "condition"),
    [
        ("tbnk_auto/1.fcs", 6, 1.5),
        ("cytopipeline_omip021/inst/extdata/Donor1.fcs", 16, 5.4),
        ("comp_controls_autospill/inst/extdata/Be1/Compensation Controls_APC Stained Control_007.fcs", 28, 1.0),
        ("qc_peacoqc/inst/extdata/111.fcs", 13, 4.5),
        ("flowio/data/fcs_files/100715.fcs", 13, 8.3),
    ],
)
def test_keywords_of_real_tubes(shared_data, name, size, condition):
    if not (shared_data / name).is_file():
        pytest.skip(f"{name} is not in the reference data")
    matrix = Spillover.from_keyword(read_fcs(shared_data / name))
    assert len(matrix.detectors) == size
    assert round(matrix.condition_number, 1) == condition


def test_single_stains_lose_their_spillover(shared_data, tmp_path):
    """flowCore's matrix for its own single stains: what the other detectors see is background."""
    folder = shared_data / "flowcore_extdata" / "inst" / "extdata" / "compdata"
    if not folder.is_dir():
        pytest.skip("flowcore_extdata is not in the reference data")
    path = tmp_path / "compref.csv"
    path.write_text((folder / "compref").read_text().replace(" ", ","))
    unstained = read_fcs(folder / "data" / "060909.001")
    matrix = spillover_for(unstained, str(path))
    assert matrix.detectors == ("FL1-H", "FL2-H", "FL3-H", "FL4-H")
    background = np.median(unstained.columns(matrix.detectors), axis=0)
    worst = 0.0
    for stain, file in enumerate(["060909.002", "060909.003", "060909.005", "060909.004"]):
        light = read_fcs(folder / "data" / file).columns(matrix.detectors) - background
        light = light[light[:, stain] > np.median(light[:, stain])]
        others = np.arange(4) != stain
        before, after = np.median(light, axis=0), np.median(light @ matrix.compensation, axis=0)
        worst = max(worst, (before[others] / before[stain]).max())
        assert (np.abs(after[others]) < 0.01 * after[stain] + background[others]).all()
    assert worst > 0.2  # a fifth of the light was in another detector


def test_a_vendor_matrix_that_is_no_csv_is_refused(shared_data):
    path = shared_data / "flowcore_extdata" / "inst" / "extdata" / "compdata" / "compmatrix"
    if not path.is_file():
        pytest.skip("flowcore_extdata is not in the reference data")
    with pytest.raises(SpilloverError) as caught:
        Spillover.from_csv(path)
    assert str(path) in str(caught.value)

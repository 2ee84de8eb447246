"""$VOL in microlitres: real files of three makers, and what no file should say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.counting.volume import LEAST_UL, MOST_UL, VOLUME, check_volume
from nti7flow.events.fcs import read_fcs


def found(volume, cytometer="LSRFortessa"):
    (check,) = check_volume({"$VOL": volume, "$CYT": cytometer})
    return check


def test_the_standard_is_nanolitres():
    check = found("30500")
    assert (check.value, check.severity) == (30.5, "")
    assert check.check.startswith(f"{VOLUME} $VOL 30500 read as nL")


@pytest.mark.parametrize("cytometer", ["Aurora", "Northern Lights", "Cytek Aurora CS", "NL-3000"])
def test_cytek_writes_microlitres(cytometer):
    check = found("      30.5", cytometer)
    assert (check.value, check.severity) == (30.5, "")
    assert check.check.startswith(f"{VOLUME} $VOL 30.5 read as uL")


def test_the_cytometer_decides_where_both_are_possible():
    assert found("2000", "Aurora").value == 2000
    assert found("2000").value == 2


@pytest.mark.parametrize(("volume", "cytometer", "value"), [("30.5", "LSRFortessa", 30.5), ("30500", "Aurora", 30.5)])
def test_where_only_the_other_unit_is_possible_a_person_should_look(volume, cytometer, value):
    check = found(volume, cytometer)
    assert (check.value, check.severity) == (value, "review")
    assert "impossible" in check.check


def test_what_no_unit_makes_possible_has_no_value():
    check = found("0.4")
    assert (check.value, check.severity) == (None, "review")
    assert found("9e6").value is None


@pytest.mark.parametrize("text", ["", "  ", "n/a", "30,5", "0", "-3", "nan", "inf", "30 \x1b[31mul"])
def test_what_is_no_volume_is_told(text):
    check = found(text)
    assert (check.value, check.severity) == (None, "info")
    assert check.check.isprintable()


def test_no_keyword_no_row():
    assert list(check_volume({"$CYT": "Aurora"})) == []
    assert [check.value for check in check_volume({"$VOL": "20000"})] == [20.0]  # nor need the cytometer be named


@given(st.floats(1e-9, 1e12), st.sampled_from(["Aurora", "LSRFortessa", ""]))
def test_a_volume_is_always_one_that_a_tube_can_hold(number, cytometer):
    check = found(repr(number), cytometer)
    assert check.value is None or (LEAST_UL <= check.value <= MOST_UL and check.value in (number, number / 1000))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("luciernaga_cellcounts/inst/extdata/CellCounts4L-NY071-1.fcs", 30.5),
        ("luciernaga_cellcounts/inst/extdata/CellCounts4L-NY072-1.fcs", 30.29),
    ],
)
def test_real_files(shared_data, name, value):
    path = shared_data / name
    if not path.is_file():
        pytest.skip(f"{path.name} of luciernaga_cellcounts is not there")
    (check,) = check_volume(read_fcs(path).keywords)
    assert (check.value, check.severity) == (value, "")


def test_the_standard_by_other_makers(shared_data):
    """MACSQuant, Accuri, Cube: nanolitres, of some ten to a hundred microlitres."""
    paths = sorted((shared_data / "vendor_fcsparser").rglob("*.fcs"))
    if not paths:
        pytest.skip("vendor_fcsparser is not there")
    values = {}
    for path in paths:
        try:
            keywords = read_fcs(path).keywords
        except Exception:  # broken on purpose
            continue
        for check in check_volume(keywords):
            assert check.severity == ""
            values[keywords["$CYT"].split()[0], check.value] = path.name
    assert {("MACSQuant", 10.957), ("MACSQuant", 9.75), ("Cube_15", 99.0)} <= set(values)

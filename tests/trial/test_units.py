"""Units of concentration: the spellings of laboratories, the arithmetic of the litre, and what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.trial.units import CELLS_PER_UL, concentration_unit, per_decilitre, to_cells_per_ul

_UL_IN = {"uL": Fraction(1), "mL": Fraction(10**3), "L": Fraction(10**6), "dL": Fraction(10**5)}


@pytest.mark.parametrize("unit", CELLS_PER_UL)
def test_factors_follow_from_the_litre(unit):
    count, _, volume = unit.partition("/")
    cells = Fraction(1) if count == "cells" else Fraction(10 ** int(count.removeprefix("10^")))
    assert Fraction(str(CELLS_PER_UL[unit])) == cells / _UL_IN[volume]
    assert concentration_unit(unit) == unit


def test_what_the_registry_prints():
    # A decilitre is 100,000 µL: 200 cells/dL are 200 / 100,000 = 0.002 cells/µL.
    assert 200 / _UL_IN["dL"] == Fraction(2, 1000)
    assert concentration_unit("cells/dL") is None
    assert [per_decilitre(unit) for unit in ("cells/dL", "10^3 / dl", "cells/uL", "dL", "")] == [True, True] + 3 * [
        False
    ]


@pytest.mark.parametrize(
    ("proper", "spellings"),
    [
        ("cells/uL", "cells/µL|cells/μL|cells/ul|cell/uL|/uL|/µl|cells/mm3|cells/mm^3|/mm³|cells/cumm|/cmm|cells / uL"),
        ("10^3/uL", "K/uL|k/µL|10*3/uL|x10^3/uL|10³/µL|10E3/uL|Thousand/uL|thou/mm3|K/mm3|/nL|10^3 cells/uL"),
        ("10^9/L", "10*9/L|x10^9/L|x 10^9/L|×10⁹/L|10E9/L|E9/L|G/L|Gpt/L|10^9 cells/L|cells x10^9/L|10**9/l"),
        ("10^6/L", "10*6/L|x10E6/L|10⁶/L"),
        ("10^6/mL", "10^6/ml|10*6/mL|x10^6 cells/mL"),
        ("cells/mL", "/mL|cells/ml|cells/cm3"),
        ("cells/L", "/L|cells/l"),
    ],
)
def test_spellings(proper, spellings):
    assert {text: concentration_unit(text) for text in spellings.split("|")} == dict.fromkeys(
        spellings.split("|"), proper
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cells",
        "uL",
        "g/L",
        "g/dL",
        "mg/L",
        "109/L",
        "10^9",
        "10^12/L",
        "10^6/uL",
        "M/uL",
        "%",
        "K/L",
        "10^9/mL",
        "/",
    ],
)
def test_what_is_no_unit_of_a_white_cell_count(text):
    assert concentration_unit(text) is None


def test_a_count_by_hand():
    # 0.168 x 10^9 cells in 10^6 µL are 168 in one; 200,000 in a mL of 1000 µL are 200.
    assert to_cells_per_ul(0.168, "10^9/L") == 168
    assert to_cells_per_ul(200_000, "cells/mL") == 200
    assert to_cells_per_ul(0.0, "cells/L") == 0


@given(st.integers(0, 10**6), st.sampled_from(sorted(CELLS_PER_UL)))
def test_a_count_is_the_same_in_every_unit(per_ul, unit):
    written = Fraction(per_ul) / Fraction(str(CELLS_PER_UL[unit]))
    assert to_cells_per_ul(float(written), unit) == pytest.approx(per_ul, rel=1e-15)

"""What events are counted against: formulas by hand, and what travels with the number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.counting.budget import by_component, log_sd, pooled_errors
from nti7flow.counting.doublets import doublet_factors
from nti7flow.counting.reference import (
    DOUBLETS_IN_DOUBT,
    Doublets,
    Reference,
    by_anchor,
    by_beads,
    by_lymphocytes,
    by_volume,
)

BEADS = {"beads_per_tube": 50_000, "specimen_ul": 50.0, "dilution": 1.0, "bead_lot": "L1", "bead_cv": 0.03}
BEADS |= {"pipetting_cv": 0.02, "doublets": None}


def test_beads_by_hand():
    """10,000 beads of 50,000 in 50 µL: a fifth of the tube, 10 µL of blood; 870 CD4 T cells in it are 87/µL."""
    reference = by_beads(10_000, **BEADS)
    assert 870 * reference.cells_per_ul_of_one == pytest.approx(87)
    assert reference.amount / reference.cells_per_ul == pytest.approx(10)
    errors = {(e.component, e.shared): e.sd for e in reference.errors}
    assert errors == {("bead_lot", "L1"): log_sd(0.03), ("pipetting", ""): log_sd(0.02)}
    assert (reference.method, reference.kind) == ("beads", "beads")


def test_diluted_blood_counts_for_more():
    assert by_beads(10_000, **BEADS | {"dilution": 2.0}).cells_per_ul == 2 * by_beads(10_000, **BEADS).cells_per_ul


def test_volume_by_hand():
    """2,000 cells in 40 µL of blood that was made ten times as much: 500/µL."""
    reference = by_volume(40.0, dilution=10.0, volume_cv=0.03, source="$VOL", doublets=None)
    assert 2000 * reference.cells_per_ul_of_one == pytest.approx(500)
    assert by_component(reference.errors) == {"volume": log_sd(0.03)}
    assert reference.kind == "volume"


def test_dual_platform_by_hand():
    """A quarter of the lymphocytes, of which haematology counted 168/µL: 42/µL."""
    reference = by_lymphocytes(4000, alc_per_ul=168.0, cv=0.05, shared="P1 d0", source="ALC")
    assert 1000 * reference.cells_per_ul_of_one == pytest.approx(42)
    assert by_component(reference.errors) == {"hematology": log_sd(0.05)}


def test_anchor_by_hand():
    """30 % of the CD4 T cells of this tube are naive, and the other has 87 CD4 T cells per µL: 26.1/µL."""
    reference = by_anchor(2000, cells_per_ul=87.0, sd=0.06, population="cd4_t", sample="tbnk")
    assert 600 * reference.cells_per_ul_of_one == pytest.approx(26.1)
    (error,) = reference.errors
    assert (error.component, error.sd, error.shared) == ("anchor", 0.06, "tbnk")


def test_doublets_raise_cells_and_lower_by_beads_and_are_told_for_every_method():
    """The worked example of `doublet_factors`: 2.4 % of the cells were missed, 0.2 % of the beads."""
    doublets = Doublets(*doublet_factors(0.02, 50, 1000))
    plain = by_beads(1000, **BEADS)
    beads = by_beads(1000, **BEADS | {"doublets": doublets})
    assert beads.cells_per_ul / plain.cells_per_ul == pytest.approx(1.0244897959 / 1.002)
    volume = by_volume(40.0, dilution=1.0, volume_cv=0.03, source="$VOL", doublets=doublets)
    assert volume.cells_per_ul == pytest.approx(1.0244897959)
    for reference, factor in ((beads, 1.0244897959 / 1.002), (volume, 1.0244897959)):
        assert reference.inputs["doublets_of_cells"] == doublets.cells
        assert by_component(reference.errors)["doublets"] == pytest.approx(DOUBLETS_IN_DOUBT * (factor - 1))
    assert "doublets_of_cells" not in plain.inputs


def test_beads_of_no_named_lot_are_taken_to_be_of_one_where_they_are_as_many():
    nameless = BEADS | {"bead_lot": "", "pipetting_cv": 0.0}
    other = nameless | {"beads_per_tube": 52_000}

    def of_two(*each):
        return by_component(pooled_errors([by_beads(1000, **of).errors for of in each], [0.5, 0.5]))["bead_lot"]

    assert of_two(nameless, nameless) == pytest.approx(log_sd(0.03))
    assert of_two(nameless, other) == pytest.approx(log_sd(0.03) / math.sqrt(2))


def test_the_gate_of_beads_is_an_error_of_its_own():
    reference = by_beads(1000, **BEADS, gating_sd=50.0)
    assert by_component(reference.errors)["bead_gating"] == log_sd(0.05)
    assert "bead_gating" not in by_component(by_beads(1000, **BEADS).errors)


@pytest.mark.parametrize(("amount", "cells_per_ul"), [(0.0, 10.0), (10.0, 0.0), (-1.0, 1.0), (math.nan, 1.0)])
def test_nothing_is_counted_against_nothing(amount, cells_per_ul):
    with pytest.raises(ValueError, match="nothing can be counted against"):
        Reference("beads", amount, cells_per_ul, ())


@given(st.integers(20, 50_000), st.floats(1e3, 1e6), st.floats(5, 500), st.floats(1, 50))
def test_half_of_everything_is_the_same_concentration(n_beads, beads_per_tube, specimen_ul, dilution):
    """Half a tube: half the beads and half the blood, so each cell stands for as much as in the whole one."""
    of = BEADS | {"beads_per_tube": beads_per_tube, "specimen_ul": specimen_ul, "dilution": dilution}
    half = of | {"beads_per_tube": beads_per_tube / 2, "specimen_ul": specimen_ul / 2}
    assert by_beads(n_beads, **half).cells_per_ul_of_one == pytest.approx(by_beads(n_beads, **of).cells_per_ul_of_one)

"""Dim CD8 T cells: by hand, against a threshold that is moved, and never without a gate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.counting.dim import DIM, dim_sd
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import RectangleGate
from nti7flow.gating.strategy import Members, Population
from nti7flow.gating.values import DisplayValues

AXIS = Dimension("CD8-A", "CD8", False, Linear(1000.0, 0.0))
ABOVE_300 = RectangleGate((AXIS,), (0.3,), (None,))


def gated(path, cd8, *, gate=ABOVE_300, missing=()):
    """T cells by their CD8, the threshold at 300 of 1,000."""
    cd8 = np.asarray(cd8, float)
    write_events(path, cd8[:, None], ["CD8-A"], markers=["CD8"])
    members = Members(len(cd8))
    members.set("cd8_t", np.flatnonzero(cd8 >= 300))
    members.set("dn_t", np.flatnonzero(cd8 < 300))
    for name in missing:
        members.set(name, None)
    populations = [Population("cd8_positive", "CD8+", None, gate, "ok", ())]
    return DisplayValues(read_fcs(path), Spillover.none()), populations, members


def test_by_hand(tmp_path):
    # The middle is at 700, 400 above the threshold: dim are the 30 below 300 + 0.6 * 400 = 540.
    found = dim_sd(*gated(tmp_path / "t.fcs", [100] * 50 + [539] * 30 + [541] * 5 + [700] * 100))
    assert found == {"cd8_t": pytest.approx(30 / math.sqrt(3)), "dn_t": pytest.approx(30 / math.sqrt(3))}


def test_a_clear_population_leaves_nothing_open(tmp_path):
    assert dim_sd(*gated(tmp_path / "t.fcs", [100] * 50 + [700] * 100)) == {"cd8_t": 0, "dn_t": 0}


def test_it_is_how_far_off_thresholds_put_anywhere_are(tmp_path):
    """Dim events spread evenly: move the threshold through them, and take the root of the mean square difference."""
    cd8 = np.concatenate([np.linspace(300, 540, 200, endpoint=False), np.full(1000, 700.0)])
    thresholds = np.linspace(300, 300 + DIM * 400, 500)
    off = [np.count_nonzero((cd8 >= 300) & (cd8 < threshold)) for threshold in thresholds]
    found = dim_sd(*gated(tmp_path / "t.fcs", cd8))
    assert found["cd8_t"] == pytest.approx(math.sqrt(np.mean(np.square(off))), rel=0.01)


@pytest.mark.parametrize("wrong", [{"gate": None}, {"gate": RectangleGate((AXIS,), (None,), (0.3,))}])
def test_without_a_threshold_nothing_is_said(tmp_path, wrong):
    assert dim_sd(*gated(tmp_path / "t.fcs", [700] * 100, **wrong)) == {}


def test_of_few_cells_or_none_nothing_is_said(tmp_path):
    assert dim_sd(*gated(tmp_path / "a.fcs", [100] * 50 + [700] * 19)) == {}
    assert dim_sd(*gated(tmp_path / "b.fcs", [700] * 50, missing=("cd8_t",))) == {}
    assert set(dim_sd(*gated(tmp_path / "c.fcs", [700] * 50, missing=("dn_t",)))) == {"cd8_t"}


@given(st.lists(st.integers(0, 999), min_size=25, max_size=60), st.integers(1, 40))
def test_dim_cells_more_are_no_less_open_and_bright_ones_are_not_dim(tmp_path_factory, cd8, more):
    folder = tmp_path_factory.mktemp("dim")
    found = dim_sd(*gated(folder / "a.fcs", cd8)).get("cd8_t", 0.0)
    n_cd8 = sum(value >= 300 for value in cd8)
    assert 0 <= found <= n_cd8 / 2 / math.sqrt(3)  # at least half are at the middle or above
    bright = dim_sd(*gated(folder / "b.fcs", [*cd8, *[999] * (n_cd8 + more)])).get("cd8_t", 0.0)
    assert bright >= found

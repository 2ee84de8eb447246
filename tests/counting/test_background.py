"""Background events: by hand, by chance alone, and on a simulated tube of which is known who is who."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_tubes import LINEAGES, blood, stated_spillover

from nti7flow.counting.background import estimate_background, excess_at_start
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, Operand, RectangleGate
from nti7flow.gating.strategy import Members, Population
from nti7flow.gating.values import DisplayValues
from nti7flow.simulation import Flow, Preparation, Stop, simulate_tube
from nti7flow.study.plan import make_plan
from nti7flow.study.tube import Progress, gate_wave
from nti7flow.study.tube_rows import count_rows


def test_by_hand():
    # A quarter as many events at the start as later: 8 later let 2 be expected, give or take sqrt(2 * 1.25) = 1.58.
    assert excess_at_start(12, 8, 0.25) == pytest.approx(12 - 2 - math.sqrt(2.5))
    assert excess_at_start(3, 8, 0.25) == 0
    assert excess_at_start(7, 0, 0.25) == 7  # only at the start: all of it
    assert excess_at_start(0, 0, 0.25) == 0


@given(st.integers(0, 10**5), st.integers(0, 10**6), st.floats(0, 1))
def test_never_more_than_came_at_the_start_and_less_the_more_come_later(n_start, n_later, ratio):
    excess = excess_at_start(n_start, n_later, ratio)
    assert 0 <= excess <= n_start
    assert excess_at_start(n_start, n_later + 1, ratio) <= excess


@pytest.mark.parametrize("n", [20, 200, 2000, 20_000])
def test_chance_alone_makes_little_background(n):
    """Of a population spread over a tube a tenth is at the start; on average it has a background below 5 % of √N."""
    at_start = np.random.default_rng(n).binomial(n, 0.1, 4000)
    mean = np.mean([excess_at_start(int(k), n - int(k), 1 / 9) for k in at_start])
    assert mean < 0.05 * math.sqrt(n)


AXES = {name: Dimension(f"{name}-A", name, False, Linear(1000.0, 0.0)) for name in ("CD19", "CD56")}


def above(marker):
    return RectangleGate((AXES[marker],), (0.5,), (None,))


def toy(path, *, cd19_of_t=0, sticky=0, early_b=0, keywords=None, seconds=30.0):
    """1,000 T cells and 500 others over 30 s, 40 of these B cells; some T cells carry CD19, or CD19 and CD56."""
    n = 1500
    values = np.zeros((n + early_b, 3))
    values[:n, 0] = np.linspace(0, seconds, n) * 100
    values[:cd19_of_t, 1] = 900
    values[cd19_of_t : cd19_of_t + sticky, 1:] = 900
    values[1000:1500, 2] = 900
    is_b = np.linspace(1000, 1499, 40).astype(int)
    values[is_b, 1:] = (900, 0)
    values[n:, 1] = 900  # at once, when the tube begins
    order = np.random.default_rng(1).permutation(1500)
    values[:n, 0] = values[order, 0]  # T and B cells all over the tube
    step = {"$TIMESTEP": "0.01"} if keywords is None else keywords
    write_events(path, values, ["Time", "CD19-A", "CD56-A"], markers=["", "CD19", "CD56"], keywords=step)
    sample, members = read_fcs(path), Members(len(values))
    b = np.concatenate([is_b, np.arange(n, n + early_b)])
    members.set("t_cells", np.arange(1000))
    members.set("non_t", np.arange(1000, len(values)))
    members.set("cd19_positive", b)
    members.set("b_cells", b)
    members.set("nk_cells", np.setdiff1d(np.arange(1000, 1500), is_b))
    members.set("nobody", None)
    populations = [
        Population("t_cells", "T", None, None, "ok", ()),
        Population("non_t", "not T", None, None, "ok", ()),
        Population("cd19_positive", "CD19+", "non_t", above("CD19"), "ok", ()),
        Population("b_cells", "B", "non_t", BooleanGate("and", (Operand("cd19_positive"),)), "ok", ()),
        Population("nk_cells", "NK", "non_t", above("CD56"), "ok", ()),
        Population("nobody", "nobody", None, None, "not_in_panel", ()),
    ]
    return DisplayValues(sample, Spillover.none()), populations, members


def test_a_tube_without_either_source(tmp_path):
    found = estimate_background(*toy(tmp_path / "a.fcs"))
    assert set(found) == {"t_cells", "non_t", "cd19_positive", "b_cells", "nk_cells"}
    assert max(found.values()) < 10  # chance, of 1,000
    assert found["b_cells"] < 2


def test_b_cells_that_come_at_once_are_of_the_tube_before(tmp_path):
    before = estimate_background(*toy(tmp_path / "a.fcs"))
    found = estimate_background(*toy(tmp_path / "b.fcs", early_b=30))
    assert found["b_cells"] - before["b_cells"] == pytest.approx(30, abs=3)
    assert found["t_cells"] == pytest.approx(before["t_cells"], abs=3)


def test_t_cells_in_the_gate_of_b_cells_tell_how_many_others_are(tmp_path):
    none = estimate_background(*toy(tmp_path / "a.fcs"))
    ten = estimate_background(*toy(tmp_path / "b.fcs", cd19_of_t=10))
    # 10 of 1,000 T cells are in the gate: of 500 other lymphocytes 5 are expected to be.
    assert ten["b_cells"] - none["b_cells"] == pytest.approx(5.0)
    assert {**ten, "b_cells": 0} == {**none, "b_cells": 0}


def test_cells_that_hold_on_to_everything_tell_nothing_of_b_cells(tmp_path):
    none = estimate_background(*toy(tmp_path / "a.fcs"))
    sticky = estimate_background(*toy(tmp_path / "b.fcs", sticky=10))
    assert sticky["b_cells"] == none["b_cells"]


def test_not_estimated_without_a_clock_in_seconds_or_in_a_short_tube(tmp_path):
    assert estimate_background(*toy(tmp_path / "a.fcs", keywords={})) == {}
    assert estimate_background(*toy(tmp_path / "b.fcs", seconds=5.0)) == {}


@pytest.mark.parametrize("seed", range(3))
def test_a_simulated_tube_after_rituximab(tmp_path, seed):
    """No B cells in the blood: those in the gate are of the tube before, and the background says so."""
    tube = simulate_tube(
        np.random.default_rng(300 + seed),
        cells_per_ul=blood({**LINEAGES, "b_cells": 0.0}),
        stop=Stop(events=25_000),
        preparation=Preparation(debris_per_ul=600, ghosts_per_ul=100, beads=50_000),
        flow=replace(Flow(), carry_over=60.0),
    )
    path = tmp_path / "tube.fcs"
    write_events(path, tube.events, tube.detectors, markers=tube.markers,
                 keywords={"$SPILLOVER": stated_spillover(tube), "$TIMESTEP": "0.001"})  # fmt: skip
    plan = make_plan([path], template="tbnk@2.0.0")
    gated = gate_wave(plan, plan.tubes[0], 0, Progress(), {})
    rows = {row["population"]: row for row in count_rows(gated)}
    n_b, background = rows["b_cells"]["n_events"], rows["b_cells"]["background"]
    assert n_b <= background + 2 * math.sqrt(background + 1)
    for name in ("t_cells", "cd4_t", "cd8_t", "nk_cells"):
        assert rows[name]["background"] < 0.02 * rows[name]["n_events"] + 10

"""Doublets of leukocytes: found among events of known kind, and what they hide, of pairs drawn at random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_tubes import stated_spillover

from nti7flow.counting.doublets import DOUBLETS, check_doublets, doublet_factors
from nti7flow.counting.fractions import Count
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.gating.strategy import Members
from nti7flow.simulation import Preparation, simulate_tube
from nti7flow.study.plan import make_plan
from nti7flow.study.tube import Progress, gate_wave

NONE = Spillover.none()


def count(population, parent="root"):
    return Count(population, population, "", parent, 0, 0, 0, None, None, "ok", (), "")


def tube(path, *, single=4900, double=50, debris=3000, beads=400, marker="CD45"):
    """Lymphocytes, a doublet of each kind, debris as bright in CD45 as debris is, and beads that are brighter."""
    cd45 = np.concatenate([np.full(single, 1000), np.full(double, 200), np.full(debris, 10), np.full(beads, 9000)])
    write_events(path, cd45[:, None].astype(float), ["PerCP-A"], markers=[marker])
    members = Members(len(cd45))
    members.set("lymphocytes", np.arange(min(single, 500)))
    members.set(
        "singlets", np.concatenate([np.arange(single), np.arange(single + double, single + double + debris // 2)])
    )
    members.set("beads", np.arange(len(cd45) - beads, len(cd45)))
    return read_fcs(path), members


def found(sample, members, *, limit=0.15):
    return list(check_doublets(sample, NONE, members, [count("singlets")], limit=limit))


def test_leukocytes_outside_the_gate_of_singlets_are_found_and_debris_and_beads_are_not(tmp_path):
    (check,) = found(*tube(tmp_path / "a.fcs"))
    assert check.check.split()[0] == DOUBLETS
    assert (check.value, check.n_excluded, check.limit, check.severity) == (pytest.approx(0.02), 50, 0.15, "")


def test_a_clot_is_for_review(tmp_path):
    (check,) = found(*tube(tmp_path / "a.fcs", double=600))
    assert check.value == pytest.approx(1200 / 6100)
    assert check.severity == "review"


def test_no_doublets_is_a_share_of_zero(tmp_path):
    (check,) = found(*tube(tmp_path / "a.fcs", double=0))
    assert (check.value, check.n_excluded) == (0, 0)


def test_nothing_is_said_without_cd45_without_singlets_or_of_few_cells(tmp_path):
    assert found(*tube(tmp_path / "a.fcs", marker="CD3")) == []
    assert found(*tube(tmp_path / "b.fcs", single=150, double=20)) == []
    sample, members = tube(tmp_path / "c.fcs")
    members.set("singlets", None)
    assert found(sample, members) == []


def test_by_hand():
    # 5,000 cells, 100 of them in 50 pairs; 1,000 beads: 2 * 50 * 1000 / 5000 = 20 cells behind beads, and
    # 50 * (1000 / 5000)^2 = 2 beads behind beads.
    cells, beads = doublet_factors(100 / 5000, 50, 1000)
    assert cells == pytest.approx((4900 + 100 + 20) / 4900, rel=1e-12)
    assert beads == pytest.approx(1 + 2 / 1000, rel=1e-12)


def test_without_doublets_or_beads():
    assert doublet_factors(0.0, 0, 5000) == (1.0, 1.0)
    assert doublet_factors(0.5, 50, 0) == (pytest.approx(2.0), 1.0)


@pytest.mark.parametrize("wrong", [(1.0, 5, 5), (-0.1, 5, 5), (0.1, -5, 5), (0.1, 0, 5), (0.0, 5, 5), (0.1, 5, -1)])
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(ValueError, match="do not go together"):
        doublet_factors(*wrong)


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.integers(0, 10**5))
def test_the_single_cells_come_out_of_the_share_again(single, double, beads):
    share = 2 * double / (single + 2 * double)
    cells, of_beads = doublet_factors(share, double, beads)
    total = single + 2 * double
    assert cells * single == pytest.approx(total + 2 * double * beads / total, rel=1e-9)
    assert of_beads * beads == pytest.approx(beads + double * (beads / total) ** 2, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_drawn_at_random(seed):
    """Of 60,000 cells and 20,000 beads some pass in pairs; from singles and pairs of cells both numbers come back."""
    rng = np.random.default_rng(seed)
    is_bead = rng.random(80_000) < 0.25
    n_cells, n_beads = int((~is_bead).sum()), int(is_bead.sum())
    first, second = is_bead[:6000].reshape(2, 3000)  # every 27th pulse
    alone = is_bead[6000:]
    n_singlets, n_doublets = int((~alone).sum()), int((~first & ~second).sum())
    seen_beads = int(alone.sum() + (first | second).sum())
    cells, beads = doublet_factors(2 * n_doublets / (n_singlets + 2 * n_doublets), n_doublets, seen_beads)
    assert n_singlets * cells == pytest.approx(n_cells, rel=0.006)
    assert seen_beads * beads == pytest.approx(n_beads, rel=0.006)
    assert n_singlets / n_cells < 0.94  # uncorrected


def test_a_simulated_tube_gated_has_its_cells_back(tmp_path):
    """Ours times the factor against cells that really passed, both of a doublet counted."""
    simulated = simulate_tube(np.random.default_rng(7), preparation=Preparation(beads=50_000))
    path = tmp_path / "tube.fcs"
    keywords = {"$SPILLOVER": stated_spillover(simulated)}
    write_events(path, simulated.events, simulated.detectors, markers=simulated.markers, keywords=keywords)
    plan = make_plan([path], template="tbnk@2.0.0")
    gated = gate_wave(plan, plan.tubes[0], 0, Progress(), {})
    (row,) = [check for check in gated.quality if check["check"].startswith(DOUBLETS)]
    n = {c.population: c.n_events for c in gated.counts}
    cells, beads = doublet_factors(row["value"], row["n_excluded"], n["beads"])
    truth = simulated.cells()
    assert n["t_cells"] < 0.985 * truth["t_cells"]
    assert n["t_cells"] * cells == pytest.approx(truth["t_cells"], rel=0.015)
    assert n["beads"] * beads == pytest.approx(truth["beads"], rel=0.015)

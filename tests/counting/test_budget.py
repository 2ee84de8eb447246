"""Components of the uncertainty: against other people's log-normals, Monte Carlo, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nti7flow.counting.budget import Error, budget, by_component, log_sd, pooled_errors, total_sd

sds = st.floats(0, 0.5)


@pytest.mark.parametrize("cv", [0.0, 0.01, 0.2, 1.5])
def test_log_sd_is_that_of_a_log_normal_with_the_coefficient_of_variation(cv):
    if cv == 0:
        assert log_sd(0.0) == 0.0
        return
    spread = stats.lognorm(log_sd(cv))
    assert spread.std() / spread.mean() == pytest.approx(cv, rel=1e-12)


@pytest.mark.parametrize("sd", [-0.1, math.nan, math.inf])
def test_an_error_without_a_size_is_refused(sd):
    with pytest.raises(ValueError, match="the error of pipetting"):
        Error("pipetting", sd)


def test_two_tubes_of_one_lot_by_hand():
    tube = (Error("bead_lot", 0.03, "L1"), Error("pipetting", 0.02))
    pooled = by_component(pooled_errors([tube, tube], [0.5, 0.5]))
    assert pooled["bead_lot"] == pytest.approx(0.03)
    assert pooled["pipetting"] == pytest.approx(0.02 / math.sqrt(2))
    two_lots = [(Error("bead_lot", 0.03, "L1"),), (Error("bead_lot", 0.03, "L2"),)]
    assert total_sd(pooled_errors(two_lots, [0.5, 0.5])) == pytest.approx(0.03 / math.sqrt(2))


def test_errors_of_a_pool_are_those_of_a_simulation():
    """Three tubes, two of them of one lot, weighted by the blood they looked at; a million draws of every error."""
    rng = np.random.default_rng(7)
    weights = np.array([0.5, 0.3, 0.2])
    lots, pipetting, lot_sd = ("A", "A", "B"), (0.03, 0.02, 0.05), 0.04
    errors = [(Error("bead_lot", lot_sd, lot), Error("pipetting", sd)) for lot, sd in zip(lots, pipetting, strict=True)]
    draws = {lot: rng.normal(0, lot_sd, 1_000_000) for lot in "AB"}
    tubes = [draws[lot] + rng.normal(0, sd, 1_000_000) for lot, sd in zip(lots, pipetting, strict=True)]
    simulated = np.log(weights @ np.exp(tubes)).std()
    assert total_sd(pooled_errors(errors, weights.tolist())) == pytest.approx(simulated, rel=0.01)


@given(st.lists(st.tuples(sds, sds, st.sampled_from(["", "A", "B"])), min_size=1, max_size=5), st.randoms())
def test_order_of_tubes_does_not_matter_and_sharing_never_helps(tubes, random):
    weights = [1 / len(tubes)] * len(tubes)

    def pooled(those):
        return total_sd(pooled_errors([(Error("lot", a, lot), Error("pipette", b)) for a, b, lot in those], weights))

    shuffled = random.sample(tubes, len(tubes))
    assert pooled(shuffled) == pytest.approx(pooled(tubes), abs=1e-12)
    alone = pooled([(a, b, "") for a, b, _ in tubes])
    shared = pooled([(a, b, "one") for a, b, _ in tubes])
    assert alone <= pooled(tubes) + 1e-12
    assert pooled(tubes) <= shared + 1e-12


@given(st.lists(sds, min_size=1, max_size=4), sds)
def test_a_larger_error_never_makes_less(tubes, more):
    weights = [1 / len(tubes)] * len(tubes)
    before = total_sd(pooled_errors([(Error("pipette", sd),) for sd in tubes], weights))
    after = total_sd(pooled_errors([(Error("pipette", sd + more * (i == 0)),) for i, sd in enumerate(tubes)], weights))
    assert after >= before - 1e-12


def test_one_tube_alone_is_itself():
    errors = (Error("bead_lot", 0.02, "L"), Error("pipetting", 0.015), Error("gating", 0.04))
    assert pooled_errors([errors], [1.0]) == errors


def test_budget_by_hand():
    """100 cells and 1,000 beads, 2 % of lot and of pipette: variances 100, 10, 4 and 4, of 118 in all (times 1e-4)."""
    parts = {
        part.component: part for part in budget(100, 1000, [Error("bead_lot", 0.02), Error("p", 0.02)], kind="beads")
    }
    assert {name: round(part.share_percent, 2) for name, part in parts.items()} == {
        "cells": 84.75,
        "beads": 8.47,
        "bead_lot": 3.39,
        "p": 3.39,
    }
    assert next(iter(parts)) == "cells"
    assert parts["cells"].cv_percent == pytest.approx(100 * math.sqrt(math.exp(0.01) - 1))


def test_budget_of_a_share_is_binomial():
    """(1 - p) / (n p) of DOMAIN.md for 200 of 1,000; nothing at all for the whole."""
    (cells,) = budget(200, 1000, [], kind="share")
    assert math.log1p((cells.cv_percent / 100) ** 2) == pytest.approx((1 - 0.2) / (1000 * 0.2))
    (whole,) = budget(1000, 1000, [], kind="share")
    assert (whole.cv_percent, whole.share_percent) == (0.0, 0.0)


def test_budget_without_an_event_still_says_what_dominates():
    parts = budget(0, 5000, [Error("bead_lot", 0.02)], kind="beads")
    assert parts[0].component == "cells"
    assert sum(part.share_percent for part in parts) == pytest.approx(100)


@given(st.integers(0, 5000), st.integers(20, 20_000), sds, sds)
def test_shares_add_up_and_fall(n_events, n_beads, lot, pipette):
    parts = budget(n_events, n_beads, [Error("bead_lot", lot), Error("pipetting", pipette)], kind="beads")
    shares = [part.share_percent for part in parts]
    assert sum(shares) == pytest.approx(100)
    assert shares == sorted(shares, reverse=True)

"""Two arms of an L: each marker's positives, up to where the other's begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import dimensions, histogram_of, place, place_and_judge

from nti7flow.gating.fit import make_gate
from nti7flow.gating.histogram import Histogram


def inside(placement, points):
    return make_gate(placement, dimensions(2)).contains(np.asarray(points, float))


def lymphocytes(rng, *, cd4=3000, cd8=2000, dn=200, cd8dim=0, cd4dim=0):
    """T cells on a display scale, and which of them are CD4, CD8 or neither (0)."""

    def cloud(n, x, y, sx, sy):
        return np.column_stack([rng.normal(x, sx, n), rng.normal(y, sy, n)])

    parts = [
        (4, cloud(cd4, 0.57, 0.22, 0.015, 0.04)),
        (4, cloud(cd8dim, 0.57, 0.48, 0.015, 0.04)),
        (8, cloud(cd8, 0.20, 0.63, 0.07, 0.027)),
        (8, cloud(cd4dim, 0.43, 0.63, 0.06, 0.027)),
        (0, cloud(dn, 0.20, 0.28, 0.07, 0.05)),
    ]
    return np.concatenate([p for _, p in parts]), np.concatenate([np.full(len(p), k) for k, p in parts])


def f1(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.fixture(scope="module")
def arms():
    """Levels 0.6 and 0.6 of equal width, thresholds half-way to negatives at 0.2: the border is the diagonal."""
    steps = np.arange(-4, 5) * 0.005
    level, any_other = np.meshgrid(0.6 + steps, np.arange(0.1, 0.3, 0.005))
    one = np.column_stack([level.ravel(), any_other.ravel()])
    points = np.repeat(np.concatenate([one, one[:, ::-1]]), 3, axis=0)
    return place("arm_2d@1", points), place("arm_2d@1", points[:, ::-1])


class TestByHand:
    def test_the_level_and_the_threshold_are_those_drawn(self, arms):
        for arm in arms:
            assert arm.diagnostics["level"] == pytest.approx(0.6, abs=0.004)
            assert arm.diagnostics["width"] == pytest.approx(arm.diagnostics["other_width"], rel=0.05)
            assert arm.diagnostics["threshold"] == pytest.approx(0.44, abs=0.03)

    def test_a_point_belongs_to_the_arm_whose_level_it_is_nearer_to(self, arms):
        points = [(0.6, 0.2), (0.6, 0.5), (0.57, 0.52), (0.52, 0.57), (0.5, 0.6), (0.2, 0.6), (0.2, 0.2), (0.7, 0.61)]
        first, second = (inside(arm, p) for arm, p in zip(arms, (points, np.fliplr(points)), strict=True))
        assert first.tolist() == [True, True, True, False, False, False, False, False]
        assert second.tolist() == [False, False, False, True, True, True, False, True]


class TestAgainstTruth:
    def test_dim_cells_stay_with_their_lineage(self):
        points, label = lymphocytes(np.random.default_rng(1), cd8dim=400, cd4dim=300)
        cd4 = inside(place("arm_2d@1", points), points)
        cd8 = inside(place("arm_2d@1", points[:, ::-1]), points[:, ::-1])
        assert f1(cd4, label == 4) > 0.995
        assert f1(cd8, label == 8) > 0.985
        thresholds = [place("density_valley@1", points[:, i]).lower for i in (0, 1)]
        high = points >= np.array(thresholds)
        assert f1(high[:, 0] & ~high[:, 1], label == 4) < 0.95  # what a cross of two thresholds makes of them

    @pytest.mark.parametrize("n", [100, 300, 1000])
    def test_few_cells_are_held_firmly(self, n):
        points, label = lymphocytes(np.random.default_rng(2), cd4=n, cd8=n, dn=n // 10)
        fitted = place_and_judge("arm_2d@1", points)
        assert fitted.placement.placed and not fitted.flags
        assert f1(inside(fitted.placement, points), label == 4) > 0.98


@given(
    seed=st.integers(0, 20),
    x=st.floats(-0.2, 1.2, allow_nan=False),
    y=st.floats(-0.2, 1.2, allow_nan=False),
    spread=st.floats(0.5, 1.5),
)
def test_arms_share_no_cell_and_leave_out_only_double_negatives(seed, x, y, spread):
    points, _ = lymphocytes(np.random.default_rng(seed))
    points = points.mean(axis=0) + (points - points.mean(axis=0)) * np.array([1.0, spread])
    one, other = place("arm_2d@1", points), place("arm_2d@1", points[:, ::-1])
    positive = x > one.diagnostics["threshold"] + 1e-3 or y > one.diagnostics["other_threshold"] + 1e-3
    negative = x < one.diagnostics["threshold"] - 1e-3 and y < one.diagnostics["other_threshold"] - 1e-3
    owners = int(inside(one, [(x, y)])[0]) + int(inside(other, [(y, x)])[0])
    if positive:
        assert owners == 1
    elif negative:
        assert owners == 0


class TestWhatItCannotPlace:
    def test_one_population_has_no_arms(self):
        points = np.random.default_rng(3).normal(0.5, 0.05, (2000, 2))
        assert "one mode" in place("arm_2d@1", points).reason

    def test_it_says_which_marker_has_no_valley(self):
        points, label = lymphocytes(np.random.default_rng(4))
        assert place("arm_2d@1", points[label != 8]).reason.startswith("Y: ")
        assert place("arm_2d@1", points[label != 4]).reason.startswith("X: ")

    def test_an_empty_histogram_is_refused(self):
        empty = histogram_of(np.zeros((1, 2)))
        assert place("arm_2d@1", Histogram(empty.axes, empty.counts * 0)).reason

    def test_cells_that_stand_in_both_arms_are_for_a_person_to_look_at(self):
        rng = np.random.default_rng(5)
        points, _ = lymphocytes(rng)
        double = np.column_stack([rng.normal(0.57, 0.015, 400), rng.normal(0.63, 0.027, 400)])
        assert place("arm_2d@1", points).flags == ()
        assert place("arm_2d@1", np.concatenate([points, double])).flags == ("arms_meet",)

"""Backgating: where a population lies that another marker sets apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_t
from simulated_tubes import LINEAGES, simulated_tube, stated_spillover
from toys import dimensions, histogram_of, place, place_and_judge

from nti7flow.events.made import make_sample
from nti7flow.events.spillover import spillover_for
from nti7flow.gating.fit import make_gate
from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.backgate import FREEDOM, MEDIAN_DISTANCE, locate
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.template import load_template
from nti7flow.simulation.tube import TIME_STEP_S

COVARIANCE = np.array([[0.0016, 0.0006], [0.0006, 0.0009]])
MEAN = np.array([0.6, 0.3])
NO_FLOOR = np.full(2, 1e-9)


def normal(n, seed=1, mean=MEAN, covariance=COVARIANCE):
    return np.random.default_rng(seed).multivariate_normal(mean, covariance, n)


def inside(placement, points):
    return make_gate(placement, dimensions(2)).contains(np.asarray(points, float))


class TestLocate:
    def test_five_points_by_hand(self):
        """A cross and its centre, the centre counted nine times.

        By symmetry the mean is the centre and the covariance a multiple of the identity. The squared distance of half
        of the events and more is 0, so the scale is the least it may be.
        """
        points = np.array([(0.5, 0.5), (0.7, 0.5), (0.3, 0.5), (0.5, 0.7), (0.5, 0.3)])
        mean, covariance = locate(points, np.array([9.0, 1, 1, 1, 1]), np.full(2, 0.01))
        assert mean == pytest.approx([0.5, 0.5])
        assert covariance[0, 1] == pytest.approx(0) and covariance[0, 0] == pytest.approx(covariance[1, 1])

    def test_a_ring_by_hand(self):
        """Events at one distance r from the centre: half of a Gaussian lies within sqrt(2 ln 2) of its spread."""
        angles = np.arange(12) * np.pi / 6
        points = 0.5 + 0.1 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        mean, covariance = locate(points, np.ones(12), NO_FLOOR)
        assert mean == pytest.approx([0.5, 0.5])
        assert np.sqrt(np.diag(covariance)) == pytest.approx([0.1 / np.sqrt(2 * np.log(2))] * 2, rel=1e-6)

    @pytest.mark.parametrize("seed", range(3))
    def test_maximum_likelihood_by_another_way(self, seed):
        """SciPy's t distribution and its simplex, on the events themselves."""
        points = multivariate_t.rvs(MEAN, COVARIANCE / 2, df=FREEDOM, size=400, random_state=seed)

        def unlikely(p):
            root = np.array([[np.exp(p[2]), 0], [p[3], np.exp(p[4])]])
            return -multivariate_t.logpdf(points, p[:2], root @ root.T, df=FREEDOM).sum()

        start = [*np.median(points, axis=0), np.log(0.03), 0.0, np.log(0.03)]
        fit = minimize(unlikely, start, method="Nelder-Mead", options={"maxiter": 6000, "xatol": 1e-7, "fatol": 1e-7})
        root = np.array([[np.exp(fit.x[2]), 0], [fit.x[3], np.exp(fit.x[4])]])
        theirs = root @ root.T
        mean, covariance = locate(points, np.ones(400), NO_FLOOR)
        assert mean == pytest.approx(fit.x[:2], abs=2e-4)
        # The shape is that of the likelihood; the scale is set by the median distance.
        assert covariance / np.sqrt(np.linalg.det(covariance)) == pytest.approx(
            theirs / np.sqrt(np.linalg.det(theirs)), abs=0.02
        )
        offset = points - mean
        distance = np.sum(offset @ np.linalg.inv(covariance) * offset, axis=1)
        assert np.median(distance) == pytest.approx(MEDIAN_DISTANCE, rel=0.02)

    def test_of_a_normal_distribution_it_is_its_mean_and_covariance(self):
        mean, covariance = locate(normal(20_000), np.ones(20_000), NO_FLOOR)
        assert mean == pytest.approx(MEAN, abs=0.002)
        assert covariance == pytest.approx(COVARIANCE, abs=5e-5)

    @pytest.mark.parametrize(
        ("where", "n_stray", "limit", "wider"), [("anywhere", 250, 0.2, 1.3), ("in one place", 100, 0.3, 1.3)]
    )
    def test_stray_events_hardly_move_it(self, where, n_stray, limit, wider):
        """A fifth of them here and there, or a tenth in one place seven standard deviations off."""
        rng = np.random.default_rng(3)
        stray = rng.uniform(0, 1, (n_stray, 2)) if where == "anywhere" else rng.normal((0.35, 0.6), 0.03, (n_stray, 2))
        points = np.concatenate([normal(1000), stray])
        mean, covariance = locate(points, np.ones(len(points)), NO_FLOOR)
        spread = np.sqrt(np.diag(COVARIANCE))
        assert (np.abs(mean - MEAN) < limit * spread).all()
        found = np.sqrt(np.diag(covariance))
        assert (spread / 1.1 < found).all() and (found < wider * spread).all()
        naive = np.std(points, axis=0)
        assert (naive > 1.8 * spread).all()  # what it would be without care

    @given(counts=st.lists(st.integers(1, 5), min_size=30, max_size=30), seed=st.integers(0, 20))
    def test_a_weight_is_as_many_events(self, counts, seed):
        points = normal(30, seed)
        repeated = np.repeat(points, counts, axis=0)
        for ours, theirs in zip(
            locate(points, np.array(counts, float), NO_FLOOR),
            locate(repeated, np.ones(len(repeated)), NO_FLOOR),
            strict=True,
        ):
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)

    @given(
        shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)), factor=st.floats(0.3, 3), seed=st.integers(0, 20)
    )
    def test_it_moves_and_stretches_with_the_events(self, shift, factor, seed):
        points = normal(60, seed)
        mean, covariance = locate(points, np.ones(60), NO_FLOOR)
        moved, stretched = locate(factor * points + np.array(shift), np.ones(60), NO_FLOOR)
        assert moved == pytest.approx(factor * mean + np.array(shift), abs=1e-6)
        assert stretched == pytest.approx(factor**2 * covariance, rel=1e-4, abs=1e-9)


class TestBackgate:
    def test_it_holds_what_a_normal_distribution_says(self):
        points = normal(20_000)
        for radius in (1.0, 2.0, 3.0):
            share = inside(place("backgate_2d@1", points, radius=radius), points).mean()
            assert share == pytest.approx(1 - np.exp(-(radius**2) / 2), abs=0.015)

    @pytest.mark.parametrize("n", [25, 40, 100, 1000])
    def test_few_events_are_held(self, n):
        fitted = place_and_judge("backgate_2d@1", normal(n), tolerance=0.1)
        assert inside(fitted.placement, normal(500, 7)).mean() > 0.97

    def test_too_few_are_refused(self):
        assert place("backgate_2d@1", normal(24)).reason == "only 24 events, 25 are needed"

    @settings(max_examples=20)
    @given(dx=st.integers(-20, 20), dy=st.integers(-20, 20), n=st.sampled_from([30, 300]))
    def test_a_shifted_histogram_shifts_the_gate_as_far(self, dx, dy, n):
        histogram = histogram_of(normal(n, n)).coarser(2)
        moved = Histogram(histogram.axes, np.roll(histogram.counts, (dx, dy), axis=(0, 1)))
        home, away = (np.array(place("backgate_2d@1", h).vertices) for h in (histogram, moved))
        assert away - home == pytest.approx(np.array([(dx, dy)] * len(home)) * histogram.axes[0].width, abs=1e-6)


T_CELLS, GRANULOCYTES = ((0.75, 0.3), 0.04), ((0.42, 0.78), 0.055)
MONOCYTES, OTHERS = ((0.3, 0.52), 0.045), ((0.22, 0.3), 0.045)


def leukocytes(*, t=0, granulocytes=2500, monocytes=250, others=150, seed=1):
    rng = np.random.default_rng(seed)
    parts = [(t, *T_CELLS), (granulocytes, *GRANULOCYTES), (monocytes, *MONOCYTES), (others, *OTHERS)]
    kinds = np.repeat(["t", "granulocytes", "monocytes", "others"], [n for n, _, _ in parts])
    return np.concatenate([rng.normal(mean, sd, (n, 2)) for n, mean, sd in parts]), kinds


class TestBrightCluster:
    @pytest.mark.parametrize("t", [40, 100, 1000, 5000])
    def test_t_cells_are_held_however_many(self, t):
        points, kinds = leukocytes(t=t)
        fitted = place_and_judge("bright_cluster_2d@1", points, tolerance=0.1)
        assert fitted.placement.placed
        held = inside(fitted.placement, points)
        assert held[kinds == "t"].mean() > 0.93
        assert held[kinds != "t"].sum() <= 2

    @pytest.mark.parametrize("seed", range(10))
    def test_granulocytes_are_not_taken_for_t_cells_where_there_are_none(self, seed):
        for parts in ({}, {"others": 0}, {"others": 0, "monocytes": 0}, {"others": 800}):
            points, _ = leukocytes(seed=seed, **parts)
            assert not place_and_judge("bright_cluster_2d@1", points).placement.placed

    def test_by_hand(self):
        """Three heaps: the bright and low one is taken, and it is not where it is no brighter than ``distance``."""
        heaps = {(0.3, 0.3): 60, (0.4, 0.8): 300, (0.7, 0.3): 60}
        steps = np.stack(np.meshgrid(*[np.linspace(-0.03, 0.03, 5)] * 2), axis=-1).reshape(-1, 2)
        points = np.concatenate([np.repeat(np.array(at) + steps, n // 20, axis=0) for at, n in heaps.items()])
        placed = place("bright_cluster_2d@1", points)
        assert placed.diagnostics["mode"] == pytest.approx([0.7, 0.3], abs=0.02)
        assert placed.diagnostics["distance_from_next"] == pytest.approx(0.3, abs=0.02)
        assert inside(placed, points).tolist() == [x > 0.6 for x, _ in points]
        assert place("bright_cluster_2d@1", points, distance=0.45).reason == "no mode is bright enough"

    @settings(max_examples=15)
    @given(dx=st.integers(-12, 12), dy=st.integers(-12, 12), t=st.sampled_from([60, 600]))
    def test_a_shifted_histogram_shifts_the_gate_as_far(self, dx, dy, t):
        histogram = histogram_of(leukocytes(t=t)[0]).coarser(2)
        moved = Histogram(histogram.axes, np.roll(histogram.counts, (dx, dy), axis=(0, 1)))
        home, away = (np.array(place("bright_cluster_2d@1", h).vertices) for h in (histogram, moved))
        assert away - home == pytest.approx(np.array([(dx, dy)] * len(home)) * histogram.axes[0].width, abs=1e-6)

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("left", [(), ("b_cells", "nk_cells")])
    def test_simulated_tubes_without_t_cells(self, seed, left):
        """Stained blood with granulocytes and monocytes, with or without other lymphocytes: no T cells, no gate."""
        lineages = {k: v for k, v in LINEAGES.items() if k in (*left, "monocytes", "neutrophils")}
        tube = simulated_tube(seed, lineages)
        events = tube.events.copy()
        events[:, -1] *= TIME_STEP_S
        keywords = {"$SPILLOVER": stated_spillover(tube)}
        sample = make_sample(events, tube.detectors, markers=list(tube.markers), name="tube.fcs", keywords=keywords)
        gated = Resolution.start(load_template("tbnk@2.0.0"), sample, spillover_for(sample, "keyword"))
        gated.run_wave(0, {})
        assert gated.populations["t_seed"].status == "failed"
        assert gated.members.rows("t_cells") is None

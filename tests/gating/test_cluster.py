"""density_cluster_2d: a contour round one mode that does not depend on how many events the modes hold."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import dimensions, histogram_of, place, place_and_judge

from nti7flow.gating.fit import make_gate
from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.methods.cluster import find_cores, merge_basins, watershed

METHOD = "density_cluster_2d@1"
BIN = fit_axis("X", 2).width
#: What the template tbnk says of lymphocytes.
LYMPHOCYTES = {"anchor": (0.95, 0.2), "rivals": ((0.95, 0.6),), "lean": 1.0, "alone": True}
HOME, ABOVE = (0.7, 0.2), (0.7, 0.36)


def tube(*, home=2000, above=2000, spread=0.025, seed=0):
    """Two round clusters of equal width, one over the other, and two others far away that set the scale of anchors."""
    rng = np.random.default_rng(seed)
    parts = [(HOME, spread, home), (ABOVE, spread, above), ((0.3, 0.85), 0.04, 4000), ((0.2, 0.1), 0.03, 2000)]
    return np.concatenate([rng.normal(mean, sd, (n, 2)) for mean, sd, n in parts])


def inside(placement, values):
    return make_gate(placement, dimensions(2)).contains(values)


class TestWatershed:
    def test_worked_by_hand(self):
        density = np.array(
            [
                [1.0, 2.0, 1.5, 0.5],
                [2.0, 9.0, 3.0, 4.0],
                [1.0, 2.5, 3.5, 7.0],
            ]
        )
        top, right = 5, 11  # flat positions of the 9 and of the 7
        assert watershed(density).tolist() == [
            [top, top, top, right],
            [top, top, top, right],
            [top, top, top, right],
        ]

    @given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.integers(0, 2**32 - 1))
    def test_agrees_with_climbing_cell_by_cell(self, shape, seed):
        density = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(float)
        expected = np.empty(shape, int)
        for start in np.ndindex(shape):
            here, before = start, None
            while here != before:
                before = here
                here = max(_neighbours(here, shape), key=lambda cell: density[cell])
            expected[start] = np.ravel_multi_index(here, shape)
        assert (watershed(density) == expected).all()

    @given(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.integers(0, 2**32 - 1), st.floats(0.3, 6))
    def test_what_is_left_after_merging_are_the_peaks_above_their_saddles(self, shape, seed, significance):
        """The saddle of a peak is the highest water level at which it is still joined to higher ground."""
        density = 1.0 + np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape) * 2.0
        basins, tops = merge_basins(density, watershed(density), 1.0, significance)
        expected = set()
        for peak in np.unique(watershed(density)):
            if density.flat[peak] == density.max():
                expected.add(int(peak))  # the highest of all has nothing to merge with
                continue
            saddle = _saddle(density, np.unravel_index(peak, shape))
            if 2 * (np.sqrt(density.flat[peak] + 0.375) - np.sqrt(saddle + 0.375)) >= significance:
                expected.add(int(peak))
        assert set(tops) == expected
        assert [density.flat[top] for top in tops] == sorted((density.flat[t] for t in tops), reverse=True)
        assert [int(basins.flat[top]) for top in tops] == list(range(len(tops)))
        assert basins.min() >= 0

    def test_cells_without_events_belong_to_no_basin(self):
        density = np.array([[0.2, 5.0, 0.2], [0.2, 0.2, 0.2]])
        basins, tops = merge_basins(density, watershed(density), 1.0, 2.0)
        assert basins.tolist() == [[-1, 0, -1], [-1, -1, -1]]
        assert tops == [1]

    def test_nothing_at_all(self):
        basins, tops = merge_basins(np.zeros((2, 2)), watershed(np.zeros((2, 2))), 1.0, 2.0)
        assert tops == []
        assert (basins == -1).all()


def _neighbours(cell, shape):
    return [
        (i, j)
        for i in range(max(cell[0] - 1, 0), min(cell[0] + 2, shape[0]))
        for j in range(max(cell[1] - 1, 0), min(cell[1] + 2, shape[1]))
    ]


def _saddle(density, peak):
    """Flood downwards from a peak until higher ground is met; 0 where there is none."""
    seen, rim, level = {peak}, {peak}, density[peak]
    while rim:
        cell = max(rim, key=lambda c: density[c])
        rim.remove(cell)
        level = min(level, density[cell])
        if density[cell] > density[peak]:
            return level
        fresh = set(_neighbours(cell, density.shape)) - seen
        seen |= fresh
        rim |= fresh
    return 0.0


class TestCore:
    @pytest.mark.parametrize("angle", [0.0, 0.6])
    def test_is_the_mean_and_covariance_of_a_normal_cluster(self, angle):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        covariance = turn @ np.diag([0.04, 0.025]) ** 2 @ turn.T
        values = np.random.default_rng(0).multivariate_normal((0.5, 0.4), covariance, 40_000)
        (core,) = find_cores(histogram_of(values), 5.0)
        assert core.mean == pytest.approx([0.5, 0.4], abs=0.002)
        assert core.covariance == pytest.approx(covariance, rel=0.08, abs=2e-5)
        assert core.n_events == pytest.approx(40_000, rel=0.01)


class TestContour:
    def test_worked_by_hand(self):
        """Between equally wide clusters the border is midway; elsewhere it is as far out as the radius."""
        placement = place(METHOD, tube(), **LYMPHOCYTES | {"lean": 0.0, "radius": 3.0})
        outline = np.array(placement.vertices)
        middle = (HOME[1] + ABOVE[1]) / 2
        assert outline[:, 1].max() == pytest.approx(middle, abs=0.006)
        towards = outline[np.abs(outline[:, 0] - HOME[0]) < 0.02]
        assert towards[towards[:, 1] > HOME[1]][:, 1] == pytest.approx(middle, abs=0.008)
        for side, expected in (
            (outline[:, 0].min(), HOME[0] - 3 * 0.025),
            (outline[:, 0].max(), HOME[0] + 3 * 0.025),
            (outline[:, 1].min(), HOME[1] - 3 * 0.025),
        ):
            assert side == pytest.approx(expected, abs=0.008)
        values = tube()
        kept = inside(placement, values)
        assert kept[:2000].mean() > 0.985
        assert kept[2000:4000].mean() < 0.002
        assert not kept[4000:].any()

    def test_leaning_moves_the_border_into_the_neighbour(self):
        borders = [
            np.array(place(METHOD, tube(), **LYMPHOCYTES | {"lean": lean}).vertices)[:, 1].max()
            for lean in (0.0, 1.0, 4.0)
        ]
        # Along the line between the means, (16 - d)² = d² + lean in units of 0.01: d = 8 + lean / 5.12 · 0.2
        assert np.diff(borders) == pytest.approx([0.002, 0.006], abs=0.0015)

    @pytest.mark.parametrize(("home", "above"), [(200, 2000), (2000, 200), (100, 8000), (20_000, 500)])
    def test_does_not_depend_on_abundance(self, home, above):
        reference = np.array(place(METHOD, tube(), **LYMPHOCYTES).vertices)
        fitted = place_and_judge(METHOD, tube(home=home, above=above, seed=1), **LYMPHOCYTES)
        assert fitted.placement.placed
        outline = np.array(fitted.placement.vertices)
        tolerance = 0.035 if home < 500 else 0.012  # a mean of so many events knows its place no better
        assert np.abs(outline[:, 1].max() - reference[:, 1].max()) < tolerance
        assert np.hypot(*(outline - reference).T).mean() < tolerance

    def test_thinning_one_cluster_moves_no_events_of_the_other(self):
        values = tube(home=4000, above=4000)
        kept = inside(place(METHOD, values, **LYMPHOCYTES), values)
        for fraction in (0.5, 0.1, 0.05):
            keep = np.random.default_rng(1).random(len(values)) < np.where(np.arange(len(values)) < 4000, fraction, 1.0)
            again = inside(place(METHOD, values[keep], **LYMPHOCYTES), values)
            assert (again != kept)[:4000].mean() < 0.02
            assert (again != kept)[4000:].mean() < 0.005

    def test_leans_less_into_a_neighbour_that_outnumbers_it(self):
        """By the logarithm of how many times: 1.0 is given back to a neighbour of 2.7 times as many."""
        spare = [place(METHOD, tube(above=n), **LYMPHOCYTES | {"lean": 1.0}) for n in (1000, 2000, 6000)]
        none = [place(METHOD, tube(above=n), **LYMPHOCYTES | {"lean": 0.0}) for n in (1000, 2000, 6000)]
        borders = [[np.array(p.vertices)[:, 1].max() for p in placements] for placements in (spare, none)]
        moved = np.subtract(*borders)
        assert moved[:2] == pytest.approx([0.002, 0.002], abs=0.001)
        assert moved[2] == 0

    @pytest.mark.parametrize(("above", "flags"), [(2000, ()), (20_000, ("impure_gate",))])
    def test_a_contour_that_is_mostly_others_is_flagged(self, above, flags):
        """The truth of the simulated clusters, against what the method expects of their shapes and sizes."""
        near = tube(home=500, above=0)
        rng = np.random.default_rng(1)
        values = np.concatenate([near, rng.normal((0.7, 0.33), 0.03, (above, 2))])
        placement = place(METHOD, values, **LYMPHOCYTES)
        kept = inside(placement, values)
        share = kept[500:].sum() / kept.sum()
        assert placement.flags == flags
        assert placement.diagnostics["expected_foreign_share"] == pytest.approx(share, rel=0.3, abs=0.02)
        assert place(METHOD, values, **LYMPHOCYTES | {"max_foreign": 1.0}).flags == ()

    def test_a_contour_without_limit_takes_all_that_is_nearest(self):
        values = np.random.default_rng(0).normal((0.7, 0.2), 0.02, (3000, 2))
        values = np.concatenate([values, [(0.1, 0.95)] * 4])
        placement = place(METHOD, values, **LYMPHOCYTES | {"radius": 60.0})
        assert inside(placement, values).all()
        assert placement.diagnostics["expected_foreign_share"] == 0

    @settings(max_examples=20)
    @given(st.integers(-20, 20), st.integers(-20, 20), st.integers(0, 2**32 - 1))
    def test_moves_with_the_data(self, dx, dy, seed):
        histogram = histogram_of(np.clip(tube(home=400, above=400, seed=seed), -0.05, 1.05))
        shifted = Histogram(histogram.axes, np.roll(histogram.counts, (dx, dy), axis=(0, 1)))
        here, there = place(METHOD, histogram, **LYMPHOCYTES), place(METHOD, shifted, **LYMPHOCYTES)
        assert here.placed == there.placed
        if here.placed:
            moved = np.array(there.vertices) - np.array(here.vertices)
            assert moved == pytest.approx(np.tile([dx * BIN, dy * BIN], (len(moved), 1)), abs=1e-6)

    @settings(max_examples=20)
    @given(st.integers(0, 2**32 - 1))
    def test_the_order_of_events_and_of_merging_does_not_matter(self, seed):
        values = tube(home=300, above=300)
        shuffled = np.random.default_rng(seed).permutation(values)
        one, two = histogram_of(shuffled[:3000]), histogram_of(shuffled[3000:])
        expected = place(METHOD, values, **LYMPHOCYTES)
        assert expected.placed
        assert place(METHOD, one.merged(two), **LYMPHOCYTES) == expected
        assert place(METHOD, two.merged(one), **LYMPHOCYTES) == expected


class TestRefusals:
    @pytest.mark.parametrize("n", [200, 2000, 20_000])
    def test_one_peak_never_yields_a_gate(self, n):
        """What the only population of a tube is cannot be told, unless the template says it may stand alone."""
        values = np.random.default_rng(0).normal((0.7, 0.2), 0.03, (n, 2))
        alone = place_and_judge(METHOD, values, **LYMPHOCYTES | {"alone": False})
        assert alone.placement.reason == "one mode holds nearly all events: which population it is cannot be told"
        allowed = place_and_judge(METHOD, values, **LYMPHOCYTES)
        assert inside(allowed.placement, values).mean() > 0.99

    @given(st.integers(0, 29))
    def test_few_events_never_yield_a_gate(self, n):
        values = np.random.default_rng(0).normal((0.7, 0.2), 0.02, (n, 2))
        assert place(METHOD, values, **LYMPHOCYTES).reason == f"only {n} events, 30 are needed"

    def test_few_events_round_the_mode_never_yield_a_gate(self):
        placement = place(METHOD, tube(home=20), **LYMPHOCYTES, max_distance=0.05)
        assert placement.reason in ("only 20 events around the mode", "no mode near the anchor")
        assert placement.vertices is None

    def test_events_without_a_mode_are_refused(self):
        spread_out = np.random.default_rng(0).uniform(-0.2, 1.2, (60, 2))
        assert place(METHOD, spread_out, **LYMPHOCYTES, significance=6.0).reason == "no mode stands out"

    def test_a_mode_far_from_the_anchor_is_another_population(self):
        values = tube(home=0)
        assert place(METHOD, values, anchor=(0.95, 0.0), max_distance=0.2).reason == "no mode near the anchor"

    def test_a_mode_nearer_to_a_rival_is_that_population(self):
        values = tube(home=0)  # the lymphocytes are gone: the cluster above them must not pass for them
        assert place(METHOD, values, anchor=(0.95, 0.1), max_distance=0.5).placed
        placement = place(METHOD, values, anchor=(0.95, 0.1), max_distance=0.5, rivals=((0.95, 0.35),))
        assert placement.reason == "no mode near the anchor"


#: Six bloods gated by experts, one of them twice (04 and 36). Columns by position, as names are permuted.
EUROFLOW = ("01", "02", "04", "10", "16", "22", "36")
CD45, SSC, DISPLAY = 4, 9, 8000.0


@pytest.fixture(scope="module", params=EUROFLOW)
def labelled(request, shared_data):
    """Name of a tube, its display values, and which events are lymphocytes."""
    folder = shared_data / "euroflow_lst_optimalflow" / "converted"
    table = pq.read_table(folder / f"Cytometry{request.param}.parquet")
    values = np.column_stack([table.column(i).to_numpy() for i in (CD45, SSC)]) / DISPLAY
    labels = np.array(table.column("label").to_pylist(), str)
    lymphocyte = np.char.startswith(labels, "T_") | np.char.startswith(labels, "B") | (labels == "NK")
    return request.param, values, lymphocyte


class TestEuroFlow:
    def test_finds_the_lymphocytes(self, labelled):
        _, values, lymphocyte = labelled
        fitted = place_and_judge(METHOD, values, **LYMPHOCYTES)
        assert fitted.flags == ()
        kept = inside(fitted.placement, values)
        assert kept[lymphocyte].mean() >= 0.97
        assert lymphocyte[kept].mean() >= 0.85

    def test_finds_them_in_a_twentieth_of_the_tube_or_says_that_it_cannot(self, labelled):
        """In 22, with leukaemic B cells beside the others, and in 36 few events decide: there, judging tells."""
        name, values, lymphocyte = labelled
        for seed in range(2):
            keep = np.random.default_rng(seed).random(len(values)) < 0.05
            histogram = histogram_of(values[keep])
            placements = [place_and_judge(METHOD, histogram, **LYMPHOCYTES).placement]
            if name not in ("22", "36"):
                placements.append(place(METHOD, histogram, **LYMPHOCYTES))
                assert placements[-1].placed
            for placement in (p for p in placements if p.placed):
                assert inside(placement, values[keep])[lymphocyte[keep]].mean() >= 0.95

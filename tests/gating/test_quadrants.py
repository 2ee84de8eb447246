"""quadrants: four parts of a plane, by lines placed jointly and each side by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gaussian_kde, multivariate_normal, norm
from toys import dimensions, histogram_of, place, place_and_judge

from nti7flow.gating.gates import PolygonGate
from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.methods.quadrants import PARTS, Line, Lines, QuadrantParameters, find_lines, outline

METHOD = "quadrants@1"
BIN = fit_axis("X", 2).width
CORNERS = {"++": (0.7, 0.65), "+-": (0.7, 0.25), "-+": (0.3, 0.65), "--": (0.3, 0.25)}


def clusters(sizes, *, centres=CORNERS, spread=0.05, seed=0):
    """Round clusters by part, and the part of each event."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(centres[part], spread, (n, 2)) for part, n in sizes.items()]
    return np.concatenate(values), np.repeat(list(sizes), list(sizes.values()))


def parts_of(values, **parameters):
    """Part of each event by the four gates, which must agree that there is one."""
    inside = {part: gate_of(place(METHOD, values, part=part, **parameters)).contains(values) for part in PARTS}
    assert (np.sum(list(inside.values()), axis=0) == 1).all()
    return np.select(list(inside.values()), list(inside), "")


def gate_of(placement):
    assert placement.placed, placement.reason
    return PolygonGate(dimensions(2), placement.vertices)


def lines_of(values, **parameters):
    histogram = values if isinstance(values, Histogram) else histogram_of(values)
    found = find_lines(histogram, QuadrantParameters(part="++", **parameters))
    assert isinstance(found, Lines), found
    return found


def values_of(lines):
    return np.array([line.value for line in (*lines.x, *lines.y)])


def lines_at(bottom, top, left, right):
    pairs = ((bottom, top), (left, right))
    return Lines(*(tuple(Line(value, value - 0.2, value + 0.2, 0.1) for value in pair) for pair in pairs))


class TestOutline:
    def test_worked_by_hand(self):
        """Across x at 0.2 below and 0.4 above, across y at 0.3 on the left and 0.6 on the right."""
        lines = lines_at(0.2, 0.4, 0.3, 0.6)
        assert outline(lines, "--") == ((-10, 0.3), (0.2, 0.3), (0.2, 0.3), (0.2, -10), (-10, -10))
        assert outline(lines, "-+") == ((-10, 0.3), (0.2, 0.3), (0.4, 0.6), (0.4, 10), (-10, 10))
        assert outline(lines, "+-") == ((0.2, 0.3), (0.4, 0.6), (10, 0.6), (10, -10), (0.2, -10))
        assert outline(lines, "++") == ((0.4, 0.6), (0.4, 0.6), (10, 0.6), (10, 10), (0.4, 10))

        events = np.array([(0.1, 0.2), (0.1, 0.4), (0.3, 0.3), (0.3, 0.6), (0.5, 0.5), (0.5, 0.7)])
        expected = ["--", "-+", "+-", "-+", "+-", "++"]
        for part in PARTS:
            inside = PolygonGate(dimensions(2), outline(lines, part)).contains(events)
            assert inside.tolist() == [each == part for each in expected]

    def test_lines_that_step_the_other_way(self):
        """Then the corners are those of +- and -+, and the segment between them parts -- from ++."""
        lines = lines_at(0.4, 0.2, 0.3, 0.6)
        assert outline(lines, "--") == ((-10, 0.3), (0.2, 0.3), (0.4, 0.6), (0.4, -10), (-10, -10))
        assert outline(lines, "+-") == ((0.4, 0.6), (0.4, 0.6), (10, 0.6), (10, -10), (0.4, -10))

    @given(
        st.lists(st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.7]) | st.floats(-0.2, 1.2), min_size=4, max_size=4),
        st.integers(0, 2**32 - 1),
        st.sampled_from([60, 30_000]),
    )
    @settings(max_examples=60)
    def test_the_parts_tile_the_plane(self, where, seed, n_random):
        """Every event is in exactly one part: anywhere, on a line, on a corner, on the segment between the corners."""
        lines = lines_at(*where)
        rng = np.random.default_rng(seed)
        corners = np.array([corner for part in PARTS for corner in outline(lines, part) if max(np.abs(corner)) < 10])
        along = rng.random((200, 1))
        a, b = corners[0], corners[np.abs(corners - corners[0]).sum(axis=1).argmax()]
        on_lines = np.stack([rng.choice(where[:2], 200), rng.uniform(-9, 9, 200)], axis=1)
        on_rows = np.stack([rng.uniform(-9, 9, 200), rng.choice(where[2:], 200)], axis=1)
        points = np.concatenate(
            [corners, a + along * (b - a), on_lines, on_rows, rng.uniform(-0.5, 1.5, (n_random, 2)), [[9.9, -9.9]]]
        )
        held = [PolygonGate(dimensions(2), outline(lines, part)).contains(points) for part in PARTS]
        assert (np.sum(held, axis=0) == 1).all()


class TestAgainstTheTruth:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("n_events", [300, 3000])
    def test_normal_clusters_are_parted_nearly_as_well_as_can_be(self, n_events, seed):
        """The rule of Bayes with the true densities makes the fewest errors there can be."""
        shares = {"++": 0.35, "+-": 0.3, "-+": 0.1, "--": 0.25}
        centres = {"++": (0.68, 0.6), "+-": (0.6, 0.3), "-+": (0.35, 0.6), "--": (0.3, 0.3)}  # not in a square
        values, truth = clusters(
            {part: round(share * n_events) for part, share in shares.items()}, centres=centres, spread=0.06, seed=seed
        )
        likely = [shares[p] * multivariate_normal(centres[p], 0.06**2 * np.eye(2)).pdf(values) for p in PARTS]
        best = np.array(PARTS)[np.argmax(likely, axis=0)]
        errors = (parts_of(values) != truth).mean()
        assert errors <= (best != truth).mean() + 0.015

    def test_lines_run_where_an_independent_estimate_of_the_density_is_lowest(self):
        values, truth = clusters({"++": 700, "+-": 900, "-+": 500, "--": 800}, spread=0.055)
        lines = lines_of(values)
        grid = np.linspace(0.4, 0.6, 201)
        for side, line in zip((("--", "+-"), ("-+", "++")), lines.x, strict=True):
            density = gaussian_kde(values[np.isin(truth, side), 0], 0.25)(grid)
            assert line.own
            assert line.value == pytest.approx(grid[density.argmin()], abs=0.03)

    def test_each_side_has_a_line_of_its_own(self):
        """What is positive among the high is where the negative end among the low: no single line parts both."""
        centres = {"++": (0.85, 0.65), "+-": (0.55, 0.25), "-+": (0.5, 0.65), "--": (0.2, 0.25)}
        values, truth = clusters(dict.fromkeys(PARTS, 1000), centres=centres)
        lines = lines_of(values)
        assert values_of(lines)[:2] == pytest.approx([0.375, 0.675], abs=0.02)
        assert (parts_of(values) == truth).mean() > 0.995

    def test_a_spread_that_grows_is_not_cut(self):
        """CD4 against CD8: the brighter in CD4, the more light of it is seen in CD8, and no cell has both."""
        rng = np.random.default_rng(3)
        bright = rng.normal(0.65, 0.04, 3000)
        cd4 = np.stack([bright, 0.2 + rng.normal(0, 1, 3000) * 0.02 + np.abs(rng.normal(0, 0.09, 3000))], axis=1)
        cd8 = rng.normal((0.2, 0.68), (0.04, 0.035), (1500, 2))
        dn = rng.normal((0.2, 0.2), (0.04, 0.03), (300, 2))
        values = np.concatenate([cd4, cd8, dn])
        lines, parts = lines_of(values), parts_of(values)
        assert (parts[:3000] == "+-").mean() > 0.995
        straight = (cd4[:, 1] < lines.y[0].value).mean()
        assert 1 - (parts[:3000] == "+-").mean() < 0.6 * (1 - straight)
        assert (parts[3000:4500] == "-+").mean() > 0.998
        assert (parts[4500:] == "--").mean() > 0.98

    def test_a_lent_line_loses_as_many_as_it_lets_in(self):
        """Among the high there are twelve times as many low ones, so many that the few have no mode of their own."""
        rng = np.random.default_rng(0)
        x = np.concatenate([rng.normal(0.3, 0.075, 6000), rng.normal(0.55, 0.075, 6000)])
        above = np.concatenate([rng.normal(0.3, 0.075, 24_000), rng.normal(0.55, 0.075, 2000)])
        y = np.concatenate([rng.normal(0.2, 0.04, 12_000), rng.normal(0.7, 0.04, 26_000)])
        low, high = lines_of(np.stack([np.concatenate([x, above]), y], axis=1)).x
        assert (low.own, high.own) == (True, False)
        balance = np.linspace(0.4, 0.5, 1001)
        lost, let_in = 2000 * norm.cdf((balance - 0.55) / 0.075), 24_000 * norm.sf((balance - 0.3) / 0.075)
        best = balance[np.abs(lost - let_in).argmin()]
        assert low.value == pytest.approx(0.425, abs=0.01)
        assert low.value + 0.02 < high.value < best + 0.01
        assert abs(high.value - best) < abs(low.value - best) / 2


class TestSymmetry:
    @given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(60, 600)] * 4))
    @settings(max_examples=25)
    def test_swapping_the_markers_swaps_the_lines(self, seed, sizes):
        values, _ = clusters(dict(zip(PARTS, sizes, strict=True)), seed=seed)
        lines, swapped = lines_of(values), lines_of(values[:, ::-1])
        assert (lines.x, lines.y) == (swapped.y, swapped.x)

    @given(st.integers(0, 2**32 - 1), st.integers(-25, 25), st.integers(-25, 25))
    @settings(max_examples=25)
    def test_shifted_events_have_shifted_lines(self, seed, dx, dy):
        histogram = histogram_of(clusters({"++": 300, "+-": 500, "-+": 90, "--": 400}, seed=seed)[0])
        moved = Histogram(histogram.axes, np.roll(histogram.counts, (dx, dy), axis=(0, 1)))
        expected = values_of(lines_of(histogram)) + BIN * np.array([dx, dx, dy, dy])
        assert values_of(lines_of(moved)) == pytest.approx(expected, abs=1e-9)

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=25)
    def test_mirrored_events_have_mirrored_lines(self, seed):
        histogram = histogram_of(clusters({"++": 300, "+-": 500, "-+": 90, "--": 400}, seed=seed)[0])
        mirrored = Histogram(histogram.axes, histogram.counts[::-1])
        bottom, top, left, right = values_of(lines_of(histogram))
        assert values_of(lines_of(mirrored)) == pytest.approx([1 - bottom, 1 - top, right, left], abs=2.1 * BIN)


class TestWhatIsMissing:
    @pytest.mark.parametrize("missing", PARTS)
    @pytest.mark.parametrize("n_events", [100, 2000])
    def test_a_part_may_be_empty(self, missing, n_events):
        values, truth = clusters({part: n_events // 3 for part in PARTS if part != missing}, spread=0.04)
        parts = parts_of(values)
        assert (parts == truth).mean() > 0.99
        assert (parts == missing).sum() <= 0.01 * n_events

    def test_a_hundred_events_hold_the_lines(self):
        values, truth = clusters({"++": 25, "+-": 40, "-+": 10, "--": 25})
        fitted = place_and_judge(METHOD, values, part="+-")
        assert fitted.placement.placed, fitted.placement.reason
        assert (gate_of(fitted.placement).contains(values) == (truth == "+-")).mean() > 0.97

    def test_too_few_events(self):
        assert place(METHOD, clusters({"++": 20, "--": 20})[0], part="++").reason == "only 40 events, 50 are needed"

    def test_nothing_at_all(self):
        assert not place(METHOD, np.empty((0, 2)), part="++").placed

    def test_one_population_has_no_lines(self):
        values = np.random.default_rng(0).normal(0.4, 0.06, (2000, 2))
        for otherwise in ("fail", "edge"):
            assert place(METHOD, values, part="++", otherwise=otherwise).reason == "no valley on X or Y"

    def test_an_axis_without_a_valley_fails_or_ends_at_the_edge_of_the_negative(self):
        values, _ = clusters({"+-": 1500, "--": 800})
        assert place(METHOD, values, part="+-").reason == "no valley on Y"
        lines = lines_of(values, otherwise="edge")
        assert lines.x[0].value == pytest.approx(0.5, abs=0.03)
        assert [line.value for line in lines.y] == pytest.approx([0.25 + 4 * 0.05] * 2, abs=0.03)
        placement = place(METHOD, values, part="++", otherwise="edge")
        assert gate_of(placement).contains(values).sum() <= 2

    def test_a_few_strays_draw_no_line(self):
        """A dozen events off the end of the scale are farther from all others than those are from each other."""
        values, truth = clusters({"++": 1000, "+-": 600, "-+": 300, "--": 500}, spread=0.07)
        strays = np.random.default_rng(1).normal((1.15, 0.65), 0.01, (12, 2))
        assert (parts_of(np.concatenate([values, strays]))[: len(values)] == truth).mean() > 0.97


def test_diagnostics_say_how_each_line_was_found():
    values, _ = clusters({"++": 200, "+-": 700, "-+": 300, "--": 500})
    placement = place(METHOD, values, part="-+")
    found = placement.diagnostics
    assert sum(found[f"n_events_{part}"] for part in PARTS) == 1700
    assert found["n_events_+-"] == pytest.approx(700, abs=3)
    assert found["x_separation"] == pytest.approx([0.4, 0.4], abs=0.04)
    assert max(found["x_valley_to_lower_mode"] + found["y_valley_to_lower_mode"]) < 0.1
    assert found["x_placed_by_own_events"] == [True, True]

"""Gating uncertainty: by how many events counts change if gates lie elsewhere."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import counts_of, resolve, toy_sample, toy_template

from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import BooleanGate, PolygonGate, RectangleGate
from nti7flow.gating.sensitivity import PLACEMENT, gating_sd, widened
from nti7flow.gating.strategy import Members, apply_gate
from nti7flow.gating.values import DisplayValues

#: Gates of every kind on four markers: a tree with booleans, one of them across branches.
GATES = """
- {id: low, label: Low, gate: {polygon: {dims: [CD45, SSC], vertices: [[100, 100], [800, 150], [700, 700], [99, 600]]}}}
- {id: t, label: T, parent: low, gate: {range: {CD3: [500, null]}}}
- {id: not_t, label: Not T, parent: low, gate: {all_of: [not t]}}
- {id: band, label: Band, parent: t, gate: {range: {CD4: [300, 700]}}}
- {id: both, label: Both, parent: t, gate: {rectangle: {CD4: [null, 600], SSC: [200, null]}}}
- {id: one, label: One, parent: low, gate: {any_of: [band, not_t]}}
- {id: rest, label: Rest, parent: t, gate: {all_of: [band, not both]}}
- {id: side, label: Side, gate: {range: {CD4: [500, null]}}}
"""
FITTED = ("low", "t", "band", "both", "side")


def tube(folder, seed, n=300):
    rng = np.random.default_rng(seed)
    return toy_sample(
        folder / "tube.fcs", **{name: rng.uniform(0, 1000, n).round() for name in ("CD45", "SSC", "CD3", "CD4")}
    )


def ours(resolution, spreads):
    return gating_sd(resolution.values, resolution.populations.values(), resolution.members, spreads)


def by_brute_force(resolution, spreads):
    """Apply the whole strategy to the whole tube anew, with one gate moved at a time."""

    def counted(moved, by):
        members = Members(resolution.sample.n_events)
        for population in resolution.populations.values():
            gate = population.gate
            apply_gate(
                DisplayValues(resolution.sample, resolution.spillover),
                population if population.id != moved else _with(population, widened(gate, by)),
                members,
            )
        return {name: len(rows) for name, rows in members.items()}

    home = counted(None, 0)
    squares = dict.fromkeys(home, 0.0)
    for moved, spread in spreads.items():
        out, narrow = counted(moved, spread), counted(moved, -spread)
        for name in home:
            squares[name] += ((abs(out[name] - home[name]) + abs(narrow[name] - home[name])) / 2) ** 2
    return {name: math.sqrt(square) for name, square in squares.items()}


def _with(population, gate):
    return replace(population, gate=gate)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_applying_the_moved_gates_to_the_whole_tube_gives(tmp_path, seed):
    resolution = resolve(toy_template(tmp_path, GATES), tube(tmp_path, seed))
    spreads = dict(zip(FITTED, np.random.default_rng(seed).uniform(0.005, 0.08, len(FITTED)), strict=True))
    found = ours(resolution, spreads)
    assert found == pytest.approx(by_brute_force(resolution, spreads))
    assert min(found.values()) > 0


class TestByHand:
    """Twelve events at 50, 150 … 1150 of CD3; CD4 is 300 for the six odd ones and 700 for the even ones."""

    TEXT = """
    - {id: t, label: T, gate: {range: {CD3: [500, null]}}}
    - {id: not_t, label: Not T, gate: {all_of: [not t]}}
    - {id: cd4, label: CD4, parent: t, gate: {range: {CD4: [500, null]}}}
    """

    @pytest.fixture
    def gated(self, tmp_path):
        return resolve(
            toy_template(tmp_path, self.TEXT),
            toy_sample(tmp_path / "t.fcs", CD3=np.arange(50.0, 1200, 100), CD4=[300.0, 700.0] * 6),
        )

    def test_a_threshold_that_may_lie_elsewhere(self, gated):
        assert {name: c.n_events for name, c in counts_of(gated).items()} == {"t": 7, "not_t": 5, "cd4": 4}
        # Within 0.12 of the threshold, 550 is above it and 450 below. Moved up, T lose one event, which is CD4-; moved
        # down they win one, which is not.
        found = ours(gated, {"t": 0.12})
        assert found == {"t": 1.0, "not_t": 1.0, "cd4": 0.5}

    def test_two_gates_add_up_in_squares(self, gated):
        """CD4 moved by 0.25 loses its 4, or wins the 3 of T that are at 300: 3.5 events."""
        found = ours(gated, {"t": 0.12, "cd4": 0.25})
        assert found["cd4"] == pytest.approx(math.hypot(0.5, 3.5))
        assert (found["t"], found["not_t"]) == (1.0, 1.0)

    def test_a_firm_gate_leaves_nothing_open(self, gated):
        for spread in (0.0, math.nan, 0.04):
            assert set(ours(gated, {"t": spread, "cd4": spread}).values()) == {0.0}

    def test_what_could_not_be_gated_has_none(self, tmp_path):
        text = self.TEXT.replace("{range: {CD3: [500, null]}}", "{method: density_valley@1, dims: [CD3]}")
        gated = resolve(
            toy_template(tmp_path, text), toy_sample(tmp_path / "t.fcs", CD3=np.full(9, 50.0), CD4=np.full(9, 700.0))
        )
        assert ours(gated, {"t": 0.1}) == {}


class TestPlacement:
    """What two people would do otherwise is in the standard deviation of a count, and not in its flag."""

    TEXT = """
    - {id: t, label: T, gate: {method: density_valley@1, dims: [CD3], borrow: [batch]}}
    - {id: raw, label: Raw, gate: {method: density_valley@1, dims: [CD4], raw: true}}
    - {id: low, label: Low, gate: {method: density_valley@1, dims: [SSC]}}
    """

    @staticmethod
    def tube(folder):
        rng = np.random.default_rng(0)
        two = np.concatenate([rng.normal(200, 90, 3000), rng.normal(700, 90, 2000)])
        return toy_sample(folder / "t.fcs", CD3=two, CD4=two, SSC=two)

    def test_it_adds_to_gates_on_compensated_markers(self, tmp_path):
        gated = resolve(toy_template(tmp_path, self.TEXT), self.tube(tmp_path))
        own = {fit.population: fit.threshold_spread for fit in gated.fits}
        assert set(own) == {"t", "raw", "low"}
        wanted = ours(gated, {**own, "t": math.hypot(own["t"], PLACEMENT)})
        assert gated.gating_sd == wanted
        assert wanted["t"] > ours(gated, own)["t"]

    def test_the_flag_is_about_the_data(self, tmp_path, monkeypatch):
        monkeypatch.setattr("nti7flow.gating.resolve.PLACEMENT", 0.2)
        gated = resolve(toy_template(tmp_path, self.TEXT), self.tube(tmp_path))
        count = counts_of(gated)["t"]
        assert gated.gating_sd["t"] > 0.1 * count.n_events
        assert count.flags == ()


AXES = tuple(Dimension(name, name, False, None) for name in ("X", "Y"))


class TestWidened:
    def test_bounds_move_outward(self):
        gate = RectangleGate(AXES, (0.2, None), (0.6, 0.9))
        moved = widened(gate, 0.1)
        assert (moved.lower, moved.upper) == ((pytest.approx(0.1), None), pytest.approx((0.7, 1.0)))
        assert widened(moved, -0.1).upper == pytest.approx(gate.upper)

    def test_points_move_away_from_their_middle(self):
        """A square of side 0.2: its corners lie 0.1 √2 from the middle, and 0.1 further out at half as far again."""
        square = PolygonGate(AXES, ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)))
        moved = np.array(widened(square, 0.05 * math.sqrt(2)).vertices)
        assert moved == pytest.approx(np.array([(0.35, 0.35), (0.65, 0.35), (0.65, 0.65), (0.35, 0.65)]))

    def test_a_gate_narrower_than_its_spread_does_not_turn_inside_out(self):
        band = widened(RectangleGate(AXES[:1], (0.4,), (0.6,)), -0.5)
        assert (band.lower[0], band.upper[0]) == pytest.approx((0.499, 0.501))
        square = widened(PolygonGate(AXES, ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))), -0.5)
        assert np.array(square.vertices) == pytest.approx(
            np.array([(0.499, 0.499), (0.501, 0.499), (0.501, 0.501), (0.499, 0.501)])
        )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    which=st.sampled_from(FITTED),
    spread=st.floats(0.001, 0.2),
    more=st.floats(1, 3),
)
def test_more_spread_is_no_less_uncertain_for_the_gate_itself(tmp_path_factory, seed, which, spread, more):
    folder = tmp_path_factory.mktemp("tube")
    gated = resolve(toy_template(folder, GATES), tube(folder, seed, 120))
    little, much = (ours(gated, {which: s}) for s in (spread, more * spread))
    assert little[which] <= much[which]
    # What a population wins or loses, "not" it loses or wins; what does not rest on it does not change.
    if which == "t":
        assert little["not_t"] == little["t"]
    for name, population in gated.populations.items():
        resting = isinstance(population.gate, BooleanGate) or which in (name, population.parent)
        if not resting and not (which == "low" and name != "side"):
            assert little[name] == 0

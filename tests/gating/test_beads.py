"""Counting beads: bright in every raw channel, where no cell is, nor two at once."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import (
    HEAD,
    counts_of,
    histogram_of,
    place,
    place_and_judge,
    resolve,
    toy_sample,
    toy_template,
    write_template,
)

from nti7flow.errors import ConfigError
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Logicle
from nti7flow.gating.gates import RectangleGate
from nti7flow.gating.picture import make_panels
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.gating.template import load_template
from nti7flow.simulation import HEALTHY, POPULATIONS, TBNK_CANTO, Preparation, Stop, simulate_tube
from nti7flow.simulation.panels import day_of, lot_of

#: Display value = raw value / 1000, as on all toys.
RAW_HEAD = HEAD.replace("scales:\n", "scales:\n  raw: {kind: linear, top: 1000}\n")
BEADS = """
- id: beads
  label: Beads
  optional: true
  gate: {method: beads@1, raw: true, dims: [CD3, CD4, CD19]}
- {id: cells, label: Cells, bypass: true, optional: true, gate: {all_of: [not beads]}}
- {id: t, label: T, parent: cells, gate: {range: {CD3: [300, null]}}}
"""


def toy_tube(path, *, n_beads=50, marker="CD19"):
    """50 T cells and 50 B cells, dark (100) where they are not bright (500, 600); beads are 900 in every channel."""
    t_cells, b_cells, beads = [500, 500, 100, 80], [100, 100, 600, 90], [900, 900, 900, 70]
    rows = np.array([t_cells] * 50 + [b_cells] * 50 + [beads] * n_beads, float)
    return toy_sample(path / "tube.fcs", **dict(zip(("CD3", "CD4", marker, "SSC"), rows.T, strict=True)))


class TestByHand:
    def test_of_each_event_the_lowest_value_counts(self, tmp_path):
        gated = resolve(toy_template(tmp_path, BEADS, head=RAW_HEAD), toy_tube(tmp_path))
        gate = gated.populations["beads"].gate
        # The lowest values are 0.1 (100 events) and 0.9 (50 events). What the smoothing leaves empty between them ends
        # equally far from both, but for the two heights; its middle is 0.5.
        assert [d.marker for d in gate.dimensions] == ["CD3", "CD4", "CD19"]
        assert not any(d.compensated for d in gate.dimensions)
        assert len(set(gate.lower)) == 1 and gate.upper == (None, None, None)
        assert gate.lower[0] == pytest.approx(0.5, abs=0.01)
        counts = counts_of(gated)
        assert {name: count.n_events for name, count in counts.items()} == {"beads": 50, "cells": 100, "t": 50}
        assert {count.status for count in counts.values()} == {"ok"}
        assert (counts["t"].parent, counts["t"].n_parent, counts["t"].n_total) == ("cells", 100, 150)

    def test_without_beads_all_events_are_cells(self, tmp_path):
        gated = resolve(toy_template(tmp_path, BEADS, head=RAW_HEAD), toy_tube(tmp_path, n_beads=0))
        counts = counts_of(gated)
        assert (counts["beads"].n_events, counts["beads"].status, counts["beads"].severity) == (None, "absent", "info")
        assert counts["beads"].flags == ("population_absent",)
        assert (counts["cells"].n_events, counts["cells"].status) == (100, "ok")
        assert (counts["t"].parent, counts["t"].n_events, counts["t"].severity) == ("root", 50, "")

    def test_where_a_channel_is_missing_nothing_is_said_about_beads(self, tmp_path):
        gated = resolve(toy_template(tmp_path, BEADS, head=RAW_HEAD), toy_tube(tmp_path, marker="CD20"))
        counts = counts_of(gated)
        assert {name: count.status for name, count in counts.items()} == {
            "beads": "not_in_panel",
            "cells": "not_in_panel",
            "t": "ok",
        }
        assert counts["t"].n_events == 100  # 50 of them beads: nobody could tell

    def test_other_channels_may_do(self, tmp_path):
        populations = BEADS.replace("dims: [CD3, CD4, CD19]", "dims: [CD3, CD4, CD19], or_dims: [[CD3, CD20]]")
        gated = resolve(toy_template(tmp_path, populations, head=RAW_HEAD), toy_tube(tmp_path, marker="CD20"))
        assert [d.marker for d in gated.populations["beads"].gate.dimensions] == ["CD3", "CD20"]
        assert counts_of(gated)["beads"].n_events == 50

    @pytest.mark.parametrize(
        ("gate", "n"),
        [
            ("{any_of: [not beads]}", 100),
            ("{any_of: [t, not beads]}", 100),
            ("{all_of: [t, not beads]}", 50),
            ("{all_of: [not t, not beads]}", 50),
        ],
    )
    def test_not_what_is_absent_is_everything(self, tmp_path, gate, n):
        template = toy_template(tmp_path, [BEADS, f"- {{id: some, label: Some, gate: {gate}}}"], head=RAW_HEAD)
        count = counts_of(resolve(template, toy_tube(tmp_path, n_beads=0)))["some"]
        assert (count.n_events, count.status, count.severity) == (n, "ok", "")

    def test_what_is_absent_itself_is_not(self, tmp_path):
        both = "- {id: some, label: Some, gate: {all_of: [t, beads]}}"
        template = toy_template(tmp_path, [BEADS, both], head=RAW_HEAD)
        count = counts_of(resolve(template, toy_tube(tmp_path, n_beads=0)))["some"]
        assert (count.n_events, count.status) == (None, "absent")

    def test_a_fixed_gate_can_be_raw(self, tmp_path):
        populations = "- {id: a, label: A, gate: {raw: true, rectangle: {CD3: [450, null], CD19: [100, 900]}}}"
        gated = resolve(toy_template(tmp_path, populations, head=RAW_HEAD), toy_tube(tmp_path))
        gate = gated.populations["a"].gate
        assert (gate.lower, gate.upper) == ((0.45, 0.1), (None, 0.9))
        assert counts_of(gated)["a"].n_events == 50


class TestRawScale:
    def test_is_one_for_all_channels_and_shows_the_highest(self, tmp_path):
        head = HEAD.replace("scales:\n", "scales:\n  raw: {kind: logicle, width: 0.5}\n")
        path = tmp_path / "tube.fcs"
        events = np.tile([[10.0, 20.0, 5.0], [300.0, 900_000.0, 5.0]], (50, 1))
        write_events(path, events, ("FL1-A", "FL2-A", "SSC-A"), markers=("CD3", "CD4", ""))
        populations = "- {id: a, label: A, gate: {raw: true, rectangle: {CD3: [1, 2], CD4: [1, 2], SSC: [1, 2]}}}"
        template, sample = toy_template(tmp_path, populations, head=head), read_fcs(path)
        matrix = Spillover(("FL1-A", "FL2-A"), np.array([[1.0, 0.3], [0.2, 1.0]]), "test")
        resolution = Resolution.start(template, sample, matrix)
        cd3, cd4, ssc = resolution.axes(("CD3", "CD4", "SSC"), raw=True)
        assert cd3.transform == cd4.transform != ssc.transform
        assert isinstance(cd3.transform, Logicle) and cd3.transform.t >= 900_000
        assert not (cd3.compensated or cd4.compensated)
        assert resolution.dimension("CD3").compensated
        values = resolution.values.of((cd3, cd4), np.arange(2))
        assert values[1] == pytest.approx(cd3.transform.apply(np.array([300.0, 900_000.0])))

    def test_a_raw_population_is_drawn_on_raw_axes(self, tmp_path):
        populations = BEADS.replace("  optional: true\n", "  optional: true\n  plot: [CD3, CD19]\n")
        for n_beads in (50, 0):
            gated = resolve(toy_template(tmp_path, populations, head=RAW_HEAD), toy_tube(tmp_path, n_beads=n_beads))
            panel = next(panel for panel in make_panels(gated) if "beads" in panel.populations)
            assert (panel.x.marker, panel.y.marker) == ("CD3", "CD19")
            assert not (panel.x.compensated or panel.y.compensated)
            assert panel.populations == ("beads",)


class TestMethod:
    """``beads@1`` sees lowest values alone."""

    CELLS = np.random.default_rng(1).normal(0.25, 0.05, 5000)

    def test_places_the_threshold_in_the_gap(self):
        fitted = place_and_judge("beads@1", np.concatenate([self.CELLS, np.full(200, 0.9)]))
        assert fitted.placement.placed
        assert self.CELLS.max() < fitted.placement.lower < 0.85
        assert fitted.placement.upper is None
        assert fitted.diagnostics["events_inside"] == 200
        assert fitted.diagnostics["replicates_placed"] == 20
        assert fitted.flags == ()
        assert 0 < fitted.spread < 0.02

    def test_beads_off_scale_and_in_twos_are_beads(self):
        found = place("beads@1", np.concatenate([self.CELLS, np.full(1500, 0.9), np.full(200, 0.97), [1.3, np.inf]]))
        assert self.CELLS.max() < found.lower < 0.85

    def test_cells_with_much_spillover_are_not_beads(self):
        cells = np.concatenate([self.CELLS, np.random.default_rng(2).normal(0.5, 0.03, 900)])
        assert place("beads@1", cells).absent
        assert cells.max() < place("beads@1", np.concatenate([cells, np.full(300, 0.9)])).lower < 0.85

    def test_dirt_that_is_bright_and_spread_is_absent(self):
        dirt = np.random.default_rng(3).uniform(0.6, 1.0, 150)
        found = place("beads@1", np.concatenate([self.CELLS, dirt]))
        assert not found.placed and found.absent
        assert found.reason == "no bright and even population"

    def test_many_bright_ones_that_are_not_alike_may_hide_beads(self):
        smear = np.random.default_rng(3).uniform(0.6, 1.0, 1500)
        found = place("beads@1", np.concatenate([self.CELLS, smear]))
        assert not found.placed and not found.absent
        assert found.reason == "many events are bright in every channel, but not alike"

    def test_cells_above_debris_are_not_bright_enough(self):
        debris = np.random.default_rng(5).normal(0.05, 0.02, 1000)
        both = np.concatenate([debris, np.random.default_rng(6).normal(0.54, 0.02, 5000)])
        assert place("beads@1", both).absent
        assert place("beads@1", both, brightness=0.5).placed

    def test_a_few_are_told(self):
        found = place("beads@1", np.concatenate([self.CELLS, np.full(12, 0.9)]))
        assert found.absent and found.flags == ("too_few_beads",)
        assert found.reason == "only 12 events that are bright in every channel, 20 are needed"

    def test_what_chance_alone_would_place_is_too_few_as_well(self):
        fitted = place_and_judge("beads@1", np.concatenate([self.CELLS, np.full(20, 0.9)]))
        assert fitted.placement.absent and fitted.placement.flags == ("too_few_beads",)
        assert "of 20 replicates" in fitted.placement.reason

    def test_without_a_gap_it_fails_and_does_not_say_absent(self):
        smear = np.random.default_rng(4).uniform(0.3, 0.9, 3000)
        found = place("beads@1", np.concatenate([self.CELLS, smear, np.full(3000, 0.9)]))
        assert not found.placed and not found.absent
        assert found.reason == "no gap below the events that are bright in every channel"
        assert found.diagnostics["valley_to_lower_mode"] > 0.1

    @pytest.mark.parametrize("values", [[], [0.2] * 19, [0.2] * 500, [0.9] * 500])
    def test_one_population_is_none_of_beads(self, values):
        assert place("beads@1", histogram_of(np.array(values))).absent

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        n_cells=st.integers(300, 8000),
        n_beads=st.integers(60, 8000),
        where=st.floats(0.05, 0.4),
        spread=st.floats(0.01, 0.05),
        bead=st.floats(0.8, 1.1),
    )
    def test_is_between_cells_and_beads_wherever_they_are(self, seed, n_cells, n_beads, where, spread, bead):
        rng = np.random.default_rng(seed)
        cells = np.clip(rng.normal(where, spread, n_cells), None, where + 4 * spread)
        beads = np.clip(rng.normal(bead, 0.006, n_beads), bead - 0.02, bead + 0.02)
        assert place("beads@1", cells).absent
        both = rng.permutation(np.concatenate([cells, beads]))
        fitted = place_and_judge("beads@1", both)
        assert fitted.placement.placed and fitted.flags == ()
        assert cells.max() < fitted.placement.lower < beads.min()
        assert fitted.diagnostics["events_inside"] == n_beads


class TestTemplateSays:
    @pytest.mark.parametrize(
        ("gate", "problem"),
        [
            ("{method: beads@1, dims: [CD3, CD4]}", "beads@1 compares channels as they were measured: say raw: true."),
            ("{method: beads@1, raw: true, dims: [CD3]}", "beads@1 works on two or more dimensions, found CD3."),
            ("{method: beads@1, raw: true, dims: [CD3, CD3]}", "beads@1 works on two or more dimensions"),
            (
                "{method: beads@1, raw: true, dims: [CD3, CD4], or_dims: [[CD3]]}",
                "beads@1 works on two or more dimensions, found CD3.",
            ),
            (
                "{method: density_valley@1, raw: true, scope: batch, dims: [CD3]}",
                "a raw scale is the sample's own; raw goes with scope: sample only",
            ),
            ("{method: density_valley@1, dims: [CD3, CD4, CD8]}", "works on 1 dimension(s), found 3: CD3, CD4, CD8"),
        ],
    )
    def test_what_cannot_be_is_said(self, tmp_path, gate, problem):
        path = write_template(tmp_path, f"- {{id: a, label: A, gate: {gate}}}")
        with pytest.raises(ConfigError) as error:
            load_template(path)
        assert problem in str(error.value)

    def test_templates_that_say_nothing_raw_keep_their_hash(self, tmp_path):
        plain = "- {{id: a, label: A, gate: {{{}range: {{CD3: [1, 2]}}}}}}"
        hashes = [toy_template(tmp_path, plain.format(raw)).recipe_hash for raw in ("", "raw: false, ", "raw: true, ")]
        assert hashes[0] == hashes[1] != hashes[2]
        # Stored with the runs of the first release.
        stored = "4c4fe1169ab81067"
        assert load_template("tbnk@1.0.0").recipe_hash.startswith(stored)


def blood(t_cells, others):
    """Healthy blood with this share of its T cells, and of its other lymphocytes."""
    shares = dict.fromkeys(POPULATIONS["lymphocytes"], others) | dict.fromkeys(POPULATIONS["t_cells"], t_cells)
    return {name: value * shares.get(name, 0.7) for name, value in HEALTHY.items()}


def simulated(folder, seed, *, beads, cells=HEALTHY, n_events=10_000):
    """A tube of a lot and a day of its own, resolved by tbnk, and which of its events hold a bead."""
    rng = np.random.default_rng(seed)
    cytometer = day_of(rng, lot_of(rng, TBNK_CANTO))
    preparation = Preparation(beads=beads)
    tube = simulate_tube(
        rng, cells_per_ul=cells, cytometer=cytometer, preparation=preparation, stop=Stop(events=n_events)
    )
    path = folder / f"{seed}.fcs"
    write_events(path, tube.events, tube.detectors, markers=tube.markers)
    resolution = Resolution.start(
        load_template("tbnk@1.1.0"), read_fcs(path), Spillover(cytometer.detectors, cytometer.keyword, "test")
    )
    resolution.run_wave(0, {})
    return resolution, tube, (tube.cell_types == "beads") | (tube.partners == "beads")


class TestSimulatedTubes:
    """Against the labels of the simulator: some beads are off scale in CD19, some chipped, some meet a cell."""

    @pytest.mark.parametrize(
        ("seed", "beads", "cells"),
        [
            (1, 3_500, HEALTHY),
            (2, 5_000, HEALTHY),
            (3, 50_000, HEALTHY),
            (4, 1_200_000, HEALTHY),
            (5, 6_000, blood(0.1, 0.15)),
            (6, 50_000, blood(0.1, 0.15)),
            (7, 50_000, blood(0.02, 0.5)),
            (8, 600_000, blood(0.02, 0.1)),
        ],
    )
    def test_are_found_and_nothing_else_is(self, tmp_path, seed, beads, cells):
        resolution, tube, truth = simulated(tmp_path, seed, beads=beads, cells=cells)
        found = resolution.members.mask("beads")
        assert resolution.populations["beads"].status == "ok"
        assert found[truth].mean() >= 0.99
        assert truth[found].mean() >= 0.99
        assert found[tube.labels == "bead_doublets"].all()
        assert found[truth & (tube.labels == "doublets")].all()
        np.testing.assert_array_equal(resolution.members.mask("cells"), ~found)

    @pytest.mark.parametrize(("seed", "cells"), [(11, HEALTHY), (12, blood(0.1, 0.15)), (13, blood(0.02, 0.1))])
    def test_are_not_invented(self, tmp_path, seed, cells):
        resolution, _, truth = simulated(tmp_path, seed, beads=0, cells=cells)
        assert not truth.any()
        count = counts_of(resolution)["beads"]
        assert (count.status, count.n_events, count.severity) == ("absent", None, "info")
        assert counts_of(resolution)["cells"].n_events == len(truth)
        assert resolution.populations["lymphocytes"].parent == "singlets"
        assert resolution.populations["singlets"].parent is None

    def test_leave_the_percentages_of_cells_alone(self, tmp_path):
        resolution, tube, _ = simulated(tmp_path, 21, beads=200_000, n_events=30_000)
        counts, truth = counts_of(resolution), tube.counts()
        assert counts["lymphocytes"].n_total == 30_000
        assert counts["lymphocytes"].n_events == pytest.approx(truth["lymphocytes"], rel=0.05)
        assert counts["beads"].percent_lymphocytes is None
        for name in ("t_cells", "cd4_t", "cd8_t", "b_cells", "nk_cells"):
            share = 100 * truth[name] / truth["lymphocytes"]
            assert counts[name].percent_lymphocytes == pytest.approx(share, abs=2)

    def test_the_stored_gates_replay_exactly(self, tmp_path):
        resolution, _, _ = simulated(tmp_path, 22, beads=50_000)
        gate = resolution.populations["beads"].gate
        assert isinstance(gate, RectangleGate) and len(gate.dimensions) == 4
        stored = json.loads(json.dumps(resolution.strategy().to_dict(), allow_nan=False))
        members = GatingStrategy.from_dict(stored).apply(resolution.sample)
        for name in ("beads", "cells", "lymphocytes", "cd4_t"):
            np.testing.assert_array_equal(members[name], resolution.members.rows(name))

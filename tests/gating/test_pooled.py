"""Fits that pool samples: summaries are merged exactly, in any order, and every sample of a group gets one gate."""

import csv
import shutil
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from toys import HEAD, TUBES, counts_of, histogram_of, place, toy_sample, toy_template, write_template

from nti7flow.errors import UnknownMarker
from nti7flow.events.spillover import Spillover
from nti7flow.gating.fit import Fitted, seed_for
from nti7flow.gating.methods import Placement
from nti7flow.gating.pooling import fit_pooled
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.scales import merge_scales, propose_scales
from nti7flow.study.batch import gate_tubes
from nti7flow.study.plan import make_plan
from nti7flow.study.tube import GatedTube, RefusedTube

POOLED = """
- {id: cells, label: C, gate: {range: {SSC: [null, 500]}}}
- {id: t_cells, label: T, parent: cells, optional: true, gate: {method: density_valley@1, dims: [CD3], scope: study}}
- {id: cd4, label: CD4, parent: t_cells, gate: {range: {CD4: [500, null]}}}
"""


def column(rng, n_negative, n_positive, *, low=200, high=700):
    return np.concatenate([rng.normal(low, 30, n_negative), rng.normal(high, 40, n_positive)])


@pytest.fixture
def tubes(tmp_path):
    """Three tubes: one with both populations, one with hardly any positive cells, one with none at all."""
    rng = np.random.default_rng(0)
    made = []
    for i, (n_negative, n_positive) in enumerate([(900, 800), (1000, 9), (600, 0)]):
        cd3 = column(rng, n_negative, n_positive)
        ssc = np.where(np.arange(len(cd3)) % 10 == 0, 900, 100)  # a tenth is debris that must not be pooled
        made.append(toy_sample(tmp_path / f"tube{i}.fcs", CD3=cd3, CD4=np.full(len(cd3), 600.0), SSC=ssc))
    return made


def gate_together(template, samples):
    """Gate samples as one group."""
    resolutions = [Resolution.start(template, sample, Spillover.none()) for sample in samples]
    assert template.n_waves == 2
    summaries = [resolution.run_wave(0, {}) for resolution in resolutions]
    fitted = {}
    for population in {name for summary in summaries for name in summary}:
        given = [summary[population] for summary in summaries if population in summary]
        fitted[population] = fit_pooled(template.population(population).gate, given, seed_for("group"))
    for resolution in resolutions:
        assert resolution.run_wave(1, fitted) == {}
    return resolutions


def threshold(resolution, name="t_cells"):
    return resolution.strategy().population(name).gate.lower[0]


def test_one_gate_for_all_and_it_is_that_of_the_merged_histogram(tmp_path, tubes):
    gated = gate_together(toy_template(tmp_path, POOLED), tubes)
    values = np.concatenate([s.columns(["CD3"])[:, 0][s.columns(["SSC"])[:, 0] < 500] for s in tubes]) / 1000
    expected = place("density_valley@1", histogram_of(values)).lower
    assert [threshold(resolution) for resolution in gated] == [expected] * 3
    for resolution, sample in zip(gated, tubes, strict=True):
        cd3, ssc = sample.columns(["CD3", "SSC"]).T
        count = counts_of(resolution)["t_cells"]
        assert count.n_events == ((cd3 / 1000 >= expected) & (ssc < 500)).sum()
        assert count.status == "ok"
        (fit,) = resolution.fits
        assert (fit.scope, fit.n_fitted) == ("study", len(values))


def test_a_tube_without_positives_gets_a_count_and_no_invention(tmp_path, tubes):
    template = toy_template(tmp_path, POOLED)
    alone = gate_together(template, [tubes[2]])[0]
    assert counts_of(alone)["t_cells"].n_events is None
    assert counts_of(alone)["t_cells"].status == "failed"
    together = gate_together(template, tubes)[2]
    assert counts_of(together)["t_cells"].n_events == 0
    assert counts_of(together)["t_cells"].status == "ok"


def test_the_order_of_samples_does_not_matter(tmp_path, tubes):
    template = toy_template(tmp_path, POOLED)
    results = set()
    for order in permutations(tubes):
        gated = gate_together(template, order)
        results.add(tuple(sorted((r.name, threshold(r), r.fits[0].threshold_spread) for r in gated)))
    assert len(results) == 1


def test_a_sample_without_the_marker_neither_gives_nor_gets(tmp_path, tubes):
    template = toy_template(tmp_path, POOLED)
    other = toy_sample(tmp_path / "other.fcs", CD4=[1.0] * 50, SSC=[100.0] * 50)
    *first, last = gate_together(template, [*tubes, other])
    assert [threshold(r) for r in first] == [threshold(r) for r in gate_together(template, tubes)]
    assert counts_of(last)["t_cells"].status == "not_in_panel"
    assert counts_of(last)["cd4"].n_events is None
    must = toy_template(tmp_path, POOLED.replace("optional: true, ", ""))
    with pytest.raises(UnknownMarker, match="no channel carries CD3"):
        Resolution.start(must, other, Spillover.none()).run_wave(0, {})


def test_a_group_that_gives_nothing_fails_with_a_reason(tmp_path, tubes):
    text = POOLED.replace(
        "{range: {SSC: [null, 500]}}", "{method: density_valley@1, dims: [SSC], params: {min_events: 99999}}"
    )
    (gated,) = gate_together(toy_template(tmp_path, text), tubes[:1])
    count = counts_of(gated)["t_cells"]
    assert (count.status, count.flags[0], count.n_events) == ("failed", "parent_failed", None)
    fit_on = text.replace("parent: cells, optional: true, gate: {", "gate: {fit_on: cells, ")
    (gated,) = gate_together(toy_template(tmp_path, fit_on), tubes[:1])
    assert counts_of(gated)["t_cells"].status == "failed"
    assert gated.fits[1].diagnostics["reason"] == "no sample of the group to fit it on"


def test_a_pooled_fit_that_fails_falls_back_on_the_sample_alone(tmp_path, tubes):
    text = POOLED.replace("scope: study}", "scope: study, on_failure: {method: tail@1, dims: [CD3]}}")
    gated = gate_together(toy_template(tmp_path, text), tubes[2:])
    count = counts_of(gated[0])["t_cells"]
    assert (count.status, count.severity) == ("fell_back", "review")
    assert gated[0].fits[0].method == "tail"
    assert gated[0].fits[0].n_fitted == counts_of(gated[0])["cells"].n_events


def test_what_is_said_of_a_pooled_fit_is_said_of_every_count_that_rests_on_it(tmp_path, tubes):
    """Here the fit is given: a threshold at 0.5 of which the replicates think little."""
    template = toy_template(tmp_path, POOLED)
    gated = Resolution.start(template, tubes[0], Spillover.none())
    gated.run_wave(0, {})
    gated.run_wave(1, {"t_cells": Fitted(Placement(lower=0.5), 1234, 0.02, ("unstable_gate",), {"n_modes": 2})})
    counts = counts_of(gated)
    assert (counts["cells"].status, counts["cells"].severity, counts["cells"].flags) == ("ok", "", ())
    assert (counts["t_cells"].status, counts["t_cells"].severity) == ("ok", "review")
    assert counts["t_cells"].flags == ("unstable_gate",)
    assert (counts["cd4"].status, counts["cd4"].severity) == ("ok", "review")
    assert counts["cd4"].flags == ("t_cells:unstable_gate",)
    (fit,) = gated.fits
    assert (fit.n_fitted, fit.threshold_spread, fit.diagnostics) == (1234, 0.02, {"n_modes": 2})
    assert fit.thresholds == {"CD3": {"lower": 0.5, "lower_scale": 500.0}}


def test_markers_spelt_differently_are_pooled(tmp_path):
    rng = np.random.default_rng(0)
    one = toy_sample(tmp_path / "one.fcs", **{"CD3": column(rng, 300, 0), "CD4": np.zeros(300), "SSC": np.zeros(300)})
    two = toy_sample(
        tmp_path / "two.fcs", **{"cd3 FITC": column(rng, 0, 300), "cd4": np.zeros(300), "SSC": np.zeros(300)}
    )
    gated = gate_together(toy_template(tmp_path, POOLED), [one, two])
    assert threshold(gated[0]) == threshold(gated[1]) == pytest.approx(0.45, abs=0.05)


def test_scales_are_agreed_on_exactly_and_in_any_order(tmp_path):
    head = HEAD.replace("{kind: linear, top: 1000}", "{kind: logicle}")
    template = toy_template(tmp_path, POOLED, head=head)
    rng = np.random.default_rng(0)
    proposals = []
    for i, (spread, factor) in enumerate([(50, 1), (900, 1), (300, 3000)]):
        cd3 = np.concatenate([rng.normal(0, spread, 400), factor * column(rng, 0, 300)])
        sample = toy_sample(tmp_path / f"t{i}.fcs", CD3=cd3, SSC=np.zeros(700))
        proposals.append(propose_scales(template.spec, sample, Spillover.none(), ["CD3", "CD4", "SSC"]))
    assert all(set(proposal) == {"CD3", "SSC"} for proposal in proposals)
    agreed = {tuple(sorted((m, s.top, s.width) for m, s in merge_scales(p).items())) for p in permutations(proposals)}
    assert len(agreed) == 1
    merged = merge_scales(proposals)["CD3"]
    assert merged.top == max(p["CD3"].top for p in proposals) > 2_000_000
    low, middle, high = sorted(p["CD3"].width for p in proposals)
    assert low < merged.width == middle < high, "one tube with a wrong matrix spoils the scale of all others"


#: Staining batch of each tube of a study; its name ends in the day of the tube that it is a copy of.
BATCH = {"a00": "march", "b21": "march", "c21": "april", "d21": "april"}


class TestStudy:
    """Two simulated tubes and copies of them, in two staining batches, gated through the study room."""

    TEMPLATE = """
    - {id: lymphocytes, label: L, gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}}
    - {id: t_cells, label: T, parent: lymphocytes, gate: {method: density_valley@1, dims: [CD3], scope: SCOPE}}
    - {id: cd4_t, label: CD4, parent: t_cells, gate: {method: density_valley@1, dims: [CD4]}}
    """

    @pytest.fixture
    def plan(self, tmp_path):
        def make(scope, names=tuple(BATCH), rename=lambda name: name):
            head = HEAD[: HEAD.index("scales")] + "populations:\n"
            write_template(tmp_path, self.TEMPLATE.replace("SCOPE", scope), head=head)
            with (tmp_path / "samples.csv").open("w", newline="") as stream:
                sheet = csv.writer(stream)
                sheet.writerow(["file", "sample", "specimen", "subject", "panel", "batch"])
                for name in names:
                    file = tmp_path / f"{rename(name)}.fcs"
                    shutil.copy(TUBES / f"SIM-001_day{name[1:]}_tbnk.fcs", file)
                    batch = BATCH[name]
                    sheet.writerow([file.name, rename(name), f"{rename(name)}s", "S1", "toy", batch])
            (tmp_path / "study.yaml").write_text(
                "schema: nti7flow/study/1\nstudy: toy\ntemplates: {toy: toy.yaml}\nsheets: {samples: samples.csv}\n"
            )
            return make_plan([tmp_path / "study.yaml"])

        return make

    def thresholds(self, plan, **arguments):
        outcomes = list(gate_tubes(plan, **arguments))
        assert all(isinstance(outcome, GatedTube) for outcome in outcomes), outcomes
        return {o.tube.sample: o.strategy.population("t_cells").gate.lower[0] for o in outcomes}, outcomes

    def test_scope_batch(self, plan):
        found, outcomes = self.thresholds(plan("batch"))
        assert found["a00"] == found["b21"]
        assert found["c21"] == found["d21"]
        n_fitted = {o.tube.sample: next(f for f in o.fits if f.population == "t_cells").n_fitted for o in outcomes}
        n_lymphocytes = {o.tube.sample: o.counts[0].n_events for o in outcomes}
        assert n_fitted["a00"] == n_lymphocytes["a00"] + n_lymphocytes["b21"]
        assert n_fitted["c21"] == 2 * n_lymphocytes["c21"]
        for outcome in outcomes:
            assert [count.status for count in outcome.counts] == ["ok"] * 3

    def test_scope_study(self, plan):
        found, outcomes = self.thresholds(plan("study"))
        assert len(set(found.values())) == 1
        n_lymphocytes = sum(o.counts[0].n_events for o in outcomes)
        assert {f.n_fitted for o in outcomes for f in o.fits if f.population == "t_cells"} == {n_lymphocytes}
        # What is fitted per sample below it stays so.
        cd4 = {o.tube.sample: o.strategy.population("cd4_t").gate.lower[0] for o in outcomes}
        assert cd4["b21"] == cd4["c21"] != cd4["a00"]

    def test_the_order_of_the_sheet_and_the_names_do_not_matter(self, plan):
        expected, _ = self.thresholds(plan("batch"))
        turned = {name: f"{chr(122 - i)}{name}" for i, name in enumerate(BATCH)}
        found, _ = self.thresholds(plan("batch", tuple(BATCH)[::-1], turned.get))
        assert {name: found[new] for name, new in turned.items()} == expected

    def test_a_damaged_tube_costs_only_itself(self, plan):
        expected, _ = self.thresholds(plan("batch"))
        study = plan("batch")
        study.tubes[3].path.write_bytes(b"FCS3.0 but not really")
        outcomes = list(gate_tubes(replace(study, tubes=study.tubes)))
        assert [type(o) for o in outcomes] == [GatedTube, GatedTube, GatedTube, RefusedTube]
        found = {o.tube.sample: o.strategy.population("t_cells").gate.lower[0] for o in outcomes[:2]}
        assert found == {name: expected[name] for name in ("a00", "b21")}

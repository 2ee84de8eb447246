"""Gates that lean on their batch and on earlier visits, through a whole study of small tubes."""

import csv
from pathlib import Path

import numpy as np
import pytest
from study_tubes import check_counts, files_of, read_table

from nti7flow.events.fcs import write_events
from nti7flow.gating.lending import LEAST_LENDERS
from nti7flow.study.batch import gate_tubes
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.replay import replay
from nti7flow.study.store import open_run
from nti7flow.study.tube import GatedTube, RefusedTube

TEMPLATE = """\
schema: nti7flow/template/1
name: leaning
version: 1.0.0
title: A threshold that leans
scales:
  fluorescence: {kind: linear, top: 1000}
populations:
  - id: t_cells
    label: T
    gate: {method: density_valley@1, dims: [CD3], LEANS}
  - id: cd8_t
    label: CD8 T
    parent: t_cells
    gate: {range: {CD8: [500, null]}}
"""
LEANS = "borrow: [batch, subject]"

#: Subject, day, batch, role, and by how much the stain is brighter than usual: display units are a thousandth.
TUBES = {
    "a1": ("S1", 1, "march", "patient", -20),
    "b1": ("S2", 1, "march", "patient", 20),
    "c1": ("S3", 1, "march", "patient", 0),
    "d1": ("S4", 1, "march", "patient", 5),
    "few": ("S5", 1, "march", "patient", 0),
    "dark": ("S6", 1, "march", "fmo:CD3", 0),
    "a2": ("S1", 2, "april", "patient", 80),
    "b2": ("S2", 2, "april", "patient", 120),
    "c2": ("S3", 2, "april", "patient", 100),
    "d2": ("S4", 2, "april", "patient", 105),
}


def write_toy(path, name, *, seed=0):
    """Write a tube: negatives at 200, positives at 600, moved by the tube's own shift; few events, or no stain."""
    rng = np.random.default_rng([seed, *name.encode()])
    shift = TUBES[name][4]
    n_negative, n_positive = (14, 9) if name == "few" else (800, 600)
    positive = 150 if name == "dark" else 600
    cd3 = np.concatenate([rng.normal(200, 45, n_negative), rng.normal(positive, 50, n_positive)]) + shift
    cd8 = rng.choice([100.0, 800.0], len(cd3))
    write_events(path, np.column_stack([cd3, cd8]), ["FITC-A", "PE-A"], markers=["CD3", "CD8"])
    return cd3


@pytest.fixture
def study(tmp_path):
    """Write a study of some tubes, in some order, by a template; return its plan."""

    def make(names=tuple(TUBES), *, leans=LEANS, folder="study"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / "leaning.yaml").write_text(TEMPLATE.replace("LEANS", leans).replace(", }", "}"))
        with (place / "samples.csv").open("w", newline="") as stream:
            sheet = csv.writer(stream)
            sheet.writerow(["file", "sample", "specimen", "subject", "panel", "batch", "role", "collected_at"])
            for name in names:
                subject, day, batch, role, _ = TUBES[name]
                write_toy(place / f"{name}.fcs", name)
                drawn = f"2026-0{2 + day}-01T08:00+00:00"
                sheet.writerow([f"{name}.fcs", name, f"{subject}-{day}", subject, "toy", batch, role, drawn])
        (place / "study.yaml").write_text(
            "schema: nti7flow/study/1\nstudy: toy\ntime_zone: UTC\ntemplates: {toy: leaning.yaml}\ncompensation: none\n"
            "sheets: {samples: samples.csv}\n"
        )
        return make_plan([place / "study.yaml"])

    return make


def outcomes(plan, **options):
    return {outcome.tube.sample: outcome for outcome in gate_tubes(plan, **options)}


def threshold(outcome):
    return outcome.strategy.population("t_cells").gate.lower[0]


def fit(outcome):
    return next(row for row in outcome.fits if row.population == "t_cells")


def count(outcome, name="t_cells"):
    return next(c for c in outcome.counts if c.population == name)


def test_a_tube_with_too_few_events_borrows_from_its_batch(study):
    gated, alone = outcomes(study()), outcomes(study(leans="", folder="alone"))
    few = count(alone["few"])
    assert (few.status, few.n_events, few.severity) == ("failed", None, "invalid")
    few = count(gated["few"])
    assert (few.status, few.severity) == ("borrowed", "info")
    march = np.median([threshold(alone[name]) for name in ("a1", "b1", "c1", "d1")])
    april = np.median([threshold(alone[name]) for name in ("a2", "b2", "c2", "d2")])
    assert april - march > 0.08
    assert threshold(gated["few"]) == pytest.approx(march, abs=0.01)
    assert few.n_events == 9
    row = fit(gated["few"])
    assert (row.diagnostics["leans_on"], row.diagnostics["weight_own"]) == ("batch", 0)
    assert row.threshold_spread > 0


def test_tubes_that_place_their_own_gate_keep_it_or_lean_a_little(study):
    gated, alone = outcomes(study()), outcomes(study(leans="", folder="alone"))
    for name in ("a1", "b1", "c1", "d1", "a2", "b2", "c2", "d2"):
        assert count(gated[name]).status in ("ok", "borrowed")
        assert threshold(gated[name]) == pytest.approx(threshold(alone[name]), abs=0.05)
        assert abs(count(gated[name]).n_events - count(alone[name]).n_events) <= 3
        assert 0 < fit(gated[name]).diagnostics["weight_own"] <= 1


def test_a_tube_without_its_stain_does_not_lend(study):
    gated = outcomes(study())
    without = outcomes(study(tuple(name for name in TUBES if name != "dark"), folder="without"))
    assert {name: threshold(outcome) for name, outcome in without.items()} == {
        name: threshold(outcome) for name, outcome in gated.items() if name != "dark"
    }
    assert count(gated["dark"]).n_events < 0.05 * 1400  # and it gets what the others say


def test_only_later_visits_lean_on_the_subject(study):
    leans = {name: fit(outcome).diagnostics["leans_on"] for name, outcome in outcomes(study()).items()}
    assert {leans[name] for name in ("a1", "b1", "c1", "d1", "few", "dark")} == {"batch"}
    assert {leans[name] for name in ("a2", "b2", "c2", "d2")} <= {"batch", "batch and subject"}
    assert "batch and subject" in leans.values()


def test_too_few_tubes_gate_by_themselves(study):
    names = tuple(TUBES)[:LEAST_LENDERS]
    gated, alone = outcomes(study(names)), outcomes(study(names, leans="", folder="alone"))
    assert {n: threshold(o) for n, o in gated.items()} == {n: threshold(o) for n, o in alone.items()}
    assert "leans_on" not in fit(gated["a1"]).diagnostics


def test_neither_order_nor_workers_change_anything(study):
    plan = study()
    expected = {name: (threshold(o), o.counts, repr(o.fits), o.gating_sd) for name, o in outcomes(plan).items()}
    for other, jobs in ((study(tuple(TUBES)[::-1], folder="turned"), 1), (plan, 2)):
        found = outcomes(other, jobs=jobs)
        assert {name: (threshold(o), o.counts, repr(o.fits), o.gating_sd) for name, o in found.items()} == expected


def test_a_tube_that_fails_leaves_the_others_as_they_are(study):
    names = tuple(name for name in TUBES if name != "d1")
    expected = outcomes(study(names, folder="without"))
    plan = study()
    Path(next(tube.path for tube in plan.tubes if tube.sample == "d1")).write_bytes(b"FCS3.0 but not really")
    found = outcomes(plan)
    assert isinstance(found.pop("d1"), RefusedTube)
    assert all(isinstance(outcome, GatedTube) for outcome in found.values())
    assert {n: (threshold(o), o.counts) for n, o in found.items()} == {
        n: (threshold(o), o.counts) for n, o in expected.items()
    }


def test_a_run_stores_it_and_replays(study, tmp_path):
    plan = study()
    for jobs in (1, 2):
        gate_study(plan, tmp_path / f"run{jobs}", jobs=jobs, figures="none")
    assert files_of(tmp_path / "run1") == files_of(tmp_path / "run2")
    assert check_counts(tmp_path / "run1" / "steps" / "01-gate") == 2 * len(TUBES)
    rows = {(row["sample"], row["population"]): row for row in read_table(tmp_path / "run1" / "counts.csv")}
    assert rows["few", "t_cells"]["status"] == "borrowed"
    assert float(rows["few", "t_cells"]["gating_sd"]) >= 0
    report = replay(open_run(tmp_path / "run1"))
    assert report.identical, report.differences

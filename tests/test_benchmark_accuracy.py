"""The benchmark of accuracy judges as the bars are written, and runs from end to end."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))  # benchmarks/ is no installed package

from benchmarks.accuracy import labelled, perturbed, simulated, studies  # noqa: E402
from benchmarks.accuracy.bars import bars, below_ceiling  # noqa: E402
from benchmarks.accuracy.gated import GatedTube, gate_alone, read_run  # noqa: E402
from benchmarks.accuracy.measure import Results, ScoredStudy  # noqa: E402
from benchmarks.accuracy.peers import by_classifiers, by_clustering  # noqa: E402
from benchmarks.accuracy.report import write_report  # noqa: E402
from benchmarks.accuracy.scores import score  # noqa: E402
from sklearn.metrics import f1_score, precision_score, recall_score  # noqa: E402

from nti7flow.events.fcs import write_events  # noqa: E402
from nti7flow.simulation import simulate_tube  # noqa: E402

POPULATIONS = simulated.POPULATIONS


# --- scores ---------------------------------------------------------------------------------------


def test_score_by_hand():
    # 4 labelled, 3 found, 2 both: precision 2/3, recall 2/4, F1 = 2·2/(4+3), count 25 % low.
    truth = np.array([1, 1, 1, 1, 0, 0], bool)
    found = np.array([1, 1, 0, 0, 1, 0], bool)
    result = score(truth, found)
    assert (result.precision, result.recall, result.f1) == (2 / 3, 0.5, 4 / 7)
    assert result.count_error == -0.25


def test_score_of_nothing_is_no_number():
    nothing, all_events = np.zeros(3, bool), np.ones(3, bool)
    assert math.isnan(score(nothing, nothing).f1)
    assert math.isnan(score(nothing, all_events).recall)
    assert math.isnan(score(all_events, nothing).precision)
    assert score(all_events, nothing).f1 == 0
    with pytest.raises(ValueError, match="cannot be compared"):
        score(nothing, np.zeros(2, bool))


@given(hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 40))))
def test_score_agrees_with_scikit_learn(memberships):
    truth, found = memberships
    result = score(truth, found)
    assert np.nan_to_num(result.precision) == pytest.approx(precision_score(truth, found, zero_division=0))
    assert np.nan_to_num(result.recall) == pytest.approx(recall_score(truth, found, zero_division=0))
    assert np.nan_to_num(result.f1) == pytest.approx(f1_score(truth, found, zero_division=0))


@pytest.mark.parametrize(("n", "limit"), [(0, 3), (4, 3), (16, 4), (64, 8), (100, 10), (1000, 100)])
def test_limit_of_an_error(n, limit):
    assert simulated.error_limit(n) == limit


# --- what a tube says -----------------------------------------------------------------------------


def tube(severity="", *, n_events=5, status="ok", checks=()):
    row = {"n_events": n_events, "status": status, "severity": severity, "flags": ""}
    return GatedTube("tube", {name: row for name in POPULATIONS}, tuple(checks))


def test_absent_is_none_counted_and_failed_is_no_count():
    assert tube(n_events=None, status="absent").n_events("cd4_t") == 0
    assert tube(n_events=None, status="failed").n_events("cd4_t") is None
    assert tube().n_events("no_such") is None
    assert tube().severity("no_such") == "invalid"
    assert GatedTube("tube", refused="torn").severity("cd4_t") == "invalid"
    assert GatedTube("tube", refused="torn").said(POPULATIONS) == ("refused: torn",)


def test_checks_speak_for_the_tube_and_not_for_its_counts():
    loud = tube("info", checks=[{"check": "drift", "severity": "review"}])
    assert loud.severity("cd4_t") == "info"
    assert loud.tube_severity(POPULATIONS) == "review"
    assert loud.said(POPULATIONS) == ("drift",)
    assert tube("invalid").said(["cd4_t"]) == ("cd4_t invalid (ok)",)


# --- simulated studies ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A patient with 50 CD4 T cells/µL, made and gated."""
    plan = studies.plan_level(50.0, subjects=1, draws=2, events=4_000)
    return plan, *studies.make_and_gate(plan, tmp_path_factory.mktemp("level"), "tbnk")


def test_patients_at_a_level_differ_from_themselves_in_cd4_alone(study):
    plan, *_ = study
    original = {draw.specimen: draw for draw in studies.simulate_trial(11, n_subjects=1).draws}
    assert len(plan.trial.draws) == 2
    for draw in plan.trial.draws:
        now, before = draw.cells_per_ul, original[draw.specimen].cells_per_ul
        cd4 = [name for name in now if name.startswith("cd4_")]
        assert sum(now[name] for name in cd4) == pytest.approx(50)
        ratios = [now[name] / before[name] for name in cd4]
        assert ratios == pytest.approx([ratios[0]] * len(ratios))
        assert all(now[name] == before[name] for name in now if name not in cd4)


def test_rows_of_a_study_are_its_labels_and_its_counts(study):
    _, folder, run = study
    rows = simulated.score_study(folder, run)
    gated = read_run(run)
    assert len(rows) == 2 * len(POPULATIONS)
    for row in rows:
        labels = simulated.read_labels(folder / "truth" / "labels" / f"{row['sample']}.parquet")
        assert row["truth"] == (labels == row["population"]).sum()
        assert row["clean"] and not row["case"]
        mask = gated[row["sample"]].masks[row["population"]]
        if mask is None:
            assert row["counted"] in (None, 0) and math.isnan(row["f1"])
        else:
            assert row["counted"] == mask.sum()
            assert row["f1"] == pytest.approx(
                f1_score(labels == row["population"], mask, zero_division=np.nan), nan_ok=True
            )
        assert row["wrong"] == (row["error"] is None or abs(row["error"]) > row["limit"])
        assert row["silent"] == (row["wrong"] and row["severity"] in ("", "info"))


def study_row(sample, error, severity="", *, clean=True, tube_severity=None):
    return {
        "sample": sample,
        "wrong": error is None or abs(error) > 3,
        "severity": severity,
        "clean": clean,
        "tube_severity": severity if tube_severity is None else tube_severity,
        "any_severity": severity if tube_severity is None else tube_severity,
        "silent": (error is None or abs(error) > 3) and severity not in ("review", "invalid"),
        "silent_in_tube": False,
        "population": "cd4_t",
        "error": error,
        "truth": 10,
        "said": "",
        **dict.fromkeys(("f1", "precision", "recall"), 1.0),
    }


def test_summary_of_a_study():
    rows = [
        study_row("a", 0),
        study_row("b", 9),
        study_row("c", 9, "review"),
        study_row("d", 0, "info", tube_severity="review"),
        study_row("e", None, "invalid", clean=False),
    ]
    found = simulated.summarise(rows)
    assert (found.n, found.wrong, found.silent) == (5, 3, 1)
    assert (found.n_clean, found.flagged_counts, found.flagged_tubes) == (4, 1, 2)


# --- the perturbed tube ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A simulated healthy tube in place of the real one, which is not always there."""
    folder = tmp_path_factory.mktemp("perturbed")
    made = simulate_tube(np.random.default_rng(5))
    matrix = made.cytometer.keyword
    spillover = [str(len(matrix)), *made.cytometer.detectors, *(f"{value:g}" for value in matrix.ravel())]
    path = folder / "tube.fcs"
    keywords = {"$SPILLOVER": ",".join(spillover), "$TIMESTEP": "0.001"}
    write_events(path, made.events, made.detectors, markers=made.markers, keywords=keywords)
    return perturbed.open_source(path, "tbnk", folder)


def compensated(source, tube):
    return tube.raw[:, source.fluorescence] @ np.linalg.inv(tube.matrix)


def test_gain_with_its_matrix_makes_one_dye_brighter_and_no_other(source):
    tube = source.tube
    rare = tube.raw[:, source.fluorescence].max(axis=1) < 100_000  # nothing reaches the top of the range
    detector = source.spillover.detectors[3]
    before = compensated(source, tube)[rare]
    after = compensated(source, perturbed.gain([detector], 1.3, matrix_fits=True)(source, tube))[rare]
    wanted = before * np.where(np.arange(before.shape[1]) == 3, 1.3, 1.0)
    assert after == pytest.approx(wanted, abs=1e-6)
    old = perturbed.gain([detector], 1.3, matrix_fits=False)(source, tube)
    assert np.array_equal(old.matrix, tube.matrix)
    assert old.raw.max() <= 262_143


def test_spillover_is_mis_set_where_there_is_some(source):
    matrix = source.tube.matrix
    off = (matrix > 0) & ~np.eye(len(matrix), dtype=bool)
    for change, wanted in (
        (perturbed.spill(factor=1.05), np.where(off, matrix * 1.05, matrix)),
        (perturbed.spill(step=-0.05), np.where(off, np.maximum(matrix - 0.05, 0), matrix)),
        (
            perturbed.spill([1], factor=0.95),
            np.where(off & (np.arange(len(matrix)) == 1)[:, None], matrix * 0.95, matrix),
        ),
    ):
        assert change(source, source.tube).matrix == pytest.approx(wanted)


def test_thinning_takes_lymphocytes_alone(source):
    for region, mask in (("own", source.own), ("manual", source.manual)):
        thinned = perturbed.thin(region, 0.1, 1)(source, source.tube)
        kept = np.zeros(len(mask), bool)
        kept[thinned.rows] = True
        assert kept[~mask].all()
        assert kept[mask].sum() == round(0.1 * mask.sum())
        assert np.array_equal(thinned.raw, source.tube.raw[thinned.rows])
    again, other = (perturbed.thin("own", 0.1, seed)(source, source.tube).rows for seed in (1, 2))
    assert not np.array_equal(again, other)


def test_the_tube_as_it_is_does_not_move(source, tmp_path):
    rows = perturbed.score_source(source, "tbnk", tmp_path, [])
    assert [row["shift"] for row in rows] == pytest.approx([0, 0])
    assert [row["f1"] for row in rows] == [1, 1]
    assert all(row["held"] for row in rows)


def judged(source, cd4, n_t, severity=""):
    """Judge a tube that is said to hold so many CD4 T cells of so many T cells."""
    row = {"n_events": cd4, "status": "ok", "severity": severity, "flags": ""}
    gated = GatedTube("tube", {"cd4_t": row, "t_cells": row | {"n_events": n_t}})
    return perturbed._judge(source, perturbed.NOTHING, source.tube, gated, "cd4_t")


def test_a_shift_counts_beyond_a_point_and_two_standard_errors(source):
    full = source.gated
    n, of_t = full.n_events("cd4_t"), full.n_events("t_cells")
    se = math.sqrt(n / of_t * (1 - n / of_t) / of_t)
    limit = max(0.01, 2 * se)
    assert judged(source, n, of_t)["se"] == pytest.approx(100 * se)
    assert judged(source, n + math.floor(0.98 * limit * of_t), of_t)["held"]
    beyond = n + math.ceil(1.02 * limit * of_t)
    assert not judged(source, beyond, of_t)["held"]
    assert not judged(source, beyond, of_t, "info")["held"]
    assert judged(source, beyond, of_t, "review")["held"]
    assert not judged(source, None, of_t)["held"]  # no number, and nothing said


# --- peers ----------------------------------------------------------------------------------------


def test_peers_name_what_anybody_would():
    rng = np.random.default_rng(0)
    truth = np.repeat(["cd4_t", "cd8_t", "other"], 400).astype("U16")
    centres = np.repeat([[0.0, 8.0], [8.0, 0.0], [0.0, 0.0]], 400, axis=0)
    display = centres + rng.standard_normal(centres.shape)
    methods = [*by_clustering(display, truth), *by_classifiers(display, truth, folds=2)]
    assert len(methods) == 6
    for _, names in methods:
        assert (names == truth).mean() > 0.98
    # No classifier has seen the event it names: labels that follow from nothing cannot be learnt.
    luck = rng.permutation(truth)
    assert all((names == luck).mean() < 0.45 for _, names in by_classifiers(display, luck, folds=2))


# --- labelled sets --------------------------------------------------------------------------------


def write_table(path, values, names, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**dict(zip(names, values.T, strict=True)), "label": labels}), path)


def test_euroflow_columns_are_taken_by_position(tmp_path):
    values = np.arange(30.0).reshape(3, 10)
    names = [f"name{i}" for i in range(10)]
    folder = tmp_path / "euroflow_any" / "converted"
    write_table(folder / "B.parquet", values, names[::-1], ["T_CD4", "T_CD4CD8", "debris_or_doublet"])
    write_table(folder / "A.parquet", values, names, ["B_abnormal", "T_CD8", "neutrophil"])
    kind = next(kind for kind in labelled.SETS if kind.name == "EuroFlow")
    first, second = kind.load(tmp_path)
    assert (first.sample, first.healthy, second.sample, second.healthy) == ("A", False, "B", True)
    assert np.array_equal(second.values, values)
    assert labelled.classes(kind, second).tolist() == ["cd4_t", "cd4_t", "other"]
    found = labelled.compared(kind, second, "cd4_t", np.array([True, False, True]))
    assert (found["n_true"], found["n_found"], found["debris"], found["f1"]) == (2, 2, 1, 0.5)


def test_activated_cells_are_left_out_of_scoring():
    kind = next(kind for kind in labelled.SETS if kind.name == "HIPC")
    labels = np.array(["CD4 Naive", "CD4 Naive", "CD4 Activated", "CD4 Effector"])
    tube = labelled.Labelled("t", np.zeros((4, 1)), np.zeros((4, 1)), labels, ("A",), ("",))
    found = labelled.compared(kind, tube, "cd4_naive", np.array([True, True, True, True]))
    assert (found["n_true"], found["n_found"], found["precision"]) == (2, 3, 2 / 3)
    assert found["f1_of_all"] == 4 / 6


def test_bar_of_hipc_is_the_mean_of_its_classes():
    rows = [of_set("HIPC", "a", name, f1) for name, f1 in (("cd4_naive", 0.95), ("cd4_cm", 0.86))]
    assert met(Results(labelled=rows)) == {"HIPC, a": True}
    assert met(Results(labelled=[rows[0], rows[1] | {"f1": 0.84}])) == {"HIPC, a": False}


def test_a_set_without_a_template_or_files_is_not_scored():
    kind = replace(labelled.SETS[0], templates=("no_such_template", "tbnk"))
    assert kind.template() == "tbnk"
    assert replace(kind, templates=("no_such_template",)).template() is None


def test_every_labelled_file_is_found(shared_data):
    for kind, pattern in zip(
        labelled.SETS, ("cyanno*/**/*.parquet", "euroflow*/**/*.parquet", "hipc*/**/*.labels.csv.gz"), strict=True
    ):
        files = list(shared_data.glob(pattern))
        if not files:
            pytest.skip(f"no {pattern} in the reference data")
        tubes = list(kind.load(shared_data))
        assert len(tubes) == len(files)
        for found in tubes:
            assert found.values.shape == (len(found.labels), len(found.detectors)) == found.display.shape
            assert set(kind.truth) <= set(labelled.classes(kind, found).tolist())


# --- bars and page --------------------------------------------------------------------------------


def of_set(name, sample, population, f1, *, method="nti7flow", count_error=0.0, healthy=True):
    row = {"set": name, "sample": sample, "population": population, "method": method, "healthy": healthy}
    row |= {
        "n_true": 100,
        "n_found": 100,
        "precision": f1,
        "recall": f1,
        "f1": f1,
        "f1_of_all": f1,
        "count_error": count_error,
    }
    return row | {"debris": 0, "status": "ok", "severity": ""}


def met(results):
    return {bar.name: bar.met for bar in bars(results)}


def test_bar_of_cyanno_is_median_and_least_or_the_ceiling():
    good, poor = of_set("CyAnno", "a", "cd4_t", 0.99), of_set("CyAnno", "a", "b_cells", 0.92)
    ceiling = [of_set("CyAnno", "a", name, 0.93, method="LDA") for name in ("cd4_t", "b_cells")]
    assert met(Results(labelled=[good, good, poor, *ceiling])) == {"CyAnno": True}
    higher = [of_set("CyAnno", "a", name, 0.95, method="LDA") for name in ("cd4_t", "b_cells")]
    assert met(Results(labelled=[good, good, poor, *higher])) == {"CyAnno": False}
    assert [round(gap, 2) for _, gap in below_ceiling(Results(labelled=[good, poor, *higher]), "CyAnno")] == [
        -0.04,
        0.03,
    ]
    nothing = of_set("CyAnno", "a", "cd4_t", math.nan)
    assert met(Results(labelled=[nothing, *ceiling])) == {"CyAnno": False}


def test_bar_of_euroflow_leaves_the_ill_out():
    rows = [of_set("EuroFlow", f"{n}", "cd4_t", 0.9, count_error=error) for n, error in enumerate([0.01, -0.01, 0.02])]
    ill = of_set("EuroFlow", "ill", "cd4_t", 0.9, count_error=0.5, healthy=False)
    assert met(Results(labelled=[*rows, ill])) == {"EuroFlow, cd4_t": True}
    assert met(Results(labelled=[*rows, of_set("EuroFlow", "x", "cd4_t", 0.9, count_error=-0.04)])) == {
        "EuroFlow, cd4_t": False
    }


def test_bars_of_what_was_not_scored_say_so():
    results = Results(not_scored={"HIPC": "no template tcell", "perturbed": "no tube"})
    found = list(bars(results))
    assert [bar.met for bar in found] == [None, None]
    assert found[0].measured == "not scored: no template tcell"


def test_bars_of_a_study():
    case = {"case": "empty_tube", "shown_by_data": "yes", "flagged": False, "severity": "", "wanted": "invalid"}
    case |= {"blocks": False, "named": False, "said": "a | b"}
    rows = [study_row(f"{n}", 0) for n in range(99)] + [study_row("99", 9)]
    study = ScoredStudy("title", None, 100, rows, [case], [])
    found = met(Results(studies=[study]))
    assert list(found.values()) == [True, True, False]
    one_more = replace(study, rows=[*rows[1:], study_row("0", 9)], awkward=[case | {"flagged": True}])
    assert list(met(Results(studies=[one_more])).values()) == [False, True, True]
    page = write_report(Results(studies=[study]))
    assert "| **nothing** |" in page and r"a \| b" in page
    assert "1 of 100 (1.0%) | met |" in page


def test_page_without_anything_is_still_a_page():
    assert write_report(Results()).startswith("<!-- Written by")


# --- from end to end ------------------------------------------------------------------------------


def test_quick_benchmark_writes_a_page_and_a_figure(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat(["CD4Tcells", "CD8Tcells", "Bcells", "Monocytes", "ungated"], 60)
    values = rng.gamma(2.0, 20.0, (len(labels), 8)) * (1 + 5 * (np.arange(8) == np.repeat(np.arange(5), 60)[:, None]))
    write_table(tmp_path / "data" / "cyanno_x" / "tube.parquet", values, list(labelled.CYANNO_MARKERS), labels)
    page = tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks.accuracy", "--quick", "--jobs", "1", "--out", str(page)]
    command += ["--data", str(tmp_path / "data"), "--only", "CyAnno", "--only", "HIPC", "--only", "levels"]
    done = subprocess.run([*command, "--only", "perturbed"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text(encoding="utf-8")
    assert "Nothing can be judged" in text
    assert "HIPC | mean F1 of seven classes ≥ 0.90, goal 0.93 | not scored: no such files" in text
    assert "not scored: no tbnk_auto/1.fcs" in text
    assert "| Simulated, 50 CD4/µL: silent errors |" in text
    assert "| extra trees |" in text
    assert str(tmp_path) not in text
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_a_tube_that_cannot_be_gated_is_refused_and_not_an_error(tmp_path):
    write_events(tmp_path / "tube.fcs", np.ones((3, 1)), ["FSC-A"])
    assert gate_alone(tmp_path / "tube.fcs", "tbnk", spillover="none").refused

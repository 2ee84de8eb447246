"""The benchmark of whole trials scores what the tables say against the truth, and runs from end to end."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))  # benchmarks/ is no installed package

from benchmarks.trials.__main__ import _seeds  # noqa: E402
from benchmarks.trials.bars import bars  # noqa: E402
from benchmarks.trials.cases import Case, lot_shows, score_cases  # noqa: E402
from benchmarks.trials.measures import cluster_error, coverage, few, many, reasons, spread, width_ratios  # noqa: E402
from benchmarks.trials.report import seeds_in_words, together, write_report  # noqa: E402
from benchmarks.trials.rows import CORRECTED, DELTA, OURS, WALD, clean, held, lower, score_rows, upper  # noqa: E402
from benchmarks.trials.studies import ScoredTrial, Size, make_and_gate  # noqa: E402

INPUTS = {
    "n_beads": 1_000,
    "beads_per_tube": 50_000.0,
    "specimen_ul": 50.0,
    "dilution": 1.0,
    "bead_cv": 0.02,
    "pipetting_cv": 0.015,
}


def concentration(specimen, population="cd4_t", *, n=100, at=110.0, limits=(90.0, 130.0), severity="", flags=""):
    """One row of ``concentrations``: a cell is one per µL, and doublets are 10 % more."""
    return {
        "specimen": specimen,
        "population": population,
        "n_events": n,
        "cells_per_ul": at,
        "lower": limits[0],
        "upper": limits[1],
        "cv_percent": 10.0,
        "inputs": json.dumps(INPUTS),
        "severity": severity,
        "flags": flags,
    }


def scored(concentrations, *, truth=100.0, expected=100.0, awkward=(), lots=None):
    names = list(dict.fromkeys(row["specimen"] for row in concentrations))
    pairs = [(row["specimen"], row["population"]) for row in concentrations]
    rows = score_rows(
        concentrations,
        [
            {"specimen": name, "sample": f"{name}_tbnk", "bead_lot": (lots or {}).get(name, "L1")}
            for name in names
            if name != "CTRL"
        ],
        truth=[{"specimen": s, "population": p, "cells_per_ul": str(truth)} for s, p in pairs],
        expected=[{"sample": f"{s}_tbnk", "population": p, "expected_cells": str(expected)} for s, p in pairs],
        awkward=set(awkward),
    )
    return rows.assign(trial=1)


# --- rows -----------------------------------------------------------------------------------------


def test_limits_of_peers_by_hand():
    (row,) = scored([concentration("a")]).to_dict("records")
    # 50,000 beads / 1,000 / 50 µL is one cell/µL an event: 100 ± 1.96 · 10.
    assert (row[lower(WALD)], row[upper(WALD)]) == pytest.approx((80.4, 119.6), abs=0.01)
    # √(1/100 + 1/1000 + 0.02² + 0.015²) = 0.1078; exp(1.96 · 0.1078) = 1.2353.
    assert (row[lower(DELTA)], row[upper(DELTA)]) == pytest.approx((100 / 1.2353, 123.53), rel=1e-4)
    assert (row[lower(CORRECTED)], row[upper(CORRECTED)]) == pytest.approx((110 / 1.2353, 135.88), rel=1e-4)
    assert (row[lower(OURS)], row[upper(OURS)]) == (90, 130)
    assert row["log_sd"] == pytest.approx(0.09975, abs=1e-5)  # √ln(1.01)


def test_no_event_has_no_interval_but_ours():
    rows = scored([concentration("a", n=0, at=0.0, limits=(0.0, 3.7))], truth=1.0, expected=1.0)
    assert held(rows).all()
    assert not any(held(rows, peer).any() for peer in (WALD, DELTA, CORRECTED))


def test_a_count_without_concentration_holds_nothing():
    row = concentration("a", n=5, at=None, limits=(None, None)) | {"inputs": "{}", "cv_percent": None}
    rows = scored([row])
    assert not held(rows).any()
    assert np.isnan(rows["estimate"]).all()


def test_only_patients_and_only_what_is_clean():
    rows = scored(
        [
            concentration("a"),
            concentration("b", severity="review"),
            concentration("c", severity="info"),
            concentration("d"),
            concentration("CTRL"),
            concentration("a", "monocytes"),
        ],
        awkward={"d_tbnk"},
    )
    assert list(rows["specimen"]) == ["a", "b", "c", "d"]
    assert list(clean(rows)["specimen"]) == ["a", "c"]


# --- measures -------------------------------------------------------------------------------------


def test_coverage_says_on_which_side():
    rows = scored(
        [
            concentration("a"),
            concentration("b", limits=(101, 130)),
            concentration("c", limits=(80, 99)),
            concentration("d", limits=(100, 100)),
        ]
    )
    found = coverage(rows)
    assert (found.n, found.share, found.low, found.high) == (4, 0.5, 0.25, 0.25)
    assert coverage(rows[:0]).n == 0


def test_error_of_a_mean_is_that_of_its_lots():
    """Ten lots of 40 tubes each that are alike say as little as ten tubes."""
    values = pd.Series(np.repeat([0.0, 1.0] * 5, 40))
    alike = pd.DataFrame({"trial": 1, "lot": np.repeat(np.arange(10), 40)})
    assert cluster_error(alike, values) == pytest.approx(0.5 / np.sqrt(10), rel=0.1)
    alone = pd.DataFrame({"trial": 1, "lot": np.arange(400)})
    assert cluster_error(alone, values) == pytest.approx(0.5 / np.sqrt(400), rel=0.1)
    # The same name in two trials is two lots.
    two = pd.DataFrame({"trial": np.repeat(np.arange(10), 40), "lot": "L1"})
    assert cluster_error(two, values) == cluster_error(alike, values)
    assert np.isnan(cluster_error(alike[:40], values[:40]))


def test_spread_by_hand():
    rows = scored([concentration("a", at=100 * np.exp(0.3)), concentration("b", at=100 * np.exp(-0.1))])
    found = spread(rows)
    assert (found.n, found.bias) == (2, pytest.approx(0.1))
    assert found.observed == pytest.approx(0.2 * np.sqrt(2))
    assert found.told == pytest.approx(0.09975, abs=1e-5)


def test_many_and_few_part_at_20_expected():
    rows = pd.concat([scored([concentration("a")], expected=20.0), scored([concentration("b")], expected=19.99)])
    assert list(many(rows)["specimen"]) == ["a"]
    assert list(few(rows)["specimen"]) == ["b"]


def test_widths_over_ours():
    assert width_ratios(scored([concentration("a")]))[WALD] == pytest.approx(39.2 / 40, rel=1e-3)


def test_reasons_are_flags_of_loud_concentrations_alone():
    rows = scored(
        [
            concentration("a", severity="review", flags="carry_over;reference_range"),
            concentration("a", "cd8_t", severity="review", flags="carry_over"),
            concentration("b", severity="info", flags="reference_range"),
        ]
    )
    assert reasons(rows) == {"carry_over": 1}


# --- awkward tubes --------------------------------------------------------------------------------


def sheet(*lots):
    return [
        {"sample": f"s{i}", "specimen": f"p{i}", "batch": "B1", "bead_lot": lot, "acquired_at": f"2026-01-01T1{i}:00"}
        for i, lot in enumerate(lots)
    ]


def test_a_lot_shows_between_tubes_that_share_another():
    samples = sheet("L1", "L9", "L1", "L2")
    assert lot_shows("s1", samples)
    assert not lot_shows("s3", samples)
    assert not lot_shows("s0", samples)
    assert not lot_shows("s1", [*samples[:2], samples[3]])


def judged_cases(case, flags, severity, *, wanted="review", refused=(), checks=()):
    awkward = [{"case": case, "sample": "s1", "other": "", "must_say": "…", "severity": wanted}]
    rows = [{"specimen": "p1", "population": "cd4_t", "flags": flags, "severity": severity}]
    (found,) = score_cases(awkward, sheet("L1", "L9", "L1"), rows, checks, dict.fromkeys(refused, "no"))
    return found


def test_a_case_is_flagged_named_and_as_asked():
    found = judged_cases("duplicated_file", "duplicate_of:s0;reference_range", "review", wanted="invalid")
    assert (found.flagged, found.said, found.named, found.as_asked) == (
        True,
        ("duplicate_of",),
        ("duplicate_of",),
        False,
    )
    found = judged_cases("wrong_lot_number", "recovery", "review")
    assert (found.flagged, found.said, found.named, found.as_asked) == (True, ("recovery",), (), False)
    found = judged_cases("clotted_specimen", "hematology_ratio", "info")
    assert (found.flagged, found.named) == (False, ())
    check = {"specimen": "p1", "check": "hematology_ratio", "severity": "review"}
    assert judged_cases("clotted_specimen", "", "", checks=[check]).as_asked
    assert judged_cases("truncated_file", "", "", wanted="invalid", refused=["s1"]).as_asked


# --- bars and the page ----------------------------------------------------------------------------


def case(name, severity="review", *, shown=True):
    return Case(name, "s1", "…", "review", shown, severity, (), ())


def test_bars_are_judged_as_they_are_asked():
    # 95 of 100 hold the truth where there are many, 94 of 100 where there are few.
    wrong = {"limits": (101.0, 130.0)}
    some = [concentration(f"a{i}", **(wrong if i < 5 else {})) for i in range(100)]
    less = [concentration(f"b{i}", **(wrong if i < 6 else {})) for i in range(100)]
    rows = pd.concat([scored(some), scored(less, expected=10.0)])
    cases = [case("missing_beads"), case("clotted_specimen", "info"), case("wrong_lot_number", "", shown=False)]
    found = {bar.name: bar for bar in bars(rows, cases, 1_500, 10)}
    assert {name: bar.met for name, bar in found.items() if bar.met is not None} == {
        "size": True,
        "coverage, CD4, ≥ 20 events": True,
        "coverage, CD4, < 20 events": True,
        "missing beads": True,
        "clotted specimen": False,
    }
    assert found["wrong lot number"].measured == "0 of 0"
    all_of_them = pd.concat([scored([concentration(f"a{i}") for i in range(50)])])
    assert next(bar for bar in bars(all_of_them, [], 1, 1) if bar.name == "coverage, CD4, ≥ 20 events").met is False


def test_the_page_says_what_was_measured():
    rows = scored([concentration("a"), concentration("b", severity="review", flags="recovery")], lots={"b": "L2"})
    trial = ScoredTrial(801, rows, (case("missing_beads"), case("clotted_specimen", "")), 2, 2)
    page = write_report(together([trial], Size((801,), 1, 9_000)), figure="trials.png")
    assert "(seeds 801)" in page
    assert "| missing beads | every one is flagged | 1 of 1 | met |" in page
    assert "| clotted specimen | every one is flagged | 0 of 1 | **not met** |" in page
    assert "| CD4 | ≥ 20 | 1 | 100.0 |" in page
    assert "specimens with `recovery` | 1 (50.0 %)" in page
    assert "](trials.png)" in page


def test_seeds_are_read_and_said():
    assert _seeds("801-803,9") == (801, 802, 803, 9)
    assert seeds_in_words(_seeds("801-803")) == "801–803"
    assert seeds_in_words((1, 3)) == "1, 3"


# --- end to end -----------------------------------------------------------------------------------


def test_a_trial_that_is_there_must_be_whole_and_of_the_size(tmp_path):
    study = tmp_path / "s5"
    study.mkdir()
    with pytest.raises(SystemExit, match="no whole simulated trial"):
        make_and_gate(tmp_path, 5, Size((5,)))
    (study / "truth").mkdir()
    (study / "truth" / "awkward.csv").touch()
    (study / "subjects.csv").write_text("subject\nA\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="has 1 subjects, where 13 are asked for"):
        make_and_gate(tmp_path, 5, Size((5,)))


def test_a_small_trial_from_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks.trials", "--seeds", "5", "--subjects", "2", "--events", "3000"]
    command += ["--folder", str(tmp_path), "--out", str(tmp_path / "page.md"), "--jobs", "1"]

    def run():
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "page.md").read_text(encoding="utf-8"), (tmp_path / "trials.png").read_bytes()

    page, picture = run()
    assert (tmp_path / "s5" / "study.yaml").is_file()
    assert (tmp_path / "r5" / "run.json").is_file()
    assert "| missing beads | every one is flagged | 1 of 1 | met |" in page
    assert len(picture) > 10_000
    gated = (tmp_path / "r5" / "run.json").stat().st_mtime_ns
    assert run() == (page, picture)  # what is there is only counted again
    assert (tmp_path / "r5" / "run.json").stat().st_mtime_ns == gated

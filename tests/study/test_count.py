"""The step count: end to end on the sample study, and with every sheet that a hostile user may write."""

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_tubes import DAY21, ROOT, files_of, read_table, write_refused, write_tube

from nti7flow.errors import ConfigError, StoreError
from nti7flow.study.count import count_run
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.store import open_run

SAMPLE = ROOT / "sample_fcs"
ARCHIVES = ROOT / "tests" / "archives"


def gate(study, out, *, jobs=1):
    gate_study(make_plan([study]), out, jobs=jobs, figures="none")
    return count_run(out, study=study)


def sheet_of(path):
    return read_table(path / "samples.csv")


def write_sheet(folder, rows, name="samples.csv"):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with (folder / name).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def tables_of(run, step):
    """Tables of a step, as bytes; its step.json names hashes of sheets, which differ."""
    return {name: text for name, text in files_of(run / "steps" / step).items() if name != "step.json"}


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory):
    """The sample study, gated and counted once; nobody writes into it."""
    run = tmp_path_factory.mktemp("sample") / "run"
    gate(SAMPLE / "study.yaml", run)
    return run


@pytest.fixture
def sheets(tmp_path):
    """A copy of the sheets of the sample study: counting reads no tube."""
    for path in (*SAMPLE.glob("*.csv"), SAMPLE / "study.yaml"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def copied(sample_run, tmp_path):
    """A copy of the run that a test may count again."""
    return Path(shutil.copytree(sample_run, tmp_path / "run"))


def test_every_concentration_is_cells_per_bead_times_beads_per_microlitre(sample_run):
    """Recomputed from the tables with pandas; factors for doublets by their formula in docs, not by our function."""
    step = sample_run / "steps" / "01-gate"
    counts = pd.read_parquet(step / "counts.parquet").pivot(index="sample", columns="population", values="n_events")
    quality = pd.read_parquet(step / "quality.parquet")
    stuck = quality[quality["check"].str.startswith("doublets_of_leukocytes")].set_index("sample")
    sheet = pd.read_csv(SAMPLE / "samples.csv").set_index("sample")
    found = pd.read_parquet(sample_run / "steps" / "02-count" / "concentrations.parquet")
    found = found[found["population"] != "alc"].set_index("samples")
    assert len(found) == 23 * 8
    assert set(found["method"]) == {"beads"}
    assert not found["cells_per_ul"].isna().any()
    for sample, row in found.iterrows():
        n_beads, tube = counts.loc[sample, "beads"], sheet.loc[sample]
        beads_per_ul = tube["beads_per_tube"] / tube["specimen_volume"] * tube["dilution"]
        factor = 1.0
        if sample in stuck.index and stuck.loc[sample, "n_excluded"]:
            share, pairs = stuck.loc[sample, "value"], stuck.loc[sample, "n_excluded"]
            alone = pairs * (2 / share - 2)
            cells = alone + 2 * pairs
            factor = (cells + 2 * pairs * n_beads / cells) / alone / (1 + pairs * n_beads / cells**2)
        n_events = counts.loc[sample, row["population"]]
        expected = n_events / n_beads * beads_per_ul * factor
        assert row["n_events"] == n_events
        assert row["n_beads"] == n_beads
        assert row["cells_per_ul"] == pytest.approx(expected, rel=1e-9)
        assert row["lower"] <= row["cells_per_ul"] <= row["upper"]
        if n_events > 400:  # the usual interval on the log scale, all components in it
            half = 1.96 * math.sqrt(math.log1p((row["cv_percent"] / 100) ** 2))
            assert row["upper"] == pytest.approx(expected * math.exp(half), rel=0.02)


def test_budget_adds_up_and_says_what_dominates(sample_run):
    run = open_run(sample_run)
    found = run.concentrations.set_index(["specimen", "population"])
    parts = run.budget.groupby(["specimen", "population"])
    assert np.allclose(parts["share_percent"].sum(), 100)
    first = parts.first()
    assert (first["component"] == found.loc[first.index, "dominant_component"]).all()
    variances = np.log1p((run.budget["cv_percent"] / 100) ** 2)
    total = variances.groupby([run.budget["specimen"], run.budget["population"]]).sum()
    assert np.allclose(100 * np.sqrt(np.expm1(total)), found.loc[total.index, "cv_percent"])


def test_report_table_is_out_of_concentrations_and_has_every_specimen_once(sample_run):
    run = open_run(sample_run)
    report = run.report_table
    patients = [row for row in sheet_of(SAMPLE) if row["panel"] == "tbnk" and not row["role"].startswith("fmo")]
    assert sorted(report["specimen"]) == sorted(row["specimen"] for row in patients)
    found = run.concentrations.set_index(["specimen", "population"])
    for _, row in report.iterrows():
        for name in ("lymphocytes", "t_cells", "cd4_t", "cd8_t", "b_cells", "nk_cells"):
            same = found.loc[(row["specimen"], name)]
            assert (
                row[[name, f"{name}_lower", f"{name}_upper"]].tolist()
                == same[["cells_per_ul", "lower", "upper"]].tolist()
            )
            assert row[f"{name}_reported"] == same["reported"]
    assert report.loc[report["subject"].notna(), "alc"].notna().all()
    assert report.loc[report["subject"].isna(), "alc"].isna().all()


def test_below_the_limit_of_quantification_the_value_is_kept_and_not_shown(sample_run):
    found = open_run(sample_run).concentrations
    below = found[found["below_lloq"] == "yes"]
    assert len(below) > 0
    assert below["reported"].str.startswith("<LLOQ").all()
    assert below["flags"].str.contains("below_lloq").all()
    assert (below["severity"] != "").all()
    assert (below["cells_per_ul"] < below["lloq"]).all()
    assert not found.loc[found["below_lloq"] == "no", "reported"].str.startswith("<").any()


def test_a_corrected_lot_moves_one_specimen_and_nothing_that_was_written(sheets, copied):
    rows = sheet_of(sheets)
    (line,) = (row for row in rows if row["sample"] == "SIM-002_day021_tbnk")
    line |= {"bead_lot": "NEW1", "beads_per_tube": str(1.25 * float(line["beads_per_tube"]))}
    write_sheet(sheets, rows)
    before = files_of(copied / "steps")
    old = open_run(copied).concentrations
    count_run(copied, study=sheets / "study.yaml")
    assert open_run(copied).steps == ["01-gate", "02-count", "03-count"]
    after = files_of(copied / "steps")
    assert {name: after[name] for name in before} == before
    new = open_run(copied).concentrations
    assert (new[["specimen", "population"]] == old[["specimen", "population"]]).all(axis=None)
    theirs = (new["specimen"] == "SIM-002_day021") & (new["population"] != "alc")
    numbers = ["cells_per_ul", "lower", "upper", "lob", "lod", "lloq", "cv_percent", "n_events", "n_beads"]
    pd.testing.assert_frame_equal(old.loc[~theirs, numbers], new.loc[~theirs, numbers], check_exact=True)
    for name in numbers[:6]:
        assert np.allclose(new.loc[theirs, name], 1.25 * old.loc[theirs, name])
    assert json.loads(new.loc[theirs, "inputs"].iloc[0])["bead_lot"] == "NEW1"
    assert read_table(copied / "concentrations.csv") == read_table(copied / "steps/03-count/concentrations.csv")
    first, second = (json.loads(after[f"{step}-count/step.json"]) for step in ("02", "03"))
    assert first["recipe"]["sheets"]["samples"] != second["recipe"]["sheets"]["samples"]
    assert first["gating"] == second["gating"] == "01-gate"


def test_order_of_the_rows_of_every_sheet_changes_no_byte(sheets, copied):
    for name in ("samples", "hematology", "doses", "subjects"):
        write_sheet(sheets, read_table(sheets / f"{name}.csv")[::-1], f"{name}.csv")
    count_run(copied, study=sheets / "study.yaml")
    assert tables_of(copied, "03-count") == tables_of(copied, "02-count")


def test_workers_and_order_change_no_byte_of_a_study_with_beads(tmp_path):
    names = ("SIM-001_day000_tbnk", "SIM-002_day000_tbnk", "SIM-003_day000_tbnk")
    rows = [row for row in sheet_of(SAMPLE) if row["sample"] in names]
    (tmp_path / "tubes").mkdir()
    for row in rows:
        shutil.copy(SAMPLE / row["file"], tmp_path / "tubes")
    for name in ("subjects", "doses", "hematology", "events", "reagents"):
        shutil.copy(SAMPLE / f"{name}.csv", tmp_path)
    shutil.copy(SAMPLE / "study.yaml", tmp_path)
    write_sheet(tmp_path, rows)
    gate(tmp_path / "study.yaml", tmp_path / "one")
    write_sheet(tmp_path, rows[::-1])
    gate(tmp_path / "study.yaml", tmp_path / "two", jobs=2)
    for step in ("01-gate", "02-count"):
        assert tables_of(tmp_path / "one", step) == tables_of(tmp_path / "two", step)
    assert len(open_run(tmp_path / "one").report_table) == 3


# A small study of fixed gates, counted by volume: gating takes no time, and its sheet is changed in every way.

LINE = {"subject": "P1", "panel": "any", "acquired_volume": "100", "acquired_volume_unit": "uL", "dilution": "10"}
#: Sample, and what its line says.
LINES = {
    "first": {"specimen": "S1", "collected_at": "2026-02-16"},
    "second": {"specimen": "S1", "collected_at": "2026-02-16T10:00"},
    "refused": {"specimen": "S1"},
    "other": {"specimen": "S2", "collected_at": "2026-03-09T10:00"},
    "fmo": {"specimen": "S2", "role": "fmo:CD8", "collected_at": "2026-03-09T10:00"},
    "mixed": {"specimen": "S2", "role": "control"},
    "control": {"specimen": "C1", "role": "control", "subject": ""},
}


def lines(**changes):
    """Rows of the small study; a change is of a sample, None leaves it out."""
    made = {name: {"file": f"{name}.fcs", "sample": name} | LINE | said for name, said in LINES.items()}
    return [made[name] | (changes.get(name) or {}) for name in made if changes.get(name, {}) is not None]


def write_small(folder, plain, rows, *, more=""):
    write_sheet(folder, rows)
    text = "schema: nti7flow/study/1\nstudy: small\ntime_zone: America/New_York\n"
    text += f"templates: {{any: {plain}}}\nsheets: {{samples: samples.csv{more}}}\n"
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def small_run(tmp_path_factory, plain):
    """Replicates, one of which is refused, a control, a control of a patient's blood, and an FMO tube."""
    folder = tmp_path_factory.mktemp("small")
    for number, name in enumerate(LINES):
        write_tube(folder / f"{name}.fcs", source=DAY21, rows=slice(number, None, 1 + number % 2))
    write_refused(folder / "refused.fcs", "text")
    gate(write_small(folder, plain, lines()), folder / "run")
    return folder / "run"


@pytest.fixture
def small(small_run, tmp_path):
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def recount(small, plain, rows, *, more=""):
    count_run(small, study=write_small(small.parent, plain, rows, more=more))
    return open_run(small).concentrations.set_index(["specimen", "population"])


def test_replicates_are_pooled_and_a_refused_one_is_missed(small_run):
    run = open_run(small_run)
    found = run.concentrations.set_index(["specimen", "population"])
    events = run.counts.set_index(["sample", "population"])["n_events"]
    t_cells = found.loc[("S1", "t_cells")]
    assert t_cells["samples"] == "first;second"
    n = events["first", "t_cells"] + events["second", "t_cells"]
    factor = {t_cells["doublets"]: 1.0}
    assert factor == {"left_out": 1.0}  # fixed gates without a gate of singlets
    assert t_cells["cells_per_ul"] == pytest.approx(n / 200 * 10)
    assert t_cells["collected_at"] == "2026-02-16T10:00:00"  # of the tube that says most
    assert "tube_left_out" in t_cells["flags"]
    assert t_cells["heterogeneity"] == pytest.approx(t_cells["heterogeneity"])
    assert "tube_left_out" not in found.loc[("S2", "t_cells"), "flags"]


def test_fmo_tubes_and_controls_of_a_patients_blood_are_not_counted_with_it(small_run):
    found = open_run(small_run).concentrations.set_index(["specimen", "population"])
    assert set(found.loc["S2", "samples"]) == {"other"}
    assert set(found.loc["C1", "samples"]) == {"control"}
    assert found.loc["C1", "subject"].isna().all()
    assert not found["samples"].str.contains("fmo|mixed").any()


def test_a_sheet_that_is_about_other_tubes_is_refused_with_all_of_its_problems(small, plain):
    rows = lines(
        first={"sample": "frist"},
        second={"file": "elsewhere.fcs"},
        control={"specimen": ""},
        mixed={"specimen": "control"},
    )
    before = files_of(small)
    with pytest.raises(ConfigError) as error:
        recount(small, plain, rows)
    message = str(error.value)
    assert "3 problem(s)" in message
    assert "sample 'first' of the run is not in it; add its line. Did you mean 'frist'?" in message
    assert "sample 'second' is data set 0 of elsewhere.fcs, and 0 of second.fcs was gated under that name" in message
    assert "sample 'control' names no specimen" in message
    assert files_of(small) == before


def test_a_panel_that_is_another_now_wants_gating_again(small, plain):
    with pytest.raises(ConfigError, match="sample 'other' is of the panel 'tcell', and was gated as one of 'any'"):
        recount(small, plain, lines(other={"panel": "tcell"}))


def test_a_tube_that_was_never_gated_is_named(small, plain):
    study = write_small(small.parent, plain, [*lines(), lines()[0] | {"file": "new.fcs", "sample": "new"}])
    assert count_run(small, study=study).not_gated == ("new",)


def test_a_specimen_without_subject_and_one_of_two_tubes_that_says_it(small, plain):
    found = recount(small, plain, lines(first={"subject": ""}, other={"subject": "", "specimen": ""}, mixed=LINE))
    assert set(found.loc["S1", "subject"]) == {"P1"}
    assert found.loc["other", "subject"].isna().all()
    assert found.loc[("other", "t_cells"), "cells_per_ul"] > 0


def test_a_tube_without_anything_to_count_against_has_no_number(small, plain):
    nothing = {"acquired_volume": "", "acquired_volume_unit": "", "dilution": ""}
    found = recount(small, plain, lines(other=nothing))
    row = found.loc[("S2", "t_cells")]
    assert pd.isna(row["cells_per_ul"]) and pd.isna(row["lower"]) and pd.isna(row["lloq"])
    assert (row["reported"], row["method"], row["inputs"]) == ("", "", "{}")
    assert row["n_events"] > 0
    assert "no_reference" in row["flags"]


def test_dilution_multiplies(small, plain):
    before = open_run(small).concentrations.set_index(["specimen", "population"])
    after = recount(small, plain, lines(other={"dilution": "20"}))
    assert after.loc[("S2", "t_cells"), "cells_per_ul"] == pytest.approx(
        2 * before.loc[("S2", "t_cells"), "cells_per_ul"]
    )


HEMATOLOGY = "subject,collected_at,analyte,value,unit\n"


def test_haematology_of_the_other_side_of_a_dose_is_not_the_specimens(small, plain):
    (small.parent / "hematology.csv").write_text(HEMATOLOGY + "P1,2026-02-16T05:00,ALC,0.8,10^9/L\n")
    (small.parent / "doses.csv").write_text("subject,dose,given_at\nP1,1,2026-02-16T08:00\n")
    near = recount(small, plain, lines(), more=", hematology: hematology.csv")
    assert near.loc[("S1", "alc"), "cells_per_ul"] == pytest.approx(800)
    assert json.loads(near.loc[("S1", "alc"), "inputs"])["hours_apart"] == 5
    apart = recount(small, plain, lines(), more=", hematology: hematology.csv, doses: doses.csv")
    assert ("S1", "alc") not in apart.index


def test_haematology_of_zero_and_dates_alone(small, plain):
    (small.parent / "hematology.csv").write_text(HEMATOLOGY + "P1,2026-03-09,ALC,0,10^6/L\n")
    nothing = {"acquired_volume": "", "acquired_volume_unit": "", "dilution": ""}
    found = recount(small, plain, lines(other=nothing), more=", hematology: hematology.csv")
    alc = found.loc[("S2", "alc")]
    assert (alc["cells_per_ul"], alc["method"], alc["flags"]) == (0.0, "hematology", "reported_zero")
    assert found.loc[("S2", "t_cells"), "method"] == ""


def test_a_run_that_was_altered_is_not_counted(small, plain):
    with (small / "steps" / "01-gate" / "counts.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(StoreError, match=r"counts\.parquet: is missing or was altered"):
        recount(small, plain, lines())


def test_concentrations_of_an_older_gating_are_refused_and_not_left_on_top(small, plain, small_run):
    """The newest counts and concentrations of older ones would be mistaken for each other."""
    study = small_run.parent / "study.yaml"
    gate_study(make_plan([study]), small, figures="none")
    assert open_run(small).steps == ["01-gate", "02-count", "03-gate"]
    assert not open_run(small).is_counted
    assert not (small / "concentrations.csv").exists()
    assert not (small / "report_table.csv").exists()
    assert (small / "counts.csv").exists()
    with pytest.raises(StoreError, match="is made of 01-gate, and 03-gate is newer; run nti7flow count"):
        _ = open_run(small).concentrations
    count_run(small, study=study)
    assert open_run(small).is_counted
    assert (small / "concentrations.csv").read_bytes() == (small / "steps/04-count/concentrations.csv").read_bytes()


def test_a_study_that_is_no_longer_there_is_asked_for(small):
    with pytest.raises(ConfigError, match=r"no such study\.yaml.*--study FILE"):
        count_run(small.rename(small.parent / "deeper"), study=None)


@pytest.mark.parametrize("archive", ["run-1", "run-2", "run-3"])
def test_runs_that_name_no_study_have_nothing_to_count(archive, tmp_path):
    run = Path(shutil.copytree(ARCHIVES / archive, tmp_path / archive))
    before = files_of(run)
    report = count_run(run)
    assert report.step is None
    assert files_of(run) == before


def test_runs_of_every_schema_are_counted_with_a_study(tmp_path, plain):
    """The tables of old runs lack columns; the sheet names their tube."""
    for archive in sorted(path.name for path in ARCHIVES.glob("run-*")):
        run = Path(shutil.copytree(ARCHIVES / archive, tmp_path / archive))
        first = read_table(run / "counts.csv")[0]
        row = LINE | {"file": first["file"], "sample": first["sample"], "specimen": "S1", "panel": first["panel"]}
        count_run(run, study=write_small(tmp_path, plain, [row]))
        found = open_run(run).concentrations.set_index("population")
        events = {row["population"]: row["n_events"] for row in read_table(run / "counts.csv")}
        assert len(found) >= 4
        for name, row in found.iterrows():
            assert row["cells_per_ul"] == pytest.approx(int(events[name]) / 100 * 10)

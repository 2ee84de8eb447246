"""The command line on real tubes."""

import json
import shutil

import pytest
from study_tubes import DAY00, check_counts, read_table

LINEAGE = ("lymphocytes", "t_cells", "cd4_t", "cd8_t", "dp_t", "dn_t", "b_cells", "nk_cells")


def test_tbnk_tube_meets_the_bars(nti7flow, shared_data, tmp_path):
    tube = shared_data / "tbnk_auto" / "1.fcs"
    assert nti7flow("inspect", tube).code == 0
    outcome = nti7flow("gate", tube, "-t", "tbnk", "-o", tmp_path / "run", "--figures", "none")
    assert (outcome.code, outcome.err) == (0, "")
    assert check_counts(tmp_path / "run" / "steps" / "01-gate") > len(LINEAGE)
    counts = {row["population"]: row for row in read_table(tmp_path / "run" / "counts.csv")}
    n = {name: int(counts[name]["n_events"]) for name in (*LINEAGE, "unassigned")}
    assert 4000 <= n["lymphocytes"] <= 5600
    assert 56.5 <= 100 * n["cd4_t"] / n["t_cells"] <= 58.5
    assert 31.2 <= 100 * n["cd8_t"] / n["t_cells"] <= 33.2
    assert n["unassigned"] <= 0.05 * n["lymphocytes"]
    assert {counts[name]["status"] for name in LINEAGE} == {"ok"}
    assert {counts[name]["severity"] for name in LINEAGE} == {""}
    assert f"{n['cd4_t']:,}" in outcome.out
    assert nti7flow("replay", tmp_path / "run").out.endswith("byte for byte\n")


@pytest.fixture
def scatter(tmp_path):
    """Path of a template that asks for no marker."""
    (tmp_path / "scatter.yaml").write_text(
        "schema: nti7flow/template/1\nname: scatter\nversion: 1.0.0\ntitle: Scatter alone\npopulations:\n"
        "  - {id: large, label: Large, gate: {range: {FSC: [300, null]}}}\n"
    )
    return tmp_path / "scatter.yaml"


def test_list_mode_data_of_a_coulter_is_two_samples(nti7flow, shared_data, tmp_path, scatter):
    lmd = shared_data / "flowkit" / "data" / "multi_dataset_fcs" / "coulter.lmd"
    options = ("-o", tmp_path / "run", "--figures", "none")
    refused = nti7flow("gate", lmd, "-t", "tbnk", "-s", "none", *options)  # it has no antibodies
    assert refused.code == 1
    for number, line in enumerate(refused.err.removeprefix("nti7flow: ").splitlines()):
        assert line.startswith(f"coulter_set{number}: population t_seed: no channel carries CD3"), line
    assert number == 1
    outcome = nti7flow("gate", lmd, "-t", scatter, "-s", "none", *options)
    assert (outcome.code, outcome.err) == (0, "")
    first, second = read_table(tmp_path / "run" / "counts.csv")
    assert [(row["sample"], row["data_set"], row["n_total"]) for row in (first, second)] == [
        ("coulter_set0", "0", "18110"),
        ("coulter_set1", "1", "18110"),
    ]
    assert {(row["flags"], row["severity"]) for row in (first, second)} == {("", "")}
    check_counts(tmp_path / "run" / "steps" / "01-gate")
    assert nti7flow("replay", tmp_path / "run").out == "reproduced: 2 counts of 2 samples, byte for byte\n"


def test_each_data_set_of_a_file_is_a_tube_of_its_own(nti7flow, shared_data, tmp_path, scatter):
    shutil.copy(shared_data / "flowkit" / "data" / "multi_dataset_fcs" / "coulter.lmd", tmp_path / "two.LMD")
    (tmp_path / "samples.csv").write_text("file,sample,data_set\ntwo.LMD,first,0\ntwo.LMD,second,1\ntwo.LMD,third,2\n")
    (tmp_path / "study.yaml").write_text(
        "schema: nti7flow/study/1\nstudy: lmd\ntemplates: {any: scatter.yaml}\ncompensation: none\n"
        "sheets: {samples: samples.csv}\n"
    )
    outcome = nti7flow("gate", tmp_path / "study.yaml", "-o", tmp_path / "run", "--figures", "none")
    assert (outcome.code, outcome.err) == (3, "")
    assert "refused third: two.LMD: no such data set: found 2 data set(s); expected data set 2, from 0." in outcome.out
    first, second = read_table(tmp_path / "run" / "counts.csv")
    assert (first["sample"], first["data_set"], second["sample"], second["data_set"]) == ("first", "0", "second", "1")
    assert first["sha256"] == second["sha256"]
    assert first["n_events"] != second["n_events"]
    for number, row in enumerate((first, second)):
        inspected = nti7flow("inspect", tmp_path / "two.LMD", "--data-set", number, "-s", "none")
        assert f" {int(row['n_total']):,} events" in inspected.out
    assert nti7flow("replay", tmp_path / "run").out == "reproduced: 2 counts of 2 samples, byte for byte\n"


def test_healthy_donors_without_matrix(nti7flow, shared_data, tmp_path):
    tubes = shared_data / "healthy_donor_hd" / "converted"
    said = nti7flow("gate", tubes, "-t", "tbnk", "-o", tmp_path / "run")
    assert said.code == 1
    assert said.err.count("declare with --spillover none that there is nothing to compensate") == 6
    assert not (tmp_path / "run").exists()
    outcome = nti7flow("gate", tubes, "-t", "tbnk", "-s", "none", "-o", tmp_path / "run", "--figures", "none")
    assert (outcome.code, outcome.err) == (0, "")
    check_counts(tmp_path / "run" / "steps" / "01-gate")
    rows = {(row["sample"], row["population"]): row for row in read_table(tmp_path / "run" / "counts.csv")}
    samples = ["A_1_1", "A_1_2", "A_2_1", "A_2_2", "D_2_1", "D_2_2"]
    assert sorted({sample for sample, _ in rows}) == samples
    for sample in samples:
        assert (rows[sample, "nk_cells"]["status"], rows[sample, "nk_cells"]["n_events"]) == ("not_in_panel", "")
        assert all(
            rows[sample, name]["status"] == "ok" for name in ("lymphocytes", "t_cells", "cd4_t", "cd8_t", "b_cells")
        )
    assert outcome.out.count("not in panel: singlets, nk_cells, unassigned") == 6
    for first, second in (("A_1_1", "A_1_2"), ("A_2_1", "A_2_2"), ("D_2_1", "D_2_2")):
        share = [int(rows[s, "cd4_t"]["n_events"]) / int(rows[s, "t_cells"]["n_events"]) for s in (first, second)]
        spread = [
            p * (1 - p) / int(rows[s, "t_cells"]["n_events"]) for s, p in zip((first, second), share, strict=True)
        ]
        assert abs(share[0] - share[1]) <= 2.6 * sum(spread) ** 0.5


@pytest.mark.parametrize("spillover", ["keyword", "none"])
def test_folders_of_every_vendor_s_files_and_one_good_tube(nti7flow, shared_data, tmp_path, spillover):
    folders = [
        shared_data / name for name in ("vendor_fcsparser", "flowio", "flowkit", "itn", "flowq", "immport_galaxy")
    ]
    options = ("-s", spillover, "-o", tmp_path / "run", "--figures", "none")
    outcome = nti7flow("gate", *folders, DAY00, "-t", "tbnk", *options)
    assert (outcome.code, outcome.err) == (3, "")
    step = json.loads((tmp_path / "run" / "steps" / "01-gate" / "step.json").read_text())
    gated = {row["sample"] for row in read_table(tmp_path / "run" / "counts.csv")}
    refused = {entry["sample"]: entry["error"] for entry in step["refused"]}
    assert DAY00.stem in gated
    assert not gated & set(refused)
    assert len(gated) + len(refused) == len(step["inputs"]) > 40
    assert not [error for error in refused.values() if "mistake in nti7flow" in error or "\n" in error]
    assert outcome.out.count("\nrefused ") == len(refused)
    check_counts(tmp_path / "run" / "steps" / "01-gate")

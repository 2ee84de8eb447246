"""``nti7flow gate``: the sample study, and the files and folders a lab has."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from command_line import spawn
from study_tubes import DAY00, DAY21, TUBES, check_counts, everything, files_of, read_table, write_tube

from nti7flow.events.fcs import read_fcs

COUNTS = (
    "sample,file,sha256,data_set,specimen,subject,panel,template,population,label,path,parent,n_events,n_parent,n_total,"
    "percent_parent,percent_lymphocytes,upper_limit,gating_sd,background,status,flags,severity"
)
GATE_FITS = "sample,population,method,version,scope,status,n_fitted,thresholds,threshold_spread,diagnostics"
QUALITY = "sample,check,value,limit,severity,n_excluded"
#: In every version of the template.
TBNK = {"singlets", "lymphocytes", "monocytes", "t_cells"} | {
    *("cd4_t", "cd8_t", "dp_t", "dn_t", "b_cells", "nk_cells")
}


def header(path):
    return path.read_text(encoding="utf-8").splitlines()[0]


def gated(run):
    """Name and file of each sample of a run."""
    return {row["sample"]: row["file"] for row in read_table(run / "counts.csv")}


def test_sample_study_is_clean_and_says_where_everything_is(sample_runs):
    folder, outcome = sample_runs["one"]
    assert outcome.err == ""
    assert outcome.code == 0
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in outcome.out.splitlines() if "|" in line]
    assert ["sample", "lymphocytes", "CD3", "CD4", "CD8", "CD19", "NK", "CD4:CD8", "flags"] in table
    counts = {(row["sample"], row["population"]): row for row in read_table(folder / "counts.csv")}
    for sample in (DAY00.stem, DAY21.stem):
        shown = ("lymphocytes", "t_cells", "cd4_t", "cd8_t", "b_cells", "nk_cells")
        numbers = [counts[sample, name]["n_events"] for name in shown]
        ratio = int(counts[sample, "cd4_t"]["n_events"]) / int(counts[sample, "cd8_t"]["n_events"])
        assert [sample, *(f"{int(n):,}" for n in numbers), f"{ratio:.2f}", ""] in table
    for path in ("counts.csv", "figures"):
        assert str(folder / path) in outcome.out
        assert (folder / path).exists()
    assert f"nti7flow replay {folder}" in outcome.out


def test_sample_run_folder_holds_what_the_design_says_and_nothing_else(sample_runs):
    folder, _ = sample_runs["one"]
    step = "steps/01-gate"
    gated, counted = ("counts", "gate_fits", "quality"), ("concentrations", "budget", "acceptance", "report_table")
    tables = {f"{step}/{name}.{kind}" for name in gated for kind in ("csv", "parquet")}
    tables |= {f"steps/02-count/{name}.{kind}" for name in counted for kind in ("csv", "parquet")}
    assert set(files_of(folder)) == tables | {
        "run.json",
        *("counts.csv", "concentrations.csv", "report_table.csv"),
        f"{step}/step.json",
        "steps/02-count/step.json",
        f"{step}/memberships.parquet",
        f"{step}/histograms.parquet",
        *(f"{step}/strategies/{path.stem}.json" for path in (DAY00, DAY21)),
        *(f"figures/{path.stem}.png" for path in (DAY00, DAY21)),
    }
    assert header(folder / "counts.csv") == header(folder / step / "counts.csv") == COUNTS
    assert header(folder / step / "gate_fits.csv") == GATE_FITS
    assert header(folder / step / "quality.csv") == QUALITY
    assert (folder / "counts.csv").read_bytes() == (folder / step / "counts.csv").read_bytes()


def test_every_number_of_the_sample_study_is_its_membership_bits(sample_runs):
    folder, _ = sample_runs["one"]
    assert check_counts(folder / "steps" / "01-gate") == len(read_table(folder / "counts.csv")) >= 2 * len(TBNK)


def test_sample_counts_are_near_the_truth(sample_runs):
    folder, _ = sample_runs["one"]
    truth = {(r["sample"], r["population"]): int(r["n_events"]) for r in read_table(TUBES / "truth" / "counts.csv")}
    rows = {(row["sample"], row["population"]): row for row in read_table(folder / "counts.csv")}
    for sample in (DAY00.stem, DAY21.stem):
        for population in ("singlets", "t_cells", "cd4_t", "cd8_t", "dp_t", "dn_t", "b_cells", "nk_cells"):
            found, true = int(rows[sample, population]["n_events"]), truth[sample, population]
            assert abs(found - true) <= max(0.05 * true, 10), (sample, population, found, true)
        # Lymphocytes by CD45 and scatter alone let some debris in; their lineage sorts it out.
        found, true = int(rows[sample, "lymphocytes"]["n_events"]), truth[sample, "lymphocytes"]
        assert abs(found - true) <= 0.06 * true, (sample, found, true)


def test_sample_sheet_reaches_the_table(sample_runs):
    folder, _ = sample_runs["one"]
    sheet = {row["sample"]: row for row in read_table(TUBES / "samples.csv")}
    rows = read_table(folder / "counts.csv")
    assert {row["population"] for row in rows} >= TBNK
    for row in rows:
        given = sheet[row["sample"]]
        assert all(row[column] == given[column] for column in ("file", "specimen", "subject", "panel"))
        assert row["template"] == "tbnk@1.0.0"
        assert row["data_set"] == "0"


def test_provenance_holds_no_time_no_workers_and_no_folder_of_this_machine(sample_runs):
    folder, _ = sample_runs["two"]
    step = json.loads((folder / "steps" / "01-gate" / "step.json").read_text())
    assert set(step) == {
        *("schema", "name", "parent", "files", "recipe", "recipe_sha256", "inputs", "refused", "software"),
        *("study_file", "reported"),
    }
    assert set(step["recipe"]) == {"study", "templates", "spillover", "markers", "sheets"}
    text = "".join(path.read_text() for path in folder.rglob("*.json"))
    assert str(folder) not in text
    for seen_from_the_run in (step["study_file"], *(entry["path"] for entry in step["inputs"])):
        text = text.replace(seen_from_the_run, "")
    assert str(TUBES) not in text
    assert all((folder / entry["path"]).resolve().is_file() for entry in step["inputs"])


def test_folders_any_case_nested_with_equal_stems_and_hidden_files(nti7flow, tmp_path, plain):
    tubes = tmp_path / "tubes"
    names = ("one.fcs", "TWO.FCS", "three.Lmd", "day 0/a.fcs", "day 21/a.FCS", "day 21/Pröbe 患者.fcs")
    for number, name in enumerate(names):
        write_tube(tubes / name, rows=slice(number, None))
    (tubes / "notes.txt").write_text("not a tube")
    (tubes / "folder.fcs").mkdir()
    (tubes / "._one.fcs").write_bytes(b"\0\5\x16\7 what a Mac leaves on a stick")
    (tubes / ".trash").mkdir()
    shutil.copy(tubes / "one.fcs", tubes / ".trash" / "old.fcs")
    outcome = nti7flow("gate", tubes, "-t", plain, "-o", tmp_path / "run", "--figures", "none")
    assert outcome.code == 0, outcome
    assert gated(tmp_path / "run") == {
        "one": "one.fcs",
        "TWO": "TWO.FCS",
        "three": "three.Lmd",
        "day 0_a.fcs": "day 0/a.fcs",
        "day 21_a.FCS": "day 21/a.FCS",
        "Pröbe 患者": "day 21/Pröbe 患者.fcs",
    }
    assert check_counts(tmp_path / "run" / "steps" / "01-gate") == 18


def test_file_given_by_name_may_have_any_extension(nti7flow, tmp_path, plain):
    for number, name in enumerate(("060909.001", "noextension", ".hidden.fcs")):
        write_tube(tmp_path / name, rows=slice(number, None))
    files = [tmp_path / "060909.001", tmp_path / "noextension", tmp_path / ".hidden.fcs"]
    outcome = nti7flow("gate", *files, "-t", plain, "-o", tmp_path / "run", "--figures", "none")
    assert outcome.code == 0
    assert set(gated(tmp_path / "run")) == {"060909", "noextension", ".hidden"}


def test_paths_are_read_from_where_the_user_stands(nti7flow, tmp_path, plain, monkeypatch):
    write_tube(tmp_path / "lab" / "tubes" / "a.fcs")
    shutil.copy(plain, tmp_path / "lab" / "plain.yaml")
    monkeypatch.chdir(tmp_path / "lab")
    relative = nti7flow("gate", "tubes", "-t", "plain.yaml", "-o", "../one", "--figures", "none")
    monkeypatch.chdir("/")
    absolute = nti7flow("gate", tmp_path / "lab/tubes", "-t", plain, "-o", tmp_path / "two", "--figures", "none")
    assert relative.code == absolute.code == 0
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_names_that_would_be_formulas_are_text_in_csv_and_true_in_parquet(nti7flow, tmp_path, plain):
    import nti7flow as nf

    names = ["=1+cmd|' !A0", "+49 30", "-1", "@sum", "[red]bold", "a,b;c", 'quo"te', "$x^$"]
    for number, name in enumerate(names):
        write_tube(tmp_path / "tubes" / f"{name}.fcs", rows=slice(number, None))
    outcome = nti7flow("gate", tmp_path / "tubes", "-t", plain, "-o", tmp_path / "run", "--figures", "none")
    assert outcome.code == 0
    rows = read_table(tmp_path / "run" / "counts.csv")
    assert {row["sample"] for row in rows} == {f"'{n}" if n[0] in "=+-@" else n for n in names}
    assert not any(cell[:1] in tuple("=+-@\t\r") for row in rows for cell in row.values())
    assert set(nf.open_run(tmp_path / "run").counts["sample"]) == set(names)
    for name in names:
        assert name in outcome.out
    assert nti7flow("replay", tmp_path / "run").code == 0


def test_one_file_met_twice_is_one_sample_in_any_order(nti7flow, tmp_path, plain):
    write_tube(tmp_path / "tubes" / "deep" / "a.fcs")
    places = [tmp_path / "tubes", tmp_path / "tubes" / "deep", tmp_path / "tubes" / "deep" / "a.fcs"]
    (tmp_path / "link.fcs").symlink_to(places[2])
    for number, order in enumerate((places, places[::-1], [tmp_path / "link.fcs", *places])):
        outcome = nti7flow("gate", *order, "-t", plain, "-o", tmp_path / f"run{number}", "--figures", "none")
        assert outcome.code == 0
        assert gated(tmp_path / f"run{number}") == {"a": "deep/a.fcs"}
    assert files_of(tmp_path / "run0") == files_of(tmp_path / "run1") == files_of(tmp_path / "run2")


def test_samples_that_differ_only_in_case_are_refused_before_anything_is_gated(nti7flow, tmp_path, plain):
    for name in ("Tube.fcs", "tube.fcs"):
        write_tube(tmp_path / "tubes" / name)
    before = everything(tmp_path)
    error = nti7flow("gate", tmp_path / "tubes", "-t", plain, "-o", tmp_path / "run").error()
    assert "Tube.fcs and tube.fcs would both be sample 'tube.fcs' (case does not count)" in error
    assert everything(tmp_path) == before


def test_equal_names_from_different_places_are_told_apart_by_their_common_folder(nti7flow, tmp_path, plain):
    write_tube(tmp_path / "day0" / "a.fcs")
    write_tube(tmp_path / "day21" / "a.fcs", source=DAY21)
    error = nti7flow("gate", tmp_path / "day0", tmp_path / "day21", "-t", plain, "-o", tmp_path / "run").error()
    assert "gate the folder that holds both" in error
    assert nti7flow("gate", tmp_path, "-t", plain, "-o", tmp_path / "run", "--figures", "none").code == 0
    assert set(gated(tmp_path / "run")) == {"day0_a.fcs", "day21_a.fcs"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("b\x1b[2J.fcs", "'\\x1b[2J.fcs'"),
        ("two\nlines.fcs", "two\\nlines.fcs"),
        (b"M\xfcller.fcs", "M\\udcfcller.fcs"),
    ],
)
def test_names_no_table_can_hold_are_refused(nti7flow, tmp_path, plain, name, said):
    source = write_tube(tmp_path / "tubes" / "fine.fcs")
    shutil.copy(source, os.path.join(os.fsencode(tmp_path), b"tubes", os.fsencode(name)))  # noqa: PTH118
    error = nti7flow("gate", tmp_path / "tubes", "-t", plain, "-o", tmp_path / "run").error()
    assert "control character or is not UTF-8; rename the file" in error
    assert said.strip("'") in error
    assert not (tmp_path / "run").exists()


def test_name_too_long_for_a_result_is_refused(nti7flow, tmp_path, plain):
    write_tube(tmp_path / f"{'n' * 251}.fcs")
    error = nti7flow("gate", tmp_path, "-t", plain, "-o", tmp_path / "run").error()
    assert "more than 200 bytes" in error
    assert not (tmp_path / "run").exists()


def test_pictures_are_of_the_newest_step(nti7flow, tmp_path, plain):
    write_tube(tmp_path / "tubes" / "a.fcs")
    write_tube(tmp_path / "tubes" / "b.fcs", source=DAY21)
    run = tmp_path / "run"
    assert nti7flow("gate", tmp_path / "tubes", "-t", plain, "-o", run).code == 0
    (run / "figures" / "for the talk.png").write_bytes(b"mine")
    assert {p.name for p in (run / "figures").iterdir()} == {"a.png", "b.png", "for the talk.png"}
    outcome = nti7flow("gate", tmp_path / "tubes" / "a.fcs", "-t", plain, "-o", run, "--figures", "flagged")
    assert outcome.code == 0
    assert "Pictures" not in outcome.out
    assert {p.name for p in (run / "figures").iterdir()} == {"for the talk.png"}


def test_picture_titles_in_any_script(nti7flow, tmp_path, plain):
    write_tube(tmp_path / "患者 $\\frac{$ [b].fcs")
    outcome = nti7flow("gate", tmp_path, "-t", plain, "-o", tmp_path / "run")
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / "run" / "figures" / "患者 $\\frac{$ [b].png").read_bytes()[:4] == b"\x89PNG"


def test_flagged_tubes_exit_3_and_get_their_picture(nti7flow, tmp_path):
    template = tmp_path / "flagged.yaml"
    # A valley between bounds far above all cells cannot be found.
    template.write_text(
        "schema: nti7flow/template/1\nname: flagged\nversion: 1.0.0\ntitle: Cannot be placed\npopulations:\n"
        "  - {id: lymphocytes, label: L, gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}}\n"
        "  - {id: t_cells, label: T, parent: lymphocytes,\n"
        "     gate: {method: density_valley@1, dims: [CD3], params: {window: [200000, 250000]}}}\n"
        "  - {id: cd4_t, label: CD4, parent: t_cells, gate: {range: {CD4: [1000, null]}}}\n"
    )
    tube = write_tube(tmp_path / "tubes" / "a.fcs")
    outcome = nti7flow("gate", tube, "-t", template, "-o", tmp_path / "run", "--figures", "flagged")
    assert (outcome.code, outcome.err) == (3, "")
    assert "t_cells failed" in outcome.out
    assert (tmp_path / "run" / "figures" / "a.png").is_file()
    rows = {row["population"]: row for row in read_table(tmp_path / "run" / "counts.csv")}
    for name, flag in (("t_cells", "gate_failed"), ("cd4_t", "parent_failed")):
        assert rows[name]["n_events"] == rows[name]["percent_lymphocytes"] == ""
        assert (rows[name]["status"], rows[name]["severity"]) == ("failed", "invalid")
        assert flag in rows[name]["flags"]
    check_counts(tmp_path / "run" / "steps" / "01-gate")
    assert nti7flow("replay", tmp_path / "run").code == 0


def cut(path, source=DAY00, n_bytes=100_001):
    """Write a tube that lost its end; return how many whole events it still has, and how many it had."""
    tube = read_fcs(source)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(source.read_bytes()[:-n_bytes])
    begin = int(tube.keywords["$BEGINDATA"])
    row_size = tube.events.dtype.itemsize * tube.events.shape[1]
    return (path.stat().st_size - begin) // row_size, tube.n_events


def test_truncated_tube_is_refused_unless_salvaged_and_then_for_review_everywhere(nti7flow, tmp_path):
    """What is there is counted, and no table, picture or exit code passes it off as a whole tube."""
    tube, run = tmp_path / "tubes" / "tube.fcs", tmp_path / "run"
    left, had = cut(tube)
    for repair in ((), ("--repair", "safe"), ("--repair", "none")):
        error = nti7flow("gate", tube, "-t", "tbnk", "-o", run, *repair).error()
        assert re.search(rf"\b{had:,}\b|\b{had}\b", error), error
        assert re.search(rf"\b{left:,}\b|\b{left}\b|bytes", error), error
        assert str(tmp_path) not in error
        assert not run.exists()
    outcome = nti7flow("gate", tube, "-t", "tbnk", "-o", run, "--repair", "salvage", "--figures", "flagged")
    assert (outcome.code, outcome.err) == (3, "")
    assert "FCS049 truncated file" in " ".join(outcome.out.split())
    assert (run / "figures" / "tube.png").is_file()
    rows = read_table(run / "counts.csv")
    assert {row["population"] for row in rows} >= TBNK
    for row in rows:
        assert row["n_total"] == str(left)
        assert "file_FCS049" in row["flags"].split(";")
        assert row["severity"] in ("review", "invalid")
    cd4 = next(row for row in rows if row["population"] == "cd4_t")
    assert int(cd4["n_events"]) > 0
    step = run / "steps" / "01-gate"
    check_counts(step)
    (note,) = [row for row in read_table(step / "quality.csv") if row["check"].startswith("file_note: FCS049 ")]
    assert note["severity"] == "review"
    assert json.loads((step / "step.json").read_text())["recipe"]["repair"] == "salvage"


def test_salvaged_tube_among_others_replays_and_leaves_them_as_they_are(nti7flow, tmp_path, plain):
    tubes = tmp_path / "tubes"
    cut(tubes / "cut.fcs")
    write_tube(tubes / "whole.fcs", source=DAY21)
    options = ("-t", plain, "--figures", "none")
    assert nti7flow("gate", tubes, "-o", tmp_path / "safe", *options).code == 3
    assert nti7flow("gate", tubes, "-o", tmp_path / "run", "--repair", "salvage", *options).code == 3
    before, after = (read_table(tmp_path / name / "counts.csv") for name in ("safe", "run"))
    assert {row["sample"] for row in before} == {"whole"}
    assert [row for row in after if row["sample"] == "whole"] == before
    assert {row["severity"] for row in before} == {""}
    replayed = nti7flow("replay", tmp_path / "run", "--out", tmp_path / "replayed.csv")
    assert (replayed.code, replayed.out) == (0, "reproduced: 6 counts of 2 samples, byte for byte\n")
    assert (tmp_path / "replayed.csv").read_bytes() == (tmp_path / "run" / "counts.csv").read_bytes()
    two = nti7flow("gate", tubes, "-o", tmp_path / "two", "--repair", "salvage", "--jobs", "2", *options)
    assert two.code == 3
    assert files_of(tmp_path / "two") == files_of(tmp_path / "run")


def test_repair_none_refuses_what_safe_reads_with_a_note(nti7flow, tmp_path, plain):
    tube = write_tube(tmp_path / "tube.fcs")
    content = tube.read_bytes()
    begin = int(read_fcs(tube).keywords["$BEGINDATA"])
    wrong = f"{begin + 1:>8d}".encode()
    tube.write_bytes(content[:26] + wrong + content[34:])  # DATA begins one byte late, says the HEADER alone
    options = ("-t", plain, "-o", tmp_path / "run", "--figures", "none")
    (code,) = [note.code for note in read_fcs(tube).notes]
    assert f"[{code}]" in nti7flow("gate", tube, *options, "--repair", "none").error()
    outcome = nti7flow("gate", tube, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert {(row["flags"], row["severity"]) for row in read_table(tmp_path / "run" / "counts.csv")} == {("", "")}
    (note,) = [row for row in read_table(tmp_path / "run/steps/01-gate/quality.csv") if "file_note" in row["check"]]
    assert note["check"].startswith(f"file_note: {code} ")
    assert note["severity"] == "info"


def test_spillover_of_one_s_own_counts_by_its_content(nti7flow, tmp_path, plain):
    tube = write_tube(tmp_path / "tubes" / "a.fcs", keywords={"$SPILLOVER": None})
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "matrix.csv").write_text("FITC-A,PE-A\n1,0.06\n0.02,1\n")
        matrix = tmp_path / folder / "matrix.csv"
        outcome = nti7flow("gate", tube, "-t", plain, "-s", matrix, "-o", tmp_path / f"run_{folder}")
        assert outcome.code == 0
    assert files_of(tmp_path / "run_here") == files_of(tmp_path / "run_there")
    strategy = json.loads((tmp_path / "run_here/steps/01-gate/strategies/a.json").read_text())
    assert strategy["spillover"]["source"] == "matrix.csv"
    assert strategy["spillover"]["detectors"] == ["FITC-A", "PE-A"]


def test_second_gate_into_a_run_adds_a_step_and_keeps_the_first(nti7flow, tmp_path, plain):
    import nti7flow as nf

    tubes, run = tmp_path / "tubes", tmp_path / "run"
    write_tube(tubes / "a.fcs")
    assert nti7flow("gate", tubes, "-t", plain, "-o", run, "--figures", "none").code == 0
    first = files_of(run / "steps" / "01-gate")
    write_tube(tubes / "b.fcs", source=DAY21)
    assert nti7flow("gate", tubes, "-t", plain, "-o", run, "--figures", "none").code == 0
    assert files_of(run / "steps" / "01-gate") == first
    assert check_counts(run / "steps" / "01-gate") == 3
    assert check_counts(run / "steps" / "02-gate") == 6
    assert (run / "counts.csv").read_bytes() == (run / "steps" / "02-gate" / "counts.csv").read_bytes()
    index = json.loads((run / "run.json").read_text())
    assert [entry["name"] for entry in index["steps"]] == ["01-gate", "02-gate"]
    second = json.loads((run / "steps" / "02-gate" / "step.json").read_text())
    assert second["parent"] == index["steps"][0]["sha256"]
    opened = nf.open_run(run)
    assert opened.steps == ["01-gate", "02-gate"]
    assert opened.samples == ["a", "b"]
    assert "reproduced: 6 counts of 2 samples" in nti7flow("replay", run).out


def test_progress_is_shown_on_a_terminal_and_not_in_a_file(tmp_path, plain, sample_runs):
    assert sample_runs["two"][1].err == ""
    tube = write_tube(tmp_path / "[b]tube.fcs")
    command = ["gate", tube, "-t", plain, "-o", tmp_path / "run", "--figures", "none"]
    terminal, stderr = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "nti7flow", *command],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        check=True,
    )
    os.close(stderr)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert "gating" in shown
    assert "0/1" in shown or "1/1" in shown
    assert b"gating" not in done.stdout


def test_output_that_knows_no_unicode_still_gets_its_table(tmp_path, plain):
    tube = write_tube(tmp_path / "Pröbe.fcs")
    arguments = ("gate", tube, "-t", plain, "-o", tmp_path / "run", "--figures", "none")
    outcome = spawn(*arguments, PYTHONIOENCODING="ascii")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Pr?be" in outcome.out

"""A whole simulated study: what lies in the folder, whether it is true, and that the same seed gives the same bytes."""

import csv
import hashlib
from collections import Counter
from datetime import datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

import nti7flow as nf
from nti7flow.errors import ConfigError, InputError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover
from nti7flow.simulation import CELL_TYPES, POPULATIONS, plan_study, simulate_study
from nti7flow.trial import read_trial

EVENTS = 1200
SETTINGS = {"subjects": 2, "events": EVENTS, "seed": 3}
SHEETS = ("samples", "subjects", "doses", "hematology", "events", "reagents")
TRUTH = ("concentrations", "counts", "tubes", "patients")
CELLS = {name for name, cell in CELL_TYPES.items() if cell.is_cell}
LEAVES = {CELL_TYPES[name].population for name in CELLS}
TOP = 262_143
#: All that a file says besides its layout: nothing of a person, and nobody's name.
KEYWORDS = {"$CYT", "$COM", "$FIL", "$DATE", "$BTIM", "$ETIM", "$TIMESTEP", "$SPILLOVER"}
LAYOUT = {
    *(f"${end}{part}" for end in ("BEGIN", "END") for part in ("ANALYSIS", "STEXT", "DATA")),
    *("$NEXTDATA", "$BYTEORD", "$DATATYPE", "$MODE", "$PAR", "$TOT"),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Both panels, made by one process."""
    return simulate_study(tmp_path_factory.mktemp("plain") / "study", **SETTINGS)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """The same with awkward tubes, made by two processes."""
    return simulate_study(tmp_path_factory.mktemp("awkward") / "study", **SETTINGS, awkward=True, jobs=2)


@pytest.fixture(scope="module")
def case(spoilt):
    """Cases by kind; of a swap the first of the two."""
    return {case.case: case for case in reversed(spoilt.cases)}


def table(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def by_sample(study, name):
    return {row["sample"]: row for row in table(study.path / name)}


def counts(study):
    """Rows of truth/counts.csv by sample and population."""
    return {(row["sample"], row["population"]): row for row in table(study.path / "truth" / "counts.csv")}


def labels(study, sample):
    columns = pq.read_table(study.path / "truth" / "labels" / f"{sample}.parquet").to_pydict()
    return {name: np.array(["" if value is None else value for value in of]) for name, of in columns.items()}


def tube(study, sample):
    return read_fcs(study.path / "tubes" / f"{sample}.fcs")


def read_back(study):
    plan = YAML(typ="safe").load(study.path / "study.yaml")
    sheets = {name: study.path / file for name, file in plan["sheets"].items()}
    return read_trial(sheets, time_zone=plan["time_zone"])


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- what is there --------------------------------------------------------------------------------------------------


def test_files_and_sheets_are_there(study):
    samples = [row["sample"] for row in table(study.path / "samples.csv")]
    assert set(digests(study.path)) == {
        "study.yaml",
        *(f"{name}.csv" for name in SHEETS),
        *(f"truth/{name}.csv" for name in TRUTH),
        *(f"tubes/{name}.fcs" for name in samples),
        *(f"truth/labels/{name}.parquet" for name in samples),
    }
    assert len(samples) == study.n_tubes == len(set(samples))
    assert (study.n_subjects, study.cases) == (2, ())


def test_the_sheets_read_back_without_a_remark(study):
    trial = read_back(study)
    assert trial.remarks == ()
    assert [len(trial.subjects), len(trial.doses), len(trial.specimens), len(trial.samples)] == [
        study.n_subjects,
        study.n_doses,
        study.n_specimens,
        study.n_tubes,
    ]
    assert len(trial.hematology) == 3 * study.n_specimens
    roles = Counter((row.panel, row.role.split(":")[0]) for row in trial.samples)
    assert set(roles) == {(panel, role) for panel in ("tbnk", "tcell") for role in ("patient", "control", "fmo")}
    assert roles["tbnk", "patient"] == study.n_specimens > roles["tcell", "patient"] > 5


def test_a_batch_has_controls_and_one_lot_of_beads(study):
    trial = read_back(study)
    patients = {(row.panel, row.batch) for row in trial.samples if row.role == "patient"}
    for panel, batch in patients:
        rows = [row for row in trial.samples if (row.panel, row.batch) == (panel, batch)]
        assert sum(row.role == "control" for row in rows) == 1
        left_out = sorted(row.role for row in rows if row.role.startswith("fmo"))
        assert (
            left_out
            == {
                "tbnk": ["fmo:CD19"],
                "tcell": ["fmo:CCR7", "fmo:CD25", "fmo:Ki-67", "fmo:PD-1"],
            }[panel]
        )
        assert len({row.bead_lot for row in rows}) == 1
        assert all((row.beads_per_tube is None) == (panel == "tcell") for row in rows)
    stated = {row.batch: row.beads_per_tube for row in trial.samples if row.beads_per_tube}
    assert len(set(stated.values())) == len(stated)  # another lot, another number
    antibodies = Counter((row.panel, row.marker) for row in trial.reagents)
    assert len(antibodies) == 6 + 14
    assert set(antibodies.values()) == {len(stated)}


def test_study_yaml_names_the_templates(study):
    text = (study.path / "study.yaml").read_text(encoding="utf-8")
    assert "\n  tbnk: tbnk@2.0.0\n  tcell: none\n" in text
    assert "compensation: keyword" in text


def test_every_tube_reads_without_a_note(study):
    rows = by_sample(study, "samples.csv")
    for sample, row in rows.items():
        found = tube(study, sample)
        assert found.notes == ()
        assert row["file"] == f"tubes/{sample}.fcs" == f"tubes/{found.keywords['$FIL']}"
        markers = [channel.marker for channel in found.panel.channels if channel.marker]
        assert len(markers) == {"tbnk": 6, "tcell": 14}[row["panel"]]
        np.testing.assert_array_equal(found.events, np.rint(found.events))
        assert Spillover.from_keyword(found).condition_number < 20
        assert (np.diff(found.columns(["Time"])[:, 0]) >= 0).all()
        moment = datetime.fromisoformat(row["acquired_at"])  # to the minute
        assert found.keywords["$DATE"] == moment.strftime("%d-%b-%Y").upper()
        assert found.keywords["$BTIM"].startswith(moment.strftime("%H:%M:"))
        assert found.keywords["$BTIM"] <= found.keywords["$ETIM"]
        order = [datetime.fromisoformat(row[name]) for name in ("collected_at", "stained_at", "acquired_at")]
        assert order == sorted(order)


def test_no_keyword_holds_personal_data(study):
    for sample in by_sample(study, "samples.csv"):
        keywords = tube(study, sample).keywords
        of_channels = {key for key in keywords if key[:2] == "$P" and key[2].isdigit()}
        assert set(keywords) - of_channels == KEYWORDS | LAYOUT
        assert keywords["$COM"] == "simulated by nti7flow; no person, no specimen"


# --- whether it is true ---------------------------------------------------------------------------------------------


def test_labels_match_events(study):
    made = by_sample(study, "truth/tubes.csv")
    for sample in by_sample(study, "samples.csv"):
        found, truth = tube(study, sample), labels(study, sample)
        assert {len(of) for of in truth.values()} == {found.n_events}
        assert int(made[sample]["n_events"]) == found.n_events
        # Not only as many, but the same: a bead lights every detector, debris carries little CD45 or CD3.
        marker = "CD45" if "tbnk" in sample else "CD3"
        bright = found.columns([marker])[:, 0]
        t_cells = np.isin(truth["population"], ["cd4_t", "cd8_t"])
        assert np.median(bright[t_cells]) > 10 * np.median(bright[truth["population"] == "debris"])
        beads = truth["population"] == "beads"
        if beads.sum() > 10:
            channels = [channel.detector for channel in found.panel.channels if channel.marker]
            assert np.median(found.columns(channels).min(axis=1)[beads]) > 30_000


def test_counts_agree_with_labels(study):
    told = counts(study)
    for sample in by_sample(study, "samples.csv"):
        truth = labels(study, sample)
        single = np.isin(truth["population"], list(LEAVES))
        assert single.sum() == np.sum([int(told[sample, leaf]["n_events"]) for leaf in LEAVES])
        others = Counter(truth["population"][~single].tolist())
        for name in ("debris", "dead", "doublets", "beads", "bead_doublets", "carry_over"):
            assert int(told[sample, name]["n_events"]) == others[name], (sample, name)
        own = truth["population"] != "carry_over"
        for name, types in POPULATIONS.items():
            row = told[sample, name]
            assert int(row["n_events"]) == np.isin(truth["cell_type"][single], types).sum(), (sample, name)
            particles = np.r_[truth["cell_type"][own], truth["partner"][own]]
            assert int(row["n_cells"]) == np.isin(particles, types).sum(), (sample, name)
        assert truth["dead"][truth["population"] == "dead"].all()
        assert set(truth["population"][truth["dead"]].tolist()) <= {"dead", "doublets", "carry_over"}


def test_concentrations_volumes_and_beads_make_the_expected_cells(study):
    per_ul = {(row["specimen"], row["population"]): float(row["cells_per_ul"])
              for row in table(study.path / "truth" / "concentrations.csv")}  # fmt: skip
    made, told, total = by_sample(study, "truth/tubes.csv"), counts(study), np.zeros(2)
    for sample, row in by_sample(study, "samples.csv").items():
        if row["panel"] != "tbnk":
            continue
        assert made[sample]["holds"] == row["specimen"]
        volume = {name: float(made[sample][name]) for name in ("specimen_ul", "suspension_ul", "acquired_ul", "beads")}
        drawn = volume["acquired_ul"] / volume["suspension_ul"]
        for name in POPULATIONS:
            expected = float(told[sample, name]["expected_cells"])
            assert expected == pytest.approx(per_ul[row["specimen"], name] * volume["specimen_ul"] * drawn, rel=3e-4)
        assert float(told[sample, "beads"]["expected_cells"]) == pytest.approx(volume["beads"] * drawn, rel=3e-4)
        assert volume["specimen_ul"] == pytest.approx(float(row["specimen_volume"]), rel=0.08)
        assert volume["beads"] == pytest.approx(float(row["beads_per_tube"]), rel=0.1)
        total += [int(told[sample, "lymphocytes"]["n_cells"]), float(told[sample, "lymphocytes"]["expected_cells"])]
    assert total[0] == pytest.approx(total[1], abs=4 * np.sqrt(total[1]))


def test_truth_covers_all_specimens_and_adds_up(study):
    trial = read_back(study)
    rows = table(study.path / "truth" / "concentrations.csv")
    per_ul = {(row["specimen"], row["population"]): float(row["cells_per_ul"]) for row in rows}
    specimens = {row.specimen for row in trial.samples}
    assert set(per_ul) == {(specimen, name) for specimen in specimens for name in POPULATIONS}
    assert len(rows) == len(per_ul)
    for specimen in specimens:
        parts = sum(per_ul[specimen, name] for name in ("t_cells", "b_cells", "nk_cells"))
        assert per_ul[specimen, "lymphocytes"] == pytest.approx(parts, rel=1e-3)
    # Haematology saw the same blood, with errors of its own.
    collected = {specimen.specimen: (specimen.subject, specimen.collected_at) for specimen in trial.specimens}
    alc = {(row.subject, row.collected_at): row.value for row in trial.hematology if row.analyte == "ALC"}
    errors = [np.log(alc[when] / per_ul[name, "lymphocytes"]) for name, when in collected.items()]
    assert 0.02 < np.std(errors) < 0.2
    assert np.abs(errors).max() < 0.6


def test_patients_of_truth_are_those_of_the_sheet(study):
    patients = table(study.path / "truth" / "patients.csv")
    assert [row["subject"] for row in patients] == [row["subject"] for row in table(study.path / "subjects.csv")]
    assert all(row["disease"] and row["story"] for row in patients)


# --- the same seed --------------------------------------------------------------------------------------------------


def test_same_bytes_again_and_for_two_workers(study, tmp_path):
    done = []
    simulate_study(tmp_path / "again", **SETTINGS, jobs=2, done=done.append)
    assert digests(tmp_path / "again") == digests(study.path)
    assert done == [row["sample"] for row in table(study.path / "samples.csv")]


def test_the_public_name():
    assert nf.simulate_study is simulate_study


def test_another_seed_is_another_study(study, tmp_path):
    other = simulate_study(tmp_path / "other", subjects=1, events=1000, seed=4, panel="tbnk")
    first, second = digests(study.path), digests(other.path)
    assert not {digest for name, digest in first.items() if name.endswith(".fcs")} & set(second.values())
    assert {row["panel"] for row in table(other.path / "samples.csv")} == {"tbnk"}


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_larger_trial_begins_with_the_same_patients(seed):
    few, more = (plan_study(subjects=subjects, seed=seed, events=1000).trial for subjects in (2, 5))
    assert more.patients[:2] == few.patients
    for rows in ("draws", "doses", "hematology"):
        assert getattr(more, rows)[: len(getattr(few, rows))] == getattr(few, rows)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"panel": "tbkn"}, "panel is 'tbkn'; expected tbnk, tcell, both. Did you mean 'tbnk'?"),
        ({"events": 999}, "events is 999; expected a whole number from 1,000."),
        ({"subjects": 0}, "subjects is 0; expected a whole number from 1."),
        ({"seed": -1}, "seed is -1; expected a whole number from 0."),
    ],
)
def test_impossible_studies(tmp_path, options, message):
    with pytest.raises(ConfigError) as error:
        simulate_study(tmp_path / "study", **options)
    assert message in str(error.value)
    assert not (tmp_path / "study").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ConfigError, match=r"is (there already and not empty|a file); name a new folder"):
            simulate_study(place, subjects=1, events=1000, panel="tbnk")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_interrupted_run_leaves_nothing_behind(tmp_path):
    def interrupt(sample):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_study(tmp_path / "study", subjects=1, events=1000, panel="tbnk", done=interrupt)
    assert not list(tmp_path.iterdir())
    simulate_study(tmp_path / "study", subjects=1, events=1000, panel="tbnk")
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize("panel", ["tbnk", "tcell"])
@pytest.mark.parametrize("seed", range(1, 16))
def test_too_few_tubes_for_the_awkward_cases_are_refused(panel, seed):
    """One patient's tubes cannot be swapped with those of another, however many there are."""
    with pytest.raises(ConfigError, match="simulate more subjects"):
        plan_study(subjects=1, seed=seed, events=1000, panel=panel, awkward=True)


# --- awkward tubes --------------------------------------------------------------------------------------------------

KINDS = {
    "swapped_tubes",
    "duplicated_file",
    "wrong_spillover",
    "missing_beads",
    "wrong_lot_number",
    "clotted_specimen",
    "over_range_gain",
    "empty_tube",
    "truncated_file",
    "mislabelled_marker",
}


def test_every_case_is_there_on_a_tube_of_its_own(spoilt):
    assert Counter(case.case for case in spoilt.cases) == dict.fromkeys(KINDS, 1) | {"swapped_tubes": 2}
    taken = [case.sample for case in spoilt.cases]
    originals = [case.other for case in spoilt.cases if case.case == "duplicated_file"]
    assert len({*taken, *originals}) == 12
    patients = {row.sample for row in read_back(spoilt).samples if (row.panel, row.role) == ("tbnk", "patient")}
    assert {*taken, *originals} <= patients
    rows = table(spoilt.path / "truth" / "awkward.csv")
    assert [(row["case"], row["sample"], row["other"]) for row in rows] == [
        (case.case, case.sample, case.other) for case in spoilt.cases
    ]
    for row in rows:
        assert row["severity"] in {"info", "review", "invalid"}
        assert row["shown_by_data"] in {"yes", "partly", "no"}
        assert row["what_was_done"] and row["must_say"] and row["shown_how"]


def test_no_other_tube_changes(study, spoilt):
    plain, changed = digests(study.path), digests(spoilt.path)
    assert set(changed) - set(plain) == {"truth/awkward.csv"}
    differs = {name for name, digest in plain.items() if changed[name] != digest}
    touched = {case.sample for case in spoilt.cases}
    sheets = {"samples.csv", "truth/counts.csv", "truth/tubes.csv"}
    # A wrong lot is only in the sheet.
    in_files = touched - {case.sample for case in spoilt.cases if case.case == "wrong_lot_number"}
    assert {name for name in differs if name.endswith(".fcs")} == {f"tubes/{name}.fcs" for name in in_files}
    assert differs - {name for name in differs if name.startswith(("tubes/", "truth/labels/"))} == sheets
    in_sheet = {case.sample for case in spoilt.cases if case.case in ("wrong_lot_number", "empty_tube")}
    for sheet, of in (("samples.csv", in_sheet), ("truth/tubes.csv", in_files)):
        before, after = by_sample(study, sheet), by_sample(spoilt, sheet)
        assert list(before) == list(after)
        assert {name for name in before if before[name] != after[name]} <= of
    (empty,) = (case.sample for case in spoilt.cases if case.case == "empty_tube")
    before, after = by_sample(study, "samples.csv")[empty], by_sample(spoilt, "samples.csv")[empty]
    assert {name for name in before if before[name] != after[name]} == {"stop_rule"}


def test_swapped_tubes_hold_each_other(study, spoilt, case):
    first, second = case["swapped_tubes"].sample, case["swapped_tubes"].other
    made, sheet = by_sample(spoilt, "truth/tubes.csv"), by_sample(spoilt, "samples.csv")
    assert sheet[first]["subject"] != sheet[second]["subject"]
    before, after = counts(study), counts(spoilt)
    for sample, other in ((first, second), (second, first)):
        assert made[sample]["holds"] == sheet[other]["specimen"]

        def share(told, of, name):
            return float(told[of, name]["expected_cells"]) / float(told[of, "lymphocytes"]["expected_cells"])

        for name in ("cd4_t", "cd8_t", "b_cells", "nk_cells"):
            assert share(after, sample, name) == pytest.approx(share(before, other, name), rel=1e-3)
        # And not only on paper.
        found, expected = (int(after[sample, "lymphocytes"][key]) for key in ("n_events", "n_cells"))
        assert 0 < found <= expected


def test_a_duplicated_file_is_the_same_file(spoilt, case):
    copy, original = case["duplicated_file"].sample, case["duplicated_file"].other
    tubes = {name: digest for name, digest in digests(spoilt.path).items() if name.endswith(".fcs")}
    assert tubes[f"tubes/{copy}.fcs"] == tubes[f"tubes/{original}.fcs"]
    assert len(set(tubes.values())) == len(tubes) - 1
    sheet = by_sample(spoilt, "samples.csv")
    assert sheet[copy]["subject"] == sheet[original]["subject"]
    assert tube(spoilt, copy).keywords["$FIL"] == f"{original}.fcs"
    made = by_sample(spoilt, "truth/tubes.csv")
    # The truth about a file does not depend on its name.
    assert made[copy] | {"sample": original} == made[original]
    told = counts(spoilt)
    assert all(told[copy, name] == told[original, name] | {"sample": copy} for name in POPULATIONS)


def test_a_wrong_matrix_has_rows_and_columns_exchanged(study, spoilt, case):
    sample = case["wrong_spillover"].sample
    right, wrong = (Spillover.from_keyword(tube(where, sample)) for where in (study, spoilt))
    np.testing.assert_array_equal(wrong.matrix, right.matrix.T)
    assert not np.array_equal(wrong.matrix, right.matrix)
    np.testing.assert_array_equal(tube(study, sample).events, tube(spoilt, sample).events)


def test_missing_beads_are_missing(study, spoilt, case):
    sample = case["missing_beads"].sample
    assert by_sample(spoilt, "samples.csv")[sample]["bead_lot"]
    assert int(counts(study)[sample, "beads"]["n_events"]) > 5
    assert int(counts(spoilt)[sample, "beads"]["n_cells"]) == 0
    assert float(by_sample(spoilt, "truth/tubes.csv")[sample]["beads"]) == 0
    found = tube(spoilt, sample)
    stained = [channel.detector for channel in found.panel.channels if channel.marker]
    assert (found.columns(stained).min(axis=1) > 30_000).sum() == 0


def test_a_wrong_lot_is_used_nowhere_else(spoilt, case):
    sheet = by_sample(spoilt, "samples.csv")
    row = sheet[case["wrong_lot_number"].sample]
    assert sum(other["bead_lot"] == row["bead_lot"] for other in sheet.values()) == 1
    (right,) = {other["beads_per_tube"] for other in sheet.values()
                if (other["panel"], other["batch"]) == ("tbnk", row["batch"]) and other is not row}  # fmt: skip
    assert float(row["beads_per_tube"]) == pytest.approx(0.8 * float(right), rel=0.001)


def test_clotted_blood_has_lost_cells_and_sticks_together(study, spoilt, case):
    sample = case["clotted_specimen"].sample
    told, before = counts(spoilt), counts(study)
    per_bead = [
        float(of[sample, "lymphocytes"]["expected_cells"]) / float(of[sample, "beads"]["expected_cells"])
        for of in (before, told)
    ]
    assert per_bead[1] < 0.7 * per_bead[0]
    pairs = []
    for of in (before, told):
        cells = sum(int(of[sample, name]["n_events"]) for name in ("lymphocytes", "monocytes", "granulocytes"))
        pairs.append(int(of[sample, "doublets"]["n_events"]) / cells)
    assert pairs[1] > 2 * pairs[0]
    made = by_sample(spoilt, "truth/tubes.csv")[sample]
    assert float(made["clog_at_s"]) < float(made["seconds"])  # while the tube ran, not after


def test_a_gain_out_of_range_saturates_the_lymphocytes(study, spoilt, case):
    sample = case["over_range_gain"].sample
    share = []
    for where in (study, spoilt):
        lymphocytes = np.isin(labels(where, sample)["population"], ["cd4_t", "cd8_t", "b_cells", "nk_cells"])
        share.append((tube(where, sample).columns(["CD45"])[lymphocytes, 0] >= TOP).mean())
    assert share[0] == 0
    assert share[1] > 0.5  # "events pile up at the top of range": most of those it is to find


def test_an_empty_tube_holds_no_cells(spoilt, case):
    sample = case["empty_tube"].sample
    told = counts(spoilt)
    assert (
        sum(int(told[sample, name]["n_cells"]) for name in ("lymphocytes", "granulocytes", "monocytes", "beads")) == 0
    )
    assert by_sample(spoilt, "truth/tubes.csv")[sample]["stopped_by"] == "seconds"
    assert tube(spoilt, sample).n_events < 300
    assert by_sample(spoilt, "samples.csv")[sample]["stop_rule"].startswith("seconds")


def test_a_truncated_file_is_refused(study, spoilt, case):
    name = f"tubes/{case['truncated_file'].sample}.fcs"
    whole, cut = ((where.path / name).read_bytes() for where in (study, spoilt))
    assert cut == whole[: int(0.6 * len(whole))]
    with pytest.raises(InputError):
        read_fcs(spoilt.path / name, repair="safe")
    assert read_fcs(spoilt.path / name, repair="salvage").notes


def test_mislabelled_markers_are_exchanged(study, spoilt, case):
    sample = case["mislabelled_marker"].sample
    right, wrong = (tube(where, sample) for where in (study, spoilt))
    said = [
        {channel.marker: channel.detector for channel in of.panel.channels if channel.marker} for of in (right, wrong)
    ]
    other = {"CD4": "CD8", "CD8": "CD4"}
    assert said[1] == {other.get(marker, marker): detector for marker, detector in said[0].items()}
    np.testing.assert_array_equal(right.events, wrong.events)

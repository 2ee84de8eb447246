"""A corrected sheet takes back what only the old sheet gave, and a worse one gives it, without gating again."""

import shutil

import pandas as pd
import pytest

from nti7flow.study.count import count_run
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.store import open_run

SAMPLES = "SIM-002"  # six tubes of one subject, and their batches' controls


@pytest.fixture(scope="module")
def study(tmp_path_factory, request):
    """Part of the sample study, whose sheet may be changed."""
    source = request.config.rootpath / "sample_fcs"
    folder = tmp_path_factory.mktemp("study")
    sheet = pd.read_csv(source / "samples.csv", dtype=str, keep_default_na=False)
    sheet = sheet[sheet["sample"].str.startswith(SAMPLES) & (sheet.panel == "tbnk")]
    (folder / "tubes").mkdir()
    for file in sheet.file:
        shutil.copy(source / file, folder / file)
    text = (source / "study.yaml").read_text().split("sheets:")[0] + "sheets:\n  samples: samples.csv\n"
    (folder / "study.yaml").write_text(text)
    return folder, sheet


def counted(folder, run):
    count_run(run, study=folder / "study.yaml", figures="none")
    return open_run(run).concentrations.set_index(["specimen", "population"])


def test_flags_of_the_sheet_follow_the_sheet(study, tmp_path):
    folder, right = study
    wrong = right.copy()
    order = wrong.sort_values("acquired_at").index
    odd = wrong.loc[order[2], "specimen"]
    wrong.loc[order[2], ["bead_lot", "beads_per_tube"]] = ["BD1", "40000"]
    wrong.loc[order[[0, 1, 3, 4, 5]], ["bead_lot", "beads_per_tube"]] = ["BD2", "50000"]
    wrong.to_csv(folder / "samples.csv", index=False)
    run = tmp_path / "run"
    gate_study(make_plan([folder / "study.yaml"]), run, figures="none")
    before = counted(folder, run)
    assert "bead_lot_differs" in before.loc[(odd, "cd4_t"), "flags"]
    assert before.loc[(odd, "cd4_t"), "severity"] == "review"
    mended = wrong.copy()
    mended.loc[order[2], ["bead_lot", "beads_per_tube"]] = ["BD2", "50000"]
    mended.to_csv(folder / "samples.csv", index=False)
    after = counted(folder, run)
    assert not after["flags"].str.contains("bead_lot_differs").any()
    assert after.loc[(odd, "cd4_t"), "cells_per_ul"] == pytest.approx(1.25 * before.loc[(odd, "cd4_t"), "cells_per_ul"])
    own = open_run(run).counts.set_index(["specimen", "population"])  # of another tube, which had no such flag
    others = [specimen for specimen in set(right.specimen) if specimen != odd]
    for specimen in others:
        assert after.loc[(specimen, "cd4_t"), "flags"] == before.loc[(specimen, "cd4_t"), "flags"]
    assert own.loc[(odd, "cd4_t"), "severity"] == "review"  # what was gated stays as it was written
    wrong.to_csv(folder / "samples.csv", index=False)
    again = counted(folder, run)
    assert again.loc[(odd, "cd4_t"), "severity"] == "review"
    pd.testing.assert_frame_equal(again, before)

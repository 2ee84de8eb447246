"""``nti7flow qc``."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

import nti7flow as nf

sys.path.insert(0, str(Path(__file__).parents[1] / "quality"))
from quality_tubes import DETECTORS, MARKERS, between, even_tube


@pytest.fixture
def tubes(tmp_path):
    """A folder of a steady tube, one whose gain was changed, and one that is no FCS file."""
    folder = tmp_path / "tubes"
    folder.mkdir()
    steady = even_tube(1)
    stepped = even_tube(2)
    stepped[between(stepped, 50, 60), 3:6] *= 0.5
    for name, values in (("steady", steady), ("stepped", stepped)):
        nf.write_events(folder / f"{name}.fcs", values, DETECTORS, markers=MARKERS)
    return folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_steady_tube_is_clean(nti7flow, tubes):
    outcome = nti7flow("qc", tubes / "steady.fcs")
    assert (outcome.code, outcome.err) == (0, "")
    (row,) = [line for line in outcome.out.splitlines() if "steady  " in line or "│ steady" in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:2] == ["steady", "20,000"]
    assert cells[4] == "0.0 %"
    assert cells[-1] == "steady"


def test_findings_are_printed_written_and_drawn(nti7flow, tubes, tmp_path):
    outcome = nti7flow("qc", tubes, "--csv", tmp_path / "qc.csv", "--figures", tmp_path / "pictures" / "of_qc")
    assert outcome.code == 3
    assert "signal shift" in outcome.out
    assert "light × 0.5" in outcome.out or "outrank" in outcome.out
    table = rows(tmp_path / "qc.csv")
    assert {row["sample"] for row in table} == {"steady", "stepped"}
    (shift,) = [row for row in table if row["check"] == "signal_shift"]
    assert shift["sample"] == "stepped"
    assert float(shift["begins_s"]) == pytest.approx(50, abs=0.5)
    assert float(shift["ends_s"]) == pytest.approx(60, abs=0.5)
    assert int(shift["n_excluded"]) == pytest.approx(20_000 / 6, rel=0.1)
    assert {path.name for path in (tmp_path / "pictures" / "of_qc").iterdir()} == {"steady.png", "stepped.png"}


def test_a_file_that_cannot_be_read_does_not_stop_the_others(nti7flow, tubes, tmp_path):
    (tubes / "broken.fcs").write_bytes(b"FCS3.0 and nothing else")
    outcome = nti7flow("qc", tubes, "--csv", tmp_path / "qc.csv", "--figures", tmp_path / "pictures")
    assert outcome.code == 3
    assert "refused broken: " in outcome.out
    (refused,) = [row for row in rows(tmp_path / "qc.csv") if row["sample"] == "broken"]
    assert (refused["check"], refused["severity"]) == ("refused", "invalid")
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_what_cannot_be_done_is_said_before_the_work(nti7flow, tubes, tmp_path):
    assert "no such file or folder" in nti7flow("qc", tmp_path / "nowhere").error()
    assert "cannot be written" in nti7flow("qc", tubes, "--csv", tmp_path).error()
    (tmp_path / "file").write_text("")
    assert "is no folder" in nti7flow("qc", tubes, "--figures", tmp_path / "file").error()


def test_names_and_notes_of_files_do_not_reach_the_terminal_or_a_spreadsheet_raw(nti7flow, tmp_path):
    values = even_tube(3, n=4000)
    values[:, 3] = np.minimum(values[:, 3], 100.0)
    detectors = ["FSC-A", "FSC-H", "SSC-A", "=[red]x", "PE-A", "APC-A", "Time"]
    nf.write_events(tmp_path / "tube.fcs", values, detectors)
    outcome = nti7flow("qc", tmp_path / "tube.fcs", "--csv", tmp_path / "qc.csv")
    assert "=[red]x" in outcome.out
    assert {row["channel"] for row in rows(tmp_path / "qc.csv")} >= {"'=[red]x"}

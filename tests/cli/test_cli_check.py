"""``nti7flow check``: one line a file, what came twice, which panels differ, and an exit code."""

import shutil

import numpy as np
import pytest
from command_line import spawn
from small_fcs import fcs
from study_tubes import DAY00, DAY21, TUBES, everything, read_table, write_tube

import nti7flow as nf


@pytest.fixture
def delivery(tmp_path):
    """Two good tubes, a copy, one with another label, one odd and one that is no tube."""
    folder = tmp_path / "delivery"
    folder.mkdir()
    shutil.copy(DAY00, folder / "P01.fcs")
    shutil.copy(DAY21, folder / "P02.fcs")
    shutil.copy(DAY21, folder / "P02 copy.fcs")
    write_tube(folder / "P03.fcs", markers={"PE-A": "CD56"}, rows=slice(100))
    write_tube(folder / "P04.fcs", keywords={"$TIMESTEP": "often"}, rows=slice(100, 200))
    (folder / "P05.fcs").write_text("Dear lab")
    return folder


def test_a_delivery_in_order(nti7flow, tmp_path):
    before = everything(TUBES)
    outcome = nti7flow("check", TUBES)
    assert (outcome.code, outcome.err) == (0, "")
    first, second, *rest = outcome.out.splitlines()
    assert first.split() == ["ok", DAY00.name, "11,500", "events", "10", "channels", "FACSCantoII", "16-FEB-2026"]
    assert second.split() == ["ok", DAY21.name, "11,000", "events", "10", "channels", "FACSCantoII", "09-MAR-2026"]
    assert rest[-1] == "2 files: 2 ok, 0 noted, 0 refused; 1 panel; 0 groups of duplicates"
    assert "Duplicates" not in outcome.out
    assert everything(TUBES) == before


def test_one_line_a_file_and_what_is_the_matter(nti7flow, delivery):
    before = everything(delivery)
    outcome = nti7flow("check", delivery)
    assert (outcome.code, outcome.err) == (3, "")
    lines, codes, panels, duplicates, summary = outcome.out.split("\n\n")
    stated = {line[9:22].strip(): line for line in lines.splitlines()}
    assert list(stated) == ["P01.fcs", "P02 copy.fcs", "P02.fcs", "P03.fcs", "P04.fcs", "P05.fcs"]
    assert [line.split()[0] for line in stated.values()] == ["ok", "ok", "ok", "ok", "noted", "refused"]
    assert stated["P04.fcs"].endswith("panel 1   FCS074")
    assert stated["P03.fcs"].endswith("panel 2")
    assert "[FCS006] not an FCS file" in stated["P05.fcs"]
    assert str(delivery) not in outcome.out
    assert "  FCS006  not an FCS file (1)" in codes.splitlines()
    assert "  FCS074  unreadable $TIMESTEP (1)" in codes.splitlines()
    assert "  panel 1, the commonest (4): FSC-A, FSC-H, SSC-A, FITC-A (CD3), PE-A (CD16+56)," in panels
    assert "  panel 2 (1): panel 1 but PE-A is CD56, not CD16+56: P03.fcs" in panels
    assert duplicates == "Duplicates\n  the same file: P02 copy.fcs = P02.fcs"
    assert summary == "6 files: 4 ok, 1 noted, 1 refused; 2 panels; 1 group of duplicates\n"
    assert everything(delivery) == before


def test_table_as_csv(nti7flow, delivery, tmp_path):
    one = nti7flow("check", delivery, "--out", tmp_path / "check.csv")
    rows = read_table(tmp_path / "check.csv")
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "ok", "noted", "refused"]
    assert rows[1]["duplicates"] == "the same file as P02.fcs"
    assert (rows[5]["codes"], rows[5]["severity"], rows[5]["n_events"]) == ("FCS006", "invalid", "")
    assert rows[0]["sha256"] == nf.read_fcs(DAY00).sha256
    two = nti7flow("check", delivery, "--jobs", "2", "--out", tmp_path / "two.csv")
    assert (two.code, two.out) == (one.code, one.out)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "check.csv").read_bytes()


def test_repair(nti7flow, delivery):
    strict = nti7flow("check", delivery / "P04.fcs", "--repair", "none")
    assert strict.code == 3
    assert "[FCS074] unreadable $TIMESTEP" in strict.out
    assert nti7flow("check", delivery / "P04.fcs", "--repair", "safe").code == 0
    (delivery / "cut.fcs").write_bytes(DAY00.read_bytes()[:-20_000])
    assert nti7flow("check", delivery / "cut.fcs").code == 3
    salvaged = nti7flow("check", delivery / "cut.fcs", "--repair", "salvage")
    assert salvaged.code == 0
    assert salvaged.out.startswith("noted ")
    assert "FCS049" in salvaged.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder."),
        (["empty"], "empty: the folder holds no FCS files."),
        (["tube.fcs", "--out", "empty"], "empty: cannot be written"),
        (["tube.fcs", "--out", "no/such/folder.csv"], "no/such/folder.csv: cannot be written"),
    ],
)
def test_arguments_that_cannot_be_meant(nti7flow, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "tube.fcs").write_bytes(fcs(np.ones((3, 2)), ["FSC-A", "SSC-A"]))
    before = everything(tmp_path)
    assert message in nti7flow("check", *arguments).error()
    assert everything(tmp_path) == before


def test_as_a_process_of_its_own_with_any_locale(delivery):
    outcome = spawn("check", ".", cwd=delivery, LC_ALL="C", PYTHONUTF8="0")
    assert (outcome.code, outcome.err) == (3, "")
    assert outcome.out.endswith("6 files: 4 ok, 1 noted, 1 refused; 2 panels; 1 group of duplicates\n")


def test_many_files_of_another_panel_are_not_all_named(nti7flow, tmp_path):
    for i in range(20):
        write_tube(tmp_path / f"usual {i:02d}.fcs", rows=slice(i, i + 50))
    for i in range(15):
        write_tube(tmp_path / f"odd {i:02d}.fcs", rows=slice(i, i + 60), markers={"PE-A": "CD56"})
    outcome = nti7flow("check", tmp_path)
    assert outcome.code == 0
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("  panel 2 "))
    assert line.startswith("  panel 2 (15): panel 1 but PE-A is CD56, not CD16+56: odd 00.fcs, odd 01.fcs, ")
    assert line.endswith("odd 11.fcs and 3 more")


def test_real_deliveries(nti7flow, shared_data):
    outcome = nti7flow("check", shared_data / "tbnk_auto", shared_data / "itn" / "converted")
    assert outcome.code == 0
    assert "6 files: 6 ok" in outcome.out
    assert sum(line.endswith("panel 1") for line in outcome.out.splitlines()) == 5  # the tubes of one trial

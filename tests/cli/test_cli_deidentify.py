"""``nti7flow deidentify`` as a lab uses it: what it prints, writes and exits with, and that counts do not change."""

import csv
import shutil

from command_line import spawn
from study_tubes import DAY00, DAY21, TUBES

import nti7flow as nf
from nti7flow.events.fcs import write_events

HEAD = "file,subject,code,sample,date_shift_days\n"
HOSTILE = "<b>\x1b[31m=cmd|'/c calc'!A1"


def tube(path, **keywords):
    pairs = {key.replace("D_", "$").replace("_", " "): value for key, value in keywords.items()}
    path.parent.mkdir(exist_ok=True)
    write_events(path, [[1.0, 2.0], [3.0, 4.0]], ["FSC-A", "CD3-A"], keywords=pairs)
    return path


def test_a_delivery(nti7flow, tmp_path):
    tube(
        tmp_path / "in" / "Doe_d0.fcs",
        PATIENT_ID="MRN903867",
        D_OP="Ada Lovelace",
        D_SYS="Windows 7",
        D_DATE="04-OCT-2018",
    )
    tube(tmp_path / "in" / "Doe_d14.fcs", PATIENT_ID="MRN903867", STATE=HOSTILE)
    done = nti7flow("deidentify", tmp_path / "in", "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert "A person should read this" in done.out
    assert "$SYS  Windows 7" in done.out
    assert "\x1b" not in done.out
    assert r"<b>\x1b[31m=cmd|'/c calc'!A1" in done.out
    assert "Subjects were told apart by: PATIENT ID (2)" in done.out
    assert f"{tmp_path / 'out.map.csv'} leads from every code back to its subject" in done.out
    assert "never pass it on" in done.out
    assert "Lovelace" not in done.out
    with (tmp_path / "out" / "deidentify_report.csv").open(newline="") as stream:
        rows = {row["keyword"]: row for row in csv.DictReader(stream)}
    assert rows["STATE"]["value"] == "<b>\\x1b[31m=cmd|'/c calc'!A1"
    assert rows["$OP"]["action"] == "removed"


def test_one_refused_file_makes_it_3_and_is_named(nti7flow, tmp_path):
    tube(tmp_path / "in" / "a.fcs")
    tube(tmp_path / "in" / "b.fcs")
    (tmp_path / "in" / "c.fcs").write_bytes(b"nothing of the kind")
    (tmp_path / "codes.csv").write_text(HEAD + "a.fcs,,P1,,0\nx.fcs,,P2,,-1\n")
    done = nti7flow("deidentify", tmp_path / "in", "-o", tmp_path / "out", "--map", tmp_path / "codes.csv")
    assert (done.code, done.err) == (3, "")
    assert "refused b.fcs: matches no row of" in done.out
    assert "refused c.fcs: not an FCS file" in done.out
    assert "line 3 of the map matched no file: x.fcs" in done.out
    assert "Dates were not shifted (0 days in the map): P1" in done.out
    assert "Key" not in done.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1_001.fcs", "deidentify_report.csv"]


def test_nothing_written_is_said(nti7flow, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.fcs").write_bytes(b"nothing of the kind")
    done = nti7flow("deidentify", tmp_path / "in", "-o", tmp_path / "out")
    assert (done.code, done.err) == (3, "")
    assert done.out.endswith("Nothing was written.\n")
    assert not (tmp_path / "out").exists()


def test_user_errors_are_one_line(nti7flow, tmp_path):
    tube(tmp_path / "in" / "a.fcs")
    assert "no such file or folder" in nti7flow("deidentify", tmp_path / "no", "-o", tmp_path / "out").error()
    assert "the folder is not empty" in nti7flow("deidentify", tmp_path / "in", "-o", tmp_path / "in").error()
    said = nti7flow("deidentify", tmp_path / "in", "-o", tmp_path / "out", "--map", tmp_path / "no.csv").error()
    assert said == f"{tmp_path / 'no.csv'}: no such sheet; correct the path, or create the sheet."
    assert not (tmp_path / "out").exists()
    assert nti7flow("deidentify", tmp_path / "in").code == 2


def test_unknown_text_is_removed_on_request(nti7flow, tmp_path):
    tube(tmp_path / "in" / "a.fcs", STATE="thawed")
    done = nti7flow("deidentify", tmp_path / "in", "-o", tmp_path / "out", "--remove-unknown")
    assert done.code == 0
    assert "A person should read" not in done.out
    (file,) = (tmp_path / "out").glob("*.fcs")
    assert "STATE" not in nf.read_fcs(file).keywords


def test_as_a_process_whatever_the_locale(tmp_path):
    tube(tmp_path / "in" / "plain.fcs", PATIENT_ID="MRN903867", STATE="größer")
    done = spawn("deidentify", "in", "--out", "out", cwd=tmp_path, LC_ALL="C", PYTHONUTF8="0", TZ="Asia/Tokyo")
    assert (done.code, done.err) == (0, "")
    assert len(list((tmp_path / "out").glob("*.fcs"))) == 1


def test_counts_are_the_same_before_and_after(nti7flow, tmp_path):
    (tmp_path / "in").mkdir()
    for path in (DAY00, DAY21):
        shutil.copy(path, tmp_path / "in")
    (tmp_path / "codes.csv").write_text(HEAD + f"{DAY00.name},,P1,before,-100\n{DAY21.name},,P1,after,-100\n")
    assert nti7flow("deidentify", tmp_path / "in", "-o", tmp_path / "out", "--map", tmp_path / "codes.csv").code == 0
    counts = []
    for folder, names in ((tmp_path / "in", (DAY00.stem, DAY21.stem)), (tmp_path / "out", ("before", "after"))):
        run = folder.with_suffix(".run")
        assert nti7flow("gate", folder, "-t", "tbnk", "-o", run, "--figures", "none").err == ""
        with (run / "counts.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        counts.append({(names.index(row["sample"]), row["population"]): row["n_events"] for row in rows})
    assert counts[0] == counts[1]
    assert len(counts[0]) > 10


def test_the_sample_study_has_nothing_to_hide_but_its_names(nti7flow, tmp_path):
    done = nti7flow("deidentify", TUBES, "-o", tmp_path / "out")
    assert done.code == 0
    for file in (tmp_path / "out").glob("*.fcs"):
        assert b"SIM-001" not in file.read_bytes()

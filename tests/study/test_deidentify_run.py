"""A delivery de-identified: codes and names, the map, what is refused, and the report that goes with the files."""

import csv
import stat
from datetime import datetime
from pathlib import Path

import pytest
from small_fcs import fcs

import nti7flow.study.deidentify as room
from nti7flow.errors import ConfigError, StoreError
from nti7flow.events.fcs import read_fcs
from nti7flow.study.deidentify import REPORT, deidentify

EVENTS = [[1.0, 2.0], [3.0, 4.0]]
HEAD = "file,subject,code,sample,date_shift_days\n"


def put(path: Path, *, raw: bytes | None = None, **keywords: str) -> Path:
    """Write a small tube; a keyword's blanks as underscores, and a leading $ as D_."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = {key.replace("D_", "$").replace("_", " "): value for key, value in keywords.items()}
    path.write_bytes(fcs(EVENTS, ["FSC-A", "CD3-A"], keywords=pairs) if raw is None else raw)
    return path


@pytest.fixture
def delivery(tmp_path):
    """Two visits of one patient, one of another, and a control that says nothing."""
    folder = tmp_path / "delivery"
    put(folder / "Doe" / "d0.fcs", PATIENT_ID="MRN903867", PATIENT_NAME="Doe^Jane", D_DATE="04-OCT-2018", D_OP="Ada Lo")
    put(folder / "Doe" / "d14.fcs", PATIENT_ID="MRN903867", D_DATE="18-OCT-2018", STATE="thawed", COLOUR="as Jane's")
    put(folder / "Roe d0.fcs", PATIENT_ID="MRN904225", D_DATE="01-FEB-2019", D_SYS="Windows 7 6.1", NEXT="for Doe")
    put(folder / "beads.LMD", D_DATE="02-FEB-2019")
    return folder


def report_of(folder: Path) -> list[dict[str, str]]:
    with (folder / REPORT).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_delivery_without_a_map(delivery, tmp_path):
    out = tmp_path / "shared"
    result = deidentify(delivery, out)
    assert not result.refused
    assert result.map_is_new
    assert result.map == tmp_path / "shared.map.csv"
    assert stat.S_IMODE(result.map.stat().st_mode) == 0o600
    assert result.subjects_by == {"PATIENT ID": 3, "the file itself": 1}
    with result.map.open(encoding="utf-8", newline="") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"Doe/d0.fcs", "Doe/d14.fcs", "Roe d0.fcs", "beads.LMD"}
    assert rows["Doe/d0.fcs"]["subject"] == rows["Doe/d14.fcs"]["subject"] == "MRN903867"
    assert rows["Doe/d0.fcs"]["code"] == rows["Doe/d14.fcs"]["code"] != rows["Roe d0.fcs"]["code"]
    assert len({row["code"] for row in rows.values()}) == 3
    new = {name: rows[name]["sample"] + (".lmd" if name == "beads.LMD" else ".fcs") for name in rows}
    assert sorted(path.name for path in out.iterdir()) == sorted([*new.values(), REPORT])
    first, second, other = (read_fcs(out / new[name]) for name in ("Doe/d0.fcs", "Doe/d14.fcs", "Roe d0.fcs"))
    assert first.keywords["PATIENT ID"] == first.keywords["PATIENT NAME"] == rows["Doe/d0.fcs"]["code"]
    assert "$OP" not in first.keywords
    assert second.keywords["STATE"] == "thawed"
    assert "COLOUR" not in second.keywords
    assert "NEXT" not in other.keywords
    assert days(second) - days(first) == 14
    assert days(first) != days(read_fcs(delivery / "Doe" / "d0.fcs"))
    for sample in (first, second, other):
        assert sample.events.tolist() == EVENTS


def days(sample):
    return datetime.strptime(sample.keywords["$DATE"].title(), "%d-%b-%Y").toordinal()


def test_the_report_tells_what_was_done_and_nothing_of_before(delivery, tmp_path):
    result = deidentify(delivery, tmp_path / "shared")
    text = result.report.read_text(encoding="utf-8")
    for secret in ("Doe", "Jane", "Roe", "Ada", "MRN", "903867", "904225", "04-OCT-2018", "beads", "delivery"):
        assert secret.lower() not in text.lower()
    rows = report_of(tmp_path / "shared")
    assert list(rows[0]) == ["file", "data_set", "segment", "keyword", "action", "value", "why", "read"]
    by_keyword = {row["keyword"]: row for row in rows}
    assert (by_keyword["COLOUR"]["action"], by_keyword["COLOUR"]["value"]) == ("removed", "")
    assert (by_keyword["STATE"]["action"], by_keyword["STATE"]["value"]) == ("kept", "thawed")
    assert {row["keyword"] for row in rows if row["read"]} == {"STATE", "$SYS"}
    assert {key for key, _ in result.to_read} == {"STATE", "$SYS"}


def test_the_same_map_gives_the_same_bytes(delivery, tmp_path):
    result = deidentify(delivery, tmp_path / "one")
    again = deidentify(delivery, tmp_path / "two", codes=result.map)
    assert not again.map_is_new
    assert not again.unused
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_map_by_name_pattern_and_subject(delivery, tmp_path):
    codes = tmp_path / "codes.csv"
    codes.write_text(
        HEAD + "d14.fcs,,P1,P1_day14,-10\nDoe/*,,P1,,-10\n,MRN904225,P2,,-20\nbeads.LMD,,Q,,0\ngone.fcs,,P3,,-1\n"
    )
    result = deidentify(delivery, tmp_path / "shared", codes=codes)
    assert {file.source: file.file for file in result.files} == {
        "Doe/d0.fcs": "P1_001.fcs",
        "Doe/d14.fcs": "P1_day14.fcs",
        "Roe d0.fcs": "P2_001.fcs",
        "beads.LMD": "Q_001.lmd",
    }
    assert [row.file for row in result.unused] == ["gone.fcs"]
    dates = {file.file: read_fcs(tmp_path / "shared" / file.file).keywords["$DATE"] for file in result.files}
    assert dates == {
        "P1_001.fcs": "24-SEP-2018",
        "P1_day14.fcs": "08-OCT-2018",
        "P2_001.fcs": "12-JAN-2019",
        "Q_001.lmd": "02-FEB-2019",
    }
    assert not (tmp_path / "shared.map.csv").exists()


def test_files_that_match_no_row_or_several_are_refused(delivery, tmp_path):
    codes = tmp_path / "codes.csv"
    codes.write_text(HEAD + "*.fcs,,P1,,-10\nd*,,P2,,-10\n")
    result = deidentify(delivery, tmp_path / "shared", codes=codes)
    assert set(result.refused) == {"Doe/d0.fcs", "Doe/d14.fcs", "beads.LMD"}
    assert "matches lines 2 and 3 of" in result.refused["Doe/d0.fcs"]
    assert "matches no row of" in result.refused["beads.LMD"]
    assert [file.file for file in result.files] == ["P1_001.fcs"]


def test_a_name_that_several_files_have_is_refused_but_for_the_one_that_is_meant(tmp_path):
    for folder in ("", "x", "y"):
        put(tmp_path / "delivery" / folder / "a.fcs", D_DATE="04-OCT-2018")
    codes = tmp_path / "codes.csv"
    codes.write_text(HEAD + "a.fcs,,P1,,-10\n")
    result = deidentify(tmp_path / "delivery", tmp_path / "shared", codes=codes)
    assert [file.source for file in result.files] == ["a.fcs"]
    assert all("several files are called so" in reason for reason in result.refused.values())
    assert set(result.refused) == {"x/a.fcs", "y/a.fcs"}


def test_two_files_never_get_one_name(tmp_path):
    put(tmp_path / "delivery" / "a.fcs")
    put(tmp_path / "delivery" / "b.fcs")
    codes = tmp_path / "codes.csv"
    codes.write_text(HEAD + "a.fcs,,P1,,-10\nb.fcs,,P1,p1_001,-10\n")
    result = deidentify(tmp_path / "delivery", tmp_path / "shared", codes=codes)
    assert [file.file for file in result.files] == ["P1_001.fcs"]
    assert result.refused == {"b.fcs": "would be written as p1_001.fcs, like a.fcs; give it a sample name of its own."}


def test_the_subject_of_the_map_is_looked_for_too(tmp_path):
    put(tmp_path / "a.fcs", STATE="thawed for J. Doe")
    (tmp_path / "codes.csv").write_text(HEAD + "a.fcs,Doe^Jane,P1,,-10\n")
    deidentify(tmp_path / "a.fcs", tmp_path / "shared", codes=tmp_path / "codes.csv")
    assert "STATE" not in read_fcs(tmp_path / "shared" / "P1_001.fcs").keywords


def test_what_cannot_be_read_is_refused_and_the_rest_is_written(delivery, tmp_path):
    put(delivery / "cut.fcs", raw=(delivery / "Roe d0.fcs").read_bytes()[:-20])
    put(delivery / "text.fcs", raw=b"Dear colleagues")
    put(delivery / "a\nb.fcs")
    seen = []
    result = room.deidentify_files(
        room.list_files([delivery]), tmp_path / "shared", done=lambda file: seen.append(file.name)
    )
    assert set(result.refused) == {"a\nb.fcs", "cut.fcs", "text.fcs"}
    assert result.refused["a\nb.fcs"] == "the name holds a control character or is not UTF-8; rename the file."
    assert "[FCS" in result.refused["text.fcs"]
    assert len(result.files) == 4
    assert sorted(seen) == sorted([*result.refused, *(file.source for file in result.files)])


def test_nothing_is_made_where_nothing_can_be_written(tmp_path):
    put(tmp_path / "delivery" / "text.fcs", raw=b"Dear colleagues")
    result = deidentify(tmp_path / "delivery", tmp_path / "shared")
    assert not result.files
    assert [path.name for path in tmp_path.iterdir()] == ["delivery"]


def test_data_sets_of_several_subjects_need_a_map(tmp_path):
    parts = [fcs(EVENTS, ["A", "B"], keywords={"PATIENT ID": name}, more=name == "Doe1") for name in ("Doe1", "Roe2")]
    put(tmp_path / "plate.fcs", raw=b"".join(parts))
    result = deidentify(tmp_path / "plate.fcs", tmp_path / "shared")
    (reason,) = result.refused.values()
    assert reason == "its data sets name 2 subjects (PATIENT ID); a file gets one code: say which with --map."
    (tmp_path / "codes.csv").write_text(HEAD + "plate.fcs,,P1,,-10\n")
    assert deidentify(tmp_path / "plate.fcs", tmp_path / "shared", codes=tmp_path / "codes.csv").files


def test_nothing_is_replaced(delivery, tmp_path):
    out = tmp_path / "shared"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        deidentify(delivery, out)
    with pytest.raises(ConfigError, match="is not a folder"):
        deidentify(delivery, out / "mine.txt")
    (tmp_path / "new.map.csv").write_text("mine")
    with pytest.raises(ConfigError, match="a map is there already"):
        deidentify(delivery, tmp_path / "new")
    assert (out / "mine.txt").read_text() == (tmp_path / "new.map.csv").read_text() == "mine"
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_said(delivery, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises((StoreError, ConfigError)):
        deidentify(delivery, tmp_path / "file" / "shared")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["delivery", "file"]

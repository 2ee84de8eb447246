"""codes.csv: what is read, what is wrong with it, which row a file gets, and maps that are made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import ConfigError
from nti7flow.trial.code_map import CodeRow, code_map_csv, new_code_map, read_code_map, rows_for

HEAD = "file,subject,code,sample,date_shift_days\n"


@pytest.fixture
def codes(tmp_path):
    """Read a map from its text."""

    def read(text):
        (tmp_path / "codes.csv").write_text(text, encoding="utf-8")
        return read_code_map(tmp_path / "codes.csv")

    return read


def test_a_map_is_read(codes):
    rows = codes(HEAD + "a.fcs,903867,S001,S001_d14,-137\nsub\\b.fcs,,S002,,+20\n*_x?.fcs,,S002,,20\n,904225,S003,,0\n")
    assert rows == (
        CodeRow(2, "a.fcs", "903867", "S001", "S001_d14", -137),
        CodeRow(3, "sub/b.fcs", "", "S002", "", 20),
        CodeRow(4, "*_x?.fcs", "", "S002", "", 20),
        CodeRow(5, "", "904225", "S003", "", 0),
    )
    assert [row.is_pattern for row in rows] == [False, False, True, False]


def test_a_sheet_of_semicolons_from_a_spreadsheet(codes):
    (row,) = codes("\ufeffSubject;Code;Date shift days\r\n904225;S003;-5\r\n")
    assert (row.subject, row.code, row.shift_days) == ("904225", "S003", -5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (",,S001,,-1", "neither a file nor a subject"),
        ("a.fcs,,,,-1", "code: found ''"),
        ("a.fcs,,S 1,,-1", "code: found 'S 1'"),
        ("a.fcs,,../S1,,-1", "code: found '../S1'"),
        ("a.fcs,,S1,../x,-1", "sample: found '../x'"),
        ("a.fcs,,S1,.hidden,-1", "sample: found '.hidden'"),
        ("a.fcs,jdoe,JDoe,,-1", "the original name of the subject"),
        ("a.fcs,,S1,,", "date_shift_days: found ''"),
        ("a.fcs,,S1,,-1.5", "date_shift_days: found '-1.5'"),
        ("a.fcs,,S1,,1e3", "date_shift_days: found '1e3'"),
        ("a.fcs,p,S1,,-1\nb.fcs,p,S2,,-1", "3 code: found 'S2', where line 2 has 'S1'"),
        ("a.fcs,,S1,,-1\nb.fcs,,S1,,-2", "3 date_shift_days: found -2, where line 2 has -1"),
        ("a.fcs,,S1,,-1\na.fcs,,S1,,-1", "3 file: found 'a.fcs', which line 2 has too"),
        ("a.fcs,,S1,x,-1\nb.fcs,,S1,X,-1", "3 sample: found 'X', which line 2 has too"),
        ("", "no rows below the header"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(codes, line, said):
    with pytest.raises(ConfigError) as caught:
        codes(HEAD + line + "\n")
    assert said in str(caught.value)


def test_missing_columns_are_said(codes):
    with pytest.raises(ConfigError, match="code: found no such column") as caught:
        codes("file,subject\na.fcs,x\n")
    assert "date_shift_days" in str(caught.value)


def test_the_row_of_a_file():
    rows = [
        CodeRow(2, "a.fcs", "", "S1", "", -1),
        CodeRow(3, "sub/a.fcs", "", "S2", "", -1),
        CodeRow(4, "*.fcs", "", "S3", "", -1),
        CodeRow(5, "x[1].fcs", "", "S4", "", -1),
        CodeRow(6, "", "903867", "S5", "", -1),
        CodeRow(7, "d?/*.lmd", "", "S6", "", -1),
    ]

    def lines(file, subject=""):
        return [row.line for row in rows_for(rows, file=file, subject=subject)]

    assert lines("a.fcs") == [2]
    assert lines("sub/a.fcs") == [3]
    assert lines("else/a.fcs") == [2]
    assert lines("b.fcs", "903867") == [4]
    assert lines("b.lmd", "903867") == [6]
    assert lines("b.lmd", "") == lines("b.lmd", "904225") == []
    assert lines("x[1].fcs") == [5]
    assert lines("x1.fcs") == [4]
    assert lines("d1/x.lmd") == [7]
    assert lines("A.FCS") == []


def test_a_made_up_map_tells_nothing_and_holds_subjects_together():
    files = [(f"visit{n % 3}/{n}.fcs", f"patient {n // 3:02d}") for n in range(30)] + [("x.fcs", ""), ("y.fcs", "")]
    rows = new_code_map(files)
    again = new_code_map(files)
    by_subject = {
        subject: {(row.code, row.shift_days) for row in rows if row.subject == subject} for _, subject in files
    }
    assert all(len(found) == 1 for subject, found in by_subject.items() if subject)
    assert len({row.code for row in rows}) == 12
    assert len({row.sample for row in rows}) == 32
    assert sorted({row.code for row in rows}) == [f"S{n:03d}" for n in range(1, 13)]
    assert all(-365 <= row.shift_days <= -1 for row in rows)
    # Drawn anew: that 12 shifts or 12 codes are the same by chance happens once in more than 10^8 runs.
    assert [row.shift_days for row in rows] != [row.shift_days for row in again]
    assert [row.code for row in rows] != [row.code for row in again]


def test_no_made_up_code_is_the_name_of_a_subject():
    files = [(f"{n}.fcs", f"{letter}00{n}") for n, letter in enumerate("sSCc", 1)]
    assert {row.code for row in new_code_map(files)} == {"X001", "X002", "X003", "X004"}
    files = [(f"{letter}.fcs", f"{letter}1") for letter in "scxyz"]
    assert all(row.code.startswith("SS") for row in new_code_map(files))


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20).map(str.strip)


@given(
    files=st.lists(
        st.tuples(texts.filter(lambda t: t and "\\" not in t), texts), min_size=1, max_size=5, unique_by=lambda f: f[0]
    )
)
def test_a_made_up_map_is_read_back_as_it_was(tmp_path_factory, files):
    path = tmp_path_factory.mktemp("map") / "codes.csv"
    rows = new_code_map(files)
    path.write_text(code_map_csv(rows), encoding="utf-8", newline="")
    assert read_code_map(path) == rows


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "'quoted", "''=x", 'a"b,c;d'])
def test_a_map_runs_nothing_in_a_spreadsheet_and_keeps_the_name(tmp_path, name):
    rows = new_code_map([(f"{name}.fcs", name)])
    text = code_map_csv(rows)
    assert not [cell for cell in text.splitlines()[1].split(",")[:2] if cell[:1] in "=+@-"]
    (tmp_path / "codes.csv").write_text(text, encoding="utf-8", newline="")
    assert read_code_map(tmp_path / "codes.csv") == rows

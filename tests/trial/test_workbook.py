"""A worksheet says what the same sheet as CSV would say; what only a spreadsheet can lose is said by its cell."""

import csv
import datetime as dt
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from sheets import problems_of

from nti7flow.errors import ConfigError
from nti7flow.trial import Dose, read_doses, read_hematology, read_samples, read_subjects
from nti7flow.trial.sheet import read_sheet
from nti7flow.trial.workbook import cell_text


@pytest.fixture
def book(tmp_path):
    """Write worksheets, each a list of rows, and return the path; ``change`` gets the workbook before."""

    def write(change=lambda book: None, name="trial.xlsx", **sheets):
        made = Workbook()
        made.remove(made.active)
        for title, rows in sheets.items():
            sheet = made.create_sheet(title)
            for row in rows:
                sheet.append(row)
        change(made)
        made.save(tmp_path / name)
        return tmp_path / name

    return write


DOSES = ["subject", "dose", "given_at"]


def test_doses_as_a_spreadsheet_stores_them(book):
    rows = [
        ["Subject", "dose", "Given At", "amount", "amount_unit", "route", None, "site"],
        [1, 1.0, dt.datetime(2026, 3, 31), 480, "µg/kg", "IM", None, 7.0],
        [None] * 8,
        ["1", "2", dt.datetime(2026, 6, 1, 8, 20), 720.5, "ug/kg", " IM ", None, True],
        ["P2", 1, "2026-03-31T08:15+02:00", "480", "ug/kg", None, None, dt.time(8, 15)],
    ]
    assert read_doses(book(doses=rows)) == (
        Dose("1", 1, dt.date(2026, 3, 31), 480, "ug/kg", "IM", {"site": "7"}),
        Dose("1", 2, dt.datetime(2026, 6, 1, 8, 20), 720.5, "ug/kg", "IM", {"site": "TRUE"}),
        Dose(
            "P2",
            1,
            dt.datetime(2026, 3, 31, 8, 15, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            480,
            "ug/kg",
            extra={"site": "08:15:00"},
        ),
    )


def test_text_that_looks_like_a_formula_is_text(book):
    def as_text(made):
        made["samples"]["B2"].data_type = "s"

    (row,) = read_samples(book(as_text, samples=[["file", "note"], ["1.fcs", "=B1 again"]]))
    assert row.note == "=B1 again"


def test_numbers_keep_the_zeros_that_the_spreadsheet_shows(book):
    def zeros(made):
        made["subjects"]["A2"].number_format = "000"

    assert [row.subject for row in read_subjects(book(zeros, subjects=[["subject"], [7], [8]]))] == ["007", "8"]


def test_dates_of_a_mac(book):
    def mac(made):
        made.epoch = CALENDAR_MAC_1904

    (dose,) = read_doses(book(mac, doses=[DOSES, ["P1", 1, dt.datetime(2026, 3, 31, 8, 15)]]))
    assert dose.given_at == dt.datetime(2026, 3, 31, 8, 15)


def test_midnight_in_a_date_cell_is_no_time(book):
    def formats(made):
        made["doses"]["C2"].number_format = "dd/mm/yyyy hh:mm"
        made["doses"]["C3"].number_format = "d mmm yyyy"

    midnight = dt.datetime(2026, 3, 31)
    rows = [DOSES, ["P1", 1, midnight], ["P2", 1, midnight], ["P3", 1, "2026-03-31T00:00"]]
    given_at = [dose.given_at for dose in read_doses(book(formats, doses=rows))]
    assert given_at == [dt.date(2026, 3, 31), dt.date(2026, 3, 31), midnight]
    assert [type(value) for value in given_at] == [dt.date, dt.date, dt.datetime]


def test_cells_whose_value_cannot_be_had(book):
    def change(made):
        sheet = made["doses"]
        sheet.merge_cells("A4:A5")
        sheet["C3"].number_format = "General"

    rows = [
        [*DOSES, "amount", "amount_unit", "site"],
        ["P1", "=A1", dt.date(2026, 3, 31), "#N/A", "mg", "=A1"],
        ["P2", 1, 46112, None, None, "#REF!"],
        ["P3", 1, dt.date(2026, 3, 31)],
        ["", 2, dt.time(9, 30)],
        ["P4", True, dt.datetime(2026, 3, 31), "1,5", "mg"],
    ]
    found = problems_of(lambda: read_doses(book(change, doses=rows)))
    assert [line.removeprefix("trial.xlsx[doses]:").split("; ")[0] for line in found] == [
        "2 dose: found a formula without a result",
        "2 amount: found the error #N/A",
        "3 given_at: found '46112'",
        "5 subject: found a cell merged with that of row 4",
        "5 given_at: found '09:30:00'",
        "6 dose: found 'TRUE'",
        "6 amount: found '1,5'",
    ]


def test_formulas_are_their_results(book, tmp_path):
    path = book(doses=[DOSES, ["P1", "=1", "=DATE(2026,3,31)"], ["P2", 1, "2026-04-01"]])
    # openpyxl writes no results: put in those that a spreadsheet program would have written beside the formulas.
    out = tmp_path / "calculated.xlsx"
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            text = before.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert text.count(b"<v />") + text.count(b"<v></v>") + text.count(b"<v/>") == 2
                for empty in (b"<v />", b"<v></v>", b"<v/>"):
                    text = text.replace(empty, b"<v>1</v>", 1).replace(empty, b"<v>2026-03-31</v>", 1)
                text = text.replace(b'<c r="C2">', b'<c r="C2" t="str">')
            after.writestr(name, text)
    assert read_doses(out)[0] == Dose("P1", 1, dt.date(2026, 3, 31))


def test_percent_formats(book, caplog):
    def percent(made):
        for cell in ("E2", "G2", "G3"):
            made["hematology"][cell].number_format = "0.0%"

    header = ["subject", "collected_at", "analyte", "unit", "value", "note", "cv"]
    rows = [header, ["P1", "2026-03-31", "lymphocyte_percent", "%", 0.25, None, 0.05]]
    (problem,) = problems_of(lambda: read_hematology(book(percent, hematology=rows)))
    assert "found 0.25, which the spreadsheet shows as 25 %, beside the unit %" in problem
    rows[1][4], rows[1][2], rows[1][3] = 250, "ALC", "cells/uL"
    (row,) = read_hematology(book(percent, hematology=rows))
    assert (row.value, row.cv) == (250, 0.05)
    assert "hematology]:2 cv: the cell shows 5 % and is read as 0.05." in caplog.text


def test_which_worksheet(book):
    def hide(made):
        made["Subjects"].sheet_state = "hidden"

    path = book(hide, Subjects=[["subject"], ["P1"]], other=[["subject"], ["P2"]])
    assert [row.subject for row in read_subjects(path)] == ["P1"]
    assert [row.subject for row in read_subjects(f"{path}#other")] == ["P2"]
    assert [row.subject for row in read_subjects(f"{path}#subjects")] == ["P1"]
    with pytest.raises(ConfigError, match=r"worksheets Subjects, other; .* 'othre'; .*Did you mean 'other'\?"):
        read_subjects(f"{path}#othre")
    with pytest.raises(ConfigError, match=r"worksheets Subjects, other; expected one called 'doses'.*xlsx#Subjects'"):
        read_doses(path)
    only = book(name="one.xlsx", Sheet1=[["subject"], ["P3"]])
    assert [row.subject for row in read_subjects(only)] == ["P3"]
    with pytest.raises(ConfigError, match=r"one.xlsx\[empty\]: found an empty sheet"):
        read_subjects(f"{book(name='one.xlsx', empty=[])}#empty")


def test_a_number_sign_in_a_name(book, tmp_path):
    assert [row.subject for row in read_subjects(book(name="trial#2.xlsx", a=[["subject"], ["P1"]]))] == ["P1"]
    (tmp_path / "s.csv").write_text("subject\nP1\n")
    with pytest.raises(ConfigError, match=r"found a CSV file; a worksheet \('#doses'\) is of a workbook"):
        read_subjects(tmp_path / "s.csv#doses")


def test_formatted_rows_without_end_are_no_rows(book):
    def paint(made):
        for line in range(100, 3000):
            made["subjects"].cell(line, 1).number_format = "0.00"
        made["subjects"].cell(1_048_576, 3).number_format = "0.00"

    path = book(paint, subjects=[["subject"], ["P1"]])
    sheet = read_sheet(path, known=["subject"], required=["subject"])
    assert [(row.line, row.cells) for row in sheet.rows] == [(2, {"subject": "P1"})]


def test_dimensions_that_lie_cut_nothing_off(book, tmp_path):
    path, out = book(subjects=[["subject", "sex"], ["P1", "F"]]), tmp_path / "lies.xlsx"
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            text = before.read(name)
            assert name != "xl/worksheets/sheet1.xml" or b'<dimension ref="A1:B2"' in text
            after.writestr(name, text.replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1"'))
    assert read_subjects(out)[0].sex == "female"


def _zip(**names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in names.items():
            archive.writestr(name.replace("__", "/").replace("_bin", ".bin"), content)
    return out.getvalue()


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (_OLE + b"rest", "a.xls", r"found an old Excel workbook \(.xls\)"),
        (_OLE + "EncryptedPackage".encode("utf-16-le"), "a.xlsx", "found a workbook with a password"),
        (_zip(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "a.ods", "OpenDocument spreadsheet"),
        (_zip(xl__workbook_bin="x"), "a.xlsb", "found a binary workbook"),
        (_zip(photo="x"), "a.xlsx", "found a zip archive that is no workbook"),
        (b"subject\tsex\n", "a.xls", "a file that is called .xls and is no workbook"),
        (b"", "a.xlsx", "a file that is called .xlsx and is no workbook"),
    ],
)
def test_what_is_no_workbook(tmp_path, content, name, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_subjects(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_workbook_never_breaks_the_program(book, tmp_path):
    content = bytearray(book(subjects=[["subject", "note"], *([f"P{n}", "x" * n] for n in range(40))]).read_bytes())
    read = 0
    for place in range(0, len(content), len(content) // 60):
        damaged = tmp_path / "damaged.xlsx"
        damaged.write_bytes(bytes(content[:place]) + b"\xff\x00\xff" + bytes(content[place + 3 :]))
        try:
            read += len(read_subjects(damaged)) == 40
        except ConfigError:
            continue
    assert read < 61  # where the archive's own copies of a name are hit, the sheet may still be whole
    (tmp_path / "short.xlsx").write_bytes(bytes(content[: len(content) // 2]))
    with pytest.raises(ConfigError, match="damaged"):
        read_subjects(tmp_path / "short.xlsx")


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (None, "General", ""),
        (1.0, "General", "1"),
        (1.5, "0", "1.5"),  # what is stored, not what is shown
        (0.02, "0%", "0.02"),
        (7, "000", "007"),
        (1e20, "General", "1e+20"),
        (-3.0, "General", "-3"),
        (False, "General", "FALSE"),
        (dt.datetime(2026, 3, 31), "mm-dd-yy", "2026-03-31"),
        (dt.datetime(2026, 3, 31), "m/d/yy h:mm", "2026-03-31"),
        (dt.datetime(2026, 3, 31, 8, 15), "mm-dd-yy", "2026-03-31T08:15"),
        (dt.datetime(2026, 3, 31, 8, 15, 30), "mm-dd-yy", "2026-03-31T08:15:30"),
        (dt.time(8, 15), "h:mm", "08:15:00"),
        ("\xa0x ", "@", "x"),
    ],
)
def test_cells_as_text_by_hand(value, number_format, text):
    assert cell_text(value, number_format) == text


# What a spreadsheet cannot hold (control characters) is left out; text at the ends is stripped in both.
_WORDS = st.text(st.characters(categories=("L", "N"), include_characters=" ,;-#'"), min_size=1, max_size=8).filter(
    lambda text: text == text.strip()
)
_VALUES = st.one_of(
    st.none(),
    _WORDS,
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**12).map(lambda n: n / 1000),  # what a spreadsheet stores: at most 15 digits
    st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1)),
    st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
)


@given(rows=st.lists(st.tuples(_WORDS, _VALUES, _VALUES), min_size=1, max_size=5))
def test_a_worksheet_reads_as_the_same_sheet_in_csv(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("both")
    made = Workbook()
    text = io.StringIO()
    writer = csv.writer(text)
    for row in [("subject", "x", "y"), *rows]:
        made.active.append(row)
        for cell in made.active[made.active.max_row]:
            if isinstance(cell.value, str):
                cell.data_type = "s"
        writer.writerow(["" if value is None else cell_text(value) for value in row])
    made.save(folder / "a.xlsx")
    (folder / "a.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    sheets = [read_sheet(folder / name, known=["subject"], required=["subject"]) for name in ("a.xlsx", "a.csv")]
    assert sheets[0].columns == sheets[1].columns
    assert [row.cells for row in sheets[0].rows] == [row.cells for row in sheets[1].rows]
    assert len(load_workbook(folder / "a.xlsx").active["A"]) == len(rows) + 1

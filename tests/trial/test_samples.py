"""samples.csv: what labs write is read, whatever their spreadsheet; all that is wrong is said at once."""

import csv
import io
import logging
import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nti7flow.errors import ConfigError
from nti7flow.trial import SAMPLE_COLUMNS, SampleRow, read_samples


@pytest.fixture
def sheet(tmp_path):
    """Write a sheet and return its path."""

    def write(content, name="samples.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def problems(path) -> list[str]:
    """The lines of the error that reading the sheet raises, without the heading."""
    with pytest.raises(ConfigError) as caught:
        read_samples(path)
    heading, *lines = str(caught.value).splitlines()
    assert heading.startswith(f"{path}: {len(lines)} problem")
    return [line.strip() for line in lines]


def test_a_full_row(sheet):
    path = sheet(
        "file,data_set,sample,specimen,subject,panel,batch,role,collected_at,stained_at,acquired_at,specimen_volume,"
        "specimen_volume_unit,dilution,bead_lot,beads_per_tube,bead_cv,acquired_volume,acquired_volume_unit,note,nurse\n"
        "a/1.fcs,1,T1,D1,P1,tbnk,B1,patient,2026-03-31,2026-03-31T09:00,2026-03-31T10:30+02:00,50,"
        'µL,2,L7,49870,0.02,0.35,mL,"a, b",Kim\n'
    )
    assert read_samples(path) == (
        SampleRow(
            file="a/1.fcs",
            sample="T1",
            data_set=1,
            specimen="D1",
            subject="P1",
            panel="tbnk",
            batch="B1",
            collected_at=date(2026, 3, 31),
            stained_at=datetime(2026, 3, 31, 9),
            acquired_at=datetime(2026, 3, 31, 10, 30, tzinfo=timezone(timedelta(hours=2))),
            specimen_volume=50,
            specimen_volume_unit="uL",
            dilution=2,
            bead_lot="L7",
            beads_per_tube=49870,
            bead_cv=0.02,
            acquired_volume=0.35,
            acquired_volume_unit="mL",
            note="a, b",
            extra={"nurse": "Kim"},
        ),
    )


def test_a_column_of_files_is_enough(sheet):
    rows = read_samples(sheet("file\ndata/A1.fcs\ndata/A2.LMD\n"))
    assert [row.sample for row in rows] == ["A1", "A2"]
    assert {row.role for row in rows} == {"patient"}
    assert rows[0] == SampleRow(file="data/A1.fcs", sample="A1")


def test_only_what_is_known_of_a_time_is_kept(sheet):
    rows = read_samples(sheet("file,collected_at\n1.fcs,2026-01-02\n2.fcs,2026-01-02T08:15\n3.fcs,2026-01-02T08:15Z\n"))
    times = [row.collected_at for row in rows]
    assert times == [date(2026, 1, 2), datetime(2026, 1, 2, 8, 15), datetime(2026, 1, 2, 8, 15, tzinfo=UTC)]
    assert type(times[0]) is date
    assert times[1].tzinfo is None


@pytest.mark.parametrize("unit", ["uL", "ul", "µL", "\N{GREEK SMALL LETTER MU}L"])
def test_volumes_in_microlitres(sheet, unit):
    (row,) = read_samples(sheet(f"file,specimen_volume,specimen_volume_unit\n1.fcs,50,{unit}\n"))
    assert (row.specimen_volume, row.specimen_volume_unit, row.specimen_volume_ul) == (50, "uL", 50)
    assert row.acquired_volume_ul is None


def test_a_date_that_cannot_be(sheet):
    found = problems(sheet("file,collected_at\n1.fcs,0202-01-02\n2.fcs,2126-01-02\n3.fcs,08:15\n4.fcs,46112\n"))
    assert found[0] == (
        "samples.csv:2 collected_at: found '0202-01-02'; expected a date in the years 1990 to 2100; correct the year."
    )
    assert [line.rpartition("; ")[2] for line in found[1:]] == [
        "correct the year.",
        "write the date and the time in one cell.",
        "format the cell as a date: a spreadsheet counts days, and this may be such a number.",
    ]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("03/06/2021", "write 2021-03-06 or 2021-06-03, whichever is meant (in a spreadsheet,"),
        ("6.3.2021 08:15", "write 2021-03-06 or 2021-06-03, whichever is meant (in a spreadsheet,"),
        ("25/06/2021", "write 2021-06-25 (in a spreadsheet,"),
        ("03-03-2021", "write 2021-03-03 (in a spreadsheet,"),
        ("31/31/2021", "rewrite it so (in a spreadsheet,"),
        ("3/6/21", "rewrite it so (in a spreadsheet,"),
    ],
)
def test_a_date_that_could_be_two_is_neither(sheet, text, advice):
    (problem,) = problems(sheet(f"file,collected_at\n1.fcs,{text}\n"))
    assert problem.startswith(f"samples.csv:2 collected_at: found '{text}'; expected an ISO 8601 date")
    assert problem.rpartition("; ")[2].startswith(advice)


def test_numbers_that_are_probably_in_another_unit_are_mentioned(sheet, caplog):
    read_samples(
        sheet(
            "file,specimen_volume,specimen_volume_unit,acquired_volume,acquired_volume_unit,bead_cv\n"
            "1.fcs,50,mL,5,mL,0.25\n2.fcs,50,uL,5001,uL,0.5\n"
        )
    )
    assert [record.getMessage() for record in caplog.records] == [
        "samples.csv:2 specimen_volume: 50 mL is more than a tube holds; was another unit meant?",
        "samples.csv:3 acquired_volume: 5001 uL is more than a tube holds; was another unit meant?",
        "samples.csv:3 bead_cv: 0.5 is 50 %; was 0.5 % meant?",
    ]


def test_which_side_of_a_dose_a_draw_is_declared_to_be(sheet):
    rows = read_samples(sheet("file,timepoint\n1.fcs,Pre-dose\n2.fcs,post dose\n3.fcs,predose\n4.fcs,\n"))
    assert [row.timepoint for row in rows] == ["pre-dose", "post-dose", "pre-dose", None]
    (problem,) = problems(sheet("file,timepoint\n1.fcs,before\n"))
    assert "found 'before'; expected pre-dose or post-dose" in problem


def test_beads_that_lost_their_thousands(sheet):
    (problem,) = problems(sheet("file;beads_per_tube\n1.fcs;49,870\n"))  # with semicolons, a comma is a decimal mark
    assert "found '49,870'; expected a number from 100" in problem


def test_millilitres(sheet):
    (row,) = read_samples(sheet("file,acquired_volume,acquired_volume_unit\n1.fcs,0.35,mL\n"))
    assert row.acquired_volume_ul == pytest.approx(350)


def test_roles(sheet):
    rows = read_samples(sheet("file,role\n1.fcs,Patient\n2.fcs,control\n3.fcs,unstained\n4.fcs,FMO: CD8\n5.fcs,\n"))
    assert [row.role for row in rows] == ["patient", "control", "unstained", "fmo:CD8", "patient"]
    assert [row.left_out for row in rows] == [None, None, None, "CD8", None]


@pytest.mark.parametrize(
    "content",
    [
        "file;dilution\n1.fcs;1,5\n2.fcs;2\n",
        "file;dilution\n1.fcs;1.5\n2.fcs;2\n",
        "file\tdilution\n1.fcs\t1,5\n2.fcs\t2\n",
        "sep=;\nfile;dilution\n1.fcs;1,5\n2.fcs;2\n",
        "\ufefffile,dilution\r\n1.fcs,1.5\r\n2.fcs,2\r\n,\r\n,\r\n",
        "File , Dilution,,\n\n1.fcs, 1.5 ,,\n,,,\n2.fcs,2\n\n\n",
        "file,dilution\n1.fcs,1.5\n2.fcs,2".encode("utf-16"),
    ],
    ids=["decimal comma", "semicolon", "tab", "sep=", "BOM and CRLF", "spaces and empty cells", "UTF-16"],
)
def test_spreadsheet_habits(sheet, content):
    rows = read_samples(sheet(content))
    assert [(row.file, row.dilution) for row in rows] == [("1.fcs", 1.5), ("2.fcs", 2)]


def test_windows_paths_and_any_spelling_of_a_header(sheet):
    (row,) = read_samples(sheet("FILE,Collected At\nday 0\\1.fcs,2026-01-02\n"))
    assert (row.file, row.sample, row.collected_at) == ("day 0/1.fcs", "1", date(2026, 1, 2))


def test_all_problems_at_once(sheet):
    path = sheet(
        "file,sample,data_set,role,collected_at,specimen_volume,specimen_volume_unit,dilution,bead_cv\n"
        '1.fcs,A,0,patent,03/06/2026,50,,"1,5",2\n'
        ",B,x,fmo:,,0,dL,1e999,0.02\n"
        "3.fcs,a,0,,,,uL,,\n"
        "3.fcs,c/d,0,,,,,,,lost\n"
    )
    found = problems(path)
    # Every line says where, what was found, what was expected, and what to do.
    assert found[0] == (
        "samples.csv:2 specimen_volume_unit: found no unit; expected uL, µL or mL; say in which unit the volume is."
    )
    assert found[1] == (
        "samples.csv:2 role: found 'patent'; expected patient, control, unstained or fmo:MARKER; "
        "correct it. Did you mean 'patient'?"
    )
    assert all(line.count(";") >= 2 and line.endswith((".", "?")) for line in found)
    assert [line.removeprefix("samples.csv:").split("; ")[0] for line in found] == [
        "2 specimen_volume_unit: found no unit",
        "2 role: found 'patent'",
        "2 collected_at: found '03/06/2026'",
        "2 dilution: found '1,5'",
        "2 bead_cv: found '2'",
        "3 file: found an empty cell",
        "3 specimen_volume: found '0'",
        "3 specimen_volume_unit: found 'dL'",
        "3 data_set: found 'x'",
        "3 role: found 'fmo:'",
        "3 dilution: found '1e999'",
        "4 sample: found 'a', which line 2 has too",
        "5 (no column): found 'lost'",
        "5 sample: found 'c/d'",
        "5 file: found '3.fcs' with data set 0, which line 4 has too",
    ]


def test_a_misspelt_required_column(sheet):
    (problem,) = problems(sheet("flie,sample\n1.fcs,A\n"))
    assert problem.endswith("rename the column 'flie' to 'file'.")
    (problem,) = problems(sheet("tube,sample\n1.fcs,A\n"))
    assert problem.endswith("add a column 'file'.")


def test_a_misspelt_optional_column_is_kept_and_mentioned(sheet, caplog):
    with caplog.at_level(logging.WARNING):
        (row,) = read_samples(sheet("file,colected_at\n1.fcs,2026-01-02\n"))
    assert row.extra == {"colected_at": "2026-01-02"}
    assert "Did you mean 'collected_at'?" in caplog.text


def test_lines_count_from_the_file_not_from_the_rows(sheet):
    path = sheet('file,note,role\n1.fcs,"two\nlines",control\n\n2.fcs,,contrl\n')
    assert problems(path)[0].startswith("samples.csv:5 role: found 'contrl'")


def test_two_data_sets_of_one_file(sheet):
    rows = read_samples(sheet("file,data_set,sample\n1.lmd,0,A\n1.lmd,1,B\n"))
    assert [row.data_set for row in rows] == [0, 1]


def test_a_column_twice(sheet):
    assert "found the column twice" in problems(sheet("file,note,Note\n1.fcs,a,b\n"))[0]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "samples.csv", "empty sheet"),
        (b",,\n,,\n", "samples.csv", "empty sheet"),
        (b"file,sample\n,\n", "samples.csv", "no rows below the header"),
        (b"PK\x03\x04rest", "samples.csv", "found a damaged workbook"),
        (b"file\n1.fcs\n", "samples.XLSX", "found a file that is called .XLSX and is no workbook"),
        (
            "file,note\n1.fcs,ok\n2.fcs,µ\n".encode("cp1252"),
            "samples.csv",
            "csv:3: found a byte that is not UTF-8",
        ),
        (b'file,note\n1.fcs,"open\n2.fcs,x\n', "samples.csv", "csv:2: found a row that is not valid CSV"),
    ],
)
def test_what_is_no_sheet(sheet, content, name, message):
    with pytest.raises(ConfigError, match=message):
        read_samples(sheet(content, name))


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="no such sheet"):
        read_samples(tmp_path / "samples.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_samples(tmp_path)


def test_rows_travel_to_workers(sheet):
    rows = read_samples(sheet("file,site\n1.fcs,X\n"))
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert len({rows[0], rows[0]}) == 1


# Text as people write it: nothing at the ends, and in names nothing that no file may be called.
_TEXT = st.text(st.characters(categories=("L", "N"), include_characters=" ,;\t\"'+-_:\n"), max_size=12).map(str.strip)
_NAME = st.text(st.characters(categories=("L", "N"), include_characters=" ,;\"'+-_"), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
_OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENT = (
    st.none()
    | st.dates(date(1990, 1, 1), date(2100, 12, 31))
    | st.datetimes(datetime(1990, 1, 1), datetime(2100, 12, 31), timezones=st.none() | _OFFSETS)
)
_AMOUNT = st.floats(1e-9, 1e9)
_VOLUME = st.just((None, None)) | st.tuples(_AMOUNT, st.sampled_from(["uL", "mL"]))


@st.composite
def _rows(draw):
    names = draw(st.lists(_NAME, min_size=1, max_size=6, unique_by=str.casefold))
    rows = []
    for number, name in enumerate(names):
        stained, acquired = draw(_VOLUME), draw(_VOLUME)
        columns = ("specimen", "subject", "panel", "batch", "bead_lot")
        rows.append(
            SampleRow(
                file=f"{number} {draw(_NAME)}.fcs",
                sample=name,
                data_set=draw(st.integers(0, 3)),
                role=draw(st.sampled_from(["patient", "control", "unstained"]) | _NAME.map("fmo:{}".format)),
                collected_at=draw(_MOMENT),
                timepoint=draw(st.sampled_from([None, "pre-dose", "post-dose"])),
                stained_at=draw(_MOMENT),
                acquired_at=draw(_MOMENT),
                specimen_volume=stained[0],
                specimen_volume_unit=stained[1],
                dilution=draw(st.none() | st.floats(1, 1e9)),
                beads_per_tube=draw(st.none() | st.floats(100, 1e9)),
                bead_cv=draw(st.none() | st.floats(1e-6, 0.999)),
                acquired_volume=acquired[0],
                acquired_volume_unit=acquired[1],
                note=draw(_TEXT),
                extra={"site no.": site} if (site := draw(_TEXT)) else {},
                **{column: draw(st.none() | _NAME) for column in columns},
            )
        )
    return rows


@given(
    rows=_rows(),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.sampled_from(["", "\ufeff"]),
)
def test_every_valid_sheet_comes_back(tmp_path_factory, rows, separator, end, bom):
    def cell(value):
        if isinstance(value, float):
            return repr(value).replace(".", "," if separator == ";" else ".")
        return "" if value is None else value.isoformat() if isinstance(value, date) else value

    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerow([*SAMPLE_COLUMNS, "site no."])
    for row in rows:
        writer.writerow([*(cell(getattr(row, name)) for name in SAMPLE_COLUMNS), row.extra.get("site no.", "")])
    path = tmp_path_factory.mktemp("sheet") / "samples.csv"
    path.write_bytes((bom + text.getvalue()).encode())
    assert read_samples(path) == tuple(rows)

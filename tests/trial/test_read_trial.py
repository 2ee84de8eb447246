"""All sheets of a trial together: one listing of what is wrong, each contradiction with both of its rows."""

import datetime as dt
import itertools
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from sheets import trial_problems, write_sheets

from nti7flow.errors import ConfigError
from nti7flow.trial import (
    CELLS_PER_UL,
    DOSE_COLUMNS,
    EVENT_COLUMNS,
    HEMATOLOGY_COLUMNS,
    REAGENT_COLUMNS,
    SAMPLE_COLUMNS,
    SUBJECT_COLUMNS,
    Dose,
    SheetPlace,
    Specimen,
    Trial,
    concentration_unit,
    read_trial,
)
from nti7flow.trial.specimens import order_in_time, surely_after

NEW_YORK = "America/New_York"
SHEETS = dict(
    subjects="""subject,sex,birth_year,weight_kg
                P1,F,1961,61.5
                P2,M,1970,80""",
    doses="""subject,dose,given_at,amount,amount_unit,route
             P1,2,2026-05-11,720,ug/kg,IM
             P1,1,2026-02-16T10:00-05:00,480,ug/kg,IM""",
    hematology="""subject,collected_at,analyte,value,unit,cv
                  P1,2026-02-16T08:10-05:00,WBC,1.44,10^9/L,0.04
                  P1,2026-02-16T08:10-05:00,lymphocyte_percent,11.7,%,
                  P1,2026-02-16T08:10-05:00,ALC,168,cells/uL,0.06""",
    events="""subject,date,kind,until
              P2,2025-11-02,rituximab,
              P1,2026-06-01,steroid,2026-06-14""",
    reagents="""panel,marker,fluorochrome
                tbnk,CD3,FITC
                tbnk,CD16+CD56,PE
                tbnk,CD4,PE-Cy7""",
    samples="""file,sample,specimen,subject,panel,role,collected_at,stained_at,acquired_at,bead_lot,beads_per_tube,specimen_volume,specimen_volume_unit
               b.fcs,B,D2,P1,tbnk,patient,2026-03-09T08:25-04:00,2026-03-09T09:25-04:00,2026-03-09T10:30-04:00,L7,49870,50,uL
               a.fcs,A,D1,P1,tbnk,patient,2026-02-16T08:10-05:00,2026-02-16,2026-02-16,L7,49870,50,uL
               f.fcs,F,D1,P1,tbnk,fmo:CD16/CD56,2026-02-16,,,,
               c.fcs,C,,healthy donor,tbnk,control,,,,,
               t.fcs,T,D1,,tbnk,patient,2026-02-16,,,,
               s.fcs,S,S1,P2,tbnk,patient,2026-02-10,,,,""",
)


@pytest.fixture
def places(tmp_path):
    """Write the sheets of a sound trial, with what is named changed."""

    def write(**changed):
        return write_sheets(tmp_path, **{name: text for name, text in (SHEETS | changed).items() if text})

    return write


def starts(problems):
    return [problem.split("; ")[0] for problem in problems]


def test_a_sound_trial(places):
    trial = read_trial(places(), time_zone=NEW_YORK)
    assert trial.remarks == ()
    assert [len(getattr(trial, name)) for name in SHEETS] == [2, 2, 3, 2, 3, 6]
    drawn = dt.datetime.fromisoformat
    assert trial.specimens == (
        Specimen("D1", "P1", drawn("2026-02-16T08:10-05:00"), None, ("A", "T")),
        Specimen("D2", "P1", drawn("2026-03-09T08:25-04:00"), None, ("B",)),
        Specimen("S1", "P2", dt.date(2026, 2, 10), None, ("S",)),
    )
    assert [dose.dose for dose in trial.doses_of("P1")] == [1, 2]
    assert trial.doses_of("P2") == ()
    assert trial.zone == ZoneInfo(NEW_YORK)
    assert trial.places["doses"].name == "doses.csv"


def test_sheets_that_there_are_not_are_empty(places):
    trial = read_trial({"samples": places()["samples"]})
    assert (trial.subjects, trial.doses, trial.time_zone) == ((), (), "UTC")
    assert read_trial({}) == Trial()


def test_one_workbook_for_all(tmp_path, places):
    book = Workbook()
    for name, text in SHEETS.items():
        sheet = book.create_sheet(name.title())
        for line in text.splitlines():
            sheet.append(line.strip().split(","))
    book.save(tmp_path / "trial.xlsx")
    trial = read_trial(dict.fromkeys(SHEETS, str(tmp_path / "trial.xlsx")), time_zone=NEW_YORK)
    from_csv = read_trial(places(), time_zone=NEW_YORK)
    assert all(getattr(trial, name) == getattr(from_csv, name) for name in (*SHEETS, "specimens"))
    assert trial.places["doses"] == SheetPlace(tmp_path / "trial.xlsx", "Doses")


def test_every_problem_of_every_sheet_is_in_one_listing(places, tmp_path):
    sheets = places(
        subjects="subject,sex\nP1,x",
        doses="subject,dose,given_at\nP1,one,2026-02-16\nP3,1,2026-02-16",
        events="subject;date\n",
        reagents=None,
    ) | {"reagents": tmp_path / "nowhere.csv"}
    sheets["doesn't"] = tmp_path / "a.csv"
    with pytest.raises(ConfigError) as found:
        read_trial(sheets, time_zone="America/New_Yorck")
    heading, *problems = str(found.value).splitlines()
    assert heading.split(": ")[1] == "8 problems"
    assert [problem.strip().split("; ")[0] for problem in problems] == [
        "time_zone: found 'America/New_Yorck'",
        "sheets: found 'doesn't'",
        f"{tmp_path / 'nowhere.csv'}: no such sheet",
        "samples.csv:7 subject: found 'P2', who is not in subjects.csv",
        "subjects.csv:2 sex: found 'x'",
        "doses.csv:2 dose: found 'one'",
        "doses.csv:3 subject: found 'P3', who is not in subjects.csv",
        "events.csv:1 kind: found no such column among subject, date",
    ]
    assert problems[0].endswith("Did you mean 'America/New_York'?")


@pytest.mark.parametrize("name", ["../etc/passwd", "America", "localtime", "", "UTC+2", "/etc"])
def test_what_is_no_time_zone(name):
    with pytest.raises(ConfigError, match=r"^time_zone: found '.*'; expected the IANA name"):
        read_trial({}, time_zone=name)


def test_subjects_that_nobody_knows(places, tmp_path):
    samples = "file,subject,role\na.fcs,P9,patient\nb.fcs,P9,patient\nc.fcs,p1,patient\nd.fcs,donor,control"
    found = trial_problems(places(samples=samples))
    assert starts(found) == [
        "samples.csv:2 subject: found 'P9', who is not in subjects.csv",
        "samples.csv:4 subject: found 'p1', who is not in subjects.csv",
    ]
    assert found[1].endswith("Did you mean 'P1'?")
    (problem,) = trial_problems(write_sheets(tmp_path, samples="file,subject\na.fcs,001", subjects="subject\n1"))
    assert "Did you mean '1'? A spreadsheet drops leading zeros" in problem


def test_without_subjects_those_take_part_of_whom_there_is_a_tube(tmp_path):
    sheets = dict(
        samples="""file,subject,role
                   a.fcs,P1,patient
                   b.fcs,p1,patient
                   c.fcs,P2,patient
                   d.fcs,donor,control""",
        doses="""subject,dose,given_at
                 P2,1,2026-02-16
                 P02,1,2026-02-16
                 P2,first,2026-03-16""",
        hematology="""subject,collected_at,analyte,value,unit
                      P2,2026-02-16,ALC,168,cells/uL
                      Q7,2026-02-16,ALC,200,cells/dL
                      Q7,2026-02-17,ALC,168,cells/uL""",
    )
    found = trial_problems(write_sheets(tmp_path, **sheets))
    assert starts(found) == [
        "samples.csv:3 subject: found 'p1', where line 2 has 'P1'",
        "doses.csv:3 subject: found 'P02', of whom samples.csv has no tube",
        "doses.csv:4 dose: found 'first'",
        "hematology.csv:3 unit: found 'cells/dL' (200 cells/dL are 0.002 cells/uL, which nothing can measure)",
        "hematology.csv:3 subject: found 'Q7', of whom samples.csv has no tube",
    ]


def test_a_sheet_of_subjects_that_cannot_be_opened_is_one_problem(tmp_path):
    sheets = write_sheets(tmp_path, samples="file,subject\na.fcs,P1", doses="subject,dose,given_at\nP2,1,2026-02-16")
    with pytest.raises(ConfigError) as caught:
        read_trial(sheets | {"subjects": tmp_path / "nowhere.csv"})
    (problem,) = str(caught.value).splitlines()
    assert problem.startswith(f"{tmp_path / 'nowhere.csv'}: no such sheet")


def test_somebody_who_was_never_dosed_may_be_screened(tmp_path):
    sheets = dict(samples="file,subject\na.fcs,P1\nb.fcs,P2\nc.fcs,P2", doses="subject,dose,given_at\nP1,1,2026-02-16")
    assert read_trial(write_sheets(tmp_path, **sheets)).remarks == (
        "samples.csv:3 subject: 'P2' has no dose, and no sheet 'subjects' says who takes part.",
    )
    known = write_sheets(tmp_path, **sheets, subjects="subject\nP1\nP2\nP3")
    assert read_trial(known).remarks == ()


def test_one_specimen_is_one_draw_of_one_person(places):
    samples = """file,specimen,subject,collected_at,timepoint,role
                 a.fcs,D1,P1,2026-02-10,pre-dose,patient
                 b.fcs,D1,P2,2026-02-10T08:00,,patient
                 c.fcs,D1,P1,2026-02-10T09:00,post-dose,fmo:CD4
                 d.fcs,D1,P1,2026-02-11,,patient"""
    assert starts(trial_problems(places(samples=samples))) == [
        "samples.csv:3 subject: found 'P2' for specimen 'D1', which line 2 says is 'P1'",
        "samples.csv:4 collected_at: found 2026-02-10T09:00:00 for specimen 'D1', which line 3 says is "
        "2026-02-10T08:00:00",
        "samples.csv:4 timepoint: found 'post-dose' for specimen 'D1', which line 2 says is 'pre-dose'",
        "samples.csv:5 collected_at: found 2026-02-11 for specimen 'D1', which line 3 says is 2026-02-10T08:00:00",
    ]


def test_collected_then_stained_then_acquired(places):
    # 09:00 without offset is 09:00 in New York, which is 14:00 UTC: a tube acquired at 13:59 UTC was so before.
    samples = """file,collected_at,stained_at,acquired_at
                 a.fcs,2026-02-10T09:00,,2026-02-10T13:59Z
                 b.fcs,2026-02-10T09:00,,2026-02-10T14:00Z
                 c.fcs,2026-02-10T09:00,2026-02-10,2026-02-10T08:00
                 d.fcs,2026-02-11,2026-02-10T23:59,2026-02-10
                 e.fcs,2026-02-10,2026-02-12,2026-02-11"""
    sheets = {"samples": places(samples=samples)["samples"]}
    assert starts(trial_problems(sheets, NEW_YORK)) == [
        "samples.csv:2 acquired_at: found 2026-02-10T13:59:00+00:00, before collected_at 2026-02-10T09:00:00",
        "samples.csv:4 acquired_at: found 2026-02-10T08:00:00, before collected_at 2026-02-10T09:00:00",
        "samples.csv:5 stained_at: found 2026-02-10T23:59:00, before collected_at 2026-02-11",
        "samples.csv:5 acquired_at: found 2026-02-10, before collected_at 2026-02-11",
        "samples.csv:6 acquired_at: found 2026-02-11, before stained_at 2026-02-12",
    ]


def test_doses_in_order_of_time(places):
    doses = """subject,dose,given_at
               P1,1,2026-05-11T09:00
               P1,2,2026-02-16
               P2,1,2026-02-16T09:00
               P2,2,2026-02-16T09:00"""
    assert starts(trial_problems(places(doses=doses, hematology=SHEETS["hematology"]))) == [
        "doses.csv:3 given_at: found dose 2 of 'P1' at 2026-02-16, before dose 1 in line 2 at 2026-05-11T09:00:00",
        "doses.csv:5 given_at: found dose 2 of 'P2' at 2026-02-16T09:00:00, as dose 1 in line 4 at 2026-02-16T09:00:00",
    ]


def test_nothing_after_a_death(places):
    events = "subject,date,kind\nP1,2026-03-08,death\nP2,2026-02-09,withdrawal"
    sheets = places(events=events)
    found = trial_problems(sheets, NEW_YORK)
    assert starts(found) == [
        "samples.csv:2 collected_at: found 2026-03-09T08:25:00-04:00, after the death of 'P1' on 2026-03-08 "
        "(events.csv:2)",
        "doses.csv:2 given_at: found 2026-05-11, after the death of 'P1' on 2026-03-08 (events.csv:2)",
    ]
    # The day of the death itself is not after it, and what follows a withdrawal may be meant.
    events = "subject,date,kind\nP1,2026-05-11,death\nP2,2026-02-09,withdrawal"
    assert read_trial(places(events=events), time_zone=NEW_YORK).remarks == (
        "samples.csv:7 collected_at: 2026-02-10 is after the withdrawal of 'P2' on 2026-02-09 (events.csv:3).",
    )


def test_nobody_is_drawn_before_birth(places):
    found = trial_problems(places(subjects="subject,birth_year\nP1,2027\nP2,1970"), NEW_YORK)
    assert starts(found) == [
        "samples.csv:2 collected_at: found 2026-03-09T08:25:00-04:00, while subjects.csv:2 says 'P1' was born in 2027",
        "doses.csv:2 given_at: found 2026-05-11, while subjects.csv:2 says 'P1' was born in 2027",
        "hematology.csv:2 collected_at: found 2026-02-16T08:10:00-05:00, while subjects.csv:2 says 'P1' was born in "
        "2027",
        "events.csv:3 date: found 2026-06-01, while subjects.csv:2 says 'P1' was born in 2027",
    ]


def test_a_count_is_given_once(places, caplog):
    hematology = """subject,collected_at,analyte,value,unit,timepoint
                    P1,2026-02-16T08:10-05:00,ALC,168,cells/uL,
                    P1,2026-02-16T13:10Z,ALC,0.168,10^9/L,
                    P1,2026-02-16T08:10,ALC,186,cells/uL,
                    P1,2026-05-11,ALC,300,cells/uL,pre-dose
                    P1,2026-05-11,ALC,200,cells/uL,post-dose
                    P1,2026-05-12,WBC,1,10^9/L,
                    P1,2026-05-12,WBC,1.1,10^9/L,"""
    assert starts(trial_problems(places(hematology=hematology), NEW_YORK)) == [
        "hematology.csv:4 value: found ALC 186 cells/uL, where line 2 has 168 cells/uL",
        "hematology.csv:8 value: found WBC 1.1 10^9/L, where line 7 has 1 10^9/L",
    ]
    kept = hematology.replace("186", "168").replace("1.1,", "1,")
    assert read_trial(places(hematology=kept), time_zone=NEW_YORK).remarks == (
        "hematology.csv:3 value: the same ALC is in line 2 too.",
        "hematology.csv:4 value: the same ALC is in line 2 too.",
        "hematology.csv:8 value: the same WBC is in line 7 too.",
    )


def test_lymphocytes_are_white_blood_cells(places):
    def counts(alc, wbc, percent=""):
        rows = f"P1,2026-02-20,ALC,{alc}\nP1,2026-02-20,WBC,{wbc}"
        rows += f"\nP1,2026-02-20,lymphocyte_percent,{percent},%" if percent else ""
        return places(hematology=f"subject,collected_at,analyte,value,unit\n{rows}")

    (problem,) = trial_problems(counts("168,10^9/L", "3.1,10^9/L"))
    assert "found ALC 168 10^9/L, more than WBC 3.1 10^9/L in line 3" in problem
    assert read_trial(counts("168,cells/uL", "0.1,10^9/L")).remarks == ()  # WBC is rounded to 100
    (remark,) = read_trial(counts("300,cells/uL", "3,10^9/L", "50")).remarks
    assert remark == "hematology.csv:2 value: ALC 300 cells/uL, while WBC times lymphocyte_percent is 1500 cells/uL."
    assert read_trial(counts("1400,cells/uL", "3,10^9/L", "50")).remarks == ()


def test_draws_on_the_day_of_a_dose(places):
    def samples(collected_at, timepoint):
        text = f"file,specimen,subject,collected_at,timepoint\na.fcs,D1,P1,{collected_at},{timepoint}"
        return places(samples=f"{text}\nb.fcs,D1,P1,{collected_at},{timepoint}", hematology="") | {"hematology": none}

    none = places(hematology="subject,collected_at,analyte,value,unit")["hematology"]
    sure = [("2026-02-16T08:00", ""), ("2026-02-16T08:00", "pre-dose"), ("2026-02-16T11:00", "post-dose")]
    for collected_at, timepoint in [*sure, ("2026-02-16", "pre-dose"), ("2026-02-17", "post-dose")]:
        assert read_trial(samples(collected_at, timepoint), time_zone=NEW_YORK).remarks == ()
    (remark,) = read_trial(samples("2026-02-16", ""), time_zone=NEW_YORK).remarks
    assert remark.startswith("samples.csv:2 collected_at: drawn on the day of a dose (doses.csv:3), and nothing tells")
    (problem,) = trial_problems(samples("2026-02-16T11:00", "pre-dose"), NEW_YORK)
    assert (
        "samples.csv:2 timepoint: found 'pre-dose', while by the clock 2026-02-16T11:00:00 is after dose 1 at "
        "2026-02-16T10:00:00-05:00 (doses.csv:3)"
    ) in problem
    (problem,) = trial_problems(samples("2026-02-16T09:00", "post-dose"), NEW_YORK)
    assert "is before dose 1" in problem


def test_line_breaks_in_a_header_are_no_lines_of_the_listing(tmp_path):
    (tmp_path / "doses.csv").write_text('subject,"given\nat",dsoe,"a\nb"\nP1,2026-02-16,1,\n')
    (problem,) = trial_problems({"doses": tmp_path / "doses.csv"})
    assert "no such column among subject, given_at, dsoe, a\\nb" in problem


def test_an_fmo_leaves_out_a_marker_of_its_panel(places):
    samples = """file,panel,role
                 a.fcs,tbnk,fmo:CD16+56
                 b.fcs,tbnk,fmo:cd4
                 c.fcs,tbnk,fmo:CD45
                 d.fcs,tbnk,fmo:PE Cy7
                 e.fcs,tbkn,fmo:CD4
                 f.fcs,tcell,fmo:CCR7
                 g.fcs,tcell,fmo:CD3"""
    found = trial_problems(places(samples=samples))
    assert starts(found) == [
        "samples.csv:4 role: found 'CD45', which is not among the markers of 'tbnk' in reagents.csv",
        "samples.csv:5 role: found 'PE Cy7', which is not among the markers of 'tbnk' in reagents.csv",
    ]
    assert found[1].endswith("name the marker, CD4.")
    kept = samples.replace("CD45", "CD3").replace("PE Cy7", "CD4")
    assert read_trial(places(samples=kept)).remarks == (
        "samples.csv:6 panel: panel 'tbkn' has no reagents in reagents.csv. Did you mean 'tbnk'?",
        "samples.csv:7 panel: panel 'tcell' has no reagents in reagents.csv.",
    )


def test_the_hour_that_the_clock_passes_twice():
    # In New York 01:30 was twice on 2026-11-01: at 05:30 and at 06:30 UTC.
    zone, twice = ZoneInfo(NEW_YORK), dt.datetime(2026, 11, 1, 1, 30)
    between = dt.datetime(2026, 11, 1, 6, 0, tzinfo=dt.UTC)
    assert not surely_after(twice, between, zone)
    assert not surely_after(between, twice, zone)
    assert surely_after(dt.datetime(2026, 11, 1, 6, 31, tzinfo=dt.UTC), twice, zone)


_MOMENTS = st.one_of(
    st.dates(dt.date(2026, 10, 30), dt.date(2026, 11, 3)),
    st.datetimes(
        dt.datetime(2026, 10, 30),
        dt.datetime(2026, 11, 3),
        timezones=st.sampled_from([None, dt.UTC, ZoneInfo(NEW_YORK)]),
    ),
)


@given(st.lists(_MOMENTS, min_size=3, max_size=3))
def test_being_surely_after_is_an_order(moments):
    zone = ZoneInfo(NEW_YORK)
    for a, b in itertools.permutations(moments, 2):
        assert not (surely_after(a, b, zone) and surely_after(b, a, zone))
        if surely_after(a, b, zone):
            assert order_in_time(a, zone) > order_in_time(b, zone)
        if isinstance(a, dt.datetime) and isinstance(b, dt.datetime) and a.tzinfo is b.tzinfo is dt.UTC:
            assert surely_after(a, b, zone) == (a > b)  # Python's own order of instants
    a, b, c = moments
    assert not (surely_after(a, b, zone) and surely_after(b, c, zone)) or surely_after(a, c, zone)


def test_rows_are_values():
    dose = Dose("P1", 1, dt.date(2026, 2, 16))
    assert hash(dose) == hash(Dose("P1", 1, dt.date(2026, 2, 16), extra={"a": "b"}))
    with pytest.raises(AttributeError):
        dose.dose = 2


def documented() -> dict[str, str]:
    """The section of docs/reference/sheets.md on each sheet."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "sheets.md").read_text(encoding="utf-8")
    return {name: page.partition(f"\n## {name}\n")[2].partition("\n## ")[0] for name in SHEETS}


def test_every_column_is_documented():
    columns = dict(
        samples=SAMPLE_COLUMNS,
        subjects=SUBJECT_COLUMNS,
        doses=DOSE_COLUMNS,
        hematology=HEMATOLOGY_COLUMNS,
        events=EVENT_COLUMNS,
        reagents=REAGENT_COLUMNS,
    )
    for name, section in documented().items():
        table = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        named = [word for cell in table for word in cell.split("`")[1::2]]
        assert set(columns[name]) <= set(named)


def test_the_examples_of_the_documentation_are_a_sound_trial(tmp_path):
    examples = {name: section.partition("```text\n")[2].partition("```")[0] for name, section in documented().items()}
    trial = read_trial(write_sheets(tmp_path, **examples), time_zone=NEW_YORK)
    assert trial.remarks == ()
    assert [specimen.samples for specimen in trial.specimens] == [("P1_000",), ("P1_021",)]


def test_units_are_documented():
    rows = [
        line.split("|") for line in documented()["hematology"].splitlines() if "/" in line and line.startswith("| `")
    ]
    found = {}
    for row in rows:
        for unit in row[1].split("`")[1::2]:
            found[unit] = float(row[2].replace(",", ""))
        for spelling in row[3].split("`")[1::2] if unit in CELLS_PER_UL else ():
            assert CELLS_PER_UL[concentration_unit(spelling)] == found[unit]
    assert found == CELLS_PER_UL

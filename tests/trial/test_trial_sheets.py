"""subjects, doses, hematology, events, reagents: what labs write is read; what is wrong is said by sheet and row."""

import datetime as dt
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sheets import problems_of, write_sheets

from nti7flow.trial import (
    CELLS_PER_UL,
    ClinicalEvent,
    Dose,
    Hematology,
    Reagent,
    Subject,
    read_doses,
    read_events,
    read_hematology,
    read_reagents,
    read_subjects,
)

READERS = {
    "subjects": read_subjects,
    "doses": read_doses,
    "hematology": read_hematology,
    "events": read_events,
    "reagents": read_reagents,
}


@pytest.fixture
def read(tmp_path):
    """Read a sheet given as text."""
    return lambda name, text: READERS[name](write_sheets(tmp_path, **{name: text})[name])


@pytest.fixture
def problems(read):
    return lambda name, text: problems_of(lambda: read(name, text))


def test_subjects(read):
    text = """subject,sex,birth_year,weight_kg,site
              P1,F,1961,61.5,Bethesda
              P2,male,1970,,
              P3,m,,80,
              P4,,,,"""
    assert read("subjects", text) == (
        Subject("P1", "female", 1961, 61.5, {"site": "Bethesda"}),
        Subject("P2", "male", 1970),
        Subject("P3", "male", weight_kg=80),
        Subject("P4"),
    )


def test_subjects_with_mistakes(problems):
    text = """subject,sex,birth_year,weight_kg
              P1,x,61,61500
              ,F,1961-05-03,-1
              p1,F,3.5.1961,1
              P2,Femal,1961.0,"""
    found = problems("subjects", text)
    assert [line.removeprefix("subjects.csv:").split("; ")[0] for line in found] == [
        "2 sex: found 'x'",
        "2 birth_year: found '61'",
        "2 weight_kg: found '61500'",
        "3 subject: found an empty cell",
        "3 birth_year: found a date",
        "3 weight_kg: found '-1'",
        "4 birth_year: found a date",
        "4 subject: found 'p1', where line 2 has 'P1'",
        "5 sex: found 'Femal'",
        "5 birth_year: found a date",
    ]
    assert not any("05-03" in line or "3.5." in line for line in found)  # a birthday is not for the log
    assert found[-2].endswith("Did you mean 'female'?")


def test_doses(read):
    text = """subject,dose,given_at,amount,amount_unit,route
              P1,1,2026-02-16T10:00-05:00,480,µg/kg,IM
              P1,2,2026-05-04,720,mcg/kg,IM
              P2,1,2026-02-17,36,mg,"""
    assert read("doses", text) == (
        Dose("P1", 1, dt.datetime.fromisoformat("2026-02-16T10:00-05:00"), 480, "ug/kg", "IM"),
        Dose("P1", 2, dt.date(2026, 5, 4), 720, "ug/kg", "IM"),
        Dose("P2", 1, dt.date(2026, 2, 17), 36, "mg"),
    )


def test_doses_with_mistakes(problems, caplog):
    text = """subject,dose,given_at,amount,amount_unit
              P1,0,2026-02-16,480,
              P2,2,,480,g
              P3,2,2026-02-16,0,mg
              P4,1,2026-02-16,,
              P4,1,2026-02-17,,
              P5,1,2026-02-16,,
              P5,3,2026-02-17,480,mg/kg"""
    assert [line.removeprefix("doses.csv:").split("; ")[0] for line in problems("doses", text)] == [
        "2 dose: found '0'",
        "2 amount_unit: found no unit",
        "3 given_at: found an empty cell",
        "3 amount_unit: found 'g'",
        "4 amount: found '0'",
        "4 dose: found dose 2 of 'P3' and no dose 1",
        "6 dose: found dose 1 of 'P4', which line 5 has too",
        "8 dose: found dose 3 of 'P5' and no dose 2",
    ]


def test_a_gap_is_not_concluded_from_rows_that_could_not_be_read(problems):
    text = "subject,dose,given_at\nP1,1,yesterday\nP1,2,2026-02-16"
    (problem,) = problems("doses", text)
    assert "2 given_at: found 'yesterday'" in problem


def test_milligrams_that_are_micrograms(read, caplog):
    read("doses", "subject,dose,given_at,amount,amount_unit\nP1,1,2026-02-16,480,mg/kg")
    assert "doses.csv:2 amount: 480 mg/kg is 480000 ug/kg; was ug/kg meant?" in caplog.text


def test_hematology(read):
    text = """subject,collected_at,timepoint,analyte,value,unit,cv
              P1,2026-02-16T08:10-05:00,pre-dose,ALC,0.168,10*9/L,0.06
              P1,2026-02-16,,wbc,1.44,K/uL,
              P1,2026-02-16,,Lymphocyte percent,11.7,%,
              P1,2026-02-17,,ALC,0,cells/µL,"""
    rows = read("hematology", text)
    assert rows == (
        Hematology(
            "P1",
            dt.datetime.fromisoformat("2026-02-16T08:10-05:00"),
            "ALC",
            0.168,
            "10^9/L",
            0.06,
            "pre-dose",
        ),
        Hematology("P1", dt.date(2026, 2, 16), "WBC", 1.44, "10^3/uL"),
        Hematology("P1", dt.date(2026, 2, 16), "lymphocyte_percent", 11.7, "%"),
        Hematology("P1", dt.date(2026, 2, 17), "ALC", 0, "cells/uL"),
    )
    assert [row.cells_per_ul for row in rows] == [168, 1440, None, 0]


def count(analyte, value, unit):
    return f"subject,collected_at,analyte,value,unit\nP1,2026-02-16,{analyte},{value},{unit}"


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "message"),
    [
        ("ALC", 800, "", "unit: found no unit; expected cells/uL"),
        ("lymphocyte_percent", 12, "", "unit: found no unit; expected %"),
        ("ALC", 200, "cells/dL", "found 'cells/dL' (200 cells/dL are 0.002 cells/uL, which nothing can measure)"),
        ("ALC", 12, "%", "found '%'; expected cells/uL"),
        ("lymphocyte_percent", 12, "cells/uL", "found 'cells/uL'; expected %"),
        ("ALC", 1.2, "109/L", "Did you mean '10^9/L'?"),
        ("ALC", 0.8, "cells/uL", "10^9/L may be meant"),
        ("ALC", 1.24, "cells/uL", "10^9/L may be meant (1.24 10^9/L); if it is truly so, write it in 10^9/L"),
        ("WBC", 4.5, "/mm3", "10^9/L may be meant"),
        ("ALC", 800, "cells/mL", "is 0.8 cells/uL; expected 0, or at least 1 cells/uL; correct the unit: cells/uL may"),
        (
            "ALC",
            900,
            "x10^9/L",
            "is 900,000 cells/uL; expected at most 500,000 cells/uL; correct the unit: cells",
        ),
        ("WBC", 3100, "K/uL", "is 3,100,000 cells/uL; expected at most 1,000,000"),
        ("lymphocyte_percent", 101, "%", "found lymphocyte_percent 101 %; expected at most 100 %"),
        ("ALC", -1, "cells/uL", "found '-1'; expected a number from 0"),
        ("CD4", 100, "cells/uL", "found 'CD4'; expected ALC, WBC, lymphocyte_percent"),
        ("ALC", "< 20", "cells/uL", "found '< 20'"),
    ],
)
def test_counts_that_are_certainly_wrong(problems, analyte, value, unit, message):
    (problem,) = problems("hematology", count(analyte, value, unit))
    assert message in problem


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "remarked"),
    [
        ("ALC", 20, "cells/uL", False),  # deep lymphopenia
        ("ALC", 0.02, "10^9/L", False),
        ("ALC", 3859, "cells/uL", False),
        ("WBC", 60, "10^9/L", False),
        ("ALC", 0.0024, "10^9/L", True),  # aplasia, and the way out for whoever means it
        ("ALC", 5, "cells/uL", True),
        ("WBC", 300, "10^9/L", True),  # leukaemia
        ("ALC", 168, "10^9/L", True),
        ("lymphocyte_percent", 0.25, "%", True),
        ("lymphocyte_percent", 100, "%", False),
    ],
)
def test_counts_that_may_be_meant(read, caplog, analyte, value, unit, remarked):
    with caplog.at_level(logging.WARNING):
        (row,) = read("hematology", count(analyte, value, unit))
    assert row.value == value
    assert ("hematology.csv:2 value: " in caplog.text) is remarked


@given(st.integers(20, 20_000), st.sampled_from(sorted(CELLS_PER_UL)))
def test_no_count_of_a_patient_is_refused_in_any_unit(tmp_path_factory, per_ul, unit):
    text = count("ALC", f"{per_ul / CELLS_PER_UL[unit]:.12g}", unit)
    path = write_sheets(tmp_path_factory.mktemp("h"), hematology=text)["hematology"]
    (row,) = read_hematology(path)
    assert row.cells_per_ul == pytest.approx(per_ul)


def test_events(read, caplog):
    text = """subject,date,kind,until,note
              P1,2026-05-04,Steroid,2026-05-18,prednisone
              P1,2026-08-01T23:30-04:00,death,,
              P2,2026-05-04,relapse,,
              P2,2026-05-04,stroid,,
              P2,2026-05-04,stroid,,"""
    assert read("events", text)[:3] == (
        ClinicalEvent("P1", dt.date(2026, 5, 4), "steroid", dt.date(2026, 5, 18), {"note": "prednisone"}),
        ClinicalEvent("P1", dt.date(2026, 8, 1), "death"),
        ClinicalEvent("P2", dt.date(2026, 5, 4), "relapse"),
    )
    assert [record.getMessage() for record in caplog.records] == [
        "events.csv:5 kind: 'stroid' has no meaning here and is kept as it is. Did you mean 'steroid'?",
        "events.csv:6 kind: 'stroid' has no meaning here and is kept as it is. Did you mean 'steroid'?",
        "events.csv:6 kind: the same stroid is in line 5 too.",
    ]


def test_events_with_mistakes(problems):
    text = """subject,date,kind,until
              P1,2026-05-04,steroid,2026-05-03
              P1,,,
              P2,2026-05-04,death,
              P2,2026-05-05,death,"""
    assert [line.removeprefix("events.csv:").split("; ")[0] for line in problems("events", text)] == [
        "2 until: found 2026-05-03, before the date 2026-05-04",
        "3 date: found an empty cell",
        "3 kind: found an empty cell",
        "5 date: found a death of 'P2' on 2026-05-05, where line 4 has one on 2026-05-04",
    ]


def test_reagents(read, caplog):
    text = """panel,marker,fluorochrome,clone,maker,catalogue,lot,volume_ul
              tbnk,CD4,PE-Cy7,SK3,BD,1,A1,20
              tbnk,CD4,PE-Cy7,SK3,BD,1,A2,
              tbnk,CD8,,,,,,"""
    assert read("reagents", text) == (
        Reagent("tbnk", "CD4", "PE-Cy7", "SK3", "BD", "1", "A1", 20),
        Reagent("tbnk", "CD4", "PE-Cy7", "SK3", "BD", "1", "A2"),
        Reagent("tbnk", "CD8"),
    )
    assert caplog.text == ""
    read("reagents", "panel,marker,lot\ntbnk,CD4,1\ntbnk,CD4,1")
    assert "reagents.csv:3 marker: the same lot of CD4 for tbnk is in line 2 too." in caplog.text


def test_reagents_with_mistakes(problems):
    found = problems("reagents", "panel,marker,volume_ul\n,CD4,1 uL\ntbnk,,")
    assert [line.split("; ")[0] for line in found] == [
        "reagents.csv:2 panel: found an empty cell",
        "reagents.csv:2 volume_ul: found '1 uL'",
        "reagents.csv:3 marker: found an empty cell",
    ]


def test_a_note_is_no_misspelt_route(read, caplog):
    read("doses", "subject,dose,given_at,note,rute\nP1,1,2026-02-16,fine,IM")
    assert [record.getMessage() for record in caplog.records] == [
        "doses.csv:1 rute: the column has no meaning here and is kept as it is. Did you mean 'route'?"
    ]


@pytest.mark.parametrize("name", [name for name in READERS if name != "samples"])
def test_nothing_to_say_is_a_header_alone(read, name):
    header = {"subjects": "subject", "doses": "subject,dose,given_at", "events": "subject,date,kind"}
    header |= {"hematology": "subject,collected_at,analyte,value,unit", "reagents": "panel,marker"}
    assert read(name, header[name]) == ()

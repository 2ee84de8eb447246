"""A study in which everything is wrong at once: one listing with sheet, row and column, and nothing computed."""

import re
from collections import Counter

from study_tubes import everything, write_tube

from nti7flow.trial import read_trial

STUDY = """schema: nti7flow/study/1
study: mine
time_zone: America/New_York
templates: {tbnk: plain.yaml}
sheets: {samples: samples.csv, subjects: subjects.csv, doses: doses.csv, hematology: hematology.csv}
"""
HEADER = (
    "file,sample,specimen,subject,panel,role,collected_at,acquired_at,specimen_volume,specimen_volume_unit,dilution,"
    "bead_lot,beads_per_tube,bead_cv,acquired_volume,acquired_volume_unit"
)
DRAWN = "2026-02-16T08:10,2026-02-16T10:15"
#: Replicates of one draw with beads of one lot, whose count is said once, and what stands beside them.
SOUND = f"""
a.fcs,A1,D1,P1,tbnk,patient,{DRAWN},50,uL,1,L7,49870,0.02,,
b.fcs,A2,D1,P1,tbnk,patient,{DRAWN},50,uL,,L7,,,,
c.fcs,A3,D1,P1,tbnk,fmo:CD4,{DRAWN},,,,L0,,,,
d.fcs,A4,D1,P1,tbnk,unstained,{DRAWN},,,,L0,,,,
e.fcs,A5,D2,P2,tbnk,patient,2026-02-17,,50,uL,,L7,,,,
"""
#: One mistake each: the columns that are to be told, and the row, in which ... is what all rows share.
WRONG = [
    ("specimen_volume_unit", "1.fcs,B1,E1,P1,tbnk,patient,2026-02-18T08:00,,50,,,L7,,,,"),
    ("specimen_volume", "2.fcs,B2,E2,P1,tbnk,patient,2026-02-19T08:00,,-50,uL,,L7,,,,"),
    ("specimen_volume", "3.fcs,B3,E3,P1,tbnk,patient,2026-02-20T08:00,,,uL,,L7,,,,"),
    ("specimen_volume_unit", "4.fcs,B4,E4,P1,tbnk,patient,2026-02-21T08:00,,50,nL,,L7,,,,"),
    ("acquired_volume_unit", "5.fcs,B5,E5,P1,tbnk,patient,2026-02-22T08:00,,50,uL,,,,,40,"),
    ("acquired_volume", "6.fcs,B6,E6,P1,tbnk,patient,2026-02-23T08:00,,50,uL,,,,,-40,uL"),
    ("dilution", "7.fcs,B7,E7,P1,tbnk,patient,2026-02-24T08:00,,50,uL,-2,,,,,"),
    ("dilution", "8.fcs,B8,E8,P1,tbnk,patient,2026-02-25T08:00,,50,uL,0.5,,,,,"),
    ("bead_lot", "9.fcs,B9,E9,P1,tbnk,patient,2026-02-26T08:00,,50,uL,,L9,,0.02,,"),
    ("", "10.fcs,B10,E10,P1,tbnk,patient,2026-02-27T08:00,,50,uL,,L9,,,,"),  # the same lot, told above
    ("bead_cv", "11.fcs,B11,E11,P1,tbnk,patient,2026-02-28T08:00,,50,uL,,L7,,2,,"),
    ("beads_per_tube", "12.fcs,B12,E12,P1,tbnk,patient,2026-03-01T08:00,,50,uL,,L7,49780,,,"),
    ("beads_per_tube", '13.fcs,B13,E13,P1,tbnk,patient,2026-03-02T08:00,,50,uL,,L8,"49,870",,,'),
    ("specimen", f"14.fcs,B14,D1bis,P1,tbnk,patient,{DRAWN},50,uL,,L7,,,,"),
    ("specimen", f"15.fcs,B15,d1,P1,tbnk,patient,{DRAWN},50,uL,,L7,,,,"),
    ("subject", "16.fcs,B16,D2,P1,tbnk,patient,2026-02-17,,50,uL,,L7,,,,"),
    ("collected_at", "17.fcs,B17,D2,P2,tbnk,patient,2026-02-18,,50,uL,,L7,,,,"),
    ("collected_at", "18.fcs,B18,E18,P1,tbnk,patient,03/06/2021,,50,uL,,L7,,,,"),
    ("acquired_at", "19.fcs,B19,E19,P1,tbnk,patient,2026-03-05T08:00,2026-03-05T07:00,50,uL,,L7,,,,"),
    ("subject", "20.fcs,B20,E20,P9,tbnk,patient,2026-03-06T08:00,,50,uL,,L7,,,,"),
    ("sample", "21.fcs,b20,E21,P1,tbnk,patient,2026-03-07T08:00,,50,uL,,L7,,,,"),
    ("file", "21.fcs,B22,E22,P1,tbnk,patient,2026-03-08T08:00,,50,uL,,L7,,,,"),
    ("file", "./21.fcs,B23,E23,P1,tbnk,patient,2026-03-09T08:00,,50,uL,,L7,,,,"),
    ("panel", "24.fcs,B24,E24,P1,tbkn,patient,2026-03-10T08:00,,50,uL,,L7,,,,"),
    ("role", "25.fcs,B25,E25,P1,tbnk,patent,2026-03-11T08:00,,50,uL,,L7,,,,"),
]
OTHER = {
    "subjects": ["subject,sex", ("", "P1,F"), ("", "P2,M"), ("subject", "p1,F"), ("sex", "P4,x")],
    "doses": [
        "subject,dose,given_at,amount,amount_unit",
        ("", "P1,1,2026-02-16T10:00,480,ug/kg"),
        ("amount_unit", "P1,2,2026-05-11,480,"),
        ("given_at", "P2,1,03/06/2026,480,ug/kg"),
        ("subject", "P7,1,2026-02-16,480,ug/kg"),
        ("dose", "P1,2,2026-05-11,480,ug/kg"),
    ],
    "hematology": [
        "subject,collected_at,analyte,value,unit",
        ("", "P1,2026-02-16T08:10,ALC,168,cells/uL"),
        ("unit", "P1,2026-02-17,ALC,200,cells/dL"),
        ("unit", "P1,2026-02-18,ALC,0.8,"),
        ("value", "P1,2026-02-19,WBC,-1,10^9/L"),
        ("value", "P1,2026-02-16T08:10,ALC,170,cells/uL"),
        ("collected_at", "P1,6.3.2026,ALC,168,cells/uL"),
        ("subject", "P8,2026-02-16,ALC,168,cells/uL"),
        ("subject unit", "P10,2026-02-16,ALC,200,cells/dL"),
    ],
}


def write(folder, plain, *, sound):
    """Write the study, with all of its mistakes or without; returns its path and the cells that are to be told."""
    folder.mkdir(exist_ok=True)
    (folder / "plain.yaml").write_text(plain.read_text())
    (folder / "study.yaml").write_text(STUDY)
    sheets = {"samples": [HEADER, *(("", row) for row in SOUND.split()), *WRONG]} | OTHER
    cells = []
    for name, (header, *rows) in sheets.items():
        kept = [(wrong, row) for wrong, row in rows if not (sound and (wrong or ",L9," in row))]
        (folder / f"{name}.csv").write_text("\n".join([header, *(row for _, row in kept)]) + "\n")
        cells += [(f"{name}.csv:{line}", c) for line, (wrong, _) in enumerate(kept, 2) for c in wrong.split()]
    return folder / "study.yaml", cells


def test_every_mistake_is_told_once_and_nothing_is_computed(nti7flow, tmp_path, plain):
    path, cells = write(tmp_path, plain, sound=False)
    write_tube(tmp_path / "a.fcs")
    before = everything(tmp_path)
    outcome = nti7flow("gate", path, "--out", tmp_path / "runs" / "march")
    assert (outcome.code, outcome.out) == (1, "")
    assert everything(tmp_path) == before

    heading, *problems = outcome.err.splitlines()
    assert heading.endswith(f": {len(cells)} problems")
    told = [re.match(r"  ([\w.]+:\d+) (\w+): found .+; expected .+; .+[.?]$", line).groups() for line in problems]
    assert Counter(told) == Counter(cells)
    assert [sheet for sheet, _ in told] == [sheet for sheet, _ in cells]  # in the order of the sheets and their rows
    said = {cell: line for cell, line in zip(told, problems, strict=True)}
    assert "200 cells/dL are 0.002 cells/uL, which nothing can measure" in said["hematology.csv:3", "unit"]
    assert "write 2021-03-06 or 2021-06-03, whichever is meant" in said["samples.csv:24", "collected_at"]
    assert "2 % is 0.02" in said["samples.csv:17", "bead_cv"]
    assert "no row says beads_per_tube (lot of 2 tubes)" in said["samples.csv:15", "bead_lot"]
    assert "Did you mean 'tbnk'?" in said["samples.csv:30", "panel"]


def test_the_rest_of_the_study_is_sound(tmp_path, plain, caplog):
    path, cells = write(tmp_path, plain, sound=True)
    assert cells == []
    sheets = {name: path.parent / f"{name}.csv" for name in ("samples", *OTHER)}
    trial = read_trial(sheets, time_zone="America/New_York")
    assert (trial.remarks, caplog.text) == ((), "")
    assert [(row.sample, row.beads_per_tube) for row in trial.samples if row.role == "patient"] == [
        ("A1", 49870),
        ("A2", 49870),
        ("A5", 49870),
    ]
    assert [specimen.samples for specimen in trial.specimens] == [("A1", "A2"), ("A5",)]

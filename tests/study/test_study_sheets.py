"""study.yaml with all of its sheets: read together, refused in one listing, and each in the recipe."""

import csv
import hashlib

import pytest
from openpyxl import Workbook
from study_tubes import write_tube

from nti7flow.errors import ConfigError
from nti7flow.study.plan import make_plan

SAMPLES = """\
file,sample,specimen,subject,panel,role,collected_at
tubes/a.fcs,A,D1,P1,one,patient,2026-02-16T08:10
tubes/b.fcs,B,D1,P1,two,fmo:CD4,2026-02-16T08:10
tubes/c.fcs,C,,,one,control,
"""
DOSES = "subject,dose,given_at\nP1,1,2026-02-16T10:00\n"


@pytest.fixture
def study(tmp_path, plain):
    """Write a study of three tubes in two panels and return its study.yaml."""
    for name in "abc":
        write_tube(tmp_path / "tubes" / f"{name}.fcs", rows=slice(500))

    def write(templates=f"{{one: {plain}, two: none}}", sheets="{samples: samples.csv, doses: doses.csv}", zone="UTC"):
        (tmp_path / "samples.csv").write_text(SAMPLES)
        (tmp_path / "doses.csv").write_text(DOSES)
        (tmp_path / "study.yaml").write_text(
            f"schema: nti7flow/study/1\nstudy: mine\ntime_zone: {zone}\ntemplates: {templates}\nsheets: {sheets}\n"
        )
        return tmp_path / "study.yaml"

    return write


def test_tubes_of_a_panel_without_template_are_not_gated(study, caplog):
    plan = make_plan([study()])
    assert [tube.sample for tube in plan.tubes] == ["A", "C"]
    assert set(plan.templates) == {"plain@1.0.0"}
    assert caplog.text == ""  # that they are left out is said in study.yaml


def test_the_option_for_a_template_does_not_gate_them_either(study, plain):
    assert [tube.sample for tube in make_plan([study()], template=plain).tubes] == ["A", "C"]


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        (
            "{one: none, two: none}",
            r"no tube is left to gate: the panels one, two have the template 'none'",
        ),
        (
            "{one: none, tow: none}",
            r"samples\.csv:3 panel: found 'two', which has no template in study\.yaml; .* Did you mean 'tow'\?$",
        ),
        ("{one: none, three: none}", r"panel: found 'two', .*; expected one of one, three; correct it, .* there\.$"),
    ],
)
def test_panels_that_are_forgotten_are_not_left_out(study, templates, message):
    with pytest.raises(ConfigError, match=message):
        make_plan([study(templates)])


def test_a_row_without_panel_is_of_the_only_panel(study, tmp_path, plain):
    path = study(f"{{one: {plain}}}")
    (tmp_path / "samples.csv").write_text("file\ntubes/a.fcs\n")
    assert len(make_plan([path]).tubes) == 1
    path = study(f"{{one: {plain}, two: none}}")
    (tmp_path / "samples.csv").write_text("file\ntubes/a.fcs\n")
    with pytest.raises(ConfigError, match=r"samples\.csv:2 panel: found an empty cell; expected one of one, two;"):
        make_plan([path])


def test_all_sheets_are_refused_in_one_listing(study, tmp_path):
    path = study(zone="Europe/Berln")
    (tmp_path / "doses.csv").write_text(DOSES.replace("P1,1", "P1,one"))
    (tmp_path / "samples.csv").write_text(SAMPLES.replace("control", "contrl"))
    with pytest.raises(ConfigError) as caught:
        make_plan([path])
    heading, *problems = str(caught.value).splitlines()
    assert heading == f"{tmp_path / 'samples.csv'}, {tmp_path / 'doses.csv'}: 3 problems"
    assert [problem.split(": found ")[0].strip() for problem in problems] == [
        "time_zone",
        "samples.csv:4 role",
        "doses.csv:2 dose",
    ]


def test_every_sheet_is_in_the_recipe(study, tmp_path):
    path = study()
    plan = make_plan([path])
    digest = hashlib.sha256(DOSES.encode()).hexdigest()
    assert plan.recipe()["sheets"] == {"doses": digest, "samples": hashlib.sha256(SAMPLES.encode()).hexdigest()}
    (tmp_path / "doses.csv").write_text(DOSES.replace("10:00", "10:05"))
    assert make_plan([path]).recipe_hash() != plan.recipe_hash()


def test_sheets_in_a_workbook(study, tmp_path):
    book = Workbook()
    for name, text in (("samples", SAMPLES), ("Doses", DOSES)):
        sheet = book.create_sheet(name)
        for row in csv.reader(text.splitlines()):
            sheet.append(row)
    book.save(tmp_path / "trial.xlsx")
    plan = make_plan([study(sheets="{samples: trial.xlsx, doses: trial.xlsx}")])
    assert [(tube.sample, tube.path) for tube in plan.tubes] == [
        ("A", tmp_path / "tubes" / "a.fcs"),
        ("C", tmp_path / "tubes" / "c.fcs"),
    ]
    digest = hashlib.sha256((tmp_path / "trial.xlsx").read_bytes()).hexdigest()
    assert plan.sheets == {"samples": f"{digest}#samples", "doses": f"{digest}#Doses"}
    # However the worksheet is named in study.yaml, it is the same sheet and the same recipe.
    named = make_plan([study(sheets="{samples: trial.xlsx#samples, doses: 'trial.xlsx#doses'}")])
    assert named.recipe_hash() == plan.recipe_hash()


def test_what_study_yaml_asks_of_the_sheet_is_in_its_listing(study, tmp_path):
    path = study("{one: none, three: none}")
    names = "\n".join(
        (f"{'é' * 101}.fcs,,2026-02-16,one", "a\0b.fcs,N,2026-02-16,one", "c.fcs,C,16.2.2026,two", ",D,,")
    )
    (tmp_path / "samples.csv").write_text(f"file,sample,collected_at,panel\n{names}\n")
    (tmp_path / "doses.csv").write_text(DOSES.replace("P1,1", "P1,one"))
    with pytest.raises(ConfigError) as caught:
        make_plan([path])
    heading, *problems = str(caught.value).splitlines()
    assert heading.endswith(": 7 problems")
    assert [problem.split("; ")[0].strip() for problem in problems] == [
        "samples.csv:2 sample: found a name of 202 bytes",
        r"samples.csv:3 file: found 'a\x00b.fcs'",
        "samples.csv:4 collected_at: found '16.2.2026'",
        "samples.csv:4 panel: found 'two', which has no template in study.yaml",
        "samples.csv:5 file: found an empty cell",
        "samples.csv:5 panel: found an empty cell",
        "doses.csv:2 dose: found 'one'",
    ]

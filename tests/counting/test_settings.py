"""What study.yaml may say of counting and acceptance: defaults, parts of them, and every mistake with its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.settings import CountingSettings
from nti7flow.errors import ConfigError
from nti7flow.gating.yaml_source import read_yaml
from nti7flow.study.plan import make_plan
from nti7flow.study.study_file import StudyFile

STUDY = "schema: nti7flow/study/1\nstudy: mine\ntemplates: {any: plain.yaml}\nsheets: {samples: samples.csv}\n"
#: The reference table of adults, cells/µL, in the order ALC, CD3, CD4, CD8, CD19, NK, as it is printed.
ADULTS = {
    "male": "1147–3727 | 701–2517 | 313–1361 | 228–1243 | 109–802 | 140–1103",
    "female": "1342–3859 | 800–2751 | 399–1489 | 254–1193 | 138–645 | 96–998",
}


@pytest.fixture
def read(tmp_path):
    """Read a study.yaml that says this too."""

    def with_text(text: str) -> StudyFile:
        (tmp_path / "study.yaml").write_text(STUDY + text)
        return read_yaml(tmp_path / "study.yaml").validate(StudyFile)

    return with_text


def test_a_study_that_says_nothing_has_the_defaults(read):
    study = read("")
    assert (study.counting, study.acceptance) == (CountingSettings(), AcceptanceLimits())
    assert study.counting.method == "auto"
    assert study.acceptance.unassigned_percent == (5, 10)


@pytest.mark.parametrize(("sex", "printed"), ADULTS.items())
def test_reference_ranges_are_those_printed(sex, printed):
    names = ("alc", "t_cells", "cd4_t", "cd8_t", "b_cells", "nk_cells")
    ranges = AcceptanceLimits().reference_ranges.of(sex)
    assert " | ".join("{:g}–{:g}".format(*getattr(ranges, name)) for name in names) == printed
    assert AcceptanceLimits().reference_ranges.of(None) is None


def test_what_is_left_out_keeps_its_default(read):
    study = read(
        "counting: {pipetting_cv: 0.014}\n"
        "acceptance:\n"
        "  minimum_events: {cd4_t: 200, cd4_naive: 50, b_cells: 0}\n"
        "  reference_ranges: {male: {alc: [1000, 4000]}}\n"
    )
    assert (study.counting.pipetting_cv, study.counting.bead_cv) == (0.014, 0.02)
    events = {"t_cells": 100, "cd4_t": 200, "cd8_t": 100, "b_cells": 0, "nk_cells": 50, "cd4_naive": 50}
    assert study.acceptance.minimum_events == events
    men, women = study.acceptance.reference_ranges.male, study.acceptance.reference_ranges.female
    assert (men.alc, men.cd4_t, women.alc) == ((1000, 4000), (313, 1361), (1342, 3859))


def test_every_mistake_is_told_with_its_line(read):
    with pytest.raises(ConfigError) as caught:
        read(
            "counting:\n"  # line 5
            "  method: bead\n"
            "  level: 95\n"
            "  bead_cvs: 0.02\n"
            "  lloq_events: -1\n"
            "  hematology_hours: .inf\n"
            "  pipetting_cv: .nan\n"
            "acceptance:\n"  # 12
            "  unassigned_percent: 10\n"
            "  overlap_percent: [5, 2]\n"
            "  purity_percent: [85, 90]\n"
            "  specimen_age_hours: [48]\n"
            "  assay_cv_percent: [10, -1]\n"
            "  hematology_ratio: [0.8, 1.6]\n"
            "  minimum_events: {CD4: 100, cd8_t: -3}\n"
            "  bead_event: 4\n"
            "  cd4_cd8_vs_cd3_points: [true, 3]\n"
            "  reference_ranges:\n"
            "    male: {alc: [4000, 1000], cd4: [1, 2]}\n"
            "    man: {}\n"
        )
    found = {}
    for line in str(caught.value).splitlines():
        number, key, text = re.fullmatch(r".*study\.yaml:(\d+): ([\w.]+): (.+[.?])", line).groups()
        found[key] = (int(number), text)
    assert found.pop("counting.method")[1].startswith("Input should be 'auto', 'beads', 'volumetric' or 'dual_platf")
    assert found.pop("acceptance.minimum_events.CD4")[0] == 19
    assert found == {
        "counting.level": (7, "Input should be less than or equal to 0.9999; found 95."),
        "counting.bead_cvs": (8, "no such key. Did you mean 'bead_cv'?"),
        "counting.lloq_events": (9, "Input should be greater than or equal to 0; found -1."),
        "counting.hematology_hours": (10, "Input should be a finite number; found inf."),
        "counting.pipetting_cv": (11, "Input should be a finite number; found nan."),
        "acceptance.unassigned_percent": (13, "found 10; two numbers in brackets were expected, like [5, 10]."),
        "acceptance.overlap_percent": (
            14,
            "found [5, 2]; the first (information) may not be above the second (review).",
        ),
        "acceptance.purity_percent": (
            15,
            "found [85, 90]; the first (information) may not be below the second (review).",
        ),
        "acceptance.specimen_age_hours": (16, "found [48]; two numbers in brackets were expected, like [5, 10]."),
        "acceptance.assay_cv_percent.1": (17, "Input should be greater than 0; found -1."),
        "acceptance.hematology_ratio.0": (18, "Input should be greater than or equal to 1; found 0.8."),
        "acceptance.minimum_events.cd8_t": (19, "Input should be greater than or equal to 0; found -3."),
        "acceptance.bead_event": (20, "no such key. Did you mean 'bead_events'?"),
        "acceptance.cd4_cd8_vs_cd3_points": (
            21,
            "found [True, 3]; two numbers in brackets were expected, like [5, 10].",
        ),
        "acceptance.reference_ranges.male.alc": (
            23,
            "found [4000, 1000]; the lowest and the highest value were expected, in this order.",
        ),
        "acceptance.reference_ranges.male.cd4": (23, "no such key. Did you mean 'cd4_t'?"),
        "acceptance.reference_ranges.man": (24, "no such key."),
    }


@given(st.lists(st.floats(0, 100), min_size=2, max_size=2))
def test_limits_are_in_order_one_way_or_the_other(pair):
    low, high = sorted(pair)
    assert AcceptanceLimits(unassigned_percent=[low, high]).unassigned_percent == (low, high)
    assert AcceptanceLimits(purity_percent=[high, low]).purity_percent == (high, low)
    if low < high:
        with pytest.raises(ValidationError, match="may not be above"):
            AcceptanceLimits(unassigned_percent=[high, low])
        with pytest.raises(ValidationError, match="may not be below"):
            AcceptanceLimits(purity_percent=[low, high])


def test_settings_are_values_and_change_no_gate(tmp_path):
    with pytest.raises(ValidationError, match="frozen"):
        CountingSettings().level = 0.9
    (tmp_path / "samples.csv").write_text("file\na.fcs\n")
    text = STUDY.replace("plain.yaml", "tbnk@2.0.0")
    hashes = set()
    for more in ("", "counting: {level: 0.9}\nacceptance: {bead_events: 5000}\n"):
        (tmp_path / "study.yaml").write_text(text + more)
        hashes.add(make_plan([tmp_path / "study.yaml"]).recipe_hash())
    assert len(hashes) == 1


def test_the_example_of_the_documentation_can_be_read(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "study_file.md").read_text(encoding="utf-8")
    (tmp_path / "study.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    study = read_yaml(tmp_path / "study.yaml").validate(StudyFile)
    assert study.acceptance.minimum_events["cd4_t"] == 200
    for model in (StudyFile, CountingSettings, AcceptanceLimits):
        assert all(field.description for field in model.model_fields.values())

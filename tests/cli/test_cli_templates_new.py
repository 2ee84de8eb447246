"""``nti7flow templates new``: a draft to begin with, which loads, gates and overwrites nothing."""

from pathlib import Path

import numpy as np
import pytest
from study_tubes import DAY00

from nti7flow.events.fcs import write_events
from nti7flow.gating.template import load_template


def test_a_draft_is_written_and_gates_its_tube(nti7flow, tmp_path):
    out = tmp_path / "My Panel.yaml"
    done = nti7flow("templates", "new", "--from", DAY00, "--out", out)
    assert done.code == 0
    assert done.out.startswith(f"{out}: written.")
    assert load_template(out).reference == "my_panel@0.1.0"
    assert nti7flow("templates", "check", out).out.startswith("my_panel@0.1.0 is in order: ")
    gated = nti7flow("gate", DAY00, "--template", out, "--out", tmp_path / "run", "--figures", "none")
    assert gated.code == 0


def test_editors_find_the_schema(nti7flow, tmp_path):
    nti7flow("templates", "new", "--from", DAY00, "--out", tmp_path / "a.yaml")
    first = (tmp_path / "a.yaml").read_text(encoding="utf-8").splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert not Path(schema).is_absolute()
    assert (tmp_path / schema).is_file()


def test_without_out_it_is_printed(nti7flow, tmp_path):
    printed = nti7flow("templates", "new", "--from", DAY00).out
    (tmp_path / "a.yaml").write_text(printed, encoding="utf-8")
    assert load_template(tmp_path / "a.yaml").reference == "my_template@0.1.0"


def test_nothing_is_overwritten(nti7flow, tmp_path):
    out = tmp_path / "mine.yaml"
    out.write_text("mine", encoding="utf-8")
    assert (
        nti7flow("templates", "new", "--from", DAY00, "--out", out)
        .error()
        .endswith("exists already; choose another --out.")
    )
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("out", "message"),
    [("mine.txt", "end its name in .yaml"), ("nowhere/mine.yaml", "no such folder")],
)
def test_a_place_that_cannot_hold_a_template(nti7flow, tmp_path, out, message):
    assert message in nti7flow("templates", "new", "--from", DAY00, "--out", tmp_path / out).error()


def test_an_ambiguous_panel_lists_its_candidates_and_takes_a_name(nti7flow, tmp_path):
    tube = tmp_path / "tube.fcs"
    values = np.random.default_rng(1).normal(100, 30, (200, 3))
    write_events(tube, values, ["FL1-A", "FL2-A", "FL3-A"], markers=["CD3", "CD8a", "CD8b"])
    assert (
        "CD8 could be any of 2 channels: FL2-A (CD8a), FL3-A (CD8b)"
        in nti7flow("templates", "new", "--from", tube).error()
    )
    done = nti7flow("templates", "new", "--from", tube, "--marker", "CD8=FL2-A")
    assert done.code == 0
    assert "gate with the same: --marker 'CD8=FL2-A'" in done.out

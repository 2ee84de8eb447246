"""The page about counting says what the package does: its arithmetic, its columns, its pictures."""

import re
from pathlib import Path

import pytest
from matplotlib.image import imread

from nti7flow.study.tables import ACCEPTANCE, BUDGET, CONCENTRATIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "how-to" / "count_cells.md").read_text(encoding="utf-8")


def test_the_example_by_hand_is_right():
    (line,) = re.findall(r"^(16 / 1789 .*) = 9\.74 cells/µL$", PAGE, re.MULTILINE)
    assert round(eval(line.replace("×", "*")), 2) == 9.74
    assert round(195 / 914 * 92.5, 1) == 19.7
    assert "195 / 914 × 92.5 = 19.7" in PAGE


def test_columns_to_read_are_columns():
    table = PAGE.split("| column | why |\n|---|---|\n")[1].split("\n\n")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert len(named) > 8
    assert named <= {column.name for column in CONCENTRATIONS.columns}
    assert {"heterogeneity", "inputs"} <= {column.name for column in CONCENTRATIONS.columns}
    assert {"severity", "look_at"} <= {column.name for column in ACCEPTANCE.columns}
    assert "share_percent" in {column.name for column in BUDGET.columns}


@pytest.mark.parametrize("name", ["concentrations", "budget"])
def test_pictures_are_there_and_small(name):
    path = DOCS / "images" / f"{name}.png"
    assert f"](../images/{name}.png)" in PAGE
    assert path.stat().st_size < 150_000
    assert imread(path).shape[1] == 1600

"""Draws the pictures of docs/how-to/count_cells.md out of sample_fcs/: ``python docs/pictures/concentrations.py``.

It gates and counts the sample study, which takes half a minute.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nti7flow as nf
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
SUBJECT = "SIM-003"


def draw(run: nf.Run) -> None:
    """Write the pictures of a run of the sample study."""
    nf.plot.save_png(nf.plot.concentrations(run, SUBJECT), IMAGES / "concentrations.png")
    nf.plot.save_png(nf.plot.budget(run), IMAGES / "budget.png")


def main() -> None:
    """Draw a run that is named, or one made for it."""
    if len(sys.argv) > 1:
        draw(nf.open_run(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        gate_study(make_plan([ROOT / "sample_fcs" / "study.yaml"]), run, figures="none")
        draw(nf.count(run, figures="none"))


if __name__ == "__main__":
    main()

"""``python -m benchmarks.coverage [--quick] [--draws N] [--seed N] [--out FILE] [--jobs N]``."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.coverage.bars import bars
from benchmarks.coverage.measure import FULL, QUICK, measure
from benchmarks.coverage.picture import draw
from benchmarks.coverage.report import write_report

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "coverage.md"
FIGURE = "coverage.png"
_QUICK_NOTE = "**Measured with `--quick`: a few points. Nothing can be judged by these numbers.**\n"


def main() -> None:
    """Measure, and write the page and its figure; a quick look is printed unless told where to."""
    arguments = _parser().parse_args()
    size = QUICK if arguments.quick else FULL
    size = replace(size, draws=arguments.draws or size.draws, seed=arguments.seed)
    page = arguments.out or (None if arguments.quick else PAGE)
    steps = measure(size, jobs=arguments.jobs)
    designs = len(size.beads) + len(size.others)
    found = list(track(steps, "coverage", total=designs, console=Console(stderr=True)))
    figure = ""
    if page is not None:
        picture = REPOSITORY / "docs" / "images" / FIGURE if page == PAGE else page.with_name(FIGURE)
        draw(found[: len(size.beads)], picture)
        figure = os.path.relpath(picture, page.parent)
    text = write_report(found, size, figure=figure, notes=[_QUICK_NOTE] if arguments.quick else [])
    if page is None:
        print(text)
        return
    page.write_text(text, encoding="utf-8", newline="\n")
    for bar in bars(found[: len(size.beads)], size.draws):
        print(f"{bar.name}: {'met' if bar.met else 'NOT MET'}: {bar.measured}")
    print(f"{page} and {FIGURE} are written.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coverage", description="How often the intervals hold the truth."
    )
    parser.add_argument("--quick", action="store_true", help="a few points, to see that all of it runs")
    parser.add_argument("--draws", type=int, metavar="N", help=f"at every point ({FULL.draws:,})")
    parser.add_argument("--seed", type=int, default=FULL.seed, metavar="N", help=f"of the draws ({FULL.seed})")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write; the figure goes beside it")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="worker processes")
    return parser


if __name__ == "__main__":
    main()

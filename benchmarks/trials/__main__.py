"""``python -m benchmarks.trials [--seeds 801-810] [--subjects N] [--folder DIR] [--jobs N] [--out FILE]``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.trials.picture import draw
from benchmarks.trials.report import print_report, together, write_report
from benchmarks.trials.studies import FULL, Size, measure

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "trials.md"
FIGURE = "trials.png"


def main() -> None:
    """Simulate, gate, count and score; print the tables, and write the page and its figure.

    Trials of another size than the page's are printed, and written only where told to.
    """
    arguments = _parser().parse_args()
    size = Size(arguments.seeds, arguments.subjects, arguments.events)
    page = arguments.out or (PAGE if size == FULL else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is odd about a tube is in its flags
        steps = (measure(seed, size, folder=arguments.folder, jobs=arguments.jobs) for seed in size.seeds)
        trials = list(track(steps, "trials", total=len(size.seeds), console=Console(stderr=True)))
    results = together(trials, size)
    print_report(results, Console() if sys.stdout.isatty() else Console(width=160))
    if page is None:
        return
    picture = REPOSITORY / "docs" / "images" / FIGURE if page == PAGE else page.with_name(FIGURE)
    draw(results.rows, picture)
    text = write_report(results, figure=os.path.relpath(picture, page.parent))
    page.write_text(text, encoding="utf-8", newline="\n")
    print(f"{page} and {FIGURE} are written.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trials", description="How often the intervals of simulated trials hold the truth."
    )
    parser.add_argument("--seeds", type=_seeds, default=FULL.seeds, metavar="A-B", help="a trial each (801-810)")
    parser.add_argument("--subjects", type=int, default=FULL.subjects, metavar="N", help=f"({FULL.subjects})")
    parser.add_argument("--events", type=int, default=FULL.events, metavar="N", help=f"of a tube ({FULL.events:,})")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="keep trials there, as s801 and r801; what is there is not made again",
    )
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="worker processes")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write; the figure goes beside it")
    return parser


def _seeds(text: str) -> tuple[int, ...]:
    """Read 801-810, or 801,803."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(seeds)


if __name__ == "__main__":
    main()

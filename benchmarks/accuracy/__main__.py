"""``python -m benchmarks.accuracy [--quick] [--data DIR] [--only NAME] [--template NAME] [--out FILE]``."""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.accuracy.measure import FULL, PARTS, QUICK, Results, Settings, measure
from benchmarks.accuracy.perturbed import shared_data
from benchmarks.accuracy.picture import draw
from benchmarks.accuracy.report import write_report

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "accuracy.md"
FIGURE = "accuracy.png"
_QUICK_NOTE = "**Measured with `--quick`: a few events of a few tubes. Nothing can be judged by these numbers.**\n"


def main() -> None:
    """Measure, and write the page and its figure; a part of it, or a quick look, is printed unless told where to."""
    arguments = _parser().parse_args()
    partial = arguments.quick or arguments.only
    page = arguments.out or (None if partial else PAGE)
    settings = Settings(
        data=arguments.data or Path(os.environ.get("NTI7FLOW_SHARED_DATA") or shared_data()),
        template=arguments.template,
        only=arguments.only or list(PARTS),
        size=QUICK if arguments.quick else FULL,
        jobs=arguments.jobs,
    )
    results = _with_progress(settings)
    figure = ""
    if page is not None:
        picture = REPOSITORY / "docs" / "images" / FIGURE if page == PAGE else page.with_name(FIGURE)
        draw(results, picture)
        figure = os.path.relpath(picture, page.parent)
    text = write_report(results, figure=figure, notes=[_QUICK_NOTE] if arguments.quick else [])
    if page is None:
        print(text)
    else:
        page.write_text(text, encoding="utf-8", newline="\n")
        print(f"{page} and {FIGURE} are written.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description="How right the gates are.")
    parser.add_argument("--quick", action="store_true", help="a few events of a few tubes, to see that all of it runs")
    parser.add_argument("--data", type=Path, metavar="DIR", help="reference data, instead of ../shared/data")
    parser.add_argument(
        "--only", action="append", choices=list(PARTS), metavar="NAME", help=f"one of {', '.join(PARTS)}"
    )
    parser.add_argument("--template", default="tbnk", help="for simulated tubes and the perturbed one (tbnk)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write; the figure goes beside it")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="worker processes")
    return parser


def _with_progress(settings: Settings) -> Results:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {name: progress.add_task(name, total=1.0, what="") for name in settings.only}

        def step(part: str, what: str, share: float) -> None:
            for name in list(tasks)[: list(tasks).index(part)]:
                progress.update(tasks[name], completed=1.0, what="")
            progress.update(tasks[part], completed=share, what=what[:50])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results = measure(settings, step)
        for task in tasks.values():
            progress.update(task, completed=1.0, what="")
    return results


if __name__ == "__main__":
    main()

"""Pictures of a run, drawn from what it stored: the events are not needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from nti7flow.study.store import Run, open_run


def draw_sample(run: Run, sample: str, folder: Path) -> Path:
    """Draw the gating tree of one sample into ``folder/<sample>.png`` and return the path."""
    from nti7flow import plot

    rows = [row for row in run.arrow("counts").to_pylist() if row["sample"] == sample]
    counts = [SimpleNamespace(**row) for row in rows]
    figure = plot.gating_tree(
        run.strategy(sample),
        run.panels(sample),
        counts,
        title=sample,
        subtitle=f"{rows[0]['file']} · {rows[0]['template']}",
    )
    path = folder / f"{sample}.png"
    plot.save_png(figure, path)
    return path


def draw_from(run_folder: Path, sample: str) -> Path:
    """Draw one sample of a run folder; what a worker process is given."""
    folder = run_folder / "figures"
    folder.mkdir(exist_ok=True)
    return draw_sample(open_run(run_folder), sample, folder)

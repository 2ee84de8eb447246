"""Pictures of a run, drawn from what it stored: the events are not needed."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

from nti7flow.study.by_strategy import MOST_DRAWN
from nti7flow.study.count_figures import forget_counted
from nti7flow.study.store import Run, open_run

logger = logging.getLogger(__name__)


def draw_sample(run: Run, sample: str, folder: Path) -> Path:
    """Draw the gating tree of one sample into ``folder/<sample>.png`` and return the path."""
    from nti7flow import plot
    from nti7flow.plot.figure import boxes_for_missing_letters

    rows = run.rows("counts", sample)
    counts = [SimpleNamespace(**row) for row in rows]
    strategy = run.strategy(sample)
    most = MOST_DRAWN if "strategy" in run.step()["recipe"] else len(strategy.populations)
    shown = replace(strategy, populations=strategy.populations[:most])
    path = folder / f"{sample}.png"
    flags = [flag for entry in run.step()["inputs"] if entry["sample"] == sample for flag, _ in entry.get("flags", [])]
    review = f"for review: {', '.join(flags)} · " if flags else ""
    n_all = len(strategy.populations)
    part = f" · the first {most} of {n_all:,} populations" if n_all > most else ""
    with boxes_for_missing_letters():
        figure = plot.gating_tree(
            shown,
            run.panels(sample),
            counts[:most],
            title=sample,
            subtitle=f"{review}{rows[0]['file']} · {rows[0]['template']}{part}",
        )
        plot.save_png(figure, path)
    return path


@lru_cache(maxsize=1)
def _opened(run_folder: Path, index: bytes) -> Run:
    """Open a run once for all pictures of a worker: its files are hashed when first read. A new index is a new run."""
    return open_run(run_folder)


def draw_from(run_folder: Path, sample: str) -> Path | None:
    """Draw one sample of a run folder; what a worker process is given. The counts are stored: no picture, no harm."""
    folder = run_folder / "figures"
    try:
        folder.mkdir(exist_ok=True)
        run = _opened(run_folder, (run_folder / "run.json").read_bytes())
        if not run.strategy(sample).populations:
            return None  # a sample of a workspace that nobody gated
        return draw_sample(run, sample, folder)
    except Exception as error:
        logger.warning("%s: no picture could be drawn (%s: %s)", sample, type(error).__name__, error)
        return None


def forget_pictures(run_folder: Path) -> None:
    """Remove the pictures of earlier steps: beside the newest counts they would show gates that did not make them."""
    forget_counted(run_folder)
    folder = run_folder / "figures"
    with suppress(OSError):  # there are none, or something else lives there
        for strategy in run_folder.glob("steps/*/strategies/*.json"):
            (folder / f"{strategy.stem}.png").unlink(missing_ok=True)
        folder.rmdir()

"""Replay: apply the stored strategies to the files again and compare every bit and every byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nti7flow.counting.fractions import count_populations
from nti7flow.errors import FcsError, StoreError
from nti7flow.events.fcs import read_fcs
from nti7flow.gating.strategy import GatingStrategy, Members
from nti7flow.study.store import Run
from nti7flow.study.tables import COUNTS, arrow_table, csv_text
from nti7flow.study.tube import count_values, pack_all


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    ``counts_csv`` is the table of counts made anew; ``differences`` and ``missing`` are empty when the run was
    reproduced.
    """

    n_samples: int
    n_counts: int
    differences: tuple[str, ...]
    missing: tuple[str, ...]
    counts_csv: str

    @property
    def identical(self) -> bool:
        """Whether every count of every sample was reproduced exactly."""
        return not self.differences and not self.missing


def replay(run: Run, *, data: Path | None = None) -> ReplayReport:
    """Reproduce every count of a run from its stored strategies.

    Parameters
    ----------
    run : Run
        The run.
    data : Path, optional
        Folder to look for the files in, where they are no longer at their recorded place; they are known by SHA-256.
    """
    sources = {entry["sample"]: (run.path / entry["path"]).resolve() for entry in run.step()["inputs"]}
    stored: dict[str, list[dict[str, Any]]] = {}
    for row in run.arrow("counts").to_pylist():
        stored.setdefault(row["sample"], []).append(row)
    bits = {(row["sample"], row["population"]): row["bits"] for row in run.arrow("memberships").to_pylist()}
    rows: list[dict[str, Any]] = []
    differences, missing = [], []
    for sample, before in stored.items():
        strategy = run.strategy(sample)
        try:
            members = _apply(strategy, sources[sample], data)
        except (FcsError, StoreError) as error:
            missing.append(f"{sample}: {error}")
            rows.extend(before)
            continue
        counts = {count.population: count_values(count) for count in count_populations(strategy, members)}
        packed = pack_all(members)
        for row in before:
            now = row | counts[row["population"]]
            rows.append(now)
            if now != row or packed[row["population"]] != bits[sample, row["population"]]:
                differences.append(
                    f"{sample}, {row['population']}: {row['n_events']} events stored, {now['n_events']} now"
                )
    text = csv_text(arrow_table(COUNTS, rows))
    if not differences and not missing and text.encode() != run.file("counts.csv").read_bytes():
        differences.append("counts.csv: the text differs although every number agrees")
    return ReplayReport(len(stored), len(rows), tuple(differences), tuple(missing), text)


def _apply(strategy: GatingStrategy, source: Path, data: Path | None) -> Members:
    for path in _candidates(strategy, source, data):
        sample = read_fcs(path, data_set=strategy.data_set)
        if sample.sha256 == strategy.sha256:
            return strategy.apply(sample)
    where = f"{source}" + (f" or below {data}" if data is not None else "")
    raise StoreError(f"no file with SHA-256 {strategy.sha256[:12]}… at {where}; say where it is with --data FOLDER.")


def _candidates(strategy: GatingStrategy, source: Path, data: Path | None) -> list[Path]:
    """Files that may be the one a strategy was made for: the recorded one, then any of that name, then any at all."""
    found = [source] if source.is_file() else []
    if data is not None:
        below = sorted(p for p in data.rglob("*") if p.is_file() and p.suffix.lower() == source.suffix.lower())
        found += [p for p in below if p.name == source.name] + [p for p in below if p.name != source.name]
    return found

"""Replay: apply the stored strategies to the files again and compare every bit and every byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nti7flow.counting.fractions import count_populations
from nti7flow.errors import ConfigError, FcsError, StoreError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.sample import Sample
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.study.plan import SUFFIXES
from nti7flow.study.store import Run
from nti7flow.study.tables import COUNTS, arrow_table, csv_text
from nti7flow.study.tube import count_values, pack_all


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    ``counts_csv`` is the table of counts made anew, without the samples of ``missing``, whose files were not found;
    ``differences`` and ``missing`` are empty when the run was reproduced.
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

    Raises
    ------
    StoreError
        Something in the run, or the counts.csv beside it, was altered after it was written.
    ConfigError
        ``data`` is not a folder.
    """
    if data is not None and not data.is_dir():
        raise ConfigError(f"{data}: no such folder; --data names the folder in which the FCS files are now.")
    _check_files(run)
    sources = {entry["sample"]: (run.path / entry["path"]).resolve() for entry in run.step()["inputs"]}
    stored: dict[str, list[dict[str, Any]]] = {}
    for row in run.arrow("counts").to_pylist():
        stored.setdefault(row["sample"], []).append(row)
    files = _Files(data)
    rows: list[dict[str, Any]] = []
    differences, missing = [], []
    for sample, before in stored.items():
        strategy = run.strategy(sample)
        try:
            members = strategy.apply(files.find(strategy, sources[sample]))
        except (FcsError, StoreError) as error:
            missing.append(f"{sample}: {error}")
            continue
        counts = {count.population: count_values(count) for count in count_populations(strategy, members)}
        packed = pack_all(members)
        bits = run.bits(sample)
        for row in before:
            now = row | counts[row["population"]]
            rows.append(now)
            if now != row or packed[row["population"]] != bits[row["population"]]:
                differences.append(
                    f"{sample}, {row['population']}: {row['n_events']} events stored, {now['n_events']} now"
                )
    text = csv_text(arrow_table(COUNTS, rows))
    if not differences and not missing and text.encode() != run.file("counts.csv").read_bytes():
        differences.append("counts.csv: the text differs although every number agrees")
    return ReplayReport(len(stored), len(rows), tuple(differences), tuple(missing), text)


def _check_files(run: Run) -> None:
    """Refuse a run of which any file, or the counts.csv that people read, is not as it was written."""
    for name in run.step()["files"]:
        run.file(name)
    copy, stored = run.path / "counts.csv", run.file("counts.csv")
    if copy.is_file() and copy.read_bytes() != stored.read_bytes():
        raise StoreError(f"{copy}: was altered after the run; the table as it was written is {stored}.")


class _Files:
    """FCS files known by SHA-256, each hashed once: where they were recorded, or below a folder."""

    def __init__(self, data: Path | None) -> None:
        self.data = data
        self.below = sorted(path for path in data.rglob("*") if path.is_file()) if data is not None else []
        self.hashes: dict[Path, str] = {}

    def find(self, strategy: GatingStrategy, source: Path) -> Sample:
        """Read the file that a strategy was made for, wherever it is."""
        for path in self._candidates(source):
            if self._hash(path) == strategy.sha256:
                return read_fcs(path, data_set=strategy.data_set)
        where = f"{source}" + (f" or below {self.data}" if self.data is not None else "")
        raise StoreError(
            f"no file with SHA-256 {strategy.sha256[:12]}… at {where}; say where it is with --data FOLDER."
        )

    def _candidates(self, source: Path) -> Iterator[Path]:
        """Likeliest first: the recorded file, then any of that name, then any of that kind."""
        if source.is_file():
            yield source
        yield from (path for path in self.below if path.name == source.name)
        alike = (source.suffix.lower(), *SUFFIXES)
        yield from (path for path in self.below if path.name != source.name and path.suffix.lower() in alike)

    def _hash(self, path: Path) -> str:
        if path not in self.hashes:
            try:
                with path.open("rb") as stream:
                    self.hashes[path] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:  # not readable: not the file that is looked for
                self.hashes[path] = ""
        return self.hashes[path]

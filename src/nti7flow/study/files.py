"""`RunFiles`: the FCS files a run was made of, wherever they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from nti7flow.errors import ConfigError, StoreError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.sample import Sample
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.study.folders import SUFFIXES
from nti7flow.study.store import Run


class RunFiles:
    """FCS files known by SHA-256, each hashed once: where they were recorded, or below a folder.

    Parameters
    ----------
    run : Run
        The run.
    data : Path, optional
        Folder to look for the files in, where they are no longer at their recorded place.

    Raises
    ------
    ConfigError
        ``data`` is not a folder.
    """

    def __init__(self, run: Run, *, data: Path | None = None) -> None:
        if data is not None and not data.is_dir():
            raise ConfigError(f"{data}: no such folder; --data names the folder in which the FCS files are now.")
        self.data = data
        self.inputs = {entry["sample"]: entry for entry in run.step()["inputs"]}
        self.repair = run.step()["recipe"].get("repair", "safe")
        self.run_folder = run.path
        self.below = sorted(path for path in data.rglob("*") if path.is_file()) if data is not None else []
        self.hashes: dict[Path, str] = {}

    def read(self, sample: str, strategy: GatingStrategy) -> Sample:
        """Read the file that the strategy of a sample was made for, as the run read it."""
        source = (self.run_folder / self.inputs[sample]["path"]).resolve()
        for path in self._candidates(source):
            if self._hash(path) == strategy.sha256:
                return read_fcs(path, data_set=strategy.data_set, repair=self.repair)
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

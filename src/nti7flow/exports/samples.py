"""Which samples of a run an export is for, and where it goes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nti7flow.errors import ConfigError, StoreError, did_you_mean
from nti7flow.events.fcs.writer import whole_file
from nti7flow.study.store import Run


def wanted_samples(run: Run, samples: Iterable[str] | None) -> list[str]:
    """Return the samples to export, sorted: all of the run, refused ones too, or those that are named.

    Raises
    ------
    ConfigError
        The run has no such sample.
    """
    known = [*run.samples, *run.refused]
    wanted = known if samples is None else list(dict.fromkeys(samples))
    for sample in wanted:
        if sample not in known:
            raise ConfigError(f"{run.path}: no sample '{sample}'.{did_you_mean(sample, known)}")
    return sorted(wanted)


def out_folder(out: str | Path) -> Path:
    """Return the folder for exported files; raises `ConfigError` where it is something else."""
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder; --out names the folder for the exported files.")
    return folder


def check_gated(run: Run, sample: str) -> None:
    """Raise `StoreError` saying why a sample of the run has no gates, where it was refused."""
    if sample in run.refused:
        raise StoreError(f"was refused when the run was made: {run.refused[sample]}")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all, and its folder if need be.

    Raises
    ------
    StoreError
        Something is there.
    """
    if path.exists() or path.is_symlink():
        raise StoreError(f"{path}: exists already and is not replaced; remove it or choose another --out.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(content)

"""``export_population``: the events of one gated population, as FCS files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nti7flow.errors import ConfigError, FcsError, StoreError, did_you_mean
from nti7flow.events.fcs import write_fcs
from nti7flow.exports.samples import check_gated, out_folder, wanted_samples
from nti7flow.study.files import RunFiles
from nti7flow.study.store import Run

#: What a file is not named with: separators of folders, and what some systems forbid.
UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class ExportedSample:
    """One file that was written: the sample, where, and how many events."""

    sample: str
    path: Path
    n_events: int


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did: the files written, and why each other sample has none."""

    exported: tuple[ExportedSample, ...]
    refused: Mapping[str, str]


def export_population(
    run: Run,
    population: str,
    out: str | Path,
    *,
    samples: Iterable[str] | None = None,
    data: str | Path | None = None,
    done: Callable[[str], None] = lambda sample: None,
) -> ExportReport:
    """Write the events of a population of every sample of a run as FCS files, ``SAMPLE_POPULATION.fcs``.

    Values are raw, as `write_fcs` writes them: not compensated, not transformed. All keywords of the source are kept,
    personal data among them, and ``NTI7FLOW`` keywords say what the events are: population, path of gates, template,
    status, flags and severity as in the table of counts, sample, and SHA-256 and data set of the source.

    The memberships are those the run stored; the source is the file with the SHA-256 the run recorded. A sample in
    which the population has no gate gets no file: an empty one would look like no cells.

    Parameters
    ----------
    run : Run
        The run, from `open_run`.
    population : str
        Id of the population, such as ``cd4_t``.
    out : str or Path
        Folder for the files, made if need be. A file that is there already is never replaced.
    samples : iterable of str, optional
        Samples to export; all of the run by default.
    data : str or Path, optional
        Folder to look for the source files in, where they have moved; they are known by SHA-256.
    done : callable
        Told the name of each sample that is finished.

    Returns
    -------
    ExportReport
        What was written, and the samples that were refused, each with the reason.

    Raises
    ------
    ConfigError
        The run has no such population or sample, or ``data`` or ``out`` is no folder.
    StoreError
        The run was altered after it was written.

    Examples
    --------
    >>> import nti7flow as nf
    >>> run = nf.open_run("runs/first")  # doctest: +SKIP
    >>> nf.export_population(run, "cd4_t", "for_flowjo").refused  # doctest: +SKIP
    {}
    """
    out = out_folder(out)
    wanted = wanted_samples(run, samples)
    counts = {(row["sample"], row["population"]): row for row in run.arrow("counts").to_pylist()}
    known = list(dict.fromkeys(name for _, name in counts))
    if population not in known:
        raise ConfigError(
            f"{run.path}: no population '{population}'; the run has {', '.join(known)}."
            + did_you_mean(population, known)
        )
    files = RunFiles(run, data=None if data is None else Path(data))
    exported: list[ExportedSample] = []
    refused: dict[str, str] = {}
    for sample in wanted:
        try:
            exported.append(_export(run, files, sample, counts.get((sample, population)), population, out))
        except (FcsError, StoreError) as error:
            refused[sample] = str(error)
        except OSError as error:
            refused[sample] = f"{error.filename or out}: cannot be written: {error.strerror or error}."
        done(sample)
    return ExportReport(tuple(exported), refused)


def _export(
    run: Run, files: RunFiles, sample: str, count: dict[str, Any] | None, population: str, out: Path
) -> ExportedSample:
    """Write the file of one sample, or raise saying why there can be none."""
    check_gated(run, sample)
    strategy = run.strategy(sample)
    if count is None:
        raise StoreError(f"template {strategy.template}, with which it was gated, has no population '{population}'.")
    members = run.membership(sample, population)
    if members is None:
        flags = f" ({count['flags']})" if count["flags"] else ""
        raise StoreError(
            f"{population} has no gate here, so its events are not known: status {count['status']}{flags}. No file is "
            "written, because an empty one would look like no cells."
        )
    # Of a strategy made elsewhere an id may be a path of populations, or hold anything else.
    path = out / f"{sample}_{UNSAFE.sub('_', population)}.fcs"
    if path.exists() or path.is_symlink():
        raise StoreError(f"{path}: exists already and is not replaced; remove it or choose another --out.")
    tube = files.read(sample, strategy)
    n_events = int(members.sum())
    if (tube.sha256, tube.n_events, n_events) != (strategy.sha256, len(members), count["n_events"]):
        raise StoreError(
            f"{tube.path}: {n_events:,} of {tube.n_events:,} events found, {count['n_events']:,} of {len(members):,} "
            "counted; the file and the run do not belong together."
        )
    out.mkdir(parents=True, exist_ok=True)
    try:
        write_fcs(replace(tube, keywords={**tube.keywords, **_origin(count)}), path, rows=members)
    except ValueError as error:  # values that FCS cannot hold as floating-point numbers
        raise StoreError(f"{error}.") from None
    return ExportedSample(sample, path, n_events)


def _origin(count: Mapping[str, Any]) -> dict[str, str]:
    """Keywords that say what the events are and where they come from."""
    return {
        f"NTI7FLOW {name.replace('_', ' ').upper()}": str(count[column])
        for name, column in (
            ("population", "population"),
            ("path", "path"),
            ("template", "template"),
            ("status", "status"),
            ("flags", "flags"),
            ("severity", "severity"),
            ("sample", "sample"),
            ("source_sha256", "sha256"),
            ("source_data_set", "data_set"),
            ("source_events", "n_total"),
        )
        if count[column] not in (None, "")  # FCS has no empty values
    }

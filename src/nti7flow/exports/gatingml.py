"""``export_gatingml``: the gates of every sample of a run, as Gating-ML 2.0 documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nti7flow.errors import StoreError, StrategyError
from nti7flow.exports.samples import check_gated, out_folder, wanted_samples, write_new
from nti7flow.interop.gatingml.writer import gatingml_bytes
from nti7flow.study.store import Run

#: Gates without a Gating-ML form that are listed for a sample.
LISTED = 5


@dataclass(frozen=True, slots=True)
class ExportedStrategy:
    """One document that was written: the sample, where, how many populations, and which have no gate to be written."""

    sample: str
    path: Path
    n_populations: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StrategiesReport:
    """What an export did: the documents written, and why each other sample has none."""

    exported: tuple[ExportedStrategy, ...]
    refused: Mapping[str, str]


def export_gatingml(
    run: Run,
    out: str | Path,
    *,
    samples: Iterable[str] | None = None,
    done: Callable[[str], None] = lambda sample: None,
) -> StrategiesReport:
    """Write the gates of every sample of a run as Gating-ML 2.0, ``SAMPLE.gating-ml.xml``.

    Each sample has gates of its own, so each has a document of its own. Gates are written as the run stored them:
    data-driven ones as the plain geometry they became, with the sample's spillover matrix. FlowKit reads them and
    counts the same events; see `write_gatingml` for what Gating-ML cannot say as it is. No FCS file is needed.

    A population that has no gate in a sample (failed, absent, not in the panel), and what rests on it, has no geometry.
    It is left out of the gates and kept in the document's ``custom_info``.

    Parameters
    ----------
    run : Run
        The run, from `open_run`.
    out : str or Path
        Folder for the files, made if need be. A file that is there already is never replaced.
    samples : iterable of str, optional
        Samples to export; all of the run by default.
    done : callable
        Told the name of each sample that is finished.

    Returns
    -------
    StrategiesReport
        What was written, and the samples that were refused, each with the reason.

    Raises
    ------
    ConfigError
        The run has no such sample, or ``out`` is no folder.
    StoreError
        The run was altered after it was written.

    Examples
    --------
    >>> import nti7flow as nf
    >>> run = nf.open_run("runs/first")  # doctest: +SKIP
    >>> nf.export_gatingml(run, "for_flowkit").refused  # doctest: +SKIP
    {}
    """
    folder = out_folder(out)
    exported: list[ExportedStrategy] = []
    refused: dict[str, str] = {}
    for sample in wanted_samples(run, samples):
        try:
            exported.append(_export(run, sample, folder))
        except StrategyError as error:
            refused[sample] = f"cannot be said in Gating-ML: {_listed(error.problems)}."
        except StoreError as error:
            refused[sample] = str(error)
        except OSError as error:
            refused[sample] = f"{error.filename or folder}: cannot be written: {error.strerror or error}."
        done(sample)
    return StrategiesReport(tuple(exported), refused)


def _export(run: Run, sample: str, folder: Path) -> ExportedStrategy:
    """Write the document of one sample, or raise saying why there can be none."""
    check_gated(run, sample)
    strategy = run.strategy(sample)
    content = gatingml_bytes(strategy)
    written = {population.id for population in strategy.counted}
    left_out = tuple(p.id for p in strategy.populations if p.id not in written)
    path = folder / f"{sample}.gating-ml.xml"
    write_new(path, content)
    return ExportedStrategy(sample, path, len(written), left_out)


def _listed(problems: tuple[str, ...]) -> str:
    more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    return "; ".join(problems[:LISTED]) + more

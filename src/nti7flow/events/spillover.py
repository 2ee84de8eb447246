"""`Spillover`: the matrix that says how much of each dye every detector sees."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import MissingSpillover, SpilloverError, did_you_mean
from nti7flow.events.markers import strip_prefix
from nti7flow.events.panel import Panel
from nti7flow.events.sample import Sample

KEYWORDS = ("$SPILLOVER", "SPILLOVER", "$SPILL", "SPILL", "$COMP", "COMP")
#: A matrix with a larger condition number than this cannot be inverted to any useful accuracy.
SINGULAR = 1e6
#: Above this the inverse amplifies noise so much that dim populations drown.
CONDITION_LIMIT = 30.0


@dataclass(frozen=True, eq=False)
class Spillover:
    """How much of each dye every detector sees.

    Attributes
    ----------
    detectors : tuple of str
        Names of the d detectors ($PnN).
    matrix : ndarray of float64, shape (d, d)
        Row: dye; column: detector. The diagonal is 1: a dye's own detector sees it whole.
    source : str
        ``keyword``, the path of a CSV, or ``none`` (declared: nothing to compensate; d = 0).
    """

    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        d = len(self.detectors)
        matrix = np.array(self.matrix, np.float64) if d else np.empty((0, 0))
        if matrix.shape != (d, d):
            shape = " × ".join(map(str, matrix.shape))
            raise SpilloverError(f"spillover ({self.source}): {shape} numbers for {d} detectors; it must be square.")
        if len(set(self.detectors)) != d:
            raise SpilloverError(f"spillover ({self.source}): a detector stands twice: {', '.join(self.detectors)}.")
        diagonal = matrix.diagonal()
        if (diagonal <= 0).any():
            bad = self.detectors[int(np.argmin(diagonal))]
            raise SpilloverError(
                f"spillover ({self.source}): the diagonal at {bad} is {diagonal.min():g}; it must be positive."
            )
        # Percent matrices and unscaled ones become unit-diagonal: only the ratios along a row mean anything.
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = matrix / diagonal[:, None]
        if not np.isfinite(matrix).all():
            raise SpilloverError(f"spillover ({self.source}): holds values that are not finite numbers.")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)
        if self.condition_number > SINGULAR:
            raise SpilloverError(
                f"spillover ({self.source}): the matrix is singular (condition number {self.condition_number:.3g}): "
                "two dyes have the same spectrum. Recompute it from the single stains, or give another with "
                "--spillover PATH."
            )

    @cached_property
    def condition_number(self) -> float:
        """Ratio of largest to smallest singular value; 1 for no spillover, above 30 noise is amplified a lot."""
        if not self.detectors:
            return 1.0
        singular = np.linalg.svd(self.matrix, compute_uv=False)
        with np.errstate(over="ignore"):
            return float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")

    @cached_property
    def compensation(self) -> NDArray[np.float64]:
        """Inverse of the matrix: compensated = raw @ compensation."""
        inverse = np.asarray(np.linalg.inv(self.matrix), np.float64)
        inverse.flags.writeable = False
        return inverse

    @classmethod
    def none(cls) -> Spillover:
        """Declare that there is nothing to compensate."""
        return cls((), np.empty((0, 0)), "none")

    @classmethod
    def from_keyword(cls, sample: Sample) -> Spillover | None:
        """Read the matrix stored in the file, or None where there is none.

        Raises
        ------
        SpilloverError
            It is malformed, names unknown detectors, is singular, or two keywords disagree.
        """
        found = {key: sample.keywords[key] for key in KEYWORDS if sample.keywords.get(key, "").strip()}
        found = {key: text for key, text in found.items() if any(c.isdigit() for c in text)}
        parsed = [(key, cls._parse(key, text)) for key, text in found.items()]
        for key, other in parsed[1:]:
            first = parsed[0][1]
            if other.detectors != first.detectors or not np.allclose(other.matrix, first.matrix, rtol=0, atol=1e-9):
                raise SpilloverError(
                    f"keywords {parsed[0][0]} and {key} hold different matrices. Say which is meant: "
                    "write it to a CSV and give it with --spillover PATH."
                )
        return parsed[0][1].for_panel(sample.panel) if parsed else None

    @classmethod
    def _parse(cls, key: str, text: str) -> Spillover:
        separator = next((s for s in (";", "\t") if s in text), ",")
        tokens = [token.strip() for token in text.split(separator)]
        if separator != ",":  # European programs: semicolons between, commas inside numbers
            tokens = tokens[:1] + [token.replace(",", ".") for token in tokens[1:]]
        try:
            d = int(tokens[0])
            names, numbers = tokens[1 : 1 + d], [float(token) for token in tokens[1 + d :]]
        except ValueError:
            raise SpilloverError(
                f"keyword {key} does not hold a number where one is expected: {text[:60]!r}."
            ) from None
        if d < 1 or len(names) != d or len(numbers) != d * d:
            raise SpilloverError(
                f"keyword {key} announces {d} detectors, so {d * d} numbers were expected; found {len(numbers)}. "
                "Give the matrix as a CSV with --spillover PATH."
            )
        return cls(tuple(names), np.array(numbers).reshape(d, d), "keyword")

    @classmethod
    def from_csv(cls, path: str | Path) -> Spillover:
        """Read a matrix whose header row names the detectors; a first column of names is allowed.

        Names may be those of FlowJo exports ("FITC-A :: CD3", "Comp-FITC-A"). Commas, semicolons or tabs separate.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise SpilloverError(
                f"{path}: no such spillover file. --spillover takes a CSV path, 'keyword' or 'none'."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise SpilloverError(f"{path}: cannot be read as a CSV: {error}.") from None
        first = text.splitlines()[0] if text.strip() else ""
        separator = next((s for s in ("\t", ";", ",") if s in first), ",")
        try:
            lines = list(csv.reader(text.splitlines(), delimiter=separator))
        except csv.Error as error:
            raise SpilloverError(f"{path}: cannot be read as a CSV: {error}.") from None
        rows = [row for row in lines if any(cell.strip() for cell in row)]
        if len(rows) < 2:
            raise SpilloverError(f"{path}: is empty; a header row of detectors and one row per dye were expected.")
        header, body = [cell.strip() for cell in rows[0]], rows[1:]
        named = header[0] == "" or all(len(row) == len(header) + 1 for row in body) or not _is_number(body[0][0])
        names = [name for name in (header[1:] if named and len(body[0]) == len(header) else header) if name]
        cells = [row[1:] if named else row for row in body]
        try:
            numbers = [[float(cell.strip().replace(",", ".")) for cell in row if cell.strip()] for row in cells]
            matrix = np.array(numbers, np.float64)
        except ValueError:
            raise SpilloverError(f"{path}: holds a cell that is not a number, or rows of different length.") from None
        if matrix.ndim != 2 or matrix.shape != (len(names), len(names)):
            raise SpilloverError(f"{path}: {len(body)} rows for {len(names)} detectors; the matrix must be square.")
        if named:
            rows_named = [_plain(row[0]) for row in body]
            columns = [_plain(name) for name in names]
            if sorted(rows_named) != sorted(columns):
                raise SpilloverError(
                    f"{path}: its rows are named {', '.join(rows_named)}, its columns {', '.join(columns)}."
                )
            matrix = matrix[[rows_named.index(column) for column in columns]]
        return cls(tuple(_plain(name) for name in names), matrix, str(path))

    def for_panel(self, panel: Panel) -> Spillover:
        """Return the matrix with detectors named as in the panel; raises where a detector is missing there."""
        detectors = [channel.detector for channel in panel.channels]
        names = {strip_prefix(name)[0]: name for name in detectors} | {name: name for name in detectors}
        missing = [d for d in self.detectors if d not in names]
        if missing:
            raise SpilloverError(
                f"spillover ({self.source}): detector {', '.join(missing)} is not in the tube, which has "
                f"{', '.join(detectors)}." + did_you_mean(missing[0], names)
            )
        return Spillover(tuple(names[d] for d in self.detectors), self.matrix, self.source)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {"detectors": list(self.detectors), "matrix": self.matrix.tolist(), "source": self.source}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Spillover:
        """Rebuild from `to_dict`."""
        detectors: Sequence[str] = data["detectors"]  # type: ignore[assignment]
        return cls(tuple(detectors), np.array(data["matrix"], np.float64), str(data["source"]))

    def __repr__(self) -> str:
        return f"<Spillover {len(self.detectors)} detectors from {self.source}, condition {self.condition_number:.3g}>"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    """Return the detector of a FlowJo-style name: ``Comp-FITC-A :: CD3`` is ``FITC-A``."""
    return strip_prefix(name.split("::")[0].strip())[0]


def _check_all_compensated(sample: Sample) -> None:
    """Refuse a tube of which only some channels say they are compensated, where its own matrix names the others."""
    try:
        stored = Spillover.from_keyword(sample)
    except SpilloverError:
        return  # a matrix that nothing will be done with
    done = {strip_prefix(c.detector)[0] for c in sample.panel.channels if c.precompensated}
    left = [name for name in (stored.detectors if stored else ()) if strip_prefix(name)[0] not in done]
    if stored is not None and left and len(left) < len(stored.detectors):
        raise SpilloverError(
            f"{sample.path}: some channels are named as compensated (Comp-), but {', '.join(left)} of the spillover "
            "keyword not. Export the tube with all channels raw or all compensated."
        )


def spillover_for(sample: Sample, choice: str) -> Spillover:
    """Return the spillover matrix of a sample for ``keyword``, ``none`` or the path of a CSV.

    Raises
    ------
    MissingSpillover
        ``keyword``, but the file has none and its channels do not say they are compensated already.
    SpilloverError
        The matrix cannot be used.
    """
    if choice == "none":
        return Spillover.none()
    given = None if choice == "keyword" else Spillover.from_csv(choice)
    if given is None and any(channel.precompensated for channel in sample.panel.channels):
        # "Comp-FITC-A": compensated or unmixed when written, and never to be compensated twice.
        _check_all_compensated(sample)
        return Spillover((), np.empty((0, 0)), "already compensated")
    try:
        stored = given.for_panel(sample.panel) if given else Spillover.from_keyword(sample)
    except SpilloverError as error:
        raise SpilloverError(f"{sample.path}: {error}") from None
    if stored is None:
        raise MissingSpillover(
            f"{sample.path}: holds no spillover keyword ({', '.join(KEYWORDS[:4])}). Give the matrix with --spillover "
            "PATH.csv, or declare with --spillover none that there is nothing to compensate."
        )
    return stored

"""The run folder: immutable steps, written whole or not at all, and `Run` to read them.

``run.json`` is the index. Each step lies in ``steps/NN-name/`` with its tables and a ``step.json`` that holds the hash
of each of its files and of the step before. Nothing in it tells when or on how many workers it was made: the same
recipe on the same files gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nti7flow.errors import StoreError, did_you_mean, printable
from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.study.tables import (
    AT_TOP,
    STORED_COUNTS,
    TABLES,
    Table,
    arrow_schema,
    arrow_table,
    csv_text,
    split_ids,
    to_frame,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

RUN_SCHEMA = "nti7flow/run/1"
STEP_SCHEMA = "nti7flow/step/1"
_STEP_NAME = re.compile(r"\d\d+-[a-z]+")
_LEFTOVER = re.compile(r"\..+\.tmp")


def canonical_json(value: object) -> str:
    """JSON whose bytes depend on the value alone."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


class StepWriter:
    """Writes one step beside its final place and moves it there when it is complete.

    Use as a context manager; on an error nothing of the step remains. Tables that grow with the study are written
    tube by tube.
    """

    def __init__(self, run: Path, name: str) -> None:
        self.run = run
        self.name = name
        _read_index(run)  # a folder that cannot take a step is refused before any work is done
        self.folder = _beside(run / "steps" / name)
        self._made: list[Path] = []
        self._growing: dict[str, Any] = {}
        self._rows: dict[str, list[Mapping[str, Any]]] = {}

    def __enter__(self) -> StepWriter:
        try:
            for folder in reversed((self.folder, *self.folder.parents)):
                with suppress(FileExistsError):
                    folder.mkdir()
                    self._made.append(folder)
        except BaseException as error:
            self._undo()
            if isinstance(error, OSError):
                raise self._unwritable(error) from None
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for writer in self._growing.values():
            with suppress(OSError):  # the disk is full: there is nothing to keep
                writer.close()
        self._undo()
        if isinstance(error, OSError):
            raise self._unwritable(error) from None

    def _undo(self) -> None:
        """Remove what was written and the folders made for it; after a commit there is nothing to remove."""
        if self._made and self._made[-1] == self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        for folder in reversed(self._made):
            with suppress(OSError):  # not empty: a step, or something else, lives there
                folder.rmdir()

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"{self.run}: cannot be written: {error.strerror or error}.")

    def add_rows(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Collect rows of a table that people read."""
        self._rows.setdefault(table.name, []).extend(rows)

    def append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of a large table at once, as a row group of their own."""
        import pyarrow.parquet as pq

        if table.name not in self._growing:
            path = self.folder / f"{table.name}.parquet"
            self._growing[table.name] = pq.ParquetWriter(path, arrow_schema(table), compression="zstd")
        if rows:
            self._growing[table.name].write_table(arrow_table(table, rows))

    def add_strategy(self, sample: str, strategy: GatingStrategy) -> None:
        """Store the concrete gates of one sample."""
        folder = self.folder / "strategies"
        folder.mkdir(exist_ok=True)
        (folder / f"{sample}.json").write_text(canonical_json(strategy.to_dict()), encoding="utf-8", newline="\n")

    def commit(self, contents: Mapping[str, Any]) -> Path:
        """Write the tables and step.json, move the step into place and add it to the index."""
        for name in self._rows:
            _write_table(self.folder, TABLES[name], self._rows[name])
        for writer in self._growing.values():
            writer.close()
        self._growing.clear()
        hashes = {
            p.relative_to(self.folder).as_posix(): _sha256(p) for p in sorted(self.folder.rglob("*")) if p.is_file()
        }
        with _locked(self.run):
            return self._append({"schema": STEP_SCHEMA, "files": hashes, **contents})

    def _append(self, step: dict[str, Any]) -> Path:
        """Make the step the last one; its number and parent are those of this moment, whoever else wrote meanwhile."""
        before = _read_index(self.run)["steps"]
        step |= {"name": f"{len(before) + 1:02d}-{self.name}", "parent": before[-1]["sha256"] if before else None}
        (self.folder / "step.json").write_text(canonical_json(step), encoding="utf-8", newline="\n")
        for path in (*self.folder.rglob("*"), self.folder):
            _flush(path)
        final = self.folder.with_name(step["name"])
        if final.exists():  # of a process that died before it could write the index: put aside, never deleted
            final.rename(_beside(final))
        self.folder.rename(final)
        _flush(final.parent)
        try:
            entry = {"name": step["name"], "sha256": _sha256(final / "step.json")}
            _replace(self.run / "run.json", canonical_json({"schema": RUN_SCHEMA, "steps": [*before, entry]}))
        except OSError:
            shutil.rmtree(final, ignore_errors=True)
            raise
        for table in AT_TOP:
            name = f"{table.name}.csv"
            if table.name in self._rows:
                _replace(self.run / name, (final / name).read_text(encoding="utf-8"))
            elif self.name == "gate" and table.step != "gate":  # of older counts: it would mislead
                (self.run / name).unlink(missing_ok=True)
        return final


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """One writer at a time. The lock is the kernel's and goes with the process: a crash leaves none behind."""
    descriptor = os.open(run, os.O_RDONLY)
    try:
        with suppress(ImportError, OSError):  # not on this system, or not on this file system
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_table(folder: Path, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow.parquet as pq

    data = arrow_table(table, rows)
    pq.write_table(data, folder / f"{table.name}.parquet", compression="zstd")
    if table.csv:
        (folder / f"{table.name}.csv").write_text(csv_text(data), encoding="utf-8", newline="\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Make sure that a file or folder has reached the disk before something refers to it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, never half."""
    beside = _beside(path)
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        _flush(beside)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _read_index(run: Path) -> dict[str, Any]:
    """Index of a run folder; a new or empty folder has no steps. Anything else is refused."""
    path = run / "run.json"
    if not path.exists():
        if run.exists() and not (run.is_dir() and _only_leftovers(run)):
            raise StoreError(f"{run}: is not empty and not a run folder (no run.json); choose another --out.")
        return {"schema": RUN_SCHEMA, "steps": []}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}.") from None
    index: dict[str, Any] = content if isinstance(content, dict) else {}
    schema = index.get("schema")
    if schema != RUN_SCHEMA:
        raise StoreError(f"{path}: schema {schema!r}; this version reads {RUN_SCHEMA!r}.")
    steps = index.get("steps")
    if not (isinstance(steps, list) and all(map(_is_entry, steps))):
        raise StoreError(f"{path}: was altered after the run: it does not list steps with a name and a hash.")
    return index


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return False
    return _STEP_NAME.fullmatch(str(entry.get("name"))) is not None


def _only_leftovers(run: Path) -> bool:
    """Whether a folder holds nothing, or only what a process left that died while writing the first step."""
    inside = [path for path in run.iterdir() if path.name != "steps"]
    if (run / "steps").is_dir():
        inside += (run / "steps").iterdir()
    return all(_LEFTOVER.fullmatch(path.name) for path in inside)


def _beside(path: Path) -> Path:
    """Hidden name beside a path. Not made of the process number: in a container that is the same every time."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def open_run(path: str | Path) -> Run:
    """Open a run folder for reading.

    Raises
    ------
    StoreError
        It is not a run folder, or a step has been altered since it was written.
    """
    path = Path(path)
    if not (path / "run.json").is_file():
        raise StoreError(f"{path}: is not a run folder (no run.json). nti7flow gate writes one with --out.")
    return Run(path)


class Run:
    """A run folder, read-only: the newest tables as frames, memberships and strategies by sample.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = _read_index(path)
        self._checked: set[Path] = set()
        self._opened: dict[str, tuple[Path, dict[str, Any]]] = {}

    @property
    def steps(self) -> list[str]:
        """Names of the steps, oldest first."""
        return [entry["name"] for entry in self.index["steps"]]

    @property
    def kinds(self) -> frozenset[str]:
        """What its steps are: gate, count."""
        return frozenset(name.partition("-")[2] for name in self.steps)

    def step_folder(self, kind: str = "gate") -> Path:
        """Folder of the newest step of a kind, checked against its hash in the index."""
        return self._newest(kind)[0]

    def step(self, kind: str = "gate") -> dict[str, Any]:
        """Content of the step.json of the newest step of a kind."""
        return self._newest(kind)[1]

    def _newest(self, kind: str) -> tuple[Path, dict[str, Any]]:
        if kind in self._opened:
            return self._opened[kind]
        entries = self.index["steps"]
        number = next((i for i in reversed(range(len(entries))) if entries[i]["name"].partition("-")[2] == kind), None)
        if number is None:
            raise StoreError(f"{self.path}: holds no '{kind}' step; it has {', '.join(self.steps) or 'none'}.")
        folder = self.path / "steps" / entries[number]["name"]
        path = folder / "step.json"
        if not path.is_file() or _sha256(path) != entries[number]["sha256"]:
            raise StoreError(f"{path}: is missing or was altered after the run.")
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["parent"] != (entries[number - 1]["sha256"] if number else None):
            raise StoreError(
                f"{self.path / 'run.json'}: was altered after the run: the step before {folder.name} is not "
                "the one it was made after."
            )
        self._opened[kind] = folder, content
        return folder, content

    def file(self, name: str, kind: str = "gate") -> Path:
        """Path of a file of the newest step of a kind, checked against its recorded hash."""
        folder = self.step_folder(kind)
        expected = self.step(kind)["files"].get(name)
        if expected is None:
            raise StoreError(f"{folder}: has no {name}.")
        path: Path = folder / name
        if path not in self._checked and not (path.is_file() and _sha256(path) == expected):
            raise StoreError(f"{path}: is missing or was altered after the run.")
        self._checked.add(path)
        return path

    def has(self, table: str) -> bool:
        """Whether the newest gating stored a table: not every run has all of them."""
        return f"{table}.parquet" in self.step()["files"]

    def arrow(self, table: str) -> pa.Table:
        """One of the stored tables as Arrow.

        Raises
        ------
        StoreError
            It is not there, was altered, or is made of an older gating than the newest one.
        """
        import pyarrow.parquet as pq

        kind = TABLES[table].step
        if kind != "gate":
            self._check_current(kind)
        return pq.read_table(self.file(f"{table}.parquet", kind))

    def _check_current(self, kind: str) -> None:
        """Refuse what was made of counts that are no longer the newest."""
        made_of, newest = self.step(kind)["gating"], self.step_folder().name
        if made_of != newest:
            raise StoreError(
                f"{self.step_folder(kind)}: is made of {made_of}, and {newest} is newer; run nti7flow count "
                f"{self.path} again."
            )

    @property
    def is_counted(self) -> bool:
        """Whether there are concentrations of the newest gating."""
        return "count" in self.kinds and self.step("count")["gating"] == self.step_folder().name

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Events of every population in every tube."""
        return to_frame(self.arrow("counts"))

    @cached_property
    def concentrations(self) -> pd.DataFrame:
        """Cells per microlitre of every population in every specimen, with intervals."""
        return to_frame(self.arrow("concentrations"))

    @cached_property
    def budget(self) -> pd.DataFrame:
        """What makes each concentration uncertain."""
        return to_frame(self.arrow("budget"))

    @cached_property
    def acceptance(self) -> pd.DataFrame:
        """Acceptance checks of every specimen."""
        return to_frame(self.arrow("acceptance"))

    @cached_property
    def report_table(self) -> pd.DataFrame:
        """One row a specimen: the counts that are reported, with intervals and flags."""
        return to_frame(self.arrow("report_table"))

    @cached_property
    def gate_fits(self) -> pd.DataFrame:
        """How every data-driven gate was placed."""
        return to_frame(self.arrow("gate_fits"))

    @cached_property
    def quality(self) -> pd.DataFrame:
        """Checks of every tube."""
        return to_frame(self.arrow("quality"))

    @cached_property
    def stored_counts(self) -> pd.DataFrame:
        """Counts that a FlowJo workspace holds beside ours; empty where the gates are from elsewhere."""
        return to_frame(self.arrow("stored_counts") if self.has("stored_counts") else arrow_table(STORED_COUNTS, []))

    @property
    def samples(self) -> list[str]:
        """Names of the samples that were gated."""
        return [
            name[len("strategies/") : -len(".json")] for name in self.step()["files"] if name.startswith("strategies/")
        ]

    @property
    def refused(self) -> dict[str, str]:
        """Samples that could not be gated, and why."""
        return {entry["sample"]: entry["error"] for entry in self.step()["refused"]}

    def strategy(self, sample: str) -> GatingStrategy:
        """Return the concrete gates of a sample."""
        self._known(sample)
        path = self.file(f"strategies/{sample}.json")
        return GatingStrategy.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def membership(self, sample: str, population: str) -> NDArray[np.bool_] | None:
        """Which events of a sample belong to a population: (n_events,) of bool, or None where it has no gate."""
        import numpy as np

        self._known(sample)
        for row in self.rows("memberships", sample):
            if row["population"] == population:
                if row["bits"] is None:
                    return None
                return np.unpackbits(np.frombuffer(row["bits"], np.uint8), count=row["n_events"]).astype(np.bool_)
        raise StoreError(f"{sample}: no population '{population}'.{did_you_mean(population, self.bits(sample))}")

    def bits(self, sample: str) -> dict[str, bytes | None]:
        """Memberships of a sample as they are stored, by population: packed bits, None where it has no gate."""
        self._known(sample)
        return {row["population"]: row["bits"] for row in self.rows("memberships", sample)}

    def panels(self, sample: str) -> list[Panel2D]:
        """Return the stored histograms of a sample, ready to be drawn."""
        import numpy as np

        self._known(sample)
        return [
            Panel2D.from_parts(
                None if row["parent"] == "root" else row["parent"],
                split_ids(row["populations"]),
                json.loads(row["axes"]),
                np.array(row["cells"], np.int32),
                np.array(row["counts"], np.int32),
            )
            for row in self.rows("histograms", sample)
        ]

    def rows(self, table: str, sample: str) -> list[dict[str, Any]]:
        """Rows of one sample in one of the stored tables, as plain values."""
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(
            self.file(f"{table}.parquet"), filters=[("sample", "==", sample)]
        ).to_pylist()
        return rows

    def _known(self, sample: str) -> None:
        if sample in self.refused:
            raise StoreError(f"{self.path}: sample '{sample}' was refused: {self.refused[sample]}")
        if sample not in self.samples:
            raise StoreError(f"{self.path}: no sample '{sample}'.{did_you_mean(sample, self.samples)}")

    def __repr__(self) -> str:
        return f"<Run {printable(str(self.path))}: {', '.join(self.steps)}; {len(self.samples)} samples>"

"""``nf.deidentify``: copies of FCS files without personal data, and a list of what was changed in each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nti7flow.errors import ConfigError, FcsError, Nti7flowError, StoreError, printable
from nti7flow.events.deidentify.identifiers import Identifiers
from nti7flow.events.deidentify.keywords import Change, NewNames, subject_of
from nti7flow.events.deidentify.rewrite import Rewritten, rewrite_fcs
from nti7flow.events.fcs import locate
from nti7flow.study.delivered import ListedFile, list_files
from nti7flow.study.folders import SUFFIXES, check_name
from nti7flow.study.tables import Column, Table, arrow_table, csv_text
from nti7flow.trial.code_map import CodeRow, code_map_csv, new_code_map, read_code_map, rows_for

#: File in the output folder that says what was done.
REPORT = "deidentify_report.csv"
#: What is added to the name of the output folder to name a new map, which lies beside it.
MAP_SUFFIX = ".map.csv"

DEIDENTIFIED = Table(
    "deidentify_report",
    "Every keyword that was changed, and every one that a person should read; without original values.",
    (
        Column("file", "text", "", "Name of the new file.", key=True),
        Column("data_set", "integer", "", "Data set within the file, from 0.", key=True),
        Column("segment", "text", "", "TEXT or ANALYSIS.", key=True),
        Column("keyword", "text", "", "The keyword.", key=True),
        Column("action", "text", "", "removed, recoded, shifted or kept."),
        Column("value", "text", "", "What stands there now; empty where it was removed."),
        Column("why", "text", "", "The reason."),
        Column("read", "text", "", "yes where a person should read the value before the file is passed on."),
    ),
)


@dataclass(frozen=True, slots=True)
class DeidentifiedFile:
    """A file that was written.

    Attributes
    ----------
    source : str
        Name of the original; for the terminal, never for a file that is passed on.
    file : str
        Name of the new one.
    code : str
        Code of the subject.
    shift_days : int
        Days added to its dates.
    data_sets : tuple of Rewritten
        What was changed in each data set.
    """

    source: str
    file: str
    code: str
    shift_days: int
    data_sets: tuple[Rewritten, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes of all data sets."""
        return tuple(change for part in self.data_sets for change in (*part.text, *part.analysis))


@dataclass(frozen=True)
class Deidentified:
    """What was written, and what was not.

    Attributes
    ----------
    folder, report, map : Path
        The output folder, the report in it, and the map that leads back to the originals.
    map_is_new : bool
        The map was made by this run.
    files : tuple of DeidentifiedFile
        What was written.
    refused : dict
        Files of which nothing was written, and why.
    subjects_by : dict
        Keyword (or ``the file itself``) by which subjects were told, and for how many files.
    unused : tuple of CodeRow
        Rows of a given map that no file matched.
    """

    folder: Path
    report: Path
    map: Path
    map_is_new: bool
    files: tuple[DeidentifiedFile, ...]
    refused: Mapping[str, str]
    subjects_by: Mapping[str, int]
    unused: tuple[CodeRow, ...]

    @property
    def to_read(self) -> dict[tuple[str, str], list[str]]:
        """Keyword and value that a person should read, and the new files they stand in."""
        found: dict[tuple[str, str], list[str]] = {}
        for file in self.files:
            for change in file.changes:
                if change.read:
                    names = found.setdefault((change.keyword, change.value), [])
                    names += [] if file.file in names else [file.file]
        return found


@dataclass(frozen=True)
class _Scanned:
    """A file before it is rewritten: whose it is, and by which keyword."""

    listed: ListedFile
    subject: str
    told_by: str


def deidentify(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    codes: str | Path | None = None,
    remove_unknown: bool = False,
) -> Deidentified:
    """Write copies of FCS files without personal data; events stay bit for bit.

    Parameters
    ----------
    paths : path, or sequence of path
        FCS files and folders; folders are searched as by `check_delivery`.
    out : str or Path
        Folder for the copies and the report; new or empty.
    codes : str or Path, optional
        The map: a CSV with the columns file, subject, code, sample and date_shift_days. Without one, a new map is made
        beside ``out``. The same map gives the same bytes.
    remove_unknown : bool
        Remove the text of keywords that no rule knows, instead of keeping it for a person to read.

    Returns
    -------
    Deidentified
        What was written and refused, what was changed, and what a person should read.

    Raises
    ------
    ConfigError
        There are no files, the map is wrong, or ``out`` is not empty.
    StoreError
        The folder, the report or a new map cannot be written.

    Examples
    --------
    >>> from nti7flow.study.deidentify import deidentify
    >>> done = deidentify("delivery/", "shared/", codes="codes.csv")  # doctest: +SKIP
    >>> done.to_read  # doctest: +SKIP
    {('$SYS', 'Windows 7 6.1'): ['S001_001.fcs']}
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    return deidentify_files(list_files(given), Path(out), codes=codes, remove_unknown=remove_unknown)


def deidentify_files(
    files: Sequence[ListedFile],
    folder: Path,
    *,
    codes: str | Path | None = None,
    remove_unknown: bool = False,
    done: Callable[[ListedFile], None] = lambda file: None,
) -> Deidentified:
    """Write copies of files one by one; ``done`` is told of each as it is finished."""
    _check_free(folder)
    map_path = _map_beside(folder) if codes is None else Path(codes)
    rows = () if codes is None else read_code_map(map_path)
    refused: dict[str, str] = {}
    shared = Identifiers()
    for row in rows:
        shared.add(row.subject, "subject")
    scanned = [found for listed in files if (found := _scan(listed, shared, refused)) is not None]
    if codes is None:
        scanned = [file for file in scanned if not _has_several(file, refused)]
        rows = new_code_map([(file.listed.name, file.subject) for file in scanned])
    assigned = _assign(scanned, rows, refused, map_path)
    for listed in files:
        if listed.name in refused:
            done(listed)
    if assigned:
        _prepare(folder, map_path, rows if codes is None else None)
    written = []
    for file, row, name in assigned:
        names = NewNames(row.code, Path(name).stem, name, row.shift_days)
        try:
            parts = rewrite_fcs(file.listed.path, folder / name, names, shared, remove_unknown=remove_unknown)
            written.append(DeidentifiedFile(file.listed.name, name, row.code, row.shift_days, parts))
        except (Nti7flowError, OSError, ValueError) as error:
            refused[file.listed.name] = _reason(error, file.listed.path)
        done(file.listed)
    if assigned:
        _write_new(folder / REPORT, csv_text(arrow_table(DEIDENTIFIED, _report_rows(written))), mode=0o644)
    used = {row.line for _, row, _ in assigned}
    return Deidentified(
        folder=folder,
        report=folder / REPORT,
        map=map_path,
        map_is_new=codes is None,
        files=tuple(written),
        refused=dict(sorted(refused.items())),
        subjects_by=Counter(file.told_by for file, _, _ in assigned),
        unused=tuple(row for row in rows if row.line not in used),
    )


# --- what there is --------------------------------------------------------------------------------


def _check_free(folder: Path) -> None:
    """Refuse a folder in which anything could be replaced or passed on with the new files."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise ConfigError(f"{folder}: the folder is not empty; name a new one: nothing in it is replaced.")
    elif os.path.lexists(folder):
        raise ConfigError(f"{folder}: is not a folder; name a new one.")


def _map_beside(folder: Path) -> Path:
    """Path of a new map, which must not lie where files are passed on."""
    place = folder.resolve()
    path = place.with_name(place.name + MAP_SUFFIX)
    if os.path.lexists(path):
        raise ConfigError(
            f"{path}: a map is there already, and is not replaced; use it with --map {path}, or name another folder."
        )
    return path


def _scan(listed: ListedFile, shared: Identifiers, refused: dict[str, str]) -> _Scanned | None:
    """See whose a file is, and who is named in it."""
    if listed.problem:
        refused[listed.name] = listed.problem
        return None
    try:
        data_sets = locate(listed.path)
        check_name(listed.path)
    except FcsError as error:
        refused[listed.name] = _reason(error, listed.path)
        return None
    except ConfigError as error:
        refused[listed.name] = str(error).rpartition(": ")[2]
        return None
    own = Identifiers()
    for data_set in data_sets:
        own.gather(data_set.keywords)
    shared.update(own.share())
    told = {found for data_set in data_sets if (found := subject_of(data_set.keywords)) is not None}
    if not told:
        return _Scanned(listed, "", "the file itself")
    subjects = sorted({subject for subject, _ in told})
    return _Scanned(listed, "\n".join(subjects), " and ".join(sorted({keyword for _, keyword in told})))


def _has_several(file: _Scanned, refused: dict[str, str]) -> bool:
    """Refuse a file of several subjects, which one code and one shift would make one person."""
    n_subjects = len(file.subject.splitlines())
    if n_subjects > 1:
        refused[file.listed.name] = (
            f"its data sets name {n_subjects} subjects ({file.told_by}); a file gets one code: say which with --map."
        )
    return n_subjects > 1


# --- who becomes what -----------------------------------------------------------------------------


def _assign(
    scanned: Sequence[_Scanned], rows: Sequence[CodeRow], refused: dict[str, str], map_path: Path
) -> list[tuple[_Scanned, CodeRow, str]]:
    """Find the row of each file, and give it a new name; what matches no row, or several, is refused."""
    matched = []
    for file in scanned:
        found = rows_for(rows, file=file.listed.name, subject=file.subject)
        if len(found) == 1:
            matched.append((file, found[0]))
            continue
        lines = " and ".join(str(row.line) for row in found)
        refused[file.listed.name] = (
            f"matches lines {lines} of {map_path}; one must be left."
            if found
            else f"matches no row of {map_path}; add one with its file name, a code and a shift of its dates."
        )
    times = Counter(row.line for _, row in matched)
    for file, row in list(matched):
        if row.file not in ("", file.listed.name) and not row.is_pattern and times[row.line] > 1:
            matched.remove((file, row))
            refused[file.listed.name] = (
                f"line {row.line} of {map_path} names {row.file}, and several files are called so; give their paths."
            )
    count: Counter[str] = Counter()
    taken: dict[str, str] = {REPORT.casefold(): REPORT}
    assigned = []
    for file, row in matched:
        base = row.sample or row.code
        if not row.sample or times[row.line] > 1:
            count[base] += 1
            base = f"{base}_{count[base]:03d}"
        suffix = file.listed.path.suffix.lower()
        name = base + (suffix if suffix in SUFFIXES else SUFFIXES[0])
        other = taken.setdefault(name.casefold(), file.listed.name)
        if other != file.listed.name:
            refused[file.listed.name] = f"would be written as {name}, like {other}; give it a sample name of its own."
            continue
        assigned.append((file, row, name))
    return assigned


# --- what is written ------------------------------------------------------------------------------


def _prepare(folder: Path, map_path: Path, new_rows: Iterable[CodeRow] | None) -> None:
    """Make the folder, and write a new map before anything that can only be understood by it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}.") from None
    if new_rows is not None:
        _write_new(map_path, code_map_csv(new_rows), mode=0o600)


def _write_new(path: Path, text: str, *, mode: int) -> None:
    """Write a text file that is not there yet, readable to those that ``mode`` says."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        raise StoreError(f"{path}: exists already, and is not replaced.") from None
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}.") from None


def _report_rows(files: Iterable[DeidentifiedFile]) -> list[dict[str, object]]:
    return [
        {
            "file": file.file,
            "data_set": part.data_set,
            "segment": segment,
            "keyword": change.keyword,
            "action": change.action,
            "value": change.value,
            "why": change.why,
            "read": "yes" if change.read else "",
        }
        for file in files
        for part in file.data_sets
        for segment, changes in (("TEXT", part.text), ("ANALYSIS", part.analysis))
        for change in changes
    ]


def _reason(error: Exception, path: Path) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = printable(text).removeprefix(printable(f"{path}: "))
    return text if isinstance(error, FcsError | OSError) or text.endswith((".", "?")) else f"{text}."

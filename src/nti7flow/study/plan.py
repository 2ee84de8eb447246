"""What is to be gated, and with what: study.yaml, folders and files become a list of tubes and a recipe."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from nti7flow.errors import ConfigError, FcsError, did_you_mean
from nti7flow.events.fcs.datasets import walk
from nti7flow.events.fcs.opening import open_regular
from nti7flow.events.notes import Findings, Repair
from nti7flow.events.spillover import Spillover
from nti7flow.gating.template import GatingTemplate, load_template
from nti7flow.gating.yaml_source import read_yaml
from nti7flow.trial import SampleRow, read_samples

SUFFIXES = (".fcs", ".lmd")
REPAIRS: tuple[Repair, ...] = get_args(Repair)
#: Bytes of a sample name: results are stored in files of that name, which may have 255.
LONGEST_NAME = 200
#: Characters that turn the direction of the text around them, so that a name is not what it looks like.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Sheets(BaseModel):
    """Where the sheets are, relative to study.yaml."""

    model_config = ConfigDict(extra="forbid")
    samples: str
    subjects: str | None = None
    doses: str | None = None
    hematology: str | None = None
    events: str | None = None
    reagents: str | None = None


class StudyFile(BaseModel):
    """The content of a study.yaml."""

    model_config = ConfigDict(extra="forbid")
    study_schema: Literal["nti7flow/study/1"] = Field(alias="schema")
    study: str
    title: str = ""
    time_zone: str = "UTC"
    templates: dict[str, str] = Field(min_length=1, description="Template (name@version or path) per panel.")
    compensation: str = Field("keyword", description="keyword, none, or the path of a spillover CSV.")
    sheets: Sheets
    schedule: dict[str, Any] = {}
    thresholds: dict[str, Any] = {}
    endpoints: dict[str, Any] = {}
    acceptance: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Tube:
    """One tube to gate.

    ``row`` is its line of the sample sheet, where there is one; ``data_sets`` are all that the plan has of its file.
    """

    sample: str
    path: Path
    file: str
    data_set: int
    template: str
    row: SampleRow | None = None
    data_sets: tuple[int, ...] = (0,)

    @property
    def batch(self) -> str:
        """Staining batch; tubes without one form a batch of their own kind."""
        return (self.row.batch if self.row is not None else None) or ""


@dataclass(frozen=True)
class Plan:
    """Everything that can change a number: tubes, templates, compensation, repair, markers named by hand, sheets."""

    tubes: tuple[Tube, ...]
    templates: Mapping[str, GatingTemplate]
    spillover: str
    markers: Mapping[str, str] = field(default_factory=dict)
    study: str = ""
    sheets: Mapping[str, str] = field(default_factory=dict)
    repair: Repair = "safe"

    def recipe(self) -> dict[str, Any]:
        """Return the recipe as plain values; workers, logging and folders are not in it."""
        recipe = {
            "study": self.study,
            "templates": {
                name: {"reference": t.reference, "sha256": t.recipe_hash} for name, t in sorted(self.templates.items())
            },
            "spillover": self.spillover if self.spillover in ("keyword", "none") else file_sha256(Path(self.spillover)),
            "markers": dict(sorted(self.markers.items())),
            "sheets": dict(sorted(self.sheets.items())),
        }
        # Left out where it is the default, as in every run made before there was a choice.
        return recipe if self.repair == "safe" else recipe | {"repair": self.repair}

    def recipe_hash(self) -> str:
        """SHA-256 of the recipe."""
        return hashlib.sha256(json.dumps(self.recipe(), sort_keys=True).encode()).hexdigest()


def checked_repair(repair: str) -> Repair:
    """Return how files are read, or refuse a word that says nothing."""
    for known in REPAIRS:
        if repair == known:
            return known
    raise ConfigError(f"repair is '{repair}'; safe, none or salvage was expected.{did_you_mean(repair, REPAIRS)}")


def file_sha256(path: Path) -> str:
    """SHA-256 of a small file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None


def make_plan(
    paths: Sequence[str | Path],
    *,
    template: str | Path | None = None,
    spillover: str | None = None,
    markers: Mapping[str, str] | None = None,
    repair: Repair = "safe",
) -> Plan:
    """Plan for a study.yaml, or for files and folders.

    Parameters
    ----------
    paths : sequence of path
        One study.yaml, or any number of FCS files and folders (searched recursively for .fcs and .lmd in any case).
        Each data set of a file is a tube of its own.
    template : str or Path, optional
        Template for every tube; required without a study.yaml, and overrides one.
    spillover : str, optional
        ``keyword`` (the default), ``none``, or the path of a CSV; overrides the study.yaml.
    markers : mapping, optional
        Markers assigned by hand, marker to detector.
    repair : {"safe", "none", "salvage"}
        How the files are read, as for `read_fcs`.

    Raises
    ------
    ConfigError
        Nothing to gate, or a study, sheet or template with mistakes.
    """
    repair = checked_repair(repair)
    places = [Path(path) for path in paths]
    studies = [place for place in places if place.suffix.lower() in (".yaml", ".yml") and not place.is_dir()]
    if studies and len(places) > 1:
        raise ConfigError(f"{studies[0]}: a study.yaml names its own files; give it alone.")
    if studies:
        return _study_plan(studies[0], template, spillover, markers or {}, repair)
    if template is None:
        raise ConfigError("which template? Say --template tbnk (see: nti7flow templates), or give a study.yaml.")
    loaded = load_template(template)
    tubes = _found_tubes(places, loaded.reference, repair)
    return Plan(
        tubes=tubes,
        templates={loaded.reference: loaded},
        spillover=_checked(spillover or "keyword"),
        markers=dict(markers or {}),
        repair=repair,
    )


def _checked(spillover: str, folder: Path | None = None) -> str:
    """Return a choice of matrix with its path made absolute; a mistake in it is said once, before tubes are opened."""
    if spillover in ("keyword", "none"):
        return spillover
    path = (folder or Path()).joinpath(spillover).resolve()
    Spillover.from_csv(path)
    return str(path)


def _found_tubes(paths: Sequence[Path], template: str, repair: Repair) -> tuple[Tube, ...]:
    """Return tubes for files and folders, one per data set, sorted by name; each is named after its file."""
    found: dict[Path, str] = {}
    for path in paths:
        for file, name in _files(path):
            # A file met twice goes by its longest name, whichever was given first.
            found[file] = max(found.get(file, ""), name, key=lambda text: (len(text), text))
    if not found:
        raise ConfigError("nothing to gate: give FCS files, folders or a study.yaml.")
    for file in found:
        check_name(file)
    n_sets = {path: count_tubes(path, repair) for path in found}
    parts = [(path, data_set) for path in found for data_set in range(n_sets[path])]
    names = _names([(found[path], f"_set{data_set}" if n_sets[path] > 1 else "") for path, data_set in parts])
    tubes = [
        Tube(name, path, found[path], data_set, template) for name, (path, data_set) in zip(names, parts, strict=True)
    ]
    return _in_order(tubes)


def count_tubes(path: Path, repair: Repair) -> int:
    """Count the data sets of a file, with the first that cannot be found: the reader refuses it and says why."""
    n_sets = 0
    try:
        with open_regular(path) as (stream, status):
            for found in walk(stream, status.st_size, Findings(str(path), repair)):
                n_sets = found.index + 1
    except FcsError:
        return n_sets + 1
    return n_sets


def _in_order(tubes: list[Tube]) -> tuple[Tube, ...]:
    """Tubes sorted by name; each is told which data sets of its file are in the plan."""
    together: dict[Path, list[int]] = {}
    for tube in tubes:
        together.setdefault(tube.path, []).append(tube.data_set)
    told = [replace(tube, data_sets=tuple(sorted(together[tube.path]))) for tube in tubes]
    return tuple(sorted(told, key=lambda tube: tube.sample))


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Each file that a path stands for, with its name relative to the folder."""
    if path.is_dir():
        inside = sorted(file for file in files_below(path) if file.name.lower().endswith(SUFFIXES))
        if not inside:
            raise ConfigError(f"{path}: the folder holds no .fcs or .lmd files.")
        yield from ((real_place(file), file.relative_to(path).as_posix()) for file in inside)
    elif path.exists():
        yield path.resolve(), path.name
    else:
        raise ConfigError(f"{path}: no such file or folder.")


def real_place(file: Path) -> Path:
    """Where a file really is, so that it is met once; of a link that leads nowhere, the link: it is said to be one."""
    place = Path(os.path.realpath(file))
    return place if place.exists() else file.absolute()


def _stop(error: OSError) -> None:
    raise ConfigError(f"{error.filename}: the folder cannot be read: {error.strerror}.")


def files_below(folder: Path, *, unreadable: Callable[[OSError], None] = _stop) -> Iterator[Path]:
    """Files below a folder. A link that leads nowhere is among them: it is refused later, not passed over.

    ``unreadable`` is told of a folder that may not be read: tubes in it would be missing unnoticed.
    """
    for place, folders, files in os.walk(folder, onerror=unreadable):
        # Hidden files are not the lab's: a Mac leaves "._tube.fcs" beside every "tube.fcs" on a stick.
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def check_name(file: Path) -> None:
    """Refuse a name that no table, terminal or JSON file can hold: control characters, bytes that are not UTF-8."""
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in _TURNING for c in str(file)):
        raise ConfigError(f"{str(file)!r}: the name holds a control character or is not UTF-8; rename the file.")


def _names(files: list[tuple[str, str]]) -> list[str]:
    """Sample names: the stem, or the whole relative path where stems repeat, and which of several data sets."""
    stems = [Path(file).stem + data_set for file, data_set in files]
    times = Counter(stem.casefold() for stem in stems)
    names = [
        stem if times[stem.casefold()] == 1 else file.replace("/", "_") + data_set
        for stem, (file, data_set) in zip(stems, files, strict=True)
    ]
    first: dict[str, str] = {}
    for name, (file, _) in sorted(zip(names, files, strict=True)):
        if name.casefold() in first:
            raise ConfigError(
                f"{first[name.casefold()]} and {file} would both be sample '{name}' (case does not count); gate the "
                "folder that holds both, rename one, or name them in a sheet."
            )
        first[name.casefold()] = file
        if len(name.encode()) > LONGEST_NAME:
            raise ConfigError(f"{file}: makes a sample name of more than {LONGEST_NAME} bytes; name it in a sheet.")
    return names


def _study_plan(
    path: Path, template: str | Path | None, spillover: str | None, markers: Mapping[str, str], repair: Repair
) -> Plan:
    source = read_yaml(path)
    study = source.validate(StudyFile)
    folder = path.parent
    sheet = folder / study.sheets.samples
    rows = read_samples(sheet)
    if template is not None:
        loaded = {panel: load_template(template) for panel in study.templates}
    else:
        loaded = {panel: load_template(_template_reference(ref, folder)) for panel, ref in study.templates.items()}
    problems = list(_clashes(loaded))
    tubes: dict[tuple[Path, int], Tube] = {}
    for row in rows:
        panel = row.panel or (next(iter(loaded)) if len(loaded) == 1 else "")
        if panel not in loaded:
            problems.append(
                f"{sheet}: sample {row.sample}: panel '{panel}' has no template in {path.name}, which has "
                f"{', '.join(loaded)}.{did_you_mean(panel, loaded)}"
            )
            continue
        reference = loaded[panel].reference
        file = (sheet.parent / row.file).resolve()
        check_name(file)
        if len(row.sample.encode()) > LONGEST_NAME:
            problems.append(f"{sheet}: sample {row.sample}: the name has more than {LONGEST_NAME} bytes; shorten it.")
        tube = Tube(row.sample, file, row.file, row.data_set, reference, row)
        other = tubes.setdefault((file, row.data_set), tube)
        if other is not tube:  # the sheet itself is checked, but a/../b.fcs and b.fcs, or a link, are one file
            problems.append(
                f"{sheet}: samples {other.sample} and {row.sample}: {other.file} and {row.file} are the same file, and "
                f"both rows take data set {row.data_set}; remove one, or give each its data_set if it holds several."
            )
    if problems:
        raise ConfigError("\n".join(problems))
    return Plan(
        tubes=_in_order(list(tubes.values())),
        templates={t.reference: t for t in loaded.values()},
        spillover=_checked(spillover) if spillover is not None else _checked(study.compensation, folder),
        markers=dict(markers),
        study=study.study,
        sheets={"samples": file_sha256(sheet)},
        repair=repair,
    )


def _clashes(loaded: Mapping[str, GatingTemplate]) -> Iterator[str]:
    """Templates that go by one name and version but differ: which one made a count could not be told."""
    first: dict[str, GatingTemplate] = {}
    for template in loaded.values():
        other = first.setdefault(template.reference, template)
        if other.recipe_hash != template.recipe_hash:
            yield (
                f"{other.source} and {template.source} both say {template.reference} but differ; "
                "give the changed one its own name or version."
            )


def _template_reference(reference: str, folder: Path) -> str | Path:
    """Return a released template's name as it is, and a path relative to the study file."""
    return folder / reference if reference.endswith((".yaml", ".yml")) else reference

"""The files a study is made of: finding them, their names, and the names of samples that are called after them."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nti7flow.errors import ConfigError, FcsError
from nti7flow.events.fcs.datasets import walk
from nti7flow.events.fcs.opening import open_regular
from nti7flow.events.notes import Findings, Repair

SUFFIXES = (".fcs", ".lmd")
#: Bytes of a sample name: results are stored in files of that name, which may have 255.
LONGEST_NAME = 200
#: Characters that turn the direction of the text around them, so that a name is not what it looks like.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def files_at(path: Path) -> Iterator[tuple[Path, str]]:
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


def file_sha256(path: Path) -> str:
    """SHA-256 of a small file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None


def sample_names(files: list[tuple[str, str]]) -> list[str]:
    """Name samples: the stem, or the whole relative path where stems repeat, and which of several data sets."""
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


def data_sets_at(paths: Sequence[Path], repair: Repair) -> list[tuple[str, Path, str, int]]:
    """Sample name, path, name of the file and number of every data set of files and folders; empty where there is none.

    A file met twice goes by its longest name, whichever was given first.
    """
    found: dict[Path, str] = {}
    for path in paths:
        for file, name in files_at(path):
            found[file] = max(found.get(file, ""), name, key=lambda text: (len(text), text))
    for file in found:
        check_name(file)
    n_sets = {path: count_tubes(path, repair) for path in found}
    parts = [(path, data_set) for path in found for data_set in range(n_sets[path])]
    names = sample_names([(found[path], f"_set{data_set}" if n_sets[path] > 1 else "") for path, data_set in parts])
    return [(name, path, found[path], data_set) for name, (path, data_set) in zip(names, parts, strict=True)]

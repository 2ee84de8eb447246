"""One file of a delivery: which files there are, whether each can be read, and what it is known again by."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nti7flow.errors import ConfigError, FcsError, Nti7flowError, printable
from nti7flow.events.codes import CODES
from nti7flow.events.fcs import locate, read_fcs
from nti7flow.events.fcs.opening import open_regular
from nti7flow.events.notes import Repair
from nti7flow.events.sample import Sample
from nti7flow.study.folders import SUFFIXES, check_name, count_tubes, files_below, real_place

#: Last suffixes of FCS files that are packed, or not wholly copied; the reader says which.
WRAPPED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".part", ".crdownload")
#: Keywords in which vendors and programs keep an identifier that is given to one acquisition.
GUID_KEYWORDS = ("GUID", "FILEGUID", "FILE GUID", "@FILEGUID", "ORIGINALGUID", "GUID.ORIGINAL")
#: Keywords that together tell one acquisition from all others, with one at least of those that name the cytometer.
TIME_KEYWORDS = ("$DATE", "$BTIM", "$ETIM", "$TOT")
CYTOMETER_KEYWORDS = ("$CYT", "$CYTSN")
#: Bytes up to which a file is hashed although nothing of it can be read: that two such files are one matters little.
LARGEST_REFUSED = 1 << 30
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file to check, by its place and by the name it goes by in the tables."""

    path: Path
    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DeliveredTube:
    """One data set of a delivered file, and what became of reading it.

    Attributes
    ----------
    file : str
        Its name, relative to the folder that was given.
    data_set, n_data_sets : int
        Which of how many data sets of the file.
    codes : tuple of str
        Codes of the reader's notes, or of the refusal.
    details : str
        The notes, or why it was refused.
    review : bool
        A person must look before its counts are used.
    channels : tuple of (str, str)
        Detector and marker of each channel.
    acquisitions : tuple of str
        What its acquisition is known again by, as far as the file says.
    sha256, events_sha256 : str
        Of the whole file, and of the bytes of the events.
    """

    file: str
    path: Path
    data_set: int = 0
    n_data_sets: int = 1
    refused: bool = False
    codes: tuple[str, ...] = ()
    details: str = ""
    review: bool = False
    version: str = ""
    n_events: int | None = None
    channels: tuple[tuple[str, str], ...] = ()
    cytometer: str = ""
    date: str = ""
    acquisitions: tuple[str, ...] = ()
    sha256: str = ""
    events_sha256: str = ""

    @property
    def label(self) -> str:
        """The file, and which data set where it holds several."""
        return self.file if self.n_data_sets == 1 else f"{self.file} (data set {self.data_set})"

    @property
    def status(self) -> str:
        """``ok``, ``noted`` or ``refused``."""
        return "refused" if self.refused else "noted" if self.codes else "ok"


def list_files(paths: Sequence[str | Path]) -> tuple[ListedFile, ...]:
    """Files that paths stand for, sorted by name.

    In folders: what is named .fcs or .lmd, packed or half copied files of these kinds, and whatever begins like an FCS
    file under any other name. A file that is given by itself is always listed.

    Raises
    ------
    ConfigError
        There is nothing at a path, or no such file below it.
    """
    places = [Path(path) for path in paths]
    found: dict[Path, ListedFile] = {}
    for place in places:
        if not os.path.lexists(place):
            raise ConfigError(f"{place}: no such file or folder.")
        listed = list(_inside(place, alone=len(places) == 1)) if place.is_dir() else [_listed(place, str(place))]
        if not listed:
            raise ConfigError(f"{place}: the folder holds no FCS files.")
        for file in listed:
            # A file met twice goes by its longest name, as in a plan.
            known = found.setdefault(file.path, file)
            found[file.path] = max(known, file, key=lambda f: (len(f.name), f.name))
    if not found:
        raise ConfigError("nothing to check: give FCS files or folders.")
    return tuple(sorted(found.values(), key=lambda file: file.name))


def _listed(path: Path, name: str, problem: str = "") -> ListedFile:
    # A name that is not UTF-8 goes into no table.
    return ListedFile(real_place(path), name.encode("utf-8", "backslashreplace").decode(), problem)


def _inside(folder: Path, *, alone: bool) -> Iterator[ListedFile]:
    """List the files of a folder, by their names within it where it is the only one."""
    closed: list[ListedFile] = []

    def name_of(path: Path) -> str:
        return (path.relative_to(folder) if alone else path).as_posix()

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        closed.append(_listed(path, f"{name_of(path)}/", f"the folder cannot be read: {error.strerror}"))

    for file in files_below(folder, unreadable=unreadable):
        if _is_wanted(file):
            yield _listed(file, name_of(file))
    yield from closed


def _is_wanted(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes[-1:] and (suffixes[-1] in SUFFIXES or (suffixes[-1] in WRAPPED and {*SUFFIXES} & {*suffixes})):
        return True
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # before opening: a pipe would keep us waiting
            return False
        with file.open("rb") as stream:
            return re.match(rb"FCS\d", stream.read(4)) is not None
    except FileNotFoundError:  # a link that leads nowhere
        return False
    except OSError:  # what cannot be read may well be a tube: its line will say so
        return True


def check_file(file: ListedFile, repair: Repair) -> tuple[DeliveredTube, ...]:
    """Check every data set of one file. Whatever is wrong with it is said, never raised."""
    try:
        if file.problem:
            return (DeliveredTube(file.name, file.path, refused=True, details=file.problem),)
        return _with_digests(file, _with_name(file, _data_sets(file, repair)))
    except Exception as error:
        return (_refused(file, error),)


def _data_sets(file: ListedFile, repair: Repair) -> list[DeliveredTube]:
    n_data_sets = count_tubes(file.path, repair)
    tubes = []
    for data_set in range(n_data_sets):
        try:
            tube = _passed(file, read_fcs(file.path, data_set=data_set, repair=repair))
        except FcsError as error:
            tube = _refused(file, error)
        tubes.append(replace(tube, data_set=data_set, n_data_sets=n_data_sets))
    return tubes


def _passed(file: ListedFile, sample: Sample) -> DeliveredTube:
    return DeliveredTube(
        file=file.name,
        path=file.path,
        codes=tuple(dict.fromkeys(note.code for note in sample.notes)),
        details="; ".join(str(note) for note in sample.notes),
        review=any(note.severity == "review" for note in sample.notes),
        version=sample.version,
        n_events=sample.n_events,
        channels=tuple((channel.detector, channel.marker) for channel in sample.panel.channels),
        cytometer=sample.keywords.get("$CYT", "").strip(),
        date=sample.keywords.get("$DATE", "").strip(),
        acquisitions=acquisitions_of(sample.keywords),
    )


def _refused(file: ListedFile, error: Exception) -> DeliveredTube:
    codes = (error.code,) if isinstance(error, FcsError) else ()
    text = str(error)
    if not isinstance(error, Nti7flowError):
        text = f"a mistake in nti7flow ({type(error).__name__}: {error}); please report it"
    return DeliveredTube(
        file=file.name,
        path=file.path,
        refused=True,
        codes=codes,
        details=printable(text).removeprefix(printable(f"{file.path}: ")).removesuffix(f" [{''.join(codes)}]"),
    )


def _with_name(file: ListedFile, tubes: list[DeliveredTube]) -> list[DeliveredTube]:
    """Refuse tubes whose file has a name that no study can use."""
    try:
        check_name(file.path)
    except ConfigError as error:
        _, _, reason = str(error).rpartition(": ")
        return [t if t.refused else replace(t, refused=True, codes=(), details=reason) for t in tubes]
    return tubes


def acquisitions_of(keywords: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the acquisition of a tube is known again by: identifiers; cytometer, date, times and event count.

    Only identifiers that look like one count: some programs put the name of the file there. Times count only where all
    of them are stated, with a cytometer, and the acquisition did not end at the second it began, as without a clock.
    """
    found = {keyword: " ".join(keywords.get(keyword, "").split()).casefold() for keyword in
             (*GUID_KEYWORDS, *CYTOMETER_KEYWORDS, *TIME_KEYWORDS)}  # fmt: skip
    known = []
    for keyword in GUID_KEYWORDS:
        digits = re.sub(r"[-{}]", "", found[keyword])
        if re.fullmatch(r"[0-9a-f]{32}", digits) and len(set(digits)) > 1:
            known.append(f"GUID {digits}")
    times = [found[keyword] for keyword in TIME_KEYWORDS]
    cytometer = [found[keyword] for keyword in CYTOMETER_KEYWORDS]
    n_events = found["$TOT"].lstrip("0")
    if all(times) and any(cytometer) and found["$BTIM"] != found["$ETIM"] and n_events:
        known.append(", ".join([*filter(None, cytometer), *times[:3], f"{n_events} events"]))
    return tuple(dict.fromkeys(known))


def _with_digests(file: ListedFile, tubes: list[DeliveredTube]) -> tuple[DeliveredTube, ...]:
    """Hash the file, and the events of each of its tubes, in one go and a block at a time."""
    try:
        spans = {part.index: part.data for part in locate(file.path) if part.data is not None}
    except FcsError:
        spans = {}
    whole = hashlib.sha256()
    parts = {data_set: hashlib.sha256() for data_set in spans}
    try:
        with open_regular(file.path) as (stream, status):
            if status.st_size > LARGEST_REFUSED and all(tube.refused for tube in tubes):
                return tuple(tubes)
            start = 0
            while block := stream.read(_BLOCK):
                whole.update(block)
                for data_set, (first, last) in spans.items():
                    if first < start + len(block) and last >= start:
                        parts[data_set].update(block[max(first - start, 0) : last + 1 - start])
                start += len(block)
    except FcsError as error:
        return tuple(t if t.refused else replace(_refused(file, error), data_set=t.data_set) for t in tubes)
    return tuple(
        replace(
            tube,
            sha256=whole.hexdigest(),
            events_sha256=parts[tube.data_set].hexdigest() if tube.n_events and tube.data_set in parts else "",
        )
        for tube in tubes
    )


def codes_in_words(tubes: Sequence[DeliveredTube]) -> dict[str, tuple[str, int]]:
    """Title of every code met, and in how many tubes, by code."""
    met = [code for tube in tubes for code in tube.codes]
    return {code: (CODES[code].title, met.count(code)) for code in sorted(set(met))}

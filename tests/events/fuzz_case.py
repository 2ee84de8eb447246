"""One case of the fuzz: a damaged file, read within limits of time and memory, and judged."""

from __future__ import annotations

import random
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fuzz_bases import Layout, bases, real_heads
from fuzz_damage import damaged
from fuzz_judge import conforming, judge
from fuzz_values import Tube, judge_spillover

SECONDS = 2.0
BYTES = 200 << 20


class TooSlow(BaseException):
    """A case took more CPU time than it may; no reader can catch it by accident."""


# --- cases ----------------------------------------------------------------------------------------


@cache
def known_bases(folder: str) -> list[tuple[str, Layout]]:
    return list((real_heads(Path(folder)) if folder else bases()).items())


def case(seed: int, number: int, folder: str = "") -> tuple[str, bytes, int]:
    """Name of the base, damaged file and data set to read; of real files where their folder is given."""
    rng = random.Random(f"{seed}:{number}")
    name, layout = rng.choice(known_bases(folder))
    n_sets, more = 1, layout.more
    while more is not None:
        n_sets, more = n_sets + 1, more.more
    return name, damaged(rng, layout), rng.randrange(n_sets)


# --- one case, in the worker ----------------------------------------------------------------------


@contextmanager
def limits(size: int) -> Iterator[None]:
    """Let what happens inside take so much CPU time and memory, and no more."""

    def stop(*_: object) -> None:
        raise TooSlow

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, stop)
    try:
        if sys.platform == "linux":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES + size, hard))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


def read(path: Path, data_set: int, repair: str) -> tuple[Tube | str, list[str]]:
    """What the reader says, a tube or the code of a refusal; and what is wrong with how it says so."""
    import numpy as np

    from nti7flow.errors import AmbiguousMarker, FcsError, Nti7flowError
    from nti7flow.events.codes import CODES
    from nti7flow.events.fcs import read_fcs
    from nti7flow.events.spillover import spillover_for

    try:
        sample = read_fcs(path, data_set=data_set, repair=repair)
        events = sample.events
    except FcsError as error:
        return error.code, _refusal_problems(error, path)
    notes = sample.notes
    columns = []
    for channel in sample.panel.channels:
        out = np.empty(sample.n_events)
        sample.column_into(channel.index, out, slice(None))
        columns.append(out)
    scaled = np.stack(columns, axis=1)
    detectors = tuple(channel.detector for channel in sample.panel.channels)
    found = Tube(
        version=sample.version,
        data_set=data_set,
        keywords=dict(sample.keywords),
        rows=events.tolist(),
        scaled=scaled.tolist(),
        detectors=detectors,
        codes=frozenset(note.code for note in notes),
        repairs=frozenset(note.code for note in notes if CODES[note.code].kind in ("repair", "salvage")),
    )
    problems = []
    if events.shape != (sample.n_events, len(detectors)) or events.flags.writeable:
        problems.append(f"events of shape {events.shape}, or not read-only")
    if any(CODES[note.code].kind == "refusal" or not note.text for note in notes):
        problems.append(f"a note with the code of a refusal, or without words: {notes}")
    try:
        together = sample.columns(detectors)
        if not np.array_equal(together, scaled, equal_nan=True):
            problems.append("columns() differs from column_into()")
    except AmbiguousMarker:
        pass  # one channel's name is another one's marker
    except Nti7flowError as error:
        problems.append(f"columns() of the panel's own names: {error}")
    try:
        matrix = spillover_for(sample, "keyword")
        problems += judge_spillover(found, (matrix.detectors, matrix.matrix.ravel().tolist()))
    except Nti7flowError as error:
        if not str(error).isprintable():
            problems.append(f"spillover refused in more than one printable line: {str(error)!r}")
    return found, problems


def _refusal_problems(error: Any, path: Path) -> list[str]:
    from nti7flow.events.codes import CODES

    problems = []
    if error.code not in CODES or CODES[error.code].kind == "note":
        problems.append(f"code {error.code} is not one to refuse with")
    if error.path != str(path) or str(path) not in str(error):
        problems.append(f"path {error.path!r}")
    if not str(error).isprintable() or not str(error).endswith(f"[{error.code}]"):
        problems.append(f"not one printable line: {str(error)!r}")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            problems.append("ran out of memory, and refused the file for it")
        cause = cause.__cause__ or cause.__context__
    return problems


def examine(path: Path, raw: bytes, data_set: int, *, modes: bool) -> dict[str, Any]:
    """Read a file, judge it, and say how it went."""
    path.write_bytes(raw)
    start = time.process_time()
    try:
        with limits(len(raw)):
            found, problems = read(path, data_set, "safe")
        seconds = time.process_time() - start
        others = {}
        for repair in ("none", "salvage") if modes else ():
            with limits(len(raw)):
                others[repair], more = read(path, data_set, repair)
            problems += [f"repair={repair!r}: {problem}" for problem in more]
    except TooSlow:
        return {"outcome": "failed", "seconds": SECONDS, "problems": [f"more than {SECONDS:g} s of CPU time"]}
    except Exception as error:
        told = f"{type(error).__name__} {_where(error)}: {error}"[:300]
        return {"outcome": "failed", "seconds": time.process_time() - start, "problems": [told]}
    problems += _verdict(raw, data_set, found)
    if others:
        problems += _judge_none(found, others["none"], data_set) + _judge_salvage(raw, found, others["salvage"])
    outcome = found if isinstance(found, str) else "notes" if found.codes else "silent"
    codes = [] if isinstance(found, str) else sorted(found.codes)
    return {"outcome": outcome, "codes": codes, "seconds": seconds, "problems": problems}


def _where(error: BaseException) -> str:
    """Line of the package in which an error came up."""
    place, frame = "", error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if "nti7flow" in code.co_filename:
            place = f"in {Path(code.co_filename).name}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


def _verdict(raw: bytes, data_set: int, found: Tube | str) -> list[str]:
    if isinstance(found, Tube):
        return judge(raw, found)
    return [f"refused with {found}, but conforms to the standard"] if conforming(raw, data_set) else []


def _judge_none(safe: Tube | str, none: Tube | str, data_set: int) -> list[str]:
    """Whether repair="none" reads just what needs no repair."""
    if isinstance(none, Tube):
        if isinstance(safe, Tube) and not safe.repairs and _same(none, safe):
            return []
        return ["repair='none' reads what 'safe' refuses, repairs or reads otherwise"]
    # The repair that it refuses may be one of a data set before this.
    if isinstance(safe, Tube) and none not in safe.repairs and data_set == 0:
        return [f"repair='none' refuses with {none} what 'safe' reads with {sorted(safe.repairs)}"]
    return []


def _judge_salvage(raw: bytes, safe: Tube | str, salvaged: Tube | str) -> list[str]:
    """Whether repair="salvage" reads the same as "safe", or something for review."""
    from nti7flow.events.codes import CODES

    if isinstance(safe, Tube):
        same = isinstance(salvaged, Tube) and _same(salvaged, safe)
        return [] if same else ["repair='salvage' reads otherwise what 'safe' reads"]
    if isinstance(salvaged, str):
        return []
    problems = judge(raw, salvaged)
    if not any(CODES[code].kind == "salvage" and CODES[code].severity == "review" for code in salvaged.codes):
        problems.append(f"no note to review: {sorted(salvaged.codes)}")
    return [f"salvaged: {problem}" for problem in problems]


def _same(one: Tube, other: Tube) -> bool:
    return repr((one.rows, one.keywords, one.codes)) == repr((other.rows, other.keywords, other.codes))

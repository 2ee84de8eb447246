"""`make_sample`: a `Sample` of events that come from no file: of another package, or computed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nti7flow.errors import FcsError
from nti7flow.events.panel import Panel
from nti7flow.events.sample import Sample
from nti7flow.events.stored import EventsInMemory, Survey

#: Keywords that say how events are stored or scaled; those of another file do not hold for events in memory.
_OF_CHANNELS = ("N", "S", "B", "E", "G", "R", "DATATYPE")


def make_sample(
    events: ArrayLike,
    detectors: Sequence[str],
    *,
    name: str,
    markers: Sequence[str] | None = None,
    keywords: Mapping[str, str] | None = None,
) -> Sample:
    """Make a sample of scale values: linear, gain divided out, time in seconds.

    Parameters
    ----------
    events : array_like, shape (n_events, n_channels)
        Scale values; copied as float64.
    detectors : sequence of str
        Names of the channels ($PnN), each one different.
    name : str
        Name of the sample; its ``path`` is that name and no file.
    markers : sequence of str, optional
        Markers ($PnS), empty where there is none.
    keywords : mapping of str to str, optional
        Further keywords, such as ``$SPILLOVER`` or ``$CYT``. Of those that say how a file stores its events only the
        tops of scale are taken.

    Returns
    -------
    Sample
        Its ``sha256`` is that of the names and the events: the same events make the same sample.

    Raises
    ------
    ValueError
        The events are no table with a column for each detector.
    FcsError
        A name is empty, or two channels have the same.
    """
    values = np.array(events, np.float64)
    if values.ndim != 2 or values.shape[1] != len(detectors):
        raise ValueError(f"events of shape {values.shape} are no table of {len(detectors)} channels")
    markers = markers if markers is not None else [""] * len(detectors)
    kept = {key.upper(): text for key, text in (keywords or {}).items() if not _is_structure(key.upper())}
    written = kept | {"$PAR": str(len(detectors)), "$TOT": str(len(values)), "$DATATYPE": "D", "$MODE": "L"}
    tops = _tops({key.upper(): text for key, text in (keywords or {}).items()}, detectors)
    for n, (detector, marker, top) in enumerate(zip(detectors, markers, tops, strict=True), 1):
        written |= {f"$P{n}N": detector, f"$P{n}B": "64", f"$P{n}E": "0,0", f"$P{n}R": f"{top:.10g}"}
        written |= {f"$P{n}S": marker} if marker else {}
    panel = Panel.from_keywords(written, path=name)
    finite = int(np.count_nonzero(np.isfinite(values)))
    stored = EventsInMemory(values, survey=Survey(not_finite=values.size - finite))
    sample = Sample(Path(name), 0, "FCS3.1", stored, panel, written)
    digest = hashlib.sha256(repr((list(detectors), list(markers), values.shape)).encode())
    digest.update(values.astype("<f8").tobytes())
    vars(sample)["sha256"] = digest.hexdigest()  # what is cached there is not computed: there is no file to hash
    return sample


def _tops(keywords: Mapping[str, str], detectors: Sequence[str]) -> list[float]:
    """Tops of scale that the keywords of a file say ($PnR, $PnE, $PnG), 262,144 where they do not."""
    names = {f"$P{n}N": detector for n, detector in enumerate(detectors, 1)}
    try:
        panel = Panel.from_keywords({"$DATATYPE": "F", **keywords, **names, "$PAR": str(len(detectors))})
    except FcsError:
        return [262144.0] * len(detectors)
    return [channel.top for channel in panel.channels]


def _is_structure(key: str) -> bool:
    if key in ("$PAR", "$TOT", "$DATATYPE", "$MODE", "$BYTEORD", "$NEXTDATA", "$TIMESTEP"):
        return True
    if key.startswith(("$BEGIN", "$END")):
        return True
    letters = key.removeprefix("$P").lstrip("0123456789")
    return key.startswith("$P") and key[2:3].isdigit() and letters in _OF_CHANNELS

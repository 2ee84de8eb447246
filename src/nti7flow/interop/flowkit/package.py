"""What is said of FlowKit in several places: how it is imported, and what it calls things."""

from __future__ import annotations

import warnings
from typing import Any

from nti7flow.errors import printable
from nti7flow.events.markers import scatter_kind, split_measure, squeeze
from nti7flow.events.transforms import Linear

#: No transform: display units are scale values.
IDENTITY = Linear(1.0, 0.0)
#: What Gating-ML calls the matrix that the FCS file holds, and none.
IN_FILE, UNCOMPENSATED = "FCS", "uncompensated"
ROOT = "root"
#: First four letters of the channels that FlowKit never compensates.
NEVER_COMPENSATED = ("fsc-", "ssc-", "time")
#: Letters of a name from a file that are shown.
SHOWN = 80
Path_ = tuple[str, ...]


def load() -> Any:
    """Import FlowKit, which takes a second or two; what it warns of while it is imported is not ours to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import flowkit

    return flowkit


def name_of(text: object) -> str:
    """Return a name from a file as a message may show it."""
    whole = str(text)
    return printable(whole[:SHOWN]) + ("…" if len(whole) > SHOWN else "")


def never_compensated(channel: str) -> bool:
    """Whether FlowKit takes a channel for scatter or time by its name, which no matrix covers."""
    base = split_measure(channel)[0]
    return channel.lower()[:4] in NEVER_COMPENSATED or bool(scatter_kind(base)) or squeeze(base) in ("TIME", "HDRT")

"""Sheets to try the trial room on, and what reading them complains of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nti7flow.errors import ConfigError
from nti7flow.trial import read_trial


def write_sheets(folder: Path, **sheets: str) -> dict[str, Path]:
    """Write each text as a CSV sheet of that name; lines may be indented."""
    places = {}
    for name, text in sheets.items():
        places[name] = folder / f"{name}.csv"
        places[name].write_text("".join(f"{line.strip()}\n" for line in text.strip().splitlines()), encoding="utf-8")
    return places


def problems_of(read: Callable[[], object]) -> list[str]:
    """The lines of the error that reading raises, without the heading; each says all that a message must."""
    with pytest.raises(ConfigError) as caught:
        read()
    heading, *lines = str(caught.value).splitlines()
    assert heading.endswith("1 problem" if len(lines) == 1 else f"{len(lines)} problems")
    assert all(line.count(";") >= 2 and line.endswith((".", "?")) for line in lines)
    return [line.strip() for line in lines]


def trial_problems(places: Mapping[str, Path | str], time_zone: str = "UTC") -> list[str]:
    """The problems of a trial."""
    return problems_of(lambda: read_trial(places, time_zone=time_zone))

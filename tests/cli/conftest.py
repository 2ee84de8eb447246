"""Fixtures of the command line: call it here, or as a process of its own."""

import sys
from pathlib import Path

import pytest
from command_line import Outcome, spawn

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
from study_tubes import TUBES, plain, pooled

from nti7flow.cli.main import main

__all__ = ["plain", "pooled"]


@pytest.fixture
def nti7flow(monkeypatch, capsys):
    """Run the command line in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nti7flow", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Outcome(stop.value.code or 0, out, err)

    return run


@pytest.fixture(scope="session")
def sample_runs(tmp_path_factory):
    """The study in tests/tubes/, gated twice under circumstances that must not matter; folders and what was printed."""
    folder = tmp_path_factory.mktemp("runs")
    one = spawn(
        *("gate", TUBES / "study.yaml", "--out", folder / "one"),
        **dict(cwd="/", LC_ALL="C", TZ="UTC", PYTHONHASHSEED="1", PYTHONUTF8="0"),
    )
    two = spawn(
        *("gate", "study.yaml", "--out", folder / "two", "--jobs", "2"),
        **dict(cwd=TUBES, LC_ALL="C.UTF-8", TZ="Pacific/Auckland", PYTHONHASHSEED="2"),
    )
    return {"one": (folder / "one", one), "two": (folder / "two", two)}

"""Fixtures for every room."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# "steady": the same examples in every run, and none fails for being slow on a busy machine.
# HYPOTHESIS_PROFILE=search looks for new ones, thirty times as many.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=3000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real reference data, read in place; tests that need it skip where it is absent."""
    named = os.environ.get("NTI7FLOW_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder} (set NTI7FLOW_SHARED_DATA)")
    return folder

"""Fixtures of the exports room."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
from study_tubes import plain, pooled

__all__ = ["plain", "pooled"]

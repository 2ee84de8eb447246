"""Fixtures of the study room."""

from study_tubes import plain, pooled

__all__ = ["plain", "pooled"]

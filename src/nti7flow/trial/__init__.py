"""The trial around the tubes: what a lab writes into its sheets, read and checked."""

from nti7flow.trial.samples import SAMPLE_COLUMNS, SampleRow, read_samples

__all__ = ["SAMPLE_COLUMNS", "SampleRow", "read_samples"]

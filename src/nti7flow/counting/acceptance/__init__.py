"""Acceptance of tubes, specimens and bead lots: what is checked, by which limits, and what to look at."""

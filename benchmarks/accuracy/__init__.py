"""How right the gates are: against labelled tubes, simulated studies with truth, and one real tube thinned and shifted.

``python -m benchmarks.accuracy [--quick] [--data DIR] [--only NAME]`` writes docs/reference/accuracy.md and its figure.
Everything is gated as a user would gate it: a plan in, a run folder out, and the run folder is scored.
"""

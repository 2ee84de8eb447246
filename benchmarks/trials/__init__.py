"""How often the intervals of whole simulated trials hold the truth, and what is said of tubes that went wrong.

``python -m benchmarks.trials [--seeds 801-810] [--subjects 13] [--folder DIR] [--jobs 2] [--out FILE]`` writes
docs/reference/trials.md and its figure. Each trial is simulated, gated and counted as a user does it: here gates, beads
and doublets are as wrong as they are, where benchmarks/coverage draws all errors as they are modelled.
"""

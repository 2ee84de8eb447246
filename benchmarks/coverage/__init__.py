"""How often the intervals of counting/intervals.py hold the truth: simulated on a grid, and calculated between.

``python -m benchmarks.coverage [--draws N] [--seed N] [--quick] [--out FILE]`` writes docs/reference/coverage.md and
its figure. Nothing of a trial is simulated here, only what a count is drawn from; with an unlucky model the interval
would be judged by the model. What the package does with whole tubes is measured elsewhere.
"""

"""``python -m nti7flow.simulation OUT`` writes the study that ships in sample_fcs/."""

import argparse
from pathlib import Path

from nti7flow.simulation.study import plan_sample_study, write_study

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m nti7flow.simulation", description="Write the small simulated study that ships in sample_fcs/."
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make; empty if it exists")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same bytes (default: %(default)s)")
    arguments = parser.parse_args()
    write_study(arguments.out, plan_sample_study(arguments.seed))

"""``python -m nti7flow.simulation OUT`` writes the study that ships in sample_fcs/."""

import argparse
from pathlib import Path

from nti7flow.simulation.small_study import SEED, write_small_study

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m nti7flow.simulation", description="Write a small simulated study with known truth."
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; files of the same name are replaced")
    parser.add_argument("--seed", type=int, default=SEED, help="same seed, same bytes (default: %(default)s)")
    arguments = parser.parse_args()
    write_small_study(arguments.out, seed=arguments.seed)

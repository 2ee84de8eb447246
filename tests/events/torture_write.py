"""Write the torture corpus to a folder, for any reader: ``python tests/events/torture_write.py OUT``.

Every case gets a folder of its own, ``OUT/NAME/``, and beside it ``OUT/NAME.json``: path, data set to read, and the
truth (`torture_truth.Truth` says what the words mean). Cases of the operating system, such as pipes and devices, are
made too where this machine can.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from torture_cases import CASES
from torture_truth import Unavailable


def write_corpus(out: Path) -> tuple[int, list[str]]:
    """Write all cases; return how many, and a line for each that cannot be made here."""
    out.mkdir(parents=True)
    skipped = []
    for case in CASES:
        folder = out / case.name
        folder.mkdir()
        try:
            path = str(case.write(folder))
        except Unavailable as reason:
            skipped.append(f"{case.name}: {reason}")
            continue
        inside = path.startswith(f"{out}{os.sep}")
        truth = {
            "name": case.name,
            "topic": case.topic,
            "path": path[len(str(out)) + 1 :] if inside else path,
            "data_set": case.data_set,
            "n_data_sets": case.n_data_sets,
            **case.truth.to_dict(case.numbers()),
        }
        (out / f"{case.name}.json").write_text(json.dumps(truth, indent=1, default=str), encoding="utf-8")
    return len(CASES) - len(skipped), skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    n, skipped = write_corpus(parser.parse_args().out)
    print(f"{n} cases written" + "".join(f"\nnot made: {line}" for line in skipped))


if __name__ == "__main__":
    main()

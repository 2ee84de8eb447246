"""The command line as a process of its own, and what a command did."""

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    def error(self):
        """The one line of an error."""
        assert self.code == 1, self
        assert self.out == ""
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        assert line.startswith("nti7flow: ")
        return line.removeprefix("nti7flow: ")


def spawn(*arguments, cwd=None, **environment):
    """Run the command line as a process of its own, in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-m", "nti7flow", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    return Outcome(done.returncode, done.stdout, done.stderr)

"""The checks of FlowCytometryTools on the other Pythons we support, where they are present."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OTHERS = [v for v in ("3.11", "3.12", "3.13") if v != f"{sys.version_info.major}.{sys.version_info.minor}"]
CHECKS = ["test_flowcytometrytools.py", "test_flowcytometrytools_gates.py"]
#: The extra, what its code imports without saying so, and what the checks and the rooms below interop need.
NEEDED = ["FlowCytometryTools==0.5.1", "fcsparser==0.2.4", "six", "scipy", "matplotlib", "numpy", "pandas"]
NEEDED += ["pytest", "hypothesis"]


def find_python(version):
    """An interpreter of this version that runs: by its name, or below pyenv, whose names may be of another version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}*/bin/python{version}")]
    for path in filter(None, found):
        said = subprocess.run([path, "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
        if said.returncode == 0 and said.stdout.startswith(f"{version}."):
            return str(path)
    return None


def find_uv():
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


@pytest.mark.parametrize("version", OTHERS)
def test_the_same_checks_pass_on(version, tmp_path):
    interpreter, uv = find_python(version), find_uv()
    if interpreter is None:
        pytest.skip(f"no Python {version} here")
    if uv is None:
        pytest.skip("no uv here")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", interpreter, tmp_path / "venv"], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, "-c", ROOT / "constraints.txt"]
    if subprocess.run([*install, "six"], capture_output=True).returncode:
        pytest.skip("no package index here")
    subprocess.run([*install, *NEEDED], check=True, timeout=240)
    # Settings of the project hold, but for the options of a whole run, such as coverage.
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", *(Path(__file__).with_name(name) for name in CHECKS)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    run = subprocess.run([python, "-m", "pytest", *options], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout and " skipped" not in run.stdout, run.stdout[-2000:]

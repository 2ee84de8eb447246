"""What a user installs: one version, the promised extras, locked dependencies, templates in the wheel."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import metadata, version
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nti7flow

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def locked() -> list[tuple[str, str, int]]:
    """Name, version and number of hashes of each entry; a package may have one entry per Python."""
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)[1:]
    return [(*re.match(r"([a-z0-9-]+)==(\S+)", entry).groups(), entry.count("--hash=sha256:")) for entry in entries]


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert version("nti7flow") == nti7flow.__version__
    assert f"\nversion: {nti7flow.__version__}\n" in citation


def test_extras_are_those_of_the_design():
    users = {"trial", "flowcytometrytools", "scanpy", "dask"}
    assert set(metadata("nti7flow").get_all("Provides-Extra")) == users | {"test", "lint", "docs", "bench"}


def test_constraints_name_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|@ ", text)


def test_every_dependency_is_locked_within_its_bounds(locked):
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        requirement = Requirement(line)
        pins = [pin for name, pin, _ in locked if name == canonicalize_name(requirement.name)]
        assert pins, f"{line} is not locked"
        assert all(requirement.specifier.contains(pin) for pin in pins), f"{line} is locked to {pins}"


def test_every_locked_package_has_hashes(locked):
    assert len(locked) > len(PROJECT["dependencies"])
    assert [name for name, _, n_hashes in locked if n_hashes == 0] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The source archive, and the wheel made from that archive alone, as an installer would."""
    folder = tmp_path_factory.mktemp("dist")
    sdist = _hatchling_build(ROOT, "sdist", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return sdist, _hatchling_build(folder / sdist.name.removesuffix(".tar.gz"), "wheel", folder)


def test_wheel_ships_templates_and_types(built):
    wheel = zipfile.ZipFile(built[1])
    shipped = set(wheel.namelist())
    for template in (path for path in (ROOT / "gating").rglob("*") if path.is_file()):
        inside = f"nti7flow/_gating/{template.relative_to(ROOT / 'gating').as_posix()}"
        assert wheel.read(inside) == template.read_bytes()
    assert "nti7flow/_gating/tbnk/1.0.0.yaml" in shipped
    assert "nti7flow/py.typed" in shipped
    dist_info = f"nti7flow-{nti7flow.__version__}.dist-info"
    assert {name.partition("/")[0] for name in shipped} == {"nti7flow", dist_info}


def test_sdist_holds_what_the_readme_runs(built):
    with tarfile.open(built[0]) as archive:
        packed = {name.split("/")[1] for name in archive.getnames()}
    assert packed >= {"src", "gating", "sample_fcs", "tests", "docs", "Makefile", "constraints.txt"}


def _hatchling_build(project: Path, target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return next(folder.glob("*.tar.gz" if target == "sdist" else "*.whl"))

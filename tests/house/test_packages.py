"""pyproject.toml, environment.yml, constraints.txt and the README say the same."""

import re
import sys
import tomllib

import pytest

from labkit.experiments import NAMES

from .tree import TOP, imports, python_files

PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"matplotlib-base": "matplotlib", "playwright-python": "playwright"}
COMES_WITH = {
    "IPython": "ipykernel",
    "traitlets": "ipywidgets",
    "nbformat": "nbclient",
    "jupyter_client": "ipykernel",
    "numpy": "matplotlib",
}
NOT_FROM_PYPI = {"libvirt", "libvirt_qemu"}


def ranges(lines):
    """Each package's range of versions, by its name."""
    return {re.match(r"[\w.-]+", line)[0]: re.sub(r"^[\w.-]+", "", line) for line in lines}


def needed():
    return ranges([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])


def conda():
    text = (TOP / "environment.yml").read_text()
    lines = re.findall(r"^  - ([^:\n]+)$", text.split("dependencies:")[1], re.MULTILINE)
    return {CONDA_NAMES.get(package, package): version for package, version in ranges(lines).items()}


def test_conda_gives_the_same_packages():
    there = conda()
    assert there.pop("python") == PROJECT["requires-python"]
    there.pop("pip")
    assert there == needed()


def test_every_package_is_pinned_within_its_range():
    pinned = ranges(re.findall(r"^[\w.-]+==[\w.]+", (TOP / "constraints.txt").read_text(), re.MULTILINE))
    assert set(needed()) <= set(pinned)


def test_what_is_imported_is_asked_for():
    ours = {"labkit", *sys.stdlib_module_names} | NOT_FROM_PYPI
    met = {module.split(".")[0] for path in python_files("labkit/") for module, _ in imports(path)} - ours
    assert {COMES_WITH.get(module, module) for module in met} <= set(needed())


def test_required_live_experiments_exist():
    lines = (TOP / "tests" / "live_required.txt").read_text().splitlines()
    required = {line for line in lines if line and not line.startswith("#")}
    assert required and required <= set(NAMES)


def test_licence():
    text = (TOP / "LICENSE").read_text()
    assert PROJECT["license"] == "BSD-3-Clause"
    assert text.startswith("BSD 3-Clause License") and "2026, the labkit authors" in text


@pytest.fixture(scope="module")
def readme():
    return (TOP / "README.md").read_text(encoding="utf-8")


def test_readme_names_the_commands_and_versions(readme):
    least, below = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert f"3.{least}" in readme and f"3.{int(below) - 1}" in readme
    for word in ("./course open", "./course test", "environment.yml", "live", "BSD-3-Clause", "labkit clean"):
        assert word in readme, word


def test_readme_knows_no_command_that_there_is_not(readme):
    from labkit.cli import command_names

    asked = set(re.findall(r"\blabkit ([a-z]+)\b", " ".join(re.findall(r"`[^`\n]+`", readme))))
    assert asked <= command_names()


def test_readme_links_to_files_that_exist(readme):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", readme)
    assert [link for link in links if not (TOP / link).exists()] == []

"""What is said of the project beside its code says the same everywhere."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import spurgekit
from spurgekit.extras import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]


def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow):
    """Yield what the jobs of a workflow run."""
    for job in read_yaml(workflow)["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def pythons(workflow):
    """Yield the versions of Python that a workflow sets up."""
    for job in read_yaml(workflow)["jobs"].values():
        yield from job.get("strategy", {}).get("matrix", {}).get("python", ())


def test_the_citation_is_of_this_version_under_this_licence():
    citation = read_yaml(ROOT / "CITATION.cff")
    assert citation["version"] == spurgekit.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_said_to_install_is_what_an_extra_installs(extra):
    assert EXTRAS[extra] == tuple(PROJECT["optional-dependencies"][extra])


def test_the_newest_changes_are_of_this_version():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == spurgekit.__version__


@pytest.mark.parametrize("file", ["CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"])
def test_addresses_are_of_one_repository(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", text))
    assert addresses == {PROJECT["urls"]["Repository"]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_there_is(workflow):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for command in steps(workflow):
        words = command.split()
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets
        else:
            assert (ROOT / words[0]).stat().st_mode & 0o100


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "tests" / "benchmarks").glob("*.py")))
def test_benchmarks_find_what_they_measure(name):
    importlib.import_module(f"tests.benchmarks.{name}")


def test_workflows_try_every_python_that_is_promised():
    named = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", name) for name in PROJECT["classifiers"])
    promised = {match[1] for match in named if match}
    assert {version for workflow in WORKFLOWS for version in pythons(workflow)} == promised
    assert PROJECT["requires-python"] == ">=" + min(promised, key=lambda version: int(version.split(".")[1]))


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_forms_ask_each_thing_once(form):
    body = read_yaml(form)["body"]
    assert all(field["attributes"]["label"] for field in body)
    assert len({field["id"] for field in body}) == len(body)

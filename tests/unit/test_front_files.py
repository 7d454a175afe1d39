"""What a stranger's tools look for: licence, citation, catalogue, CI, issue templates."""

import re
import tomllib

import pytest
import yaml

from engram_audio.provenance import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
GITHUB = ROOT / ".github"


def load(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_licence_citation_and_package_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = load("CITATION.cff")
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert project["version"] == citation["version"] and project["name"] == citation["title"]
    assert citation["authors"] == [{"name": "The engram_audio developers"}]
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]


def test_the_catalogue_promises_only_what_is_there():
    usage = load(".snakemake-workflow-catalog.yml")["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert list((ROOT / "rules").glob("*.smk")) and (ROOT / "envs" / "engram.yaml").is_file()


def commands() -> list[str]:
    jobs = load(".github/workflows/ci.yml")["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_ci_calls_the_commands_of_the_readme():
    called = {command.split()[1] for command in commands() if command.startswith("make ")}
    assert {"demo", "test", "check", "bundle"} <= called <= TARGETS


def test_only_pythons_that_have_not_been_seen_to_pass_may_fail():
    job = load(".github/workflows/ci.yml")["jobs"]["readme"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "!= '3.11'" in job["continue-on-error"]


@pytest.mark.parametrize("name", ["bug.yml", "question.yml"])
def test_issue_templates_ask_for_the_bundle(name: str):
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    text = (GITHUB / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8")
    assert set(re.findall(r"`make (\w+)", text)) <= TARGETS and "make bundle" in text
    assert all((ROOT / path).is_file() for path in re.findall(r"`(docs/[\w.-]+)`", text))


def test_the_readme_names_only_targets_that_there_are():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= TARGETS

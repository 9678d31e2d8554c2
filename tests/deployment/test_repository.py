"""What a repository has for people who work in it: the workflow, templates, hooks and editors' settings name what exists."""

import configparser
import re
import shlex
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
GITHUB: Final = ROOT / ".github"
WORKFLOW: Final = GITHUB / "workflows" / "checks.yml"
FORMS: Final = sorted(set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE" / "config.yml"})
ELEMENTS: Final = ("markdown", "textarea", "input", "dropdown", "checkboxes")
MAKEFILE: Final = (ROOT / "Makefile").read_text()
TARGETS: Final = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
VARIABLES: Final = set(re.findall(r"^[A-Z]+(?= +\??=)|(?<=\$\(if \$\()[A-Z]+", MAKEFILE, re.MULTILINE))
EXPRESSION: Final = re.compile(r"\$\{\{ matrix\.(\w+) \}\}")


def read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def test_each_step_of_the_workflow_is_a_target_of_the_makefile_with_its_variables() -> None:
    jobs = read_yaml(WORKFLOW)["jobs"]
    steps = list(chain.from_iterable(job["steps"] for job in jobs.values()))
    commands = [EXPRESSION.sub(r"\1", step["run"]) for step in steps if "run" in step]

    assert {step["uses"].partition("@")[0] for step in steps if "uses" in step} == {"actions/checkout", "actions/setup-python"}
    assert {"test", "test-debian", "audit", "docs"} <= {shlex.split(command)[1] for command in commands}
    for command in commands:
        program, target, *given = shlex.split(command)
        assert program == "make"
        assert target in TARGETS
        for variable, value in (one.split("=", 1) for one in given):
            assert variable in VARIABLES
            if value.startswith("make "):
                assert value.split()[1] in TARGETS


def test_the_workflow_tries_the_oldest_and_the_newest_python_and_both_debians_and_may_only_read() -> None:
    workflow = read_yaml(WORKFLOW)
    classifiers = tomllib.loads((ROOT / "contracts" / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [found[1] for one in classifiers if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one))]

    assert workflow[True].keys() == {"push", "pull_request"}  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["suite"]["strategy"]["matrix"] == {"python": [supported[0], supported[-1]]}
    assert workflow["jobs"]["debian"]["strategy"]["matrix"] == {"image": ["debian:bookworm", "debian:trixie"]}
    for job in workflow["jobs"].values():
        assert set(EXPRESSION.findall(str(job["steps"]))) == set(job["strategy"]["matrix"])
        assert job["timeout-minutes"] <= 35


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_an_issue_form_has_what_github_wants(form: Path) -> None:
    content = read_yaml(form)

    assert content.keys() == {"name", "description", "labels", "body"}
    asked = [element for element in content["body"] if element["type"] != "markdown"]
    assert len({element["id"] for element in asked}) == len(asked)
    for element in content["body"]:
        assert element["type"] in ELEMENTS
        assert element["type"] == "markdown" or element["attributes"]["label"]
        if element["type"] in ("dropdown", "checkboxes"):
            assert element["attributes"]["options"]


def test_the_hooks_run_the_repositorys_own_tools() -> None:
    (own,) = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    pinned = (ROOT / "requirements" / "dev.txt").read_text()

    assert own["repo"] == "local"
    assert len(own["hooks"]) >= 4
    for hook in own["hooks"]:
        program, *arguments = shlex.split(hook["entry"])
        assert hook["language"] == "system"
        if program == "make":
            assert set(arguments) <= TARGETS
        else:
            assert program.startswith(".venv/bin/")
            package = {"lint-imports": "import-linter"}.get(Path(program).name, Path(program).name)
            assert f"\n{package}==" in pinned


def test_editors_wrap_where_the_formatter_does() -> None:
    settings = configparser.ConfigParser()
    settings.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    line_length = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]

    assert settings["top"]["root"] == "true"
    assert settings["*.py"]["max_line_length"] == str(line_length)
    assert settings["{Makefile,*.mk}"]["indent_style"] == "tab"


def test_a_fault_is_reported_privately_by_a_page_that_templates_and_docs_name() -> None:
    assert "Report a vulnerability" in (ROOT / "SECURITY.md").read_text()
    assert "SECURITY.md" in (GITHUB / "ISSUE_TEMPLATE" / "fault.yml").read_text()
    assert "SECURITY.md" in (ROOT / "README.md").read_text()


def test_the_release_page_names_only_targets_that_exist_and_the_version_stands_in_one_place() -> None:
    page = (ROOT / "docs" / "releases.md").read_text()
    versions = [
        file.relative_to(ROOT).as_posix()
        for file in ROOT.glob("*/pyproject.toml")
        if "version" in tomllib.loads(file.read_text())["project"]
    ]

    assert set(re.findall(r"make ([a-z-]+)", page)) <= TARGETS
    assert versions == ["contracts/pyproject.toml"]
    assert "contracts/pyproject.toml" in page

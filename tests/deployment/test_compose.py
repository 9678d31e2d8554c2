"""compose.yaml: it is valid, no service has more rights than it needs, and every name leads somewhere."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import pytest
import yaml

from tapwire_core.settings import PREFIX
from tests.deployment.setting_names import is_setting

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PINNED = re.compile(r"postgres:\d+\.\d+-\w+|.+:v?\d+\.\d+\.\d+(-\w+)*")
"""To the patch; PostgreSQL has two numbers."""
DEFAULT = re.compile(r"\$\{TAPWIRE_[A-Z]+_IMAGE:-([^}]+)\}")
VERSION = tomllib.loads((ROOT / "contracts" / "pyproject.toml").read_text())["project"]["version"]
OURS = {f"tapwire-services:{VERSION}", f"tapwire-node:{VERSION}"}
"""With the version in the tag, an upgrade whose build was forgotten does not go on with the old image."""
UNCHECKED = {"migrate", "cli", "sync-broker", "backup", "tap-left", "prometheus", "grafana"}
"""Some end by themselves; nothing depends on the others."""

every_service = pytest.mark.parametrize("service", list(SERVICES))


def test_it_is_what_the_compose_specification_says() -> None:
    vendored = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "compose-spec.json"

    jsonschema.validate(COMPOSE, json.loads(vendored.read_text()))


@every_service
def test_no_service_runs_as_root_writes_its_image_or_has_capabilities(service: str) -> None:
    given = SERVICES[service]

    assert given["user"].startswith("${TAPWIRE_UID:?")
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in given


@every_service
def test_each_image_is_ours_or_pinned(service: str) -> None:
    image = SERVICES[service]["image"]

    assert image in OURS or PINNED.fullmatch(DEFAULT.sub(r"\1", image)), image
    assert image in OURS or DEFAULT.fullmatch(image), "a digest can take its place"


@pytest.mark.parametrize("image", sorted(OURS))
def test_each_image_of_ours_is_built_by_one_service_and_pulled_by_none(image: str) -> None:
    users = [given for given in SERVICES.values() if given["image"] == image]

    assert sum("build" in given for given in users) == 1, "an image for each would differ, and `up` would start all of them anew"
    assert all("build" in given or given["pull_policy"] == "never" for given in users)


@every_service
def test_each_service_that_others_wait_for_says_whether_it_is_well(service: str) -> None:
    assert ("healthcheck" in SERVICES[service]) == (service not in UNCHECKED)
    for other, when in _dependencies(SERVICES[service]).items():
        assert when != "service_healthy" or "healthcheck" in SERVICES[other]


@every_service
def test_secrets_are_files_and_no_setting_holds_one(service: str) -> None:
    given = SERVICES[service]
    for name in given.get("secrets", []):
        assert name in COMPOSE["secrets"]
    for variable, value in given.get("environment", {}).items():
        assert not re.search("PASSWORD|SECRET|URL", variable) or variable.endswith("_FILE") or "@" not in str(value)
        if str(value).startswith("/run/secrets/"):
            assert Path(value).name in given["secrets"], variable


@every_service
def test_each_setting_of_ours_is_one(service: str) -> None:
    ours = [variable for variable in SERVICES[service].get("environment", {}) if variable.startswith(PREFIX)]

    assert [variable for variable in ours if not is_setting(variable)] == []


@every_service
def test_each_mounted_file_is_there_or_made_by_the_preparation(service: str) -> None:
    for volume in SERVICES[service].get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or source.startswith("./deploy/state/") or (ROOT / source).exists(), source


def test_commands_start_nothing_else_and_migrate_nothing() -> None:
    assert "depends_on" not in SERVICES["cli"]


def test_a_standby_has_the_settings_of_its_primary() -> None:
    primary, standby = SERVICES["postgres"], SERVICES["standby"]

    assert {key: primary[key] for key in ("image", "environment", "entrypoint")} == {
        key: standby[key] for key in ("image", "environment", "entrypoint")
    }
    assert (primary["command"], standby["command"]) == (["postgres"], ["standby"]), "each knows its own name"


@pytest.mark.parametrize("service", ["postgres", "standby"])
def test_a_health_check_that_is_cut_off_is_no_child_of_postgresql(service: str) -> None:
    assert SERVICES[service]["init"] is True


def test_no_service_lives_in_the_processes_of_another() -> None:
    assert [name for name, given in SERVICES.items() if "pid" in given] == []


def test_only_devices_and_services_of_the_broker_are_open_to_the_network() -> None:
    open_ports = {port for given in SERVICES.values() for port in given.get("ports", []) if not port.startswith("127.0.0.1:")}

    assert open_ports == {"8883:8883", "8884:8884"}


def _dependencies(given: dict[str, Any]) -> dict[str, str]:
    depends_on = given.get("depends_on", {})
    return {name: depends_on[name]["condition"] for name in depends_on} if isinstance(depends_on, dict) else {}

"""What `broker-config/rabbitmq/cluster.sh` writes for each member; `make chaos CLUSTER=1` runs it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.shipped_broker import SHIPPED

NAMES = [f"rabbit@192.0.2.1{number}" for number in (1, 2, 3)]


def cluster_sh(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it as a person does, for nobody but us."""
    command = [str(SHIPPED / "rabbitmq" / "cluster.sh"), *map(str, arguments)]
    environment = {**os.environ, "BROKER_USER": str(os.geteuid())}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("own", NAMES)
def test_each_member_knows_all_and_stops_when_it_sees_none_of_the_others(tmp_path: Path, own: str) -> None:
    assert cluster_sh(tmp_path, own, *NAMES).returncode == 0

    lines = (tmp_path / "conf.d" / "tapwire-cluster.conf").read_text().splitlines()
    given = dict(line.split(" = ") for line in lines if line and not line.startswith("#"))
    assert [value for key, value in given.items() if key.startswith("cluster_formation.classic_config")] == NAMES
    assert given["cluster_partition_handling"] == "pause_if_all_down"
    partners = [value for key, value in given.items() if ".pause_if_all_down.nodes." in key]
    assert partners == [name for name in NAMES if name != own], "a member that it lists itself never stops serving"
    assert "net_setuptime" in (tmp_path / "advanced.config").read_text()


def test_a_name_that_is_none_of_the_members_writes_nothing(tmp_path: Path) -> None:
    refused = cluster_sh(tmp_path, "rabbit@192.0.2.14", *NAMES)

    assert (refused.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "is none of the members" in refused.stderr

"""deploy/prepare.sh makes every secret and file that compose.yaml names, once."""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.conftest import require_mosquitto

ROOT = Path(__file__).parents[2]


def test_everything_that_compose_names_is_there_after_the_preparation_and_stays_when_it_is_repeated(tmp_path: Path) -> None:
    require_mosquitto()
    for part in ("deploy", "broker-config"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("state"))

    prepare(tmp_path)
    named = [tmp_path / secret["file"] for secret in yaml.safe_load((ROOT / "compose.yaml").read_text())["secrets"].values()]
    before = {file: file.read_text() for file in named}
    with (tmp_path / ".env").open("a") as variables_of_mine:
        variables_of_mine.write("TAPWIRE_CURRENCY=CZK\n")
    prepare(tmp_path)

    assert all(before.values())
    assert {file: file.read_text() for file in named} == before
    variables = dict(line.split("=") for line in (tmp_path / ".env").read_text().splitlines() if line)
    assert (variables["TAPWIRE_HOST"], variables["TAPWIRE_CURRENCY"]) == ("venue.example", "CZK")
    assert variables["TAPWIRE_UID"] != "0"
    assert (tmp_path / "deploy/state/ca/tls/ca.crt").read_text() in before.values()
    assert "/etc/tapwire/broker/services" in (tmp_path / "deploy/state/broker/listeners/tls.conf").read_text()
    assert not list((tmp_path / "deploy/state/broker").glob("**/ca.key")), "the authority's key stays out of the broker's folder"


def prepare(folder: Path) -> None:
    """Run it as a person does."""
    done = subprocess.run(
        [folder / "deploy" / "prepare.sh", "venue.example"],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

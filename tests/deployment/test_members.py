"""`deploy/patroni/members.sh`: what each member of the database cluster gets."""

import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
THREE: Final = ("db1=192.0.2.11", "db2=192.0.2.12", "db3=db3.example")
TIMEOUT_S: Final = 60


def write(folder: Path, *members: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "deploy" / "patroni" / "members.sh", folder, *members],
        env={"PATH": os.environ["PATH"], "POSTGRES_VERSION": "17", **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def settings(folder: Path, name: str, part: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((folder / name / part / f"{part}.yml").read_text(encoding="utf-8"))
    return read


def test_each_member_has_its_own_address_and_knows_all(tmp_path: Path) -> None:
    assert write(tmp_path, *THREE).returncode == 0

    patroni, etcd = settings(tmp_path, "db3", "patroni"), settings(tmp_path, "db3", "etcd")
    assert patroni["name"] == etcd["name"] == "db3"
    assert patroni["postgresql"]["connect_address"] == "db3.example:5432"
    assert patroni["postgresql"]["bin_dir"] == "/usr/lib/postgresql/17/bin"
    assert patroni["etcd"]["hosts"] == ["192.0.2.11:2379", "192.0.2.12:2379", "db3.example:2379"]
    assert etcd["initial-cluster"] == "db1=https://192.0.2.11:2380,db2=https://192.0.2.12:2380,db3=https://db3.example:2380"
    assert etcd["initial-cluster-state"] == "new"
    shared = patroni["bootstrap"]["dcs"]
    assert shared["synchronous_mode"] is shared["synchronous_mode_strict"] is True
    assert shared["loop_wait"] + 2 * shared["retry_timeout"] <= shared["ttl"]


@pytest.mark.parametrize("part", ["etcd", "patroni"])
def test_a_members_certificate_is_for_its_address_and_both_directions(tmp_path: Path, part: str) -> None:
    write(tmp_path, *THREE)

    for name, subject in (("db1", "IP Address:192.0.2.11"), ("db3", "DNS:db3.example")):
        folder = tmp_path / name / part
        show = ["openssl", "x509", "-in", str(folder / "member.crt"), "-noout", "-text"]
        shown = subprocess.run(show, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout
        assert subject in shown
        assert "TLS Web Server Authentication, TLS Web Client Authentication" in shown
        verify = ["openssl", "verify", "-CAfile", str(folder / "ca.crt"), str(folder / "member.crt")]
        subprocess.run(verify, check=True, capture_output=True, timeout=TIMEOUT_S)


def test_one_member_more_joins_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, *THREE)
    before = {path: path.read_bytes() for path in tmp_path.rglob("db*/*/*")}

    assert write(tmp_path, *THREE, "db4=192.0.2.14").returncode == 0

    assert settings(tmp_path, "db4", "etcd")["initial-cluster-state"] == "existing"
    assert {path: path.read_bytes() for path in before} == before
    passwords = [settings(tmp_path, name, "patroni")["postgresql"]["authentication"]["replication"] for name in ("db1", "db4")]
    assert passwords[0] == passwords[1]


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    write(tmp_path, *THREE)

    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("member", ["db1", "=192.0.2.11", "db1=", "DB 1=192.0.2.11", "db1=192.0.2.11/24"])
def test_what_is_no_name_and_address_is_refused(tmp_path: Path, member: str) -> None:
    refused = write(tmp_path, member)

    assert refused.returncode == 2
    assert "NAME=ADDRESS" in refused.stderr
    assert not (tmp_path / "db1").exists()

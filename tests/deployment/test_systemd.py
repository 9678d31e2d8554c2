"""The blocks of docs/deployment.md, "systemd", typed on a Debian that systemd has booted: they start, notify, die and come back."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deployment.docker_engine import BARE, Engine
from tests.deployment.fresh_checkout import fresh_checkout
from tests.deployment.small_venue import SCENARIO, TAP, furnish

pytestmark = pytest.mark.install

ROOT: Final = Path(__file__).parents[2]
VENDOR: Final = "admin-api/src/tapwire_admin/console/vendor"
NAME: Final = "tapwire-test-machine"
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WORKERS: Final = ("tapwire-core@1", "tapwire-core@2", "tapwire-admin", "tapwire-sync-broker")
NODE: Final = "tapwire-node@left"
EXPOSED_AT_MOST: Final = 2.0
"""Of 10; `systemd-analyze security` calls 2 "OK"."""
WITHIN_S: Final = 120.0
OPTIONS: Final = (
    *(part for capability in ("SYS_ADMIN", "SYS_NICE", "SYS_PTRACE", "NET_ADMIN") for part in ("--cap-add", capability)),
    *(part for guard in ("seccomp", "apparmor", "systempaths") for part in ("--security-opt", f"{guard}=unconfined")),
    *("--tmpfs", "/run", "--tmpfs", "/tmp"),
)
"""What systemd needs of a container; `--privileged` would want more than some machines may give."""
INIT: Final = """
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,rw /sys/fs/cgroup
else
    umount -R /sys/fs/cgroup
    mkdir -p /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
exec /sbin/init
"""
A_DEBIAN_WITH_A_SERVER: Final = """
rm /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.conf
userdel tapwire
pg_createcluster 17 main --start
"""
"""The base image has no database, and a user for compose's containers."""
THE_NODE: Final = """
groupadd --system gpio
groupadd --system spi
usermod --append --groups gpio,spi tapwire
/opt/tapwire/bin/pip install --require-hashes -r requirements/node.txt
/opt/tapwire/bin/pip install --no-deps ./tap-node
export PATH=$PATH:/opt/tapwire/bin TAPWIRE_SETTINGS_FILE=/etc/tapwire/core.env
TAPWIRE_DEVICE_BROKER_URL=mqtts://localhost:8883 tapwire-core add-device bar/taps/left --driver simulated --folder left
sed -i 's#"journal.sqlite"#"/var/lib/tapwire/left.sqlite"#' left/tap.toml
echo 'scenario = "guests.toml"' >> left/tap.toml
install -m 640 -g tapwire left/tap.toml /etc/tapwire/left.toml
install -m 644 left/ca.crt guests.toml /etc/tapwire/
tapwire-node install-unit
systemctl daemon-reload
systemctl enable --now tapwire-node@left
"""
CALL: Final = """
import sys, urllib.request
method, url, token, key, body = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/json"}
asked = urllib.request.Request(url, method=method, data=body.encode() or None, headers={k: v for k, v in headers.items() if v})
print(urllib.request.urlopen(asked, timeout=30).read().decode())
"""


@dataclass
class Machine:
    """A booted Debian; `token` is an engineer's."""

    engine: Engine
    password: str = ""
    token: str = ""
    calls: int = 0

    def run(self, *command: object, within_s: float = 240) -> str:
        """Run a program in it."""
        return self.engine.run("docker", "exec", "--workdir", "/root/tapwire", NAME, *command, within_s=within_s)

    def type(self, script: str) -> str:
        """Type a shell's commands; the first that fails ends them."""
        return self.run("bash", "-euc", script, within_s=600)

    def core(self, *arguments: object) -> str:
        """Run a command of tapwire-core, with the units' settings."""
        return self.run("env", "TAPWIRE_SETTINGS_FILE=/etc/tapwire/core.env", "/opt/tapwire/bin/tapwire-core", *arguments)

    def get(self, url: str) -> str:
        """Read a page of the machine's own."""
        return self.run("python3", "-c", CALL, "GET", url, self.token, "", "")

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the admin API; its answer."""
        self.calls += 1
        key = f"call-{self.calls}" if method == "POST" else ""
        sent = "" if body is None else json.dumps(body)
        url = f"http://127.0.0.1:8080/api/{path}"
        return json.loads(self.run("python3", "-c", CALL, method, url, self.token, key, sent))

    def log_in(self) -> None:
        """Log the engineer in, whom the documented steps made."""
        self.token = ""
        self.token = self.api("POST", "session", {"username": "anna", "password": self.password})["token"]

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def log(self, unit: str) -> str:
        """All that the journal has of a unit."""
        return self.run("journalctl", "--unit", unit, "--no-pager", "--output", "cat")

    def until(self, what: str, is_so: Callable[[], Any]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + WITHIN_S
        said = ""
        while time.monotonic() < deadline:
            try:
                if is_so():
                    return
            except AssertionError as error:
                said = str(error)
            time.sleep(0.2)
        pytest.fail(f"{what}: not within {WITHIN_S} s. {said}\n{self.run('journalctl', '--no-pager', '--lines', 60)}")


@pytest.fixture(scope="module")
def machine(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which every block was typed, and a node installed; the console's libraries come from here."""
    checkout = fresh_checkout(tmp_path_factory.mktemp("systemd") / "tapwire")
    shutil.copytree(ROOT / VENDOR, checkout / VENDOR)
    (checkout / "guests.toml").write_text(SCENARIO)
    section = (checkout / "docs" / "deployment.md").read_text().split("\n## systemd\n")[1].split("\n## ")[0]
    typed = "\n".join(BLOCK.findall(section))
    assert "\nmake console\n" in typed

    engine.run("docker", "run", "--detach", "--name", NAME, *OPTIONS, BARE, "/bin/sh", "-euc", INIT)
    try:
        made = Machine(engine)
        engine.run("docker", "cp", checkout, f"{NAME}:/root/tapwire")
        made.until("systemd has booted", lambda: made.run("systemctl", "is-system-running") == "running\n")
        made.type(A_DEBIAN_WITH_A_SERVER)
        made.password = re.findall(r"Password, shown once: (\S+)", made.type(typed.replace("\nmake console\n", "\n")))[0]
        made.until("the admin API is ready", lambda: made.get("http://127.0.0.1:8080/health/ready"))
        made.log_in()
        furnish(made.api)
        made.type(THE_NODE)
        yield made
    finally:
        engine.run("docker", "rm", "--force", "--volumes", NAME)


def test_the_services_run_and_serve(machine: Machine) -> None:
    for worker, url in enumerate(("http://127.0.0.1:9101/", "http://127.0.0.1:9102/"), start=1):
        machine.until(f"worker {worker} is ready", partial(machine.get, f"{url}health/ready"))

    assert [machine.shown(unit, "ActiveState") for unit in (*WORKERS, NODE)] == ["active"] * 5
    assert machine.run("systemctl", "--failed", "--no-legend") == ""


@pytest.mark.parametrize("unit", [*WORKERS, NODE, "tapwire-backup", "tapwire-broker-logins"])
def test_a_unit_is_exposed_little(machine: Machine, unit: str) -> None:
    said = machine.run("systemd-analyze", "security", "--no-pager", unit)

    assert float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)[0]) <= EXPOSED_AT_MOST


def test_every_service_that_is_killed_is_started_again(machine: Machine) -> None:
    killed = {unit: machine.shown(unit, "MainPID") for unit in WORKERS}
    machine.run("kill", "-KILL", *killed.values())

    def all_are_back() -> bool:
        now = {unit: machine.shown(unit, "MainPID") for unit in WORKERS}
        return not set(now.values()) & {"0", *killed.values()}

    machine.until("all are back", all_are_back)
    machine.until("the admin API serves again", lambda: machine.get("http://127.0.0.1:8080/health/ready"))


def test_the_timer_waits_and_what_it_starts_makes_a_backup_for_its_user_alone(machine: Machine) -> None:
    assert machine.shown("tapwire-backup.timer", "ActiveState") == "active"
    assert machine.shown("tapwire-backup.timer", "NextElapseUSecRealtime")
    assert machine.shown("tapwire-backup.timer", "Unit") == "tapwire-backup.service"

    machine.run("systemctl", "start", "tapwire-backup.service")

    [made] = machine.run("find", "/var/lib/tapwire/backups", "-name", "*.backup", "-printf", "%m %u %f\n").splitlines()
    assert re.fullmatch(r"600 tapwire tapwire-\d{8}T\d{6}Z\.backup", made)


def test_a_node_killed_while_it_pours_has_its_valve_closed_and_its_pour_is_settled(machine: Machine) -> None:
    machine.until("the node pours, and says so", lambda: machine.shown(NODE, "StatusText") == "POURING")

    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", NODE)

    machine.until("it runs again", lambda: int(machine.shown(NODE, "NRestarts")) and machine.shown(NODE, "SubState") == "running")
    assert re.search(r"code=killed, status=9/KILL\nvalve closed\n", machine.log(NODE))
    machine.until("the pour is settled", lambda: machine.api("GET", "pours?sync_status=synced")["items"])
    assert "The books balance." in machine.core("check")


def test_a_node_that_hangs_is_killed_by_the_watchdog_and_its_valve_closed(machine: Machine) -> None:
    machine.until("it runs", lambda: machine.shown(NODE, "SubState") == "running")
    before = int(machine.shown(NODE, "NRestarts"))

    machine.run("kill", "-STOP", machine.shown(NODE, "MainPID"))

    machine.until("it is started again", lambda: int(machine.shown(NODE, "NRestarts")) == before + 1)
    assert re.search(r"Watchdog timeout(?:.*\n)+?valve closed\n", machine.log(NODE))


def test_another_cluster_of_postgresql_takes_the_books_over_as_documented(machine: Machine) -> None:
    section = (ROOT / "docs" / "operations.md").read_text().split("\n## Another major version")[1].split("\n## ")[0]
    [typed] = BLOCK.findall(section)
    poured = machine.api("GET", "pours")["items"]
    machine.run("pg_createcluster", "17", "next", "--start")

    said = machine.type(typed.replace("cluster=main", "cluster=next"))

    assert "The books balance." in said
    machine.until("worker 1 is ready", partial(machine.get, "http://127.0.0.1:9101/health/ready"))
    machine.until("the admin API serves", lambda: machine.get("http://127.0.0.1:8080/health/ready"))
    machine.log_in()
    assert {pour["pour_id"] for pour in poured} <= {pour["pour_id"] for pour in machine.api("GET", "pours")["items"]}
    machine.run("pg_dropcluster", "--stop", "17", "main")
    assert "The books balance." in machine.core("check")


def test_a_revoked_node_is_refused(machine: Machine) -> None:
    machine.until("it runs", lambda: machine.shown(NODE, "SubState") == "running")

    machine.core("revoke-device", TAP)

    machine.until("the broker refuses it", lambda: "Not authorized" in machine.log(NODE))

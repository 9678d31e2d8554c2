"""The stack of docs/deployment.md from a fresh checkout, on a Docker engine: a pour, three cores, kills, a backup, a standby."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.deployment.docker_engine import Engine
from tests.deployment.fresh_checkout import fresh_checkout
from tests.deployment.small_venue import SCENARIO, TAP, furnish

pytestmark = pytest.mark.install

ROOT: Final = Path(__file__).parents[2]
API: Final = "http://127.0.0.1:8080"
WITHIN_S: Final = 180.0
RESTARTED: Final = ("postgres", "mosquitto", "sync-broker", "backup", "core", "admin", "tap-left")
ALARM: Final = re.compile(r"time\(\) - max\(tapwire_last_backup_timestamp_seconds\) > (\d+)")


@dataclass
class Stack:
    """A checkout whose services run; `token` is an engineer's."""

    engine: Engine
    folder: Path
    token: str = ""

    def compose(self, *arguments: object, within_s: float = 240) -> str:
        """Run docker compose."""
        return self.engine.run("docker", "compose", *arguments, cwd=self.folder, within_s=within_s)

    def core(self, *arguments: object, **settings: str) -> str:
        """Run a command of tapwire-core, as the docs say."""
        given = [part for name, value in settings.items() for part in ("-e", f"{name}={value}")]
        return self.compose("run", "--rm", *given, "cli", "tapwire-core", *arguments)

    def standby(self, what: str) -> str:
        """Run deploy/standby.sh."""
        return self.engine.run("deploy/standby.sh", what, cwd=self.folder, within_s=240)

    def psql(self, service: str, statement: str) -> str:
        """Ask a database."""
        asked = ["psql", "-qtAX", "-U", "tapwire", "-d", "tapwire", "-c", statement]
        return self.compose("exec", "-T", service, *asked).strip()

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the admin API; its answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if method == "POST":
            headers["Idempotency-Key"] = os.urandom(8).hex()
        answer = httpx.request(method, f"{API}/api/{path}", json=body, headers=headers, timeout=30)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def log_in(self) -> None:
        """Make an engineer and log in."""
        password = self.core("create-user", "anna", "--role", "engineer").rsplit(maxsplit=1)[-1]
        self.token = self.api("POST", "session", {"username": "anna", "password": password})["token"]

    def containers(self) -> dict[str, list[dict[str, Any]]]:
        """What docker knows of each service's containers."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name in self.compose("ps", "--all", "--quiet").split():
            (container,) = json.loads(self.engine.run("docker", "inspect", name))
            found.setdefault(container["Config"]["Labels"]["com.docker.compose.service"], []).append(container)
        return found

    def is_well(self) -> bool:
        """True if every container that should run does, is healthy where it says so, and the API serves."""
        states = [one["State"] for service, many in self.containers().items() if service != "migrate" for one in many]
        well = all(state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy" for state in states)
        return well and is_served()

    def lets_in(self, secret: str) -> bool:
        """Return whether the broker lets the tap log in with this secret."""
        login = f"-h mosquitto -p 8883 --cafile /etc/tapwire/broker/tls/ca.crt -i {TAP} -u {TAP} -P {secret}"
        tried = f"mosquitto_pub {login} -q 1 -t tapwire/v1/{TAP}/pour/progress -m x && echo let in || true"
        return "let in" in self.compose("exec", "-T", "mosquitto", "sh", "-c", tried)


def is_served() -> bool:
    """True if the admin API is ready."""
    try:
        return httpx.get(f"{API}/health/ready", timeout=5).is_success
    except httpx.TransportError:
        return False


def until(what: str, is_so: Callable[[], Any], stack: Stack) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            if is_so():
                return
        except (AssertionError, httpx.TransportError) as error:
            last = str(error)
        else:
            last = "no"
        if time.monotonic() > deadline:
            logs = stack.compose("logs", "--tail", "15", "--no-color")
            pytest.fail(f"{what}: not within {WITHIN_S} s: {last}\n{stack.compose('ps', '--all')}\n{logs}")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack that docs/deployment.md starts, in a fresh checkout, with a venue in it."""
    folder = fresh_checkout(tmp_path_factory.mktemp("stack") / "tapwire")
    made = Stack(engine, folder)
    engine.run("deploy/prepare.sh", "venue.example", cwd=folder)
    made.compose("up", "-d", "--build", within_s=600)
    try:
        until("the stack is well", made.is_well, made)
        made.log_in()
        furnish(made.api)
        yield made
    finally:
        # not `down`: an engine may hold a network for a container that it lost count of when it was killed (moby#17217)
        made.compose("--profile", "*", "kill")
        made.compose("--profile", "*", "rm", "--force", "--volumes")


def test_a_simulated_tap_pours_and_the_pour_is_settled(stack: Stack) -> None:
    stack.core(
        "add-device", TAP, "--folder", "/taps/left", "--driver", "simulated", TAPWIRE_DEVICE_BROKER_URL="mqtts://mosquitto:8883"
    )
    tap = stack.folder / "deploy" / "state" / "taps" / "left"
    with (tap / "tap.toml").open("a") as settings:
        settings.write('scenario = "guests.toml"\n')
    (tap / "guests.toml").write_text(SCENARIO)
    (tap / "guests.toml").chmod(0o644)

    stack.compose("--profile", "taps", "up", "-d", within_s=300)

    until("the pour is settled", lambda: stack.api("GET", "pours?sync_status=synced")["items"], stack)
    for pour in stack.api("GET", "pours?sync_status=synced")["items"]:
        assert 300 <= pour["volume_ml"] < 500
    assert "The books balance." in stack.core("check")


def test_three_cores_share_the_work(stack: Stack) -> None:
    stack.compose("--profile", "taps", "up", "-d", "--scale", "core=3")

    def three_run() -> bool:
        programs = stack.api("GET", "system/status")["programs"]
        return len([one for one in programs if one["program"] == "core" and one["running"]]) == 3

    until("three cores beat", three_run, stack)


def test_every_container_that_is_killed_comes_back(stack: Stack) -> None:
    killed = {one["Id"]: one for service in RESTARTED for one in stack.containers()[service]}
    assert len(killed) == len(RESTARTED) + 2
    for container in killed.values():
        os.kill(container["State"]["Pid"], signal.SIGKILL)

    def all_are_back() -> bool:
        now = [one for many in stack.containers().values() for one in many if one["Id"] in killed]
        started = all(one["State"]["StartedAt"] != killed[one["Id"]]["State"]["StartedAt"] for one in now)
        return len(now) == len(killed) and started and stack.is_well()

    until("all are back", all_are_back, stack)
    settled = newest_pour(stack)
    until("the tap pours again", lambda: newest_pour(stack) != settled, stack)
    assert "The books balance." in stack.core("check")


def newest_pour(stack: Stack) -> str | None:
    """The id of the pour that was settled last."""
    settled = stack.api("GET", "pours?sync_status=synced")["items"]
    return str(max(settled, key=lambda pour: pour["settled_at"])["pour_id"]) if settled else None


def test_a_tap_that_is_revoked_is_refused_after_its_broker_was_killed(stack: Stack) -> None:
    secret = re.findall(r'^password = "(.+)"$', (stack.folder / "deploy/state/taps/left/tap.toml").read_text(), re.MULTILINE)[0]
    until("the tap may log in", lambda: stack.lets_in(secret), stack)

    stack.core("revoke-device", TAP)

    until("the tap is refused", lambda: not stack.lets_in(secret), stack)
    stack.compose("stop", "tap-left")
    stack.compose("rm", "-f", "tap-left")


def test_a_backup_can_be_restored_and_one_that_is_too_old_is_an_alarm(stack: Stack) -> None:
    backups = stack.folder / "deploy" / "state" / "backups"
    until("the service made a backup by itself", lambda: list(backups.glob("*.backup")), stack)
    made = stack.core("backup", "/backups").split(":")[0]
    owner = (stack.folder / "deploy/state/secrets/owner_database_url").read_text()
    stack.psql("postgres", "CREATE DATABASE restored")

    restored = f"{owner.rpartition('/')[0]}/restored"
    stack.core("restore", made, TAPWIRE_OWNER_DATABASE_URL=restored, TAPWIRE_DATABASE_URL=restored)
    assert "The books balance." in stack.core("check", TAPWIRE_DATABASE_URL=restored)

    limit_s = int(ALARM.findall(str(yaml.safe_load((stack.folder / "deploy/prometheus/alerts.yml").read_text())))[0])
    assert backup_age_s(stack) < limit_s
    long_ago = time.time() - 2 * 86_400
    for file in backups.glob("*.backup"):
        os.utime(file, (long_ago, long_ago))
    assert backup_age_s(stack) > limit_s


def backup_age_s(stack: Stack) -> float:
    """The age of the newest backup, as a core's metrics show it."""
    asked = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
    page = stack.compose("exec", "-T", "core", "python3", "-c", asked)
    return time.time() - float(re.findall(r"^tapwire_last_backup_timestamp_seconds (\S+)$", page, re.MULTILINE)[0])


def test_a_standby_takes_over_and_the_old_primary_is_rebuilt_while_the_venue_goes_on(stack: Stack) -> None:
    guest_id = stack.api("GET", "guests")["items"][0]["guest_id"]

    def top_up() -> int:
        stack.api("POST", f"guests/{guest_id}/top-ups", {"amount_minor": 100, "method": "cash"})
        return len(stack.api("GET", "audit/?action=top_up&limit=200")["items"])

    assert "standby follows postgres; a commit counts when both have it" in stack.standby("make")
    until("all is well with a standby", stack.is_well, stack)
    before = top_up()
    assert stack.psql("standby", "SELECT pg_is_in_recovery()") == "t"

    assert "standby is the primary" in stack.standby("promote")
    until("the venue goes on", is_served, stack)
    assert top_up() == before + 1

    assert "postgres follows standby" in stack.standby("make")
    until("all is well the other way round", stack.is_well, stack)
    assert top_up() == before + 2
    assert stack.psql("postgres", "SELECT pg_is_in_recovery()") == "t"
    assert "The books balance." in stack.core("check")

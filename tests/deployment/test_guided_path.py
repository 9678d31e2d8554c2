"""docs/guided-path.md, as a newcomer copies it: every block in its order, in one shell, in a checkout where nothing was fetched."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tapwire_core.domain.money import charge
from tapwire_demo.processes import free_port
from tests.conftest import require_mosquitto
from tests.deployment.fresh_checkout import fresh_checkout

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITHIN_S = 600


@pytest.mark.lasts
@pytest.mark.timeout(660)
def test_a_newcomer_who_copies_every_block_gets_a_pour_that_is_settled_and_books_that_balance(tmp_path: Path) -> None:
    require_mosquitto()
    blocks = BLOCK.findall((ROOT / "docs" / "guided-path.md").read_text())
    script = "\n".join(["set -eu", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *blocks, "trap - EXIT"])
    ports = {name: str(free_port()) for name in ("DEVICE_PORT", "SERVICE_PORT", "ADMIN_PORT")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAPWIRE_") and name != "VENUE"}
    checkout = fresh_checkout(tmp_path / "a checkout")
    venue = checkout / "venue"

    ended = run_shell(script, checkout, {**kept, **ports})

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}\n{logs(venue / 'logs')}"
    assert "tapwire/v1/bar/taps/left/state" in ended.stdout
    told = r"^Ann poured (\d+) ml for (\d+) cents\.\nShe has (\d+) cents left\.$"
    poured = re.search(told, ended.stdout, re.MULTILINE)
    assert poured
    volume_ml, amount_minor, balance_minor = map(int, poured.groups())
    assert 290 <= volume_ml <= 330, "about 300 ml, as the page says"
    assert (amount_minor, balance_minor) == (charge(volume_ml, 700), 2_000 - amount_minor)
    assert "The books balance." in ended.stdout
    assert all(line.count("{") <= 1 or line.startswith('{"') for line in ended.stdout.splitlines()), "an answer is a line"
    refusal, said = ended.stdout.splitlines()[-3:-1]
    assert "no connection" in refusal
    assert "Not authorized" in refusal
    assert said == "The right tap is refused."
    assert ended.stdout.splitlines()[-1] == f"Everything has ended. What it wrote is in {venue}."


def test_a_port_that_is_taken_is_named_before_anything_is_started(tmp_path: Path) -> None:
    [check] = [block for block in BLOCK.findall((ROOT / "docs" / "guided-path.md").read_text()) if "probe.bind" in block]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        ports = {"DEVICE_PORT": str(free_port()), "SERVICE_PORT": taken, "ADMIN_PORT": str(free_port())}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))

        refused = run_shell(f"set -eu\n{check}", tmp_path, {"PATH": path, **ports})

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"Port {taken} is taken: export SERVICE_PORT= with another one, and begin again.\n"


def test_the_path_has_no_block_that_is_not_tried() -> None:
    text = (ROOT / "docs" / "guided-path.md").read_text()

    assert text.count("```sh\n") * 2 == text.count("```")


def test_a_part_that_does_not_come_is_named_and_ends_the_waiting(tmp_path: Path) -> None:
    [await_function] = [block for block in BLOCK.findall((ROOT / "docs" / "guided-path.md").read_text()) if "await() {" in block]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "admin.log").write_text("the console lacks htmx.js\n")
    at_once = f"set -eu\nsleep() {{ :; }}\n{await_function}\nawait 'admin API' false"

    ended = run_shell(at_once, tmp_path, {"PATH": os.defpath, "VENUE": str(tmp_path)})

    assert ended.returncode == 1
    assert "No admin API within two minutes." in ended.stderr
    assert "the console lacks htmx.js" in ended.stderr


def test_no_block_waits_without_an_end() -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "guided-path.md").read_text())

    assert [block for block in blocks if re.search(r"^(until|while) ", block, re.MULTILINE)] == []


def run_shell(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script; whatever becomes of it, nothing that it began goes on."""
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def logs(folder: Path) -> str:
    """The ends of the programs' logs."""
    return "\n".join(f"--- {file.name}\n{file.read_text()[-1500:]}" for file in sorted(folder.glob("*.log")))

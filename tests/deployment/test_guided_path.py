"""docs/guided-path.md, as a newcomer copies it: every block in its order, in one shell, in a checkout where nothing was fetched."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tapwire_demo.processes import free_port
from tests.conftest import require_mosquitto
from tests.deployment.fresh_checkout import fresh_checkout

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITHIN_S = 600


@pytest.mark.timeout(660)
def test_a_newcomer_who_copies_every_block_gets_a_pour_that_is_settled_and_books_that_balance(tmp_path: Path) -> None:
    require_mosquitto()
    blocks = BLOCK.findall((ROOT / "docs" / "guided-path.md").read_text())
    script = "\n".join(["set -eu", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *blocks, "trap - EXIT"])
    ports = {name: str(free_port()) for name in ("DEVICE_PORT", "SERVICE_PORT", "ADMIN_PORT")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAPWIRE_")}

    checkout = fresh_checkout(tmp_path / "a checkout")

    ended = run_shell(script, checkout, {**kept, **ports, "VENUE": str(tmp_path / "venue")})

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}\n{logs(tmp_path / 'venue' / 'logs')}"
    assert "tapwire/v1/bar/taps/left/state" in ended.stdout
    assert '"sync_status":"synced"' in ended.stdout
    balance_minor = re.search(r"Ann has (\d+)", ended.stdout)
    assert balance_minor
    assert 1_700 < int(balance_minor[1]) <= 1_790
    assert "The books balance." in ended.stdout


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

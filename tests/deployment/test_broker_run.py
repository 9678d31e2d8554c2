"""broker-config/run.sh: a broker that nobody signals follows its files, and ends when it is told to."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tapwire_demo.processes import free_port
from tests.conftest import require_mosquitto

SCRIPTS = Path(__file__).parents[2] / "broker-config"
DEVICE = "bar/taps/left"
PATIENCE_S = 30.0


@dataclass
class Broker:
    """A broker that `run.sh` runs, with TLS."""

    folder: Path
    device_port: int
    process: subprocess.Popen[str]

    def let_in(self, secrets: dict[str, str]) -> None:
        """Replace the devices' file, as `tapwire-core sync-broker` does."""
        new = self.folder / "devices.new"
        new.write_text("".join(f"{path}:{secret}\n" for path, secret in secrets.items()))
        if secrets:  # of an empty file it makes nothing
            subprocess.run(["mosquitto_passwd", "-U", new], check=True)
        new.replace(self.folder / "devices")

    def takes_login(self) -> bool:
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.device_port), "--cafile", f"{self.folder}/tls/ca.crt"]
        login = ["-i", DEVICE, "-u", DEVICE, "-P", "secret", "-t", f"tapwire/v1/{DEVICE}/command", "-E", "-W", "10"]
        return subprocess.run([*command, *login], capture_output=True, check=False).returncode == 0

    def certificate(self) -> str:
        """The serial number of the certificate that it shows."""
        shown = subprocess.run(
            f"openssl s_client -connect 127.0.0.1:{self.device_port} < /dev/null 2> /dev/null | openssl x509 -noout -serial",
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        )
        return shown.stdout.strip()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    require_mosquitto()
    folder = tmp_path / "broker"
    ports = free_port(), free_port()
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin",
        "BROKER_USER": user,
        "BIND": "127.0.0.1",
        "DEVICE_PORT": str(ports[0]),
        "SERVICE_PORT": str(ports[1]),
    }
    for script, *arguments in (("install.sh", "tls"), ("certificates.sh", "server", "127.0.0.1")):
        subprocess.run([SCRIPTS / script, folder, *arguments], env=environment, check=True, capture_output=True)
    process = subprocess.Popen([SCRIPTS / "run.sh", folder], env=environment, text=True, stderr=subprocess.DEVNULL)
    running = Broker(folder, ports[0], process)
    try:
        until(lambda: running.certificate() != "")
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_devices_come_and_go_without_a_signal(broker: Broker) -> None:
    assert not broker.takes_login()

    broker.let_in({DEVICE: "secret"})
    until(broker.takes_login)

    broker.let_in({})
    until(lambda: not broker.takes_login())


def test_a_renewed_certificate_is_shown_without_a_signal_and_names_the_same_hosts(broker: Broker) -> None:
    before = broker.certificate()
    certificate = broker.folder / "tls" / "server.crt"
    hosts = names_of(certificate)

    subprocess.run([SCRIPTS / "certificates.sh", broker.folder, "renew"], check=True, capture_output=True)

    until(lambda: broker.certificate() not in ("", before))
    assert names_of(certificate) == hosts == "IP Address:127.0.0.1"


def test_it_ends_the_broker_when_it_is_told_to(broker: Broker) -> None:
    broker.process.terminate()

    assert broker.process.wait(PATIENCE_S) == 0
    assert broker.certificate() == ""


def names_of(certificate: Path) -> str:
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-ext", "subjectAltName"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1].strip()


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so; fail after a while."""
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.3)

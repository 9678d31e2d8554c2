"""broker-config/certificates.sh: certificates for names and for addresses of both kinds."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "broker-config" / "certificates.sh"


def test_a_certificate_names_hosts_and_addresses_and_keeps_them_when_renewed(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        made = subprocess.run([SCRIPT, tmp_path, *arguments], env=environment, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    environment = {"PATH": "/usr/bin:/bin", "BROKER_USER": str(os.getuid())}
    hosts = ["2001:db8::5", "[fe80::1]", "192.0.2.7", "venue.example", "10.example"]
    alternatives = "IP:2001:DB8:0:0:0:0:0:5,IP:FE80:0:0:0:0:0:0:1,IP:192.0.2.7,DNS:venue.example,DNS:10.example"

    said = run("server", *hosts)
    renewed = run("renew")

    assert said == "The broker's certificate is for IP:2001:db8::5,IP:fe80::1,IP:192.0.2.7,DNS:venue.example,DNS:10.example."
    assert renewed == f"The broker's certificate is for {alternatives}."

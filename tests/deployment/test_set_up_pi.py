"""`set-up-pi.sh`: its refusals, and its work in a throwaway layer over this machine's own files, as root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = ROOT / "tap-node" / "deploy" / "set-up-pi.sh"
API: Final = ("--api", "https://venue.example")
LAYER: Final = """
mount --make-rprivate /
mount -t tmpfs layer "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay layer -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for folder in proc dev sys; do mount --rbind "/$folder" "$1/root/$folder"; done
mkdir -p "$1/root/mnt/dist"
mount --bind "$2" "$1/root/mnt/dist"
cp /etc/resolv.conf "$1/root/etc/resolv.conf" 2>/dev/null || true
exec chroot "$1/root" sh -euc "$3"
"""
WORK: Final = """
cd /mnt/dist
./set-up-pi.sh left --api https://venue.example --ca-file /etc/hostname --driver simulated
echo '# of the technician' >> /etc/tapwire/left.toml
echo '--- again'
./set-up-pi.sh left --api https://elsewhere.example --driver gpio
echo '--- settings'
cat /etc/tapwire/left.toml
stat -c '%n %U' /etc/tapwire
stat -c '%n %U:%G %a' /etc/tapwire/left.toml /etc/tapwire/api-ca.crt /var/lib/tapwire
find /etc/systemd/system -name 'tapwire-*@left.service' -printf '%f -> %l\\n'
id -nG tapwire
cd /proc
printf '[tap]\\npath = "bar/taps/left"\\n[broker]\\nurl = "mqtt://127.0.0.1:1"\\n' >> /etc/tapwire/left.toml
setpriv --reuid tapwire --regid tapwire --init-groups /opt/tapwire/bin/tapwire-node doctor --config /etc/tapwire/left.toml || true
"""


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """What `make dist` makes, as far as the script uses it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for package in ("contracts", "tap-node"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=ROOT / package, capture_output=True, check=True)
    shutil.copy(ROOT / "requirements" / "pi.txt", folder)
    shutil.copy(SCRIPT, folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "set-up-pi.sh NAME --api https://HOST"),
        (("Left", *API), "set-up-pi.sh NAME --api https://HOST"),
        (("left",), "there is no /etc/tapwire/left.toml yet: give --api or --settings"),
        (("left", "--api", "http://venue.example"), "--api: write https://HOST"),
        (("left", *API, "--settings", "left"), "give --api or --settings, not both"),
        (("left", "--settings", "nowhere"), "there is no nowhere/tap.toml: it comes from tapwire-core add-device --folder"),
        (("left", *API, "--driver", "pcsc"), "--driver: pcsc is none of gpio, simulated, mfrc522"),
        (("left", *API, "--ca-file", "nowhere.crt"), "there is no nowhere.crt"),
        (("left", *API), "run this in the folder that make dist made"),
    ],
)
def test_what_can_not_be_done_is_refused_before_anything_is_changed(arguments: tuple[str, ...], expected: str) -> None:
    refused = subprocess.run([SCRIPT, *arguments], cwd="/proc", capture_output=True, text=True, check=False)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert expected in refused.stderr


@pytest.mark.install
def test_a_machine_is_set_up_and_the_second_time_changes_no_settings(dist: Path, layer: Path) -> None:
    done = in_layer(layer, dist, WORK)

    assert done.returncode == 0, done.stdout + done.stderr
    first, again, seen = done.stdout.split("--- again\n")[0], *done.stdout.split("--- again\n")[1].split("--- settings\n")
    assert "set-up-pi: writing /etc/tapwire/left.toml: check its pins\n" in first
    assert "set-up-pi: starting tapwire-pair@left tapwire-node@left, now and with the machine\n" in first
    assert "set-up-pi: /etc/tapwire/left.toml exists and was not changed\n" in again
    assert "making" not in again
    assert seen.startswith(
        '[journal]\nfile = "/var/lib/tapwire/left.sqlite"\n\n[hardware]\ndriver = "simulated"\n\n'
        '[pairing]\napi = "https://venue.example"\nca_file = "api-ca.crt"\n# of the technician\n'
        "/etc/tapwire tapwire\n/etc/tapwire/left.toml tapwire:tapwire 640\n"
        "/etc/tapwire/api-ca.crt root:tapwire 644\n/var/lib/tapwire tapwire:tapwire 750\n"
    )
    for unit in ("tapwire-node@", "tapwire-pair@"):
        assert f"{unit}left.service -> /etc/systemd/system/{unit}.service\n" in seen
    assert "\ntapwire gpio spi\n" in seen
    assert "ok  pins         valve and meter can be used, the valve is closed\n" in seen
    assert "ok  disk " in seen


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A folder for the layer; skips where none can be made, which in CI is a failure."""
    folder = tmp_path / "layer"
    folder.mkdir()
    tried = in_layer(folder, tmp_path, "command -v apt-get systemctl setpriv > /dev/null") if os.geteuid() == 0 else None
    if tried is None or tried.returncode != 0:
        reason = "needs root, overlayfs, apt and systemctl" + (f": {tried.stderr.strip()}" if tried else "")
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def in_layer(layer: Path, dist: Path, work: str) -> subprocess.CompletedProcess[str]:
    """Run a shell's commands over a copy of this machine, which is gone afterwards."""
    command = ["unshare", "--mount", "sh", "-euc", LAYER, "layer", str(layer), str(dist), work]
    return subprocess.run(command, capture_output=True, text=True, check=False)

"""The five packages as they are built and installed: complete, of one version, and with nothing of a checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

import pytest

from tapwire_admin.console.libraries import ICONS, LICENCES, SCRIPTS
from tapwire_contracts.programs import UnitsNotInstalled, install_units
from tests.deployment.fresh_checkout import fresh_checkout

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("contracts", "core-service", "tap-node", "admin-api", "conformance")
PROGRAMS: Final = {"tapwire-core": "install-units", "tapwire-admin": "install-units", "tapwire-node": "install-unit"}
PIN: Final = re.compile(r"^(?P<name>[\w.-]+)==", re.MULTILINE)
ADDRESS: Final = "https://git.example/tapwire"
MIT: Final = "MIT"
LIBRARIES: Final = "0BSD AND ISC AND OFL-1.1"
"""The licences of the console's libraries, which tapwire-admin contains."""
GLIBC: Final = range(17, 37)
"""The manylinux versions that Debian 12 and what is newer can run."""
BUILT: Final[Mapping[tuple[str, str], set[str]]] = {
    ("311", "aarch64"): {"spidev"},
    ("311", "armv7l"): {"spidev", "msgspec"},
    ("313", "aarch64"): {"spidev", "lgpio"},
    ("313", "armv7l"): {"spidev", "lgpio", "msgspec"},
}
"""Packages without a wheel for a Raspberry Pi; docs/tap-node.md names the Debian packages that build them."""
BUILDERS: Final = ("gcc", "swig")
A_PI: Final = "c03114"
"""A revision of a Raspberry Pi 4, for rpi-lgpio, which refuses to be loaded elsewhere."""
UNWRITABLE: Final = Path("/proc")
"""A folder in which not even root can make a file."""
TAP: Final = """\
[tap]
path = "bar/taps/left"

[broker]
url = "mqtt://127.0.0.1:1"

[hardware]
driver = "gpio"
valve_pin = 17
meter_pin = 27
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the five wheels, built from this checkout."""
    folder = tmp_path_factory.mktemp("the wheels")
    for package in PACKAGES:
        built = build(ROOT / package, folder, TAPWIRE_PROJECT_URL=f"{ADDRESS}/")
        assert built.returncode == 0, built.stderr
    return folder


def test_a_checkout_where_nothing_was_fetched_builds_no_admin_api_and_says_what_to_run(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path / "a checkout")

    built = build(checkout / "admin-api", tmp_path)

    assert built.returncode == 1
    assert built.stderr.splitlines()[-1].startswith("tapwire-admin can't be built: the console lacks htmx.js")
    assert "run `make console`" in built.stderr
    assert list(tmp_path.glob("*.whl")) == []


def test_an_admin_api_without_the_libraries_ends_at_once_with_a_reason(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path / "a checkout")
    started = [sys.executable, "-m", "tapwire_admin", "run"]
    environment = {"PYTHONPATH": str(checkout / "admin-api" / "src"), "TAPWIRE_DATABASE_URL": "postgresql://nowhere/tapwire"}

    ended = subprocess.run(started, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 1
    assert ended.stderr.startswith("tapwire-admin: the console lacks htmx.js")


def test_the_admin_apis_wheel_has_each_library_and_its_licence_and_nothing_else_of_them(wheels: Path) -> None:
    (wheel,) = wheels.glob("tapwire_admin-*.whl")
    vendor = "tapwire_admin/console/vendor/"

    names = {name.removeprefix(vendor) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(vendor)}

    assert names == {*SCRIPTS, *LICENCES, *(f"icon-{icon}.svg" for icon in ICONS)}


def test_the_packages_have_one_version_need_exactly_each_others_and_say_what_they_are(wheels: Path) -> None:
    metadata = [metadata_of(wheel) for wheel in sorted(wheels.glob("*.whl"))]

    (version,) = {data["Version"] for data in metadata}
    siblings = {data["Name"]: {r for r in data.get_all("Requires-Dist", []) if r.startswith("tapwire")} for data in metadata}
    assert siblings == {
        "tapwire-contracts": set(),
        "tapwire-core": {f"tapwire-contracts=={version}"},
        "tapwire-node": {f"tapwire-contracts=={version}"},
        "tapwire-admin": {f"tapwire-contracts=={version}", f"tapwire-core=={version}"},
        "tapwire-conformance": {f"tapwire-contracts=={version}"},
    }
    for data in metadata:
        assert data["License-Expression"] == (MIT if data["Name"] != "tapwire-admin" else f"{MIT} AND {LIBRARIES}")
        assert data["License-File"] == "LICENSE"
        assert data.get_all("Project-URL") == [f"Source, {ADDRESS}", f"Issues, {ADDRESS}/issues"]
        assert data["Description-Content-Type"] == "text/markdown"
        assert data["Name"] in str(data.get_payload())
        assert "Programming Language :: Python :: 3.13" in data.get_all("Classifier", [])
    assert {(ROOT / package / "LICENSE").read_text() for package in PACKAGES} == {(ROOT / "LICENSE").read_text()}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_source_archive_of_one_package_is_not_built_and_the_reason_is_said(package: str, tmp_path: Path) -> None:
    refused = build(ROOT / package, tmp_path, "sdist")

    assert refused.returncode == 1
    assert "has no source archive, the source is the repository: build wheels with `make dist`" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_units_start_the_programs_where_they_are_and_an_operators_settings_stay(tmp_path: Path) -> None:
    settings = tmp_path / "etc"
    settings.mkdir()
    (settings / "core.env").write_text("MINE=1\n")

    said = list(install_units("tapwire-core", Path("/srv/my taps/bin"), tmp_path / "units", settings))
    again = list(install_units("tapwire-core", Path("/srv/my taps/bin"), tmp_path / "units", settings))

    unit = (tmp_path / "units" / "tapwire-core@.service").read_text()
    assert 'ExecStart="/srv/my taps/bin/tapwire-core" run\n' in unit
    assert "/opt/tapwire/bin" not in unit
    assert (settings / "core.env").read_text() == "MINE=1\n"
    assert (settings / "sync-broker.env").stat().st_mode & 0o777 == 0o600
    assert f"{settings / 'core.env'} exists and was not changed" in said
    assert f"{tmp_path / 'units' / 'tapwire-core@.service'} is up to date" in again


def test_programs_that_a_unit_could_not_see_get_none(tmp_path: Path) -> None:
    with pytest.raises(UnitsNotInstalled, match="programs below /home"):
        list(install_units("tapwire-node", Path("/home/ann/tapwire/bin"), tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_the_drivers_of_a_raspberry_pi_are_hashed_and_only_one_package_owns_rpi_gpio() -> None:
    text = (ROOT / "requirements" / "pi.txt").read_text()
    pins = PIN.findall(text)

    assert {"lgpio", "mfrc522", "rpi-lgpio", "spidev", "gpiozero"} <= set(pins)
    assert "rpi-gpio" not in pins
    assert all("--hash=sha256:" in part for part in PIN.split(text)[2::2])


@pytest.mark.install
def test_make_dist_adds_checksums_a_bill_of_materials_and_the_licences(tmp_path: Path) -> None:
    tools = Path(sys.prefix) / "dist-tools" / "bin" / "python"

    run(tools, ROOT / "requirements" / "dist.py", tmp_path / "dist", TAPWIRE_PROJECT_URL=ADDRESS)

    dist = tmp_path / "dist"
    listed = {line.split("  ")[1] for line in (dist / "SHA256SUMS").read_text().splitlines()}
    assert listed == {file.name for file in dist.iterdir()} - {"SHA256SUMS"}
    run("sha256sum", "--check", "--strict", "SHA256SUMS", folder=dist)
    (bill,) = dist.glob("tapwire-*.cdx.json")
    parts = {part["name"]: part for part in json.loads(bill.read_text())["components"]}
    assert {"tapwire-core", "sqlalchemy", "lgpio", "mfrc522", "htmx.org", "uplot"} <= {name.lower() for name in parts}
    licences = (dist / "LICENCES.txt").read_text()
    assert "mfrc522, the driver of the card reader, is under the GNU General Public License, version 3." in licences
    assert re.search(r"^mfrc522 [\d.]+ +GPL-3.0-only$", licences, re.MULTILINE)
    assert all(f"{name}, a part of tapwire-admin" in licences for name in ("htmx.org", "uplot", "lucide-static", "inter"))


@pytest.mark.install
def test_the_wheels_alone_give_every_program_with_console_units_and_completion(wheels: Path, tmp_path: Path) -> None:
    place = tmp_path / "a place"
    run(sys.executable, "-m", "venv", place)
    names = [name.removeprefix("tapwire-") for name in PROGRAMS]
    run(place / "bin" / "pip", "install", "--quiet", "--no-compile", "--find-links", wheels, *(f"tapwire-{name}" for name in names))

    for program, install in PROGRAMS.items():
        started = place / "bin" / program
        assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", run(started, "--version"))
        assert install in completed(run(started, "--print-completion", "bash"), program, "ins")
        said = run(started, install, "--folder", tmp_path / "units", "--programs", "/opt/tapwire/bin")
        assert f"wrote {tmp_path / 'units'}/{program}" in said
    run(place / "bin" / "python", "-c", "from tapwire_admin.console.libraries import require_libraries; require_libraries()")
    assert len(list((tmp_path / "units").glob("*.service"))) == len(list(ROOT.glob("*/systemd/*.service")))


@pytest.mark.install
def test_the_conformance_kit_is_installed_with_the_contract_and_needs_nothing_of_the_product(wheels: Path, tmp_path: Path) -> None:
    place = tmp_path / "a place"
    run(sys.executable, "-m", "venv", place)

    run(place / "bin" / "pip", "install", "--quiet", "--no-compile", "--find-links", wheels, "tapwire-conformance")

    listed = json.loads(run(place / "bin" / "pip", "list", "--format", "json"))
    there = {package["name"].replace("_", "-") for package in listed} - {"pip", "setuptools"}
    assert there == {"tapwire-conformance", "tapwire-contracts", "msgspec", "paho-mqtt", "shtab"}
    assert "VALVE-3" in run(place / "bin" / "tapwire-conformance", "tap", "--list")


@pytest.mark.install
@pytest.mark.parametrize(("python", "processor"), BUILT)
def test_a_raspberry_pi_gets_a_wheel_of_everything_that_docs_do_not_have_it_build(
    python: str, processor: str, tmp_path: Path
) -> None:
    text = (ROOT / "requirements" / "pi.txt").read_text()
    built = BUILT[python, processor]
    blocks = {block.partition("==")[0]: block for block in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE) if "==" in block}
    (tmp_path / "wheels.txt").write_text("".join(block for name, block in blocks.items() if name not in built))

    download(python, processor, tmp_path / "wheels.txt", tmp_path)

    for name in built:
        (tmp_path / "built.txt").write_text(blocks[name])
        with pytest.raises(AssertionError, match="No matching distribution"):
            download(python, processor, tmp_path / "built.txt", tmp_path)


@pytest.mark.install
def test_the_drivers_are_built_with_the_debian_packages_that_the_docs_name(wheels: Path, tmp_path: Path) -> None:
    require_builders()
    place = tmp_path / "a place"
    run(sys.executable, "-m", "venv", place)
    pip = (place / "bin" / "pip", "install", "--quiet", "--no-deps")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "pi.txt", PYPI="1")
    run(*pip, *wheels.glob("tapwire_contracts-*"), *wheels.glob("tapwire_node-*"))

    owners = "from importlib.metadata import packages_distributions as owners; import spidev, mfrc522; print(owners()['RPi'])"
    assert run(place / "bin" / "python", "-c", owners, folder=place, RPI_LGPIO_REVISION=A_PI) == "['rpi-lgpio']\n"
    (tmp_path / "left.toml").write_text(TAP)
    node = place / "bin" / "tapwire-node"
    for folder, config in ((UNWRITABLE, tmp_path / "left.toml"), (tmp_path, "left.toml")):
        doctor = subprocess.run([node, "doctor", "--config", config], cwd=folder, capture_output=True, text=True, check=False)
        assert (doctor.returncode, doctor.stderr) == (1, "")
        assert "DO  pins         Unable to load any default pin factory! (lgpio: unable to locate Pi revision" in doctor.stdout
        assert "ok  factory      lgpio, from lgpio " in doctor.stdout
        assert "ok  RPi.GPIO     from rpi-lgpio " in doctor.stdout
        for command in ("run", "close-valve"):
            refused = subprocess.run([node, command, "--config", config], cwd=folder, capture_output=True, text=True, check=False)
            assert (refused.returncode, refused.stdout) == (2, "")
            assert refused.stderr.startswith("tapwire-node: ")
            assert "unable to locate Pi revision" in refused.stderr
    assert [file.name for file in tmp_path.glob(".lgd-nfy*")] == []


def build(package: Path, folder: Path, target: str = "wheel", **more: str) -> subprocess.CompletedProcess[str]:
    """Build a package into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    return subprocess.run(command, cwd=package, env={**os.environ, **more}, capture_output=True, text=True, check=False)


def metadata_of(wheel: Path) -> Message:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return HeaderParser().parsestr(archive.read(name).decode())


def download(python: str, processor: str, requirements: Path, folder: Path) -> None:
    """Fetch wheels, and wheels alone, for another machine."""
    platforms = [f"manylinux_2_{minor}_{processor}" for minor in GLIBC] + [f"manylinux2014_{processor}", f"linux_{processor}"]
    target = ["--implementation", "cp", "--python-version", python, *(f"--abi={abi}" for abi in (f"cp{python}", "abi3", "none"))]
    target += [f"--platform={platform}" for platform in platforms]
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:")
    run(*pip, *target, "--require-hashes", "-r", requirements, "-d", folder)


def completed(script: str, program: str, typed: str) -> str:
    """Bash's completions of a word after a program's name, with the completion script loaded."""
    asked = f'COMP_WORDS=({program} {typed}); COMP_CWORD=1; _shtab_{program.replace("-", "_")}; echo "${{COMPREPLY[*]}}"'
    return run("bash", "/dev/stdin", given=f"{script}\n{asked}\n")


def run(*command: str | Path, given: str | None = None, folder: Path | None = None, **more: str) -> str:
    """Run a program that must succeed; what it prints."""
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env={**os.environ, **more}, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def require_builders() -> None:
    """Skip where a compiler and SWIG are missing; in CI they must not be."""
    missing = [program for program in BUILDERS if shutil.which(program) is None]
    if missing:
        reason = f"{', '.join(missing)} not installed (Debian: apt-get install gcc libc6-dev python3-dev swig)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

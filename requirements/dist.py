"""`python requirements/dist.py FOLDER`: the five packages as wheels, with the files that their distribution needs.

FOLDER gets the wheels, the pinned requirements, the script that sets a Pi up, `tapwire-VERSION.cdx.json` (a bill of materials,
CycloneDX), `LICENCES.txt` and `SHA256SUMS`. The packages name the address TAPWIRE_PROJECT_URL, if it is set. `make dist` runs it
with the Python of `requirements/dist.txt`, in a checkout in which `make console` has run.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from runpy import run_path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("contracts", "core-service", "tap-node", "admin-api", "conformance")
INSTALLED: Final = ("services", "node")
DRIVERS: Final = {"lgpio": "Unlicense", "mfrc522": "GPL-3.0-only", "rpi-lgpio": "MIT", "spidev": "MIT"}
"""The licences of what only a Raspberry Pi installs, and whose metadata is therefore not to be had here."""
UNNAMED: Final = {"rich-click": "MIT"}
"""The licences of packages whose metadata name none, but which have its text."""
SET_UP: Final = "tap-node/deploy/set-up-pi.sh"
PIN: Final = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
SPEC_VERSION: Final = SchemaVersion.V1_6
GPL_NOTE: Final = """\
mfrc522, the driver of the card reader, is under the GNU General Public License, version 3. It is in none of the five wheels: a
Raspberry Pi installs it from requirements/pi.txt. Using it asks nothing of a venue. Who passes on a Pi, or an image for one, with
mfrc522 on it passes on a work under the GPL: with its source, or with an offer of it, and with this licence's rights.
"""


def main() -> None:
    """Build everything; exits with the failed command's code."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for package in PACKAGES:
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), folder=ROOT / package)
    wheels = sorted(folder.glob("*.whl"))
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, wheels))
    for name in (*INSTALLED, "pi"):
        shutil.copy(ROOT / "requirements" / f"{name}.txt", folder)
    shutil.copy(ROOT / SET_UP, folder)
    version = wheels[0].name.split("-")[1]
    bill = bill_of_materials(wheels)
    (folder / f"tapwire-{version}.cdx.json").write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    (folder / "LICENCES.txt").write_text("\n".join(licences(bill)) + "\n", encoding="utf-8")
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    print(f"{folder}: {', '.join(wheel.name for wheel in wheels)}")


def run(*command: str, folder: Path = ROOT) -> str:
    """Run a program; what it said is shown only when it fails, and then ends this one."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="", file=sys.stderr)
        sys.exit(done.returncode)
    return done.stdout


def bill_of_materials(wheels: Iterable[Path]) -> dict[str, Any]:
    """Every part that an installation of the wheels has: Python's, the Pi's drivers, and the console's libraries from npm."""
    with tempfile.TemporaryDirectory() as scratch:
        python = f"{scratch}/bin/python"
        run(sys.executable, "-m", "venv", scratch)
        pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install", "--no-compile")
        for name in INSTALLED:
            run(*pip, "--require-hashes", "-r", f"requirements/{name}.txt")
        run(*pip, "--no-deps", "--no-index", *map(str, wheels))
        run(*pip[:-2], "uninstall", "--yes", "pip")
        said = run(
            sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--sv", SPEC_VERSION.to_version(), python
        )
    bill: dict[str, Any] = json.loads(said)
    for part in bill["components"]:
        if part["name"].startswith("tapwire-"):
            part.pop("externalReferences", None)  # where the wheel lay on this machine
        if not part.get("licenses") and part["name"] in UNNAMED:
            part["licenses"] = [{"license": {"id": UNNAMED[part["name"]]}}]
    bill["components"] += [*drivers({part["name"] for part in bill["components"]}), *libraries()]
    errors = JsonStrictValidator(SPEC_VERSION).validate_str(json.dumps(bill))
    if errors:
        sys.exit(f"the bill of materials is not valid: {errors}")
    return bill


def drivers(listed: set[str]) -> Iterator[dict[str, Any]]:
    """What `pi.txt` has beyond what is listed."""
    for name, version in PIN.findall((ROOT / "requirements" / "pi.txt").read_text(encoding="utf-8")):
        if name not in listed:
            if name not in DRIVERS:
                sys.exit(f"requirements/dist.py: say under which licence {name} is, as requirements/pi.txt has it")
            yield component("pypi", name, version, DRIVERS[name])


def libraries() -> Iterator[dict[str, Any]]:
    """The console's libraries, as `package-lock.json` has them."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for place, package in lock.items():
        if place and not package.get("dev"):
            name = place.removeprefix("node_modules/")
            yield component("npm", name, package["version"], package["license"])


def component(kind: str, name: str, version: str, licence: str) -> dict[str, Any]:
    """One part, in CycloneDX's words."""
    return {
        "type": "library",
        "bom-ref": f"{kind}:{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:{kind}/{name.replace('@', '%40')}@{version}",
        "licenses": [{"license": {"id": licence}}],
    }


def licences(bill: dict[str, Any]) -> Iterator[str]:
    """A list of all parts with their licences, and the texts of what the wheels themselves contain."""
    yield "Tapwire is under the MIT licence. With it go, or are installed beside it:\n"
    for part in sorted(bill["components"], key=lambda part: part["name"].lower()):
        yield f"{part['name'] + ' ' + part['version']:44} {licence_of(part)}"
    yield f"\n{GPL_NOTE}"
    vendored = run_path(str(ROOT / "admin-api/src/tapwire_admin/console/libraries.py"))
    for name, source in vendored["LICENCES"].items():
        text = (vendored["VENDOR"] / name).read_text(encoding="utf-8").rstrip()
        yield f"{'-' * 100}\n{source.removesuffix('/LICENSE')}, a part of tapwire-admin\n\n{text}\n"


def licence_of(part: dict[str, Any]) -> str:
    """The licences that a part names, the shortest spelling of each; exits where one names none."""
    named = {
        choice.get("expression") or choice["license"].get("id") or choice["license"]["name"] for choice in part.get("licenses", ())
    }
    if not named:
        sys.exit(f"requirements/dist.py: {part['name']} names no licence")
    return ", ".join(sorted(name if len(name) < 80 else f"{name.splitlines()[0][:80]}…" for name in named))


if __name__ == "__main__":
    main()

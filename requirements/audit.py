"""`python requirements/audit.py NAME...`: look for known faults in what `requirements/NAME.txt` pins; say where that can't be done.

pip-audit asks PyPI. Where it can't (no network, a mirror without that list) it passes over packages and succeeds all the same; here
that is said, so that nobody takes silence for safety. Exit 1 when something is known to be faulty.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    """Audit each file, then end with what was found."""
    faulty = [name for name in sys.argv[1:] if not is_clean(name)]
    sys.exit(1 if faulty else 0)


def is_clean(name: str) -> bool:
    """Whether nothing is known against what a file pins; prints what is, and what could not be looked up."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json"]
    ended = subprocess.run([*command, "-r", HERE / f"{name}.txt"], capture_output=True, text=True, check=False)  # noqa: S603
    try:
        packages: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = ended.stderr.strip().splitlines()
        print(f"{name}: NOT AUDITED, {reason[-1] if reason else 'pip-audit said nothing'}")
        return True
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [package for package in packages if package.get("vulns")]
    for package in found:
        print(f"{name}: {package['name']} {package['version']}: {', '.join(fault['id'] for fault in package['vulns'])}")
    print(f"{name}: {len(packages)} packages, {len(skipped)} NOT AUDITED, {len(found)} with known faults")
    return not found


if __name__ == "__main__":
    main()

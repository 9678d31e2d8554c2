"""A checkout in which nothing was installed, fetched or built yet."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def fresh_checkout(folder: Path) -> Path:
    """A copy of what is in the repository, changes that are not committed included, and of nothing that it ignores."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, folder / name
        if source.exists():  # a deletion may not be committed yet
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return folder

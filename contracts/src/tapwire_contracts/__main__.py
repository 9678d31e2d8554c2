"""`python -m tapwire_contracts [ROOT]`: write the generated documents below the project's root (here, unless given)."""

import sys
from pathlib import Path

from tapwire_contracts.schemas import documents


def main() -> None:
    """Write every generated document and print its path."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path, text in documents():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()

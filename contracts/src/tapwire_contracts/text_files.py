"""Text files that people write: UTF-8, with or without the byte order mark that editors on Windows put before it."""

from pathlib import Path
from typing import Final

ENCODING: Final = "utf-8-sig"


def read_text_file(file: Path | str) -> str:
    """The text of a file, without a byte order mark; raises `OSError` and `UnicodeDecodeError`."""
    return Path(file).read_text(encoding=ENCODING)

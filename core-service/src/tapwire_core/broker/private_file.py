"""Files with secrets: readable only by their owner, replaced in one step."""

from pathlib import Path


def write_private(path: Path, content: bytes | str) -> None:
    """Replace the file, mode 600."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.replace(path)

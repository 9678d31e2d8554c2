"""What the node's unit tests may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node.journal_fixture import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A place for a journal."""
    shelf = Shelf(tmp_path)
    yield shelf
    for journal in shelf.opened:
        journal.close()

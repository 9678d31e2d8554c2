"""Fixtures of the node's unit tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node.disk_journal import DiskJournal


@pytest.fixture
def disk_journal(tmp_path: Path) -> Iterator[DiskJournal]:
    """A journal file in a folder of its own."""
    disk_journal = DiskJournal(tmp_path)
    yield disk_journal
    for journal in disk_journal.opened:
        journal.close()

"""What a tap node must not forget: SQLite, written by one thread."""

from tapwire_node.journal.connection import JournalBroken
from tapwire_node.journal.identity import JournalInUse
from tapwire_node.journal.reserve import Reserve
from tapwire_node.journal.store import Journal
from tapwire_node.journal.worker import JournalWorker

__all__ = ["Journal", "JournalBroken", "JournalInUse", "JournalWorker", "Reserve"]

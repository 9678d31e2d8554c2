"""The node's journal: one SQLite file, written by one thread.

`journal_file` has the operations on the file, `writer_thread` carries out the controller's writes, `inspection` reads for people.
"""

from tapwire_node.journal.connection import JournalBroken
from tapwire_node.journal.disk_reserve import DiskReserve
from tapwire_node.journal.identity import JournalInUse
from tapwire_node.journal.journal_file import Journal
from tapwire_node.journal.writer_thread import JournalWriter

__all__ = ["DiskReserve", "Journal", "JournalBroken", "JournalInUse", "JournalWriter"]

"""Proof that two nodes use one login (SYSTEM.md, "Conclusions from a device's own word"). Pure.

A node's restart ends its boot. So of the boots that were seen before a config revision was made, an honest node has at most one
that can still name this revision, whatever the order and delay of its states. Two that name it are two nodes.
"""

from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

PROOFS_PER_WAIT: Final = 4
"""How often a conflict is proved anew within the time after which it counts as over."""
ROUNDS_PER_WAIT: Final = 2
"""How often a revision is made within that time, if only one boot names it."""
ENOUGH: Final = 2
"""Boots that prove a conflict."""


class Claims(Struct, frozen=True, kw_only=True):
    """A running check. `boots` were seen before `revision` was made; those in `named` have named it, or a later one, since.

    `made_ms`: the database's time of the revision.
    """

    revision: int
    boots: tuple[UUID, ...]
    made_ms: int
    named: tuple[UUID, ...] = ()

    def heard(self, boot_id: UUID, config_revision: int) -> "Claims":
        """The check after a state of this boot."""
        if config_revision < self.revision or boot_id not in self.boots or boot_id in self.named:
            return self
        return replace(self, named=(*self.named, boot_id))

    @property
    def is_conflict(self) -> bool:
        """True when two boots are proved to be there at once."""
        return len(self.named) >= ENOUGH

    def is_due_again(self, now_ms: int, wait_ms: int) -> bool:
        """True when it is time to make another revision, while a conflict lasts."""
        return not 0 <= now_ms - self.made_ms < wait_ms // (PROOFS_PER_WAIT if self.is_conflict else ROUNDS_PER_WAIT)

    def is_over(self, now_ms: int, wait_ms: int) -> bool:
        """True when nothing came of it."""
        return not 0 <= now_ms - self.made_ms <= wait_ms

"""Facts: what flowed, written once and sent until the core's verdict for it has come."""

from dataclasses import dataclass
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.messages import PourCompleted, UnattributedFlow


@dataclass(frozen=True, slots=True)
class Closing:
    """How the valve closed. The core needs none of it; it stays in the journal, and teaches the closing lead.

    `tail_ml` came after the closing; `over_ml` is what the whole is above (or, negative, below) its cap, where the cap ended it;
    `latency_ms` is how long the valve took, None where too little flowed to tell.
    """

    tail_ml: int
    over_ml: int | None
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Fact:
    """A report, complete but for its age; `ended_ms` is on the monotonic clock of the boot that it names."""

    message: PourCompleted | UnattributedFlow
    ended_ms: int
    closing: Closing | None = None

    @property
    def fact_id(self) -> UUID:
        """The id that its verdict will name."""
        match self.message:
            case PourCompleted(pour_id=pour_id):
                return pour_id
            case UnattributedFlow(event_id=event_id):
                return event_id

    def payload(self, now_ms: int, boot_id: UUID) -> PourCompleted | UnattributedFlow:
        """What is sent now: `age_ms` is the time since it ended, null when it ended before this boot."""
        age_ms = max(0, now_ms - self.ended_ms) if self.message.boot_id == boot_id else None
        return replace(self.message, age_ms=age_ms)

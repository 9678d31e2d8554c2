"""Facts: reports of flow, each written to the journal once and sent until the core's verdict on it has come."""

from dataclasses import dataclass
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.messages import PourCompleted, UnattributedFlow


@dataclass(frozen=True, slots=True)
class Closing:
    """Measurements of one closing of the valve. They are not sent; the journal keeps them, and `closing_lead` learns from them.

    `tail_ml` flowed after the valve was told to close; `over_ml` is the volume minus its cap, None unless the cap ended it;
    `latency_ms` is how long the valve took to close, None where too little flowed to tell.
    """

    tail_ml: int
    over_ml: int | None
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Fact:
    """A pour's report or an unattributed flow, complete but for its age; `ended_ms` is monotonic, of the message's boot."""

    message: PourCompleted | UnattributedFlow
    ended_ms: int
    closing: Closing | None = None

    @property
    def fact_id(self) -> UUID:
        """The id that the verdict will name."""
        match self.message:
            case PourCompleted(pour_id=pour_id):
                return pour_id
            case UnattributedFlow(event_id=event_id):
                return event_id

    def payload(self, now_ms: int, boot_id: UUID) -> PourCompleted | UnattributedFlow:
        """The message to send now: `age_ms` is the time since the flow ended, null when it ended before this boot."""
        age_ms = max(0, now_ms - self.ended_ms) if self.message.boot_id == boot_id else None
        return replace(self.message, age_ms=age_ms)

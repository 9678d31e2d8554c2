"""Messages from the core as a node controller's events."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from tapwire_contracts.codec import decode
from tapwire_contracts.messages import (
    COMMAND,
    CoreState,
    FlowRecorded,
    Message,
    PourAuthorized,
    PourDenied,
    PourSettled,
    RenewJournal,
    ReportPour,
    StopPour,
    TapConfig,
)
from tapwire_node.controller.events import (
    ConfigReceived,
    CoreSeen,
    DenialReceived,
    Event,
    FlowVerdictReceived,
    GrantReceived,
    Moment,
    RenewalRequested,
    ReportRequested,
    StopReceived,
    VerdictReceived,
)

EventFactory = Callable[[Moment], Event]
"""An event that lacks only its moment."""

RECEIVED: Final[Mapping[type[Message], Callable[[Any], EventFactory]]] = {
    PourAuthorized: lambda message: partial(GrantReceived, grant=message),
    PourDenied: lambda message: partial(DenialReceived, denial=message),
    PourSettled: lambda message: partial(VerdictReceived, verdict=message),
    FlowRecorded: lambda message: partial(FlowVerdictReceived, verdict=message),
    StopPour: lambda message: partial(StopReceived, stop=message),
    RenewJournal: lambda message: partial(RenewalRequested, renew=message),
    ReportPour: lambda message: partial(ReportRequested, ask=message),
    TapConfig: lambda message: partial(ConfigReceived, config=message),
    CoreState: lambda message: partial(CoreSeen, core=message),
}


def happening_of(message: Message | str) -> EventFactory:
    """The event of a message's arrival; a command comes as its payload."""
    known = decode(COMMAND, message.encode()) if isinstance(message, str) else message
    return RECEIVED[type(known)](known)

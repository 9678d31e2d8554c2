"""Dead letters: messages that could not be used."""

import hashlib
from typing import Final

from tapwire_contracts.codec import MAX_PAYLOAD_BYTES
from tapwire_contracts.reasons import IncidentKind, Malformation
from tapwire_core.db.decisions import raise_incident
from tapwire_core.db.store import Store, to_json

MAX_TOPIC_LENGTH: Final = 512
NO_DEVICE: Final = "no device"
"""Stands for the device in the cause of an incident whose topic names none: one incident for all such topics."""


async def keep_dead_letter(
    store: Store, topic: str, payload: bytes, malformation: Malformation, explanation: str, *, device: str | None
) -> None:
    """Store a message, truncated at the size limit, and raise one incident per device and kind.

    Past the device's budget (`device_dead_letters_per_hour`) the message is only counted, in `device_misbehaving`.
    """
    kept_topic, why = topic.replace("\0", "")[:MAX_TOPIC_LENGTH], explanation.replace("\0", "")
    venue_id = device.split("/")[0] if device else None
    is_kept = await store.connection.fetchval(
        "SELECT store_dead_letter($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        kept_topic,
        malformation.value,
        why,
        payload[:MAX_PAYLOAD_BYTES],
        hashlib.sha256(payload).digest(),
        len(payload),
        device,
        venue_id,
        store.policy.device_dead_letters_per_hour,
    )
    if is_kept:
        await raise_incident(
            store,
            IncidentKind.DEAD_LETTER,
            f"{device or NO_DEVICE} {malformation}",
            {"topic": kept_topic, "malformation": malformation, "explanation": why},
            tap_path=device,
            venue_id=venue_id,
        )


async def count_undecided(store: Store, device: str, messages: int, topic: str, payload: bytes) -> None:
    """Add messages that got no decision to the device's incident; an empty `device` stands for all without a path."""
    sample = {"topic": topic.replace("\0", "")[:200], "payload": payload.replace(b"\0", b"").decode("ascii", "backslashreplace")}
    await store.connection.execute(
        "SELECT count_misbehaviour($1, $2, 'undecided', $3, $4)",
        device or None,
        device.split("/")[0] or None,
        messages,
        to_json(sample),
    )

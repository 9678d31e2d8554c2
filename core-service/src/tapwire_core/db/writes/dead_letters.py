"""Dead letters: messages that could not be used."""

import hashlib

from tapwire_contracts.codec import MAX_PAYLOAD_BYTES
from tapwire_contracts.reasons import IncidentKind, Malformation
from tapwire_core.db.decisions import raise_incident
from tapwire_core.db.store import Store

MAX_TOPIC_LENGTH = 512


async def keep_dead_letter(
    store: Store, topic: str, payload: bytes, malformation: Malformation, explanation: str, *, device: str | None
) -> None:
    """Store a message, truncated at the size limit, and raise one incident per device and kind."""
    kept_topic, why = topic.replace("\0", "")[:MAX_TOPIC_LENGTH], explanation.replace("\0", "")
    await store.connection.execute(
        """INSERT INTO dead_letters AS letter (topic, malformation, explanation, payload, payload_hash, payload_bytes)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (topic, payload_hash, malformation)
           DO UPDATE SET occurrences = letter.occurrences + 1, last_received_at = now()""",
        kept_topic,
        malformation.value,
        why,
        payload[:MAX_PAYLOAD_BYTES],
        hashlib.sha256(payload).digest(),
        len(payload),
    )
    await raise_incident(
        store,
        IncidentKind.DEAD_LETTER,
        f"{device or kept_topic} {malformation}",
        {"topic": kept_topic, "malformation": malformation, "explanation": why},
        tap_path=device,
        venue_id=device.split("/")[0] if device else None,
    )
